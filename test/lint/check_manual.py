#!/usr/bin/env python3
"""Check the manual, which is also the sample site.

Every relative link, picture and anchor resolves to a file that is there;
nothing is loaded from elsewhere; every page is well-formed, has a language, a
title, one h1 and one main, and can be reached from the first one; the contents
are the same on every page; no file lies there unused; the page of directives
agrees with the command tables, and that of the status with the table of what is
counted; the drawn figures are what their script draws.

The last line reads "N passed, N failed".
"""

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as xml
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

TOP = Path(__file__).resolve().parent.parent.parent
MANUAL = TOP / "docs" / "manual"
DRAWN = TOP / "docs" / "figures" / "draw_architectures.py"
WRITTEN = TOP / "docs" / "reference" / "write_directives.py"

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link",
        "meta", "source", "track", "wbr"}
# What the browser fetches by itself; an <a href> it does not.
LOADS = {("img", "src"), ("img", "srcset"), ("link", "href"),
         ("source", "src"), ("source", "srcset"), ("iframe", "src"),
         ("object", "data"), ("embed", "src"), ("video", "src"),
         ("audio", "src"), ("script", "src")}


class Page(HTMLParser):
    """What one page holds, and what is wrong with its form."""

    def __init__(self, path):
        super().__init__(convert_charrefs=True)
        self.path = path
        self.open = []
        self.faults = []
        self.ids = set()
        self.links = []  # (reference, is it loaded)
        self.count = {}
        self.lang = None
        self.title = ""
        self.contents = []
        source = path.read_text(encoding="utf-8")
        if not source.startswith("<!DOCTYPE html>"):
            self.faults.append("does not begin with <!DOCTYPE html>")
        self.feed(source)
        self.close()
        for tag, line in self.open:
            self.faults.append(f"line {line}: <{tag}> is never closed")

    def fault(self, words):
        self.faults.append(f"line {self.getpos()[0]}: {words}")

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append((tag, self.getpos()[0]))
        self.count[tag] = self.count.get(tag, 0) + 1
        names = [name for name, _ in attrs]
        if len(names) != len(set(names)):
            self.fault(f"<{tag}> has an attribute twice")
        self.look_at(tag, {name: value or "" for name, value in attrs})

    def look_at(self, tag, attrs):
        if tag == "html":
            self.lang = attrs.get("lang")
        if tag == "img" and "alt" not in attrs:
            self.fault("a picture without alt")
        if tag == "th" and "scope" not in attrs:
            self.fault("a table heading without scope")
        if tag == "script" or any(n.startswith("on") for n in attrs):
            self.fault("a script")
        if "id" in attrs:
            if attrs["id"] in self.ids:
                self.fault(f"id {attrs['id']!r} twice")
            self.ids.add(attrs["id"])
        for name, value in attrs.items():
            if (tag, name) in LOADS:
                self.links.append((value, True))
            elif (tag, name) == ("a", "href"):
                self.links.append((value, False))
                if self.is_in("nav"):
                    self.contents.append(value)

    def handle_endtag(self, tag):
        if not self.open:
            self.fault(f"</{tag}> closes nothing")
            return
        was, line = self.open.pop()
        if was != tag:
            self.fault(f"</{tag}> where <{was}> of line {line} is open")

    def handle_data(self, data):
        if self.open and self.open[-1][0] == "title":
            self.title += data

    def is_in(self, tag):
        return any(name == tag for name, _ in self.open)


class Count:
    """Checks that held and checks that did not."""

    def __init__(self):
        self.passed = self.failed = 0

    def check(self, holds, where, words):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"{where}: {words}")


def resolve(path, reference):
    """The file and the anchor that a reference on path's page leads to."""
    parts = urlsplit(reference)
    target = path
    if parts.path:
        target = (path.parent / unquote(parts.path)).resolve()
    return target, unquote(parts.fragment)


def check_form(count, page, where):
    count.check(not page.faults, where, "; ".join(page.faults))
    count.check(page.lang, where, "<html> has no lang")
    count.check(page.title.strip(), where, "no title")
    count.check(page.count.get("h1") == 1, where, "not exactly one h1")
    count.check(page.count.get("main") == 1, where, "not exactly one main")


def check_links(count, pages, page, where):
    """Check each link.  Returns the files of the manual that are led to."""
    reached = set()
    for reference, is_loaded in page.links:
        parts = urlsplit(reference)
        if parts.scheme or parts.netloc:
            count.check(not is_loaded and parts.scheme == "https", where,
                        f"{reference}: loaded from elsewhere, or not https")
            continue
        target, anchor = resolve(page.path, reference)
        inside = MANUAL in target.parents
        count.check(inside and target.is_file()
                    and not parts.path.startswith("/"), where,
                    f"{reference}: leads to no file of the manual")
        if anchor and target in pages:
            count.check(anchor in pages[target].ids, where,
                        f"{reference}: no such anchor")
        reached.add(target)
    return reached


