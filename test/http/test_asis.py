"""Files that are sent with the fields they begin with."""

import pytest

import tree

CONFIG = """
<Directory "@WWW@/asis">
    AddHandler send-as-is asis
</Directory>
"""

FILES = {
    "plain": (b"Content-Type: text/x-y\nX-One: 1\nX-One: 2\n\nThe content\n",
              200, b"The content\n"),
    "crlf": (b"Status: 410 Gone away\r\nContent-Type: text/x-y\r\n\r\nGone",
             410, b"Gone"),
    "location": (b"Location: http://other.example/\n\nElsewhere", 302,
                 b"Elsewhere"),
    "status": (b"Status: 301\nLocation: /x\n\n", 301, b""),
    "empty": (b"\nOnly content", 200, b"Only content"),
    "large": (b"X-One: 1\n\n" + tree.content(300000), 200,
              tree.content(300000)),
    "own": (b"Content-Length: 5\nTransfer-Encoding: chunked\n"
            b"Connection: close\nDate: never\nServer: x\n\nabcdefgh", 200,
            b"abcdefgh"),
    "nohead": (b"This has no head.", 500, None),
    "noname": (b"X Y: 1\n\ntext", 500, None),
    "nostatus": (b"Status: OK\n\ntext", 500, None),
    "noend": (b"X-One: 1\n" * 3000, 500, None),
    "nothing": (b"", 500, None),
}


@pytest.fixture(scope="module")
def server(module_weir):
    server = module_weir(CONFIG)
    for name, (data, _, _) in FILES.items():
        server.put(f"asis/{name}.asis", data)
    server.allow_errors("does not begin with lines NAME: VALUE")
    return server


@pytest.mark.parametrize("name", FILES)
def test_as_is(server, name):
    _, status, body = FILES[name]
    for _ in range(2):
        response = server.get(f"/asis/{name}.asis")
        assert response.status == status
        if body is not None:
            assert response.body == body
            assert response["content-length"] == str(len(body))
    assert len(response.all("date")) == 1
    assert len(response.all("server")) == 1


def test_fields(server):
    response = server.get("/asis/plain.asis")
    assert response["content-type"] == "text/x-y"
    assert response.all("x-one") == ["1", "2"]
    response = server.get("/asis/status.asis")
    assert response["location"] == "/x"


def test_head(server):
    response = server.get("/asis/plain.asis", "HEAD")
    assert response.status == 200
    assert response["content-length"] == "12"


def test_other_methods(server):
    assert server.get("/asis/plain.asis", "POST").status == 405
