#!/usr/bin/python3
"""Run Weir's tests and count them; called by ./check.

A job is one command whose result can be counted: a build, a test program, the
HTTP tests under one MPM or under a variant of one (variants.py).  Jobs run side
by side, one a core or two, each with a time limit and a log of its own below
build-check/results.  The last line printed reads "N passed, N failed"; the exit
status is 0 only if nothing failed and something passed.
"""

import argparse
import collections
import concurrent.futures
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import results
import variants

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
CORES = os.cpu_count() or 2
QUICK = ("unit", "lint", "bench", "mpm", "http")
ALL = QUICK + ("variants", "clang", "tidy", "asan", "tsan", "fuzz", "dist")
FUZZ_RUNS = 200000
SHOWN = 12  # failures of a job that are shown with their reasons

# A way to build: folder, configure's options, and what is added to the
# environment of the programs.
Build = collections.namedtuple("Build", "folder options environment")

SANITIZED = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1"
                    ":detect_leaks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": f"suppressions={TOP}/test/tsan.supp:second_deadlock_stack=1"
                    ":halt_on_error=0:exitcode=66",
}
BUILDS = {
    "plain": Build("build-check", ["--enable-werror", "--enable-test-hooks"], {}),
    "clang": Build("build-check-clang",
                   ["CC=clang", "--enable-werror", "--enable-static-modules"],
                   {}),
    "asan": Build("build-check-asan",
                  ["--enable-asan", "--enable-test-hooks", "CFLAGS=-g -O1"],
                  SANITIZED),
    "tsan": Build("build-check-tsan",
                  ["CC=clang", "--enable-tsan", "--enable-test-hooks",
                   "CFLAGS=-g -O1"], SANITIZED),
    "fuzz": Build("build-check-fuzz",
                  ["CC=clang", "--enable-fuzz", "CFLAGS=-g -O1"], SANITIZED),
}
THREADED = [v for v in variants.ALL if v.is_threaded]


class Stopped(Exception):
    """Ctrl-C, or a signal that asks for the end."""


def grouped(skips):
    """Lines for skipped tests ("module: test: why"), one a module and reason."""
    groups = collections.defaultdict(list)
    for skip in skips:
        module, _, rest = skip.partition(": ")
        name, _, why = rest.rpartition(": ")
        groups[module, why].append(name)
    for (module, why), names in groups.items():
        first = names[0] if len(names) == 1 else f"{len(names)} tests"
        yield f"{module}: {first}: {why}" if first else f"{module}: {why}"


