"""Pools of workers: their sizes, how tasks are given out, and what happens when
there are more than can be done.  Of the MPMs that have such pools."""

import os

import pytest

import tree
from conftest import wait_for
from gate import Gates

N = len(os.sched_getaffinity(0))

ONE = """
Processes 1
AcceptLimit 1
KeepAliveTimeout 300
<MPM hybrid>
    ThreadsPerChild 1
    TaskQueueLimit 1
</MPM>
"""


@pytest.fixture(autouse=True)
def only_with_pools(mpm):
    if mpm != "hybrid":
        pytest.skip("has no pool of workers")


def described(weir, *directives):
    """What weir -S says of the MPM."""
    server = weir("<MPM hybrid>\n" + "\n".join(directives) + "\n</MPM>\n",
                  start=False)
    server.ports = [8080]
    server.write_config()
    done = server.install.run("-S", "-f", server.conf, "-m", "hybrid")
    return done.stdout + done.stderr


@pytest.mark.parametrize("directive, line", [
    (None, f"ThreadsPerChild: {2 * N + 1} = 2 x {N} core"),
    ("ThreadsPerChild 7", "ThreadsPerChild: 7\n"),
    ("ThreadsPerChild auto io", f"ThreadsPerChild: {2 * N + 1} = 2 x {N} core"),
    ("ThreadsPerChild auto cpu", f"ThreadsPerChild: {N + 1} = {N} core"),
    ("ThreadsPerChild auto", "to 64, measured: tasks a second x seconds each"),
    ("MaxThreadsPerChild 2000\nThreadsPerChild auto measured",
     f"ThreadsPerChild: {N + 1} ({N} core"),
])
def test_the_arithmetic_is_shown(weir, directive, line):
    assert line in described(weir, *([directive] if directive else []))


@pytest.mark.parametrize("directive, fault", [
    ("ThreadsPerChild 3 io", "only auto has a second word"),
    ("ThreadsPerChild auto disk", "is none of cpu, io and measured"),
    ("TaskDispatch fair",
     "is none of shared|round-robin|random|least-loaded"),
    ("TaskStart whenever", "is none of request|readable"),
    ("HandOver never", "is none of leftover|always"),
    ("TaskQueueLimit 0", "too small: at least 1"),
])
def test_nonsense_is_refused(weir, directive, fault):
    assert fault in described(weir, directive)


@pytest.mark.parametrize("dispatch", ["shared", "round-robin", "random",
                                      "least-loaded"])
def test_however_tasks_are_given_out_all_are_done(weir, dispatch):
    server = weir("Processes 1\n<MPM hybrid>\n    ThreadsPerChild 4\n"
                  f"    TaskDispatch {dispatch}\n</MPM>\n")
    clients = [server.connect() for _ in range(12)]
    for _ in range(5):
        for c in clients:
            c.request("GET", "/hello.txt")
        for c in clients:
            assert c.read_response().body == tree.HELLO
    for c in clients:
        c.close()
    # That a client has gone may be a task, too.
    wait_for(lambda: server.status()["totals"]["tasks_waiting"] <= 1)
    totals = server.status()["totals"]
    assert totals["tasks"] >= 60
    assert totals["workers"] == 4


def sockets_of(port):
    """Of the kernel's table: remote port (0: the listener's): bytes or, of the
    listener, connections, that wait to be taken."""
    found = {}
    with open("/proc/net/tcp") as table:
        for line in table.readlines()[1:]:
            _, local, remote, _, queues, *_ = line.split()
            if local.endswith(f":{port:04X}"):
                found[int(remote.split(":")[1], 16)] = int(
                    queues.split(":")[1], 16)
    return found


def local_port(client):
    return client.sock.getsockname()[1]


def test_when_all_is_full_nothing_is_taken_and_nothing_dropped(weir):
    """Connections stay in the kernel's queue, requests in the sockets."""
    server = weir(ONE)
    kept = server.connect(deadline=60)
    kept.request("GET", "/hello.txt")
    assert kept.read_response().body == tree.HELLO
    with Gates() as gates:
        gates.shut(server.put("slow", b"slow"))
        clients = [server.connect(deadline=60) for _ in range(20)]
        clients[0].request("GET", "/slow")
        wait_for(lambda: gates.waiting() == 1)
        for c in clients[1:]:
            c.request("GET", "/hello.txt")
        # One task waits; another one has shown that there is no room.
        wait_for(lambda: sockets_of(server.port)[0] in range(14, 18))
        kept.request("GET", "/hello.txt")
        wait_for(lambda: sockets_of(server.port)[local_port(kept)] > 0)
        assert sockets_of(server.port)[0] in range(14, 18)
        gates.open()
        assert clients[0].read_response().body == b"slow"
        for c in [*clients[1:], kept]:
            assert c.read_response().body == tree.HELLO
            c.close()


def test_a_full_server_stops(weir):
    server = weir(ONE)
    with Gates() as gates:
        gates.shut(server.put("slow", b"slow"))
        clients = [server.connect(deadline=60) for _ in range(10)]
        clients[0].request("GET", "/slow")
        wait_for(lambda: gates.waiting() == 1)
        for c in clients[1:]:
            c.request("GET", "/hello.txt")
        wait_for(lambda: sockets_of(server.port)[0] in range(4, 8))
        gates.open()
        server.stop()


def test_a_measured_pool_grows(weir, variant):
    """Little's law: those that are blocked are not all that there are."""
    if "TaskDispatch" in " ".join(variant.directives):
        pytest.skip("a request may wait behind one that stands still")
    server = weir(f"""
        Processes 1
        CacheRevalidate 3600
        <MPM hybrid>
            ThreadsPerChild auto measured
            MaxThreadsPerChild {N + 4}
        </MPM>""")
    assert server.get("/hello.txt").body == tree.HELLO
    assert server.status()["totals"]["workers"] == N + 1
    with Gates() as gates:
        clients = []
        for i in range(N + 3):
            gates.shut(server.put(f"slow{i}", b"slow"))
            clients.append(server.connect(deadline=60))
            clients[-1].request("GET", f"/slow{i}")
        wait_for(lambda: gates.waiting() == N + 3)  # more than it began with
        assert server.get("/hello.txt").body == tree.HELLO
        assert server.status()["totals"]["workers"] == N + 4
        gates.open()
        for c in clients:
            assert c.read_response().body == b"slow"
            c.close()
