"""The machine: what it is, and a corner of it for us alone.

As root a network and a mount namespace of our own are entered: reno instead of
bbr, which paces the loopback interface; and mounts that nobody else sees and
that are gone when we are, however that comes about.
"""

import contextlib
import ctypes
import os
import pathlib
import platform
import re
import resource
import shutil
import signal
import subprocess

from .trouble import Interrupted

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_REC, MS_PRIVATE = 0x4000, 1 << 18
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LIBC = ctypes.CDLL(None, use_errno=True)
SYSCTL = {
    "net/ipv4/tcp_congestion_control": "reno",
    "net/core/somaxconn": "16384",
}


def read(path, default=""):
    try:
        return pathlib.Path(path).read_text().strip()
    except OSError:
        return default


def seclude():
    """Enter namespaces of our own.  @return whether that was possible."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        return False
    if LIBC.unshare(CLONE_NEWNS | CLONE_NEWNET) != 0:
        return False
    LIBC.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    for name, value in SYSCTL.items():
        with contextlib.suppress(OSError):
            pathlib.Path("/proc/sys", name).write_text(value)
    return True


def adopt_orphans():
    """Processes whose parents have ended become ours, so that we see them."""
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def dies_with_us():
    """Called in a new child: a signal comes if its parent dies."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def on_signals_undo():
    """SIGINT, SIGTERM and SIGHUP raise Interrupted, once."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(number, _frame):
        for one in numbers:
            signal.signal(one, signal.SIG_IGN)
        raise Interrupted(signal.Signals(number).name)

    for one in numbers:
        signal.signal(one, interrupt)


def raise_descriptors():
    """The soft limit to the hard one.  @return it."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def processors():
    return sorted(os.sched_getaffinity(0))


def version_of(command, pattern=r"(\d+(?:\.\d+)+\S*)"):
    """The version that a command tells, or None where there is no such."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, check=False,
                              stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.STDOUT, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(pattern, done.stdout)
    return found.group(1) if found else None


def describe(is_secluded):
    """What a report says of the machine."""
    model = re.search(r"^model name\s*:\s*(.*)$", read("/proc/cpuinfo"), re.M)
    memory = re.search(r"^MemTotal:\s*(\d+)", read("/proc/meminfo"), re.M)
    system = re.search(r'^PRETTY_NAME="?([^"\n]*)',
                       read("/etc/os-release"), re.M)
    return {
        "processors": f"{len(processors())} x "
                      f"{model.group(1) if model else platform.machine()}",
        "memory_mib": int(memory.group(1)) // 1024 if memory else 0,
        "kernel": platform.release(),
        "system": system.group(1) if system else platform.system(),
        "congestion_control":
            read("/proc/sys/net/ipv4/tcp_congestion_control"),
        "network": "a namespace of its own" if is_secluded
                   else "the machine's (bbr, if that is set, paces large "
                        "files on loopback)",
        "load_before": read("/proc/loadavg").split()[:3],
        "compiler": version_of(["cc", "--version"]) or "none",
    }
