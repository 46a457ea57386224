"""What an experiment is: a data file in bench/experiments, read and checked.

bench/README.md says what may stand there.  Every mistake is said with the
file, the place and the nearest right word.
"""

import dataclasses
import difflib
import pathlib
import tomllib

from . import claims
from .trouble import Trouble

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "experiments"
PROGRAMS = ("hammer", "pace", "wrk")
LEVELS = ("loop", "fuse", "delay")


@dataclasses.dataclass
class Documents:
    """Files of one kind: NAME/00000 and so on."""
    name: str
    count: int
    bytes: int
    popularity: str = "uniform"  # or "zipf"

    def paths(self):
        return [f"/{self.name}/{i:05}" for i in range(self.count)]


@dataclasses.dataclass
class Load:
    """One stream of requests; a number may be "sweep"."""
    name: str
    program: str
    documents: tuple
    connections: object
    rate: object = 0        # requests a second; 0: closed loop
    poisson: bool = False
    bytes_per_second: int = 0
    receive_buffer: int = 0
    segment: int = 0
    close: bool = False
    ramp: float = 0.0
    beside: bool = False    # begins before what is measured, and ends after
    is_far: bool = False    # behind the [wan]


@dataclasses.dataclass
class Disk:
    seek_us: int
    bytes_per_second: int
    heads: int
    memory_mib: int
    image_mib: int
    fresh: bool             # mounted anew before each run


@dataclasses.dataclass
class Wan:
    """Lines in between: one for each client."""
    delay_ms: int           # either way
    kbit: int               # a second, to the client
    queue_bytes: int
    lost_of_1000: int

    def describe(self):
        words = [f"{self.delay_ms} ms either way"]
        words += [f"{self.kbit} kbit/s"] if self.kbit else []
        words += [f"queues of {self.queue_bytes} bytes"] \
            if self.queue_bytes else []
        words += [f"{self.lost_of_1000} of 1000 packets lost"] \
            if self.lost_of_1000 else []
        return ", ".join(words)


@dataclasses.dataclass
class Pool:
    """A server's pool: the size it is shown at, and how that was found."""
    size: int
    sizes: tuple = ()
    covers_clients: bool = False
    command: str = ""
    swept: dict = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Plot:
    kind: str               # "lines" or "rows"
    title: str
    measures: tuple
    log: bool = False
    at: object = None       # rows of a swept experiment: at which value


@dataclasses.dataclass
class Claim:
    says: str
    predicate: claims.Predicate
    text: str
    measure: str = ""
    each: tuple = ()
    at: object = "best"     # a value of the sweep, or "best"


@dataclasses.dataclass
class Extent:
    """How long and how often."""
    seconds: float
    repeat: int
    values: tuple


@dataclasses.dataclass
class Experiment:
    name: str
    title: str
    question: str
    source: str
    reading: str            # how to read what came out
    seed: int
    pinned: bool
    log: bool
    send_buffer: int
    accept_limit: int
    processes: int
    settle: float           # a stream that stands beside begins so long before
    warm: tuple             # names of documents that are asked for once each
    warm_up: float
    documents: dict
    loads: list
    sweep: str
    sweep_title: str
    disk: Disk
    wan: Wan
    directives: dict        # MPM, or "all": lines
    pools: dict
    pool_measure: str
    ledger: dict
    base: str
    columns: list
    plots: list
    claims: list
    full: Extent
    quick: Extent
    path: pathlib.Path = None

    def clients(self, value):
        """Connections there may be at once, at a value of the sweep."""
        return sum(swept(load.connections, value) for load in self.loads)


def swept(number, value):
    """A number of the file, or the value of the sweep."""
    return value if number == "sweep" else number


