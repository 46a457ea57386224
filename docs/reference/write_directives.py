#!/usr/bin/env python3
"""Write the manual's page of directives from what the server says of itself.

    WEIR_PREFIX=/tmp/stage python3 docs/reference/write_directives.py

runs the installed weir -L with every module and under every MPM, and puts the
tables between the first paragraphs and the end of docs/manual/directives.html.
With --check nothing is written; the exit status is 1 if the page is not what
would be.  Which directives stand together is said here; one that stands nowhere
is an error.
"""

import argparse
import html
import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent / "manual" / "directives.html"
BEGIN, END = '<h2 id="server">', '<div class="turn">'
NOT_SHOWN = ("delay", "gate", "hello", "objects")  # for tests, and an example

# The core's, by what they are for.
CORE = [
    ("server", "The server and its addresses", "",
     "ServerRoot Listen ListenBacklog ServerName ServerAlias <VirtualHost "
     "StrictHostCheck UseCanonicalName ServerAdmin ServerTokens "
     "ServerSignature User Group PidFile ErrorLog LogLevel"),
    ("sections", "Sections", """
<p>Which of them wins is told in <a href="configuration.html#merge">\
Configuration</a>.</p>
""", "<Directory <DirectoryMatch <Files <FilesMatch <Location "
     "<LocationMatch"),
    ("files", "What is served, and how", "",
     "DocumentRoot Options AllowOverride SetHandler ForceType DefaultType "
     "AddDefaultCharset ErrorDocument FileETag MaxRanges "
     "MaxRangeOverlaps MaxRangeReversals EnableSendfile "
     "MergeSlashes AllowEncodedSlashes TraceEnable"),
    ("mpms", "Architecture", "", "MPM <MPM LoadModule Processes MaxConnectionsPerChild"),
    ("connections", "Connections", "",
     "Timeout KeepAlive KeepAliveTimeout MaxKeepAliveRequests MaxConnections "
     "AcceptLimit SendQuantum SendBufferSize ReceiveBufferSize "
     "GracefulShutdownTimeout"),
    ("limits", "Bounds on a request", "",
     "LimitRequestLine LimitRequestFields LimitRequestFieldSize "
     "LimitRequestHead LimitRequestBody RequestReadTimeout SendMinRate "
     "RequestBodyMemory SpoolDirectory"),
    ("caches", "Caches", """
<p>A process remembers which file a URL leads to, the response header of that
file, and the content of small ones.</p>
""", "CachePaths CacheHeaders CacheContent CacheSize CacheEntries "
     "CacheMaxFile CacheRevalidate"),
    ("reading", "While the file is read", "",
     "Define UnDefine Include IncludeOptional <IfDefine <IfDirective "
     "<IfFile <IfModule"),
]

# Modules, in this order; those that are not named follow.
MODULES = [
    ("authz_core", "access", "Access"),
    ("authz_host", "access-host", "Access by where clients are"),
    ("dir", "module-dir", "Directories and their index files"),
    ("autoindex", "module-autoindex", "Listings of directories"),
    ("alias", "module-alias", "Aliases and redirects"),
    ("mime", "module-mime", "Types, languages and encodings"),
    ("headers", "module-headers", "Header fields"),
    ("env", "module-env", "Variables"),
    ("setenvif", "module-setenvif", "Variables by what a request says"),
    ("log_config", "logs", "The access log"),
    ("status", "module-status", "The server’s status"),
]

