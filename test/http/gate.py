"""Gates: files that nobody can open until the test lets them.

The test holds a lease on each (fcntl(2), F_SETLEASE).  Opening such a file is
what opening one on a slow disk is: who asks not to wait is told EAGAIN, who
waits sleeps in the kernel.  No privilege and no file system of its own is
needed; the kernel opens the gate by itself when the test dies, and when
/proc/sys/fs/lease-break-time has passed.
"""

import contextlib
import errno
import fcntl
import os
import pathlib
import re
import signal
import time

LIMIT = pathlib.Path("/proc/sys/fs/lease-break-time")


def give_up(fd):
    with contextlib.suppress(OSError):
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)


class Gates:
    """Use it in a with statement, which opens all that are shut."""

    def __enter__(self):
        self.files = {}  # inode: descriptor
        self.since = None  # when the first was shut
        # The kernel tells the holder of a lease that somebody asks for it.
        self.handler = signal.signal(signal.SIGIO, signal.SIG_IGN)
        return self

    def __exit__(self, *unused):
        for fd in self.files.values():
            os.close(fd)
        signal.signal(signal.SIGIO, self.handler)

    def shut(self, path):
        """A file that nobody has open is a gate from now on."""
        self.since = self.since or time.monotonic()
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.files[os.fstat(fd).st_ino] = fd
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        # Those who want to read wake up again and again, unless somebody has
        # wanted to write before.
        with contextlib.suppress(BlockingIOError):
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            raise OSError(errno.ENOLCK, "a lease stops nobody", path)

    def waiting(self):
        """How many sleep at the gates, as the kernel says."""
        count = ours = 0
        for line in pathlib.Path("/proc/locks").read_text().splitlines():
            if re.match(r"\d+: ->", line):
                count += ours
            else:
                inode = re.search(r" [0-9a-f]+:[0-9a-f]+:(\d+) ", line)
                ours = bool(inode) and int(inode[1]) in self.files
        return count

    def open(self):
        """Open all of them.  The kernel must not have done it already."""
        late = (self.since is not None and
                time.monotonic() - self.since > int(LIMIT.read_text()) - 1)
        for fd in self.files.values():
            give_up(fd)
        assert not late, "too slow: the kernel has opened the gates"
