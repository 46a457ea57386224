#!/usr/bin/env python3
"""cpu.py - CPU time per request, Weir's MPMs beside nginx and the limit.

    bench/cpu.py --weir PREFIX [--mpm sped,mt,hybrid,proactor] [--rounds 5]
                 [--seconds 2] [WORKLOAD ...]

Each round runs every server once on every workload, one after the other, so
that a machine whose speed drifts treats all alike; ratios are taken within a
round, and medians over the rounds are printed.  CPU time is that of all
processes of the server (user and system), with their threads that have ended,
over the measured requests.  Server on the first CPU, load on the second.

An MPM may be a variant of one as test/run/variants.py names it, as in
--mpm hybrid,hybrid-readable,hybrid-always,hybrid-readable-always.

As root it runs in a network namespace of its own, with reno for congestion
control (bbr paces loopback); otherwise it says that it does not.  Needs cc;
nginx if it is to be compared with.  Everything that it starts, it ends.
"""

import argparse
import json
import os
import pathlib
import pwd
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(
    0, str(pathlib.Path(__file__).resolve().parent.parent / "test" / "run"))
import variants  # noqa: E402

from weircompare import measures  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
PORT = 18200
MANY = 10000  # files of the workload of that name, asked for by Zipf
MANY_NAME = "f00000.html"

# name: (file, bytes, connections, depth, log, a connection a request)
WORKLOADS = {
    "small": ("1k.html", 1024, 64, 1, True, False),
    "small-nolog": ("1k.html", 1024, 64, 1, False, False),
    "pipelined": ("1k.html", 1024, 64, 16, False, False),
    "pipelined-log": ("1k.html", 1024, 64, 16, True, False),
    "10k": ("10k.html", 10240, 64, 1, True, False),
    "100k": ("100k.html", 102400, 64, 1, True, False),
    "1m": ("1m.html", 1 << 20, 16, 1, True, False),
    "10m": ("10m.html", 10 << 20, 16, 1, True, False),
    "many": (MANY_NAME, 1024, 64, 1, True, False),
    "close": ("1k.html", 1024, 64, 1, True, True),
    "conns": ("1k.html", 1024, 4096, 1, True, False),
}

WEIR_CONF = """\
ServerRoot {dir}
ServerName localhost
Listen 127.0.0.1:{port}
ListenBacklog 8192
PidFile {dir}/weir.pid
ErrorLog {dir}/weir.err
LoadModule mime_module modules/mod_mime.so
LoadModule dir_module modules/mod_dir.so
LoadModule log_config_module modules/mod_log_config.so
LoadModule authz_core_module modules/mod_authz_core.so
MPM {mpm}
DocumentRoot {dir}/www
DirectoryIndex index.html
MaxKeepAliveRequests 0
KeepAliveTimeout 60
{log}
<MPM mt>
    ThreadsPerChild {threads}
    MinSpareThreads {threads}
    MaxSpareThreads {threads}
</MPM>
"""

NGINX_CONF = """\
daemon off; worker_processes 1; user {user};
pid {dir}/nginx.pid; error_log {dir}/nginx.err;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; use epoll; multi_accept on; }}
http {{
    types {{ text/html html; }} default_type application/octet-stream;
    {log} sendfile on; tcp_nopush on;
    open_file_cache max=20000 inactive=60s; open_file_cache_valid 60s;
    keepalive_timeout 65; keepalive_requests 1000000000;
    client_body_temp_path {dir}/n1; proxy_temp_path {dir}/n2;
    fastcgi_temp_path {dir}/n3; uwsgi_temp_path {dir}/n4;
    scgi_temp_path {dir}/n5;
    server {{ listen 127.0.0.1:{port} backlog=8192; root {dir}/www; }}
}}
"""


def in_own_network():
    """Run again in a network namespace, if that can be had."""
    if os.environ.get("WEIR_BENCH_NETNS") or os.geteuid() != 0:
        return
    if not shutil.which("unshare") or not shutil.which("ip"):
        return
    setup = (
        "ip link set lo up;"
        "echo reno >/proc/sys/net/ipv4/tcp_congestion_control;"
        "echo 16384 >/proc/sys/net/core/somaxconn;"
        'exec "$@"'
    )
    os.environ["WEIR_BENCH_NETNS"] = "1"
    os.execvp(
        "unshare",
        ["unshare", "-n", "sh", "-c", setup, "sh", sys.executable]
        + sys.argv,
    )


def children_of(pid):
    """pid and all its descendants."""
    found = [pid]
    for one in found:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                path = f"/proc/{one}/task/{task}/children"
                found += [int(x) for x in open(path).read().split()]
        except OSError:
            pass
    return found


def wait_for_port(process):
    for _ in range(200):
        if process.poll() is not None:
            sys.exit(f"a server has ended at its start: {process.args}")
        with socket.socket() as s:
            if s.connect_ex(("127.0.0.1", PORT)) == 0:
                return
        time.sleep(0.05)
    sys.exit(f"a server does not answer: {process.args}")


class Server:
    """A server that runs for one measurement."""

    def __init__(self, args, root):
        self.process = subprocess.Popen(
            ["taskset", "-c", "0"] + args,
            stdout=open(root / "server.out", "ab"),
            stderr=subprocess.STDOUT,
        )
        wait_for_port(self.process)

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=20)


