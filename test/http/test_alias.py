"""URLs that lead elsewhere: Alias, Redirect and their Match forms."""

import pytest

CONFIG = """
Alias /icons/ "@ROOT@/outside/icons/"
Alias /docs "@ROOT@/outside/docs"
Alias /one.txt "@ROOT@/outside/single.txt"
Alias /gap "@ROOT@/outside/not-there"
Alias /slashes "@ROOT@/outside/docs/"
AliasMatch ^/u/([a-z]+)/(.*)\\.page$ "@ROOT@/outside/users/$1/$2.html"
AliasMatch ^/fixed "@ROOT@/outside/single.txt"
AliasMatch ^/dots(.*)$ "@ROOT@/outside/docs/.$1"
<Directory "@ROOT@/outside">
    Require all granted
</Directory>
<Directory "@ROOT@/outside/icons/secret">
    Require all denied
</Directory>

Redirect /old /new
Redirect permanent /moved https://other.example/to
Redirect 303 /see http://other.example/see?fixed=1
Redirect gone /gone
Redirect 404 /hidden
RedirectTemp /temp /new
RedirectPermanent /perm /new
RedirectMatch 301 ^/m/([^.]*)\\.gif$ https://img.example/$1.png
RedirectMatch ^/to/(.*)$ $1
RedirectMatch gone \\.bak$
Redirect /docs/first /not-alias
<Directory "@WWW@/sec">
    Redirect /sec/a.txt /b.txt
    RedirectMatch 410 \\.x$
</Directory>
"""


@pytest.fixture(scope="module")
def server(module_weir):
    server = module_weir(start=False)
    outside = server.root / "outside"
    for name in ("icons/a.png", "icons/secret/b.png", "docs/file.txt",
                 "docs/index.html", "docs/sub/index.html", "single.txt",
                 "users/ann/home.html"):
        path = outside / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    for path in [outside, *outside.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    for name in ("sec/a.txt", "sec/b.txt", "sec/c.x", "c.x", "iconsX.txt"):
        server.put(name, name)
    server.extra = CONFIG
    return server.start()


@pytest.mark.parametrize("target,body", [
    ("/icons/a.png", "icons/a.png"),
    ("/docs/file.txt", "docs/file.txt"),
    ("/docs/file.txt?q=1", "docs/file.txt"),
    ("/docs/", "docs/index.html"),
    ("/docs/sub/", "docs/sub/index.html"),
    ("/slashes/file.txt", "docs/file.txt"),
    ("/one.txt", "single.txt"),
    ("/u/ann/home.page", "users/ann/home.html"),
    ("/fixed/and/more", "single.txt"),
    ("/iconsX.txt", "iconsX.txt"),
    ("/c.x", "c.x"),
])
def test_alias(server, target, body):
    for _ in range(3):
        response = server.get(target)
        assert (response.status, response.body.decode()) == (200, body)


@pytest.mark.parametrize("target,status", [
    ("/icons/none.png", 404), ("/icons/secret/b.png", 403),
    ("/icons", 404), ("/docsfile.txt", 404), ("/gap/x", 404),
    ("/one.txt/more", 404), ("/u/BOB/home.page", 404),
    ("/icons/../single.txt", 404), ("/icons/%2e%2e/single.txt", 404),
    ("/dots./single.txt", 404), ("/dots./../single.txt", 404),
])
def test_not_there(server, target, status):
    for _ in range(2):
        assert server.get(target).status == status


def test_slash_is_added_to_the_url(server):
    response = server.get("/docs/sub")
    assert response.status == 301
    assert response["location"] == "http://localhost/docs/sub/"


@pytest.mark.parametrize("target,status,location", [
    ("/old", 302, "=/new"),
    ("/old/a/b", 302, "=/new/a/b"),
    ("/old/a%20%25b?q=%20", 302, "=/new/a%20%25b?q=%20"),
    ("/moved/x", 301, "https://other.example/to/x"),
    ("/moved?x", 301, "https://other.example/to?x"),
    ("/see/x?y", 303, "http://other.example/see?fixed=1/x"),
    ("/temp", 302, "=/new"),
    ("/perm/x", 301, "=/new/x"),
    ("/m/a/b%20c%3Fd.gif", 301, "https://img.example/a/b%20c%3Fd.png"),
    ("/m/a%0d%0aX:1.gif", 301, "https://img.example/a%0d%0aX:1.png"),
    ("/docs/first", 302, "=/not-alias"),
    ("/sec/a.txt", 302, "=/b.txt"),
])
def test_redirect(server, target, status, location):
    if location.startswith("="):
        location = f"http://localhost{location[1:]}"
    for _ in range(2):
        response = server.get(target)
        assert response.status == status
        assert response["location"].lower() == location.lower()


@pytest.mark.parametrize("target,status", [
    ("/gone", 410), ("/gone/x", 410), ("/gonex", 404), ("/hidden/x", 404),
    ("/a.bak", 410), ("/sec/c.x", 410), ("/sec/b.txt", 200), ("/oldx", 404),
])
def test_status(server, target, status):
    response = server.get(target)
    assert response.status == status
    assert response.get("location") is None


def test_no_url_to_redirect_to(server):
    server.allow_errors("can't redirect to ")
    assert server.get("/to/nowhere").status == 500


def test_virtual_host(weir):
    server = weir("""
Alias /a "@WWW@/main"
Alias /b "@WWW@/main"
<VirtualHost *:@PORT@>
    ServerName localhost
    Alias /a "@WWW@/virtual"
    Redirect /r /virtual
</VirtualHost>
Redirect /r /main
""", start=False)
    server.put("main/x.txt", "main")
    server.put("virtual/x.txt", "virtual")
    server.start()
    assert server.get("/a/x.txt").body == b"virtual"
    assert server.get("/b/x.txt").body == b"main"
    assert server.get("/r")["location"].endswith("/virtual")


def test_files_of_an_alias_change(weir):
    server = weir('Alias /a "@WWW@/b"\nCacheRevalidate 0', start=False)
    server.put("b/x.txt", "one")
    server.start()
    assert server.get("/a/x.txt").body == b"one"
    server.replace("b/x.txt", "another")
    assert server.get("/a/x.txt").body == b"another"


@pytest.mark.parametrize("text,words", [
    ("Alias /a", "argument"),
    ("Alias a /tmp", "is no URL-path"),
    ("AliasMatch ( /tmp", "no regular expression"),
    ("AliasMatch ^/(a) /tmp/$2", "no group $2"),
    ("ScriptAlias /cgi-bin/ /tmp", "no programs are run"),
    ("Redirect /a b", "is no URL"),
    ("Redirect gone /a /b", "goes no URL"),
    ("Redirect 301 /a", "must follow"),
    ("Redirect 299 /a /b", "is no status"),
    ("Redirect often /a /b", "is no status"),
    ("RedirectMatch ^/(a) /$2", "no group $2"),
    ('<Directory "@WWW@">\nAlias /a /tmp\n</Directory>', "can't stand"),
])
def test_errors(weir, weir_command, text, words):
    server = weir(text, start=False)
    server.write_config()
    done = weir_command("-t", "-f", server.conf)
    assert done.returncode != 0
    assert words in done.stderr
