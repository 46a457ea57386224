"""Simple objects of each kind, as mod_objects makes them."""

import pytest

import tree
from client import side_by_side
from conftest import descriptors_of, wait_for

CONFIG = """
LoadModule objects_module modules/mod_objects.so
<Directory @WWW@/objects>
    SetHandler objects
</Directory>
"""


@pytest.fixture(scope="module")
def objects(module_weir):
    server = module_weir(CONFIG)
    if not (server.install.modules / "mod_objects.so").exists():
        pytest.fail("built without --enable-test-hooks")
    return server


def pattern(size):
    return (b"abcdefghijklmnopqrstuvwxyz" * (size // 26 + 1))[:size]


KINDS = ["computed", "computed-op", "pipe", "pipe-length", "socket"]


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 65536, 200001])
@pytest.mark.parametrize("kind", KINDS)
def test_content(objects, kind, size):
    if kind == "computed-op" and size > 20000:
        size = 20001  # each piece waits for an op
    response = objects.get(f"/objects/{kind}?{size}")
    assert response.status == 200
    assert response.body == pattern(size)
    chunked = kind != "pipe-length"
    assert (response.get("transfer-encoding") == "chunked") == chunked
    assert (response.get("content-length") is None) == chunked


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_length_in_http_10(objects, kind):
    with objects.connect() as c:
        c.request("GET", f"/objects/{kind}?3000", version="1.0")
        response = c.read_response()
        assert response.get("transfer-encoding") is None
        assert response.body == pattern(3000)
        c.expect_close()


@pytest.mark.parametrize("kind", KINDS + ["mixed", "linear"])
def test_head_sends_no_content(objects, kind):
    with objects.connect() as c:
        c.request("HEAD", f"/objects/{kind}?3000")
        assert c.read_response(head=True).status == 200
        c.expect_served()


def test_mixed(objects):
    response = objects.get("/objects/mixed?2500")
    text = pattern(2500)
    assert response.body == (b"begin " + text + b" middle " + text + b" end"
                             + text)


def test_linear_handler(objects):
    assert objects.get("/objects/linear").body == b"linear\n"


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 65535, 65536, 65537,
                                  131072, 300000, 1 << 20])
def test_body_comes_back(objects, size):
    """Beyond RequestBodyMemory (64K) by way of a file."""
    body = tree.content(size)
    assert objects.get("/objects/body", "POST", body=body).body == body


def test_spooled_body_in_chunks_and_pieces(objects):
    body = tree.content(200000)
    with objects.connect() as c:
        c.send(b"POST /objects/body HTTP/1.1\r\nHost: a\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n")
        for i in range(0, len(body), 7777):
            piece = body[i:i + 7777]
            c.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        c.send(b"0\r\n\r\n")
        assert c.read_response().body == body
        c.expect_served()


def test_body_that_cannot_be_spooled(weir):
    server = weir(CONFIG + "SpoolDirectory @ROOT@/missing\n")
    server.allow_errors("content below")
    with server.connect() as c:
        c.request("POST", "/objects/body", body=b"x" * 100000)
        assert c.read_response().status == 500
    assert server.get("/objects/body", "POST", body=b"x").body == b"x"
    with server.connect() as c:  # gives up while it is spooled
        c.send(b"POST /objects/body HTTP/1.1\r\nHost: a\r\n"
               b"Content-Length: 500000\r\n\r\n" + b"x" * 10000)


def test_clients_that_give_up_leave_no_file_open(objects):
    def files():  # without a name
        return sum("(deleted)" in link for pid in objects.children()
                   for link in descriptors_of(pid).values())

    objects.get("/objects/body", "POST", body=b"x" * 200000)
    before = files()
    for i in range(20):
        with objects.connect() as c:
            c.send(b"POST /objects/body HTTP/1.1\r\nHost: a\r\n"
                   b"Content-Length: 500000\r\n\r\n" + b"x" * 200000)
            if i % 2:
                c.reset()
    wait_for(lambda: files() <= before, what="the files to be closed")


def test_body_after_continue(objects):
    with objects.connect() as c:
        c.send(b"POST /objects/body HTTP/1.1\r\nHost: a\r\n"
               b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n")
        assert c.read_until(b"\r\n\r\n").startswith(b"HTTP/1.1 100 ")
        c.send(b"hello")
        assert c.read_response().body == b"hello"
        c.expect_served()


def test_chunked_body(objects):
    with objects.connect() as c:
        c.send(b"POST /objects/body HTTP/1.1\r\nHost: a\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n"
               b"3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nTrailer: t\r\n\r\n")
        assert c.read_response().body == b"abcdefg"
        c.expect_served()


def test_stream_that_ends_too_early_breaks_the_connection(objects):
    objects.allow_errors("too early")
    with objects.connect() as c:
        c.request("GET", "/objects/short?5000")
        response = c.read_head()
        assert response["content-length"] == "5000"
        assert len(c.read_rest(reset_is_end=True)) < 5000


def test_pipelined_kinds_keep_their_order(objects):
    kinds = [k for k in KINDS for _ in range(3)] + ["linear"]
    with objects.connect() as c:
        for i, kind in enumerate(kinds):
            c.request("GET", f"/objects/{kind}?{1000 + i}")
        for i, kind in enumerate(kinds):
            body = c.read_response().body
            assert body == (b"linear\n" if kind == "linear"
                            else pattern(1000 + i))
        c.expect_served()


def test_many_at_once(objects):
    def one(i):
        kind = KINDS[i % len(KINDS)]
        size = 1000 + 700 * i if kind != "computed-op" else 3000
        assert objects.get(f"/objects/{kind}?{size}").body == pattern(size)

    side_by_side([lambda i=i: one(i) for i in range(40)], workers=20)


@pytest.mark.parametrize("kind", ["pipe", "socket", "computed"])
def test_slow_reader_and_one_who_leaves(objects, kind):
    with objects.connect(rcvbuf=4096) as c:
        c.request("GET", f"/objects/{kind}?2000000")
        c.read_exactly(1000)
        c.reset()
    with objects.connect(rcvbuf=4096) as c:
        c.request("GET", f"/objects/{kind}?500000")
        assert c.read_response(piece=3000).body == pattern(500000)
        c.expect_served()
