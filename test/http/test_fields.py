"""Header fields of a request, Host, and their limits (RFC 9112, 3.2 and 5)."""

import pytest

import tree
from client import make_request


def answer(site, fields, line=b"GET /hello.txt HTTP/1.1"):
    """The one answer to a request with these raw field lines."""
    with site.connect() as c:
        c.send(line + b"\r\n" + fields + b"\r\n")
        response = c.read_response()
        if response.closes:
            c.expect_close(reset_is_end=True)
        else:
            c.expect_served()
        return response


@pytest.mark.parametrize("field", [
    b"Name : value",
    b"Name\t: value",
    b" Name: value",
    b"\tName: value",
    b"Na me: value",
    b": value",
    b":",
    b"Name",
    b"Name value",
    b"N\0me: value",
    b"N\x01me: value",
    b"N\x7fme: value",
    b"N\xe9me: value",
    b"N(me: value",
    b"N@me: value",
    b"N\"me: value",
    b"N/me: value",
    b"N[me: value",
    b"Name: val\0ue",
    b"Name: val\x01ue",
    b"Name: val\x08ue",
    b"Name: val\x0bue",
    b"Name: val\x1fue",
    b"Name: val\x7fue",
    b"Name: val\rue",
    b"Name: value\r",
    b"Name: value\r\n folded",
    b"Name: value\r\n\tfolded",
    b"Name:\r\n folded",
    b"Name: value\r\n ",
])
@pytest.mark.parametrize("host_first", [True, False])
def test_malformed_field(site, field, host_first):
    host = b"Host: localhost\r\n"
    if host_first:
        data = host + field + b"\r\n"
    else:
        data = field + b"\r\n" + host
    response = answer(site, data)
    assert response.status == 400, response.head
    assert response.closes


@pytest.mark.parametrize("field", [
    b"Name:",
    b"Name: ",
    b"Name:\t \t",
    b"Name:value",
    b"Name: \t value \t ",
    b"Name: a\tb",
    b"Name: \xe9\xff\x80",
    b"!#$%&'*+-.^_`|~09azAZ: all that a name may have",
    b"Name: :::",
    b"Name: \"quoted\\\"\"",
    b"name: once\r\nNAME: twice\r\nNaMe:",
    b"X: " + b"y" * 1500,
])
def test_well_formed_field(site, field):
    response = answer(site, b"Host: localhost\r\n" + field + b"\r\n")
    assert response.status == 200, response.head
    assert response.body == tree.HELLO


