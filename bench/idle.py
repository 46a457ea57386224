#!/usr/bin/env python3
"""idle.py - user memory of an idle kept-alive connection.

    bench/idle.py --weir PREFIX [--mpm sped,hybrid] [--connections 10000]

Each server answers one request on each of so many connections, which then stay
open; what its processes' proportional share of memory (PSS) has grown by
meanwhile is divided by their number.  nginx, if it is there, likewise.  Kernel
memory is not in it.
"""

import argparse
import pathlib
import re
import resource
import shutil
import socket
import tempfile

import cpu

WARM_UP = 50


def pss_kib(pids):
    total = 0
    for pid in pids:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])
    return total


def connect():
    s = socket.create_connection(("127.0.0.1", cpu.PORT))
    s.sendall(b"GET /1k.html HTTP/1.1\r\nHost: a\r\n\r\n")
    data = b""
    while len(data.partition(b"\r\n\r\n")[2]) < 1024:
        piece = s.recv(65536)
        if not piece:
            raise SystemExit("a server has closed a connection")
        data += piece
    return s


def measure(server, count):
    try:
        warm = [connect() for _ in range(WARM_UP)]
        pids = cpu.children_of(server.process.pid)
        before = pss_kib(pids)
        idle = [connect() for _ in range(count)]
        after = pss_kib(pids)
        for s in warm + idle:
            s.close()
    finally:
        server.stop()
    return before, (after - before) * 1024 / count


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weir", required=True, help="installed prefix")
    parser.add_argument("--mpm", default="sped,hybrid,proactor")
    parser.add_argument("--connections", type=int, default=10000)
    opts = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    work = cpu.WORKLOADS["small"]
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        root.chmod(0o755)
        cpu.make_files(root)
        print(f"{opts.connections} connections\n"
              f"    {'server':12} {'PSS before':>12} {'a connection':>14}")
        for mpm in opts.mpm.split(","):
            server = cpu.start_weir(opts, root, mpm, work)
            before, each = measure(server, opts.connections)
            print(f"    {mpm:12} {before:8} KiB {each:10.0f} B")
        if shutil.which("nginx"):
            before, each = measure(cpu.start_nginx(root, work),
                                   opts.connections)
            print(f"    {'nginx':12} {before:8} KiB {each:10.0f} B")


if __name__ == "__main__":
    main()
