"""What RFC 9110 and RFC 9112 demand of an origin server, where no other test
shows it.  docs/conformance.md says which test shows what."""

import datetime
import email.utils
import os
import re

import pytest

import tree
from client import make_request

OLD = "Sun, 06 Nov 1994 08:49:37 GMT"
EPOCH = "Thu, 01 Jan 1970 00:00:00 GMT"
FUTURE = "Fri, 01 Jan 2100 00:00:00 GMT"
WEDNESDAY = 1400086400  # a date that begins like a weak entity tag

OBJECTS = """
LoadModule objects_module modules/mod_objects.so
<Directory @WWW@/objects>
    SetHandler objects
</Directory>
CacheRevalidate 0
"""


@pytest.fixture(scope="module")
def server(module_weir):
    return module_weir(OBJECTS)


def seconds(http_date):
    return email.utils.parsedate_to_datetime(http_date).timestamp()


def answer(site, data, head=False):
    """The one answer to these bytes; the server may or may not close."""
    with site.connect() as c:
        c.send(data)
        return c.read_response(head)


# RFC 9110, 6.6.1, and the grammar of what is sent.

ANSWERS = {
    200: b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n\r\n",
    206: b"GET /hello.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\r\n",
    301: b"GET /dir HTTP/1.1\r\nHost: a\r\n\r\n",
    304: b"GET /hello.txt HTTP/1.1\r\nHost: a\r\nIf-None-Match: *\r\n\r\n",
    400: b"GET /hello.txt HTTP/1.1\r\n\r\n",
    403: b"GET /denied/file.txt HTTP/1.1\r\nHost: a\r\n\r\n",
    404: b"GET /missing HTTP/1.1\r\nHost: a\r\n\r\n",
    405: b"PUT /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
    412: b"GET /hello.txt HTTP/1.1\r\nHost: a\r\nIf-Match: \"x\"\r\n\r\n",
    413: b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n",
    414: b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
    416: b"GET /1.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=9-\r\n\r\n",
    417: b"GET / HTTP/1.1\r\nHost: a\r\nExpect: more\r\n\r\n",
    421: b"GET https://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
    431: b"GET / HTTP/1.1\r\nX: " + b"a" * 5000 + b"\r\n\r\n",
    501: b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n",
    505: b"GET / HTTP/2.0\r\n\r\n",
}


@pytest.mark.parametrize("status", ANSWERS)
def test_every_answer_has_a_date(site, status):
    response = answer(site, ANSWERS[status])
    assert response.status == status
    assert re.fullmatch(r"[A-Z][a-z]{2}, [0-3]\d [A-Z][a-z]{2} \d{4}"
                        r" [0-2]\d:[0-5]\d:[0-6]\d GMT", response["date"])
    names = [name for name, _ in response.fields]
    assert len(names) == len(set(names))


# RFC 9110, 7.4: schemes.

@pytest.mark.parametrize("scheme", ["https", "HTTPS", "ftp", "h", "httpx",
                                    "wss", "file"])
def test_scheme_that_is_not_served_here(site, scheme):
    """A resource of https must not be had without its protection."""
    response = answer(site, f"GET {scheme}://localhost/hello.txt HTTP/1.1\r\n"
                      "Host: localhost\r\n\r\n")
    assert response.status == 421
    assert response.closes


# RFC 9110, 9.1, 9.3.6 and 15.5.6: methods.

@pytest.mark.parametrize("target", ["", ":", "localhost", ":80", "[::1]",
                                    "localhost:x", "localhost:80/x"])
def test_connect_without_host_or_port(site, target):
    response = answer(site, f"CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n")
    assert response.status == 400


@pytest.mark.parametrize("target", ["localhost:", "localhost:0", "a:80",
                                    "localhost:99999", "[::1]:443"])
def test_connect_is_refused(site, target):
    response = answer(site, f"CONNECT {target} HTTP/1.1\r\nHost: a\r\n\r\n")
    assert response.status in (400, 405)
    assert response.status == 400 or "GET" in response["allow"]


@pytest.mark.parametrize("target", ["/hello.txt", "/", "/dir", "/noindex/",
                                    "/link-in.txt", "/say/hello.txt", "*"])
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "PATCH",
                                    "TRACE"])
def test_refused_method_names_those_that_are_not(site, target, method):
    data = f"{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n"
    response = answer(site, data)
    if response.status == 405:
        assert {"GET", "HEAD"} <= set(re.split(", *", response["allow"]))


