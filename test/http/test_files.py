"""Files as they are served: bytes, fields, error pages."""

import email.utils
import os
import re
import threading
import time

import pytest

import tree
from client import make_request, side_by_side
from conftest import wait_for
from gate import Gates

DATE = re.compile(
    r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-3][0-9] (Jan|Feb|Mar|Apr|May|Jun|Jul"
    r"|Aug|Sep|Oct|Nov|Dec) [0-9]{4} [0-2][0-9]:[0-5][0-9]:[0-6][0-9] GMT")


def seconds(http_date):
    assert DATE.fullmatch(http_date), http_date
    return email.utils.parsedate_to_datetime(http_date).timestamp()


@pytest.mark.parametrize("size", tree.SIZES)
def test_size(site, size):
    for _ in range(2):  # the second from the cache
        response = site.get(f"/{size}.bin")
        assert response.status == 200
        assert response["content-length"] == str(size)
        assert response.body == tree.content(size)
    with site.connect() as c:
        c.request("GET", f"/{size}.bin")
        assert c.read_response().body == tree.content(size)
        c.expect_served()


@pytest.mark.parametrize("rcvbuf,piece,size", [
    (1, 500, 102400), (1, 4096, 1 << 20), (4096, 3001, 1 << 20),
    (65536, 65536, 10 << 20)])
def test_slow_reader(site, rcvbuf, piece, size):
    with site.connect(rcvbuf=rcvbuf) as c:
        c.request("GET", f"/{size}.bin")
        assert c.read_response(piece=piece).body == tree.content(size)
        c.expect_served()


def test_reader_that_pauses(site):
    def read():
        with site.connect(rcvbuf=8192) as c:
            c.request("GET", "/1048576.bin")
            head = c.read_head()
            body = b""
            for _ in range(6):
                time.sleep(0.03)
                body += c.read_exactly(20000)
            body += c.read_exactly((1 << 20) - len(body))
            assert head.status == 200
            assert body == tree.content(1 << 20)

    side_by_side([read] * 5)


def test_fifty_clients(site):
    """Each its own mixture, on a connection of its own."""
    sizes = [s for s in tree.SIZES if s <= 1 << 20]

    def client(number):
        with site.connect() as c:
            for i in range(12):
                size = sizes[(number * 7 + i * 5) % len(sizes)]
                c.request("GET", f"/{size}.bin")
                response = c.read_response()
                assert response.status == 200
                assert response.body == tree.content(size)

    side_by_side([lambda n=n: client(n) for n in range(50)], workers=50)


def test_fifty_clients_in_step(site):
    """All at once for one file, each on a new connection."""
    barrier = threading.Barrier(50)

    def client():
        barrier.wait(20)
        for size in (65537, 1024):
            assert site.get(f"/{size}.bin").body == tree.content(size)

    side_by_side([client] * 50, workers=50)


def test_server_and_date(site):
    for target in ("/hello.txt", "/missing", "/dir", "/denied/file.txt"):
        response = site.get(target)
        assert re.fullmatch(r"Weir(/[0-9.]+)?", response["server"])
        assert abs(seconds(response["date"]) - time.time()) < 3


def test_date_goes_on(site):
    with site.connect() as c:
        c.request("GET", "/hello.txt")
        first = seconds(c.read_response()["date"])
        time.sleep(1.1)
        c.request("GET", "/hello.txt")
        assert 1 <= seconds(c.read_response()["date"]) - first <= 4


def test_last_modified(site):
    for name in ("hello.txt", "1048576.bin"):
        response = site.get("/" + name)
        mtime = int(os.stat(site.www / name).st_mtime)
        assert seconds(response["last-modified"]) == mtime


def test_etag(site):
    def tag(name):
        value = site.get("/" + name)["etag"]
        assert re.fullmatch(r'"[\x21\x23-\x7e]+"', value)
        return value

    assert tag("hello.txt") == tag("hello.txt")
    assert tag("hello.txt") != tag("a.css")
    assert tag("65536.bin") != tag("65537.bin")


@pytest.mark.parametrize("name,media_type", [
    ("index.html", "text/html"), ("hello.txt", "text/plain"),
    ("a.css", "text/css"), ("a.js", "text/javascript"),
    ("a.png", "image/png"), ("a.svg", "image/svg+xml"),
    ("a.pdf", "application/pdf"), ("UPPER.HTML", "text/html"),
    ("1.bin", "application/octet-stream"), ("", "text/html"),
    ("dir/", "text/html"), ("other/", "text/plain"),
])
def test_content_type(site, name, media_type):
    value = site.get("/" + name)["content-type"]
    assert value.split(";")[0] == media_type