class Runner:
    """Runs jobs, prints their progress, and adds up."""

    def __init__(self, word):
        self.word = word
        self.passed = self.failed = self.skipped = 0
        self.lock = threading.Lock()
        self.running = set()
        self.stopping = False
        self.folder = TOP / "build-check" / "results"
        self.folder.mkdir(parents=True, exist_ok=True)

    def say(self, *words):
        with self.lock:
            print(*words, flush=True)

    def count(self, name, found, seconds):
        """Add a job's results and print its line, and what failed."""
        if self.word and not found.is_selected:
            found = found.only(self.word)
        if not (found.passes or found.failures or found.skips):
            return
        with self.lock:
            self.passed += found.passed
            self.failed += len(found.failures)
            self.skipped += len(found.skips)
            skipped = f", {len(found.skips)} skipped" if found.skips else ""
            print(f"{name:<28} {found.passed} passed, "
                  f"{len(found.failures)} failed{skipped}  ({seconds:.0f} s)")
            for line in grouped(found.skips):
                print(f"    skipped: {line}")
            for test, why in found.failures[:SHOWN]:
                print(f"    FAILED: {test}")
                for line in why.splitlines():
                    print(f"        {line}")
            for test, _ in found.failures[SHOWN:]:
                print(f"    FAILED: {test}")
            sys.stdout.flush()

    def job(self, name, command, parse, limit, environment=None, folder=TOP):
        """Run one command in a folder and count it.

        parse(status, output file, log file) makes the results.
        """
        if self.stopping:
            return False
        stem = "".join(c if c.isalnum() or c in "-." else "_" for c in name)
        log = self.folder / f"{stem}.log"
        output = self.folder / f"{stem}.xml"
        output.unlink(missing_ok=True)
        start = time.monotonic()
        with open(log, "wb") as out:
            try:
                status = self.run(command, out, limit, environment, output,
                                  folder)
            except OSError as error:
                status = str(error)
        if self.stopping:
            return False
        found = parse(status, output, log)
        self.count(name, found, time.monotonic() - start)
        return not found.failures

    def run(self, command, out, limit, environment, output, folder):
        """The exit status, or why there is none."""
        process = subprocess.Popen(
            [str(part).replace("@OUTPUT@", str(output)) for part in command],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=out,
            stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **(environment or {}),
                 "CMOCKA_XML_FILE": str(output)})
        with self.lock:
            self.running.add(process)
        try:
            status = process.wait(timeout=limit)
            return f"ended by signal {-status}" if status < 0 else status
        except subprocess.TimeoutExpired:
            return f"stopped after {limit} s"
        finally:
            self.end(process)
            with self.lock:
                self.running.discard(process)

    @staticmethod
    def end(process):
        """End what a job has left: its session is its process group."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(process.pid, sign)
            except ProcessLookupError:
                break
            if process.poll() is None:
                time.sleep(0.5)
        process.wait()

    def stop(self):
        self.stopping = True
        for process in list(self.running):
            self.end(process)

    def side_by_side(self, jobs, width=CORES):
        """Run functions, so many at a time."""
        with concurrent.futures.ThreadPoolExecutor(width) as pool:
            futures = [pool.submit(job) for job in jobs]
            try:
                for future in futures:
                    future.result()
            except BaseException:
                for future in futures:
                    future.cancel()
                self.stop()
                raise


class Checks:
    """The suites, on the variants that they need."""

    def __init__(self, runner, mpms, word):
        self.runner = runner
        self.asked = mpms
        self.word = word
        self.built = {}

    def folder(self, build):
        return TOP / BUILDS[build].folder

    def build(self, build):
        """Make a build once; a failure counts as one failed test."""
        if build not in self.built:
            name = f"build {build}"
            environment = {"ASAN_OPTIONS": "detect_leaks=0"}
            command = ["bash", "packages/build.sh", BUILDS[build].folder,
                       *BUILDS[build].options]
            programs = ["make", "-C", BUILDS[build].folder,
                        f"-j{CORES}", "check", "TESTS="]
            parse = results.from_status
            self.runner.say(f"building: {BUILDS[build].folder}")
            self.built[build] = (
                self.runner.job(name, command, parse, 600, environment)
                and self.runner.job(f"{name}: tests", programs, parse, 600,
                                    environment))
        return self.built[build]

    def mpms(self, build):
        """The MPMs that this build has."""
        weir = self.folder(build) / "stage" / "sbin" / "weir"
        shown = subprocess.run(
            [weir, "-m", "?"], stdin=subprocess.DEVNULL, check=False,
            stdout=subprocess.PIPE, text=True, env={
                **os.environ, "ASAN_OPTIONS": "detect_leaks=0"}).stdout
        found = [line.split()[0] for line in shown.splitlines() if line]
        return found

    def plain(self, build):
        """The MPMs to be tested as they come: those asked for, or all."""
        return [variants.plain(m) for m in self.mpms(build)
                if not self.asked or m in self.asked]

    def varied(self, build):
        """Variants: those asked for, or all that the build has."""
        return [v for v in variants.of(self.mpms(build))
                if not self.asked or v.name in self.asked]

    # The suites.

    def unit(self, build="plain"):
        """cmocka's programs, and the kept inputs of the fuzz targets."""
        if not self.build(build):
            return
        jobs = []
        listed = self.list_of(build, "unit_tests")
        for program in listed:
            jobs.append(self.program_job(build, "unit", program,
                                         results.from_cmocka, 120, {
                                             "CMOCKA_MESSAGE_OUTPUT": "XML"}))
        for program in self.list_of(build, "fuzz_targets"):
            jobs.append(self.program_job(build, "replay", program,
                                         results.from_replay, 120, {
                                             "srcdir": str(TOP)}))
        self.runner.side_by_side(jobs)

    def mpm(self, build="plain", only=None):
        """The contract test, for each MPM."""
        if not self.build(build):
            return
        jobs = []
        for program in self.list_of(build, "contract_tests"):
            name = program.rsplit("contract_", 1)[-1].replace("_", "-")
            if self.asked and name not in self.asked:
                continue
            if only is None or variants.named(name) in only:
                jobs.append(self.program_job(build, "mpm", program,
                                             results.from_lines, 300, {}))
        if not self.asked and only is None:
            jobs.append(lambda: self.runner.job(
                "mpm broken" + self.mark(build),
                ["sh", TOP / "test" / "mpm" / "run_broken.sh"],
                results.from_lines, 300,
                {**BUILDS[build].environment, "srcdir": str(TOP)},
                folder=self.folder(build)))
        self.runner.side_by_side(jobs)

    @staticmethod
    def mark(build):
        return "" if build == "plain" else f" ({build})"

    def program_job(self, build, suite, program, parse, limit, environment):
        path = self.folder(build) / program
        name = f"{suite} {path.name}{self.mark(build)}"
        return lambda: self.runner.job(
            name, [path], parse, limit,
            {**BUILDS[build].environment, **environment})

    def list_of(self, build, name):
        """A variable of the Makefile, as a list."""
        text = subprocess.run(
            ["make", "-s", "-C", self.folder(build), "print-list",
             f"LIST={name}"], stdin=subprocess.DEVNULL, check=True,
            stdout=subprocess.PIPE, text=True).stdout
        return text.split()

    def http(self, build="plain", only=None):
        """The HTTP tests, under each MPM, or some."""
        self.http_under(build, self.plain, only)
        if self.asked and build == "plain":
            self.variants()

    def variants(self, build="plain", only=None):
        """The HTTP tests, under each variant of an MPM, or some."""
        self.http_under(build, self.varied, only)

    def http_under(self, build, which, only):
        if not self.build(build):
            return
        stage = self.folder(build) / "stage"
        jobs = []
        for mpm in which(build):
            if only is not None and mpm not in only:
                continue
            name = f"http {mpm.name}{self.mark(build)}"
            command = ["/usr/bin/python3", "-m", "pytest", "-q", "test/http",
                       "--weir-prefix", stage, "--mpm", mpm.name,
                       "-p", "no:cacheprovider", "--junitxml=@OUTPUT@"]
            if self.word:
                command += ["-k", self.word]
            jobs.append(lambda name=name, command=command: self.runner.job(
                name, command, results.from_junit, 900,
                BUILDS[build].environment))
        # They wait most of the time, unless a sanitizer makes them work.
        is_slow = BUILDS[build].environment
        self.runner.side_by_side(jobs, CORES if is_slow else 2 * CORES)

    def lint(self):
        """Each program of test/lint prints a line a check."""
        if not self.build("plain"):
            return
        programs = sorted((TOP / "test" / "lint").glob("check_*.py"))
        self.runner.side_by_side([
            lambda p=p: self.runner.job(
                f"lint {p.stem[len('check_'):]}",
                ["/usr/bin/python3", p], results.from_lines, 300,
                {"WEIR_PREFIX": str(self.folder("plain") / "stage")})
            for p in programs])

    def bench(self):
        """What compares servers: its programs, its arithmetic, its pages."""
        self.runner.job(
            "bench",
            ["/usr/bin/python3", "-m", "pytest", "-q", "test/bench",
             "-p", "no:cacheprovider", "--junitxml=@OUTPUT@"]
            + (["-k", self.word] if self.word else []),
            results.from_junit, 300)

    def clang(self):
        """Another compiler, and modules compiled in."""
        self.build("clang") and self.unit("clang")

    def tidy(self):
        """What clang-tidy and cppcheck find."""
        if self.build("plain"):
            self.runner.job(
                "tidy", ["/usr/bin/python3", TOP / "test" / "run" / "tidy.py",
                         self.folder("plain")], results.from_lines, 1800)

    def asan(self):
        self.unit("asan")
        self.mpm("asan")
        self.http("asan")

    def tsan(self):
        self.unit("tsan")
        self.mpm("tsan", THREADED)
        self.http("tsan", THREADED)
        self.variants("tsan", THREADED)

    def fuzz(self):
        """Kept inputs, then a fixed number of executions from them."""
        if not self.build("fuzz"):
            return
        jobs = []
        for program in self.list_of("fuzz", "fuzz_targets"):
            path = self.folder("fuzz") / program
            name = path.name[len("fuzz_"):]
            kept = [str(folder) for folder in
                    (TOP / "test" / "fuzz" / kind / name
                     for kind in ("corpus", "crashes")) if folder.is_dir()]
            new = self.runner.folder / f"fuzz-{name}"
            new.mkdir(exist_ok=True)
            jobs.append(lambda path=path, name=name, kept=kept, new=new:
                        self.runner.job(
                            f"fuzz {name}",
                            [path, f"-runs={FUZZ_RUNS}", "-seed=1",
                             "-max_len=16384", "-timeout=20",
                             f"-artifact_prefix={new}/crash-", new, *kept],
                            results.from_fuzzer, 900, SANITIZED))
        self.runner.side_by_side(jobs)

    def dist(self):
        """A tarball that builds, tests and installs itself."""
        if self.build("plain"):
            self.runner.job(
                "dist",
                ["make", "-C", BUILDS["plain"].folder, f"-j{CORES}",
                 "distcheck"], results.from_status, 1200)


