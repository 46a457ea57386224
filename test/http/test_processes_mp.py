"""How many processes there are under mp, which has one for each connection."""

import contextlib
import os
import re
import signal
import time

import pytest

import tree
from conftest import wait_for

FULL = r"and there may be no more \(MaxRequestWorkers\)"


@pytest.fixture(autouse=True)
def only_mp(mpm):
    if mpm != "mp":
        pytest.skip("the MPM has a fixed number of processes")


@pytest.fixture
def has_pool(variant):
    if "ProcessPool off" in variant.directives:
        pytest.skip("there is no pool")


@pytest.fixture
def has_none(variant):
    if "ProcessPool off" not in variant.directives:
        pytest.skip("there is a pool")


def pool(start, low, high, most):
    return (f"<MPM mp>\nStartServers {start}\nMinSpareServers {low}\n"
            f"MaxSpareServers {high}\nMaxRequestWorkers {most}\n</MPM>\n"
            "KeepAliveTimeout 300\nRequestReadTimeout header=300\n")


def named(server, name):
    """Process ids by the name of their thread."""
    return {pid for pid, (_, n) in server.processes().items() if n == name}


def serving(server):
    """The processes that serve, or wait to."""
    return named(server, "weir:process")


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


def test_as_many_as_asked_for_to_begin_with(weir, has_pool):
    server = weir(extra=pool(3, 1, 3, 10))
    assert len(serving(server)) == 3
    assert not named(server, "weir:acceptor")


def test_idle_ones_are_kept_ready(weir, has_pool):
    """They grow with the connections, and shrink when these have gone."""
    server = weir(extra=pool(2, 2, 4, 20))
    with held(server, 10):
        wait_for(lambda: len(serving(server)) >= 12)
        assert len(serving(server)) <= 20
        busy = serving(server)
    wait_for(lambda: len(serving(server)) == 4, deadline=40)
    assert serving(server) < busy  # they ended, none was made
    assert server.get("/hello.txt").body == tree.HELLO
    assert not re.search("child .* (died|ended)", server.error_log())
    assert not re.search(FULL, server.error_log())


def test_one_more_than_there_may_be_waits(weir):
    server = weir(extra=pool(1, 1, 2, 3))
    with held(server, 3) as clients:
        wait_for(lambda: re.search(FULL, server.error_log()))
        with server.connect() as waiting:
            waiting.request("GET", "/hello.txt")
            waiting.expect_open(1.5)
            clients[0].expect_served()
            clients[0].close()
            assert waiting.read_response().body == tree.HELLO
    # and that was said once
    assert len(re.findall(FULL, server.error_log())) == 1
    assert server.get("/hello.txt").body == tree.HELLO


def test_all_connections_of_many_are_served(weir):
    """Far more clients than processes."""
    server = weir(extra=pool(1, 1, 2, 3))
    clients = [server.connect(deadline=60) for _ in range(30)]
    for c in clients:
        c.request("GET", "/hello.txt", ["Connection: close"])
    for c in clients:
        assert c.read_response().body == tree.HELLO
        c.close()
    assert len(server.access_lines(30)) == 30


def test_a_killed_process_takes_only_its_connection(weir):
    server = weir(extra=pool(4, 2, 4, 10))
    server.allow_errors("child .* died")
    with held(server, 3) as clients:
        for i, c in enumerate(clients):
            c.request("GET", f"/hello.txt?last{i}")
            c.read_response()
        victim = busy_process(server, clients[1])
        os.kill(victim, signal.SIGKILL)
        clients[1].read_rest(reset_is_end=True)
        wait_for(lambda: f"child {victim} died: Killed" in server.error_log())
        clients[0].expect_served()
        clients[2].expect_served()
        # what it had completed is in the log
        wait_for(lambda: sum("?last" in line for line
                             in server.access_lines()) == 3)
    for _ in range(10):
        assert server.get("/hello.txt").body == tree.HELLO


def busy_process(server, client):
    """Which process has a client's connection: its socket is open there."""
    port = client.sock.getsockname()[1]
    with open("/proc/net/tcp", encoding="ascii") as f:
        for line in f.read().splitlines()[1:]:
            fields = line.split()
            local, remote = (int(a.split(":")[1], 16) for a in fields[1:3])
            if (local, remote) == (server.port, port):
                inode = fields[9]
    for pid in serving(server):
        folder = f"/proc/{pid}/fd"
        for fd in os.listdir(folder):
            with contextlib.suppress(OSError):
                if os.readlink(f"{folder}/{fd}") == f"socket:[{inode}]":
                    return pid
    raise AssertionError("nobody has it")


