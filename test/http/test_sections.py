"""Sections: which of them hold for a request, and what wins."""

import socket

import pytest

import client

CONFIG = """
ForceType text/main
<Directory "@WWW@/users/*/pages">
    ForceType text/wild
</Directory>
<Directory "@WWW@/users/ann/pages/more">
    ForceType text/plain-wins
</Directory>
<Directory "@WWW@/users/ann">
    ForceType text/ann
</Directory>
<DirectoryMatch "^@WWW@/num/[0-9]+/">
    ForceType text/number
</DirectoryMatch>
<Directory ~ "/(one|two)/deep$">
    ForceType text/deep
</Directory>
<Files "*.sec">
    Require all denied
</Files>
<Directory "@WWW@/num">
    ForceType text/num
    <Files "f.txt">
        ForceType text/f-in-num
    </Files>
    <FilesMatch "^g[0-9]">
        ForceType text/g-in-num
    </FilesMatch>
</Directory>
<Location "/num/here">
    ForceType text/here
</Location>
<Location "/private">
    Require all denied
</Location>
<Location "/slash/">
    Require all denied
</Location>
<Location "/stars/*/x.txt">
    ForceType text/star
</Location>
<LocationMatch "(?i)^/MATCH/.*[.]txt$">
    ForceType text/matched
</LocationMatch>
<Location ~ "^/evil/(a+)+$">
    Require all denied
</Location>
<Location "/hello">
    SetHandler hello
</Location>
<Location "/index">
    DirectoryIndex start.txt
</Location>
<Location "/index/start.txt">
    ForceType text/start
</Location>
"""

FILES = ["a.txt", "users/a.txt", "users/ann/a.txt", "users/ann/pages/a.txt",
         "users/ann/pages/more/a.txt", "users/bob/pages/x/a.txt",
         "num/a.txt", "num/f.txt", "num/g1.txt", "num/here/f.txt",
         "num/12/a.txt", "num/12/f.txt", "num/xy/12", "one/deep/a.txt",
         "one/deep/index.html", "x.sec", "users/ann/y.sec", "private/a.txt",
         "privateer/a.txt", "slash/a.txt", "stars/one/x.txt",
         "stars/one/two/x.txt", "match/a.txt", "match/a.bin", "evil/a.txt",
         "index/start.txt", "index/index.html"]


@pytest.fixture(scope="module")
def server(module_weir):
    server = module_weir(CONFIG, start=False)
    for name in FILES:
        server.put(name, name)
    server.start()
    return server


@pytest.mark.parametrize("target,kind", [
    ("/a.txt", "main"),
    ("/users/a.txt", "main"),
    ("/users/ann/a.txt", "ann"),
    ("/users/ann/pages/a.txt", "wild"),
    ("/users/ann/pages/more/a.txt", "plain-wins"),
    ("/users/bob/pages/x/a.txt", "wild"),
    ("/num/a.txt", "num"),
    ("/num/f.txt", "f-in-num"),
    ("/num/g1.txt", "g-in-num"),
    ("/num/here/f.txt", "here"),
    ("/num//here/f.txt", "here"),
    ("/num/x/../here/f.txt", "here"),
    ("/num/h%65re/f.txt", "here"),
    ("/num/12/a.txt", "number"),
    ("/num/12/f.txt", "f-in-num"),
    ("/num/xy/12", "num"),
    ("/one/deep/a.txt", "main"),
    ("/stars/one/x.txt", "star"),
    ("/stars/one/two/x.txt", "main"),
    ("/match/a.txt", "matched"),
    ("/match/a.bin", "main"),
    ("/privateer/a.txt", "main"),
    ("/index/", "start"),
    ("/index/start.txt?query", "start"),
])
def test_winner(server, target, kind):
    for _ in range(3):  # looked up, and out of the cache
        response = server.get(target)
        assert response.status == 200
        assert response["content-type"] == f"text/{kind}"


@pytest.mark.parametrize("target", [
    "/x.sec", "/users/ann/y.sec", "/users//ann/./y.sec", "/%78.sec",
    "/private", "/private/", "/private/a.txt", "/private/none",
    "//private/a.txt", "/a/../private/a.txt", "/slash/a.txt", "/slash/",
    "/evil/aaa",
])
def test_denied(server, target):
    for method in ("GET", "HEAD", "GET"):
        assert server.get(target, method=method).status == 403


