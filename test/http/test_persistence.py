"""Keep-alive, pipelining, and how a connection ends (RFC 9112, 9)."""

import pytest

import tree
from client import make_request, side_by_side


@pytest.mark.parametrize("version,fields,stays", [
    ("1.1", [], True),
    ("1.1", ["Connection: keep-alive"], True),
    ("1.1", ["Connection: close"], False),
    ("1.1", ["Connection: Close"], False),
    ("1.1", ["Connection: keep-alive, close"], False),
    ("1.1", ["Connection: close, keep-alive"], False),
    ("1.1", ["Connection: x", "Connection: close"], False),
    ("1.0", [], False),
    ("1.0", ["Connection: keep-alive"], True),
    ("1.0", ["Connection: Keep-Alive"], True),
    ("1.0", ["Connection: close"], False),
    ("1.0", ["Connection: keep-alive, close"], False),
    ("1.0", ["Keep-Alive: 300"], False),
])
@pytest.mark.parametrize("target,status", [
    ("/hello.txt", 200), ("/missing", 404), ("/dir", 301)])
def test_persistence(site, version, fields, stays, target, status):
    with site.connect() as c:
        for _ in range(3 if stays else 1):
            c.request("GET", target, fields, version=version)
            response = c.read_response()
            assert response.status == status
            if stays:
                assert not response.closes
                if version == "1.0":  # the client must be told
                    assert response["connection"].lower() == "keep-alive"
            else:
                assert response.closes
        if not stays:
            c.expect_close()


def test_1_0_is_never_answered_in_chunks(site):
    for target in ("/hello.txt", "/missing", "/say/hello.txt", "/1048576.bin"):
        with site.connect() as c:
            c.request("GET", target, version="1.0")
            assert c.read_response().get("transfer-encoding") is None


def test_many_requests_on_a_connection(site):
    with site.connect() as c:
        for i in range(300):
            name, data = [("/hello.txt", tree.HELLO),
                          ("/4097.bin", tree.content(4097)),
                          ("/0.bin", b""),
                          ("/65537.bin", tree.content(65537))][i % 4]
            c.request("GET", name)
            response = c.read_response()
            assert response.status == 200
            assert response.body == data


MIXED = [("GET", f"/{size}.bin", 200, tree.content(size))
         for size in (0, 1, 100, 4096, 65537, 1024, 102400, 2)] + [
    ("HEAD", "/65536.bin", 200, b""),
    ("GET", "/missing", 404, None),
    ("HEAD", "/missing", 404, b""),
    ("GET", "/hello.txt", 200, tree.HELLO),
    ("POST", "/hello.txt", 405, None),
    ("GET", "/dir", 301, None),
    ("GET", "/noindex/", 403, None),
    ("BREW", "/", 501, None),
    ("HEAD", "/", 200, b""),
    ("GET", "/", 200, tree.INDEX),
]


def read_mixed(c, count, piece=65536):
    for i in range(count):
        method, target, status, body = MIXED[i % len(MIXED)]
        response = c.read_response(head=method == "HEAD", piece=piece)
        assert response.status == status, (i, method, target, response.head)
        if body is not None:
            assert response.body == body, (i, method, target)


def mixed_requests(count):
    return [make_request(*MIXED[i % len(MIXED)][:2]) for i in range(count)]


@pytest.mark.parametrize("depth", [2, 3, 16, 17, 100])
def test_pipelined(site, depth):
    """Sent as one; answered in order, with errors and HEAD in between."""
    with site.connect() as c:
        c.send(b"".join(mixed_requests(depth)))
        read_mixed(c, depth)
        c.expect_served()


@pytest.mark.parametrize("depth", [2, 16, 64, 65, 100, 200])
def test_pipelined_small_responses(site, depth):
    """More of them than a gathered send has pieces."""
    with site.connect() as c:
        c.send(make_request("GET", "/hello.txt") * depth)
        for _ in range(depth):
            assert c.read_response().body == tree.HELLO
        c.expect_open(0.01)


