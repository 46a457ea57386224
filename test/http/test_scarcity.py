"""Too little of something: places, descriptors, memory, time.

Nobody is cut off for it who is being served, and once there is enough again all
are served who have waited.
"""

import contextlib
import os
import re
import resource
import select
import signal
import time

import pytest

import conftest
import tree
import variants
from conftest import processes, wait_for
from gate import Gates
from load import GONE, Load
from sleepers import wait_until_asleep

THREE = """
Timeout 300
KeepAliveTimeout 300
<MPM mp>
    StartServers 3
    MaxRequestWorkers 3
</MPM>
<MPM mt>
    ThreadsPerChild 3
</MPM>
"""


def ask(server, target="/hello.txt"):
    c = server.connect(deadline=30)
    c.request("GET", target)
    return c


def are_answered(clients):
    return [bool(select.select([c.sock], [], [], 0)[0]) for c in clients]


def test_more_connections_than_places(weir, variant):
    """Where a connection holds a thread or process: the others wait, it is
    said in the log, and each that leaves lets in the one that waits longest."""
    if variant.nature is None or variant.nature.idle != variants.POOL:
        pytest.skip("idle connections hold nothing")
    server = weir(THREE)
    inside = [ask(server) for _ in range(3)]
    for c in inside:
        assert c.read_response().body == tree.HELLO
    waiting = [ask(server) for _ in range(5)]
    wait_until_asleep(server, *[c.sock for c in waiting])
    assert are_answered(waiting) == [False] * 5
    wait_for(lambda: re.search(r"all 3 (processes|threads) are busy",
                               server.error_log()))
    for c in inside + waiting[:2]:
        c.close()
        first = waiting[len(inside) - 3]
        assert first.read_response().body == tree.HELLO
        inside.append(first)
    for c in waiting[2:]:
        c.close()


# Descriptors.

def free_numbers(pid, count):
    """The limit under which a process can open so many descriptors more."""
    used = set(map(int, os.listdir(f"/proc/{pid}/fd")))
    limit = 0
    while count >= 0:
        if limit not in used:
            count -= 1
        limit += 1
    return limit - 1


def set_limit(pid, what, limits):
    """As the user who may: the process's own."""
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        text = f.read()
    user, group = (int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1])
                   for name in ("Uid", "Gid"))
    child = os.fork()
    if child == 0:
        try:
            os.setresgid(group, group, group)
            os.setresuid(user, user, user)
            with contextlib.suppress(ProcessLookupError):
                resource.prlimit(pid, what, limits)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0


def soft_limit(pid, what):
    """Of RLIMIT_NOFILE or RLIMIT_AS, and the hard one."""
    name = {resource.RLIMIT_NOFILE: "Max open files",
            resource.RLIMIT_AS: "Max address space"}[what]
    with open(f"/proc/{pid}/limits", encoding="ascii") as f:
        found = re.search(rf"^{name}\s+(\w+)\s+(\w+)", f.read(), re.M)
    return tuple(resource.RLIM_INFINITY if n == "unlimited" else int(n)
                 for n in found.groups())


@contextlib.contextmanager
def limited(server, what, limit):
    """A soft limit of all children and helpers: limit(pid)."""
    old = {pid: soft_limit(pid, what) for pid in server.serving()}
    try:
        for pid in old:
            set_limit(pid, what, (limit(pid), old[pid][1]))
        yield
    finally:
        for pid, limits in old.items():
            with contextlib.suppress(*conftest.GONE):
                set_limit(pid, what, limits)


def no_descriptor(server):
    return limited(server, resource.RLIMIT_NOFILE,
                   lambda pid: free_numbers(pid, 0))


def test_no_descriptor_for_a_connection(weir, mpm):
    if mpm == "proactor":
        pytest.skip("the kernel has looked at the limit long before")
    server = weir("Timeout 300")
    server.allow_errors("trying again from time to time")
    wait_until_asleep(server)
    with no_descriptor(server):
        clients = [ask(server) for _ in range(8)]
        wait_for(lambda: re.search("accept on .*Too many open files",
                                   server.error_log()))
        wait_for(lambda: all(map(lambda c: c.tcp_info()["unacked"] == 0,
                                 clients)))
        assert are_answered(clients) == [False] * 8
    for c in clients:
        assert c.read_response().body == tree.HELLO
        c.close()


def test_no_descriptor_for_a_file(weir):
    server = weir("Timeout 300\nKeepAliveTimeout 300")
    server.allow_errors("Too many open files")
    server.put("new", b"new")
    with ask(server) as c:
        assert c.read_response().body == tree.HELLO
        wait_until_asleep(server)
        with no_descriptor(server):
            c.request("GET", "/new")
            assert c.read_response().status == 503
        c.request("GET", "/new")
        assert c.read_response().body == b"new"


def test_no_descriptor_for_a_file_that_was_waited_for(weir):
    """A helper may have opened it, and could not hand it over."""
    server = weir("Timeout 300\nKeepAliveTimeout 300")
    server.allow_errors("Too many open files")
    with Gates() as gates, ask(server) as c:
        assert c.read_response().body == tree.HELLO
        gates.shut(server.put("slow", b"slow"))
        c.request("GET", "/slow")
        wait_for(lambda: gates.waiting() == 1)
        wait_until_asleep(server)
        with no_descriptor(server):
            gates.open()
            response = c.read_response()
        # One that opens in this process had reserved its number before.
        assert response.status == 503 or response.body == b"slow"
        c.request("GET", "/slow")
        assert c.read_response().body == b"slow"


# Memory.

def size_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return int(re.search(r"^VmSize:\s*(\d+) kB", f.read(), re.M)[1]) * 1024


def test_no_more_memory(weir, install):
    """What can't be served is refused, or ends a process, which is replaced;
    what is answered is right."""
    if install.is_sanitized:
        pytest.skip("a sanitizer ends where there is no memory for it")
    server = weir("KeepAliveTimeout 300\nCacheMaxFile 8M\n"
                  "CacheSize 64M")
    server.allow_errors("Cannot allocate memory|died: Aborted")
    big = os.urandom(1 << 22)
    server.put("big", big)
    with ask(server) as c:
        assert c.read_response().body == tree.HELLO
        wait_until_asleep(server)
        with limited(server, resource.RLIMIT_AS, size_of):
            with contextlib.suppress(*GONE):
                for _ in range(50):
                    c.request("GET", "/hello.txt")
                    assert c.read_response().body == tree.HELLO
                c.request("GET", "/big")
                response = c.read_response()
                assert response.status == 503 or response.body == big
    wait_for(lambda: server.answers(server.address))
    assert server.get("/big").body == big


# Time.

def test_stopped_and_continued(weir, mpm):
    """Each time all calls that wait return early (EINTR), or late."""
    # Where a connection takes a process, there are enough for all.
    count = 2 if mpm != "mp" else 8
    server = weir("\n".join([*processes(mpm, count), "KeepAliveTimeout 300",
                             "MaxKeepAliveRequests 0"]))
    with Load(server) as load:
        for _ in range(100):
            pids = list(server.serving())
            for sign in (signal.SIGSTOP, signal.SIGCONT):
                for pid in pids:
                    os.kill(pid, sign)
                time.sleep(0.005)
    load.expect_well()
