"""The results of runs: kept, written, read again, merged, compared."""

import csv
import json
import os
import pathlib
import time

from . import claims, stats
from .trouble import Trouble

VERSION = 1
FILE = "results.json"


class Results:
    """Everything that one or several calls have measured."""

    def __init__(self, about=None):
        self.about = about or {}
        self.experiments = {}   # name: what was run, and how
        self.runs, self.ledgers, self.missing = [], [], []

    def begin(self, plan, place):
        found = plan.experiment
        known = self.experiments.setdefault(found.name, {})
        known.update({
            "file": found.path.read_text(), "path": str(found.path.name),
            "seconds": plan.extent.seconds, "repeat": plan.extent.repeat,
            "values": list(plan.extent.values),
            "settings": {"AcceptLimit": found.accept_limit,
                         "processes": found.processes,
                         "access log": "on" if found.log else "off",
                         "send buffer": f"{found.send_buffer} bytes"
                         if found.send_buffer else "the system's",
                         **({"slow lines": found.wan.describe()}
                            if found.wan else {})},
            "disk": place.disk.describe() if place.disk else "",
            "memory": f"{found.disk.memory_mib} MiB" if place.group else "",
            "notes": place.notes})

    def add(self, record):
        self.runs.append(record)

    def add_ledger(self, ledger):
        self.ledgers.append(ledger)

    def miss(self, experiment, what, why):
        self.missing.append({"experiment": experiment, "what": what,
                             "why": why})

    def write(self, folder):
        """results.json and results.csv, whole or as they were before."""
        folder.mkdir(parents=True, exist_ok=True)
        new = folder / f".{FILE}.new"
        new.write_text(json.dumps({
            "version": VERSION, "about": self.about,
            "experiments": self.experiments, "runs": self.runs,
            "ledgers": self.ledgers, "missing": self.missing}))
        os.replace(new, folder / FILE)
        self.write_csv(folder / "results.csv")

    def write_csv(self, path):
        names = sorted({name for run in self.runs for name in run["measures"]})
        with open(path, "w", newline="") as file:
            out = csv.writer(file)
            out.writerow(["experiment", "server", "point", "pool",
                          "repetition", "ok", "marks", *names])
            for run in self.runs:
                out.writerow(
                    [run["experiment"], run["server"], run["point"],
                     run["pool"], run["repetition"], int(run["ok"]),
                     " + ".join(run["marks"])]
                    + [run["measures"].get(name, "") for name in names])

    # What is asked of them.

    def servers(self, experiment):
        """In the order in which they came."""
        return list(dict.fromkeys(
            run["server"] for run in self.good(experiment)))

    def points(self, experiment):
        return sorted({run["point"] for run in self.good(experiment)})

    def good(self, experiment, is_pool_sweep=False):
        return [run for run in self.runs if run["ok"]
                and run["experiment"] == experiment
                and run["is_pool_sweep"] == is_pool_sweep]

    def values(self, experiment, server, point, measure):
        """{repetition: value}."""
        return {run["repetition"]: run["measures"][measure]
                for run in self.good(experiment)
                if run["server"] == server and run["point"] == point
                and measure in run["measures"]}

    def best_point(self, experiment, server, measure):
        """Where the server is best, by the median; more is better unless the
        measure is a time, a cost or a size."""
        found = {}
        for point in self.points(experiment):
            values = self.values(experiment, server, point, measure)
            if values:
                found[point] = stats.median(list(values.values()))
        if not found:
            return None
        return (min if is_less_better(measure) else max)(found, key=found.get)

    def marks(self, experiment, server, point):
        """{mark: runs that have it}."""
        found = {}
        for run in self.good(experiment):
            if run["server"] == server and run["point"] == point:
                for mark in run["marks"]:
                    found[mark] = found.get(mark, 0) + 1
        return found

    def judge(self, experiment, claim):
        """The Verdict on a claim of an experiment."""
        def values(server, measure):
            measure = measure or claim.measure
            point = claim.at if claim.at != "best" else self.best_point(
                experiment, server, measure)
            return self.values(experiment, server, point, measure)
        return claims.judge(claim.predicate, values, claim.each)


def is_less_better(measure):
    last = measure.rpartition(".")[2]
    return last.endswith(("_ms", "_us", "_mib", "_ms_s")) or last in (
        "errors", "switches", "cpu_share")


def read(folder):
    """What a folder holds."""
    path = pathlib.Path(folder) / FILE
    try:
        found = json.loads(path.read_text())
    except OSError as error:
        raise Trouble(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise Trouble(f"{path}: {error}") from error
    if not isinstance(found, dict) or found.get("version") != VERSION:
        raise Trouble(f"{path}: it is of another version")
    results = Results(found["about"])
    results.experiments = found["experiments"]
    results.runs, results.ledgers = found["runs"], found["ledgers"]
    results.missing = found["missing"]
    return results


def merge(parts):
    """Several results as one: their repetitions are added up."""
    whole = Results(dict(parts[0].about))
    whole.about["parts"] = [part.about for part in parts]
    next_repetition = 0
    for part in parts:
        for name, about in part.experiments.items():
            whole.experiments.setdefault(name, about)
        last = 0
        for run in part.runs:
            last = max(last, run["repetition"])
            whole.runs.append({**run, "repetition": run["repetition"]
                               + next_repetition})
        next_repetition += last + 1
        whole.ledgers += part.ledgers
        whole.missing += [m for m in part.missing if m not in whole.missing]
    return whole


def differences(old, new, measures_of):
    """What has changed by more than the noise.

    measures_of(experiment) names the measures that are looked at.
    @return [(experiment, server, point, measure, old, new, ratio, noise)].
    """
    found = []
    for experiment in new.experiments:
        for server in new.servers(experiment):
            for point in new.points(experiment):
                for measure in measures_of(experiment):
                    line = difference(old, new, experiment, server, point,
                                      measure)
                    found += [line] if line else []
    return found


def difference(old, new, *key):
    before = list(old.values(*key).values())
    after = list(new.values(*key).values())
    if not before or not after:
        return None
    a, b = stats.median(before), stats.median(after)
    noise = stats.noise(before, after)
    if a == b or (a != 0 and abs(b / a - 1) <= noise):
        return None
    return (*key, a, b, b / a if a else None, noise)


def now():
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