def check_style(count, path):
    """Nothing from elsewhere in a style sheet, braces that match."""
    text = path.read_text(encoding="utf-8")
    where = path.relative_to(TOP)
    count.check(text.count("{") == text.count("}"), where, "unequal braces")
    count.check("@import" not in text, where, "@import")
    for reference in re.findall(r"url\(\s*['\"]?([^'\")]+)", text):
        target, _ = resolve(path, reference)
        count.check(not urlsplit(reference).scheme and target.is_file(), where,
                    f"url({reference}): not a file of the manual")


def check_drawing(count, path):
    """An SVG that is XML, says what it shows, and loads nothing."""
    where = path.relative_to(TOP)
    text = path.read_text(encoding="utf-8")
    try:
        root = xml.fromstring(text)
    except xml.ParseError as error:
        count.check(False, where, f"not well-formed: {error}")
        return
    space = "{http://www.w3.org/2000/svg}"
    title = root.find(f"{space}title")
    count.check(title is not None and title.text, where, "no title")
    count.check("viewBox" in root.attrib, where, "no viewBox")
    count.check("prefers-color-scheme: dark" in text, where,
                "does not follow the choice of light or dark")
    loaded = [value for node in root.iter() for name, value in
              node.attrib.items() if name.endswith("href")]
    count.check(not loaded and "<script" not in text, where,
                "loads something or runs something")


def check_directives(count, page):
    """The page of directives has those of the command tables, and no other."""
    where = page.path.relative_to(TOP)
    known = set()
    for source in (TOP / "server" / "config_core.c",
                   *TOP.glob("modules/*/mod_*.c"), *TOP.glob("mpm/*/*.c")):
        if source.exists() and source.parent.name != "examples":
            known |= set(re.findall(r'(?:\.name = (?="\w+",\s*\.run =)'
                                    r'|(?:NUMBER|COUNT|WR_MPM_[A-Z]+)\()'
                                    r'"(\w+)"',
                                    source.read_text(encoding="utf-8")))
    shown = set(re.findall(r'<th scope="row" id="[\w-]+"><code>(?:&lt;)?(\w+)',
                           page.path.read_text(encoding="utf-8").replace(
                               "<wbr>", "")))
    # In a test's configuration, be it in the middle of a string of C's.
    tried = set()
    for test in (p for kind in ("unit", "http", "run", "mpm")
                 for p in (TOP / "test" / kind).glob("*.[cp]*")):
        tried |= set(re.findall(r"\w+", test.read_text(
            encoding="utf-8").replace("\\n", " ")))
    for name in sorted(known | shown):
        count.check(name in shown, where, f"{name} is not there")
        count.check(name in known, where, f"{name} is in no command table")
        count.check(name in tried, where, f"{name} is in no test")


def check_counters(count, page):
    """All that the server counts is explained."""
    where = page.path.relative_to(TOP)
    names = []
    for source in ("include/wr_board.h", "modules/generators/status.h"):
        names += re.findall(r'^ +X\([A-Z_]+, +"(\w+)"',
                            (TOP / source).read_text(encoding="utf-8"), re.M)
    count.check(len(names) > 20, where, "no counters were found")
    text = page.path.read_text(encoding="utf-8")
    for name in names:
        count.check(f"<code>{name}</code>" in text, where,
                    f"{name} is not explained")


def walk(start, pages, leads):
    """All files that can be reached from a page by links."""
    seen, todo = set(), [start]
    while todo:
        path = todo.pop()
        if path not in seen:
            seen.add(path)
            todo += leads.get(path, ())
    return seen


def main():
    count = Count()
    files = {p for p in MANUAL.rglob("*") if p.is_file()}
    pages = {p: Page(p) for p in sorted(files) if p.suffix == ".html"}
    first = MANUAL / "index.html"
    count.check(first in pages, MANUAL, "no index.html")
    leads, contents = {}, {}
    for path, page in pages.items():
        where = path.relative_to(TOP)
        check_form(count, page, where)
        leads[path] = check_links(count, pages, page, where)
        contents[path] = [resolve(path, c)[0] for c in page.contents]
        count.check(contents[path] == contents.get(first, contents[path]),
                    where, "its contents differ from the first page's")
        count.check(path in contents[path], where, "not in the contents")
    titles = [page.title for page in pages.values()]
    count.check(len(titles) == len(set(titles)), MANUAL, "a title twice")
    for path in sorted(files):
        if path.suffix == ".css":
            check_style(count, path)
        elif path.suffix == ".svg":
            check_drawing(count, path)
    reached = walk(first, pages, leads)
    for path in sorted(files):
        count.check(path in reached, path.relative_to(TOP),
                    "nothing leads to it")
    check_directives(count, pages[MANUAL / "directives.html"])
    check_counters(count, pages[MANUAL / "status.html"])
    if os.environ.get("WEIR_PREFIX"):  # an installed one to ask
        written = subprocess.run([sys.executable, WRITTEN, "--check"],
                                 check=False)
        count.check(written.returncode == 0, WRITTEN.relative_to(TOP),
                    "the page of directives is out of date: run it")
    drawn = subprocess.run([sys.executable, DRAWN, "--check"], check=False)
    count.check(drawn.returncode == 0, DRAWN.relative_to(TOP),
                "the figures are out of date: run it")
    print(f"{count.passed} passed, {count.failed} failed")
    return 1 if count.failed else 0


if __name__ == "__main__":
    sys.exit(main())
