"""Clients that ask a server one thing after the other, and check each answer.

    with Load(server) as load:
        ...             what the server is to bear
    load.expect_well()
"""

import random
import re
import threading

from client import Closed
from conftest import wait_for

CLIENTS = 6
SMALL = b"small"
BIG = bytes(range(256)) * 2048

GONE = (Closed, ConnectionResetError, BrokenPipeError)


class Load:
    """may_break: connections may, since processes are killed."""

    def __init__(self, server, may_break=False):
        self.server, self.may_break = server, may_break
        server.put("small", SMALL)
        server.put("big", BIG)
        server.put("fresh/0", b"0")
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
                if not self.may_break:
                    raise
                # Killed before it could note what it had just answered.
                with self.lock:
                    self.doubtful.add(last)

    def ask(self, c, chance, connection, last):
        """Ask for a file; its serial number when the answer was right."""
        with self.lock:
            self.serial += 1
            serial = self.serial
        kind = chance.choice(("small", "small", "big", "fresh"))
        name, body = kind, SMALL if kind == "small" else BIG
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

    def expect_well(self):
        """All was answered rightly, and no line of the log is missing or there
        twice, but for those of whom a process was killed under it."""
        assert not self.failures, self.failures
        assert self.answered, "nothing was answered"
        wanted = set(self.answered) - self.doubtful
        wait_for(lambda: wanted <= set(logged(self.server)), what="the log")
        lines = logged(self.server)
        assert len(lines) == len(set(lines)), "a line is there twice"


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