@pytest.mark.parametrize("start,byte", [
    (b"GET /hello.txt HTTP/1.1\r\n", b" "),
    (b"GET /hello.txt HTTP/1.1\r\n", b":"),
    (b"GET /hello.txt HTTP/1.1\r\nHost", b" "),
    (b"GET /hello.txt HTTP/1.1\r\nHost", b"\0"),
    (b"GET /hello.txt HTTP/1.1\r\nHost", b"\n"),
    (b"GET /hello.txt HTTP/1.1\r\nHost: localhost", b"\0"),
    (b"GET /hello.txt HTTP/1.1\r\nHost: localhost", b"\n"),
    (b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r", b"X"),
    (b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n", b" "),
    (b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n", b"\n"),
    (b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n\r", b"\r"),
])
def test_wrong_byte_in_the_head_is_refused_at_once(site, start, byte):
    with site.connect() as c:
        c.send(start)
        c.expect_open(0.005)
        c.send(byte)
        response = c.read_response()
        assert response.status == 400
        assert response.closes
        c.expect_close()


# Host.

@pytest.mark.parametrize("host", [
    b"localhost", b"LOCALHOST", b"localhost:80", b"localhost:", b"a.b.c",
    b"127.0.0.1", b"127.0.0.1:8080", b"[::1]", b"[::1]:8080", b"a-b.test",
    b"under_score.test", b"xn--mller-kva.test", b"a.test.", b"",
])
def test_valid_host(site, host):
    response = answer(site, b"Host: " + host + b"\r\n")
    assert response.status == 200, response.head


@pytest.mark.parametrize("fields", [
    b"",
    b"X: y\r\n",
    b"Host: localhost\r\nHost: localhost\r\n",
    b"Host: localhost\r\nHost: other\r\n",
    b"Host: localhost\r\nhost:\r\n",
    b"Host: a b\r\n",
    b"Host: a/b\r\n",
    b"Host: a?b\r\n",
    b"Host: a#b\r\n",
    b"Host: user@a\r\n",
    b"Host: a:b\r\n",
    b"Host: a:80:81\r\n",
    b"Host: a:-1\r\n",
    b"Host: [::1\r\n",
    b"Host: ::1\r\n",
    b"Host: [zz]\r\n",
    b"Host: [::1]x\r\n",
    b"Host: a\\b\r\n",
    b"Host: <a>\r\n",
    b"Host: http://a/\r\n",
    b"Host: ../../etc\r\n",
])
def test_invalid_host(site, fields):
    response = answer(site, fields)
    assert response.status == 400, response.head


def test_http_1_0_needs_no_host(site):
    response = answer(site, b"", b"GET /hello.txt HTTP/1.0")
    assert response.status == 200
    assert response.body == tree.HELLO


@pytest.mark.parametrize("fields", [
    b"Host: a b\r\n", b"Host: a\r\nHost: b\r\n"])
def test_http_1_0_with_a_wrong_host(site, fields):
    assert answer(site, fields, b"GET /hello.txt HTTP/1.0").status == 400


@pytest.mark.parametrize("target,body", [
    (b"http://localhost/hello.txt", tree.HELLO),
    (b"HTTP://LOCALHOST/hello.txt", tree.HELLO),
    (b"http://localhost:80/hello.txt", tree.HELLO),
    (b"http://localhost/hello.txt?q", tree.HELLO),
    (b"http://localhost/", tree.INDEX),
    (b"http://localhost", tree.INDEX),
    (b"http://localhost?q", tree.INDEX),
    (b"http://[::1]:1/hello.txt", tree.HELLO),
])
def test_absolute_form(site, target, body):
    response = answer(site, b"Host: localhost\r\n",
                      b"GET " + target + b" HTTP/1.1")
    assert response.status == 200, response.head
    assert response.body == body


@pytest.mark.parametrize("target", [
    b"http:/hello.txt", b"http:hello.txt", b"http://", b"http:///hello.txt",
    b"http://user@localhost/hello.txt", b"http://a b/hello.txt",
    b"http://a<b/hello.txt", b"://localhost/hello.txt",
    b"1http://localhost/hello.txt",
])
def test_malformed_absolute_form(site, target):
    response = answer(site, b"Host: localhost\r\n",
                      b"GET " + target + b" HTTP/1.1")
    assert response.status == 400, response.head


def test_absolute_form_needs_a_host_too(site):
    response = answer(site, b"", b"GET http://localhost/hello.txt HTTP/1.1")
    assert response.status == 400


# Limits.

def test_field_size(site):
    """LimitRequestFieldSize 2048: name, colon and value."""
    def with_size(size):
        field = b"X-Name: " + b"v" * (size - len("X-Name: "))
        return answer(site, b"Host: localhost\r\n" + field + b"\r\n").status

    assert with_size(1900) == 200
    assert with_size(2040) == 200
    assert with_size(2060) == 431
    assert with_size(9000) == 431


def test_field_without_end_is_refused_when_too_long(site):
    with site.connect() as c:
        c.send(b"GET /hello.txt HTTP/1.1\r\nX-Name: " + b"v" * 2200)
        assert c.read_response().status == 431
        c.expect_close(reset_is_end=True)


def test_field_name_without_end(site):
    with site.connect() as c:
        c.send(b"GET /hello.txt HTTP/1.1\r\n" + b"N" * 2200)
        assert c.read_response().status in (400, 431)
        c.expect_close(reset_is_end=True)


def test_field_count(site):
    """LimitRequestFields 50."""
    def with_count(count):
        fields = b"Host: localhost\r\n" + b"".join(
            b"X-%d: y\r\n" % i for i in range(count - 1))
        return answer(site, fields).status

    assert with_count(50) == 200
    assert with_count(51) == 431
    assert with_count(500) == 431


def test_head_as_a_whole(weir):
    server = weir("LimitRequestHead 8192\nLimitRequestFieldSize 8190\n")

    def with_size(size):
        head = make_request("GET", "/hello.txt", ["Connection: close"])
        fill, number = [], 0
        while len(head) + sum(map(len, fill)) < size:
            fill.append(b"X-%02d: %s\r\n" % (number, b"v" * 90))
            number += 1
        with server.connect() as c:
            c.send(head[:-2] + b"".join(fill) + b"\r\n")
            response = c.read_response()
            c.expect_close(reset_is_end=True)
            return response.status

    assert with_size(7500) == 200
    assert with_size(9500) == 431


def test_odd_connection_options(site):
    for value in (b"keep-alive", b"Keep-Alive", b"upgrade", b"foo, bar",
                  b",,,", b"", b"close-not", b"\"close\"", b"TE"):
        with site.connect() as c:
            c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\nConnection: "
                   + value + b"\r\n\r\n")
            assert c.read_response().status == 200, value
            c.expect_served()
    for value in (b"close", b"CLOSE", b"foo, close", b"close,foo",
                  b" , close ,", b"keep-alive, close",
                  b"foo\r\nConnection: close"):
        with site.connect() as c:
            c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\nConnection: "
                   + value + b"\r\n\r\n")
            response = c.read_response()
            assert response.status == 200, value
            assert response.closes, value
            c.expect_close()


def test_upgrade_is_ignored(site):
    with site.connect() as c:
        c.request("GET", "/hello.txt", [
            "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c",
            "HTTP2-Settings: AAMAAABkAAQAAP__"])
        assert c.read_response().status == 200
        c.expect_served()
