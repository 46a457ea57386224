#!/usr/bin/python3
"""Check that the manual says of the architectures what the tests hold them to.

The table "What blocks what" of docs/manual/architectures/index.html against
test/run/variants.py.  Prints a line a check: "ok", or "not ok" with the reasons
below it.
"""

import pathlib
import re
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.append(str(TOP / "test" / "run"))
import variants  # noqa: E402

PAGE = TOP / "docs" / "manual" / "architectures" / "index.html"
WORDS = {"W": variants.POOL, "1": variants.ONE, "never": variants.NEVER}


def shown():
    """Name of an MPM: what the table says of it."""
    text = PAGE.read_text(encoding="utf-8")
    section = text[text.index('<h2 id="blocks">'):]
    section = section[:section.index("</table>")]
    found = {}
    for row in re.findall(r"<tr>(<th scope=\"row\">.*?)</tr>", section):
        cells = [re.sub(r"<.*?>", "", cell) for cell in
                 re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row)]
        for name in cells[0].split(", "):
            found[name] = [WORDS.get(word, word) for word in cells[1:]]
    return found


def wrong():
    table = shown()
    for variant in variants.ALL:
        said = table.get(variant.mpm)
        if said is None:
            yield f"{variant.mpm} is missing"
            continue
        if variant.nature and said != list(variant.nature):
            yield f"{variant.name}: {said}, not {list(variant.nature)}"
    for name in set(table) - {v.mpm for v in variants.ALL}:
        yield f"{name} is not tested"


def main():
    reasons = list(wrong())
    name = "the manual says what blocks what"
    print(f"not ok {name}" if reasons else f"ok {name}")
    for reason in reasons:
        print("    " + reason)
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())
