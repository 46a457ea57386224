"""The runs of an experiment: their order, and each of them from start to end.

Repetitions are interleaved: every server once at every value of the sweep,
then all again, beginning with another one each time, so that a machine whose
speed drifts treats all alike.
"""

import contextlib
import dataclasses
import pathlib
import resource
import subprocess
import time

from . import disk as disks
from . import experiment as experiments
from . import loads, machine, measures, servers
from .trouble import Absent, Trouble

SPARE_CONNECTIONS = 8
NOT_DELAYED = ("proactor",)     # the kernel reads for it
FAILURES_MAX = 2        # of a server, until an experiment goes on without it
DISTURBED = 0.10        # share of the machine that others may use; of an
DISTURBED_ASLEEP = 0.5  # experiment that mostly sleeps
LATE_MS = 10
FULL = 0.95
OVERHEAD = 1.2          # seconds of a run beside its load, until it is known


@dataclasses.dataclass
class Session:
    """What all experiments share."""
    port: int
    tools: dict
    cache: pathlib.Path     # kept from one call to the next
    tmp: pathlib.Path
    has_delay: bool
    is_secluded: bool
    level: str              # of the disk; None: the best one
    pools: dict             # sizes that the user wants
    say: object             # a function of a line


@dataclasses.dataclass
class Plan:
    """What is to be run of an experiment."""
    experiment: experiments.Experiment
    extent: experiments.Extent
    servers: list
    pool_sweep: bool = False

    def steps(self):
        """(repetition, point, server, pool size or None)."""
        for repetition in range(self.extent.repeat):
            for point in self.points():
                turn = repetition % max(len(self.servers), 1)
                for server in self.servers[turn:] + self.servers[:turn]:
                    for size in self.sizes(server):
                        yield repetition, point, server, size

    def points(self):
        # A pool is swept at the heaviest load.
        return self.extent.values[-1:] if self.pool_sweep \
            else self.extent.values

    def sizes(self, server):
        if not self.pool_sweep:
            return (None,)
        pool = self.experiment.pools.get(server.name)
        return pool.sizes if pool else ()

    def count(self):
        return sum(1 for _ in self.steps())

    def seconds(self, overhead=OVERHEAD):
        beside = any(load.beside for load in self.experiment.loads)
        each = self.extent.seconds + overhead + (
            self.experiment.settle + loads.AFTER if beside
            else self.experiment.warm_up)
        ledger = 4 * len(self.servers) if self.experiment.ledger else 0
        return self.count() * each + ledger


class Place:
    """Where an experiment takes place: documents, disk, memory group."""

    def __init__(self, session, plan, stack):
        self.experiment = plan.experiment
        self.tools, self.cache = session.tools, session.cache
        self.has_delay = session.has_delay
        self.tmp = session.tmp / plan.experiment.name
        self.tmp.mkdir(exist_ok=True)
        self.tmp.chmod(0o755)
        self.disk = self.group = None
        self.notes = []
        if plan.experiment.wan and not session.is_secluded:
            raise Trouble("a wide-area network needs root, and ip (iproute2)")
        if plan.experiment.disk:
            self.disk, reasons = disks.open_disk(
                session.level, plan.experiment.disk, self, stack)
            self.root = self.disk.root
            self.notes += [f"Without a better disk: {r}." for r in reasons]
            self.bound_memory(stack)
        else:
            self.root = self.plain_root(session, stack)
        self.list = loads.lists(self.tmp, plan.experiment.seed)

    def bound_memory(self, stack):
        try:
            self.group = disks.MemoryGroup(
                self.experiment.disk.memory_mib, stack)
        except Absent as why:
            self.notes.append(f"Memory is not bounded ({why}): what has been "
                              "read once is no longer on the disk.")

    def plain_root(self, session, stack):
        """The documents, at a place that any user can reach."""
        folder = disks.plain_files(self)
        if not session.is_secluded:
            return folder
        root = self.tmp / "documents"
        root.mkdir(exist_ok=True)
        disks.run("mount", "--bind", folder, root)
        stack.callback(disks.unmount, root)
        return root

    def prepare(self):
        if self.group:
            self.group.empty()
        if self.disk:
            self.disk.prepare()


