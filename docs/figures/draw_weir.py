#!/usr/bin/env python3
"""Draw the picture at the head of the manual: a weir at dusk, as PNG.

Water falls over a sill in even threads; above it the pool lies still.  Plain
arithmetic and zlib, no picture library, the same bytes on every run.

Writes docs/manual/pictures/weir.png and weir-small.png.
"""

import math
import struct
import zlib
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / "manual" / "pictures"

SKY_TOP, SKY_LOW = (38, 66, 92), (236, 196, 158)
POOL, FALL, FOAM = (58, 98, 118), (20, 58, 76), (226, 238, 238)
LEVELS = 24  # colours to a channel: bands stay invisible, the file small


def mix(a, b, share):
    return tuple(x + (y - x) * share for x, y in zip(a, b))


def ridge(x):
    """The far bank: height of its line at x, both in 0..1."""
    return 0.30 - 0.045 * math.sin(5.1 * x + 0.6) - 0.02 * math.sin(13 * x)


def colour(x, y):
    """What is seen at x, y, both in 0..1, as red, green, blue."""
    if y < ridge(x):
        return mix(SKY_TOP, SKY_LOW, (y / 0.34) ** 1.4)
    if y < 0.36:
        return mix((30, 46, 52), (52, 72, 70), (y - 0.22) / 0.14)
    if y < 0.52:
        glint = 0.5 + 0.5 * math.sin(300 * y + 3 * math.sin(9 * x))
        near = (y - 0.36) / 0.16
        return mix(mix(SKY_LOW, POOL, 0.35 + 0.65 * near), FOAM,
                   0.10 * glint * near)
    if y < 0.535:
        return FOAM
    depth = (y - 0.535) / 0.465
    thread = (math.sin(197 * x + 2.2 * math.sin(17 * x))
              + 0.7 * math.sin(431 * x + 1.5 * math.sin(9 * x) + depth)
              + 0.5 * math.sin(73 * x))
    white = max(0.0, thread / 2.2) ** 1.2 * (1 - 0.4 * depth)
    spray = max(0.0, depth - 0.72) / 0.28
    return mix(mix(FALL, FOAM, 0.75 * white), FOAM, 0.8 * spray ** 1.6)


def chunk(kind, data):
    body = kind + data
    return (struct.pack(">I", len(data)) + body
            + struct.pack(">I", zlib.crc32(body)))


def encode(width, height):
    step = 255 / (LEVELS * 2 - 1)
    rows = bytearray()
    for j in range(height):
        rows.append(0)
        for i in range(width):
            pixel = colour((i + 0.5) / width, (j + 0.5) / height)
            rows += bytes(round(round(c / step) * step) for c in pixel)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
            + chunk(b"IDAT", zlib.compress(bytes(rows), 9))
            + chunk(b"IEND", b""))


def main():
    for name, width, height in (("weir", 1200, 400),
                                ("weir-small", 300, 100)):
        (OUT / f"{name}.png").write_bytes(encode(width, height))


if __name__ == "__main__":
    main()
