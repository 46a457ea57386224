"""What the server's threads ask of the kernel, as strace sees it.

    with Trace(server) as trace:
        ...
    trace.calls     in the order in which they ended
    trace.names     thread: its name when the trace began

Processes and threads that are made meanwhile are traced, too.
"""

import collections
import contextlib
import os
import re
import shutil
import signal
import subprocess
import time

import pytest

from conftest import GONE, wait_for

# args and result as strace writes them, descriptors with what they are.
Call = collections.namedtuple("Call", "thread name args result")

WHOLE = re.compile(r"(\w+)\((.*)\)\s+= (.*)")
BEGUN = " <unfinished ...>"
ENDED = re.compile(r"<\.\.\. \w+ resumed>(.*)")


class Trace:
    def __init__(self, server):
        self.pids = list(server.processes())
        self.out = server.root / "trace"
        self.calls = []

    def __enter__(self):
        if not shutil.which("strace"):
            pytest.skip("strace is not there")
        threads = self.threads()
        self.names = {thread: name for thread, (_, name) in threads.items()}
        self.process_of = {thread: pid for thread, (pid, _) in threads.items()}
        command = ["strace", "-f", "-yy", "-s", "200", "-o", self.out]
        for pid in self.pids:
            command += ["-p", str(pid)]
        with open(f"{self.out}.said", "wb") as said:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=said, stderr=said)
        wait_for(self.has_begun, what="strace")
        if self.process.poll() is not None:
            pytest.skip(f"strace may not: {self.said().strip()}")
        return self

    def __exit__(self, *unused):
        self.catch_up()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        self.calls = list(calls_in(self.out.read_text(errors="replace")))

    def catch_up(self):
        """The client has an answer before strace has seen the call end that
        sent it: until it has no more to say."""
        said = -1
        for _ in range(50):
            before, said = said, self.out.stat().st_size
            if said == before:
                return
            time.sleep(0.1)

    def threads(self):
        """Of all processes: thread: (process, name)."""
        found = {}
        for pid in self.pids:
            with contextlib.suppress(*GONE):
                for tid in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{tid}/comm") as f:
                        found[int(tid)] = (pid, f.read().strip())
        return found

    def said(self):
        with open(f"{self.out}.said") as f:
            return f.read()

    def has_begun(self):
        """Are all threads traced, or has it given up?"""
        if self.process.poll() is not None:
            return True
        return all(tracer_of(tid) in (self.process.pid, None)
                   for tid in self.threads())

    def thread(self, name):
        """The one with this name."""
        found = [thread for thread, its in self.names.items() if its == name]
        assert len(found) == 1, self.names
        return found[0]

    def threads_beside(self, thread):
        """How many its process had, itself too."""
        return list(self.process_of.values()).count(self.process_of[thread])


def tracer_of(tid):
    """Its tracer, 0: none; None if it has ended."""
    with contextlib.suppress(*GONE), open(f"/proc/{tid}/status") as f:
        return int(re.search(r"^TracerPid:\s*(\d+)", f.read(), re.M)[1])
    return None


def calls_in(text):
    """The calls of strace's output, those that were interrupted by another's
    in one piece."""
    begun = {}
    for line in text.splitlines():
        thread, _, rest = line.partition(" ")
        rest = rest.lstrip()
        if rest.endswith(BEGUN):
            begun[thread] = rest[:-len(BEGUN)]
            continue
        ended = ENDED.match(rest)
        if ended:
            rest = begun.pop(thread, "") + ended[1]
        whole = WHOLE.fullmatch(rest)
        if whole:
            yield Call(int(thread), *whole.groups())
