"""Header and RequestHeader: what is changed, where, and when."""

import pytest

CONFIG = """
<Directory "@WWW@/h">
    Header set X-Set one
    Header set X-Set two
    Header setifempty X-Set three
    Header setifempty X-Empty filled
    Header add X-Add one
    Header add X-Add two
    Header append X-App one
    Header append X-App two
    Header merge X-App two
    Header merge X-App three
    Header set X-Edit "a-b-a-b"
    Header edit X-Edit a(.) "<$1>"
    Header set X-All "a-b-a-b"
    Header edit* X-All a "[&]"
    Header unset ETag
    Header unset Last-Modified
    Header echo ^X-Echo
    Header set X-Time "%t"
    Header set X-Took "%D took 100%%"
    Header set Content-Language fr
    Header always set X-Always always
    Header onsuccess set X-Success success
    Header set Cache-Control: "max-age=5"
</Directory>
<Directory "@WWW@/h/inner">
    Header unset X-Set
    Header edit X-App two deux
    Header always unset X-Always
</Directory>
<Directory "@WWW@/type">
    Header set Content-Type "text/x-other"
</Directory>
<Directory "@WWW@/env">
    SetEnvIf X-Want (.+) wanted=$1
    Header set X-Env "%{wanted}e" env=wanted
    Header set X-NotEnv yes env=!wanted
    Header set X-Null "%{nothing}e"
</Directory>
<Directory "@WWW@/secret">
    Require all denied
    Header set X-Set one
    Header always set X-Always one
</Directory>
Redirect /away /there
"""

IN = """
<Directory "@WWW@/in">
    RequestHeader unset If-None-Match
    RequestHeader set X-In "set"
    RequestHeader append X-In more
    RequestHeader edit X-In more less
    RequestHeader unset X-Gone
    RequestHeader unset Range
</Directory>
"""


@pytest.fixture(scope="module")
def server(module_weir):
    server = module_weir(CONFIG + "Header always set X-Everywhere here\n")
    for name in ("h/a.txt", "h/inner/a.txt", "type/a.txt", "env/a.txt",
                 "secret/a.txt", "plain.txt"):
        server.put(name, name)
    return server


@pytest.mark.parametrize("round", range(3))
def test_fields(server, round):
    response = server.get("/h/a.txt", fields=["X-Echo-1: e", "X-Echo-2: f"])
    assert response.status == 200
    assert response.body == b"h/a.txt"
    assert response.get("x-set") == "two"
    assert response.get("x-empty") == "filled"
    assert response.all("x-add") == ["one", "two"]
    assert response.get("x-app") == "one, two, three"
    assert response.get("x-edit") == "<->b-a-b"
    assert response.get("x-all") == "[a]-b-[a]-b"
    assert response.get("etag") is None
    assert response.get("last-modified") is None
    assert (response.get("x-echo-1"), response.get("x-echo-2")) == ("e", "f")
    assert response["x-time"].startswith("t=1") or response[
        "x-time"].startswith("t=2")
    assert response["x-took"].startswith("D=")
    assert response["x-took"].endswith(" took 100%")
    assert response["content-language"] == "fr"
    assert response["content-length"] == "7"
    assert response["x-always"] == "always"
    assert response["x-success"] == "success"
    assert response["x-everywhere"] == "here"
    assert response["cache-control"] == "max-age=5"


def test_section_inside(server):
    response = server.get("/h/inner/a.txt")
    assert response.get("x-set") is None
    assert response["x-app"] == "one, deux, three"
    assert response.get("x-always") is None
    assert response["x-everywhere"] == "here"


def test_head(server):
    get, head = server.get("/h/a.txt"), server.get("/h/a.txt", "HEAD")
    drop = ("date", "x-time", "x-took")
    assert [f for f in head.fields if f[0] not in drop] == [
        f for f in get.fields if f[0] not in drop]


def test_parts_of_a_file(server):
    response = server.get("/h/a.txt", fields=["Range: bytes=2-4"])
    assert response.status == 206
    assert response.body == b"a.t"
    assert response["content-range"] == "bytes 2-4/7"
    assert response.get("etag") is None
    assert response["x-set"] == "two"