@pytest.mark.parametrize("name", ["a.unknown", "noextension", "..."])
def test_unknown_content_type(site, name):
    """Better none than a wrong one."""
    value = site.get("/" + name).get("content-type")
    assert value in (None, "application/octet-stream", "text/plain")


def test_no_field_twice(site):
    for target in ("/hello.txt", "/missing", "/dir", "/", "/denied/file.txt",
                   "/say/hello.txt", "/0.bin"):
        for method in ("GET", "HEAD", "POST"):
            names = [n for n, _ in site.get(target, method).fields]
            assert len(names) == len(set(names)), names


def test_ranges_are_either_served_or_not_offered(site):
    response = site.get("/1024.bin", fields=["Range: bytes=100-199"])
    offers = site.get("/1024.bin").get("accept-ranges")
    assert offers in (None, "none", "bytes")
    if offers == "bytes":
        assert response.status == 206
        assert response.body == tree.content(1024)[100:200]
    else:
        assert response.status == 200
        assert response.body == tree.content(1024)


@pytest.mark.parametrize("target,status,reason", [
    ("/missing", 404, "Not Found"),
    ("/denied/file.txt", 403, "Forbidden"),
    ("/noindex/", 403, "Forbidden"),
    ("/dir", 301, "Moved Permanently"),
])
def test_error_page(site, target, status, reason):
    response = site.get(target)
    assert response.status == status
    assert response.reason == reason
    assert response["content-type"].lower().startswith("text/html")
    assert response["content-length"] == str(len(response.body))
    page = response.body.lower()
    assert page.startswith(b"<!doctype html")
    assert b"<title>" in page and str(status).encode() in page
    for name in ("etag", "last-modified", "accept-ranges"):
        assert response.get(name) is None, name


@pytest.mark.parametrize("data,status,reason", [
    (b"nonsense\r\n\r\n", 400, "Bad Request"),
    (b"GET / HTTP/2.0\r\n\r\n", 505, "HTTP Version Not Supported"),
    (b"BREW / HTTP/1.1\r\nHost: a\r\n\r\n", 501, "Not Implemented"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", 405,
     "Method Not Allowed"),
    (b"GET /" + b"a" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414,
     "URI Too Long"),
    (b"GET / HTTP/1.1\r\nX: " + b"a" * 5000 + b"\r\n\r\n", 431,
     "Request Header Fields Too Large"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999\r\n\r\n", 413,
     "Content Too Large"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x, chunked\r\n"
     b"\r\n", 501,
     "Not Implemented"),
])
def test_error_page_of_the_protocol(site, data, status, reason):
    with site.connect() as c:
        c.send(data)
        response = c.read_response()
        assert response.status == status
        assert response.reason == reason
        assert response["content-type"].lower().startswith("text/html")
        assert response["content-length"] == str(len(response.body))
        assert DATE.fullmatch(response["date"])
        assert response["server"].startswith("Weir")
        assert response.body.lower().startswith(b"<!doctype html")


def test_error_page_to_HEAD(site):
    with site.connect() as c:
        c.request("HEAD", "/missing")
        response = c.read_response(head=True)
        assert response.status == 404
        assert int(response["content-length"]) > 0
        c.expect_served()


def test_error_page_does_not_echo_markup(site):
    for target in ("/<script>alert(1)</script>",
                   "/%3Cscript%3Ealert(1)%3C/script%3E", "/'onload='x",
                   "/?<script>", "/missing?<script>"):
        assert b"<script" not in site.get(target).body
    response = site.get("/dir?\"><script>")
    assert b"<script" not in response.body


def test_requests_from_one_byte_apart(site):
    """Sent byte by byte on several connections at once."""
    def client():
        with site.connect() as c:
            c.send_in_pieces(make_request("GET", "/4096.bin"), 1, 0.0005)
            assert c.read_response().body == tree.content(4096)

    side_by_side([client] * 20)


def test_file_that_another_server_has_lent_out(weir):
    """Whoever holds a lease on it gives it back when it is asked for."""
    server = weir()
    with Gates() as gates:
        gates.shut(server.put("lent.txt", "lent"))
        with server.connect() as c:
            c.request("GET", "/lent.txt")
            wait_for(lambda: gates.waiting() == 1)
            gates.open()
            assert c.read_response().body == b"lent"
