"""Plots as SVG: lines over a swept quantity, and points in rows.

Drawn 400 units wide, so that the letters can still be read on a telephone.
Every server has a colour and a marker of its own, of Okabe and Ito's palette,
which the colour-blind tell apart, and keeps it through a report.
"""

import dataclasses
import html
import math

WIDTH = 400
SIZE = 12          # of letters
LETTER = 6.5       # how wide one of them is, about

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9",
           "#000000", "#7F7F7F", "#8B5A2B", "#5D3A9B")
MARKERS = ("circle", "square", "triangle", "diamond", "down", "cross",
           "plus", "star", "bar", "ring")


@dataclasses.dataclass
class Style:
    colour: str
    marker: str


def styles(names, order=()):
    """A style for each name: those of `order` have the same in any report."""
    places = list(order) + [name for name in names if name not in order]
    return {name: Style(COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)])
            for i, name in enumerate(places) if name in names}


@dataclasses.dataclass
class Axis:
    """Where values come to lie between two ends."""
    low: float
    high: float
    is_log: bool
    start: float = 0.0
    end: float = 1.0

    def place(self, value):
        low, high = self.low, self.high
        if self.is_log:
            value = max(value, low)
            low, high, value = (math.log10(v) for v in (low, high, value))
        share = (value - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)


def axis_over(values, is_log, from_zero=True):
    """An axis that has room for all values, and ends on round ones."""
    values = [v for v in values if v is not None and math.isfinite(v)]
    if is_log:
        values = [v for v in values if v > 0]
    if not values:
        return Axis(0.1 if is_log else 0, 1, is_log)
    low, high = min(values), max(values)
    if is_log:
        low, high = log_floor(low), log_ceiling(high)
        return Axis(low, high if high > low else low * 10, True)
    low = min(0.0, low) if from_zero else low
    step = round_step((high - low) / 4 or abs(high) / 4 or 1)
    steps = max(1, math.ceil((high - low) / step * 1.0001))
    return Axis(low, low + steps * step, False)


def log_floor(value):
    power = 10.0 ** math.floor(math.log10(value))
    return max(m * power for m in (1, 2, 5) if m * power <= value * 1.0000001)


def log_ceiling(value):
    power = 10.0 ** math.floor(math.log10(value))
    return min(m * power for m in (1, 2, 5, 10)
               if m * power >= value * 0.9999999)


def round_step(about):
    power = 10.0 ** math.floor(math.log10(about))
    return min((m * power for m in (1, 2, 2.5, 5, 10)
                if m * power >= about * 0.999), default=10 * power)


def ticks(axis, room):
    """Values to write at an axis that has room for so many."""
    if not axis.is_log:
        step = round_step((axis.high - axis.low) / max(1, min(room, 5)))
        count = int((axis.high - axis.low) / step * 1.0001)
        return [axis.low + i * step for i in range(count + 1)]
    first = math.floor(math.log10(axis.low) + 1e-9)
    last = math.ceil(math.log10(axis.high) - 1e-9)
    for multiples in ((1, 2, 5), (1, 3), (1,)):
        found = [m * 10.0 ** p for p in range(first, last + 1)
                 for m in multiples
                 if axis.low * 0.999 <= m * 10.0 ** p <= axis.high * 1.001]
        if len(found) <= room:
            return found
    every = math.ceil(len(found) / room)
    return found[::every]


