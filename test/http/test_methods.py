"""Methods (RFC 9110, 9)."""

import pytest

import tree


@pytest.mark.parametrize("target", [
    "/", "/hello.txt", "/a.png", "/0.bin", "/65536.bin", "/dir/", "/missing",
    "/dir", "/noindex/", "/denied/file.txt"])
def test_head_is_get_without_a_body(site, target):
    get = site.get(target)
    with site.connect() as c:
        c.request("HEAD", target)
        head = c.read_response(head=True)
        assert head.status == get.status
        c.expect_served()  # no byte of a body before this response

    def fields(response):
        return sorted((n, v) for n, v in response.fields
                      if n not in ("date", "connection", "keep-alive"))

    # A response to HEAD may leave out what only a body tells.
    assert fields(head) == fields(get)
    assert int(head["content-length"]) == len(get.body)


@pytest.mark.parametrize("method", [
    "POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"])
@pytest.mark.parametrize("target", ["/hello.txt", "/", "/65537.bin"])
def test_file_takes_get_and_head_only(site, method, target):
    response = site.get(target, method)
    if method == "OPTIONS" and response.status in (200, 204):
        assert response.status == 204 or response.body == b""
    else:
        assert response.status == 405, response.head
    allow = {m.strip() for m in response["allow"].split(",")}
    assert {"GET", "HEAD"} <= allow
    assert not allow & {"PUT", "POST", "DELETE", "PATCH", "CONNECT"}


def test_refused_method_keeps_the_connection(site):
    with site.connect() as c:
        for method in ("POST", "DELETE", "PUT"):
            c.request(method, "/hello.txt")
            assert c.read_response().status == 405
        c.expect_served()


@pytest.mark.parametrize("method", [
    "BREW", "get", "Get", "GETS", "GE", "G", "HEADER", "PRI", "X-Y", "!#$%",
    "M" * 20])
def test_unknown_method(site, method):
    response = site.get("/hello.txt", method)
    assert response.status == 501, response.head


def test_unknown_method_does_not_break_the_framing(site):
    with site.connect() as c:
        c.request("BREW", "/hello.txt", body=b"GET /a.css HTTP/1.1\r\n\r\n")
        response = c.read_response()
        assert response.status == 501
        if response.closes:
            c.expect_close(reset_is_end=True)
        else:
            assert c.expect_served().body == tree.HELLO


def test_connect_opens_no_tunnel(site):
    with site.connect() as c:
        c.request("CONNECT", f"127.0.0.1:{site.port}",
                  ["Connection: close"])
        assert c.read_response().status in (400, 405, 501)
        c.expect_close()


def test_options_asterisk(site):
    response = site.get("*", "OPTIONS")
    assert response.status in (200, 204, 400, 405, 501)
    if response.status in (200, 204, 405):
        assert "GET" in response["allow"]


def test_trace_does_not_echo(site):
    response = site.get("/hello.txt", "TRACE", ["Cookie: Sesame-1234"])
    assert b"Sesame-1234" not in response.head + response.body
