"""The documents of an experiment, and lists of their URLs; the same for the
same seed."""

import bisect
import itertools
import random

BLOCK = 1 << 20
LIST_LINES = 20000


def make(documents, root, seed):
    """Write the files of several kinds below a folder."""
    block = random.Random(seed).randbytes(BLOCK)
    for kind in documents:
        folder = root / kind.name
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o755)
        for i, path in enumerate(kind.paths()):
            target = root / path[1:]
            start = (i * 4099) % BLOCK
            piece = (block[start:] + block[:start])
            whole, rest = divmod(kind.bytes, BLOCK)
            target.write_bytes(piece * whole + piece[:rest])
            target.chmod(0o644)


def once(kinds):
    """Every document once."""
    return [path for kind in kinds for path in kind.paths()]


def list_of(kinds, seed):
    """Lines for pace: a path and its class.  Where a popularity is to be
    drawn, a line for each draw."""
    lines = []
    for kind in kinds:
        paths = kind.paths()
        if kind.popularity == "zipf":
            weights = list(itertools.accumulate(
                1 / rank for rank in range(1, kind.count + 1)))
            draw = random.Random(seed)
            paths = [paths[bisect.bisect(weights,
                                         draw.random() * weights[-1])]
                     for _ in range(LIST_LINES)]
        lines += [f"{path} {kind.name}" for path in paths]
    return lines