AFTER = {"module-status": """
<p>The handler <code>server-status</code> is told of in <a href="status.html">\
Status</a>.</p>
""", "logs": """
<p>Lines are gathered in memory that all processes share, and written out when
half a ring is full, once a second, and after a child has died, so that a line
of a completed request is not lost with its process.</p>

<h3 id="programs">Logs to programs</h3>
<p>A log may go to a program that reads its lines from standard input:</p>
<pre><code>CustomLog "|/usr/bin/rotatelogs logs/access.%F 86400" combined
CustomLog "|$gzip -c >>logs/access.gz" combined
ErrorLog "|/usr/local/bin/watch-errors"</code></pre>
<p><code>|</code> and <code>||</code> start the program itself, found by its path
and not in <code>PATH</code>, with the words that follow as its arguments;
<code>|$</code> hands the rest to <code>/bin/sh</code>. Logs that say the same
share one program. It runs in <code>ServerRoot</code>, with the server’s
environment, and <strong>as the user who started the server</strong>, so what it
runs and where it writes must be nobody else’s to change. What it says to
standard error is in the error log. It inherits no other descriptor.</p>
<p>A program that cannot be started ends the server’s start. One that ends is
started again: at once, or, if it lived less than a second, ever later, up to 32
seconds. The one that follows reads on in the same pipe, so what is lost is only
what the one before had read and not yet dealt with. A program that is slow is
waited for: a pipe of up to 1&#160;MiB and the rings, 64&#160;KiB for each
thread, hold lines back; if they are full, a request waits 50 milliseconds at
most, and for the next second lines are dropped without waiting, which the error
log says. A line to an error log’s program is cut after 4096 bytes.</p>
<p>Each generation has programs of its own. Theirs see the end of their input
when the generation’s last connection is done, and the stop of the server waits
for them: five seconds, then they are told to end, and a second later they are
killed. The last line of the master, that it has stopped, comes after the end of
an error log’s program and goes to standard error. With <code>-X</code> a
program that has ended is not started again.</p>
"""}

# Defaults that depend on how the server was built, or need more words.
DEFAULTS = {
    "ServerRoot": "as built; <code>weir -V</code> shows it",
    "PidFile": "<code>weir.pid</code> in the state folder that "
               "<code>weir -V</code> shows",
    "ErrorLog": "<code>error_log</code> in the log folder that "
                "<code>weir -V</code> shows",
    "TypesConfig": "<code>/etc/mime.types</code>, else the one installed with "
                   "Weir",
    "User": "<code>www-data</code>, or <code>nobody</code>",
    "Group": "the user’s own",
    "ThreadsPerChild": "under <code>mt</code> 64, under <code>hybrid</code> "
                       "<code>auto io</code>",
}
HELP = {
    "ThreadsPerChild": "Threads of a process. Under <code>mt</code> that many "
                       "connections are served at once; under "
                       "<code>hybrid</code> that many requests are worked on "
                       "at once. With <code>auto</code>, under "
                       "<code>hybrid</code>, the number follows from "
                       "<i>N</i>, the processors the process may use: "
                       "<code>cpu</code> is <i>N</i> + 1, <code>io</code> "
                       "2 <i>N</i> + 1; <code>measured</code>, or a plain "
                       "<code>auto</code>, is what is needed by Little’s law, "
                       "tasks a second times seconds that each takes, and "
                       "twice its root for bursts, looked at once a second, "
                       "from <i>N</i> + 1 to <code>MaxThreadsPerChild</code>. "
                       "<code>weir -S</code> shows the arithmetic.",
    "ErrorLog": "Where errors are written to: a file, a "
                '<a href="#programs">program</a>, the system’s log (as '
                "<code>local7</code> and <code>weir</code> unless it says "
                "otherwise), or standard error.",
    "CustomLog": "Logs each request, or those for which a variable is set, or "
                 'is not, as a line of a file or to a <a href="#programs">'
                 "program</a>.",
}

PLACES = [("outside all sections", "global"), ("in <VirtualHost>", "server"),
          ("in <Directory>, <Files>, <Location>", "directory"),
          ("in <Directory>", "&lt;Directory&gt;"), ("in <MPM>", "MPM")]


def breakable(name):
    """A long name, where there is no room for it, breaks between its words."""
    return re.sub("(?<=[a-z])(?=[A-Z])", "<wbr>", name)


