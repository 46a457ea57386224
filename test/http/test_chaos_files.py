"""Files that are changed, truncated, replaced and removed as they are served.

At random, under load, for a few seconds or, with --long, a minute, with each
way to hold content.  What a file holds says of itself which version it is and
where one is in it, so that a body of two versions is seen.  What may be seen
depends on what is done to a file:

    replaced, removed   one version, whole; or 404
    appended to         as much of it as was announced
    overwritten         as long as it is, each byte in its place
    truncated           the same, or an end too early; behind the cut zeros, as
                        the kernel leaves them in pages that are on their way
"""

import collections
import functools
import os
import random
import re
import threading
import time

import pytest

from client import Closed
from load import GONE

CLIENTS = 5
LINE = 64
VERSION = slice(10, 20)  # within a line
CUT = 20001
CONFIG = """
CacheContent {}
CacheMaxFile 128K
CacheRevalidate 20ms
SendQuantum 16K
MaxKeepAliveRequests 0
Timeout 20
"""


@functools.lru_cache(256)
def content(name, version, size):
    """Lines that say what they are."""
    count = -(-size // LINE)
    return b"".join(
        b"%-10s%010d%010d%033d\n" % (name.encode(), version, i, i * 7919)
        for i in range(count))[:size]


def version_of(body):
    return int(body[VERSION])


def without_versions(body):
    """The same without what tells versions apart."""
    text = bytearray(body)
    for at in range(VERSION.start, VERSION.stop):
        column = text[at::LINE]
        assert bytes(column).isdigit() or not column
        text[at::LINE] = b"0" * len(column)
    return bytes(text)


# What is done to a file, and what may be seen of it then: name, size of the
# content announced, where the body begins in it, the body, is it complete.


class Kind:
    def __init__(self, server, name, size):
        self.server, self.name, self.size = server, name, size
        self.version = 0
        self.renew()

    def renew(self):
        self.version += 1
        self.server.replace(self.name, self.made(self.version))

    def made(self, version):
        return content(self.name, version, self.size)

    def check(self, total, start, body, is_complete):
        assert is_complete, f"cut after {len(body)} of {total}"
        assert total == self.size
        whole = self.made(version_of(body))
        assert body == whole[start:start + len(body)], "mixed"


class Replaced(Kind):
    may_be_missing = False

    def change(self, chance):
        self.renew()


class Removed(Kind):
    may_be_missing = True

    def change(self, chance):
        (self.server.www / self.name).unlink()
        time.sleep(chance.uniform(0, 0.01))
        self.renew()


class Appended(Kind):
    may_be_missing = False

    def change(self, chance):
        path = self.server.www / self.name
        had = path.stat().st_size
        if had > 4 * self.size:
            self.renew()
            return
        more = content(self.name, self.version, had + 1000)
        with open(path, "ab") as f:
            f.write(more[had:])

    def check(self, total, start, body, is_complete):
        assert is_complete, f"cut after {len(body)} of {total}"
        whole = content(self.name, version_of(body), total)
        assert body == whole[start:start + len(body)], "mixed"


class Overwritten(Kind):
    may_be_missing = False

    def change(self, chance):
        self.version += 1
        with open(self.server.www / self.name, "r+b") as f:
            f.write(self.made(self.version))

    def check(self, total, start, body, is_complete):
        assert is_complete and total == self.size
        assert start % LINE == 0
        whole = without_versions(self.made(0)[start:start + len(body)])
        assert without_versions(body) == whole, "out of place"


class Truncated(Kind):
    may_be_missing = False

    def change(self, chance):
        os.truncate(self.server.www / self.name, CUT)
        time.sleep(chance.uniform(0, 0.05))
        self.renew()

    def check(self, total, start, body, is_complete):
        assert total in (self.size, CUT)
        assert is_complete or total == self.size
        lines = [body[i:i + LINE] for i in range(0, len(body), LINE)]
        version = next((version_of(line) for line in lines
                        if line[VERSION.stop:] and line[VERSION].isdigit()), 0)
        expected = self.made(version)[start:start + len(body)]
        kept = max(0, CUT - start)
        assert body[:kept] == expected[:kept], "mixed"
        if body != expected:
            assert all(a in (b, 0) for a, b in zip(body, expected)), \
                "neither the file nor zeros"


def files_of(server):
    made = []
    for size in (300, 5000, 60000, 300000):
        made.append(Replaced(server, f"rep{size}", size))
        made.append(Removed(server, f"rem{size}", size))
        made.append(Overwritten(server, f"over{size}", size))
    made.append(Appended(server, "app", 3000))
    made.append(Truncated(server, "cut60000", 60000))
    made.append(Truncated(server, "cut300000", 300000))
    return {f.name: f for f in made}


class Readers:
    """Clients that ask for anything, and judge what they get."""

    def __init__(self, server, files):
        self.server, self.files = server, files
        self.failures = []
        self.seen = collections.Counter()
        self.is_over = threading.Event()
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
        rcvbuf = chance.choice((None, None, 8192))
        with self.server.connect(deadline=60, rcvbuf=rcvbuf) as c:
            while not self.is_over.is_set():
                if not self.ask(c, self.files[chance.choice(
                        list(self.files))], chance):
                    return

    def ask(self, c, file, chance):
        """@return False when the connection has ended."""
        part = chance.randrange(0, file.size - LINE) // LINE * LINE
        is_part = chance.random() < 0.3
        is_head = chance.random() < 0.1
        c.request("HEAD" if is_head else "GET", f"/{file.name}",
                  [f"Range: bytes={part}-{part + 20000}"] if is_part else [])
        try:
            response = c.read_head()
        except GONE:
            self.seen["gone"] += 1
            raise AssertionError("closed without an answer") from None
        if is_head:
            c.read_body(response, head=True)
        elif chance.random() < 0.02:
            return False  # goes away in the middle
        else:
            self.receive(c, response)
        self.seen[response.status] += 1
        self.judge(file, response, part, is_part and not is_head, is_head)
        if not response.complete:
            self.seen["cut"] += 1
        return response.complete

    @staticmethod
    def receive(c, response):
        response.complete = True
        try:
            c.read_body(response)
        except (Closed, ConnectionResetError):
            response.body, c.data = c.data, b""
            response.complete = False

    def judge(self, file, response, part, is_part, is_head):
        status = response.status
        assert status in ((200, 206) if is_part else (200,)) or (
            status == 404 and file.may_be_missing) or (
            status == 416 and isinstance(file, Truncated)), (
                file.name, response.head)
        if is_head or status not in (200, 206):
            return
        start, total = 0, int(response["content-length"])
        if status == 206:
            field = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)",
                                 response["content-range"])
            first, last, total = map(int, field.groups())
            assert first == part
            assert int(response["content-length"]) == last - first + 1
            start = first
        try:
            file.check(total, start, response.body, response.complete)
        except AssertionError as failure:
            raise AssertionError(
                f"{file.name} {response.head!r} {failure}") from failure


@pytest.mark.parametrize("mode", ["off", "memory", "mmap", "descriptor"])
def test_files_changed_at_random(weir, seconds_of_chaos, mode):
    server = weir(CONFIG.format(mode))
    server.allow_errors("has become shorter while it is sent")
    files = files_of(server)
    chance = random.Random(mode)
    changes = 0
    end = time.monotonic() + seconds_of_chaos
    with Readers(server, files) as readers:
        while time.monotonic() < end and not readers.is_over.is_set():
            files[chance.choice(list(files))].change(chance)
            changes += 1
            time.sleep(chance.uniform(0, 0.004))
    assert not readers.failures, readers.failures
    assert changes > 20 and readers.seen[200] > 50 and readers.seen[206] > 10
    for file in files.values():
        file.renew()
    time.sleep(0.1)
    for file in files.values():
        assert server.get("/" + file.name).body == file.made(file.version)
    print(mode, changes, "changes;", dict(readers.seen))