def number(value):
    """As short as can be: 2.5k, 30, 0.5."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= limit:
            return f"{value / limit:.3g}{unit}"
    return f"{value:.3g}"


def text(x, y, words, anchor="start", size=SIZE, extra=""):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" '
            f'font-size="{size}"{extra}>{html.escape(words)}</text>')


def line(x1, y1, x2, y2, kind):
    return (f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" '
            f'class="{kind}"/>')


def polygon(points, colour):
    joined = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    return f'<polygon points="{joined}" fill="{colour}"/>'


def strokes(x, y, ends, colour):
    path = "".join(f"M{x + a:.1f} {y + b:.1f}L{x + c:.1f} {y + d:.1f}"
                   for a, b, c, d in ends)
    return (f'<path d="{path}" stroke="{colour}" stroke-width="2" '
            'fill="none"/>')


def marker(kind, x, y, colour, r=4.5):
    """A marker around a point."""
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{colour}"/>'
    if kind == "ring":
        return (f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="#fff" '
                f'stroke="{colour}" stroke-width="2"/>')
    corners = {
        "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        "triangle": ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
        "down": ((0, 1.2), (1.1, -0.9), (-1.1, -0.9)),
        "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    }
    if kind in corners:
        scale = r * 0.9 if kind == "square" else r
        return polygon([(x + a * scale, y + b * scale)
                        for a, b in corners[kind]], colour)
    lines = {
        "cross": ((-r, -r, r, r), (-r, r, r, -r)),
        "plus": ((-r, 0, r, 0), (0, -r, 0, r)),
        "star": ((-r, -r, r, r), (-r, r, r, -r), (0, -r, 0, r)),
        "bar": ((0, -r, 0, r), (-1, -r, -1, r)),
    }
    return strokes(x, y, lines[kind], colour)


def drawing(height, title, parts):
    head = (f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" '
            'xmlns="http://www.w3.org/2000/svg" '
            'font-family="system-ui, sans-serif">')
    return "\n".join([head, f"<title>{html.escape(title)}</title>", *parts,
                      "</svg>"])


def legend(names, style_of, top):
    """Markers and names in columns.  @return (parts, height)."""
    column = max((len(n) for n in names), default=1) * LETTER + 30
    columns = max(1, int((WIDTH - 20) / column))
    parts = []
    for i, name in enumerate(names):
        x = 14 + (i % columns) * column
        y = top + (i // columns) * 17 + 8
        style = style_of[name]
        parts.append(marker(style.marker, x, y, style.colour))
        parts.append(text(x + 10, y + 4, name))
    rows = math.ceil(len(names) / columns)
    return parts, rows * 17 + 4


def caption(words, top):
    """Small words in lines as wide as the plot.  @return (parts, height)."""
    per_line = int(WIDTH / (LETTER * 0.82))
    lines, current = [], ""
    for word in words.split():
        if current and len(current) + 1 + len(word) > per_line:
            lines.append(current)
            current = word
        else:
            current = f"{current} {word}".strip()
    lines += [current] if current else []
    parts = [text(4, top + 11 + 12 * i, one, size=9, extra=' class="note"')
             for i, one in enumerate(lines)]
    return parts, 12 * len(lines) + 6


@dataclasses.dataclass
class Series:
    """One server's points: (x, y, least, greatest)."""
    name: str
    points: list


def lines_plot(title, x_title, y_title, series, style_of, note="",
               x_log=True, y_log=False):
    """Lines over what was swept, with the spread as bars."""
    xs = [p[0] for s in series for p in s.points]
    ys = [v for s in series for p in s.points for v in p[1:]]
    y_axis = axis_over(ys, y_log)
    labels = [number(v) for v in ticks(y_axis, 6)]
    left = 12 + max(len(label) for label in labels) * LETTER + 4
    top, bottom = 26, 226
    x_axis = Axis(min(xs, default=1), max(xs, default=2), x_log)
    x_axis.start, x_axis.end = left + 12, WIDTH - 16
    y_axis.start, y_axis.end = bottom, top
    parts = [text(4, 14, y_title, extra=' class="axis"')]
    for value in ticks(y_axis, 6):
        y = y_axis.place(value)
        parts.append(line(left, y, WIDTH - 8, y, "grid"))
        parts.append(text(left - 4, y + 4, number(value), "end"))
    room = (x_axis.end - x_axis.start) / 30
    taken = -100.0
    for value in sorted(set(xs)):
        x = x_axis.place(value)
        parts.append(line(x, bottom, x, bottom + 4, "rule"))
        if x - taken >= (x_axis.end - x_axis.start) / room:
            parts.append(text(x, bottom + 16, number(value), "middle"))
            taken = x
    parts.append(line(left, bottom, WIDTH - 8, bottom, "rule"))
    parts.append(text((left + WIDTH) / 2, bottom + 31, x_title, "middle",
                      extra=' class="axis"'))
    for one in series:
        parts += series_parts(one, style_of[one.name], x_axis, y_axis)
    named, height = legend([s.name for s in series], style_of, bottom + 38)
    noted, more = caption(note, bottom + 38 + height)
    return drawing(bottom + 38 + height + more, title, parts + named + noted)


