"""The request line, byte by byte (RFC 9112, 2.2 and 3)."""

import pytest

import tree
from client import make_request, side_by_side

HOST = b"\r\nHost: localhost\r\n"
GOOD = b"GET /hello.txt HTTP/1.1\r\n"


def refused_at_once(site, start, byte, status=400):
    """After start nothing is said; after byte comes the refusal, although
    the client has said neither CRLF nor FIN."""
    with site.connect() as c:
        if start:
            c.send(start)
        c.send(byte)
        response = c.read_response()
        assert response.status == status, (start, byte, response.head)
        assert response.closes
        c.expect_close()


def wrong_bytes(position):
    """For a position of GOOD: bytes that no valid request has there."""
    version_at = GOOD.index(b"HTTP/")
    if position < 3:  # in the method, where another token could still be
        return b"\0\x01\x7f\x80\xff(),/:;<=>?@[\\]{}\"\n"
    if position == 3:  # the space
        return b"\0\t\n\x7f\x80\""
    if position == 4:  # the target's first byte
        return b"\0\t \x01\x7f\x80\"\r\n"
    if position < version_at - 1:  # in the target
        return b"\0\t\x01\x1f\x7f\r\n"
    if position == version_at - 1:
        return b"\0\t\x01\x1f\x7f\r\n"
    if position < version_at + 5:  # HTTP/
        right = GOOD[position]
        return bytes({0, 9, 10, 13, 32, 0x58, 0xff,
                      right ^ 0x20, right + 1, right - 1})
    if position == version_at + 5:  # the major digit
        return b"\0 .aX/:\r\n\xff"
    if position == version_at + 6:  # the dot
        return b"\0 ,/0123\r\n"
    if position == version_at + 7:  # the minor digit
        return b"\0 .aX/:\r\n"
    if position == len(GOOD) - 2:  # CR
        return b"\0\t 0123456789Xx\n\x0b"
    return b"\0\t \r0G"  # LF


@pytest.mark.parametrize("position", range(len(GOOD)))
def test_wrong_byte_is_refused_at_once(site, position):
    start = GOOD[:position]
    side_by_side([
        lambda byte=byte: refused_at_once(site, start, bytes([byte]))
        for byte in wrong_bytes(position)], workers=16)


@pytest.mark.parametrize("byte", b"\0\x01\t\n \"/:\x7f\x80\xff")
def test_wrong_first_byte(site, byte):
    refused_at_once(site, b"", bytes([byte]))


def test_all_but_P_is_refused_after_HTT(site):
    start = b"GET /index.html HTT"
    side_by_side([
        lambda byte=byte: refused_at_once(site, start, bytes([byte]))
        for byte in range(256) if byte != ord("P")], workers=16)


def test_nothing_is_said_before_the_line_is_wrong(site):
    """Each prefix of a good request keeps the connection open."""
    request = GOOD + b"Host: localhost\r\n\r\n"
    with site.connect() as c:
        for i in range(len(request) - 1):
            c.send(request[i:i + 1])
            c.expect_open(0.001)
        c.send(request[-1:])
        response = c.read_response()
        assert response.status == 200
        assert response.body == tree.HELLO
        c.expect_served()


@pytest.mark.parametrize("line", [
    b"GET",
    b"GET ",
    b"GET /hello.txt",
    b"GET /hello.txt ",
    b"GET  /hello.txt HTTP/1.1",
    b"GET /hello.txt  HTTP/1.1",
    b"GET /hello.txt HTTP/1.1 ",
    b"GET\t/hello.txt HTTP/1.1",
    b"GET /hello.txt\tHTTP/1.1",
    b" GET /hello.txt HTTP/1.1",
    b"GET /hello.txt HTTP/1.10",
    b"GET /hello.txt HTTP/11",
    b"GET /hello.txt HTTP/.1",
    b"GET /hello.txt HTTP/1.",
    b"GET /hello.txt HTTP/1",
    b"GET /hello.txt HTTP/-1.1",
    b"GET /hello.txt HTTP/+1.1",
    b"GET /hello.txt HTTP 1.1",
    b"GET /hello.txt http/1.1",
    b"GET /hello.txt Http/1.1",
    b"GET /hello.txt HTTPS/1.1",
    b"GET /hello.txt HTTP/1,1",
    b"GET /hello.txt HTTP/1.x",
    b"GET /hello.txt FTP/1.1",
    b"GET /hello.txt /hello.txt HTTP/1.1",
    b"GET hello.txt HTTP/1.1",
    b"GET ?query HTTP/1.1",
    b"GET #fragment HTTP/1.1",
    b"GET /hello.txt\0 HTTP/1.1",
    b"GET /hel\x01lo.txt HTTP/1.1",
    b"GET /hel\x7flo.txt HTTP/1.1",
    b"G(T /hello.txt HTTP/1.1",
    b"GET: /hello.txt HTTP/1.1",
    b"G\0T /hello.txt HTTP/1.1",
    b"/hello.txt HTTP/1.1",
    b"GET * HTTP/1.1",
    b"GET localhost:80 HTTP/1.1",
])
def test_malformed_line(site, line):
    with site.connect() as c:
        c.send(line + HOST + b"\r\n")
        response = c.read_response()
        assert response.status == 400, response.head
        assert response.closes
        c.expect_close(reset_is_end=True)


