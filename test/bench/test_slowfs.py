"""slowfs, the disk: what it serves, what it counts, how it ends."""

import concurrent.futures
import json
import os
import pathlib
import subprocess
import time

import pytest


@pytest.fixture
def disk(slowfs_program, tmp_path):
    """disk(options) mounts it; the folders below and above it."""
    mounted = []
    below, above = tmp_path / "below", tmp_path / "above"
    below.mkdir()
    above.mkdir()

    def mount(options):
        process = subprocess.Popen(
            [slowfs_program, "-f", "-o", f"src={below},{options}", above],
            stderr=subprocess.PIPE)
        mounted.append(process)
        for _ in range(500):
            if os.path.ismount(above):
                return below, above
            if process.poll() is not None:
                pytest.skip(process.stderr.read().decode().strip())
            time.sleep(0.01)
        raise AssertionError("it is not mounted")

    yield mount
    for process in mounted:
        process.terminate()
        if process.wait(timeout=20) == 0:
            assert not os.path.ismount(above)


def counters(above):
    return json.loads((above / ".slowfs").read_text())


def evict(path):
    with open(path, "rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def test_serves_what_lies_below(disk, tmp_path):
    (tmp_path / "below" / "a").write_bytes(b"x" * 300000)
    (tmp_path / "below" / "d").mkdir()
    _, above = disk("seek_us=100")
    assert (above / "a").read_bytes() == b"x" * 300000
    assert sorted(p.name for p in above.iterdir()) == ["a", "d"]
    with pytest.raises(FileNotFoundError):
        (above / "b").read_bytes()
    found = counters(above)
    assert found["bytes"] >= 300000 and found["reads"] >= 3
    assert found["opens"] == 1 and found["seeks"] == 1


def test_a_read_takes_its_seek_and_its_bytes(disk, tmp_path):
    (tmp_path / "below" / "a").write_bytes(bytes(131072))
    _, above = disk("seek_us=50000,bps=2000000")
    start = time.monotonic()
    (above / "a").read_bytes()
    assert time.monotonic() - start >= 0.05 + 131072 / 2e6
    start = counters(above)["reads"]
    (above / "a").read_bytes()
    assert counters(above)["reads"] == start  # the page cache has it
    evict(above / "a")
    (above / "a").read_bytes()
    assert counters(above)["reads"] > start


@pytest.mark.parametrize("heads, least", [(1, 0.4), (2, 0.2)])
def test_heads_serve_one_after_the_other(disk, tmp_path, heads, least):
    for i in range(8):
        (tmp_path / "below" / f"{i}").write_bytes(bytes(4096))
    _, above = disk(f"seek_us=50000,heads={heads}")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        start = time.monotonic()
        list(pool.map(lambda i: pathlib.Path(above, str(i)).read_bytes(),
                      range(8)))
    assert time.monotonic() - start >= least
