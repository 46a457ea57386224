"""The first modules: hello, dir, mime, authz_core, as a request sees them."""

import pytest

import tree


def test_hello(site):
    response = site.get("/say/hello.txt")
    assert response.status == 200
    assert response.body == b"Hello, you!\n"
    assert response["content-type"] == "text/plain; charset=utf-8"
    assert response["content-length"] == "12"


def test_hello_pipelined_with_files(site):
    with site.connect() as c:
        for _ in range(20):
            c.request("GET", "/say/hello.txt")
            c.request("HEAD", "/say/hello.txt")
            c.request("GET", "/65537.bin")
        for _ in range(20):
            assert c.read_response().body == b"Hello, you!\n"
            assert c.read_response(head=True)["content-length"] == "12"
            assert c.read_response().body == tree.content(65537)


def test_hello_steps_over_a_body(site):
    with site.connect() as c:
        c.request("GET", "/say/hello.txt", body=b"x" * 5000)
        assert c.read_response().body == b"Hello, you!\n"
        c.expect_served()


@pytest.fixture(scope="module")
def modules(module_weir):
    server = module_weir("""
DirectoryIndex first.html second.html /absolute.html
<Directory "@WWW@/off">
    DirectoryIndex disabled
</Directory>
<Directory "@WWW@/noslash">
    DirectorySlash Off
</Directory>
<Directory "@WWW@/types">
    AddType text/x-special special .sp
    AddType application/x-other txt
    AddEncoding gzip gz
</Directory>
<Directory "@WWW@/a">
    Require all denied
</Directory>
<Directory "@WWW@/a/b">
    Require all granted
</Directory>
<Directory "@WWW@/a/b/c">
    Require all denied
    Require all granted
</Directory>
<Directory "@WWW@/a/b/d">
    Require all denied
</Directory>
""")
    for name in ("one/first.html", "one/second.html", "two/second.html",
                 "three/x.html", "off/first.html", "noslash/first.html",
                 "absolute.html", "dirs/first.html/first.html",
                 "dirs/second.html", "types/a.special", "types/a.sp",
                 "types/a.txt", "types/a.html.gz", "types/a.gz", "a.special",
                 "a.txt", "a.html.gz", "types/.txt", "types/a.TXT",
                 "types/deep/a.sp", "a/x.txt", "a/b/x.txt", "a/b/c/x.txt",
                 "a/b/d/x.txt", "a/b/e/x.txt", "ab/x.txt"):
        server.put(name, name)
    return server


@pytest.mark.parametrize("target,name", [
    ("/one/", "one/first.html"),
    ("/two/", "two/second.html"),
    ("/three/", "absolute.html"),
    ("/dirs/", "dirs/second.html"),
    ("/one/?q=1", "one/first.html"),
])
def test_directory_index(modules, target, name):
    for _ in range(2):
        response = modules.get(target)
        assert response.status == 200
        assert response.body == name.encode()


def test_directory_index_disabled(modules):
    assert modules.get("/off/").status == 403
    assert modules.get("/off/first.html").status == 200


def test_directory_slash_off(modules):
    assert modules.get("/noslash").status in (200, 403, 404)
    assert modules.get("/noslash/").status == 200


@pytest.mark.parametrize("name,media_type,encoding", [
    ("types/a.special", "text/x-special", None),
    ("types/a.sp", "text/x-special", None),
    ("types/deep/a.sp", "text/x-special", None),
    ("types/a.txt", "application/x-other", None),
    ("types/a.TXT", "application/x-other", None),
    ("types/a.html.gz", "text/html", "gzip"),
    ("types/a.gz", None, "gzip"),
    ("types/.txt", None, None),
    ("a.txt", "text/plain", None),
    ("a.special", None, None),
])
def test_types(modules, name, media_type, encoding):
    response = modules.get("/" + name)
    assert response.status == 200
    assert response.get("content-encoding") == encoding
    if media_type:
        assert response["content-type"].split(";")[0] == media_type
    else:
        assert response.get("content-type") in (
            None, "application/octet-stream")


@pytest.mark.parametrize("name,status", [
    ("a/x.txt", 403), ("a/b/x.txt", 200), ("a/b/c/x.txt", 200),
    ("a/b/d/x.txt", 403), ("a/b/e/x.txt", 200), ("ab/x.txt", 200),
    ("a/", 403), ("a", 403)])
def test_require(modules, name, status):
    for _ in range(2):
        assert modules.get("/" + name).status == status


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "BREW"])
def test_require_holds_for_all_methods(modules, method):
    response = modules.get("/a/x.txt", method)
    assert response.status in ((403, 501) if method == "BREW" else
                               (403, 405) if method == "POST" else (403,))
    assert b"a/x.txt" not in response.body


@pytest.fixture(scope="module")
def fallbacks(module_weir):
    server = module_weir("""
<Directory "@WWW@/app">
    FallbackResource /app/main.html
</Directory>
<Directory "@WWW@/app/none">
    FallbackResource disabled
</Directory>
<Directory "@WWW@/gone">
    FallbackResource /gone/none.html
</Directory>
<Directory "@WWW@/sent">
    DirectoryIndexRedirect permanent
    DirectoryIndex nothing.html start.html
</Directory>
<Directory "@WWW@/left">
    SetHandler hello
    DirectoryCheckHandler On
</Directory>
""")
    for name in ("app/main.html", "app/there.txt", "app/none/x",
                 "app/dir/index.html", "app/empty/x", "gone/x",
                 "sent/start.html", "left/index.html"):
        server.put(name, name)
    return server


@pytest.mark.parametrize("target,body", [
    ("/app/", "app/main.html"), ("/app/x/y/z", "app/main.html"),
    ("/app/there.txt", "app/there.txt"), ("/app/main.html", "app/main.html"),
    ("/app/dir/", "app/dir/index.html"), ("/app/empty/", "app/main.html"),
    ("/left/", "Hello, you!\n"),
])
def test_fallback(fallbacks, target, body):
    for _ in range(2):
        response = fallbacks.get(target)
        assert (response.status, response.body.decode()) == (200, body)


def test_no_fallback(fallbacks):
    assert fallbacks.get("/app/none/y").status == 404
    assert fallbacks.get("/gone/y").status == 404


def test_fallback_until_there_is_a_file(weir):
    server = weir("""CacheRevalidate 0
FallbackResource /hello.txt""")
    assert server.get("/new.txt").body == tree.HELLO
    server.put("new.txt", "new")
    assert server.get("/new.txt").body == b"new"


def test_directory_index_redirect(fallbacks):
    response = fallbacks.get("/sent/?q=1")
    assert response.status == 301
    assert response["location"] == "http://localhost/sent/start.html?q=1"
