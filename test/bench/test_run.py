"""weir-compare as a whole, on a server that is none of ours: what it leaves,
what it says when something is wrong, and that it undoes everything."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

import pytest
from conftest import BENCH

PORT = 18461
TINY = """
title = "Tiny"
question = "Q"
warm = ["page"]
base = "good"
columns = ["page.rate", "cpu_us"]
[documents.page]
count = 2
bytes = 500
[[load]]
name = "page"
documents = ["page"]
connections = "sweep"
[sweep]
name = "clients"
title = "connections"
values = [1, 2]
[full]
seconds = 0.3
repeat = 2
[[plot]]
kind = "lines"
title = "Rate"
measures = ["page.rate"]
[[claim]]
says = "It answers."
holds = "good.page.rate > 0"
"""
SLOW = """
title = "Slow"
question = "Q"
columns = ["cold.rate", "disk_reads_s"]
[documents.cold]
count = 40
bytes = 20000
[disk]
seek_us = 1000
bytes_per_second = 0
heads = 1
memory_mib = 64
image_mib = 16
[[load]]
name = "cold"
documents = ["cold"]
connections = 1
[full]
seconds = 0.5
repeat = 1
[[plot]]
kind = "rows"
title = "Rate"
measures = ["cold.rate"]
[[claim]]
says = "It answers."
holds = "good.cold.rate > 0"
"""


@pytest.fixture
def place(tmp_path):
    """A fake installation and experiments."""
    sbin = tmp_path / "prefix" / "sbin"
    sbin.mkdir(parents=True)
    shutil.copy(pathlib.Path(__file__).parent / "fake_weir.py",
                sbin / "weir")
    (sbin / "weir").chmod(0o755)
    (tmp_path / "tiny.toml").write_text(TINY)
    (tmp_path / "slow.toml").write_text(SLOW)
    return tmp_path


def command(place, *arguments):
    return [sys.executable, BENCH / "weir-compare", *arguments, "--weir",
            place / "prefix", "--out", place / "out", "--port", str(PORT)]


def compare(place, *arguments):
    """@return (status, what was printed, the results)."""
    done = subprocess.run(
        command(place, *arguments), check=False, timeout=120, cwd=place,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    path = place / "out" / "results.json"
    found = json.loads(path.read_text()) if path.exists() else None
    return done.returncode, done.stdout, found


def test_a_run_from_start_to_end(place):
    status, said, found = compare(place, "run", "tiny.toml", "--mpm", "good")
    assert status == 0, said
    assert len(found["runs"]) == 4 and all(r["ok"] for r in found["runs"])
    assert all(r["measures"]["page.rate"] > 0 for r in found["runs"])
    assert all(r["measures"]["page.errors"] == 0 for r in found["runs"])
    assert "holds: It answers." in said and "[4/4]" in said
    text = (place / "out" / "index.html").read_text()
    assert "Tiny" in text and "<polyline" in text
    assert "DocumentRoot" in text and "tiny.toml" in text


def test_a_server_that_dies_costs_its_own_runs_only(place):
    status, said, found = compare(place, "run", "tiny.toml", "--seconds",
                                  "1.2", "--clients", "1")
    assert status == 1
    by = {name: [r for r in found["runs"] if r["server"] == name]
          for name in ("good", "frail")}
    assert all(r["ok"] for r in by["good"]) and len(by["good"]) == 2
    assert not any(r["ok"] for r in by["frail"]) and by["frail"]
    assert "frail has had enough" in by["frail"][0]["trouble"]
    assert "2 of 4 runs failed" in said
    assert "frail has had enough" in (place / "out" / "index.html"
                                      ).read_text()


@pytest.mark.parametrize("arguments, why", [
    (["run", "tiyn"], "there is no experiment tiyn"),
    (["run", "tiny.toml", "--mpm", "goud"], "did you mean good"),
    (["run", "tiny.toml", "--with", "ngingx"], "did you mean nginx"),
    (["run", "tiny.toml", "--pool", "mt=3"], "not among those that run"),
    (["run", "tiny.toml", "--clients", "0"], "no number from 1 on"),
    (["run", "tiny.toml", "--seconds", "x"], "seconds are from"),
    (["run"], "EXPERIMENT"),
    (["walk"], "invalid choice"),
])
def test_bad_words_are_answered(place, arguments, why):
    status, said, found = compare(place, *arguments)
    assert status == 2 and why in said and found is None
    assert "Traceback" not in said


def test_a_taken_port_is_said(place):
    with socket.create_server(("127.0.0.1", PORT)):
        status, said, _ = compare(place, "run", "tiny.toml")
    assert status == 2 and f"port {PORT} is taken" in said


def test_too_few_descriptors_cost_the_run(place):
    """Others are run; the report says which are missing."""
    line = " ".join(f"'{word}'" for word in command(
        place, "run", "tiny.toml", "--mpm", "good", "--clients", "1,150",
        "--repeat", "1"))
    done = subprocess.run(
        ["sh", "-c", f"ulimit -n 200; exec {line}"], check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
        stderr=subprocess.STDOUT, timeout=60, cwd=place)
    found = json.loads((place / "out" / "results.json").read_text())
    assert done.returncode == 1, done.stdout
    assert [r["ok"] for r in found["runs"]] == [True, False]
    assert "descriptors" in found["runs"][1]["trouble"]


def traces(place, pid):
    """All that a run of a process may have left on the machine; what it makes
    lies below place, or bears its number."""
    mounts = pathlib.Path("/proc/mounts").read_text()
    groups = [p for root in ("/sys/fs/cgroup/memory", "/sys/fs/cgroup")
              for p in pathlib.Path(root).glob(f"weir-compare-{pid}")]
    loops = [p for p in pathlib.Path("/sys/block").glob(
        "loop*/loop/backing_file") if str(place) in p.read_text()]
    return (["mount"] * mounts.count(str(place)) + groups + loops
            + list((place / "tmp").iterdir()))


def start(place, name):
    """A run of a minute, when its server is there."""
    (place / "tmp").mkdir()
    process = subprocess.Popen(
        command(place, "run", f"{name}.toml", "--mpm", "good", "--seconds",
                "60"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, cwd=place,
        start_new_session=True, env={**os.environ,
                                     "TMPDIR": str(place / "tmp")})
    wait_until(lambda: any("weir.conf" in p for p in processes(place))
               or process.poll() is not None, "no server was started")
    assert process.poll() is None, process.communicate()[0]
    return process


needs_disk = pytest.mark.skipif(
    os.geteuid() != 0 or not os.path.exists("/dev/loop-control")
    or not os.path.exists("/dev/fuse") or not shutil.which("pkg-config")
    or subprocess.run(["pkg-config", "fuse3"], check=False).returncode != 0,
    reason="needs root, loop devices and FUSE 3")


def processes(place):
    """Those that have to do with a place."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if str(place) in text:
            found.append(text)
    return found


