"""What the core's directives do to requests and responses."""

import pytest

import tree
from client import side_by_side

CONFIG = """
ServerTokens Prod
ServerSignature On
ServerAdmin webmaster@example.test
AddDefaultCharset utf-8
TraceEnable On
MergeSlashes Off
AllowEncodedSlashes NoDecode
ErrorDocument 404 /errors/404.html
ErrorDocument 403 "No <b>entry</b>"
ErrorDocument 500 http://elsewhere.test/500
ErrorDocument 410 /errors/missing.html
<Directory @WWW@/limited>
    LimitRequestBody 10
</Directory>
<Directory @WWW@/free>
    LimitRequestBody 0
</Directory>
<Directory @WWW@/forced>
    ForceType application/x-forced
    FileETag None
    MaxRanges none
</Directory>
<Directory @WWW@/tags>
    FileETag INode Size
</Directory>
<Directory @WWW@/read>
    EnableSendfile Off
    MaxRanges 2
</Directory>
<Directory @WWW@/tangled>
    MaxRangeOverlaps 1
    MaxRangeReversals 2
</Directory>
<Directory @WWW@/tangled/none>
    MaxRangeOverlaps none
    MaxRangeReversals none
</Directory>
<Directory @WWW@/tangled/any>
    MaxRangeOverlaps unlimited
    MaxRangeReversals unlimited
</Directory>
<Directory @WWW@/closed>
    Require all denied
</Directory>
<Directory @WWW@/broken>
    SetHandler nobody-has-this
</Directory>
"""

BIG = tree.content(300001)


@pytest.fixture(scope="module")
def server(module_weir):
    server = module_weir(CONFIG, start=False)
    for name, data in {
            "errors/404.html": b"<p>Lost?\n", "limited/a.txt": b"a\n",
            "free/a.txt": b"a\n", "forced/a.txt": b"forced\n",
            "tags/a.txt": b"tags\n", "read/big.bin": BIG,
            "closed/a.txt": b"closed\n", "broken/a.txt": b"broken\n",
            "tangled/a.bin": BIG, "tangled/none/a.bin": BIG,
            "tangled/any/a.bin": BIG,
            "a.html": b"<p>a\n", "a.png": b"png", "read/small.txt": b"s\n",
    }.items():
        server.put(name, data)
    server.start()
    server.allow_errors("no module is loaded for the handler")
    return server


def test_server_tokens(server):
    assert server.get("/hello.txt")["server"] == "Weir"


@pytest.mark.parametrize("tokens, expected", [
    ("Major", "Weir/0"), ("Minor", "Weir/0.1"), ("Min", "Weir/0.1.0"),
    ("OS", "Weir/0.1.0 (Unix)")])
def test_more_server_tokens(weir, tokens, expected):
    assert weir(f"ServerTokens {tokens}").get("/")["server"] == expected


def test_signature(server):
    body = server.get("/hello.txt", "DELETE").body
    assert b"<address>Weir Server at " in body
    assert b"Port %d</address>" % server.port in body


def test_error_document_of_this_server(server):
    response = server.get("/missing")
    assert response.status == 404
    assert response.body == b"<p>Lost?\n"
    assert response["content-type"].startswith("text/html")
    with server.connect() as c:
        c.request("HEAD", "/missing")
        response = c.read_response(head=True)
        assert response.status == 404
        assert response["content-length"] == "9"
        c.expect_served()


def test_error_document_is_not_conditional(server):
    response = server.get("/missing", fields=["If-None-Match: *",
                                              "Range: bytes=0-1"])
    assert response.status == 404
    assert response.body == b"<p>Lost?\n"


def test_error_document_after_a_post(server):
    """The document is fetched with GET; the body is stepped over."""
    with server.connect() as c:
        c.request("POST", "/missing", body=b"x" * 100)
        assert c.read_response().body == b"<p>Lost?\n"
        c.expect_served()


def test_error_document_does_not_stay(server):
    """The answer for the document is not kept as the target's."""
    server.put("later.txt", b"later\n")
    assert server.get("/later.txt").body == b"later\n"
    for _ in range(3):
        assert server.get("/missing").status == 404
    assert server.get("/errors/404.html").status == 200


def test_error_document_text(server):
    response = server.get("/closed/a.txt")
    assert response.status == 403
    assert response.body == b"No <b>entry</b>"


def test_error_document_elsewhere(server):
    response = server.get("/broken/a.txt")
    assert response.status == 302
    assert response["location"] == "http://elsewhere.test/500"


def test_error_document_that_is_missing(weir):
    server = weir("ErrorDocument 404 /missing-too.html\n")
    response = server.get("/missing")
    assert response.status == 404
    assert b"Not Found" in response.body


def test_body_limits(server):
    def post(target, size):
        return server.get(target, "GET", body=b"x" * size).status

    assert post("/limited/a.txt", 10) == 200
    assert post("/limited/a.txt", 11) == 413
    assert post("/free/a.txt", 200000) == 200
    with server.connect() as c:
        c.send(b"GET /free/a.txt HTTP/1.1\r\nHost: a\r\n"
               b"Content-Length: 2000000\r\n\r\n")
        assert c.read_response().status == 200


