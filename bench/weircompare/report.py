"""The report: one page that needs nothing else, and a table for a terminal."""

import html
import json
import pathlib
import tomllib

from . import claims, experiment as experiments, stats, svg
from .results import is_less_better
from .servers import ORDER
from .trouble import Trouble

CSS = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  margin: 0 auto; padding: 0 1rem 3rem; max-width: 72rem; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.3rem; }
h2 { border-top: 2px solid #1a1a1a; padding-top: .8rem; margin-top: 2.5rem; }
h3 { font-size: 1.05rem; margin-bottom: .3rem; }
p { max-width: 44rem; } .small { font-size: .87rem; color: #444; }
.plots { display: flex; flex-wrap: wrap; gap: 1.5rem; }
figure { margin: .5rem 0; flex: 1 1 20rem; max-width: 30rem; min-width: 0;
  break-inside: avoid; }
figcaption { font-weight: 600; font-size: .95rem; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: #1a1a1a; } svg .note { fill: #555; }
svg .axis { fill: #444; } svg .grid { stroke: #ddd; stroke-width: 1; }
svg .rule { stroke: #555; stroke-width: 1; }
figure .note { font-size: .75rem; line-height: 1.35; color: #555;
  margin: .2rem 0 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .87rem; margin: .6rem 0;
  font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; vertical-align: top;
  border-bottom: 1px solid #ddd; }
th:first-child, td:first-child, td.words { text-align: left; }
td.words { min-width: 9rem; } td.calls { min-width: 24rem; }
td small { display: block; color: #555; white-space: nowrap; }
.claim { border-left: 5px solid #777; padding: .1rem 0 .1rem .8rem;
  margin: .8rem 0; max-width: 44rem; break-inside: avoid; }
.claim p { margin: .2rem 0; } .claim b { margin-right: .4em; }
.holds { border-color: #0072B2; } .fails { border-color: #D55E00; }
code, pre { font-size: .84rem; } code { overflow-wrap: anywhere; }
pre { overflow-x: auto; background: #f5f5f5; padding: .6rem; }
details { margin: .5rem 0; } summary { cursor: pointer; }
@media print { body { max-width: none; font-size: 11pt; }
  details > *:not(summary) { display: none; } .wide { overflow: visible; } }
"""
SIGNS = {claims.HOLDS: "holds", claims.EQUAL: "holds", claims.FAILS: "fails",
         claims.NOISY: "unknown", claims.UNKNOWN: "unknown"}
NAMES = {
    "rate": "requests/s", "cpu_us": "CPU us/request", "pss_mib": "PSS, MiB",
    "switches": "switches/request", "served": "answered share",
    "mb_s": "MB/s", "stall_ms_s": "loops stood still, ms/s",
    "disk_reads_s": "disk reads/s", "cpu_share": "CPU share",
    "per_cpu_s": "requests per CPU second", "errors": "errors",
    "helper_wait_ms": "wait for a helper, ms",
    "task_wait_ms": "wait for a worker, ms",
}


def ratio_text(ratio):
    """Hundredths, or two figures of what would be none of them."""
    return f"{ratio:.2f}" if ratio >= 0.1 or ratio == 0 else f"{ratio:.2g}"


def name_of(measure):
    """A measure's heading: "hot: p99, ms"."""
    stream, _, last = measure.rpartition(".")
    words = NAMES.get(last)
    if not words:
        words = last.replace("p999", "p99.9")
        words = words[:-3] + ", ms" if words.endswith("_ms") else words
    return f"{stream}: {words}" if stream else words


def escape(words):
    return html.escape(str(words))


def parsed(results, name):
    """The experiment as it stood when it was run."""
    about = results.experiments[name]
    try:
        return experiments.parse(tomllib.loads(about["file"]),
                                 pathlib.Path(about["path"]))
    except (Trouble, ValueError) as why:
        raise Trouble(f"{name}: its description can't be read: {why}") from why


def is_marked(results, name, server):
    return any(results.marks(name, server, point)
               for point in results.points(name))


def figure_html(title, drawn, note):
    return (f"<figure><figcaption>{escape(title)}</figcaption>{drawn}"
            f'<p class="note">{escape(note)}</p></figure>')


def settings_note(results, name):
    """What stands on every plot."""
    about = results.experiments[name]
    words = [f"{key} {value}" for key, value in about["settings"].items()]
    pools = {}
    for run in results.good(name):
        if run["pool"]:
            pools.setdefault(run["server"], set()).add(run["pool"])
    if pools:
        words.append("pools " + ", ".join(
            f"{server} {'/'.join(map(str, sorted(sizes)))}"
            for server, sizes in pools.items()))
    words += [f"disk: {about['disk']}"] if about["disk"] else []
    words += [f"memory {about['memory']}"] if about["memory"] else []
    words.append(f"{about['repeat']} rounds of {about['seconds']:g} s; bars "
                 "are least and greatest")
    return "Same for all: pipeline, caches, " + "; ".join(words) + "."


def points_of(results, name, server, measure):
    found = []
    for point in results.points(name):
        values = list(results.values(name, server, point, measure).values())
        if values:
            s = stats.summary(values)
            found.append((point, s["median"], s["least"], s["greatest"]))
    return found


def draw(results, name, found, plot, style_of):
    """One plot as SVG; None if nothing of it was measured."""
    servers = results.servers(name)
    if plot.kind == "lines" and len(results.points(name)) > 1:
        series = [svg.Series(s, points_of(results, name, s,
                                          plot.measures[0]))
                  for s in servers]
        series = [s for s in series if s.points]
        if not series:
            return None
        return svg.lines_plot(
            plot.title, found.sweep_title, name_of(plot.measures[0]), series,
            style_of, y_log=plot.log)
    rows = []
    point = plot.at if plot.at is not None else results.points(name)[-1]
    for server in servers:
        points = []
        for measure in plot.measures:
            values = list(results.values(name, server, point,
                                         measure).values())
            if values:
                s = stats.summary(values)
                points.append((measure.rpartition(".")[2].partition("_")[0],
                               s["median"], s["least"], s["greatest"]))
        rows += [svg.Row(server, points)] if points else []
    if not rows:
        return None
    unit = name_of(plot.measures[0]) if len(plot.measures) == 1 \
        else "milliseconds"
    if found.sweep:
        unit += f", {point:g} {found.sweep_title}"
    return svg.rows_plot(plot.title, unit, rows, style_of, x_log=plot.log)


def cell(values):
    s = stats.summary(values)
    if s["count"] < 2:
        return f"<td>{claims.figure(s['median'])}</td>"
    return (f"<td>{claims.figure(s['median'])}<small>"
            f"{claims.figure(s['least'])} to {claims.figure(s['greatest'])}"
            "</small></td>")


def table(results, name, found):
    """Medians with their spread, a line for each server and point."""
    columns = [c for c in found.columns
               if any(c in run["measures"] for run in results.good(name))]
    base = found.base if found.base in results.servers(name) else None
    head = ["server"] + ([found.sweep_title] if found.sweep else []) + [
        name_of(c) for c in columns]
    head += [f"of {base}: {name_of(columns[0])}"] if base else []
    lines = []
    for point in results.points(name):
        for server in results.servers(name):
            line = table_line(results, name, server, point, columns, base)
            if line:
                lines.append((f"<td>{point:g}</td>" if found.sweep else "",
                              server, line))
    body = "".join(f"<tr><td>{escape(server)}</td>{at}{line}</tr>"
                   for at, server, line in lines)
    titles = "".join(f"<th>{escape(h)}</th>" for h in head) + "<th></th>"
    return (f'<div class="wide"><table><tr>{titles}</tr>{body}</table></div>')


def table_line(results, name, server, point, columns, base):
    found = {c: results.values(name, server, point, c) for c in columns}
    if not any(found.values()):
        return None
    cells = [cell(list(found[c].values())) if found[c] else "<td></td>"
             for c in columns]
    if base:
        ratios = stats.paired_ratios(
            found[columns[0]],
            results.values(name, base, point, columns[0]))
        cells.append(f"<td>{ratio_text(stats.median(ratios))}</td>" if ratios
                     else "<td></td>")
    marks = ", ".join(f"{mark} ({count})" for mark, count
                      in results.marks(name, server, point).items())
    return "".join(cells) + f'<td class="words">{escape(marks)}</td>'


def claims_of(results, name, found):
    """[(Claim, Verdict)]."""
    return [(claim, results.judge(name, claim)) for claim in found.claims]


def claim_html(claim, verdict):
    details = "; ".join(verdict.details)
    at = "" if claim.at == "best" else f" at {claim.at:g}"
    measure = f", of {name_of(claim.measure)}{at}" if claim.measure else at
    return (f'<div class="claim {SIGNS[verdict.verdict]}">'
            f"<p><b>{escape(verdict.verdict).capitalize()}.</b> "
            f"{escape(claim.says)}</p>"
            f'<p class="small"><code>{escape(claim.text)}</code>'
            f"{escape(measure)}. {escape(details)}.</p></div>")


def ledger_html(results, name):
    """System calls and the like of one request, a line a server."""
    ledgers = [one for one in results.ledgers if one["experiment"] == name]
    if not ledgers:
        return ""
    calls = sorted({c for one in ledgers for c in one["calls"]},
                   key=lambda c: -max(one["calls"].get(c, 0)
                                      for one in ledgers))
    board = [n for n in ("hand_overs", "wake_ups", "blocking_calls")
             if any(n in one["board"] for one in ledgers)]
    head = ["server", "connections", "system calls"] + [
        name.replace("_", "-") for name in board] + [
        "switches, voluntary", "involuntary", "which calls"]
    lines = []
    for one in ledgers:
        which = ", ".join(f"{c} {one['calls'][c]:.2f}" for c in calls
                          if c in one["calls"])
        total = f"{sum(one['calls'].values()):.2f}" if one["calls"] else ""
        cells = [escape(one["server"]), one["connections"], total]
        cells += [f"{one['board'].get(n, 0):.3f}" if one["board"] else ""
                  for n in board]
        cells += [f"{n:.3f}" for n in one["switches"]]
        lines.append("<tr>" + "".join(f"<td>{c}</td>" for c in cells)
                     + f'<td class="words calls">{escape(which)}</td></tr>')
    titles = "".join(f"<th>{escape(h)}</th>" for h in head)
    return (f"<h3>Cost ledger of a request</h3><p class='small'>Counts, "
            f"divided by {ledgers[0]['requests']} requests on kept "
            "connections; system calls by strace, hand-overs and wake-ups by "
            "Weir's scoreboard, switches of processes and threads by "
            f"/proc.</p><div class='wide'><table><tr>{titles}</tr>"
            + "".join(lines) + "</table></div>")


def pools_html(results, name, found, style_of):
    """The sweep of pool sizes: made here, or kept in the file."""
    swept = results.good(name, is_pool_sweep=True)
    parts = []
    measure = found.pool_measure
    series = {}
    for run in swept:
        if measure in run["measures"]:
            series.setdefault(run["server"], {}).setdefault(
                run["pool"], []).append(run["measures"][measure])
    for server, pool in found.pools.items():
        for size, value in pool.swept.items():
            series.setdefault(server, {}).setdefault(int(size), [value])
    lines = [svg.Series(server, [(size, stats.median(v), min(v), max(v))
                                 for size, v in sizes.items()])
             for server, sizes in series.items()]
    for line in lines:
        style_of.setdefault(line.name, svg.Style("#000000", "ring"))
    if lines:
        plot = svg.lines_plot("Pool sizes", "size of the pool",
                              name_of(measure), lines, style_of,
                              y_log=is_less_better(measure))
        parts.append("<h3>Pool sizes</h3><div class='plots'>"
                     + figure_html("", plot, settings_note(results, name))
                     + "</div>")
    commands = {pool.command for pool in found.pools.values() if pool.command}
    shown = ", ".join(f"{server} {pool.size}"
                      for server, pool in found.pools.items())
    if shown and not swept:
        parts.append(f"<p class='small'>Pools as shown: {escape(shown)}"
                     + (", where a sweep was best: " + ", ".join(
                         f"<code>{escape(c)}</code>" for c in commands)
                        if commands else "; not swept on this machine")
                     + ".</p>")
    return "".join(parts)


def commands_html(results, name):
    """The exact commands and configurations, one of each server."""
    parts = []
    for server in results.servers(name):
        run = next(r for r in results.good(name) if r["server"] == server)
        lines = "\n".join(" ".join(words) for words in
                          [run["command"], *run["loads"].values()])
        parts.append(f"<h4>{escape(server)}</h4><pre>{escape(lines)}\n\n"
                     f"{escape(run['configuration'])}</pre>")
    return ("<details><summary>Commands and configurations</summary>"
            + "".join(parts) + "</details>") if parts else ""


def section(results, name, style_of):
    found = parsed(results, name)
    about = results.experiments[name]
    parts = [f'<h2 id="{escape(name)}">{escape(found.title)}</h2>',
             f"<p>{escape(found.question)}</p>"]
    plots = []
    if results.good(name):
        note = settings_note(results, name)
        for plot in found.plots:
            drawn = draw(results, name, found, plot, style_of)
            if drawn:
                plots.append(figure_html(plot.title, drawn, note))
        parts.append(f"<div class='plots'>{''.join(plots)}</div>")
        parts += [claim_html(c, v) for c, v in claims_of(results, name,
                                                         found)]
        parts.append(table(results, name, found))
        parts.append(ledger_html(results, name))
    else:
        parts.append("<p><b>Nothing was measured.</b></p>")
    parts.append(pools_html(results, name, found, style_of))
    parts += [f"<p>{escape(found.reading)}</p>"] if found.reading else []
    parts += [f"<p class='small'>{escape(note)}</p>"
              for note in about["notes"]]
    parts += [f"<p class='small'>Source: {escape(found.source)}</p>"] \
        if found.source else []
    parts.append(missing_html(results, name))
    parts.append(commands_html(results, name))
    return "\n".join(parts)


def missing_html(results, name):
    """What should be here and is not."""
    lines = [f"{m['what']}: {m['why']}" for m in results.missing
             if m["experiment"] == name]
    failed = {}
    for run in results.runs:
        if run["experiment"] == name and not run["ok"]:
            key = (run["server"], run["trouble"])
            failed[key] = failed.get(key, 0) + 1
    lines += [f"{server}: {count} run{'s' * (count > 1)} failed: {why}"
              for (server, why), count in failed.items()]
    if not lines:
        return ""
    return ("<h3>Missing</h3><ul class='small'>"
            + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>")


def about_html(results):
    about = results.about
    rows = [("command", about.get("command", "")),
            ("when", f"{about.get('began', '')} to {about.get('ended', '')}"),
            ("weir", about.get("weir", "")),
            ("servers", ", ".join(f"{k} {v}" for k, v in
                                  about.get("servers", {}).items()))]
    rows += [(key.replace("_", " "), " ".join(map(str, value))
              if isinstance(value, list) else value)
             for key, value in about.get("machine", {}).items()]
    body = "".join(f"<tr><td>{escape(k)}</td><td class='words'><code>"
                   f"{escape(v)}</code></td></tr>" for k, v in rows)
    return (f"<h2>Machine and versions</h2><div class='wide'><table>{body}"
            "</table></div>")


def overview(results, names):
    """Every claim and its verdict, at the top."""
    lines = []
    for name in names:
        found = parsed(results, name)
        verdicts = claims_of(results, name, found)
        items = "".join(
            f"<li><b>{escape(v.verdict)}</b>: {escape(c.says)}</li>"
            for c, v in verdicts)
        lines.append(f'<li><a href="#{escape(name)}">{escape(found.title)}'
                     f"</a><ul class='small'>{items}</ul></li>")
    return f"<ul>{''.join(lines)}</ul>"


def page(results):
    """The whole report as HTML."""
    names = list(results.experiments)
    servers = list(dict.fromkeys(
        run["server"] for run in results.runs))
    style_of = svg.styles(servers, ORDER)
    sections = "\n".join(section(results, name, style_of) for name in names)
    general = "".join(
        f"<p><b>{escape(m['what'])}</b>: {escape(m['why'])}</p>"
        for m in results.missing if not m["experiment"])
    raw = json.dumps([{k: v for k, v in run.items()
                       if k in ("experiment", "server", "point", "pool",
                                "repetition", "ok", "marks", "measures")}
                      for run in results.runs]).replace("</", "<\\/")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>weir-compare</title>
<style>{CSS}</style>
</head>
<body>
<h1>Server architectures on the same workloads</h1>
<p>One server, Weir, under each of its architectures; the same pipeline, caches
and files. Medians of interleaved repetitions, with the least and the greatest;
verdicts are computed. The raw data are
<a href="results.csv">results.csv</a> and
<a href="results.json">results.json</a>, and stand in this page as JSON.</p>
{general}
{overview(results, names)}
{sections}
{about_html(results)}
<script type="application/json" id="runs">{raw}</script>
</body>
</html>
"""
