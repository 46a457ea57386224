"""The command line: weir-compare COMMAND."""

import argparse
import contextlib
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

from . import experiment as experiments
from . import (machine, report, results as outcomes, runs, servers,
               terminal, tools)
from .trouble import Interrupted, Trouble

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
QUICK = ("cached-small", "disk-four-arms", "slow-clients")
EPILOG = "docs/comparing.md says what is measured, how, and what it means."


def say(words):
    print(words, flush=True)


def options(arguments):
    parser = argparse.ArgumentParser(
        prog="weir-compare", epilog=EPILOG,
        description="Compare server architectures on identical workloads.")
    commands = parser.add_subparsers(dest="command", required=True,
                                     metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--mpm", type=words, metavar="A,B",
                        help="Weir's MPMs to run; default: all there are")
    common.add_argument("--with", dest="peers", type=words, default=[],
                        metavar="A,B", help="other servers beside them: "
                        + ",".join(servers.PEERS))
    common.add_argument("--out", type=pathlib.Path,
                        default=pathlib.Path("report"), metavar="FOLDER",
                        help="where the report goes; default: report")
    common.add_argument("--weir", type=pathlib.Path, metavar="PREFIX",
                        help="where weir is installed; default: "
                        "build/compare/stage")
    common.add_argument("--port", type=port, default=18200)
    common.add_argument("--disk", choices=experiments.LEVELS,
                        help="how the slow disk is made; default: the best "
                        "that can be had")
    common.add_argument("--pool", type=pool, action="append", default=[],
                        metavar="MPM=N", help="a pool of that size")
    commands.add_parser("quick", parents=[common],
                        help="three experiments in five minutes")
    run = commands.add_parser("run", parents=[common],
                              help="some experiments, as long as they take")
    run.add_argument("experiment", nargs="+", metavar="EXPERIMENT",
                     help="a name that `list` shows, or a file; or all")
    run.add_argument("--clients", type=numbers, metavar="1,16,256",
                     help="values of the sweep")
    run.add_argument("--repeat", type=positive, metavar="N")
    run.add_argument("--seconds", type=seconds, metavar="S")
    run.add_argument("--pools", action="store_true",
                     help="sweep the sizes of the pools instead")
    commands.add_parser("list", help="the experiments there are")
    merged = commands.add_parser("report", help="merge results, draw anew")
    merged.add_argument("folder", nargs="+", type=pathlib.Path)
    merged.add_argument("--out", type=pathlib.Path,
                        default=pathlib.Path("report"), metavar="FOLDER")
    diff = commands.add_parser("diff",
                               help="what has changed by more than the noise")
    diff.add_argument("old", type=pathlib.Path)
    diff.add_argument("new", type=pathlib.Path)
    return parser.parse_args(arguments)


def words(text):
    return [word for word in text.split(",") if word]


def numbers(text):
    return [positive(word) for word in words(text)]


def positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no number from 1 on")
    return int(text)


def port(text):
    if positive(text) > 65535:
        raise argparse.ArgumentTypeError("a port is a number up to 65535")
    return int(text)


def seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0.1 <= value <= 3600:
        raise argparse.ArgumentTypeError("seconds are from 0.1 to 3600")
    return value


def pool(text):
    name, equals, size = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("write MPM=N")
    return name, positive(size)


def choose_servers(chosen, prefix):
    """@return (servers, what weir is, {what is missing: why})."""
    found, about = servers.find_weir(prefix)
    picked = []
    for name in chosen.mpm or found:
        if name not in found:
            raise Trouble(f"weir has no MPM {name}"
                          + experiments.nearest(name, list(found)))
        picked.append(found[name])
    missing = {}
    for name in chosen.peers:
        if name not in servers.PEERS:
            raise Trouble(f"I know no server {name}"
                          + experiments.nearest(name, servers.PEERS))
        peer = servers.find_peer(name)
        if peer:
            picked.append(peer)
        else:
            missing[name] = "it is not installed here"
    for name, _ in chosen.pool:
        if name not in [one.name for one in picked]:
            raise Trouble(f"--pool: {name} is not among those that run")
    return picked, about, missing


def plans_for(chosen, picked):
    if chosen.command == "quick":
        loaded = [experiments.load(name) for name in QUICK]
        return [runs.Plan(one, one.quick, picked) for one in loaded]
    names = experiments.available() if chosen.experiment == ["all"] \
        else chosen.experiment
    plans = []
    for name in names:
        found = experiments.load(name)
        if chosen.clients and not found.sweep:
            say(f"{name} sweeps nothing: --clients does not concern it")
        extent = experiments.Extent(
            chosen.seconds or found.full.seconds,
            chosen.repeat or found.full.repeat,
            tuple(chosen.clients) if chosen.clients and found.sweep
            else found.full.values)
        plans.append(runs.Plan(found, extent, picked, chosen.pools))
    return plans


