"""Variables of requests: SetEnv and its kin, SetEnvIf and its kin."""

import os

import client
import pytest

CONFIG = """
SetEnv OUTER outer
SetEnv EMPTY
PassEnv PATH
Header always set X-Vars "%{OUTER}e|%{INNER}e|%{EMPTY}e|%{IF}e|%{LATE}e"
SetEnvIf Request_URI "^/env/(.*)\\.txt$" IF=$1
SetEnvIf Request_URI "%" ENCODED
SetEnvIf Request_Method ^PO POSTED IF=posted
SetEnvIf Request_Protocol 1\\.0$ IF=old
SetEnvIf Remote_Addr ^127\\.0\\.0\\.2$ IF=second
SetEnvIf Server_Addr ^127\\.0\\.0\\.1$ HERE
SetEnvIfNoCase X-A ^LOUD$ IF=loud OUTER=mine
SetEnvIf X-B ^LOUD$ IF=quiet
SetEnvIf X-C ^$ NOT_THERE
SetEnvIf HERE 1 CHAINED
SetEnvIf ^X-N.m(e)$ v IF=named
SetEnvIf X-Off . !IF
BrowserMatch Robot IF=robot
BrowserMatchNoCase spider IF=spider
Header set X-All "%{HERE}e %{NOT_THERE}e %{CHAINED}e %{ENCODED}e %{POSTED}e"
Header set X-Path "%{PATH}e"
<Directory "@WWW@/env/inner">
    SetEnv INNER inner
    SetEnv OUTER changed
    SetEnvIf Request_URI inner/(.) LATE=$1
</Directory>
<Directory "@WWW@/env/inner/less">
    UnsetEnv OUTER INNER
</Directory>
<Directory "@WWW@/guarded">
    Require env IF
    SetEnvIf Request_URI "open" IF
    SetEnv IF too-late
</Directory>
"""


@pytest.fixture(scope="module")
def server(module_weir):
    server = module_weir(CONFIG)
    for name in ("env/a.txt", "env/inner/a.txt", "env/inner/less/a.txt",
                 "other", "guarded/open", "guarded/shut", "env/a b.txt"):
        server.put(name, name)
    return server


def variables(response):
    return response["x-vars"].replace("(null)", "-")


@pytest.mark.parametrize("target,fields,line", [
    ("/env/a.txt", [], "outer|-||a|-"),
    ("/env/a%20b.txt", [], "outer|-||a%20b|-"),
    ("/env/inner/a.txt", [], "changed|inner||inner/a|a"),
    ("/env/inner/less/a.txt", [],
     "-|-||inner/less/a|l"),
    ("/other", [], "outer|-||-|-"),
    ("/other?/env/x.txt", [], "outer|-||-|-"),
    ("/other", ["X-A: loud"], "mine|-||loud|-"),
    ("/other", ["X-A: louder"], "outer|-||-|-"),
    ("/other", ["X-B: loud"], "outer|-||-|-"),
    ("/other", ["X-Name: v"], "outer|-||named|-"),
    ("/env/a.txt", ["X-Off: 1"], "outer|-||-|-"),
    ("/other", ["User-Agent: a Robot"], "outer|-||robot|-"),
    ("/other", ["User-Agent: a robot"], "outer|-||-|-"),
    ("/other", ["User-Agent: a SPIDER"], "outer|-||spider|-"),
])
def test_variables(server, target, fields, line):
    for _ in range(2):
        assert variables(server.get(target, fields=fields)) == line


def test_variables_in_the_log(weir):
    server = weir('LogFormat "%{IF}e|%{SET}e|%{NONE}e|%U" env\n'
                  "CustomLog logs/env.log env\nSetEnv SET set\n"
                  "SetEnvIf Request_URI (.)ello IF=$1")
    server.get("/hello.txt")
    assert server.access_lines(1, "env.log") == ["h|set|-|/hello.txt"]


def test_method_and_protocol(server):
    response = server.get("/other", "POST")
    assert variables(response).split("|")[3] == "posted"
    response, = server.answers_to(b"GET /other HTTP/1.0\r\n\r\n")
    assert variables(response).split("|")[3] == "old"


def test_absolute_form(server):
    response = server.get("http://localhost/env/a.txt?/x")
    assert variables(response).split("|")[3] == "a"


def test_client_address(server):
    with client.Client(server.address, source=("127.0.0.2", 0)) as c:
        c.request("GET", "/other")
        assert variables(c.read_response()).split("|")[3] == "second"


def test_chains_and_what_is_not_there(server):
    response = server.get("/other")
    assert response["x-all"] == "1 1 1 (null) (null)"
    assert response["x-path"] == os.environ["PATH"]
    response = server.get("/%6fther", fields=["X-C: there"])
    assert response["x-all"] == "1 (null) 1 1 (null)"


def test_conditional_log(weir):
    server = weir('SetEnvIf Request_URI hello LOGGED\n'
                  'CustomLog logs/some.log "%U" env=LOGGED\n'
                  'CustomLog logs/others.log "%U" env=!LOGGED')
    server.get("/index.html")
    server.get("/hello.txt")
    assert server.access_lines(1, "some.log") == ["/hello.txt"]
    assert "/index.html" in server.access_lines(1, "others.log")
    assert "/hello.txt" not in server.access_lines(1, "others.log")


def test_guard(server):
    for _ in range(2):
        assert server.get("/guarded/open").status == 200
        assert server.get("/guarded/shut").status == 403


@pytest.mark.parametrize("text,words", [
    ("SetEnv A=B", "has no ="),
    ("SetEnvIf X-A ( b", "no regular expression"),
    ("SetEnvIf X-A a =b", "is not NAME"),
    ("SetEnvIf X-A a !b=c", "is not NAME"),
    ("SetEnvIf X-A a b=$1", "not so many groups"),
    ("SetEnvIf Remote_Host a b", "can't be looked at"),
    ("SetEnvIf X-A a", "argument"),
])
def test_errors(weir, weir_command, text, words):
    server = weir(text, start=False)
    server.write_config()
    done = weir_command("-t", "-f", server.conf)
    assert done.returncode != 0
    assert words in done.stderr
