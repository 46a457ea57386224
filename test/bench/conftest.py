"""What the tests of bench/ share: its programs, and small servers to load.

Needs no root and no Weir; see bench/README.md.
"""

import json
import pathlib
import shutil
import socket
import subprocess
import sys
import threading

import pytest

BENCH = pathlib.Path(__file__).resolve().parent.parent.parent / "bench"
sys.path.insert(0, str(BENCH))


def compiled(folder, name, *flags):
    """A program of bench/, compiled without a warning."""
    program = folder / name
    subprocess.run(
        ["cc", "-O2", "-Wall", "-Wextra", "-Werror", "-o", program,
         BENCH / f"{name}.c", *flags], check=True)
    return program


@pytest.fixture(scope="session")
def pace(tmp_path_factory):
    """Runs pace to its end; what it says of itself."""
    program = compiled(tmp_path_factory.mktemp("pace"), "pace", "-lm")

    def run(port, urls, *options, tmp=tmp_path_factory.mktemp("urls")):
        path = tmp / "urls"
        path.write_text("".join(f"{url}\n" for url in urls))
        done = subprocess.run(
            [program, "-p", str(port), "-f", path, *map(str, options)],
            stdout=subprocess.PIPE, check=True, timeout=60)
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def slowfs_program(tmp_path_factory):
    found = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "fuse3"], check=False,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) \
        if shutil.which("pkg-config") else None
    if not found or found.returncode != 0:
        pytest.skip("libfuse3-dev is not there")
    return compiled(tmp_path_factory.mktemp("slowfs"), "slowfs",
                    *found.stdout.split(), "-lpthread")


class Server:
    """A server whose answers a test decides: answer(server, connection, path)
    is called for each request, in a thread of its connection."""

    def __init__(self, answer):
        self.answer = answer
        self.paths = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(connection,),
                             daemon=True).start()

    def serve(self, connection):
        with connection:
            data = b""
            try:
                while True:
                    head, end, rest = data.partition(b"\r\n\r\n")
                    if end:
                        path = head.split()[1].decode()
                        with self.lock:
                            self.paths.append(path)
                        if self.answer(self, connection, path) == "close":
                            return
                        data = rest
                        continue
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    data += piece
            except OSError:
                return

    def stop(self):
        self.listener.close()


def respond(connection, body=b"hello", status="200 OK", extra=""):
    connection.sendall(
        f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
        .encode() + body)


@pytest.fixture
def server():
    """server(answer) starts one; without answer all get five bytes."""
    started = []

    def start(answer=lambda server, connection, path: respond(connection)):
        started.append(Server(answer))
        return started[-1]

    yield start
    for one in started:
        one.stop()