def test_charset_and_type(server):
    assert server.get("/a.html")["content-type"] == "text/html; charset=utf-8"
    assert server.get("/hello.txt")["content-type"] \
        == "text/plain; charset=utf-8"
    assert server.get("/a.png")["content-type"] == "image/png"
    for _ in range(2):  # the second time from the cache
        response = server.get("/forced/a.txt")
        assert response["content-type"] == "application/x-forced"


def test_etags_and_ranges_switched_off(server):
    response = server.get("/forced/a.txt", fields=["Range: bytes=0-1"])
    assert response.status == 200
    assert response.get("etag") is None
    assert response.get("accept-ranges") in (None, "none")


def test_etag_of_other_parts(server):
    stat = (server.www / "tags" / "a.txt").stat()
    etag = server.get("/tags/a.txt")["etag"]
    # Weak: another content of that length would have it too.
    assert etag == f'W/"{stat.st_ino:x}-{stat.st_size:x}"'
    assert server.get("/tags/a.txt",
                      fields=[f"If-None-Match: {etag}"]).status == 304


@pytest.mark.parametrize("ranges,is_whole", [
    ("0-9,5-14,20-29", ("none",)),
    ("0-9,5-14,10-19", ("some", "none")),
    ("0-9,5-14", ("none",)),
    ("0-9,10-19,20-29", ()),
    ("50-59,0-9", ("none",)),
    ("50-59,0-9,50-59,0-9", ("none",)),
    ("50-59,40-49,30-39,20-29", ("some", "none")),
])
def test_overlaps_and_reversals(server, ranges, is_whole):
    for folder, kind in (("", "some"), ("none/", "none"), ("any/", "any")):
        response = server.get(f"/tangled/{folder}a.bin",
                              fields=[f"Range: bytes={ranges}"])
        assert response.status == (200 if kind in is_whole else 206), kind


def test_max_ranges(server):
    def parts(spec):
        return server.get("/read/big.bin", fields=[f"Range: bytes={spec}"])

    assert parts("0-0,2-2").status == 206
    assert parts("0-0,2-2,4-4").status == 200


def test_file_that_is_read(server):
    response = server.get("/read/big.bin")
    assert response["content-length"] == str(len(BIG))
    assert response.body == BIG
    response = server.get("/read/big.bin", fields=["Range: bytes=70000-200000"])
    assert response.status == 206
    assert response.body == BIG[70000:200001]
    assert server.get("/read/small.txt").body == b"s\n"

    def slow():
        with server.connect(rcvbuf=4096) as c:
            c.request("GET", "/read/big.bin")
            assert c.read_response(piece=2000).body == BIG

    side_by_side([slow] * 8)


def test_trace(server):
    with server.connect() as c:
        c.send(b"TRACE /x HTTP/1.1\r\nHost: a\r\nX-Y: z\r\nCookie: s=1\r\n"
               b"Authorization: Basic x\r\n\r\n")
        response = c.read_response()
        assert response.status == 200
        assert response["content-type"] == "message/http"
        assert response.body == (b"TRACE /x HTTP/1.1\r\nHost: a\r\nX-Y: z\r\n"
                                 b"\r\n")
        c.request("TRACE", "/x", body=b"content")
        assert c.read_response().status == 413


def test_trace_is_off_by_default(site):
    assert site.get("/hello.txt", "TRACE").status == 405


def test_slashes(server):
    server.put("read/a%2Fb.txt", b"kept\n")
    assert server.get("/read/a%2Fb.txt").body == b"kept\n"
    # Not merged in the URL, and yet the same file, with what holds for it.
    assert server.get("//read//small.txt").body == b"s\n"
    assert server.get("//closed//a.txt").status == 403
    assert server.get("/closed//a.txt").status == 403
    assert server.get("/read/../hello.txt").body == tree.HELLO
    assert server.get("/read/../../hello.txt").status == 400
    assert server.get("/read//../../hello.txt").status in (200, 404)


def test_encoded_slash_is_decoded(weir):
    server = weir("AllowEncodedSlashes On")
    server.put("dir/a.txt", b"a\n")
    assert server.get("/dir%2Fa.txt").body == b"a\n"
    assert server.get("/dir%2F..%2F..%2Fetc%2Fpasswd").status == 400


def test_canonical_name(weir):
    server = weir("ServerName www.example.test\nUseCanonicalName On")
    server.put("dir/index.html", b"x")
    with server.connect() as c:
        c.send(b"GET /dir HTTP/1.1\r\nHost: other\r\n\r\n")
        assert c.read_response()["location"] \
            == f"http://www.example.test:{server.port}/dir/"


def test_limits_of_the_head(weir):
    server = weir("LimitRequestLine 100\nLimitRequestFields 5\n"
                  "LimitRequestFieldSize 200\n")
    assert server.get("/" + "a" * 60).status == 404
    assert server.get("/" + "a" * 100).status == 414
    assert server.get("/", fields=["A: " + "b" * 300]).status == 431
    assert server.get("/", fields=[f"A{i}: b" for i in range(9)]).status == 431


@pytest.mark.parametrize("mode", ["off", "memory", "mmap", "descriptor"])
def test_cache_content(weir, mode):
    server = weir(f"CacheContent {mode}\nCacheRevalidate 0")
    server.put("a.txt", b"one\n")
    for _ in range(3):
        assert server.get("/a.txt").body == b"one\n"
    server.replace("a.txt", b"second\n")
    assert server.get("/a.txt").body == b"second\n"
