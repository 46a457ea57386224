#!/usr/bin/env python3
"""idle.py - idle kept-alive connections: what one costs, and costs others.

    bench/idle.py --weir PREFIX [--mpm sped,hybrid] [--connections 10000]
                  [--active 64] [--rate 4000] [--seconds 5]

Each server answers one request on each of so many connections, which then stay
open.  What its processes' proportional share of memory (PSS) has grown by
meanwhile, divided by their number, is what one costs; kernel memory is not in
it.  Before and after, as many active connections ask at a constant rate (open
loop, counted from the due times): the 99th percentile says what the idle ones
cost them.  A server that takes no more connections stops at a number, which is
printed instead.  nginx, if it is there, likewise.
"""

import argparse
import json
import pathlib
import re
import resource
import shutil
import socket
import subprocess
import tempfile

import cpu

WARM_UP = 50
PATIENCE = 5  # seconds; a connection that is not answered by then is not served


def pss_kib(pids):
    total = 0
    for pid in pids:
        text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+)", text, re.M)[1])
    return total


def connect():
    """A connection that has been answered once, or None."""
    s = socket.create_connection(("127.0.0.1", cpu.PORT))
    s.settimeout(PATIENCE)
    s.sendall(b"GET /1k.html HTTP/1.1\r\nHost: a\r\n\r\n")
    data = b""
    while len(data.partition(b"\r\n\r\n")[2]) < 1024:
        try:
            piece = s.recv(65536)
        except TimeoutError:
            s.close()
            return None
        if not piece:
            raise SystemExit("a server has closed a connection")
        data += piece
    return s


def connect_all(count):
    """So many connections, or as many as are served."""
    found = []
    while len(found) < count:
        s = connect()
        if s is None:
            break
        found.append(s)
    return found


def p99_us(opts, root):
    """Of the active connections."""
    out = subprocess.run(
        ["taskset", "-c", "1", str(root / "hammer"), "-c", str(opts.active),
         "-r", str(opts.rate), "-w", "1", "-d", str(opts.seconds),
         str(cpu.PORT), "/1k.html"],
        capture_output=True, text=True, check=True)
    result = json.loads(out.stdout)
    if result["errors"] or result["unsent"]:
        print(f"    {result['errors']} errors, {result['unsent']} not sent")
    return result["p99"]


def measure(opts, root, server):
    """The figures of a server, as the words of a line."""
    try:
        alone = p99_us(opts, root)
        warm = connect_all(WARM_UP)
        pids = cpu.children_of(server.process.pid)
        before = pss_kib(pids)
        idle = connect_all(opts.connections)
        after = pss_kib(pids)
        try:
            if len(idle) < opts.connections:
                return (f"{before:8} KiB  stops at "
                        f"{len(warm) + len(idle)} connections")
            each = (after - before) * 1024 / opts.connections
            return (f"{before:8} KiB {each:10.0f} B {alone:10.0f} us "
                    f"{p99_us(opts, root):10.0f} us")
        finally:
            for s in warm + idle:
                s.close()
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weir", required=True, help="installed prefix")
    parser.add_argument("--mpm", default="sped,amped,hybrid,proactor,mt,mp")
    parser.add_argument("--connections", type=int, default=10000)
    parser.add_argument("--active", type=int, default=64)
    parser.add_argument("--rate", type=int, default=4000,
                        help="requests a second of the active ones together")
    parser.add_argument("--seconds", type=float, default=5)
    opts = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    work = cpu.WORKLOADS["small"]
    servers = opts.mpm.split(",") + (["nginx"] if shutil.which("nginx") else [])
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        root.chmod(0o755)
        cpu.build(root)
        cpu.make_files(root)
        print(f"{opts.connections} idle connections; {opts.active} active, "
              f"{opts.rate} requests a second\n"
              f"    {'server':12} {'PSS before':>12} {'an idle one':>12} "
              f"{'p99 alone':>13} {'p99 beside':>13}")
        for mpm in servers:
            server = (cpu.start_nginx(root, work) if mpm == "nginx"
                      else cpu.start_weir(opts, root, mpm, work))
            print(f"    {mpm:12} {measure(opts, root, server)}", flush=True)


if __name__ == "__main__":
    main()
