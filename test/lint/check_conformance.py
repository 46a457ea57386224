#!/usr/bin/env python3
"""Check the table of conformance: each demand names a test that exists, or
says why it does not apply or is not met.

The last line reads "N passed, N failed".
"""

import re
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
TABLE = TOP / "docs" / "conformance.md"
NAMED = re.compile(r"`(test_\w+)\.(py|c)::(\w+)`")
REASON = re.compile(r"(does not apply|not met): \S|the lines below")


def has_test(name, kind, test):
    """A function of that name which is run."""
    if kind == "py":
        path, pattern = TOP / "test" / "http", rf"^def {test}\("
    else:
        path, pattern = TOP / "test" / "unit", rf"cmocka_unit_test\({test}\)"
    path = path / f"{name}.{kind}"
    return path.is_file() and re.search(
        pattern, path.read_text(encoding="utf-8"), re.MULTILINE)


def faults_of(line):
    """What is wrong with one line of the table."""
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if len(cells) != 3 or not all(cells):
        yield "not three cells"
        return
    tests = NAMED.findall(cells[2])
    for test in tests:
        if not has_test(*test):
            yield "no test {}.{}::{}".format(*test)
    if cells[2].count("::") != len(tests):
        yield "a test that is not named as file::test"
    if not tests and not REASON.match(cells[2]):
        yield "neither a test nor a reason"


def main():
    passed = failed = 0
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, 1):
        if not line.startswith("|") or line.startswith(("| section", "|-")):
            continue
        faults = list(faults_of(line))
        for fault in faults:
            print(f"docs/conformance.md:{number}: {fault}")
        passed += not faults
        failed += bool(faults)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
