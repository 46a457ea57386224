"""The loads of a run: programs that ask, and what they say of it."""

import json
import re
import subprocess
import tempfile

from . import experiment, files, machine
from .trouble import Absent, Trouble

AFTER = 0.5     # seconds for which a stream goes on that stands beside
NEAR, FAR = "10.99.0.1", "10.99.128.1"  # wanlink's
GRACE = 3       # seconds for which an open loop waits for the last responses


def command(load, point, extent, setup):
    """The command of a stream.

    setup: .tools (paths of programs), .port, .seed, .list(kinds) (a file of
    URLs), .documents, .settle, .wrapper, .wan.
    """
    connections = experiment.swept(load.connections, point)
    maker = {"pace": pace, "hammer": hammer, "wrk": wrk}[load.program]
    program = setup.tools.get(load.program)
    if not program:
        raise Absent(f"{load.program} is not installed")
    line = [str(program)] + maker(load, point, connections, extent, setup)
    return setup.wrapper + (behind_wan(setup) if load.is_far else []) + line


def behind_wan(setup):
    """What stands before the command of a load that is far."""
    wan = setup.wan
    return [str(word) for word in (
        setup.tools["wanlink"], "-d", wan.delay_ms, "-b", wan.kbit,
        "-q", wan.queue_bytes, "-l", wan.lost_of_1000)]


def pace(load, point, connections, extent, setup):
    rate = experiment.swept(load.rate, point)
    kinds = [setup.documents[name] for name in load.documents]
    seconds, warm = extent.seconds, 0
    if load.beside:
        seconds, warm = seconds + AFTER, setup.settle
    line = ["-p", setup.port, "-f", setup.list(kinds), "-c", connections,
            "-d", seconds, "-W", warm, "-s", setup.seed, "-g", GRACE]
    for value, letter in ((rate, "-r"), (load.bytes_per_second, "-b"),
                          (load.receive_buffer, "-w"), (load.segment, "-m"),
                          (load.ramp, "-R")):
        line += [letter, value] if value else []
    line += ["-h", NEAR, "-a", FAR] if load.is_far else []
    line += ["-P"] if load.poisson else []
    line += ["-k"] if load.close else []
    return [str(word) for word in line]


def hammer(load, point, connections, extent, setup):
    path = setup.documents[load.documents[0]].paths()[0]
    line = ["-c", connections, "-w", 0, "-d", extent.seconds]
    line += ["-x"] if load.close else []
    return [str(word) for word in line + [setup.port, path]]


def wrk(load, point, connections, extent, setup):
    path = setup.documents[load.documents[0]].paths()[0]
    line = ["-t1", f"-c{connections}", f"-d{extent.seconds:g}s", "--latency"]
    line += ["-H", "Connection: close"] if load.close else []
    return line + [f"http://127.0.0.1:{setup.port}{path}"]


class Stream:
    """A load at work."""

    def __init__(self, load, line):
        self.load, self.line = load, line
        self.output = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=self.output,
            stderr=subprocess.PIPE, preexec_fn=machine.dies_with_us)

    def finish(self, timeout):
        """What it has seen, as measures without the stream's name."""
        try:
            _, said = self.process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.stop()
            raise Trouble(f"{self.load.program} did not end") from None
        self.output.seek(0)
        text = self.output.read().decode(errors="replace")
        if self.process.returncode != 0:
            raise Trouble(f"{self.load.program}: "
                          f"{said.decode(errors='replace').strip()}")
        return {"pace": read_pace, "hammer": read_hammer,
                "wrk": read_wrk}[self.load.program](text)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stderr:
            self.process.stderr.close()
        self.output.close()


def shares(found):
    """Latencies in milliseconds of what a histogram tells in microseconds."""
    return {f"{name}_ms": found[name] / 1000
            for name in ("p50", "p90", "p99", "p999", "max")}


def read_pace(text):
    """@return (measures, what is kept beside them)."""
    found = json.loads(text)
    seconds = max(found["seconds"], 1e-9)
    errors = sum(found["failed"].values())
    measures = {"rate": found["done"] / seconds, "errors": errors,
                "done": found["done"],
                "retries": found["retries"],
                "mb_s": found["bytes"] / seconds / 1e6,
                "generator_cpu_s": found["cpu_s"]}
    if found["mode"] == "open":
        measures["offered"] = found["offered"] / seconds
        measures["served"] = found["done"] / max(found["offered"], 1)
        measures["lag_p99_ms"] = found["lag_us"]["p99"] / 1000
    for name, one in found["classes"].items():
        prefix = "" if len(found["classes"]) == 1 else f"{name}."
        measures.update({prefix + key: value for key, value
                         in shares(one["total_us"]).items()})
        measures[f"{prefix}first_p50_ms"] = one["first_us"]["p50"] / 1000
        if prefix:
            measures[f"{prefix}rate"] = one["done"] / seconds
    return measures, found


def read_hammer(text):
    found = json.loads(text)
    measures = {"rate": found["rps"], "errors": found["errors"],
                "done": found["requests"],
                "mb_s": found["bytes"] / found["secs"] / 1e6}
    measures.update(shares(found))
    return measures, found


WRK_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


def read_wrk(text):
    total = re.search(r"(\d+) requests in ([\d.]+)(\w+)", text)
    if not total:
        raise Trouble(f"wrk: {text.strip()[-200:]}")
    seconds = float(total.group(2)) * WRK_UNITS[total.group(3)] / 1000
    measures = {"rate": int(total.group(1)) / seconds,
                "done": int(total.group(1))}
    for share, name in (("50", "p50"), ("90", "p90"), ("99", "p99")):
        found = re.search(rf"^\s+{share}%\s+([\d.]+)(us|ms|s|m)$", text, re.M)
        if found:
            measures[f"{name}_ms"] = float(found.group(1)) \
                * WRK_UNITS[found.group(2)]
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    socket = re.search(r"connect (\d+), read (\d+), write (\d+), "
                       r"timeout (\d+)", text)
    measures["errors"] = (int(wrong.group(1)) if wrong else 0) \
        + (sum(int(n) for n in socket.groups()) if socket else 0)
    return measures, {"text": text}


WARM_TIMES = 4      # so often, on average, each process is asked for each file


def warm(program, port, paths, tmp, processes):
    """Ask for each of these once, in order; and, where processes have caches
    of their own, all of them for most."""
    path = tmp / "warm.urls"
    path.write_text("".join(f"{one}\n" for one in paths))
    line = [str(program), "-p", str(port), "-f", str(path), "-d", "60"]
    subprocess.run(line + ["-o", "-c", "1", "-n", str(len(paths))],
                   stdout=subprocess.DEVNULL, check=True, timeout=90)
    if processes > 1:
        count = len(paths) * processes * WARM_TIMES
        subprocess.run(line + ["-c", str(processes), "-n", str(count)],
                       stdout=subprocess.DEVNULL, check=True, timeout=90)


def lists(tmp, seed):
    """A function that makes files of URLs, each once."""
    made = {}

    def list_of(kinds):
        name = "+".join(kind.name for kind in kinds)
        if name not in made:
            made[name] = tmp / f"{name}.urls"
            made[name].write_text("".join(
                f"{line}\n" for line in files.list_of(kinds, seed)))
        return made[name]

    return list_of