@dataclasses.dataclass
class LoadSetup:
    """What loads.command() asks for."""
    tools: dict
    port: int
    seed: int
    list: object
    documents: dict
    settle: float
    wrapper: list
    wan: experiments.Wan


def pool_size(session, found, server, point):
    """A server's pool at a value of the sweep; 0: what it has by itself."""
    pool = found.pools.get(server.name)
    size = session.pools.get(server.name) or (pool.size if pool else 0)
    if pool and pool.covers_clients:
        size = max(size, found.clients(point) + SPARE_CONNECTIONS)
    return size


def setting_for(session, place, found, server, point, size):
    wrapper = place.group.wrapper() if place.group else []
    if found.pinned:
        wrapper = wrapper + ["taskset", "-c", str(machine.processors()[0])]
    lines = list(place.disk.directives) if place.disk else []
    if lines and server.name in NOT_DELAYED + servers.PEERS:
        raise Absent("Weir's DebugDiskDelay does not touch it")
    for name in (["weir"] if server.is_weir else []) + [server.name]:
        lines += found.directives.get(name, [])
    first = next(iter(found.documents.values()))
    return servers.Setting(
        root=place.root, run=place.tmp / f"run-{server.name}",
        port=session.port,
        pool=size or pool_size(session, found, server, point), log=found.log,
        send_buffer=found.send_buffer, accept_limit=found.accept_limit,
        processes=found.processes, lines=lines, wrapper=wrapper,
        first_url=first.paths()[0],
        address="0.0.0.0" if found.wan else "127.0.0.1")


def check_descriptors(found, point):
    needed = found.clients(point) + 64
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if needed > limit:
        raise Trouble(f"{needed} descriptors are needed and {limit} allowed: "
                      "ulimit -n, or fewer clients")


def load_setup(session, place, found, repetition):
    wrapper = []
    if found.pinned:
        wrapper = ["taskset", "-c", str(machine.processors()[-1])]
    return LoadSetup(session.tools, session.port,
                     found.seed * 1000 + repetition, place.list,
                     found.documents, found.settle, wrapper, found.wan)


@contextlib.contextmanager
def running(setting, server):
    """A server that answers; stopped however the block is left."""
    one = servers.Running(server, setting)
    try:
        one.wait_ready()
        yield one
    finally:
        one.stop()


def warm(session, place, found, one):
    """What is to be in memory is, and in the caches of all processes."""
    paths = [path for name in found.warm
             for path in found.documents[name].paths()]
    processes = one.setting.pool if one.server.name == "mp" \
        else found.processes
    if paths:
        loads.warm(session.tools["pace"], session.port, paths, place.tmp,
                   processes)


def look_at_board(one):
    """Its counters, while no load is there that could delay the answer."""
    return measures.board_counters(measures.scoreboard(one.setting.port)) \
        if one.server.is_weir else {}


