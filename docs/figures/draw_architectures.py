#!/usr/bin/env python3
"""Draw the manual's figure of each architecture from one table.

All figures have the same six rows, the steps of a request, and a column for
each kind of thread or process, so that two architectures can be compared by
looking from one figure to the next.  A box says how its column takes the step;
its colour and mark say who waits when the step has to wait.

Writes docs/manual/pictures/arch-NAME.svg; with --check writes nothing and
fails if a file differs from what would be written.
"""

import sys
from html import escape
from pathlib import Path

OUT = Path(__file__).resolve().parent.parent / "manual" / "pictures"

WIDTH = 480
GUTTER = 70
ROW_TOP, ROW_PITCH, BOX_HEIGHT = 74, 66, 46
CHAR = 7.1  # mean width of a character at 13 px in the widest usual font
STEPS = ("accept", "read,\nparse", "find\nfile", "read\nfile", "send", "log")

STYLE = """
    .paper { fill: #fbfaf6 }
    text { font: 13px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
           fill: #1d272b }
    .step { font-weight: 600; fill: #46565c }
    .head { font-weight: 600 }
    .note { font-size: 12px; fill: #46565c }
    .process { fill: #eef2f0; stroke: #7d8f94; stroke-width: 1.2 }
    .kernel { fill: none; stroke: #7d8f94; stroke-width: 1.2;
              stroke-dasharray: 2 4 }
    .lane { fill: #ffffff; stroke: #b6c3c5; stroke-width: 1 }
    .none { fill: #dcebf3; stroke: #0a5a82; stroke-width: 1.2 }
    .own { fill: #fbe9bf; stroke: #8a5f00; stroke-width: 1.4;
           stroke-dasharray: 6 3 }
    .all { fill: #f6c4a8; stroke: #a83c00; stroke-width: 2.6 }
    .mark { fill: none; stroke: #1d272b; stroke-width: 1.3;
            stroke-linejoin: round; stroke-linecap: round }
    .flow { fill: none; stroke: #46565c; stroke-width: 1.5 }
    .tip { fill: #46565c }
    @media (prefers-color-scheme: dark) {
      .paper { fill: #12191c }
      text { fill: #e3eaea }
      .step, .note { fill: #a9b9bc }
      .process { fill: #1a2428; stroke: #6d8288 }
      .kernel { stroke: #6d8288 }
      .lane { fill: #12191c; stroke: #3c4c51 }
      .none { fill: #14394c; stroke: #6fbbe0 }
      .own { fill: #453711; stroke: #e3b341 }
      .all { fill: #5e2610; stroke: #ff9a66 }
      .mark { stroke: #e3eaea }
      .flow { stroke: #a9b9bc }
      .tip { fill: #a9b9bc }
    }"""

# Who waits: nobody, only the column's own thread or process, or everybody.
NONE, OWN, ALL = "none", "own", "all"
# What for: the client or the disk.
CLIENT, DISK = "client", "disk"

ACCEPT, READ, FIND, FILE, SEND, LOG = range(6)


class Figure:
    """An architecture: its processes, its columns, and who takes which step.

    processes: (label, first column, last column, drawn as several)
    lanes:     (label, drawn as several)
    boxes:     (row, column): (who waits, what for or None, text)
    edges:     (from, to) or (from, to, True) for there and back
    """

    def __init__(self, name, title, desc, processes, lanes, boxes, edges):
        self.name, self.title, self.desc = name, title, desc
        self.processes, self.lanes, self.boxes = processes, lanes, boxes
        self.edges = edges