def series_parts(one, style, x_axis, y_axis):
    parts, path = [], []
    for x, y, least, greatest in sorted(one.points):
        at = x_axis.place(x)
        parts.append(
            f'<line x1="{at:.1f}" x2="{at:.1f}" y1="{y_axis.place(least):.1f}"'
            f' y2="{y_axis.place(greatest):.1f}" stroke="{style.colour}" '
            'stroke-width="1.5"/>')
        path.append(f"{at:.1f},{y_axis.place(y):.1f}")
    parts.append(f'<polyline points="{" ".join(path)}" fill="none" '
                 f'stroke="{style.colour}" stroke-width="1.6"/>')
    parts += [marker(style.marker, x_axis.place(p[0]), y_axis.place(p[1]),
                     style.colour) for p in sorted(one.points)]
    return parts


@dataclasses.dataclass
class Row:
    """A server's row: [(label of the point, median, least, greatest)]."""
    name: str
    points: list


def rows_plot(title, x_title, rows, style_of, note="", x_log=False):
    """A row a server; its points joined, each with its label once, at the
    top.  Values are written where there is one point a row."""
    values = [v for r in rows for p in r.points for v in p[1:]]
    axis = axis_over(values, x_log)
    labels = []
    for row in rows:
        labels += [p[0] for p in row.points if p[0] not in labels]
    is_single = len(labels) < 2
    left = 10 + max((len(r.name) for r in rows), default=4) * LETTER + 6
    axis.start, axis.end = left + 8, WIDTH - (52 if is_single else 16)
    top = 24
    bottom = top + 24 * len(rows) + 6
    parts = [text(4, 14, x_title, extra=' class="axis"')]
    for value in spaced_ticks(axis):
        x = axis.place(value)
        parts.append(line(x, top, x, bottom, "grid"))
        parts.append(text(x, bottom + 14, number(value), "middle"))
    for i, row in enumerate(rows):
        y = top + 24 * i + 15
        parts.append(text(left, y + 4, row.name, "end"))
        parts += row_parts(row, style_of[row.name], axis, y, labels,
                           is_single)
    height = bottom + 22
    if not is_single:
        key = ", ".join(f"{m} {label}" for m, label in
                        zip(("small:", "middle:", "large:", "largest:"),
                            labels))
        noted, more = caption(f"{key}. {note}".strip(), height)
    else:
        noted, more = caption(note, height)
    return drawing(height + more, title, parts + noted)


def spaced_ticks(axis):
    """Ticks whose numbers do not touch each other."""
    found, taken = [], -100.0
    for value in ticks(axis, 8):
        x = axis.place(value)
        if x - taken > 34:
            found.append(value)
            taken = x
    return found


def row_parts(row, style, axis, y, labels, is_single):
    parts = []
    places = [axis.place(p[1]) for p in row.points]
    if len(places) > 1:
        parts.append(f'<line x1="{min(places):.1f}" x2="{max(places):.1f}" '
                     f'y1="{y}" y2="{y}" stroke="{style.colour}" '
                     'stroke-width="1.2"/>')
    for label, middle, least, greatest in row.points:
        a, b = axis.place(least), axis.place(greatest)
        parts.append(f'<line x1="{a:.1f}" x2="{b:.1f}" y1="{y + 6}" '
                     f'y2="{y + 6}" stroke="{style.colour}" '
                     'stroke-width="2"/>')
        r = 4.5 if is_single else 3.0 + 1.2 * labels.index(label)
        parts.append(marker(style.marker, axis.place(middle), y,
                            style.colour, r))
        if is_single:
            x = max(axis.place(middle), b) + 8
            parts.append(text(x, y + 4, number(middle)))
    return parts
