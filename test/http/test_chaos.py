"""Processes that are killed while clients are served.

Children and helpers of a server under load are killed at random, for a few
seconds or, with --long, a minute.  It serves on; no answer is wrong, no line of
the log lost or doubled; in the end there is as much of everything as before.
"""

import contextlib
import os
import pathlib
import random
import signal
import time

from conftest import descriptors_of, processes, wait_for
from load import Load
from sleepers import wait_until_asleep

OLD_ENOUGH = 1.3  # who dies younger is not replaced at once

CONFIG = """
KeepAliveTimeout 30
MaxKeepAliveRequests 0
CacheRevalidate 1
<MPM amped>
    MinHelpers 2
    MaxHelpers 2
</MPM>
<MPM mt>
    ThreadsPerChild 10
</MPM>
"""


class Killer:
    def __init__(self, server):
        self.server, self.seen, self.count = server, {}, 0
        self.chance = random.Random(1)

    def kill_one(self):
        now = time.monotonic()
        alive = self.server.serving()
        self.seen = {pid: self.seen.get(pid, now) for pid in alive}
        old = [pid for pid, since in self.seen.items()
               if now - since > OLD_ENOUGH]
        if old:
            with contextlib.suppress(ProcessLookupError):  # left by itself
                os.kill(self.chance.choice(old), signal.SIGKILL)
                self.count += 1


def descriptors(server):
    """Those of each process that outlives its children."""
    return {(name, pid): sorted(link.partition(":")[0]
                                for link in descriptors_of(pid).values())
            for pid, (_, name) in server.processes().items()
            if name.startswith("weir: ")}


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


def test_killed_at_random(weir, variant, seconds_of_chaos):
    # Where a connection takes a process, there are enough for all.
    count = 3 if variant.mpm != "mp" else 8
    server = weir(CONFIG + "\n".join(processes(variant.mpm, count)))
    server.allow_errors(r"child \d+ died: Killed|helper \d+ died")
    load = Load(server, may_break=True)
    wait_for(lambda: len(server.serving())
             >= (1 if variant.name == "mp-fork" else 3))
    wait_until_asleep(server)  # all have begun
    before, memory = holdings(server), shared_memory()
    killer = Killer(server)
    end = time.monotonic() + seconds_of_chaos
    with load:
        while time.monotonic() < end or killer.count < 3:
            assert time.monotonic() < end + 60, "nobody to be killed"
            if load.is_over.is_set():
                break
            time.sleep(killer.chance.uniform(0.05, 0.3))
            killer.kill_one()
    wait_for(lambda: server.answers(server.address))
    expect_holdings(server, before)
    assert shared_memory() == memory
    load.expect_well()