FIGURES = [
    Figure(
        "mp", "Multiprocess",
        "Every process takes a connection through all six steps by itself, "
        "waiting where it must; only that process waits.",
        [("N processes, one connection each", 0, 0, True)],
        [("process", False)],
        {(ACCEPT, 0): (OWN, CLIENT, "waits for a connection"),
         (READ, 0): (OWN, CLIENT, "waits for the request"),
         (FIND, 0): (OWN, DISK, "opens the file: may sleep"),
         (FILE, 0): (OWN, DISK, "reads it: may sleep"),
         (SEND, 0): (OWN, CLIENT, "waits until the client\nhas taken it"),
         (LOG, 0): (NONE, None, "a line into its own ring")},
        [((i, 0), (i + 1, 0)) for i in range(5)]),
    Figure(
        "mt", "Multithreaded",
        "Every thread of one process takes a connection through all six "
        "steps by itself; only that thread waits. Caches are shared.",
        [("one process, caches shared", 0, 0, False)],
        [("N threads, one connection each", True)],
        {(ACCEPT, 0): (OWN, CLIENT, "waits for a connection"),
         (READ, 0): (OWN, CLIENT, "waits for the request"),
         (FIND, 0): (OWN, DISK, "opens the file: may sleep"),
         (FILE, 0): (OWN, DISK, "reads it: may sleep"),
         (SEND, 0): (OWN, CLIENT, "waits until the client\nhas taken it"),
         (LOG, 0): (NONE, None, "a line into its own ring")},
        [((i, 0), (i + 1, 0)) for i in range(5)]),
    Figure(
        "sped", "Single process, event driven",
        "One loop takes whichever step of any connection is ready. It never "
        "waits for a client, but a file that is not in memory stops "
        "everything.",
        [("one process, one thread, all connections", 0, 0, False)],
        [("the loop", False)],
        {(ACCEPT, 0): (NONE, None, "when the poller reports it"),
         (READ, 0): (NONE, None, "what has come; then others"),
         (FIND, 0): (ALL, DISK, "opens the file: may sleep,\nall wait"),
         (FILE, 0): (ALL, DISK, "inside sendfile: may sleep,\nall wait"),
         (SEND, 0): (NONE, None, "what the kernel takes;\nthen others"),
         (LOG, 0): (NONE, None, "a line into the ring")},
        [((i, 0), (i + 1, 0)) for i in range(5)]),
    Figure(
        "amped", "Asymmetric multiprocess, event driven",
        "One loop as in SPED, which tries every file operation without "
        "waiting first. What would wait goes to a helper; only the helper "
        "sleeps.",
        [("main process", 0, 0, False), ("helpers", 1, 1, True)],
        [("the loop", False), ("on demand", False)],
        {(ACCEPT, 0): (NONE, None, "when reported"),
         (READ, 0): (NONE, None, "what has come"),
         (FIND, 0): (NONE, None, "tries: cached?"),
         (FIND, 1): (OWN, DISK, "opens it, hands the\ndescriptor back"),
         (FILE, 0): (NONE, None, "tries: in memory?"),
         (FILE, 1): (OWN, DISK, "brings the range\ninto memory"),
         (SEND, 0): (NONE, None, "what the kernel takes"),
         (LOG, 0): (NONE, None, "a line into the ring")},
        [((i, 0), (i + 1, 0)) for i in range(5)]
        + [((FIND, 0), (FIND, 1), True), ((FILE, 0), (FILE, 1), True)]),
    Figure(
        "hybrid", "Hybrid: workers and a byte shuffler",
        "An I/O thread holds all connections, reads requests and shuffles "
        "bytes. A worker thread runs a complete request in linear code up to "
        "the simple object and tries to send at once; what remains goes on "
        "in the I/O thread.",
        [("one process", 0, 1, False)],
        [("I/O thread", False), ("W worker threads", True)],
        {(ACCEPT, 0): (NONE, None, "when reported"),
         (READ, 0): (NONE, None, "reads until the\nrequest is complete"),
         (FIND, 1): (OWN, DISK, "opens it: may sleep"),
         (FILE, 1): (OWN, DISK, "brings a range that\nis not in memory"),
         (SEND, 0): (NONE, None, "shuffles what is left"),
         (SEND, 1): (NONE, None, "tries once"),
         (LOG, 1): (NONE, None, "a task of its own,\nin batches")},
        [((ACCEPT, 0), (READ, 0)), ((READ, 0), (FIND, 1)),
         ((FIND, 1), (FILE, 1)), ((FILE, 1), (SEND, 1)),
         ((SEND, 1), (SEND, 0)), ((SEND, 0), (LOG, 1))]),
    Figure(
        "reactor", "Reactor with a pool of workers",
        "The main thread only waits and reports what is ready. Workers do "
        "everything else: accept, read, work, write.",
        [("one process", 0, 1, False)],
        [("main thread", False), ("W worker threads", True)],
        {(ACCEPT, 0): (NONE, None, "reports"),
         (ACCEPT, 1): (NONE, None, "accepts"),
         (READ, 0): (NONE, None, "reports: readable"),
         (READ, 1): (NONE, None, "reads what has come"),
         (FIND, 1): (OWN, DISK, "opens it: may sleep"),
         (FILE, 1): (OWN, DISK, "reads it: may sleep"),
         (SEND, 0): (NONE, None, "reports: writable"),
         (SEND, 1): (NONE, None, "writes what goes"),
         (LOG, 1): (NONE, None, "a line into its ring")},
        [((ACCEPT, 0), (ACCEPT, 1)), ((ACCEPT, 1), (READ, 0)),
         ((READ, 0), (READ, 1)), ((READ, 1), (FIND, 1)),
         ((FIND, 1), (FILE, 1)), ((FILE, 1), (SEND, 1)),
         ((SEND, 1), (SEND, 0), True), ((SEND, 1), (LOG, 1))]),
    Figure(
        "proactor", "Proactor",
        "The kernel accepts, receives, opens and sends into and from buffers "
        "lent to it, and reports what is complete. A handler runs between "
        "completions and never waits.",
        [("kernel", 0, 0, None), ("one process", 1, 1, False)],
        [("io_uring", False), ("completion handler", False)],
        {(ACCEPT, 0): (NONE, None, "accepts"),
         (READ, 0): (NONE, None, "fills a buffer"),
         (READ, 1): (NONE, None, "parses"),
         (FIND, 0): (OWN, DISK, "opens, in a worker\nof the kernel's own"),
         (FILE, 0): (OWN, DISK, "reads the range"),
         (SEND, 0): (OWN, CLIENT, "sends the span"),
         (SEND, 1): (NONE, None, "the next span"),
         (LOG, 1): (NONE, None, "a line into the ring")},
        [((ACCEPT, 0), (READ, 0)), ((READ, 0), (READ, 1)),
         ((READ, 1), (FIND, 0)), ((FIND, 0), (FILE, 0)),
         ((FILE, 0), (SEND, 0)), ((SEND, 0), (SEND, 1), True),
         ((SEND, 1), (LOG, 1))]),
    Figure(
        "proactor-simulated", "Simulated Proactor",
        "The main thread does what the kernel does in a true Proactor: it "
        "reads and writes all data by non-blocking calls. Workers only work "
        "and never touch a socket.",
        [("one process", 0, 1, False)],
        [("main thread", False), ("W worker threads", True)],
        {(ACCEPT, 0): (NONE, None, "when reported"),
         (READ, 0): (NONE, None, "reads all there is"),
         (READ, 1): (NONE, None, "parses"),
         (FIND, 1): (OWN, DISK, "opens it: may sleep"),
         (FILE, 1): (OWN, DISK, "brings it into\nmemory"),
         (SEND, 0): (NONE, None, "writes what goes"),
         (LOG, 1): (NONE, None, "a line into its ring")},
        [((ACCEPT, 0), (READ, 0)), ((READ, 0), (READ, 1)),
         ((READ, 1), (FIND, 1)), ((FIND, 1), (FILE, 1)),
         ((FILE, 1), (SEND, 0)), ((SEND, 0), (LOG, 1))]),
]


