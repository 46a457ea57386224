"""Clients that go: FIN, reset, in every state; and segments as TCP counts."""

import socket
import struct
import time

import pytest

import tree
from client import make_request, side_by_side

BIG = tree.content(10 << 20)


@pytest.mark.parametrize("size", [0, 1024, 102400, 1 << 20, 10 << 20])
def test_half_closed_client_gets_all(site, size):
    with site.connect() as c:
        c.request("GET", f"/{size}.bin")
        c.end()
        assert c.read_response().body == tree.content(size)
        c.expect_close()


def test_half_closed_slow_client_gets_all(site):
    with site.connect(rcvbuf=4096) as c:
        c.request("GET", "/1048576.bin")
        c.end()
        time.sleep(0.1)
        assert c.read_response(piece=4000).body == tree.content(1 << 20)
        c.expect_close()


@pytest.mark.parametrize("part", [
    b"", b"G", b"GET /hello.txt", b"GET /hello.txt HTTP/1.1\r\n",
    b"GET /hello.txt HTTP/1.1\r\nHost: localhost\r\n", b"\r\n"])
def test_half_closed_within_a_head(site, part):
    """Nothing to answer: the server closes and does not wait."""
    with site.connect(deadline=3) as c:
        if part:
            c.send(part)
        c.end()
        rest = c.read_rest()
        assert rest == b"" or rest.startswith((b"HTTP/1.1 400 ",
                                               b"HTTP/1.1 408 "))


def test_half_closed_after_keep_alive(site):
    with site.connect() as c:
        c.expect_served()
        c.end()
        c.expect_close()


def test_reset_in_every_state(site):
    """The server lives on and serves others right."""
    request = make_request("GET", "/10485760.bin")
    whole = request + make_request("GET", "/hello.txt") * 20

    def reset_after(data, read):
        c = site.connect()
        if data:
            c.send(data)
        while len(c.data) < read:
            c.receive()
        c.reset()

    side_by_side(
        [lambda n=n: reset_after(whole[:n], 0) for n in range(0, 130, 3)]
        + [lambda n=n: reset_after(whole, n)
           for n in (1, 100, 1000, 70000, 1 << 20, 5 << 20) * 3]
        + [lambda: reset_after(
            b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\nx", 0)]
        + [lambda: reset_after(
            b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nab", 0)])
    assert site.get("/1048576.bin").body == tree.content(1 << 20)
    assert site.is_running


def test_closed_at_once(site):
    for _ in range(100):
        site.connect().close()
    assert site.get("/hello.txt").body == tree.HELLO


def test_responses_to_a_client_that_is_gone(site):
    """Requests that were read whole when their client had gone."""
    for _ in range(20):
        c = site.connect()
        c.send(make_request("GET", "/65537.bin") * 30)
        c.close()
    assert site.get("/hello.txt").body == tree.HELLO


# Segments.

CLOSE_WAIT = 8  # FIN has come: state as TCP_INFO names it


def wait_for_data(c):
    """The first look at the socket after data came.

    The kernel reads a socket's state before it takes the lock under which it
    reads the counts, so the state is read again.
    """
    end = time.monotonic() + 5
    while time.monotonic() < end:
        if c.tcp_info()["data_segs_in"]:
            return c.tcp_info()
    raise AssertionError("no data")


def need_tcp_info(c):
    if "data_segs_in" not in c.tcp_info():
        pytest.skip("the kernel does not count segments")


@pytest.mark.parametrize("target", ["/1024.bin", "/0.bin", "/hello.txt",
                                    "/16384.bin", "/missing"])
def test_closing_response_is_one_segment(site, target):
    """Header, body and FIN together."""
    for _ in range(10):
        with site.connect() as c:
            need_tcp_info(c)
            before = c.tcp_info()
            c.request("GET", target, ["Connection: close"])
            info = wait_for_data(c)
            assert info["state"] == CLOSE_WAIT, "FIN came apart from the data"
            response = c.read_response()
            c.expect_close()
            info = c.tcp_info()
            assert info["data_segs_in"] == 1
            # besides it, at most the request's acknowledgement
            assert info["segs_in"] - before["segs_in"] <= 2
            assert response.status in (200, 404)


def test_keep_alive_response_is_one_segment(site):
    with site.connect() as c:
        need_tcp_info(c)
        for i in range(1, 11):
            c.request("GET", "/1024.bin")
            c.read_response()
            assert c.tcp_info()["data_segs_in"] == i


def test_pipelined_small_responses_share_segments(site):
    with site.connect() as c:
        need_tcp_info(c)
        c.send(make_request("GET", "/hello.txt") * 16)
        for _ in range(16):
            c.read_response()
        assert c.tcp_info()["data_segs_in"] <= 2


SOL_PACKET, PACKET_IGNORE_OUTGOING, SO_RCVBUFFORCE = 263, 23, 33


class Sniffer:
    """The payloads of the packets that come from a port, on loopback."""

    def __init__(self, port):
        self.port = port
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                  socket.htons(3))
        self.sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.sock.bind(("lo", 0))

    def packets(self, to_port, seconds=1.0):
        """(payload, has FIN) of each packet to a port, until a FIN."""
        found, end = [], time.monotonic() + seconds
        while time.monotonic() < end:
            self.sock.settimeout(max(0.001, end - time.monotonic()))
            try:
                frame = self.sock.recv(1 << 17)
            except TimeoutError:
                break
            ip = frame[14:]
            if ip[0] >> 4 != 4:
                continue
            tcp = ip[(ip[0] & 15) * 4:int.from_bytes(ip[2:4], "big") or None]
            if struct.unpack_from(">2H", tcp) != (self.port, to_port):
                continue
            found.append((tcp[(tcp[12] >> 4) * 4:], bool(tcp[13] & 1)))
            if tcp[13] & 1:
                break
        self.sock.close()
        return found


def sniff(site, target):
    try:
        sniffer = Sniffer(site.port)
    except PermissionError:
        pytest.skip("packets can be looked at by root only")
    with site.connect() as c:
        port = c.sock.getsockname()[1]
        c.request("GET", target, ["Connection: close"])
        c.read_response()
        c.expect_close()
        return [p for p in sniffer.packets(port) if p[0] or p[1]]


def test_closing_response_is_one_packet(site):
    packets = sniff(site, "/1024.bin")
    assert len(packets) == 1
    payload, fin = packets[0]
    assert fin
    assert payload.endswith(b"\r\n\r\n" + tree.content(1024))


@pytest.mark.parametrize("size", [102400, 1 << 20])
def test_first_packet_of_a_large_file_holds_header_and_body(site, size):
    packets = sniff(site, f"/{size}.bin")
    head, _, start = packets[0][0].partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert len(start) > 1000
    assert tree.content(size).startswith(start)
