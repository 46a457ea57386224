#!/usr/bin/python3
"""Look for mistakes that no compiler warns of: clang-tidy and cppcheck.

    tidy.py FOLDER [WORD]...

FOLDER is one in which the sources were built: it says how to compile them.
With words, only files are looked at that have one of them in their path.  What
clang-tidy is asked for stands in .clang-tidy.  Prints a line a file: "ok", or
"not ok" with what was found below it.
"""

import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys

TOP = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDERS = ("server", "modules", "mpm")
CORES = os.cpu_count() or 2
# APR's macros, which cppcheck does not find in <apr_hooks.h>.
MACROS = ["APR_DECLARE_EXTERNAL_HOOK(a,b,c,d,e)=", "APR_HOOK_STRUCT(a)=",
          "APR_HOOK_LINK(a)=", "APR_IMPLEMENT_EXTERNAL_HOOK_BASE(a,b,c)=",
          "APR_IMPLEMENT_EXTERNAL_HOOK_RUN_ALL(a,b,c,d,e,f,g,h)="]


def flags_of(folder):
    """How the files are compiled there, but for warnings."""
    text = subprocess.run(
        ["make", "-s", "-C", folder, "print-list", "LIST=AM_CPPFLAGS"],
        stdin=subprocess.DEVNULL, check=True, stdout=subprocess.PIPE,
        text=True).stdout
    return ["-std=gnu11", "-pthread", f"-I{folder}", *text.split()]


def report(name, found):
    print(f"{'not ok' if found else 'ok'} {name}")
    for line in found:
        print(f"    {line}")
    sys.stdout.flush()
    return not found


def clang_tidy(path, folder, flags):
    done = subprocess.run(
        ["clang-tidy", "-quiet", path, "--", *flags], cwd=folder, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True)
    found = [line.replace(f"{TOP}/", "") for line in done.stdout.splitlines()
             if re.search(r": (warning|error): ", line)]
    if done.returncode != 0 and not found:
        found = done.stdout.splitlines()[-5:]
    return f"clang-tidy {path.relative_to(TOP)}", found


def cppcheck(folder):
    done = subprocess.run(
        ["cppcheck", "-q", f"-j{CORES}", "--std=c11", "--inline-suppr",
         "--enable=warning,performance,portability",
         "--suppress=missingIncludeSystem", "--template={file}:{line}: "
         "{message} [{id}]", "-Iinclude", "-I.", f"-I{folder}", "-D_GNU_SOURCE",
         *[f"-D{macro}" for macro in MACROS], *FOLDERS],
        cwd=TOP, check=False, stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    found = [line for line in done.stdout.splitlines()
             if re.match(r"\S+:\d+: ", line) and "note:" not in line]
    return f"cppcheck {' '.join(FOLDERS)}", found


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    words = sys.argv[2:]
    missing = [name for name in ("clang-tidy", "cppcheck")
               if not shutil.which(name)]
    if missing:
        print(f"skip {' and '.join(missing)} are not installed")
        return 0
    paths = sorted(p for f in FOLDERS for p in (TOP / f).rglob("*.c")
                   if not words or any(w in str(p) for w in words))
    flags = flags_of(folder)
    good = True
    with concurrent.futures.ThreadPoolExecutor(CORES) as pool:
        jobs = [] if words else [pool.submit(cppcheck, folder)]
        jobs += [pool.submit(clang_tidy, p, folder, flags) for p in paths]
        for job in jobs:
            good = report(*job.result()) and good
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