def text(x, y, words, css="", anchor="start"):
    klass = f' class="{css}"' if css else ""
    return (f'<text x="{x:g}" y="{y:g}"{klass} text-anchor="{anchor}">'
            f"{escape(words)}</text>")


def rect(x, y, width, height, css, radius=6):
    return (f'<rect x="{x:g}" y="{y:g}" width="{width:g}" '
            f'height="{height:g}" rx="{radius}" class="{css}"/>')


def mark(x, y, what):
    """A drum for the disk, an hourglass for the client; 14 by 16 at x, y."""
    if what == DISK:
        return (f'<path class="mark" d="M{x:g} {y + 3:g}v10a6.5 3 0 0 0 13 0'
                f'v-10a6.5 3 0 0 0 -13 0a6.5 3 0 0 0 13 0"/>')
    return (f'<path class="mark" d="M{x + 1:g} {y:g}h11M{x + 1:g} {y + 16:g}'
            f'h11M{x + 2:g} {y:g}c0 8 9 8 9 16M{x + 11:g} {y:g}'
            f'c0 8 -9 8 -9 16"/>')


class Layout:
    """Where the columns, rows and boxes of one figure lie."""

    def __init__(self, lane_count):
        gap = 14
        room = WIDTH - GUTTER - 28
        self.lane_width = (room - gap * (lane_count - 1)) / lane_count
        self.gap = gap
        self.bottom = ROW_TOP + 6 * ROW_PITCH - 8

    def lane_x(self, lane):
        return GUTTER + 10 + lane * (self.lane_width + self.gap)

    def box(self, node):
        row, lane = node
        return (self.lane_x(lane) + 10, ROW_TOP + row * ROW_PITCH,
                self.lane_width - 20, BOX_HEIGHT)


def draw_arrow(points, both):
    """A polyline with a tip at its end, and at its start if both."""
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    out = [f'<path class="flow" d="{path}"/>']
    ends = [(points[-2], points[-1])]
    if both:
        ends.append((points[1], points[0]))
    for (x0, y0), (x, y) in ends:
        dx, dy = (x > x0) - (x < x0), (y > y0) - (y < y0)
        bx, by = x - 7 * dx, y - 7 * dy
        out.append(f'<path class="tip" d="M{x:g} {y:g}'
                   f'L{bx + 4 * dy:g} {by + 4 * dx:g}'
                   f'L{bx - 4 * dy:g} {by - 4 * dx:g}Z"/>')
    return out


