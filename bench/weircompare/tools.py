"""The programs of bench/ that a run needs, compiled when their source is
new."""

import pathlib
import shutil
import subprocess

from .trouble import Trouble

BENCH = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = {"pace": ["-lm"], "hammer": [], "slowfs": ["-lpthread"],
            "wanlink": []}


def fuse_flags():
    """What slowfs is compiled with; None where libfuse 3 is not there."""
    if not shutil.which("pkg-config"):
        return None
    done = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"],
                          check=False, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.DEVNULL)
    return done.stdout.split() if done.returncode == 0 else None


def is_new(program, source):
    newest = max(p.stat().st_mtime for p in (source, BENCH / "histogram.h"))
    return not program.exists() or program.stat().st_mtime < newest


def compile_all(folder):
    """@return {name: path}; of those that can't be had, name_why."""
    folder.mkdir(parents=True, exist_ok=True)
    if not shutil.which("cc"):
        raise Trouble("there is no C compiler (cc), which pace needs")
    found = {"wrk": shutil.which("wrk")}
    for name, flags in PROGRAMS.items():
        source, program = BENCH / f"{name}.c", folder / name
        if name == "slowfs":
            fuse = fuse_flags()
            if fuse is None:
                found["slowfs_why"] = "libfuse3-dev is not installed"
                continue
            flags = fuse + flags
        if is_new(program, source):
            done = subprocess.run(
                ["cc", "-O2", "-o", program, source, *flags], check=False,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                raise Trouble(f"{source.name} does not compile: "
                              f"{done.stdout.strip()}")
        found[name] = program
    return found
