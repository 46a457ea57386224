"""What is read of the server and the machine before and after a load."""

import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time

from . import machine, servers

TICK = os.sysconf("SC_CLK_TCK")
# Threads that serve many connections each: when one sleeps, all of them wait.
LOOPS = ("sped", "amped", "io", "proactor")
# Measure, the board's sum of waits, and what it is divided by.
WAITS = (("helper_wait_ms", "helper_wait_ns", "helper_jobs"),
         ("task_wait_ms", "tasks_waited_ns", "tasks"))


def cpu_ns(pid):
    """Time on a processor that a process has had, in nanoseconds, with that of
    its threads that have ended, and of children that it has waited for."""
    try:
        # The clock of clock_getcpuclockid(3).
        own = time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        return 0
    fields = stat_fields(pid)
    waited = int(fields[13]) + int(fields[14]) if fields else 0
    return own + waited * 1000000000 // TICK


def stat_fields(pid):
    """Of /proc/PID/stat, from the state on; [] if there is no such."""
    return machine.read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def tasks(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def switches(pids):
    """{(process, thread): [voluntary, involuntary context switches]}."""
    found = {}
    for pid in pids:
        for task in tasks(pid):
            text = machine.read(f"/proc/{pid}/task/{task}/status")
            found[pid, task] = [
                int(number.group(1)) if number else 0 for number in
                (re.search(rf"^{name}_ctxt_switches:\s*(\d+)", text, re.M)
                 for name in ("voluntary", "nonvoluntary"))]
    return found


def faults(pids):
    """{process: [minor, major page faults]}."""
    found = {}
    for pid in pids:
        fields = stat_fields(pid)
        if fields:
            found[pid] = [int(fields[7]), int(fields[9])]
    return found


def grown(before, after):
    """How much pairs have grown, of all that are there afterwards; what has
    ended meanwhile is not known."""
    return [sum(pair[i] - before.get(key, (0, 0))[i]
                for key, pair in after.items()) for i in (0, 1)]


def pss_kib(pids):
    total = 0
    for pid in pids:
        text = machine.read(f"/proc/{pid}/smaps_rollup")
        found = re.search(r"^Pss:\s+(\d+)", text, re.M)
        total += int(found.group(1)) if found else 0
    return total


def busy_s():
    """Time that all processors were busy or stolen, in seconds."""
    fields = [int(n) for n in machine.read("/proc/stat").split("\n")[0]
              .split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / TICK


def scoreboard(port):
    """What mod_status tells in JSON; {} where it is not there."""
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as s:
            s.settimeout(2)
            s.sendall(f"GET {servers.STATUS_URL} HTTP/1.0\r\n"
                      "Host: localhost\r\n\r\n".encode())
            data = b""
            while piece := s.recv(65536):
                data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        return json.loads(body) if b" 200 " in head[:20] else {}
    except (OSError, ValueError):
        return {}


def board_counters(board):
    """What only grows, of all threads together, by the names of wr_board.h,
    and the time in microseconds."""
    gauges = {one["name"] for one in board.get("counter_infos", [])
              if one["kind"] == "gauge"}
    found = {name: value for name, value in board.get("totals", {}).items()
             if name not in gauges}
    if found:
        found["now_us"] = board["now_us"]
        found["stall_ns"] = sum(
            role["counters"]["blocked_ns"] for role in board["roles"]
            if role["role"] in LOOPS)
    return found


def of_the_board(before, after):
    """Counters per request, and times in milliseconds a second."""
    more = {name: after[name] - before[name] for name in after
            if name in before}
    requests = more.pop("requests", 0)
    seconds = more.pop("now_us", 0) / 1e6
    found = {}
    for name, value in more.items():
        if name.endswith("_ns") and seconds > 0:
            found[f"board.{name[:-3]}_ms_s"] = value / 1e6 / seconds
        elif requests > 0 and not name.endswith("_ns"):
            found[f"board.{name}"] = value / requests
    if "board.stall_ms_s" in found:
        found["stall_ms_s"] = found.pop("board.stall_ms_s")
    for name, waited, count in WAITS:
        if more.get(count, 0) > 0:
            found[name] = more[waited] / 1e6 / more[count]
    return found


class Snapshot:
    """Everything that only grows, at one moment."""

    def __init__(self, running, disk):
        pids = running.pids()
        self.pids = pids
        self.cpu = {pid: cpu_ns(pid) for pid in pids}
        self.switches = switches(pids)
        self.faults = faults(pids)
        self.busy = busy_s()
        self.disk = disk.counters() if disk else {}
        self.time = time.monotonic()


def between(before, after, requests):
    """Measures of the time between two snapshots in which so many requests
    were answered."""
    seconds = max(after.time - before.time, 1e-9)
    cpu = sum(ns - before.cpu.get(pid, 0)
              for pid, ns in after.cpu.items()) / 1e9
    minor, major = grown(before.faults, after.faults)
    switched = sum(grown(before.switches, after.switches))
    found = {
        "cpu_s": cpu,
        "cpu_share": cpu / seconds,
        "faults_minor_s": minor / seconds,
        "faults_major_s": major / seconds,
        "switches_s": switched / seconds,
    }
    if requests:
        found["cpu_us"] = cpu * 1e6 / requests
        found["per_cpu_s"] = requests / cpu if cpu > 0 else 0.0
        found["switches"] = switched / requests
    if "reads" in after.disk:
        reads = after.disk["reads"] - before.disk["reads"]
        found["disk_reads_s"] = reads / seconds
    return found


class Calls:
    """System calls of processes, counted by strace while the context lasts.

    @var counts {name: calls}, afterwards.
    """

    def __init__(self, pids):
        self.pids, self.counts = pids, {}
        self.file = tempfile.NamedTemporaryFile("r")

    @staticmethod
    def can_be():
        return shutil.which("strace") is not None

    def __enter__(self):
        line = ["strace", "-f", "-c", "-U", "name,calls", "-o",
                self.file.name]
        for pid in self.pids:
            line += ["-p", str(pid)]
        self.process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
            preexec_fn=machine.dies_with_us)
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline and not all(
                is_traced(pid) for pid in self.pids if servers.is_alive(pid)):
            time.sleep(0.02)
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.counts = read_calls(pathlib.Path(self.file.name).read_text())
        self.file.close()


def is_traced(pid):
    return all(re.search(r"^TracerPid:\s*[1-9]", machine.read(
        f"/proc/{pid}/task/{task}/status"), re.M) for task in tasks(pid))


def read_calls(text):
    """strace's table of names and calls."""
    found = {}
    for line in text.splitlines():
        match = re.match(r"\s*(\w+)\s+(\d+)\s*$", line)
        if match and match.group(1) != "total":
            found[match.group(1)] = int(match.group(2))
    return found