@pytest.mark.parametrize("version,status", [
    ("1.1", 200), ("1.0", 200), ("1.2", 200), ("1.9", 200),
    ("2.0", 505), ("3.0", 505), ("9.9", 505), ("2.1", 505), ("0.9", 505),
])
def test_version(site, version, status):
    with site.connect() as c:
        c.request("GET", "/hello.txt", ["Connection: close"],
                  version=version)
        response = c.read_response()
        # 0.9 had no version in its requests: to refuse it as 400 is as good
        assert response.status == status or (
            version == "0.9" and response.status == 400), response.head
        assert response.head.startswith(b"HTTP/1.1 ")
        assert response.closes
        c.expect_close()


def test_minor_version_above_one_keeps_alive(site):
    with site.connect() as c:
        c.request("GET", "/hello.txt", version="1.2")
        assert c.read_response().status == 200
        c.expect_served()


@pytest.mark.parametrize("data", [
    b"GET /hello.txt\r\n", b"GET /hello.txt\n", b"GET /\r\n\r\n"])
def test_simple_request_of_0_9(site, data):
    with site.connect() as c:
        c.send(data)
        assert c.read_response().status == 400
        c.expect_close(reset_is_end=True)


@pytest.mark.parametrize("data", [
    b"GET /hello.txt HTTP/1.1\nHost: localhost\n\n",
    b"GET /hello.txt HTTP/1.1\nHost: localhost\r\n\r\n",
    b"GET /hello.txt HTTP/1.1\r\nHost: localhost\n\r\n",
    b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\n",
    b"GET /hello.txt HTTP/1.1\r\nHost: localhost\n\n",
    b"GET /hello.txt HTTP/1.1\rHost: localhost\r\n\r\n",
    b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\r\n\r\n",
    b"GET /hello.txt HTTP/1.1\r\r\nHost: localhost\r\n\r\n",
    b"GET /hello.txt HTTP/1.1\r\nHost: localhost\rX: y\r\n\r\n",
    b"\nGET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\rGET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r\n",
])
def test_bare_CR_or_LF(site, data):
    with site.connect() as c:
        c.send(data)
        response = c.read_response()
        assert response.status == 400, response.head
        c.expect_close(reset_is_end=True)


@pytest.mark.parametrize("count", [1, 2])
def test_empty_lines_before_the_request(site, count):
    request = make_request("GET", "/hello.txt")
    with site.connect() as c:
        for _ in range(3):  # between requests too
            c.send(b"\r\n" * count + request)
            response = c.read_response()
            assert response.status == 200
            assert response.body == tree.HELLO


def test_empty_lines_alone_are_not_answered_with_a_page(site):
    with site.connect() as c:
        c.send(b"\r\n")
        c.expect_open(0.05)
        c.end()
        c.expect_close()


@pytest.mark.parametrize("lead", [b"", b"\r\n"])
def test_split_anywhere(site, lead):
    """A request cut in two at any place is answered the same."""
    request = lead + make_request("GET", "/hello.txt?a=b", ["X: y"])

    def cut_at(i):
        with site.connect() as c:
            c.send_in_pieces(request, i, pause=0.005)
            response = c.read_response()
            assert response.status == 200
            assert response.body == tree.HELLO

    side_by_side([lambda i=i: cut_at(i)
                  for i in range((len(request) + 1) // 2, len(request))],
                 workers=16)


def test_long_line(site):
    """LimitRequestLine 4096: the line without its CRLF."""
    def with_length(length):
        fill = length - len("GET /hello.txt? HTTP/1.1")
        with site.connect() as c:
            c.request("GET", "/hello.txt?" + "a" * fill,
                      ["Connection: close"])
            response = c.read_response()
            c.expect_close(reset_is_end=True)
            return response.status

    assert with_length(3000) == 200
    assert with_length(4000) == 200
    assert with_length(4096) == 200
    assert with_length(4099) == 414
    assert with_length(20000) == 414


def test_line_without_end_is_refused_when_too_long(site):
    """Without waiting for its end."""
    with site.connect() as c:
        c.send(b"GET /hello.txt?" + b"a" * 4200)
        response = c.read_response()
        assert response.status == 414
        c.expect_close(reset_is_end=True)


@pytest.mark.parametrize("size", [5000, 100000])
def test_method_without_end(site, size):
    with site.connect() as c:
        try:
            c.send(b"A" * size)
        except ConnectionError:
            pass
        assert c.read_response().status in (400, 414, 501)
        c.expect_close(reset_is_end=True)