class Table:
    """A table of the file, of which every key must be asked for."""

    def __init__(self, table, where):
        if not isinstance(table, dict):
            raise Trouble(f"{where}: this should be a table")
        self.left, self.where, self.known = dict(table), where, []

    def get(self, name, kind, default=None):
        self.known.append(name)
        if name not in self.left:
            if default is None:
                raise Trouble(f"{self.where}: {name} is missing")
            return default
        value = self.left.pop(name)
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if float in kinds:
            kinds += (int,)
        if not isinstance(value, kinds) \
                or (isinstance(value, bool) and bool not in kinds):
            raise Trouble(f"{self.where}: {name} = {value!r} should be "
                          + " or ".join(k.__name__ for k in kinds))
        return value

    def number(self, name, least, default=None, may_sweep=False):
        value = self.get(name, (int, float, str) if may_sweep
                         else (int, float), default)
        if isinstance(value, str) and value != "sweep":
            raise Trouble(f'{self.where}: {name} is a number or "sweep"')
        if not isinstance(value, str) and value < least:
            raise Trouble(f"{self.where}: {name} = {value} is less than "
                          f"{least}")
        return value

    def whole(self, name, most, default=None):
        value = self.get(name, int, default)
        if not 0 <= value <= most:
            raise Trouble(f"{self.where}: {name} = {value} is not from 0 to "
                          f"{most}")
        return value

    def choice(self, name, words, default=None):
        value = self.get(name, str, default)
        if value not in words:
            raise Trouble(f"{self.where}: {name} = {value!r}"
                          + nearest(value, words))
        return value

    def table(self, name, default=None):
        return Table(self.get(name, dict, default), f"{self.where}: [{name}]")

    def tables(self, name):
        """Those of an array, or of a table of tables: (name, table) pairs."""
        found = self.get(name, (dict, list), {})
        pairs = found.items() if isinstance(found, dict) \
            else enumerate(found, 1)
        return [(key, Table(one, f"{self.where}: [{name} {key}]"))
                for key, one in pairs]

    def end(self):
        for name in self.left:
            raise Trouble(f"{self.where}: there is no {name} here"
                          + nearest(name, self.known))


def nearest(word, words):
    close = difflib.get_close_matches(word, words, 1)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; there are {' '.join(words)}"