@pytest.mark.parametrize("target", [
    "/hello.txt", "/0.bin", "/", "/dir", "/dir/", "/noindex/", "/missing",
    "/denied/file.txt", "/say/hello.txt", "/fifo", "/hello.txt?a"])
def test_length_that_head_says_is_that_of_get(site, target):
    get = site.get(target)
    with site.connect() as c:
        c.request("HEAD", target)
        length = c.read_response(head=True).get("content-length")
        c.expect_served()
    assert length in (None, str(len(get.body)))


@pytest.mark.parametrize("kind", ["computed", "computed-length", "pipe",
                                  "pipe-length", "linear", "mixed"])
def test_length_that_head_says_of_objects(server, kind):
    target = f"/objects/{kind}?3000"
    get = server.get(target)
    with server.connect() as c:
        c.request("HEAD", target)
        length = c.read_response(head=True).get("content-length")
        c.expect_served()
    assert length in (None, str(len(get.body)))


# RFC 9110, 5.6.1.2: empty elements of lists.

def test_empty_elements_of_lists(server):
    etag = server.get("/hello.txt")["etag"]
    for field, status in (
            (f"If-None-Match: , ,\"x\",\t,{etag},", 304),
            (f"If-None-Match: ,{etag}", 304),
            ("If-Match: ,\"x\", ,", 412),
            ("Range: bytes=,0-1, ,", 206),
            ("Expect: , 100-Continue ,", 200)):
        assert server.get("/hello.txt", fields=[field]).status == status, field


def test_expectations_in_a_list(site):
    for value in ("100-continue, x", "x, 100-continue", "100-continue=1",
                  "100-continue\r\nExpect: x"):
        response = site.get("/hello.txt", fields=[f"Expect: {value}"])
        assert response.status == 417, value


# RFC 9110, 6.5.1: trailers are not fields of the header.

@pytest.mark.parametrize("trailer", [
    "Range: bytes=0-0", "If-None-Match: *", "If-Match: \"x\"",
    "Connection: close", "Host: a b", "Host: other", "Expect: more",
    "Content-Length: 7", "Transfer-Encoding: gzip",
    "If-Modified-Since: " + FUTURE])
def test_trailer_is_not_a_header(server, trailer):
    for target, status, body in (("/hello.txt", 200, tree.HELLO),
                                 ("/objects/body", 200, b"abc")):
        with server.connect() as c:
            c.send(f"GET {target} HTTP/1.1\r\nHost: a\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n"
                   f"3\r\nabc\r\n0\r\n{trailer}\r\n\r\n")
            response = c.read_response()
            assert response.status == status
            assert response.body == body
            c.expect_served()


# RFC 9110, 7.8: Upgrade.

@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("protocol", ["websocket", "h2c", "TLS/1.3",
                                      "HTTP/2.0", "IRC/6.9, RTA/x11"])
def test_no_protocol_is_switched_to(site, version, protocol):
    response = site.get("/hello.txt", version=version, fields=[
        f"Upgrade: {protocol}", "Connection: Upgrade"])
    assert response.status == 200
    assert response.body == tree.HELLO


# RFC 9110, 10.1.1 and 15.2: 100.

def test_no_100_to_1_0(server):
    with server.connect() as c:
        c.send(b"POST /objects/body HTTP/1.0\r\nContent-Length: 3\r\n"
               b"Expect: 100-continue\r\n\r\n")
        c.expect_open(0.05)
        c.send(b"abc")
        response = c.read_response()
        assert response.status == 200
        assert response.body == b"abc"
        c.expect_close()


