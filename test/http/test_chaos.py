"""Processes that are killed while clients are served.

Children and helpers of a server under load are killed at random, for a few
seconds or, with --long, a minute.  It serves on; no answer is wrong, no line of
the log lost or doubled; in the end there is as much of everything as before.
"""

import os
import pathlib
import random
import re
import signal
import threading
import time

from client import Closed
from conftest import wait_for
from sleepers import wait_until_asleep

CLIENTS = 6
OLD_ENOUGH = 1.3  # who dies younger is not replaced at once
BIG = bytes(range(256)) * 2048

CONFIG = """
Processes 3
KeepAliveTimeout 30
MaxKeepAliveRequests 0
CacheRevalidate 1
"""

GONE = (Closed, ConnectionResetError, BrokenPipeError)


class Load:
    """Clients that ask one thing after the other and check each answer."""

    def __init__(self, server):
        self.server = server
        self.answered = []  # serial numbers
        self.doubtful = set()  # the last one of a connection that broke
        self.failures = []
        self.is_over = threading.Event()
        self.lock = threading.Lock()
        self.serial = 0
        self.threads = [threading.Thread(target=self.run, args=(i,))
                        for i in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.is_over.set()
        for thread in self.threads:
            thread.join()

    def run(self, i):
        chance = random.Random(i)
        try:
            while not self.is_over.is_set():
                self.one_connection(chance)
        except Exception as failure:  # shown by the test
            self.failures.append(f"client {i}: {failure!r}")
            self.is_over.set()

    def one_connection(self, chance):
        last = None
        with self.server.connect(deadline=30) as c:
            try:
                while not self.is_over.is_set():
                    last = self.ask(c, chance, "keep-alive", last)
                last = self.ask(c, chance, "close", last)
                c.expect_close()
            except GONE:
                # Killed before it could note what it had just answered.
                with self.lock:
                    self.doubtful.add(last)

    def ask(self, c, chance, connection, last):
        """Ask for a file; its serial number when the answer was right."""
        with self.lock:
            self.serial += 1
            serial = self.serial
        kind = chance.choice(("small", "small", "big", "fresh"))
        name, body = kind, b"small" if kind == "small" else BIG
        if kind == "fresh":  # one that nobody has looked for before
            name, body = f"fresh/{serial}", b"%d" % serial
            self.server.put(name, body)
        c.request("GET", f"/{name}?{serial}", [f"Connection: {connection}"])
        response = c.read_response()
        assert response.status == 200, response.head
        assert response.body == body, f"{name}: {response.body[:100]!r}"
        with self.lock:
            self.answered.append(serial)
        return serial


def victims(server):
    """Children and helpers: what serves."""
    return {pid for pid, (_, name) in server.processes().items()
            if pid != server.pid and not name.startswith("weir: ")}


class Killer:
    def __init__(self, server):
        self.server, self.seen, self.count = server, {}, 0
        self.chance = random.Random(1)

    def kill_one(self):
        now = time.monotonic()
        alive = victims(self.server)
        self.seen = {pid: self.seen.get(pid, now) for pid in alive}
        old = [pid for pid, since in self.seen.items()
               if now - since > OLD_ENOUGH]
        if old:
            os.kill(self.chance.choice(old), signal.SIGKILL)
            self.count += 1


def descriptors(server):
    """How many each process has that outlives its children."""
    found = {}
    for pid, (_, name) in server.processes().items():
        if name.startswith("weir: "):
            found[name, pid] = sorted(
                os.readlink(fd).partition(":")[0]
                for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir())
    return found


def shared_memory():
    """Of the system: POSIX's and System V's."""
    return (sorted(os.listdir("/dev/shm")),
            len(pathlib.Path("/proc/sysvipc/shm").read_text().splitlines()))


def holdings(server):
    return (sorted(name for _, name in server.processes().values()),
            descriptors(server),
            sorted(str(p) for p in server.root.rglob("*")
                   if p.parent.name != "fresh"))


def expect_holdings(server, before):
    end = time.monotonic() + 20
    while (now := holdings(server)) != before:
        assert time.monotonic() < end, [
            (a, b) for a, b in zip(before, now) if a != b]
        time.sleep(0.1)


def logged(server):
    """Serial numbers in the access log; whole lines only."""
    found = []
    for line in server.access_lines():
        match = re.fullmatch(
            r'127\.0\.0\.1 - - \[[^]]+\] "GET /\S+?\?(\d+) HTTP/1\.1" 200 \d+',
            line)
        assert match or "?" not in line, line
        if match:
            found.append(int(match[1]))
    return found


def test_killed_at_random(weir, seconds_of_chaos):
    server = weir(CONFIG)
    server.put("small", b"small")
    server.put("big", BIG)
    server.put("fresh/0", b"0")
    server.allow_errors(r"child \d+ died: Killed|helper \d+ died")
    wait_for(lambda: len(victims(server)) >= 3)
    wait_until_asleep(server)  # all have begun
    before, memory = holdings(server), shared_memory()
    killer = Killer(server)
    end = time.monotonic() + seconds_of_chaos
    with Load(server) as load:
        while time.monotonic() < end and not load.is_over.is_set():
            time.sleep(killer.chance.uniform(0.05, 0.3))
            killer.kill_one()
    assert not load.failures
    assert killer.count >= 3
    wait_for(lambda: server.answers(server.address))
    expect_holdings(server, before)
    assert shared_memory() == memory
    expect_logged(server, load)


def expect_logged(server, load):
    """All lines but those of whom a process was killed under."""
    missing = set(load.answered) - load.doubtful
    wait_for(lambda: missing <= set(logged(server)), what="the log")
    lines = logged(server)
    assert len(lines) == len(set(lines)), "a line is there twice"