def draw_edge(layout, start, end, both=False):
    x0, y0, width, height = layout.box(start)
    x1, y1, _, _ = layout.box(end)
    if start[0] == end[0]:
        y = y0 + height / 2
        if x1 > x0:
            return draw_arrow([(x0 + width, y), (x1, y)], both)
        return draw_arrow([(x0, y), (x1 + width, y)], both)
    if start[1] == end[1]:
        x = x0 + width / 2
        return draw_arrow([(x, y0 + height), (x, y1)], both)
    middle = y0 + height + (ROW_PITCH - BOX_HEIGHT) / 2
    return draw_arrow([(x0 + width / 2, y0 + height),
                       (x0 + width / 2, middle),
                       (x1 + width / 2, middle), (x1 + width / 2, y1)], both)


def draw_box(layout, node, box):
    scope, what, words = box
    x, y, width, height = layout.box(node)
    out = [rect(x, y, width, height, scope)]
    lines = words.split("\n")
    left = x + (28 if what else 9)
    if what:
        out.append(mark(x + 8, y + height / 2 - 8, what))
    for i, line in enumerate(lines):
        if left + len(line) * CHAR > x + width:
            raise SystemExit(f"too long for its box: {line!r}")
        baseline = y + height / 2 + 4.5 + (i - (len(lines) - 1) / 2) * 16
        out.append(text(left, baseline, line))
    return out


def draw_frame(figure, layout):
    """Processes, columns and their headings."""
    out = []
    for label, first, last, several in figure.processes:
        x = layout.lane_x(first) - 6
        width = layout.lane_x(last) + layout.lane_width + 6 - x
        height = layout.bottom - 4
        css = "kernel" if several is None else "process"
        for shift in (8, 4, 0) if several else (0,):
            out.append(rect(x + shift, 10 + shift, width, height, css, 9))
        out.append(text(x + width / 2, 29, label, "head", "middle"))
    for lane, (label, several) in enumerate(figure.lanes):
        x = layout.lane_x(lane)
        for shift in (6, 3, 0) if several else (0,):
            out.append(rect(x + shift - (3 if several else 0),
                            38 + shift, layout.lane_width - (
                                3 if several else 0),
                            layout.bottom - 46, "lane", 7))
        out.append(text(x + layout.lane_width / 2, 58, label, "", "middle"))
    return out


def draw_legend(figure, top):
    used = {(scope, what) for scope, what, _ in figure.boxes.values()}
    scopes = {scope for scope, _ in used}
    rows = [(NONE, "does not wait")]
    if OWN in scopes:
        rows.append((OWN, "may wait: only this one stands still"))
    if ALL in scopes:
        rows.append((ALL, "may wait: every connection stands still"))
    out = []
    for i, (scope, words) in enumerate(rows):
        y = top + i * 22
        out.append(rect(14, y, 24, 14, scope, 3))
        out.append(text(46, y + 11, words, "note"))
    x = WIDTH - 150
    kinds = [k for k in (CLIENT, DISK) if any(what == k for _, what in used)]
    for i, what in enumerate(kinds):
        y = top + i * 22
        out.append(mark(x, y - 1, what))
        out.append(text(x + 22, y + 11, f"for the {what}", "note"))
    return out, top + max(len(rows), len(kinds)) * 22


def draw(figure):
    layout = Layout(len(figure.lanes))
    body = draw_frame(figure, layout)
    for row, words in enumerate(STEPS):
        lines = words.split("\n")
        y = ROW_TOP + row * ROW_PITCH + BOX_HEIGHT / 2 + 4.5
        for i, line in enumerate(lines):
            body.append(text(14, y + (i - (len(lines) - 1) / 2) * 16, line,
                             "step"))
    for edge in figure.edges:
        body += draw_edge(layout, *edge)
    for node, box in sorted(figure.boxes.items()):
        body += draw_box(layout, node, box)
    legend, bottom = draw_legend(figure, layout.bottom + 30)
    body += legend
    height = bottom + 6
    head = (f'<svg xmlns="http://www.w3.org/2000/svg" role="img" '
            f'viewBox="0 0 {WIDTH} {height:g}" width="{WIDTH}" '
            f'height="{height:g}" aria-labelledby="title desc">\n'
            f'  <title id="title">{escape(figure.title)}</title>\n'
            f'  <desc id="desc">{escape(figure.desc)}</desc>\n'
            f"  <style>{STYLE}\n  </style>\n"
            f'  <rect class="paper" width="100%" height="100%"/>\n')
    return head + "".join(f"  {line}\n" for line in body) + "</svg>\n"


def main():
    check = "--check" in sys.argv[1:]
    stale = 0
    for figure in FIGURES:
        path = OUT / f"arch-{figure.name}.svg"
        svg = draw(figure)
        if not check:
            path.write_text(svg, encoding="utf-8")
        elif not path.exists() or path.read_text(encoding="utf-8") != svg:
            print(f"{path.name}: not what draw_architectures.py draws")
            stale += 1
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