def test_100_is_a_head_alone_and_a_final_answer_follows(server):
    with server.connect() as c:
        c.send(b"POST /objects/body HTTP/1.1\r\nHost: a\r\n"
               b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        response = c.read_response()  # before a byte of the content
        assert response.status == 100
        for name in ("content-length", "transfer-encoding"):
            assert response.get(name) is None
        c.expect_open(0.01)
        c.send(b"abc")
        assert c.read_response().body == b"abc"
        c.expect_served()


# RFC 9110, 5.6.7 and 13.1: dates.

NO_DATES = [
    f"{OLD}, {OLD}", f"{OLD}\r\n@: {OLD}", f"{OLD} x", f"{OLD[:-3]}PST",
    OLD[:-4], "06 Nov 1994 08:49:37 GMT", "Sun, 6 Nov 1994 08:49:37 GMT",
    "Sun, 06 Nov 94 08:49:37 GMT", "Sun, 06-Nov-94 08:49:37 GMT",
    "Sunday, 06-Nov-1994 08:49:37 GMT", "Sun Nov  6 08:49:37 1994 GMT",
    "Sun, 06 Xxx 1994 08:49:37 GMT", "Sun, 06 Nov 1994 25:49:37 GMT",
    "784111777", f"{OLD}; length=5"]


@pytest.mark.parametrize("value", NO_DATES)
def test_what_is_no_date_is_ignored(site, value):
    def status(name, value):
        field = f"{name}: {value.replace('@', name)}"
        return site.get("/hello.txt", fields=[field]).status

    assert status("If-Unmodified-Since", value) == 200
    # As a date it would be one by which nothing has changed.
    assert status("If-Modified-Since", value.replace("1994", "2094")
                  .replace("-94", "-60")) == 200


@pytest.mark.parametrize("value", [
    OLD, EPOCH, "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"])
def test_dates_long_ago(site, value):
    for name, status in (("If-Unmodified-Since", 412),
                         ("If-Modified-Since", 200)):
        response = site.get("/hello.txt", fields=[f"{name}: {value}"])
        assert response.status == status


def test_two_digits_of_a_year_more_than_50_ahead_are_past(site):
    year = datetime.date.today().year + 51
    day = datetime.date(year - 100, 1, 1).strftime("%A, %d-%b-%y")
    field = f"If-Unmodified-Since: {day} 00:00:00 GMT"
    assert site.get("/hello.txt", fields=[field]).status == 412


def test_conditions_on_dates_are_for_what_has_one(site):
    """What a handler makes has no modification date."""
    for name, value in (("If-Unmodified-Since", OLD),
                        ("If-Modified-Since", FUTURE)):
        response = site.get("/say/hello.txt", fields=[f"{name}: {value}"])
        assert response.status == 200
        assert response.get("last-modified") is None


# RFC 9110, 8.8 and 13: validators and preconditions.

def test_file_of_the_future(server):
    """What may change unseen is weak, and nothing is newer than now."""
    path = server.put("future.txt", b"from the future")
    os.utime(path, (4000000000, 4000000000))
    response = server.get("/future.txt")
    assert seconds(response["last-modified"]) <= seconds(response["date"])
    etag = response["etag"]
    assert etag.startswith('W/"')

    def status(*fields):
        return server.get("/future.txt", fields=fields).status

    assert status(f"If-None-Match: {etag}") == 304
    assert status(f"If-None-Match: {etag[2:]}") == 304
    assert status(f"If-Match: {etag}") == 412
    assert status(f"If-Match: {etag[2:]}") == 412
    for validator in (etag, etag[2:], response["last-modified"],
                      email.utils.formatdate(4000000000, usegmt=True)):
        assert status("Range: bytes=0-1", f"If-Range: {validator}") == 200
    assert status("Range: bytes=0-1") == 206
    os.utime(path, (WEDNESDAY, WEDNESDAY))
    assert server.get("/future.txt")["etag"].startswith('"')
    for _ in range(3):  # from the cache too
        response = server.get("/future.txt")
        assert seconds(response["last-modified"]) == WEDNESDAY
        for validator in (response["etag"], response["last-modified"]):
            assert status("Range: bytes=0-1", f"If-Range: {validator}") == 206


@pytest.mark.parametrize("field", ['If-Match: "x"', "If-None-Match: *",
                                   f"If-Unmodified-Since: {OLD}",
                                   f"If-Modified-Since: {FUTURE}"])
@pytest.mark.parametrize("method,target", [
    ("OPTIONS", "/hello.txt"), ("OPTIONS", "*"), ("TRACE", "/hello.txt"),
    ("POST", "/hello.txt"), ("GET", "/missing"), ("GET", "/dir"),
    ("GET", "/denied/file.txt"), ("GET", "/noindex/"), ("BREW", "/"),
    ("HEAD", "/missing")])
def test_preconditions_do_not_count(site, method, target, field):
    """Where nothing is selected, or the answer would not be 2xx anyway."""
    with site.connect() as c:
        for fields in ([], [field]):
            c.request(method, target, fields)
            response = c.read_response(head=method == "HEAD")
            if not fields:
                without = response.status
            assert response.status == without
        assert without not in (304, 412)


def test_content_of_a_handler_has_preconditions(site):
    with site.connect() as c:
        for method in ("GET", "HEAD"):
            for field, status in (("If-None-Match: *", 304),
                                  ('If-None-Match: "x"', 200),
                                  ('If-Match: "x"', 412),
                                  ("If-Match: *", 200)):
                c.request(method, "/say/hello.txt", [field])
                response = c.read_response(head=method == "HEAD")
                assert response.status == status, field
        c.expect_served()


def test_if_range_without_a_range_is_ignored(site):
    for value in ('"x"', OLD, "nonsense"):
        response = site.get("/hello.txt", fields=[f"If-Range: {value}"])
        assert response.status == 200
        assert response.body == tree.HELLO


# RFC 9110, 14 and 15.3.7: parts.

def test_one_part_is_not_a_multipart(site):
    for spec in ("0-0", "-1", "0-", "0-0, 99999999-", ", 5-9 ,"):
        response = site.get("/1024.bin", fields=[f"Range: bytes={spec}"])
        assert response.status == 206
        assert not response["content-type"].startswith("multipart/")
        assert response["content-range"].startswith("bytes ")


def test_fields_of_the_whole(weir):
    """What a 200 says to caches, 206 and 304 say too."""
    names = ("Cache-Control", "Content-Location", "Expires", "Vary")
    server = weir("".join(f'Header set {n} "{n} x"\n' for n in names))
    whole = server.get("/hello.txt")
    for field, status in (("Range: bytes=0-0", 206),
                          ("Range: bytes=0-0,2-2", 206),
                          ("If-None-Match: *", 304)):
        response = server.get("/hello.txt", fields=[field])
        assert response.status == status
        assert response["date"]
        assert response["etag"].removeprefix("W/") == \
            whole["etag"].removeprefix("W/")
        for name in names:
            assert response[name] == whole[name] == f"{name} x"


@pytest.mark.parametrize("spec", [
    "0-18446744073709551615", "0-9223372036854775808",
    "0-99999999999999999999999999", "18446744073709551616-",
    "-18446744073709551617", "18446744073709551616-18446744073709551617"])
def test_large_numbers_in_a_range(site, spec):
    """As much as is there, or all, or nothing; never something else."""
    response = site.get("/1024.bin", fields=[f"Range: bytes={spec}"])
    assert response.status in (200, 206, 416)
    if response.status != 416:
        assert response.body == tree.content(1024)


# RFC 9110, 10.2.2: Location is a URI.

def test_location_is_a_uri(site):
    query = "{a|b}\\^`[c]%41?/'(d)"
    for target in (f"/dir?{query}", "/dir?a"):
        location = site.get(target)["location"]
        assert re.fullmatch(r"http://[a-z.]+(:\d+)?/dir/\?"
                            r"([-._~:/?@!$&'()*+,;=A-Za-z0-9]"
                            r"|%[0-9A-Fa-f]{2})*", location), location
    for host in ("[::1]", "[::1]:80", "localhost"):
        response = answer(site, f"GET /dir HTTP/1.1\r\nHost: {host}\r\n\r\n")
        assert response["location"] == f"http://{host}/dir/"


# RFC 9112, 9.6: the end of a connection.

@pytest.mark.parametrize("method,target,head", [
    ("GET", "/missing", False), ("PUT", "/hello.txt", False),
    ("HEAD", "/hello.txt", True), ("OPTIONS", "*", False),
    ("GET", "/dir", False), ("GET", "/say/hello.txt", False)])
def test_close_ends_it_after_any_answer(site, method, target, head):
    with site.connect() as c:
        c.send(make_request(method, target, ["Connection: close"])
               + make_request("GET", "/hello.txt"))
        assert c.read_response(head).closes
        c.expect_close(reset_is_end=True)


def test_answer_that_could_not_end_is_not_followed_by_another(server):
    """RFC 9112, 8: the client sees that it is incomplete."""
    server.allow_errors("too early|short")
    with server.connect() as c:
        c.send(make_request("GET", "/objects/short?5000")
               + make_request("GET", "/hello.txt"))
        c.read_head()
        rest = c.read_rest(reset_is_end=True)
        assert len(rest) < 5000
        assert b"HTTP/1.1" not in rest
