"""Helpers: who runs what may wait for the disk, under an MPM that has them."""

import os
import re
import signal

import pytest

import conftest
import sleepers
from conftest import HELPER, descriptors_of, processes_of, wait_for
from gate import Gates

CONFIG = """
Processes 1
<MPM amped>
    MinHelpers 2
    MaxHelpers 4
</MPM>
"""

IDLE = 4  # descriptors of a helper that has nothing to do


@pytest.fixture(autouse=True)
def needs_helpers(variant):
    if variant.mpm != "amped" or "HelperType thread" in variant.directives:
        pytest.skip(f"{variant.name} has no helper processes")


def named(server, start):
    return conftest.named(server.processes(), start)


def helpers(server):
    return named(server, HELPER)


def child(server):
    pid, = named(server, "weir:amped")
    return pid


def status(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f)


def links(pid):
    return set(descriptors_of(pid).values())


class Blocked:
    """Requests for files that nobody can open until they are let."""

    def __init__(self, server, gates, count):
        self.gates, self.clients = gates, []
        for i in range(count):
            gates.shut(server.put(f"slow{i}", f"slow {i}"))
            c = server.connect(deadline=30)
            c.request("GET", f"/slow{i}")
            self.clients.append(c)
            sleepers.wait_until_asleep(server, c.sock)

    def expect_all(self):
        self.gates.open()
        for i, c in enumerate(self.clients):
            response = c.read_response()
            assert (response.status, response.body) == (
                200, f"slow {i}".encode())
            c.close()


def test_what_a_helper_is(weir):
    """Named, the spawner's child, and without privileges."""
    server = weir(CONFIG)
    wait_for(lambda: len(helpers(server)) == 2)
    spawner, = named(server, "weir: spawner")
    for i, pid in enumerate(helpers(server)):
        parent, name = server.processes()[pid]
        assert (parent, name) == (spawner, f"{HELPER}{i + 1}")
        mine, its = status(pid), status(child(server))
        for field in ("Uid", "Gid", "Groups", "CapPrm", "NoNewPrivs"):
            assert mine[field] == its[field]


def test_helpers_hold_nothing_of_the_childs(weir):
    server = weir(CONFIG)
    with server.connect() as c, Gates() as gates:
        c.request("GET", "/hello.txt")
        c.read_response()
        blocked = Blocked(server, gates, 4)
        assert len(helpers(server)) == 4
        for pid in helpers(server):
            sockets = [name for name in links(pid)
                       if name.startswith("socket:")]
            assert len(sockets) == 1  # to be asked at
            assert not set(sockets) & links(child(server))
        blocked.expect_all()


def test_no_more_than_the_most(weir):
    server = weir(CONFIG)
    with Gates() as gates:
        blocked = Blocked(server, gates, 9)
        assert len(helpers(server)) == 4
        assert server.get("/hello.txt").status == 200
        blocked.expect_all()
    assert len(helpers(server)) == 4  # kept


def test_there_are_always_the_least(weir):
    server = weir(CONFIG)
    server.allow_errors("helper . died")
    wait_for(lambda: len(helpers(server)) == 2)
    for _ in range(3):
        before = helpers(server)
        os.kill(before[0], signal.SIGKILL)
        wait_for(lambda: len(helpers(server)) == 2
                 and before[0] not in helpers(server))


@pytest.mark.parametrize("at_work", [True, False])
def test_killed_helpers_are_replaced(weir, at_work):
    server = weir(CONFIG)
    server.allow_errors("helper . died")
    wait_for(lambda: len(helpers(server)) == 2)
    with Gates() as gates:
        if at_work:
            blocked = Blocked(server, gates, 2)
        killed = helpers(server)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: server.error_log().count(" died") == 2)
        if not at_work:
            blocked = Blocked(server, gates, 2)
        wait_for(lambda: len(helpers(server)) == 2)
        assert not set(killed) & set(helpers(server))
        blocked.expect_all()
    assert bool(re.search("died at work", server.error_log())) == at_work


def test_a_job_is_given_up_after_two_deaths(weir):
    server = weir(CONFIG)
    server.allow_errors("helper|opening")
    with Gates() as gates:
        blocked = Blocked(server, gates, 1)
        for _ in range(2):
            busy, = [pid for pid in helpers(server)
                     if len(os.listdir(f"/proc/{pid}/fd")) > IDLE]
            os.kill(busy, signal.SIGKILL)
            sleepers.wait_until_asleep(server, blocked.clients[0].sock)
        assert blocked.clients[0].read_response().status == 500
        blocked.clients[0].close()
        gates.open()
    assert server.get("/slow0").body == b"slow 0"


def test_helpers_end_with_the_child(weir):
    server = weir(CONFIG)
    server.allow_errors("child .* died")
    wait_for(lambda: len(helpers(server)) == 2)
    before, old = helpers(server), child(server)
    os.kill(old, signal.SIGKILL)
    wait_for(lambda: not set(before) & set(helpers(server)))
    wait_for(lambda: named(server, "weir:amped") not in ([], [old]))
    wait_for(lambda: len(helpers(server)) == 2)
    assert server.get("/hello.txt").status == 200
    master = server.pid
    server.stop()
    assert not processes_of(master)


def test_a_dead_spawner_is_replaced(weir):
    server = weir(CONFIG)
    server.allow_errors("helper . died|spawner died|start a helper")
    wait_for(lambda: len(helpers(server)) == 2)
    spawner, = named(server, "weir: spawner")
    os.kill(spawner, signal.SIGKILL)
    wait_for(lambda: named(server, "weir: spawner") not in ([], [spawner]))
    wait_for(lambda: not helpers(server) or len(helpers(server)) == 2)
    assert server.get("/hello.txt").status == 200
    with Gates() as gates:
        blocked = Blocked(server, gates, 2)
        assert len(helpers(server)) == 2
        assert server.get("/hello.txt").status == 200
        blocked.expect_all()


def test_no_module_of_ours_needs_a_thread(weir):
    """But for one that asks a name server."""
    server = weir(CONFIG + '<Directory "@WWW@/list">\nOptions +Indexes\n'
                  "AddHandler send-as-is asis\n</Directory>\n")
    server.put("list/a.asis", "Status: 410\n\ngone")
    assert b"a.asis" in server.get("/list/").body
    assert server.get("/list/a.asis").status == 410
    assert len(os.listdir(f"/proc/{child(server)}/task")) == 1