def available():
    """Names of all experiments."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def load(name):
    """The experiment of a name, or in a file of that path."""
    path = pathlib.Path(name) if name.endswith(".toml") \
        else FOLDER / f"{name}.toml"
    if not path.is_file():
        raise Trouble(f"there is no experiment {name}"
                      + nearest(name, available()))
    try:
        table = tomllib.loads(path.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Trouble(f"{path.name}: {error}") from error
    return parse(table, path)


def parse(table, path):
    """The Experiment that the text of a file amounts to."""
    top = Table(table, path.name)
    documents = {name: parse_documents(name, one)
                 for name, one in top.tables("documents")}
    sweep = top.table("sweep", {"name": "", "values": [0]})
    found = Experiment(
        name=path.stem, path=path,
        title=top.get("title", str), question=top.get("question", str),
        source=top.get("source", str, ""), reading=top.get("reading", str, ""),
        seed=top.number("seed", 1, 1), pinned=top.get("pinned", bool, False),
        log=top.get("log", bool, True),
        send_buffer=top.number("send_buffer", 0, 0),
        accept_limit=top.number("accept_limit", 1, 64),
        processes=top.number("processes", 1, 1),
        settle=top.number("settle", 0, 1.5),
        warm=tuple(top.get("warm", list, [])),
        warm_up=top.number("warm_up", 0, 0.5),
        documents=documents,
        loads=[parse_load(one, documents) for _, one in top.tables("load")],
        sweep=sweep.get("name", str),
        sweep_title=sweep.get("title", str, sweep.left.get("name") or " "),
        disk=None, wan=parse_wan(top), directives={}, pools={},
        pool_measure=top.get("pool_measure", str, ""),
        ledger=parse_ledger(top), base=top.get("base", str, "sped"),
        columns=top.get("columns", list, []),
        plots=[parse_plot(one) for _, one in top.tables("plot")],
        claims=[parse_claim(one) for _, one in top.tables("claim")],
        full=None, quick=None)
    found.full = parse_extent(top.table("full"), sweep)
    found.quick = parse_extent(top.table("quick", {}), sweep, found.full)
    sweep.get("values", list)
    sweep.end()
    disk = top.get("disk", dict, {})
    found.disk = parse_disk(Table(disk, f"{path.name}: [disk]")) \
        if disk else None
    for name, one in top.tables("directives"):
        found.directives[name] = one.get("lines", list)
        one.end()
    found.pools = {name: parse_pool(one) for name, one in top.tables("pools")}
    top.end()
    check(found)
    return found


def parse_documents(name, table):
    found = Documents(name, table.number("count", 1), table.number("bytes", 0),
                      table.choice("popularity", ("uniform", "zipf"),
                                   "uniform"))
    table.end()
    return found


def parse_load(table, documents):
    names = table.get("documents", list)
    for name in names:
        if name not in documents:
            raise Trouble(f"{table.where}: there are no documents {name}"
                          + nearest(name, list(documents)))
    found = Load(
        table.get("name", str), table.choice("program", PROGRAMS, "pace"),
        tuple(names), table.number("connections", 1, may_sweep=True),
        table.number("rate", 0, 0, may_sweep=True),
        table.get("poisson", bool, False),
        table.number("bytes_per_second", 0, 0),
        table.number("receive_buffer", 0, 0), table.number("segment", 0, 0),
        table.get("close", bool, False), table.number("ramp", 0, 0),
        table.get("beside", bool, False), table.get("far", bool, False))
    table.end()
    if found.program != "pace" and (found.rate or found.bytes_per_second
                                    or len(found.documents) > 1):
        raise Trouble(f"{table.where}: only pace has a rate, slow readers "
                      "and several kinds of documents")
    return found


def parse_extent(table, sweep, default=None):
    values = sweep.left.get("values", [0])
    if default:
        found = Extent(table.number("seconds", 0.1, default.seconds),
                       table.number("repeat", 1, default.repeat),
                       tuple(table.get("values", list, list(default.values))))
    else:
        found = Extent(table.number("seconds", 0.1),
                       table.number("repeat", 1), tuple(values))
    table.end()
    return found


def parse_disk(table):
    found = Disk(table.number("seek_us", 0), table.number("bytes_per_second",
                                                          0),
                 table.number("heads", 0), table.number("memory_mib", 16),
                 table.number("image_mib", 16), table.get("fresh", bool,
                                                          False))
    table.end()
    return found


def parse_wan(top):
    given = top.get("wan", dict, {})
    if not given:
        return None
    table = Table(given, f"{top.where}: [wan]")
    found = Wan(table.whole("delay_ms", 10000), table.whole("kbit", 1000000, 0),
                table.whole("queue_bytes", 1 << 30, 0),
                table.whole("lost_of_1000", 1000, 0))
    table.end()
    return found


def parse_pool(table):
    found = Pool(table.number("size", 1), tuple(table.get("sizes", list, [])),
                 table.get("covers_clients", bool, False),
                 table.get("command", str, ""), table.get("swept", dict, {}))
    table.end()
    return found


def parse_ledger(top):
    given = top.get("ledger", dict, {})
    if not given:
        return {}
    table = Table(given, f"{top.where}: [ledger]")
    found = {"requests": table.number("requests", 100),
             "connections": table.get("connections", list)}
    table.end()
    return found


def parse_plot(table):
    found = Plot(table.choice("kind", ("lines", "rows")),
                 table.get("title", str), tuple(table.get("measures", list)),
                 table.get("log", bool, False),
                 table.get("at", (int, float), 0) or None)
    table.end()
    return found


def parse_claim(table):
    text = table.get("holds", str)
    try:
        predicate = claims.parse(text)
    except Trouble as why:
        raise Trouble(f"{table.where}: {why}") from why
    found = Claim(table.get("says", str), predicate, text,
                  table.get("measure", str, ""),
                  tuple(table.get("each", list, [])),
                  table.get("at", (int, float, str), "best"))
    table.end()
    if "each" in predicate.servers and not found.each:
        raise Trouble(f"{table.where}: each = [...] is missing")
    return found


def check(found):
    """What concerns several tables."""
    where = found.path.name
    if not found.loads:
        raise Trouble(f"{where}: there is no [[load]]")
    for name in found.warm:
        if name not in found.documents:
            raise Trouble(f"{where}: warm: there are no documents {name}")
    uses = any("sweep" in (one.connections, one.rate) for one in found.loads)
    if uses != bool(found.sweep):
        raise Trouble(f'{where}: [sweep] and a number that is "sweep" '
                      "need each other")
    far = [one for one in found.loads if one.is_far]
    if bool(far) != bool(found.wan) or len(far) > 1:
        raise Trouble(f"{where}: [wan] and one load that is far need each "
                      "other")
    if far and far[0].program != "pace":
        raise Trouble(f"{where}: only pace can be far")
    for claim in found.claims:
        if claim.at != "best" and claim.at not in found.full.values:
            raise Trouble(f"{where}: claim at {claim.at}: [sweep] has no such "
                          "value")