def options():
    parser = argparse.ArgumentParser(
        prog="./check", description="Run Weir's tests.",
        epilog="Without a suite: " + " ".join(QUICK) + ".  Logs lie in "
               "build-check/results.")
    parser.add_argument("suites", nargs="*", metavar="SUITE",
                        help="all, or some of: " + " ".join(ALL))
    parser.add_argument("--mpm", action="append", default=[], metavar="NAME",
                        help="only under this MPM, or variant of one; may be "
                             "repeated")
    parser.add_argument("-k", dest="word", default="", metavar="WORD",
                        help="only tests that have WORD in their name")
    chosen = parser.parse_args()
    for suite in chosen.suites:
        if suite not in ALL + ("all",):
            parser.error(f"there is no suite {suite}; there are: all "
                         + " ".join(ALL))
    if "all" in chosen.suites:
        chosen.suites = list(ALL)
    chosen.suites = chosen.suites or list(QUICK)
    if chosen.mpm and "http" in chosen.suites and "variants" in chosen.suites:
        chosen.suites.remove("variants")  # http runs those asked for
    return chosen


def main():
    chosen = options()
    runner = Runner(chosen.word)
    checks = Checks(runner, chosen.mpm, chosen.word)

    def stop(*_):
        raise Stopped

    for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sign, stop)
    start = time.monotonic()
    try:
        if chosen.mpm and checks.build("plain"):
            known = checks.plain("plain") + checks.varied("plain")
            unknown = set(chosen.mpm) - {v.name for v in known}
            if unknown:
                sys.exit("There is no MPM " + ", ".join(sorted(unknown)))
        for suite in chosen.suites:
            getattr(checks, suite)()
    except Stopped:
        runner.stop()
        sys.exit("stopped")
    print(f"after {time.monotonic() - start:.0f} s"
          + (f", {runner.skipped} skipped" if runner.skipped else ""))
    print(f"{runner.passed} passed, {runner.failed} failed")
    sys.exit(0 if runner.passed and not runner.failed else 1)


if __name__ == "__main__":
    main()
