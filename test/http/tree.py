"""The tree of files that the shared server serves."""

import contextlib
import functools
import os
import random
import socket
import stat

INDEX = b"<!DOCTYPE html>\n<title>Index</title>\n<p>The index.\n"
HELLO = b"Hello, this is a text.\n"
SECRET = b"SECRET: nobody may see this\n"

MIME_TYPES = """\
# type          extensions
text/html       html htm
text/css        css
text/plain      txt text
text/javascript js
image/png       png
image/svg+xml   svg
application/pdf pdf
application/octet-stream bin
"""

AGE = 1500000000.25  # when all was changed last: an entity tag is strong then

SIZES = (0, 1, 2, 100, 1023, 1024, 4095, 4096, 4097, 16383, 16384, 65535,
         65536, 65537, 102400, 1 << 20, 10 << 20)


@functools.lru_cache(64)
def content(size, seed=1):
    """Bytes that differ everywhere, the same each time."""
    return random.Random(seed * 1000003 + size).randbytes(size)


FILES = {
    "index.html": INDEX,
    "hello.txt": HELLO,
    "a.css": b"a { color: red }\n",
    "a.js": b"let a = 1;\n",
    "a.png": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "a.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>\n",
    "a.pdf": b"%PDF-1.4\n",
    "UPPER.HTML": INDEX,
    "a.unknown": b"what is this?\n",
    "noextension": b"no extension\n",
    "dir/index.html": b"<p>Index of dir.\n",
    "dir/file.txt": b"A file in dir.\n",
    "dir/deep/er/file.txt": b"A file deep down.\n",
    "other/start.txt": b"Started.\n",
    "other/index.html": b"<p>Not this one.\n",
    "noindex/file.txt": b"A file, no index.\n",
    "sp ace.txt": b"space\n",
    "per%41cent.txt": b"percent\n",
    "plus+sign.txt": b"plus\n",
    "semi;colon.txt": b"semicolon\n",
    "qm?.txt": b"question mark\n",
    "hash#.txt": b"hash\n",
    "u\u0308mlaut.txt": b"umlaut\n",
    "...": b"three dots\n",
    "..dots.txt": b"dots\n",
    "unreadable.txt": SECRET,
    "closed/file.txt": SECRET,
    "denied/file.txt": SECRET,
    "denied/index.html": SECRET,
    "denied/deep/file.txt": SECRET,
    "denied/again/file.txt": b"Allowed again.\n",
    "say/hello.txt": b"The handler does not look at this.\n",
    "cr\r\nX-Evil: 1/index.html": b"odd\n",
}


def make(www, outside):
    """Make the tree in www, and beside it what nobody may get at."""
    for name, data in FILES.items():
        path = www / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (AGE, AGE))
    for size in SIZES:
        path = www / f"{size}.bin"
        path.write_bytes(content(size))
        os.utime(path, (AGE, AGE))
    outside.mkdir()
    (outside / "secret.txt").write_bytes(SECRET)
    (outside / "index.html").write_bytes(SECRET)
    (www / "empty").mkdir()
    links = {
        "link-in.txt": "hello.txt",
        "link-out.txt": outside / "secret.txt",
        "link-up.txt": "../outside/secret.txt",
        "link-passwd": "/etc/passwd",
        "link-loop": "link-loop",
        "link-nowhere": "does-not-exist",
        "dirlink-out": outside,
        "dirlink-up": "../outside",
        "dirlink-in": "dir",
    }
    for name, target in links.items():
        (www / name).symlink_to(target)
    os.mkfifo(www / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        here = os.getcwd()
        os.chdir(www)  # the name of a socket is short
        sock.bind("socket")
        os.chdir(here)
    with contextlib.suppress(PermissionError):
        os.mknod(www / "device", 0o666 | stat.S_IFCHR, os.makedev(1, 5))
    (www / "unreadable.txt").chmod(0)
    (www / "closed").chmod(0)