class Measured:
    """A run's streams and the snapshots around them."""

    def __init__(self, extent, found, setup, one, point, disk):
        self.extent, self.found, self.setup = extent, found, setup
        self.one, self.point, self.disk = one, point, disk
        self.streams, self.load_cpu = [], 0.0
        self.lines = {load.name: loads.command(load, point, extent, setup)
                      for load in found.loads}

    def snapshot(self):
        return measures.Snapshot(self.one, self.disk)

    def start(self, beside):
        for load in self.found.loads:
            if load.beside == beside:
                self.streams.append(
                    loads.Stream(load, self.lines[load.name]))

    def watch(self, seconds):
        """Sleep, and look whether the server lives."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.2))
            self.one.check_alive()

    def go(self):
        """@return (before, after, PSS in KiB)."""
        try:
            return self.beside() if any(
                load.beside for load in self.found.loads) else self.alone()
        except BaseException:
            for stream in self.streams:
                stream.stop()
            raise

    def alone(self):
        if self.found.warm_up:
            warm_up = dataclasses.replace(self.extent,
                                          seconds=self.found.warm_up)
            line = loads.command(self.found.loads[0], self.point, warm_up,
                                 self.setup)
            subprocess.run(line, check=False, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        cpu = children_cpu()
        before = self.snapshot()
        self.start(beside=False)
        self.watch(self.extent.seconds)
        for stream in self.streams:
            stream.process.wait(timeout=self.timeout())
        after = self.snapshot()
        self.load_cpu = children_cpu() - cpu
        return before, after, measures.pss_kib(after.pids)

    def beside(self):
        self.start(beside=True)
        self.watch(self.found.settle)
        before = self.snapshot()
        self.start(beside=False)
        self.watch(self.extent.seconds)
        after = self.snapshot()
        return before, after, measures.pss_kib(after.pids)

    def timeout(self):
        return self.extent.seconds + self.found.settle + loads.GRACE + 20

    def finish(self):
        """@return (measures by stream and name, what else they told)."""
        found, raw = {}, {}
        for stream in sorted(self.streams, key=lambda s: s.load.beside):
            told, raw[stream.load.name] = stream.finish(self.timeout())
            found.update({f"{stream.load.name}.{name}": value
                          for name, value in told.items()})
            stream.stop()
        self.load_cpu = self.load_cpu or sum(
            value for name, value in found.items()
            if name.endswith("generator_cpu_s"))
        return found, raw


def children_cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def marks_of(found, extent, told, load_cpu, between, busy):
    """What is to be said against a run."""
    marks = []
    if found.pinned and len(machine.processors()) == 1:
        marks.append("one processor for both")
    share = load_cpu / extent.seconds
    if found.pinned and share >= FULL and between["cpu_share"] < FULL:
        marks.append("load is full")
    late = max((v for k, v in told.items() if k.endswith("lag_p99_ms")),
               default=0)
    if late > LATE_MS:
        marks.append("load was late")
    others = busy - between["cpu_s"] - load_cpu
    share = others / extent.seconds / len(machine.processors())
    if share > (DISTURBED if found.pinned else DISTURBED_ASLEEP):
        marks.append("disturbed by others")
    return marks, max(share, 0)


def one_run(session, place, plan, step):
    """One server under one load.  @return its record."""
    repetition, point, server, size = step
    found, extent = plan.experiment, plan.extent
    check_descriptors(found, point)
    place.prepare()
    setting = setting_for(session, place, found, server, point, size)
    setup = load_setup(session, place, found, repetition)
    with running(setting, server) as one:
        warm(session, place, found, one)
        at_work = Measured(extent, found, setup, one, point, place.disk)
        board = look_at_board(one)
        before, after, pss = at_work.go()
        told, raw = at_work.finish()
        one.check_alive()
        told.update(measures.of_the_board(board, look_at_board(one)))
    requests = sum(told.get(f"{load.name}.rate", 0) for load in found.loads) \
        * extent.seconds
    between = measures.between(before, after, requests)
    marks, share = marks_of(found, extent, told, at_work.load_cpu, between,
                            after.busy - before.busy)
    if place.disk and place.disk.is_marked:
        marks.append(f"disk: {place.disk.level}")
    told.update(between)
    told.update({"pss_mib": pss / 1024, "others_share": share})
    return record(plan, step, setting, ok=True, measures=told, marks=marks,
                  streams=raw, loads=at_work.lines, command=one.command,
                  configuration=one.text)


def record(plan, step, setting, **more):
    repetition, point, server, size = step
    found = {"experiment": plan.experiment.name, "server": server.name,
             "point": point, "repetition": repetition,
             "pool": setting.pool if setting else size or 0,
             "is_pool_sweep": plan.pool_sweep, "time": time.time(),
             "marks": [], "measures": {}}
    found.update(more)
    return found


class Progress:
    """Says what was done, and how long the rest will take."""

    def __init__(self, plans, say):
        self.total = sum(plan.count() for plan in plans)
        self.expected = sum(plan.seconds() for plan in plans)
        self.begun = time.monotonic()
        self.done, self.done_expected = 0, 0.0
        self.say = say

    def step(self, plan, step, words):
        self.done += 1
        self.done_expected += plan.seconds() / plan.count()
        spent = time.monotonic() - self.begun
        left = (self.expected - self.done_expected) \
            * spent / self.done_expected
        repetition, point, server, size = step
        at = f" {point:g} {plan.experiment.sweep_title}," \
            if plan.experiment.sweep else ""
        at += f" pool of {size}," if size else ""
        self.say(f"[{self.done}/{self.total}] {plan.experiment.name}:{at} "
                 f"{server.name}, round {repetition + 1}: {words}  "
                 f"({duration(left)} left)")


def duration(seconds):
    seconds = max(0, round(seconds))
    if seconds < 90:
        return f"{seconds} s"
    return f"{seconds // 60} min {seconds % 60:02} s"


def in_short(found, one):
    """The first few columns of a record."""
    if not one["ok"]:
        return f"FAILED: {one['trouble']}"
    words = [f"{name} {value:.3g}" if value < 1000 else f"{name} {value:.0f}"
             for name, value in ((n, one["measures"].get(n))
                                 for n in found.columns[:5])
             if value is not None]
    marks = f" [{', '.join(one['marks'])}]" if one["marks"] else ""
    return ", ".join(words) + marks


def run_plan(session, plan, progress, results):
    """All runs of an experiment, into results (a results.Results)."""
    found = plan.experiment
    with contextlib.ExitStack() as stack:
        place = Place(session, plan, stack)
        results.begin(plan, place)
        failures, given_up = {}, {}
        for step in plan.steps():
            name = step[2].name
            if name in given_up:
                progress.step(plan, step, f"left out: {given_up[name]}")
                continue
            try:
                one = one_run(session, place, plan, step)
            except Absent as why:
                given_up[name] = str(why)
                results.miss(found.name, name, str(why))
                progress.step(plan, step, f"left out: {why}")
                continue
            except (Trouble, subprocess.SubprocessError, OSError) as why:
                one = record(plan, step, None, ok=False, trouble=str(why))
                failures[name] = failures.get(name, 0) + 1
                if failures[name] >= FAILURES_MAX:
                    given_up[name] = f"it failed {FAILURES_MAX} times"
                    results.miss(found.name, name,
                                 f"{given_up[name]}, at last: {why}")
            results.add(one)
            progress.step(plan, step, in_short(found, one))
        if found.ledger and not plan.pool_sweep:
            for server in plan.servers:
                if server.name not in given_up:
                    add_ledger(session, place, plan, server, results)


def add_ledger(session, place, plan, server, results):
    """The cost ledger of one server: counts, for so many requests."""
    found = plan.experiment
    for connections in found.ledger["connections"]:
        session.say(f"{found.name}: ledger of {server.name}, {connections} "
                    f"connection{'s' * (connections > 1)}")
        try:
            results.add_ledger(ledger_of(session, place, plan, server,
                                         connections))
        except (Trouble, subprocess.SubprocessError, OSError) as why:
            results.miss(found.name, server.name, f"its ledger: {why}")


def ledger_of(session, place, plan, server, connections):
    found = plan.experiment
    requests = found.ledger["requests"]
    place.prepare()
    setting = setting_for(session, place, found, server, connections, None)
    path = place.list([found.documents[name]
                       for name in found.loads[0].documents])
    line = [str(session.tools["pace"]), "-p", str(session.port), "-f",
            str(path), "-c", str(connections), "-n", str(requests), "-d",
            "60"]
    with running(setting, server) as one:
        warm(session, place, found, one)
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        board = look_at_board(one)
        before = measures.Snapshot(one, None)
        subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
        after = measures.Snapshot(one, None)
        board = measures.of_the_board(board, look_at_board(one))
        calls = {}
        if measures.Calls.can_be():
            with measures.Calls(one.pids()) as traced:
                subprocess.run(line, check=True, stdout=subprocess.DEVNULL)
            calls = {name: count / requests
                     for name, count in traced.counts.items()
                     if count >= requests / 100}
    return {"experiment": found.name, "server": server.name,
            "connections": connections, "requests": requests,
            "pool": setting.pool, "calls": calls,
            "switches": [n / requests for n in measures.grown(
                before.switches, after.switches)],
            "board": {name[len("board."):]: value for name, value
                      in board.items() if name.startswith("board.")
                      and not name.endswith("_ms_s")}}