def test_not_modified(server):
    etag = server.get("/plain.txt")["etag"]
    for path in ("/plain.txt", "/h/a.txt"):
        response = server.get(path, fields=["If-None-Match: *"])
        assert response.status == 304
        assert response["x-everywhere"] == "here"
    assert response.get("etag") is None
    assert response["x-set"] == "two"
    assert server.get("/plain.txt", fields=[f"If-None-Match: {etag}"])[
        "etag"] == etag


def test_type(server):
    for _ in range(2):
        response = server.get("/type/a.txt")
        assert response["content-type"] == "text/x-other"
        assert response["content-length"] == "10"
        assert response["etag"]


@pytest.mark.parametrize("target,status", [
    ("/h/none.txt", 404), ("/secret/a.txt", 403), ("/away", 302)])
def test_errors_have_only_always(server, target, status):
    response = server.get(target)
    assert response.status == status
    assert response.get("x-success") is None
    assert response.get("x-set") is None
    assert response["x-everywhere"] == "here"
    assert (response.get("x-always") is None) == (target == "/away")


def test_bad_request_has_the_servers(server):
    response, = server.answers_to(b"GET /h/a.txt HTTP/1.1\r\n\r\n")
    assert response.status == 400
    assert response["x-everywhere"] == "here"


def test_env(server):
    response = server.get("/env/a.txt", fields=["X-Want: this"])
    assert response["x-env"] == "this"
    assert response.get("x-notenv") is None
    response = server.get("/env/a.txt")
    assert response.get("x-env") is None
    assert response["x-notenv"] == "yes"
    assert response["x-null"] == "(null)"


def test_request_fields(weir):
    server = weir('LogFormat "%{If-None-Match}i %{X-In}i %{X-Gone}i %U" in\n'
                  "CustomLog logs/in.log in\n" + IN)
    server.put("in/a.txt", "in/a.txt")
    for _ in range(2):
        response = server.get("/in/a.txt", fields=[
            "If-None-Match: *", "X-In: client", "X-Gone: x",
            "Range: bytes=0-1"])
        assert response.status == 200
        assert response.body == b"in/a.txt"
    assert server.access_lines(2, "in.log") == [
        "- set, less - /in/a.txt"] * 2


def test_early(weir):
    """Before the request is looked at: a field as if the client had sent it,
    and in the response one that later lines can still change."""
    server = weir('RequestHeader set X-Kind special early\n'
                  'SetEnvIf X-Kind special kind=early\n'
                  'RequestHeader unset Range early\n'
                  'Header set X-First early early\n'
                  'Header append X-First "%{kind}e"\n')
    for _ in range(2):
        response = server.get("/hello.txt", fields=["Range: bytes=0-1"])
        assert response.status == 200
        assert response["x-first"] == "early, early"


def test_note(weir):
    server = weir('CustomLog logs/notes.log "%U %{seen}n"\n'
                  'Header set X-Set "one"\nHeader note X-Set seen')
    server.get("/hello.txt")
    assert server.access_lines(1, "notes.log") == ["/hello.txt one"]


@pytest.mark.parametrize("text,words", [
    ("Header set", "argument"),
    ("Header set X", "needs 1 more"),
    ("Header fix X y", "no action"),
    ("Header set X y z", "only env="),
    ("Header set X y env=", "needs a name"),
    ("Header set X %x", "a % is followed"),
    ("Header set X %{a}s", "stands e"),
    ("Header set Content-Length 5", "server's own"),
    ("Header unset Server", "ServerTokens"),
    ('Header set "X Y" z', "no name of a field"),
    ("Header edit X ( y", "no regular expression"),
    ("Header edit X a $1", "not so many groups"),
    ("Header set X expr=%{REQUEST_URI}", "not understood"),
    ("RequestHeader echo X", "no action"),
    ("RequestHeader set Transfer-Encoding x", "server's own"),
    ('<Location "/">\nRequestHeader set X y early\n</Location>',
     "may not stand in a section"),
    ("RequestHeader set Host x early", "can't be changed early"),
    ("Header set Content-Type x early", "can't be changed early"),
])
def test_errors(weir, weir_command, text, words):
    server = weir(text, start=False)
    server.write_config()
    done = weir_command("-t", "-f", server.conf)
    assert done.returncode != 0
    assert words in done.stderr