def test_a_location_needs_no_file(server):
    for target in ("/hello", "/hello/", "/hello/you"):
        assert server.get(target).body == b"Hello, you!\n"
    assert server.get("/hellox").status == 404
    assert server.get("/slash").status == 301


def test_a_costly_regex_grants_nothing(server):
    """A pattern that gives up neither holds a server up nor lets pass."""
    server.allow_errors("a regular expression of a section gave up")
    for _ in range(2):
        assert server.get("/evil/" + "a" * 2000 + "!").status == 500
    assert server.get("/evil/b").status == 404


def test_many_combinations(weir):
    """More of them than are kept; all are right, also out of the cache."""
    letters = "bcdefghijkm"
    server = weir("MaxKeepAliveRequests 0\n" + "".join(
        f"<LocationMatch /.*{c}>\nForceType text/{c}\n</LocationMatch>\n"
        for c in letters), start=False)
    names = ["_" + "".join(c for j, c in enumerate(letters) if i & 1 << j)
             for i in range(1 << len(letters))]
    for name in names:
        server.put(name, name)
    server.start()
    with server.connect() as c:
        for name in names + names:
            c.request("HEAD", f"/{name}")
            response = c.read_response(head=True)
            assert response.status == 200
            if name != "_":
                assert response["content-type"] == f"text/{name[-1]}"


def has_address(address):
    try:
        with socket.socket() as sock:
            sock.bind((address, 0))
        return True
    except OSError:
        return False


@pytest.mark.skipif(not has_address("127.0.0.2"), reason="one address only")
def test_virtual_hosts_by_local_address(weir):
    server = weir("""
<VirtualHost *:@PORT@>
    ServerName any.test
    ForceType text/any
</VirtualHost>
<VirtualHost 127.0.0.2:@PORT@>
    ServerName two.test
    ForceType text/two
</VirtualHost>
<VirtualHost 127.0.0.2>
    ServerName three.test
    ServerAlias *.three.test
    ForceType text/three
</VirtualHost>
""", hosts=["0.0.0.0"])
    server.put("a.txt", b"a")
    for address, host, kind in [
            ("127.0.0.1", "any.test", "any"), ("127.0.0.1", "two.test", "any"),
            ("127.0.0.2", "any.test", "two"), ("127.0.0.2", "two.test", "two"),
            ("127.0.0.2", "three.test", "three"),
            ("127.0.0.2", "a.three.test", "three"),
            ("127.0.0.3", "three.test", "any")]:
        with client.Client((address, server.port)) as c:
            for _ in range(2):
                c.request("GET", "/a.txt", host=host)
                assert c.read_response()["content-type"] == f"text/{kind}"


def test_what_a_server_calls_itself(weir):
    """ServerName's scheme and port, in redirects."""
    text = "".join(f"""
<VirtualHost *>
    ServerName {name}
    UseCanonicalName {flag}
</VirtualHost>
""" for name, flag in [("https://a.test", "On"), ("https://b.test:80", "On"),
                       ("c.test:8080", "On"), ("http://d.test", "On"),
                       ("e.test", "On"), ("https://f.test:444", "Off"),
                       ("g.test:444", "Off")])
    server = weir(text)
    server.put("dir/a.txt", b"a")
    for host, url in [
            ("a.test", "https://a.test"), ("b.test:1", "https://b.test:80"),
            ("c.test", "http://c.test:8080"), ("d.test:1", "http://d.test"),
            ("e.test:1", f"http://e.test:{server.port}"),
            ("f.test:1", "https://f.test:1"), ("g.test", "http://g.test")]:
        response = server.get("/dir", host=host)
        assert response.status == 301
        assert response["location"] == f"{url}/dir/"


def test_strict_host_check(weir):
    server = weir("""
ServerName main.test
StrictHostCheck On
<VirtualHost *>
    ServerName one.test
    ServerAlias *.one.test
</VirtualHost>
<VirtualHost *>
    ServerName two.test
</VirtualHost>
""")
    server.put("a.txt", b"a")
    for host, status in [("one.test", 200), ("x.one.test:80", 200),
                         ("two.test", 200), ("three.test", 400)]:
        assert server.get("/a.txt", host=host).status == status


def test_dump_names_sections(weir, install):
    server = weir(CONFIG)
    done = install.run("-S", "-f", server.root / "weir.conf")
    assert done.returncode == 0
    for line in ('<Files *.sec> (', "<DirectoryMatch ^",
                 "<Directory ~ /(one|two)/deep$> (", "<Location /private> (",
                 "        <FilesMatch ^g[0-9]> ("):
        assert line in done.stdout