class Directive:
    """What weir -L says of one, in four lines at most."""

    def __init__(self, lines):
        head = re.fullmatch(r"(<?)(\w+) ?(.*?)(>?) \((\w+)\)", lines[0])
        self.is_section = head[1] == "<"
        self.name, self.args, self.module = head[2], head[3], head[5]
        self.help = lines[1].strip()
        self.places = self.read_places(lines[2].strip())
        self.default = None
        if len(lines) > 3:
            self.default = lines[3].strip().removeprefix("Default: ")
        self.mpms = []

    @property
    def key(self):
        return ("<" if self.is_section else "") + self.name

    @staticmethod
    def read_places(text):
        found = []
        for said, place in PLACES:
            if said in text:
                text = text.replace(said, "")
                found.append(place)
        return found

    def row(self):
        mark = "section-" if self.is_section else ""
        open_, close = ("&lt;", "<code>&gt;</code>") if self.is_section else (
            "", "")
        args = html.escape(self.args, False).replace("|", "|<wbr>")
        args = f" <small><code>{args}</code></small>"
        default = DEFAULTS.get(self.name)
        if not default and self.default is not None:
            default = f"<code>{html.escape(self.default, False)}</code>"
        places = ", ".join(self.places)
        if self.mpms:
            names = ", ".join(f"<code>{m}</code>" for m in self.mpms)
            places = f"MPM ({names})"
        text = HELP.get(self.name) or html.escape(
            self.help.replace("'", "’"), False)
        return (f'<tr><th scope="row" id="{mark}{self.name.lower()}">'
                f"<code>{open_}{breakable(self.name)}</code>"
                f"{args if self.args else ''}{close}</th><td>{text}<br>"
                f"<small>{f'Default: {default}. ' if default else ''}"
                f"In: {places}.</small></td></tr>\n")


def list_directives(weir, modules, mpm):
    lines = ["-C", "Listen 80"]
    for name in modules:
        lines += ["-C", f"LoadModule {name}_module mod_{name}.so"]
    text = subprocess.run([weir, "-L", "-f", "/dev/null", "-m", mpm, *lines],
                          check=True, capture_output=True, text=True).stdout
    blocks = re.split(r"\n(?=\S)", text.strip("\n"))
    return [Directive(block.split("\n")) for block in blocks]


def read_all(prefix):
    """Directives by module, an MPM's all as those of "mpm"."""
    folder = prefix / "lib" / "weir" / "modules"
    names = sorted(p.stem[4:] for p in folder.glob("mod_*.so"))
    mpms = [n[4:] for n in names if n.startswith("mpm_")]
    modules = [n for n in names
               if not n.startswith("mpm_") and n not in NOT_SHOWN]
    by_module = {}
    for mpm in mpms:
        for d in list_directives(prefix / "sbin" / "weir", modules, mpm):
            module = "mpm" if d.module.startswith("mpm_") else d.module
            known = by_module.setdefault(module, {}).setdefault(d.key, d)
            if module == "mpm":
                known.mpms.append(mpm)
    return by_module


def table(rows):
    return ('<div class="table"><table class="directives">\n<thead><tr>'
            '<th scope="col">Directive</th><th scope="col">Says</th></tr>'
            "</thead>\n<tbody>\n" + "".join(d.row() for d in rows)
            + "</tbody></table></div>\n")


def section(anchor, title, intro, rows):
    return (f'<h2 id="{anchor}">{title}</h2>\n{intro.lstrip()}{table(rows)}'
            f"{AFTER.get(anchor, '').lstrip()}\n")


def write_tables(by_module):
    text = ""
    core = by_module.pop("core")
    for anchor, title, intro, names in CORE:
        rows = [core.pop(name) for name in names.split()]
        if anchor == "mpms":
            rows += by_module.pop("mpm").values()
        text += section(anchor, title, intro, rows)
    if core:
        sys.exit(f"in no group: {' '.join(core)}")
    named = [m for m in MODULES if m[0] in by_module]
    others = sorted(set(by_module) - {m[0] for m in MODULES})
    for name, anchor, title in named + [
            (name, f"module-{name}", f"Module {name}") for name in others]:
        intro = f"<p>Of the module <code>{name}</code>.</p>\n"
        text += section(anchor, title, intro, by_module[name].values())
    return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    prefix = os.environ.get("WEIR_PREFIX")
    if not prefix:
        sys.exit("WEIR_PREFIX does not say where weir is installed")
    page = PAGE.read_text(encoding="utf-8")
    begin, end = page.index(BEGIN), page.index(END)
    new = page[:begin] + write_tables(read_all(Path(prefix))) + page[end:]
    if not check:
        PAGE.write_text(new, encoding="utf-8")
    return 1 if check and new != page else 0


if __name__ == "__main__":
    sys.exit(main())
