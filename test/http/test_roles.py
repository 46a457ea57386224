"""Who does what: the threads of each architecture, by what they ask the kernel.

Who accepts, receives, opens files and sends, small and large, cached or not, and
one that makes whoever opens it wait.
"""

import re
import socket

import pytest

import tree
from gate import Gates
from sleepers import wait_until_asleep
from strace import Trace
from conftest import wait_for

BIG = bytes(range(256)) * 1024
ACCEPT = ("accept", "accept4")
RECEIVE = ("recvfrom", "recvmsg", "read", "readv")
SEND = ("sendto", "sendmsg", "write", "writev", "sendfile", "splice")
OPEN = ("open", "openat", "openat2")

CONFIG = """
KeepAliveTimeout 60
<MPM mt>
    ThreadsPerChild 6
</MPM>
<MPM proactor>
    CallThreads 3
</MPM>
"""


def peer_port(call, port):
    """The client's, of a call on a connection to a listener's port."""
    found = re.search(rf"<TCP(?:v6)?:\[\S*?:{port}->\S*?:(\d+)\]>",
                      f"{call.args} = {call.result}")
    return found and found[1]


def serve_a_few(server):
    """Small and large, cached and not, connections at the same time."""
    clients = [server.connect(deadline=30) for _ in range(4)]
    for i, client in enumerate(clients):
        server.put(f"fresh{i}", b"fresh")
        for target, body in (("/hello.txt", tree.HELLO), ("/big", BIG),
                             (f"/fresh{i}", b"fresh")):
            client.request("GET", target)
            assert client.read_response().body == body
    for client in clients:
        client.request("GET", "/hello.txt", ["Connection: close"])
        assert client.read_response().body == tree.HELLO
        client.expect_close()
        client.close()


def serve_one_from_a_slow_disk(server):
    with Gates() as gates:
        gates.shut(server.put("slow", b"slow"))
        with server.connect(deadline=30) as client:
            client.request("GET", "/slow")
            wait_for(lambda: gates.waiting() == 1)
            gates.open()
            assert client.read_response().body == b"slow"


def threads_of(calls, names):
    return {call.thread for call in calls if call.name in names}


def one_thread_does_it_all(trace, port):
    """SPED: from accepting to sending, and the files."""
    one = threads_of(trace.calls, ACCEPT)
    assert len(one) == 1
    for names in (RECEIVE, SEND):
        assert threads_of(trace.to_clients, names) == one
    assert threads_of(trace.calls, OPEN) == one


def who_accepts_answers(trace, port):
    """MP, MT: a connection stays with one process or thread, which opens and
    sends, and several do so."""
    accepted = {peer_port(call, port): call.thread
                for call in trace.to_clients if call.name in ACCEPT}
    assert len(accepted) == 5
    assert len(set(accepted.values())) >= 4
    for call in trace.to_clients:
        assert call.thread == accepted[peer_port(call, port)], call
    assert threads_of(trace.to_clients, SEND) == set(accepted.values())
    assert threads_of(trace.calls, OPEN) <= set(accepted.values())


def one_accepts_others_answer(trace, port):
    """MP, MT without a pool: one does nothing but accept, and each connection is
    another's, which is new."""
    acceptors = threads_of(trace.calls, ACCEPT)
    assert len(acceptors) == 1
    by_connection = {}
    for call in trace.to_clients:
        if call.name in RECEIVE + SEND:
            by_connection.setdefault(peer_port(call, port),
                                     set()).add(call.thread)
    assert len(by_connection) == 5
    servers = [only for (only,) in by_connection.values()]
    assert not acceptors & set(servers)
    assert threads_of(trace.calls, OPEN) <= set(servers)


