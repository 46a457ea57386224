"""Raw-socket HTTP/1 client for the tests.

Says exactly the bytes it is given and reads strictly what comes back: a
response that is not well formed fails the test.  Every operation on a socket
has a deadline.  Knows nothing of the server's configuration.
"""

import concurrent.futures
import errno
import re
import select
import socket
import struct
import time

DEADLINE = 10.0  # seconds for one operation, unless told otherwise

STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) ([\t\x20-\x7e]*)\Z")
FIELD_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*"
    rb"([\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?"
    rb"[ \t]*\Z")


class Closed(AssertionError):
    """The server closed where something was still to come."""


class Late(AssertionError):
    """Nothing came before the deadline."""


class Response:
    """A response: status, reason, fields (in order), head and body as bytes.

    complete is False when the connection ended before the body did; only
    read_response(partial=True) gives such a one.
    """

    def __init__(self, head):
        self.head = head
        assert head.endswith(b"\r\n\r\n"), head
        lines = head[:-4].split(b"\r\n")
        for line in lines:
            assert b"\n" not in line and b"\r" not in line, (
                f"bare CR or LF in {line!r}")
        match = STATUS_LINE.match(lines[0])
        assert match, f"bad status line: {lines[0]!r}"
        self.status = int(match.group(1))
        self.reason = match.group(2).decode()
        self.fields = []
        for line in lines[1:]:
            match = FIELD_LINE.match(line)
            assert match, f"bad field line: {line!r}"
            self.fields.append((match.group(1).decode().lower(),
                                (match.group(2) or b"").decode("latin-1")))
        self.body = b""
        self.complete = True

    def all(self, name):
        """All values of a field."""
        return [v for n, v in self.fields if n == name.lower()]

    def get(self, name):
        """The value of a field that may stand there once, or None."""
        values = self.all(name)
        assert len(values) <= 1, f"{name} stands there {len(values)} times"
        return values[0] if values else None

    def __getitem__(self, name):
        value = self.get(name)
        assert value is not None, f"no {name} in {self.head!r}"
        return value

    @property
    def closes(self):
        """Does the response say that the connection ends with it?"""
        return "close" in [t.strip().lower()
                           for v in self.all("connection")
                           for t in v.split(",")]

    def __repr__(self):
        return f"<{self.status} {self.reason}, {len(self.body)} bytes>"


