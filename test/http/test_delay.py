"""DebugDiskDelay, of test builds: what has to go to a disk takes its time, and
what is in memory does not."""

import ctypes
import mmap
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


def pages_in_memory(path):
    """As mincore() tells whoever may write the file."""
    libc = ctypes.CDLL(None, use_errno=True)
    size = os.path.getsize(path)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), size) as mapped:
        pages = (ctypes.c_ubyte * (-(-size // mmap.PAGESIZE)))()
        here = ctypes.c_char.from_buffer(mapped)
        failed = libc.mincore(ctypes.byref(here), ctypes.c_size_t(size), pages)
        del here  # or the mapping can't be closed
        assert not failed, os.strerror(ctypes.get_errno())
        return sum(page & 1 for page in pages)


def evict(path):
    """Out of memory with it.  @return whether it went, and whether whoever
    reads can see that.  RWF_NOWAIT alone is no way to look: what it misses it
    fetches."""
    with open(path, "rb") as file:
        try:
            os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
        except OSError:
            return False
        for _ in range(50):
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if pages_in_memory(path) == 0:
                return True
            time.sleep(0.05)
    return False


def test_what_is_not_in_memory_takes_its_time(server):
    """Unless the disk is so fast that the page is there before the kernel has
    said that it is not: then once more, when the server no longer trusts what
    it has seen (a quarter of a second)."""
    for _ in range(20):
        time.sleep(0.3)
        if not evict(server.www / "big"):
            pytest.skip("this file system can't tell what is in memory")
        start = time.monotonic()
        assert len(server.get("/big").body) == 300000
        if time.monotonic() - start >= DELAY:
            return
    raise AssertionError("it never took its time")
