"""As many connections as may be: those that are kept for a next request make
room for new ones.  Of the MPMs whose threads do not wait for connections."""

import os

import pytest

import tree
from conftest import wait_for

MAX = 8
CONFIG = f"""
Processes 1
MaxConnections {MAX}
KeepAliveTimeout 300
RequestReadTimeout header=300
Timeout 300
SendBufferSize 32768
"""


@pytest.fixture(autouse=True)
def only_with_loops(mpm):
    if mpm not in ("sped", "amped", "hybrid", "proactor"):
        pytest.skip("a thread or a process a connection: there is no room to "
                    "be made in them")


@pytest.fixture
def server(weir):
    server = weir(CONFIG)
    # The connection that asked whether it was ready is gone.
    wait_for(lambda: server.status()["totals"]["connections"] > 0)
    return server


def ask(client):
    client.request("GET", "/hello.txt")
    assert client.read_response().body == tree.HELLO


def kept(server, count):
    """Connections that have been served, the one idle for longest first."""
    clients = [server.connect(deadline=30) for _ in range(count)]
    for c in clients:
        ask(c)
    return clients


def is_there(client):
    client.sock.setblocking(False)
    try:
        return client.sock.recv(1) != b""
    except BlockingIOError:
        return True
    finally:
        client.sock.setblocking(True)
        client.sock.settimeout(30)


def test_the_one_idle_for_longest_goes(server):
    clients = kept(server, MAX)
    ask(clients[0])  # now it is the one idle for the shortest time
    new = server.connect(deadline=30)
    ask(new)
    assert [is_there(c) for c in clients] == [True, False] + [True] * (MAX - 2)
    for c in clients[2:] + clients[:1] + [new]:
        ask(c)
    later = kept(server, 3 * MAX)  # and so on
    assert [is_there(c) for c in later] == [False] * 2 * MAX + [True] * MAX


def test_none_goes_while_there_is_room(server):
    clients = kept(server, MAX - 1)
    ask(server.connect(deadline=30))
    assert all(is_there(c) for c in clients)


def test_who_has_begun_stays(server):
    server.put("big", b"x" * 4000000)
    head, body, reader, silent = [server.connect(deadline=30)
                                  for _ in range(4)]
    ask(head)
    ask(body)
    ask(reader)
    head.send("GET /hello.txt HTTP/1.1\r\nHost: a\r\n")
    body.send("POST /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
              "\r\n")
    assert body.read_response().status == 405
    reader.request("GET", "/big")
    assert reader.receive()
    clients = kept(server, MAX - 3)
    later = [*kept(server, MAX), *kept(server, MAX - 3)]
    assert not any(is_there(c) for c in clients + later[:MAX])
    assert all(is_there(c) for c in later[MAX:])
    head.send("\r\n")
    assert head.read_response().body == tree.HELLO
    body.send("12345")
    ask(body)
    assert len(reader.read_response().body) == 4000000
    silent.close()


def test_without_room_the_next_one_waits(server):
    """And is not refused; nobody burns the processor until then."""
    clients = [server.connect(deadline=30) for _ in range(MAX)]
    for c in clients:
        c.send("GET /hello.txt HTTP/1.1\r\nHost: a\r\n")
    wait_for(lambda: sockets(server) >= MAX)
    new = server.connect(deadline=30)
    new.request("GET", "/hello.txt")
    clients[3].send("\r\n")
    assert clients[3].read_response().body == tree.HELLO
    # Kept now, it makes room.
    assert new.read_response().body == tree.HELLO
    assert not is_there(clients[3])


def sockets(server):
    """How many the server has, its connections and some others."""
    count = 0
    for pid, (_, name) in server.processes().items():
        if name.startswith("weir: "):
            continue
        for fd in os.listdir(f"/proc/{pid}/fd"):
            try:
                count += os.readlink(f"/proc/{pid}/fd/{fd}").startswith(
                    "socket:")
            except OSError:
                pass
    return count