def wait_until(true, what):
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


@pytest.mark.parametrize("name, number", [
    ("tiny", signal.SIGINT), ("tiny", signal.SIGTERM),
    pytest.param("slow", signal.SIGINT, marks=needs_disk)])
def test_an_interrupted_run_undoes_everything(place, name, number):
    process = start(place, name)
    os.killpg(process.pid, number)  # as the terminal does it
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert f"Stopped by {number.name}" in said, said
    assert processes(place) == [] and traces(place, process.pid) == []
    assert (place / "out" / "index.html").exists()


@needs_disk
def test_a_killed_run_leaves_no_mount_and_no_process(place):
    process = start(place, "slow")
    assert [t for t in traces(place, process.pid) if t != "mount"]
    process.kill()
    process.communicate(timeout=30)
    wait_until(lambda: processes(place) == [], "processes are left")
    # What no name space can take back: a folder, and the empty cgroup.
    for path in traces(place, process.pid):
        if path.parts[1] == "sys":
            wait_until(lambda path=path: remove(path), "the cgroup is left")
        else:
            assert path.parent == place / "tmp", path


def remove(path):
    try:
        path.rmdir()
    except OSError:
        return False
    return True


def test_unsuitable_disks_are_left_out_with_a_word(place):
    status, said, found = compare(place, "run", "slow.toml", "--mpm", "good",
                                  "--disk", "delay")
    assert status == 0 and "slow is left out" in said
    assert "mod_delay" in said
    assert found["missing"][0]["what"] == "slow"
