"""Each architecture is what it claims to be, whatever its speed.

Requests that stand still, one after the other: how many of them does it take
until a cached file is no longer answered?  All pools are three.

    disk    for a file whose opening has to wait, as for a slow disk
    code    in a module's code that blocks
    unread  1 MiB to a client that does not read
    idle    none: a connection kept open

What is expected stands in ../run/variants.py, and in the manual; that these
agree, test/lint sees.
"""

import select

import pytest

import sleepers
import tree
import variants
from gate import Gates

POOL = 3
MANY = 4 * POOL  # if so many do not stop it, nothing does
BIG = bytes(range(256)) * 4096
NUMBERS = {variants.ONE: 1, variants.POOL: POOL, variants.NEVER: None}

CONFIG = """
LoadModule gate_module modules/mod_gate.so
Timeout 300
KeepAliveTimeout 300
CacheRevalidate 3600
SendBufferSize 32768
<Directory "@WWW@/code">
    SetHandler gate
</Directory>
<MPM mp>
    StartServers 3
    MaxRequestWorkers 3
</MPM>
<MPM mt>
    ThreadsPerChild 3
</MPM>
<MPM amped>
    MaxHelpers 3
</MPM>
<MPM hybrid>
    ThreadsPerChild 3
</MPM>
<MPM proactor>
    CallThreads 3
    IoWorkers 3
</MPM>
"""


class Still:
    """Requests of one kind that stand still until they are let go on."""

    def __init__(self, server, gates):
        self.server, self.gates = server, gates
        self.clients = []

    def add(self):
        """One more; it has come to where it stands still."""
        client = self.begin(len(self.clients))
        self.clients.append(client)
        sleepers.wait_until_asleep(self.server, client.sock)
        assert self.gates.waiting() == min(POOL, len(self.gates.files))

    def ask(self, target, **kw):
        client = self.server.connect(deadline=30, **kw)
        client.request("GET", target)
        return client

    def let_go(self):
        """All of them are answered now."""
        self.gates.open()
        for i, client in enumerate(self.clients):
            response = client.read_response()
            assert (response.status, response.body) == (200, self.body(i))
        self.close()

    def close(self):
        for client in self.clients:
            client.close()


class Disk(Still):
    def begin(self, i):
        self.gates.shut(self.server.put(f"disk{i}", self.body(i)))
        return self.ask(f"/disk{i}")

    def body(self, i):
        return b"%d was on a slow disk" % i


class Code(Still):
    def begin(self, i):
        gate = self.server.put(f"gate{i}")
        self.gates.shut(gate)
        return self.ask(f"/code/{i}?{gate}")

    def body(self, i):
        return b"passed\n"


class Unread(Still):
    def begin(self, i):
        return self.ask("/big", rcvbuf=4096)

    def let_go(self):
        for i, client in enumerate(self.clients):
            assert client.read_response().body == BIG
            client.close()


class Idle(Still):
    def begin(self, i):
        client = self.ask("/hello.txt")
        assert client.read_response().body == tree.HELLO
        return client

    def let_go(self):
        for client in self.clients:
            client.request("GET", "/hello.txt", ["Connection: close"])
            assert client.read_response().body == tree.HELLO
            client.expect_close()
            client.close()


def is_readable(client):
    return bool(select.select([client.sock], [], [], 0)[0])


def ask_for_cached(server):
    """Ask for a cached file.

    Returns the client if there is no answer: all of the server sleeps, though
    the request is there.
    """
    client = server.connect(deadline=30)
    client.request("GET", "/hello.txt", ["Connection: close"])
    sleepers.wait_until_asleep(server, client.sock,
                               until=lambda: is_readable(client))
    if not is_readable(client):
        return client
    expect_answer(client)
    return None


def expect_answer(client):
    assert client.read_response().body == tree.HELLO
    client.expect_close()
    client.close()


@pytest.mark.parametrize("kind", [Disk, Code, Unread, Idle],
                         ids=variants.KINDS)
def test_until_a_cached_file_is_not_answered(weir, variant, kind):
    if variant.nature is None:
        pytest.skip(f"nothing is claimed of {variant.name}")
    expected = getattr(variant.nature, kind.__name__.lower())
    server = weir(CONFIG)
    server.put("big", BIG)
    assert server.get("/big").body == BIG
    with Gates() as gates:
        still = kind(server, gates)
        waiting = None
        while len(still.clients) <= MANY:
            waiting = ask_for_cached(server)
            if waiting:
                break
            still.add()
        count = len(still.clients) if waiting else None
        still.let_go()
        if waiting:
            expect_answer(waiting)
        assert count == NUMBERS[expected]
    assert server.get("/hello.txt").body == tree.HELLO
