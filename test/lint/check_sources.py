#!/usr/bin/python3
"""Check what holds for all of the source, and no compiler checks.

    check_sources.py [FOLDER]     of the tree, or of another copy of it

Of the installed server too, when WEIR_PREFIX says where it is.  Prints a line
a check: "ok", "not ok" with the reasons below it, or "skip" with one.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

TOP = pathlib.Path(sys.argv[1] if len(sys.argv) > 1
                   else pathlib.Path(__file__).parent.parent.parent).resolve()
PREFIX = os.environ.get("WEIR_PREFIX")
CODE = ("include", "server", "modules", "mpm", "test")
ARCHITECTURES = ("mp", "mt", "sped", "amped", "hybrid", "reactor", "proactor")
CHECKS = []


class Skip(Exception):
    """Why a check can't be done here."""


def check(name):
    """A function that yields what is wrong."""
    def add(function):
        CHECKS.append((name, function))
        return function
    return add


def files(*folders, ends=(".c", ".h")):
    """(path, text) of the files below these folders."""
    for folder in folders:
        for path in sorted((TOP / folder).rglob("*")):
            if path.suffix in ends and path.is_file():
                yield path.relative_to(TOP), path.read_text()


def lines(*folders, ends=(".c", ".h")):
    for path, text in files(*folders, ends=ends):
        for number, line in enumerate(text.splitlines(), 1):
            yield path, number, line


def run(*command, **more):
    return subprocess.run(
        [str(c) for c in command], stdin=subprocess.DEVNULL, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **more)


def apr_flags():
    found = run("pkg-config", "--cflags", "apr-1", "apr-util-1")
    if found.returncode != 0:
        raise Skip("pkg-config does not find APR")
    return found.stdout.replace("-I", "-isystem").split()


def compile_alone(headers, *flags):
    """Every header twice in a file of its own: alone, and guarded."""
    flags = ["-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
             "-Wstrict-prototypes", "-I", TOP / "include", *flags,
             *apr_flags()]
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "alone.c"
        for header in headers:
            source.write_text(f'#include "{TOP / header}"\n' * 2)
            result = run("gcc", *flags, source)
            if result.returncode != 0:
                yield f"{header}\n{result.stdout.strip()}"


@check("public headers compile alone")
def public_headers():
    return compile_alone([p for p, _ in files("include", ends=(".h",))])


@check("private headers compile alone")
def private_headers():
    return compile_alone(
        [p for p, _ in files("server", "modules", "mpm", "test", ends=(".h",))],
        "-D_GNU_SOURCE", "-iquote", TOP)


@check("public structs do not depend on configure")
def public_structs():
    for path, text in files("include"):
        depth = 0
        for number, line in enumerate(text.splitlines(), 1):
            if depth > 0 and re.match(r"\s*#\s*if", line):
                yield f"{path}:{number}: {line.strip()}"
            if not line.lstrip().startswith(("#", "*", "/*")):
                depth += line.count("{") - line.count("}")


def may_include(path, target):
    """Which folder may use a header of which."""
    here, there = path.parts, target.parts
    if there[0] == "include" or path.parent == target.parent:
        return True
    if here[0] == "mpm":
        return there[:2] == ("mpm", "common")
    if here[0] == "server":
        return there[0] == "server"
    return here[0] == "test" and here[1] != "mpm"


@check("who includes whom")
def includes():
    for path, number, line in lines(*CODE):
        found = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not found:
            continue
        for folder in (path.parent, pathlib.Path("include"), pathlib.Path()):
            target = pathlib.Path(os.path.normpath(folder / found.group(1)))
            if (TOP / target).is_file():
                if not may_include(path, target):
                    yield f"{path}:{number}: {line.strip()}"
                break
        else:
            yield f"{path}:{number}: {line.strip()}: no such file of ours"


@check("MPMs know no protocol")
def no_protocol():
    for path, number, line in lines("mpm", ends=(".c", ".h", ".md", ".mk")):
        if "http" in re.sub(r"https?://\S+", "", line).lower():
            yield f"{path}:{number}: {line.strip()}"


@check("mpm/common names no architecture")
def no_architecture():
    words = re.compile(rf"\b({'|'.join(ARCHITECTURES)})\b", re.IGNORECASE)
    for path, number, line in lines("mpm/common"):
        if words.search(line):
            yield f"{path}:{number}: {line.strip()}"


def code_of(paths):
    """Lines that are neither empty nor comment: whoever explains more is not
    to have less room for it."""
    count = 0
    for path in paths:
        text = re.sub(r"/\*.*?\*/", "", (TOP / path).read_text(), flags=re.S)
        count += sum(1 for line in text.splitlines() if line.strip())
    return count


@check("an MPM has under 500 lines of code")
def small():
    for folder in sorted((TOP / "mpm").iterdir()):
        if folder.is_dir() and folder.name != "common":
            count = code_of(p for p, _ in files(folder, ends=(".c",)))
            if count >= 500:
                yield f"mpm/{folder.name}: {count} lines of code"


def uses_ring(path):
    return path.parts[1] == "proactor" or path.name.startswith("ring")


@check("mpm/ without io_uring has under 3500 lines of code, "
       "and what is for io_uring under 1300")
