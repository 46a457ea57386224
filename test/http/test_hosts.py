"""Virtual hosts, several listeners, IPv6."""

import socket

import pytest

import tree
from client import make_request

HOSTS = """
<VirtualHost *:@PORT1@>
    ServerName First.test
    DocumentRoot "@ROOT@/first"
</VirtualHost>
<VirtualHost *:@PORT1@>
    ServerName second.test:8080
    ServerAlias other.test *.wild.test ?.one.test
    DocumentRoot "@ROOT@/second"
    <Directory "@ROOT@/second/denied">
        Require all denied
    </Directory>
</VirtualHost>
<VirtualHost 127.0.0.1:@PORT2@>
    ServerName third.test
    DocumentRoot "@ROOT@/third"
    KeepAlive Off
</VirtualHost>
"""


@pytest.fixture(scope="module")
def hosts(module_weir):
    server = module_weir(HOSTS, ports=3, start=False)
    for name in ("first", "second", "third"):
        folder = server.root / name
        (folder / "denied").mkdir(parents=True)
        (folder / "dir").mkdir()
        (folder / "who.txt").write_text(name)
        (folder / "denied" / "who.txt").write_text(name)
        (folder / "dir" / "index.html").write_text(name)
    return server.start()


@pytest.mark.parametrize("host,who", [
    ("first.test", "first"),
    ("second.test", "second"),
    ("SECOND.Test", "second"),
    ("second.test:8080", "second"),
    ("second.test:1", "second"),
    ("second.test.", "second"),
    ("other.test", "second"),
    ("a.wild.test", "second"),
    ("a.b.wild.test", "second"),
    ("a.one.test", "second"),
    ("wild.test", "first"),
    ("ab.one.test", "first"),
    ("unknown.test", "first"),
    ("127.0.0.1", "first"),
    ("third.test", "first"),
    ("second.test.evil.test", "first"),
    ("xsecond.test", "first"),
    ("", "first"),
])
def test_by_name(hosts, host, who):
    response = hosts.get("/who.txt", host=host)
    if host.endswith("."):  # a name with its last dot is the same name
        assert response.body in (who.encode(), b"first")
    else:
        assert response.body == who.encode()


def test_without_a_name(hosts):
    (response,) = hosts.answers_to(b"GET /who.txt HTTP/1.0\r\n\r\n")
    assert response.body == b"first"


def test_name_with_1_0(hosts):
    (response,) = hosts.answers_to(
        b"GET /who.txt HTTP/1.0\r\nHost: second.test\r\n\r\n")
    assert response.body == b"second"


def test_absolute_form_has_the_last_word(hosts):
    """RFC 9112, 3.2.2: Host is ignored then."""
    responses = hosts.answers_to(
        make_request("GET", "http://second.test/who.txt", host="first.test")
        + make_request("GET", "http://SECOND.test:99/who.txt",
                       host="first.test")
        + make_request("GET", "http://first.test/who.txt",
                       host="second.test"))
    assert [r.body for r in responses] == [b"second", b"second", b"first"]


def test_different_hosts_on_a_connection(hosts):
    names = ["first.test", "second.test", "unknown.test", "other.test"] * 5
    responses = hosts.answers_to(b"".join(
        make_request("GET", "/who.txt", host=name) for name in names))
    assert [r.body for r in responses] == [
        b"first", b"second", b"first", b"second"] * 5


def test_sections_belong_to_their_host(hosts):
    assert hosts.get("/denied/who.txt", host="second.test").status == 403
    assert hosts.get("/denied/who.txt", host="first.test").status == 200


def test_by_address(hosts):
    for host in ("third.test", "first.test", "unknown.test"):
        response = hosts.get("/who.txt", host=host, index=1)
        assert response.body == b"third"


def test_settings_of_a_host(hosts):
    with hosts.connect(1) as c:
        c.request("GET", "/who.txt", host="third.test")
        assert c.read_response().closes
        c.expect_close()


def test_address_without_a_host_has_the_main_server(hosts):
    response = hosts.get("/hello.txt", host="first.test", index=2)
    assert response.body == tree.HELLO
    assert hosts.get("/who.txt", host="first.test", index=2).status == 404


def test_redirect_names_the_host_that_was_asked(hosts):
    location = hosts.get("/dir", host="other.test")["location"]
    assert location in ("http://other.test/dir/",
                        f"http://other.test:{hosts.ports[0]}/dir/", "/dir/")


def test_two_listeners(weir):
    server = weir(ports=2)
    for index in (0, 1):
        assert server.get("/hello.txt", index=index).body == tree.HELLO


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
            sock.bind(("::1", 0))
            return True
    except OSError:
        return False


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_ipv6(weir):
    server = weir(hosts=["127.0.0.1", "::1"])
    for index in (0, 1):
        assert server.get("/hello.txt", index=index).body == tree.HELLO
    server.get("/?six", index=1, host="[::1]")
    server.stop()
    lines = server.access_lines()
    assert sum(line.startswith("::1 - - [") for line in lines) == 2
    assert sum(line.startswith("127.0.0.1 - - [") for line in lines) == 1
