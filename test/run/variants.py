"""The architectures that are tested: each MPM as it comes, and variants of it.

A variant is an MPM with directives, given to weir by -c.  ./check and the HTTP
tests take the name of a variant wherever they take an MPM's.
"""

import collections

# How many requests that stand still, of a kind, it takes until a cached file
# is no longer answered.
ONE = "one"
POOL = "pool"  # as many as there are processes, threads or workers
NEVER = "never"
KINDS = ("disk", "code", "unread", "idle")
Nature = collections.namedtuple("Nature", KINDS)

# One that serves a connection waits for all that this one waits for.
A_CONNECTION_EACH = Nature(disk=POOL, code=POOL, unread=POOL, idle=POOL)
# One loop, which waits for no client, and for everything else.
ONE_LOOP = Nature(disk=ONE, code=ONE, unread=NEVER, idle=NEVER)
# Workers, which wait for no client, and for everything else.
WORKERS = Nature(disk=POOL, code=POOL, unread=NEVER, idle=NEVER)
# A loop that waits for nothing: helpers or the kernel do.
NEVER_BLOCKED = Nature(disk=NEVER, code=NEVER, unread=NEVER, idle=NEVER)

# name; the MPM; directives of its <MPM> section; its nature, or None where it
# depends on what came before; does it have threads that share connections, so
# that TSan has something to find?
Variant = collections.namedtuple(
    "Variant", "name mpm directives nature is_threaded")

ALL = [
    Variant("mp", "mp", [], A_CONNECTION_EACH, False),
    Variant("mp-fork", "mp", ["ProcessPool off"], A_CONNECTION_EACH, False),
    Variant("mt", "mt", [], A_CONNECTION_EACH, True),
    Variant("mt-apart", "mt", ["ThreadPool off"], A_CONNECTION_EACH, True),
    Variant("sped", "sped", [], ONE_LOOP, False),
    Variant("amped", "amped", [], NEVER_BLOCKED, False),
    Variant("amped-threads", "amped", ["HelperType thread"], NEVER_BLOCKED,
            True),
    Variant("amped-ready", "amped", ["HelperReply ready"], NEVER_BLOCKED,
            False),
    Variant("hybrid", "hybrid", [], WORKERS, True),
    Variant("hybrid-readable", "hybrid", ["TaskStart readable"], WORKERS, True),
    Variant("hybrid-always", "hybrid", ["HandOver always"], WORKERS, True),
    Variant("hybrid-readable-always", "hybrid",
            ["TaskStart readable", "HandOver always"], WORKERS, True),
    # A queue each: a request may wait behind one that stands still.
    Variant("hybrid-round-robin", "hybrid", ["TaskDispatch round-robin"], None,
            True),
    Variant("hybrid-least-loaded", "hybrid", ["TaskDispatch least-loaded"],
            WORKERS, True),
    Variant("proactor", "proactor", [], NEVER_BLOCKED, False),
]


def plain(mpm):
    """An MPM as it comes.  Of one that is not in the table nothing is known."""
    for variant in ALL:
        if variant.name == mpm and variant.mpm == mpm:
            return variant
    return Variant(mpm, mpm, [], None, False)


def named(name):
    """A variant, or an MPM as it comes."""
    for variant in ALL:
        if variant.name == name:
            return variant
    return plain(name)


def of(mpms):
    """The variants of these MPMs without the MPMs as they come."""
    return [v for v in ALL if v.mpm in mpms and v.directives]


def arguments(variant):
    """Of weir: what makes the MPM this variant of it."""
    if not variant.directives:
        return []
    return ["-c", "\n".join([f"<MPM {variant.mpm}>", *variant.directives,
                             "</MPM>"])]
