"""How many processes serve: MaxConnectionsPerChild, under every MPM."""

import re
import subprocess

import pytest

import tree
from conftest import free_ports, is_child, wait_for


def children(server):
    """Process ids of the children that serve."""
    return {pid for pid, (_, name) in server.processes().items()
            if is_child(name)}


def expect_quiet(server):
    """Whoever left as it should is no death."""
    assert not re.search("child .* (died|ended)", server.error_log())


@pytest.fixture
def counts(variant):
    """Who accepts also serves, and counts."""
    if "ProcessPool off" in variant.directives:
        pytest.skip("a process ends with its connection in any case")


def test_a_child_leaves_after_its_connections(weir, counts):
    server = weir(extra="MaxConnectionsPerChild 5")
    seen = set()
    for i in range(90):
        assert server.get(f"/hello.txt?{i}").body == tree.HELLO
        seen |= children(server)
    assert len(seen) >= 15
    expect_quiet(server)
    assert len(server.access_lines(90)) == 90  # none went with its process


def test_a_child_that_leaves_cuts_nobody_and_keeps_nobody_waiting(weir):
    """Its last clients are served while the next child has begun."""
    server = weir(extra="MaxConnectionsPerChild 3\n"
                        "RequestReadTimeout header=300\n")
    with server.connect() as c:
        c.send("GET /hello.txt HTTP/1.1\r\nHost: localh")
        for _ in range(20):
            assert server.get("/hello.txt").body == tree.HELLO
        c.send("ost\r\n\r\n")
        assert c.read_response().body == tree.HELLO
    expect_quiet(server)


def test_requests_in_one_connection_count_once(weir, variant):
    server = weir(extra="MaxConnectionsPerChild 100")
    if variant.name == "mp-fork":  # one that has served may not be gone yet
        wait_for(lambda: len(children(server)) == 1)
    before = children(server)
    with server.connect() as c:
        for _ in range(200):
            c.request("GET", "/hello.txt")
            assert c.read_response().body == tree.HELLO
    assert children(server) & before == before
    expect_quiet(server)


def test_one_connection_a_child(weir):
    """As much as can be asked for: each connection has a process."""
    server = weir(extra="MaxConnectionsPerChild 1")
    for i in range(20):
        assert server.get(f"/hello.txt?{i}").body == tree.HELLO
    expect_quiet(server)
    assert "tried in" not in server.error_log()


def test_a_child_that_leaves_is_not_waited_for_longer_than_the_limit(
        weir, counts):
    server = weir(extra="MaxConnectionsPerChild 1\n"
                        "GracefulShutdownTimeout 1\n"
                        "RequestReadTimeout header=300\n")
    with server.connect() as c:
        c.send("GET /hello.txt HTTP/1.1\r\nHost: localh")
        c.read_rest(reset_is_end=True)
    assert re.search(r"child \d+: drained long enough, stopping it",
                     server.error_log())


def test_alone_for_the_debugger_it_serves_on(weir):
    """-X: nobody would take its place."""
    server = weir(extra="MaxConnectionsPerChild 2", start=False)
    server.ports = free_ports(1)
    server.write_config()
    with subprocess.Popen([server.install.weir, "-f", server.conf, "-X",
                           "-m", server.mpm]) as process:
        try:
            wait_for(lambda: server.answers(server.address))
            for _ in range(5):
                assert server.get("/hello.txt").body == tree.HELLO
        finally:
            process.terminate()