class Client:
    """A connection to the server.  Use it in a with statement."""

    def __init__(self, address, deadline=DEADLINE, rcvbuf=None, sndbuf=None,
                 source=None):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.deadline = deadline
        self.address = address
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.data = b""     # received, not yet given out
        self.is_eof = False
        if rcvbuf is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        if sndbuf is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(deadline)
        if source is not None:
            self.sock.bind(source)
        try:
            self.sock.connect(address)
        except OSError:
            self.sock.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        self.sock.close()

    def reset(self):
        """Close by RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.sock.close()

    def end(self):
        """Send FIN: nothing more will be sent, all will still be read."""
        self.sock.shutdown(socket.SHUT_WR)

    # Sending.

    def send(self, data):
        """Send all of it before the deadline."""
        if isinstance(data, str):
            data = data.encode("latin-1")
        end = time.monotonic() + self.deadline
        view = memoryview(data)
        while view:
            self.sock.settimeout(max(0.001, end - time.monotonic()))
            try:
                view = view[self.sock.send(view):]
            except TimeoutError:
                raise Late(f"{len(view)} bytes could not be sent") from None

    def send_in_pieces(self, data, size=1, pause=0.0):
        """Send it so that no piece is held back to travel with the next."""
        for i in range(0, len(data), size):
            self.send(data[i:i + size])
            if pause:
                time.sleep(pause)

    def request(self, method, target, fields=(), body=b"", version="1.1",
                host="localhost"):
        """Send a well-formed request."""
        self.send(make_request(method, target, fields, body, version, host))

    # Receiving.

    def receive(self, size=65536, end=None):
        """Some bytes more into self.data; False at the end of the stream."""
        if self.is_eof:
            return False
        left = self.deadline if end is None else end - time.monotonic()
        self.sock.settimeout(max(0.001, left))
        try:
            piece = self.sock.recv(size)
        except TimeoutError:
            raise Late(f"nothing came; so far {self.data[-200:]!r}") from None
        if not piece:
            self.is_eof = True
            return False
        self.data += piece
        return True

    def read_until(self, mark):
        """Take what stands up to and including mark."""
        end = time.monotonic() + self.deadline
        while mark not in self.data:
            if not self.receive(end=end):
                raise Closed(f"closed before {mark!r}; got {self.data!r}")
        cut = self.data.index(mark) + len(mark)
        taken, self.data = self.data[:cut], self.data[cut:]
        return taken

    def read_exactly(self, size, piece=65536):
        """Take size bytes."""
        end = time.monotonic() + self.deadline
        parts, have = [self.data[:size]], min(size, len(self.data))
        self.data = self.data[size:]
        while have < size:
            if not self.receive(min(piece, size - have), end):
                self.data = b"".join(parts)
                raise Closed(f"closed after {have} of {size} bytes")
            parts.append(self.data)
            have += len(self.data)
            self.data = b""
        return b"".join(parts)

    def read_head(self):
        """The next response's head; its body stays to be read."""
        return Response(self.read_until(b"\r\n\r\n"))

    def read_response(self, head=False, piece=65536, partial=False):
        """The next response, whole.  head: it answers HEAD."""
        response = self.read_head()
        try:
            self.read_body(response, head, piece)
        except (Closed, ConnectionResetError):
            if not partial:
                raise
            response.body, self.data = self.data, b""
            response.complete = False
        return response

    def read_body(self, response, head=False, piece=65536):
        length = response.get("content-length")
        coding = response.get("transfer-encoding")
        assert length is None or coding is None, "both ways of framing"
        status = response.status
        if head or status < 200 or status in (204, 304):
            return
        if coding is not None:
            assert coding.lower() == "chunked", coding
            response.body = self.read_chunks()
        elif length is not None:
            assert re.fullmatch("[0-9]+", length), length
            response.body = self.read_exactly(int(length), piece)
        else:
            assert response.closes, f"body without end in {response.head!r}"
            response.body = self.read_rest()

    def read_chunks(self):
        parts = []
        while True:
            line = self.read_until(b"\r\n")
            assert re.fullmatch(rb"[0-9A-Fa-f]+(;.*)?\r\n", line), line
            size = int(line.split(b";")[0], 16)
            if size == 0:
                break
            parts.append(self.read_exactly(size))
            assert self.read_exactly(2) == b"\r\n"
        while self.read_until(b"\r\n") != b"\r\n":
            pass
        return b"".join(parts)

    def read_rest(self, reset_is_end=False):
        """All bytes until the server closes."""
        end = time.monotonic() + self.deadline
        try:
            while self.receive(end=end):
                pass
        except ConnectionResetError:
            if not reset_is_end:
                raise
            self.is_eof = True
        taken, self.data = self.data, b""
        return taken

    def expect_close(self, reset_is_end=False):
        """The server closes and has nothing more to say."""
        rest = self.read_rest(reset_is_end)
        assert rest == b"", f"unexpected {rest[:500]!r}"

    def expect_open(self, seconds=0.0):
        """The connection is still there and nothing was said on it."""
        assert self.data == b"", f"unexpected {self.data[:500]!r}"
        if select.select([self.sock], [], [], seconds)[0]:
            try:
                got = self.receive()
            except ConnectionResetError:
                got = False
            assert not got, f"unexpected {self.data[:500]!r}"
            raise Closed("closed, but should be open")

    def expect_served(self, target="/hello.txt"):
        """The connection is good for another request."""
        self.request("GET", target)
        response = self.read_response()
        assert response.status == 200, response.head
        return response

    def tcp_info(self):
        """What the kernel counts, as a dict."""
        raw = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        u32 = struct.unpack_from("=24I", raw, 8)
        info = {"state": raw[0], "unacked": u32[4]}
        if len(raw) >= 160:
            info["bytes_received"] = struct.unpack_from("=Q", raw, 128)[0]
            info["segs_out"], info["segs_in"] = struct.unpack_from(
                "=2I", raw, 136)
            info["data_segs_in"] = struct.unpack_from("=I", raw, 152)[0]
        return info


def make_request(method, target, fields=(), body=b"", version="1.1",
                 host="localhost"):
    """The bytes of a well-formed request; fields: "Name: value" strings."""
    lines = [f"{method} {target} HTTP/{version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines.extend(fields)
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines + ["", ""]).encode("latin-1") + body


def side_by_side(jobs, workers=64):
    """Run functions in threads; their results in order.

    All are run to their end; then the first failure, if any, is raised.
    """
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(job) for job in jobs]
    return [future.result() for future in futures]


def is_refused(address):
    """Does nobody listen there?"""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(DEADLINE)
        return sock.connect_ex(address) == errno.ECONNREFUSED