def start_weir(opts, root, mpm, work):
    variant = variants.named(mpm)
    conf = root / "weir.conf"
    log = f"CustomLog {root}/weir.log combined" if work[4] else ""
    conf.write_text(
        WEIR_CONF.format(
            dir=root, port=PORT, mpm=variant.mpm, log=log,
            threads=max(64, work[2])
        )
    )
    return Server(
        [f"{opts.weir}/sbin/weir", "-f", str(conf), "-DFOREGROUND",
         *variants.arguments(variant)], root
    )


def start_nginx(root, work):
    conf = root / "nginx.conf"
    log = (
        f"access_log {root}/nginx.log combined buffer=64k flush=1s;"
        if work[4]
        else "access_log off;"
    )
    user = pwd.getpwuid(os.geteuid()).pw_name
    conf.write_text(
        NGINX_CONF.format(dir=root, port=PORT, log=log, user=user)
    )
    return Server(["nginx", "-c", str(conf)], root)


def start_floor(root, work):
    args = [str(root / "floor"), str(PORT), str(work[1]), "mem"]
    return Server(args + (["close"] if work[5] else []), root)


def measure(opts, root, server, work):
    """One run.  @return (CPU microseconds a request, requests a second)."""
    load = [
        "taskset",
        "-c",
        "1",
        str(root / "hammer"),
        "-c",
        str(work[2]),
        "-p",
        str(work[3]),
        "-w",
        "0",
        "-d",
        str(opts.seconds),
    ]
    load += ["-x"] if work[5] else []
    if work[0] == MANY_NAME:
        load += ["-f", str(root / "list")]
    load += [str(PORT), f"/{work[0]}"]
    before = sum(map(measures.cpu_ns, children_of(server.process.pid)))
    out = subprocess.run(load, capture_output=True, text=True, check=True)
    # Some are born late.
    after = sum(map(measures.cpu_ns, children_of(server.process.pid)))
    result = json.loads(out.stdout)
    if result["errors"]:
        print(f"    {result['errors']} errors", file=sys.stderr)
    return (after - before) / 1000 / result["requests"], result["rps"]


def build(root):
    for name in ("hammer", "floor"):
        subprocess.run(
            ["cc", "-O2", "-o", str(root / name), str(HERE / f"{name}.c")],
            check=True,
        )


def make_files(root):
    (root / "www").mkdir()
    for name, size, *_ in WORKLOADS.values():
        (root / "www" / name).write_bytes(b"x" * size)
    for i in range(MANY):
        (root / "www" / f"f{i:05}.html").write_bytes(b"x" * 1024)
    for path in (root / "www").iterdir():
        os.utime(path, (1000000000, 1000000000))  # headers of one length
    draw = random.Random(1)
    names = draw.choices(range(MANY), [1 / (i + 1) for i in range(MANY)],
                         k=200000)
    (root / "list").write_text("".join(f"/f{i:05}.html\n" for i in names))


def run_round(opts, root, work, servers):
    figures = {}
    for name in servers:
        if name == "nginx":
            server = start_nginx(root, work)
        elif name == "floor":
            server = start_floor(root, work)
        else:
            server = start_weir(opts, root, name, work)
        try:
            figures[name] = measure(opts, root, server, work)
        finally:
            server.stop()
    return figures


def report(name, rounds, servers, base):
    print(f"\n{name}")
    print(f"    {'server':22} {'us/request':>10} {'spread':>15} "
          f"{'requests/s':>11} {'of ' + base:>9}")
    for server in servers:
        cpu = [r[server][0] for r in rounds]
        rps = statistics.median(r[server][1] for r in rounds)
        ratio = statistics.median(r[server][0] / r[base][0] for r in rounds)
        print(f"    {server:22} {statistics.median(cpu):10.2f} "
              f"{min(cpu):7.2f}-{max(cpu):7.2f} {rps:11.0f} {ratio:9.2f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--weir", required=True, help="installed prefix")
    parser.add_argument("--mpm", default="sped,mt,hybrid,proactor")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("workload", nargs="*", default=["small", "pipelined"])
    opts = parser.parse_args()
    unknown = set(opts.workload) - set(WORKLOADS)
    if unknown:
        parser.error(f"no such workload: {' '.join(unknown)}; there are "
                     f"{' '.join(WORKLOADS)}")
    in_own_network()
    servers = opts.mpm.split(",")
    servers += ["nginx"] if shutil.which("nginx") else []
    servers += ["floor"]
    base = "nginx" if "nginx" in servers else "floor"
    own = "of its own" if os.environ.get("WEIR_BENCH_NETNS") else "the host's"
    print(f"{opts.rounds} rounds of {opts.seconds:g} s, network {own}")
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        root.chmod(0o755)
        build(root)
        make_files(root)
        for workload in opts.workload:
            rounds = []
            for i in range(opts.rounds):
                print(f"{workload}: round {i + 1}", file=sys.stderr)
                rounds.append(
                    run_round(opts, root, WORKLOADS[workload], servers)
                )
            report(workload, rounds, servers, base)


if __name__ == "__main__":
    main()