def small_together():
    paths = [path for path, _ in files("mpm", ends=(".c",))]
    for what, limit, count in (
            ("without io_uring", 3500,
             code_of(p for p in paths if not uses_ring(p))),
            ("for io_uring", 1300, code_of(filter(uses_ring, paths)))):
        if count >= limit:
            yield f"{what}: {count} lines of code"


@check("every source is built")
def built():
    listed = "\n".join(line for _, _, line in lines(*CODE, ends=(".mk",))
                       if not line.startswith("#"))
    for path, _ in files(*CODE, ends=(".c",)):
        if path.parts[:3] == ("test", "mpm", "broken"):
            continue  # made by the build
        stem = str(path.with_suffix(""))
        if not re.search(rf"(?<!\S){re.escape(stem)}(\.c|\.la|)(?!\S)",
                         listed):
            yield f"{path}: in no sources.mk"
    for stem in re.findall(r"(?<!\S)((?:server|modules|mpm|test)/\S+\.c)(?!\S)",
                           listed):
        if not (TOP / stem).is_file() and "/broken/" not in stem:
            yield f"{stem}: listed, but there is no such file"


@check("files say what they are for")
def heads():
    for path, text in files(*CODE):
        if "/broken/" in str(path):
            continue
        if not re.match(rf"/\*\n \* {re.escape(path.name)} - \S", text):
            yield f"{path}:1: does not begin with \"{path.name} - \""


@check("no tabs, no line over 80 columns")
def columns():
    for path, number, line in lines(*CODE):
        if "/broken/" in str(path):
            continue
        if "\t" in line or len(line) > 80 or line != line.rstrip():
            yield f"{path}:{number}: {line}"


@check("nothing unfinished")
def unfinished():
    words = re.compile("|".join(
        rf"\b{a}{b}\b" for a, b in (("TO", "DO"), ("FIX", "ME"), ("XX", "X"))))
    for path, number, line in lines(
            *CODE, "bench", "conf", "docs/manual", "packages",
            ends=(".c", ".h", ".py", ".sh", ".mk", ".html", ".in")):
        if words.search(line):
            yield f"{path}:{number}: {line.strip()}"
    for name in ("start", "check", "bootstrap", "configure.ac", "Makefile.am",
                 "m4/weir.m4", "README.md"):
        if (TOP / name).is_file() and words.search((TOP / name).read_text()):
            yield name


@check("clang-format has nothing to change")
def formatted():
    for name in ("clang-format-14", "clang-format"):
        if shutil.which(name) and " 14." in run(name, "--version").stdout:
            break
    else:
        raise Skip("needs version 14, whose taste the source follows")
    paths = [TOP / p for p, _ in files(*CODE) if "/broken/" not in str(p)]
    result = run(name, "--dry-run", "--Werror", *paths)
    yield from re.findall(r"^(\S+:\d+):\d+: error", result.stdout, re.MULTILINE)


@check("scripts can be read")
def scripts():
    for path in (TOP / "start", TOP / "check", TOP / "compare",
                 TOP / "bootstrap", TOP / ".ci" / "run", *sorted(TOP.glob("*/*.sh")),
                 *sorted(TOP.glob("test/*/*.sh"))):
        plain = path.read_text().startswith("#!/bin/sh")
        result = run("sh" if plain else "bash", "-n", path)
        if result.returncode != 0:
            yield result.stdout
    for path, text in files("test", "bench", "docs", ends=(".py",)):
        try:
            compile(text, str(path), "exec")
        except SyntaxError as error:
            yield f"{path}: {error}"


def symbols(path):
    """What a program or a shared object offers to others."""
    result = run("nm", "-D", "--defined-only", path)
    if result.returncode != 0:
        raise Skip(result.stdout.strip())
    for line in result.stdout.splitlines():
        kind, name = line.split()[-2:]
        # What start-up code and copies of libraries' data bring along.
        if "@" not in name and name not in ("data_start", "main") \
                and not name.startswith(("_", "apr_")):
            yield kind, name


def installed(*parts):
    if not PREFIX:
        raise Skip("WEIR_PREFIX does not say where weir is installed")
    return pathlib.Path(PREFIX, *parts)


@check("weir exports wr_ only")
def program_symbols():
    for _, name in symbols(installed("sbin", "weir")):
        if not name.startswith("wr_") or name.startswith("wr__"):
            yield name


@check("a module exports its record only")
def module_symbols():
    modules = sorted(installed("lib", "weir", "modules").glob("mod_*.so"))
    if not modules:
        yield "there are no modules"
    for path in modules:
        record = f"{path.stem[len('mod_'):]}_module"
        names = [name for _, name in symbols(path)]
        if names != [record]:
            yield f"{path.name}: {' '.join(names)}"


@check("the sample configuration is right")
def sample():
    result = run(installed("sbin", "weir"), "-t")
    if result.returncode != 0:
        yield result.stdout.strip()


def main():
    failed = False
    for name, function in CHECKS:
        try:
            wrong = list(function())
        except Skip as why:
            print(f"skip {name}: {why}")
            continue
        failed = failed or bool(wrong)
        print(f"not ok {name}" if wrong else f"ok {name}")
        for reason in wrong[:40]:
            print("    " + reason.replace("\n", "\n    "))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
