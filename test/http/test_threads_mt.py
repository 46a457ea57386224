"""How many threads there are under mt, which has one for each connection."""

import contextlib
import os
import re

import pytest

import tree
from conftest import wait_for

FULL = r"and there may be no more \(ThreadsPerChild\)"


@pytest.fixture(autouse=True)
def only_mt(mpm):
    if mpm != "mt":
        pytest.skip("not of this MPM")


@pytest.fixture
def has_pool(variant):
    return "ThreadPool off" not in variant.directives


def pool(low, high, most):
    return (f"<MPM mt>\nMinSpareThreads {low}\nMaxSpareThreads {high}\n"
            f"ThreadsPerChild {most}\n</MPM>\n"
            "KeepAliveTimeout 300\nRequestReadTimeout header=300\n")


def threads(server):
    """How many serve, or wait to."""
    count = 0
    for pid in server.serving():
        for tid in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/task/{tid}/comm",
                          encoding="ascii") as f:
                    count += f.read().startswith("weir:thread")
    return count


@contextlib.contextmanager
def held(server, count):
    """So many connections, kept open, each served once."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(server.connect(deadline=60))
                   for _ in range(count)]
        for c in clients:
            c.request("GET", "/hello.txt")
        for c in clients:
            assert c.read_response().body == tree.HELLO
        yield clients


def test_threads_come_and_go_with_connections(weir, has_pool):
    server = weir(extra=pool(2, 4, 20))
    wait_for(lambda: threads(server) in ((2, 3, 4) if has_pool else (0,)))
    for _ in range(3):  # what has ended is made again
        with held(server, 10):
            wait_for(lambda: threads(server) >= (12 if has_pool else 10))
            assert threads(server) <= 14
        wait_for(lambda: threads(server) == (4 if has_pool else 0))
    assert not re.search(FULL, server.error_log())


def test_one_more_than_there_may_be_waits(weir):
    server = weir(extra=pool(1, 2, 3))
    with held(server, 3) as clients, server.connect() as waiting:
        waiting.request("GET", "/hello.txt")
        waiting.expect_open(0.5)
        wait_for(lambda: re.search(FULL, server.error_log()))
        clients[0].expect_served()
        clients[0].close()
        assert waiting.read_response().body == tree.HELLO
    assert len(re.findall(FULL, server.error_log())) == 1
    assert server.get("/hello.txt").body == tree.HELLO


def test_all_connections_of_many_are_served(weir):
    server = weir(extra=pool(1, 1, 3))
    clients = [server.connect(deadline=60) for _ in range(30)]
    for c in clients:
        c.request("GET", "/hello.txt", ["Connection: close"])
    for c in clients:
        assert c.read_response().body == tree.HELLO
        c.close()
    assert len(server.access_lines(30)) == 30


def test_a_stop_reaches_all(weir):
    server = weir(extra=pool(1, 2, 3))
    with held(server, 3) as clients, server.connect() as waiting:
        waiting.request("GET", "/hello.txt")
        server.stop()
        for c in [*clients, waiting]:
            c.read_rest(reset_is_end=True)


def test_bounds_that_contradict_each_other(weir):
    server = weir(start=False, extra=pool(4, 3, 10))
    server.ports = [1]
    server.write_config()
    done = server.install.run("-t", "-f", server.conf, "-m", "mt")
    assert done.returncode == 1
    assert "MPM mt: MinSpareThreads 4 is more than MaxSpareThreads 3" \
        in done.stderr
