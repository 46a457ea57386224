"""What the terminal shows of results: tables, verdicts, ledgers, pools."""

from . import claims, stats
from .report import claims_of, name_of, parsed
from .results import is_less_better

COLUMNS = 6     # so many fit


def ledger_text(results, name):
    """A line for each ledger, for a terminal."""
    lines = []
    for one in results.ledgers:
        if one["experiment"] != name:
            continue
        calls = sorted(one["calls"].items(), key=lambda c: -c[1])
        words = [f"{call} {count:.2f}" for call, count in calls]
        words += [f"{key.replace('_', '-')} {one['board'][key]:.2f}"
                  for key in ("hand_overs", "wake_ups")
                  if one["board"].get(key)]
        words.append(f"switches {sum(one['switches']):.2f}")
        lines.append(f"  {one['server']}, {one['connections']} connections: "
                     f"{sum(one['calls'].values()):.2f} system calls a "
                     f"request; {', '.join(words)}")
    return lines


def text_table(results, name):
    """For a terminal: medians, and the verdicts below."""
    found = parsed(results, name)
    columns = [c for c in found.columns[:COLUMNS]
               if any(c in run["measures"] for run in results.good(name))]
    head = ["server"] + ([found.sweep_title] if found.sweep else []) \
        + [name_of(c) for c in columns]
    lines = [head]
    for point in results.points(name):
        for server in results.servers(name):
            cells = []
            for column in columns:
                values = list(results.values(name, server, point,
                                             column).values())
                cells.append(claims.figure(stats.median(values))
                             if values else "")
            if any(cells):
                mark = " *" if results.marks(name, server, point) else ""
                lines.append([server + mark] + ([f"{point:g}"] if found.sweep
                                                else []) + cells)
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    out = [f"\n{found.title}"]
    for line in lines:
        out.append("  " + line[0].ljust(widths[0]) + "".join(
            f"  {cell.rjust(width)}"
            for cell, width in zip(line[1:], widths[1:])))
    if any(" *" in line[0] for line in lines):
        out.append("  * marked in the report")
    for claim, verdict in claims_of(results, name, found):
        out.append(f"  {verdict.verdict}: {claim.says}")
    out += ledger_text(results, name)
    return "\n".join(out)


def best_pools(results, name, found):
    """{server: (size, {size: median})}: the least size that is as good as the
    best within the noise."""
    best = {}
    for server in dict.fromkeys(
            run["server"] for run in results.good(name, True)):
        sizes = {}
        for run in results.good(name, True):
            if run["server"] == server:
                sizes.setdefault(run["pool"], []).append(
                    run["measures"][found.pool_measure])
        medians = {size: stats.median(v) for size, v in sizes.items()}
        less = is_less_better(found.pool_measure)
        top = (min if less else max)(medians.values())
        noise = stats.noise(*sizes.values()) if len(sizes) else 0
        good = [size for size, value in medians.items()
                if (value <= top * (1 + noise) if less
                    else value >= top * (1 - noise))]
        best[server] = (min(good), dict(sorted(medians.items())))
    return best


def pools_text(results, name, found, command):
    """What the experiment's file may keep of a sweep."""
    out = [f"Best pools, for {found.path.name}:"]
    for server, (size, medians) in best_pools(results, name, found).items():
        kept = found.pools[server]
        swept = ", ".join(f"{key} = {value:.4g}"
                          for key, value in medians.items())
        out += [f"\n[pools.{server}]", f"size = {size}",
                f"sizes = {list(kept.sizes)}"]
        out += ["covers_clients = true"] if kept.covers_clients else []
        out += [f'command = "{command}"', f"swept = {{ {swept} }}"]
    return "\n".join(out)
