"""Clients that ask for more than their share.

A flood sends without a pause, from processes of its own: one thread beside the
test's could not keep a server busy.
"""

import contextlib
import os
import signal
import time

import pytest

LONGEST = 12.0  # seconds that a flood lasts, at most


def in_process(work):
    """Fork a process that does something till it fails, or is killed."""
    pid = os.fork()
    if pid == 0:
        try:
            signal.alarm(30)
            work()
        finally:
            os._exit(0)
    return pid


@contextlib.contextmanager
def flood(server, first, rest):
    """first, then rest again and again, and all is read that comes.

    Gives a function that tells whether the server has ended it.
    """
    with server.connect(deadline=30) as c:
        def send():
            c.sock.setblocking(True)
            c.sock.sendall(first)
            while True:
                c.sock.sendall(rest)

        def read():
            c.sock.setblocking(True)
            while c.sock.recv(1 << 20):
                pass

        pids = [in_process(read), in_process(send)]
        gone = []

        def has_ended():
            if not gone and os.waitpid(pids[1], os.WNOHANG)[0]:
                gone.append(pids.pop())
            return bool(gone)

        try:
            yield has_ended
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


ONE = """
MaxKeepAliveRequests 0
<MPM hybrid>
    ThreadsPerChild 1
</MPM>
"""


def test_flood_after_refusal_ends(weir):
    """Who is told of an error is listened to for a while, and not for ever."""
    server = weir(ONE)
    with flood(server, b"?\r\n\r\n", b"x" * (1 << 20)) as has_ended:
        end = time.monotonic() + LONGEST
        while not has_ended():
            assert time.monotonic() < end
            time.sleep(0.05)


def test_pipelined_flood_lets_others_go_on(weir):
    """A client whose requests never end gets no more than its turn."""
    server = weir(ONE)
    one = b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"
    with flood(server, b"", one * 30000) as has_ended:
        time.sleep(0.3)
        for _ in range(10):
            assert server.get("/none").status == 404
        assert not has_ended()


def test_nobody_without_an_address_is_served(weir):
    """A client that has gone before it is accepted may have no address any
    more: then nothing can be said of what it may ask."""
    server = weir()
    stopped = list(server.children())
    for pid in stopped:
        with contextlib.suppress(ProcessLookupError):  # its client has gone
            os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(5):
            c = server.connect()
            c.send("GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
            c.reset()
    finally:
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    assert server.get("/here").status == 404
    server.stop()
    lines = server.access_lines(1)
    assert all(line.startswith("127.0.0.1 ") for line in lines), lines


@pytest.mark.parametrize("options", ["FollowSymLinks", "SymLinksIfOwnerMatch",
                                     "None"])
def test_name_too_long_is_no_shorter_one(weir, options):
    """Else what lies in a directory had a second name, for which its
    <Directory> does not hold."""
    server = weir(f'<Directory "@WWW@">\nOptions {options}\n</Directory>')
    long = "n" * 255
    server.put(f"{long}/file.txt", "inside")
    server.put("f" * 255, "beside")
    assert server.get(f"/{long}/file.txt").status == 200
    assert server.get(f"/{long}file.txt").status == 404
    assert server.get("/" + "f" * 255).status == 200
    assert server.get("/" + "f" * 256).status == 404
