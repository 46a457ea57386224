"""DebugDiskDelay, of test builds: what has to go to a disk takes its time, and
what is in memory does not."""

import os
import time

import pytest

DELAY = 0.3


@pytest.fixture
def server(weir, mpm):
    if mpm == "proactor":
        pytest.skip("the kernel reads for it")
    one = weir(f"""
LoadModule delay_module modules/mod_delay.so
DebugDiskDelay {int(DELAY * 1000)}ms
""")
    one.put("big", bytes(300000))
    return one


def evict(path):
    """Out of memory with it.  @return whether that can be seen."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        for _ in range(50):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            try:
                os.preadv(file.fileno(), [bytearray(1)], 200000,
                          os.RWF_NOWAIT)
            except BlockingIOError:
                time.sleep(0.1)  # asking has begun to read it: let that end
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
                return True
            except OSError:
                return False
            time.sleep(0.05)
    return False


def test_what_is_not_in_memory_takes_its_time(server):
    if not evict(server.www / "big"):
        pytest.skip("this file system can't tell what is in memory")
    start = time.monotonic()
    assert len(server.get("/big").body) == 300000
    assert time.monotonic() - start >= DELAY
