"""Is a server asleep?  Then what it has not answered yet, it can not answer.

No time is measured.  The threads of all its processes are looked at twice: if
each of them slept both times and the kernel has put none on a processor in
between, there was a moment at which all of them slept.  From then on only
something from outside (a client, the clock) can make the server do anything.
"""

import os
import struct
import time
import fcntl

SIOCOUTQ = 0x5411
BETWEEN = 0.01  # as some wake up by the clock, not much longer
TIMES = 3  # one would do, had the kernel not work to finish, too
LONGEST = 30.0


def threads(server):
    """(process, thread): state, times switched away from, by its will or not.

    None when one came or went meanwhile.
    """
    found = {}
    try:
        for pid in server.processes():
            for tid in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{tid}/status") as f:
                    fields = dict(line.rstrip("\n").split(":\t", 1)
                                  for line in f if ":\t" in line)
                found[pid, tid] = (fields["State"][0],
                                   fields["voluntary_ctxt_switches"],
                                   fields["nonvoluntary_ctxt_switches"])
    except (FileNotFoundError, ProcessLookupError, KeyError):
        return None
    return found


def are_asleep(server):
    """Did all threads sleep at one moment?"""
    before = threads(server)
    if not before or any(state != "S" for state, *_ in before.values()):
        return False
    time.sleep(BETWEEN)
    return threads(server) == before


def has_arrived(sock):
    """Has the kernel of the other side taken all that was sent?"""
    left = fcntl.ioctl(sock, SIOCOUTQ, struct.pack("i", 0))
    return struct.unpack("i", left)[0] == 0


def wait_until_asleep(server, *socks, until=lambda: False):
    """All has arrived and nothing is done about it, or until() is true."""
    end = time.monotonic() + LONGEST
    times = 0
    while times < TIMES and not until():
        assert time.monotonic() < end, f"never asleep: {threads(server)}"
        times += all(map(has_arrived, socks)) and are_asleep(server)