def has_delay(prefix):
    return (prefix / "lib/weir/modules/mod_delay.so").exists()


def commit():
    done = subprocess.run(["git", "-C", TOP, "describe", "--always",
                           "--dirty"], check=False, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    return done.stdout.strip() or "unknown"


def measure(chosen):
    """quick and run."""
    prefix = (chosen.weir or TOP / "build" / "compare" / "stage").resolve()
    picked, about, missing = choose_servers(chosen, prefix)
    plans = plans_for(chosen, picked)
    out = chosen.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    if servers.is_taken(chosen.port):
        raise Trouble(f"port {chosen.port} is taken; choose another one by "
                      "--port")
    machine.on_signals_undo()
    is_secluded = machine.seclude()
    machine.adopt_orphans()
    machine.raise_descriptors()
    results = outcomes.Results({
        "command": "weir-compare " + shlex.join(sys.argv[1:]),
        "began": outcomes.now(), "machine": machine.describe(is_secluded),
        "weir": " ".join(about.split()) + f", commit {commit()}",
        "servers": {one.name: one.version for one in picked
                    if not one.is_weir}})
    for name, why in missing.items():
        results.miss("", name, why)
        say(f"{name} is left out: {why}")
    with contextlib.ExitStack() as stack:
        stack.callback(end_what_is_left)
        tmp = pathlib.Path(stack.enter_context(
            tempfile.TemporaryDirectory(prefix="weir-compare-")))
        tmp.chmod(0o755)
        cache = TOP / "build" / "compare"
        session = runs.Session(
            port=chosen.port, tools=tools.compile_all(cache / "tools"),
            cache=cache, tmp=tmp, has_delay=has_delay(prefix),
            is_secluded=is_secluded, level=chosen.disk,
            pools=dict(chosen.pool), say=say)
        is_whole = run_all(session, plans, results, out)
    return finish(results, out, is_whole)


def run_all(session, plans, results, out):
    """@return whether it came to its end."""
    progress = runs.Progress(plans, say)
    say(f"{progress.total} runs, about {runs.duration(progress.expected)}")
    try:
        for plan in plans:
            try:
                runs.run_plan(session, plan, progress, results)
            except Trouble as why:
                say(f"{plan.experiment.name} is left out: {why}")
                results.miss("", plan.experiment.name, str(why))
            results.write(out)
    except Interrupted as signal:
        say(f"Stopped by {signal}; what was set up is undone.")
        results.miss("", "the rest", f"stopped by {signal}")
        return False
    return True


def end_what_is_left():
    """Nothing that was started may outlive us."""
    left = [pid for pid in servers.descendants(os.getpid())
            if servers.is_alive(pid)]
    servers.end_all(left)


def finish(results, out, is_whole):
    results.about["ended"] = outcomes.now()
    results.write(out)
    (out / "index.html").write_text(report.page(results))
    for name in results.experiments:
        if results.good(name):
            say(terminal.text_table(results, name))
        if results.good(name, is_pool_sweep=True):
            say(terminal.pools_text(
                results, name, report.parsed(results, name),
                results.about.get("command", "")))
    say(f"\nThe report is {out / 'index.html'}")
    failed = [run for run in results.runs if not run["ok"]]
    if failed:
        say(f"{len(failed)} of {len(results.runs)} runs failed; the report "
            "says which, and why.")
    return 0 if is_whole and not failed else 1


def print_list():
    for name in experiments.available():
        found = experiments.load(name)
        values = f", {found.sweep_title} " + ",".join(
            f"{v:g}" for v in found.full.values) if found.sweep else ""
        say(f"{name:20} {found.title}{values}")


def redraw(chosen):
    parts = [outcomes.read(folder) for folder in chosen.folder]
    whole = outcomes.merge(parts) if len(parts) > 1 else parts[0]
    return finish(whole, chosen.out.resolve(), True)


def compare(chosen):
    old, new = outcomes.read(chosen.old), outcomes.read(chosen.new)

    def measures_of(name):
        return report.parsed(new, name).columns

    found = outcomes.differences(old, new, measures_of)
    for name, server, point, measure, before, after, ratio, noise in found:
        at = f" at {point:g}" if point else ""
        share = f"{ratio:.2f} times" if ratio is not None else "from nothing"
        say(f"{name}{at}: {server}: {report.name_of(measure)} {before:.4g} "
            f"-> {after:.4g} ({share}, noise {noise:.0%})")
    if not found:
        say("Nothing differs by more than the noise.")
    return 0


def main(arguments=None):
    chosen = options(arguments)
    try:
        if chosen.command == "list":
            return print_list() or 0
        if chosen.command == "report":
            return redraw(chosen)
        if chosen.command == "diff":
            return compare(chosen)
        return measure(chosen)
    except Trouble as why:
        print(f"weir-compare: {why}", file=sys.stderr)
        return 2
    except Interrupted as signal:
        print(f"weir-compare: stopped by {signal}", file=sys.stderr)
        return 1