def test_who_accepted_answers(weir):
    """One process, and it is one of those that there are."""
    server = weir(extra=pool(3, 1, 3, 3))
    with held(server, 3) as clients:
        assert len({busy_process(server, c) for c in clients}) == 3


def test_idle_ones_leave_without_harm(weir, has_pool):
    """While the surplus is sent away, clients come all the time."""
    server = weir(extra=pool(12, 1, 2, 20))
    end = time.monotonic() + 40
    count = 0
    while len(serving(server)) > 2:
        assert time.monotonic() < end
        for _ in range(20):
            assert server.get("/hello.txt").body == tree.HELLO
            count += 1
    assert len(server.access_lines(count)) == count
    assert not re.search("child .* (died|ended)", server.error_log())


def test_a_reload_lets_connections_end(weir):
    server = weir(extra=pool(4, 1, 4, 8))
    with held(server, 3) as clients:
        old = serving(server) | named(server, "weir:acceptor")
        server.reload()
        # those without a connection end, those with one serve it to its end
        holders = {busy_process(server, c) for c in clients}
        wait_for(lambda: old & serving(server) == holders)
        for c in clients:
            c.request("GET", "/hello.txt")
            assert c.read_response().closes
    wait_for(lambda: not old & set(server.processes()))
    assert server.get("/hello.txt").body == tree.HELLO


def test_a_stop_reaches_all(weir):
    server = weir(extra=pool(4, 1, 4, 8))
    with held(server, 3) as clients:
        server.stop()
        for c in clients:
            c.read_rest(reset_is_end=True)


def test_a_number_of_processes_is_no_business_of_its(weir):
    server = weir(start=False, extra="Processes 2")
    server.ports = [1]
    server.write_config()
    done = server.install.run("-t", "-f", server.conf, "-m", "mp")
    assert done.returncode == 1
    assert re.search(r"weir.conf:\d+: Processes: MPM mp has a process for each "
                     "connection: StartServers", done.stderr)


def test_bounds_that_contradict_each_other(weir):
    server = weir(start=False, extra=pool(1, 4, 3, 10))
    server.ports = [1]
    server.write_config()
    done = server.install.run("-t", "-f", server.conf, "-m", "mp")
    assert done.returncode == 1
    assert "MPM mp: MinSpareServers 4 is more than MaxSpareServers 3" \
        in done.stderr


# A process for each connection.

def test_processes_come_and_go_with_connections(weir, has_none):
    server = weir(extra=pool(5, 1, 2, 8))
    acceptor, = named(server, "weir:acceptor")
    wait_for(lambda: not serving(server))
    with held(server, 5) as clients:
        assert len(serving(server)) == 5
        parents = {parent for parent, name in server.processes().values()
                   if name == "weir:process"}
        assert parents == {acceptor}
        # none of them could accept in the acceptor's place
        for pid in serving(server):
            assert not listens(server, pid)
        for c in clients:
            c.expect_served()
    wait_for(lambda: not serving(server))
    assert len(server.access_lines(10)) == 10


def listens(server, pid):
    """Has the process a socket that listens on the server's port?"""
    with open("/proc/net/tcp", encoding="ascii") as f:
        rows = [line.split() for line in f.read().splitlines()[1:]]
    inodes = {row[9] for row in rows if row[3] == "0A"
              and int(row[1].split(":")[1], 16) == server.port}
    assert inodes
    return any(os.readlink(f"/proc/{pid}/fd/{fd}") in
               {f"socket:[{inode}]" for inode in inodes}
               for fd in os.listdir(f"/proc/{pid}/fd"))


def test_a_dead_acceptor_is_replaced(weir, has_none):
    server = weir(extra=pool(5, 1, 2, 8))
    server.allow_errors("child .* died")
    acceptor, = named(server, "weir:acceptor")
    with held(server, 2) as clients:
        for i, c in enumerate(clients):
            c.request("GET", f"/hello.txt?last{i}")
            c.read_response()
        os.kill(acceptor, signal.SIGKILL)
        for c in clients:  # they were its
            c.read_rest(reset_is_end=True)
    wait_for(lambda: named(server, "weir:acceptor") - {acceptor})
    wait_for(lambda: server.answers(server.address))
    assert sum("?last" in line for line in server.access_lines(4)) == 2