def test_pipelined_and_closed_with_the_last(site):
    last = make_request("GET", "/a.css", ["Connection: close"])
    beyond = make_request("GET", "/a.png")
    with site.connect() as c:
        c.send(b"".join(mixed_requests(40)) + last + beyond)
        read_mixed(c, 40)
        response = c.read_response()
        assert response.body == tree.FILES["a.css"]
        assert response.closes
        c.expect_close(reset_is_end=True)


def test_pipelined_and_half_closed(site):
    """A FIN behind the requests takes back none of them."""
    with site.connect() as c:
        c.send(b"".join(mixed_requests(54)))
        c.end()
        read_mixed(c, 54)
        c.expect_close()


@pytest.mark.parametrize("bad", [
    b"GARBAGE\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", b"\0"])
def test_pipelined_with_a_malformed_one(site, bad):
    """Those before it are answered, it is refused, the rest not looked at."""
    with site.connect() as c:
        c.send(make_request("GET", "/1024.bin")
               + make_request("GET", "/65537.bin") + bad
               + make_request("GET", "/hello.txt"))
        assert c.read_response().body == tree.content(1024)
        assert c.read_response().body == tree.content(65537)
        response = c.read_response()
        assert response.status in (400, 505)
        assert response.closes
        c.expect_close(reset_is_end=True)


def test_pipelined_in_odd_pieces(site):
    data = b"".join(mixed_requests(60))

    def in_pieces(size):
        with site.connect() as c:
            c.send_in_pieces(data, size)
            read_mixed(c, 60)
            c.expect_open()

    side_by_side([lambda s=s: in_pieces(s) for s in (1, 7, 41, 100, 999)])


def test_pipelined_to_a_slow_reader(site):
    """Back-pressure: requests ahead wait for responses to be taken."""
    with site.connect(rcvbuf=4096) as c:
        c.send(b"".join(mixed_requests(72)))
        read_mixed(c, 72, piece=3000)
        c.expect_served()


def test_pipelined_large_files(site):
    with site.connect() as c:
        c.send(make_request("GET", "/1048576.bin") * 10)
        for _ in range(10):
            assert c.read_response().body == tree.content(1 << 20)
        c.expect_served()


def test_more_requests_than_buffers_while_not_reading(site):
    """A client that asks and asks and does not read gets all in the end."""
    count = 2000
    with site.connect(rcvbuf=8192) as c:
        def ask():
            c.send(make_request("GET", "/1024.bin") * count)

        def read():
            for _ in range(count):
                assert c.read_response().body == tree.content(1024)

        side_by_side([ask, read])
        c.expect_open()


def test_pipelined_bodies(site):
    body = b"x" * 5000
    one = (make_request("GET", "/hello.txt", body=body)
           + b"GET /a.css HTTP/1.1\r\nHost: a\r\n"
           b"Transfer-Encoding: chunked\r\n\r\n"
           b"5\r\nabcde\r\n1388\r\n" + body + b"\r\n0\r\n\r\n")
    with site.connect() as c:
        c.send(one * 10)
        for _ in range(10):
            assert c.read_response().body == tree.HELLO
            assert c.read_response().body == tree.FILES["a.css"]
        c.expect_open()


def test_max_keep_alive_requests(weir):
    server = weir("MaxKeepAliveRequests 3")
    request = make_request("GET", "/hello.txt")
    with server.connect() as c:
        for i in range(3):
            c.send(request)
            response = c.read_response()
            assert response.status == 200
            assert response.closes == (i == 2)
        c.expect_close()
    with server.connect() as c:  # pipelined beyond it
        c.send(request * 5)
        for i in range(3):
            assert c.read_response().closes == (i == 2)
        c.expect_close(reset_is_end=True)
    with server.connect() as c:  # counted by connection
        c.send(request)
        assert not c.read_response().closes


def test_keep_alive_off(weir):
    server = weir("KeepAlive Off")
    with server.connect() as c:
        c.request("GET", "/hello.txt")
        response = c.read_response()
        assert response.status == 200
        assert response.closes
        c.expect_close()
    with server.connect() as c:
        c.request("GET", "/hello.txt", ["Connection: keep-alive"],
                  version="1.0")
        assert c.read_response().closes
        c.expect_close()
