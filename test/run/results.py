"""What a job has found: made from its exit status, its XML, or its log.

Whatever can't be read counts as one failure, never as a pass.
"""

import dataclasses
import re
import xml.etree.ElementTree as xml


@dataclasses.dataclass
class Results:
    """passes and skips are names; failures are (name, why)."""

    passes: list = dataclasses.field(default_factory=list)
    failures: list = dataclasses.field(default_factory=list)
    skips: list = dataclasses.field(default_factory=list)
    is_selected: bool = False  # by the job itself, so not again by a word

    @property
    def passed(self):
        return len(self.passes)

    def only(self, word):
        """Those whose name holds a word, and whatever failed as a whole."""
        word = word.lower()
        return Results(
            [n for n in self.passes if word in n.lower()],
            [(n, why) for n, why in self.failures
             if word in n.lower() or n.startswith("(")],
            [n for n in self.skips if word in n.lower()])


def tail(log, lines=25):
    """The end of a log."""
    try:
        text = log.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(text[-lines:])


def whole(status, log):
    """The failure of a job that has no result of its own."""
    why = status if isinstance(status, str) else f"exit status {status}"
    return (f"(the whole: {why})", f"{tail(log)}\nmore in {log}")


def from_status(status, _output, log):
    """One test: does the command succeed?"""
    if status == 0:
        return Results(passes=[log.stem], is_selected=True)
    return Results(failures=[whole(status, log)], is_selected=True)


def from_suites(status, output, log):
    """JUnit's XML, which cmocka writes too."""
    found = Results()
    try:
        root = xml.parse(output).getroot()
    except (OSError, xml.ParseError):
        return Results(failures=[whole(status, log)])
    for case in root.iter("testcase"):
        where = case.get("classname") or log.stem
        name = f"{where.split('.')[-1]}: {case.get('name')}"
        bad = [e for e in case if e.tag in ("failure", "error")]
        skipped = case.find("skipped")
        if bad:
            found.failures.append((name, shorten(bad[0])))
        elif skipped is not None:
            found.skips.append(f"{name}: {skipped.get('message') or ''}")
        else:
            found.passes.append(name)
    return found


def shorten(failure, most=12):
    """Of pytest's pages what went wrong and where; of others all."""
    text = (failure.text or failure.get("message") or "").strip().splitlines()
    told = [line for line in text
            if re.match(r"E |test/\S+:\d+:|\S+\.py:\d+:", line)]
    text = told or text
    if len(text) > most:
        text = [*text[:most - 3], "...", *text[-2:]]
    return "\n".join(line[:200] for line in text)


def from_cmocka(status, output, log):
    found = from_suites(status, output, log)
    if status != 0 and not found.failures:
        found.failures.append(whole(status, log))
    if status == 0 and not found.passes and not found.skips:
        found.failures.append(("(the whole: no test ran)", tail(log)))
    return found


def from_junit(status, output, log):
    """pytest's; 5 means that -k left none over."""
    if status == 5:
        return Results(is_selected=True)
    found = from_suites(status, output, log)
    found.is_selected = True
    if status != 0 and not found.failures:
        found.failures.append(whole(status, log))
    return found


def from_replay(status, _output, log):
    """A line an input; the one printed last is the one that failed."""
    lines = tail(log, 1000000).splitlines()
    inputs = [line for line in lines if line.startswith("/")]
    if status == 0 and inputs:
        return Results(passes=inputs)
    return Results(passes=inputs[:-1], failures=[whole(status, log)])


def from_fuzzer(status, _output, log):
    """Kept inputs are tried first; then come the executions: one test."""
    text = tail(log, 1000000)
    seeds = re.search(r"seed corpus: files: (\d+)", text)
    kept = int(seeds.group(1)) if seeds else 0
    if status == 0 and re.search(r"Done \d+ runs", text):
        return Results(passes=[f"{log.stem}: input {i + 1}"
                               for i in range(kept)]
                       + [f"{log.stem}: new inputs"])
    return Results(failures=[whole(status, log)])


VERDICT = re.compile(r"^(ok|not ok|skip|pass|fail|FAIL|PASS|passed|failed)"
                     r"[: ]+(.*)$")


def from_lines(status, _output, log):
    """Lines "ok NAME", "not ok NAME" with what is wrong below it, "skip NAME";
    or, of a program that prints no such, its last: "N passed, N failed"."""
    found = Results()
    lines = tail(log, 1000000).splitlines()
    in_failure = False
    for line in lines:
        verdict = VERDICT.match(line)
        if not verdict:
            if in_failure and line.startswith((" ", "\t", "#")):
                name, why = found.failures[-1]
                found.failures[-1] = (name, f"{why}\n{line}".strip("\n"))
            continue
        word, name = verdict.group(1).lower(), verdict.group(2)
        in_failure = word in ("not ok", "fail", "failed")
        if in_failure:
            found.failures.append((name, ""))
        elif word == "skip":
            found.skips.append(name)
        else:
            found.passes.append(name)
    total = re.search(r"^(\d+) passed, (\d+) failed", "\n".join(lines[-3:]),
                      re.MULTILINE)
    if total and not found.passes and not found.failures:
        passed, failed = int(total.group(1)), int(total.group(2))
        found.passes = [f"{log.stem} {i + 1}" for i in range(passed)]
        found.failures = [(f"{log.stem}: {failed} in all", tail(log))] * failed
    if status != 0 and not found.failures:
        found.failures.append(whole(status, log))
    if status == 0 and not found.passes and not found.skips:
        found.failures.append(("(the whole: nothing was tested)", tail(log)))
    return found