def main_never_waits(trace, port):
    """AMPED: one thread does it all but what may wait for a disk, which helpers
    do, and nothing else.  It is the only one of its process, as long as helpers
    are processes and no code has blocked."""
    main = trace.thread("weir:amped")
    assert trace.variant.is_threaded or trace.threads_beside(main) == 1
    for call in trace.to_clients:
        assert call.thread == main, call
    for call in trace.calls:
        if call.thread == main and call.name in OPEN:
            assert "RESOLVE_CACHED" in call.args, call
    helpers = {thread for thread, name in trace.names.items()
               if name.startswith("weir:helper")}
    assert threads_of(trace.calls, OPEN) - {main} <= helpers


def io_thread_shuffles(trace, port):
    """Hybrid: one thread accepts, and opens nothing; workers open, and send
    what goes at once, unless all is handed over; each reads, or none does."""
    io = trace.thread("weir:io")
    workers = {thread for thread, name in trace.names.items()
               if name.startswith("weir:worker")}
    assert threads_of(trace.calls, ACCEPT) == {io}
    assert threads_of(trace.calls, OPEN) <= workers
    senders = threads_of(trace.to_clients, SEND)
    assert senders <= workers | {io}
    if "HandOver always" in trace.variant.directives:
        assert senders == {io}
    else:
        assert senders & workers
    if "TaskStart readable" not in trace.variant.directives:
        assert io in threads_of(trace.to_clients, RECEIVE)


def kernel_does_it(trace, port):
    """Proactor: one thread asks by the ring.  Nothing is accepted, received or
    sent by a call, and none that may wait opens a file in this thread."""
    main = trace.thread("weir:proactor")
    assert main in threads_of(trace.calls, ("io_uring_enter",))
    assert not threads_of(trace.calls, ACCEPT)
    assert not threads_of(trace.to_clients, RECEIVE + SEND)
    for call in trace.calls:
        if call.thread == main and call.name in OPEN:
            assert "RESOLVE_CACHED" in call.args, call


ROLES = {"sped": one_thread_does_it_all, "mt": who_accepts_answers,
         "mp": who_accepts_answers, "amped": main_never_waits,
         "hybrid": io_thread_shuffles, "proactor": kernel_does_it,
         "mp-fork": one_accepts_others_answer,
         "mt-apart": one_accepts_others_answer}


def test_who_does_what(weir, install, variant, mpm):
    if mpm not in ROLES:
        pytest.skip(f"not of {mpm}")
    if install.is_sanitized:
        pytest.skip("a sanitizer has threads of its own")
    server = weir(CONFIG)
    server.put("big", BIG)
    serve_a_few(server)
    with Trace(server) as trace:
        serve_a_few(server)
        serve_one_from_a_slow_disk(server)
    trace.variant = variant
    trace.to_clients = [call for call in trace.calls
                        if peer_port(call, server.port)]
    ROLES.get(variant.name, ROLES[mpm])(trace, server.port)


READERS = 500


def test_slow_readers_hold_no_worker(weir, mpm):
    """Hybrid: what clients take slowly, the I/O thread sends."""
    if mpm != "hybrid":
        pytest.skip("of hybrid")
    server = weir("""
Processes 1
Timeout 300
SendBufferSize 32768
<MPM hybrid>
    ThreadsPerChild 4
</MPM>
""")
    server.put("big", BIG * 4)
    clients = []
    try:
        for _ in range(READERS):
            clients.append(server.connect(deadline=60, rcvbuf=4096))
            clients[-1].request("GET", "/big")
        wait_until_asleep(server, *[c.sock for c in clients])
        before = bytes_sent(server)
        # All but the worker that makes the page wait for something to do, once
        # the line of the page before it is written.
        wait_for(lambda: busy_workers(server) <= 1, what="idle workers")
        for c in clients[:8]:
            c.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
            assert c.read_response().body == BIG * 4
        after = bytes_sent(server)
    finally:
        for c in clients:
            c.close()
    assert after["io"] - before["io"] > 7 * len(BIG) * 4
    assert after["worker"] - before["worker"] < len(BIG)


def busy_workers(server):
    return sum(t["state"] == "busy" for t in server.status()["threads"]
               if t["role"].startswith("worker"))


def bytes_sent(server):
    return {role["role"]: role["counters"]["bytes_sent"]
            for role in server.status()["roles"]}
