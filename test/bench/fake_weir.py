#!/usr/bin/python3
"""Stands for weir in tests of weir-compare: a small server that is called as
weir is.  Its MPMs are `good`, and `frail`, which ends while it is measured."""

import http.server
import os
import pathlib
import re
import sys
import threading
import time


class Handler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def end_soon():
    time.sleep(0.6)
    print("frail has had enough", flush=True)
    os._exit(3)


def serve(path):
    text = pathlib.Path(path).read_text()
    port = int(re.search(r"^Listen \S+:(\d+)", text, re.M).group(1))
    os.chdir(re.search(r'^DocumentRoot "(.*)"', text, re.M).group(1))
    if re.search(r"^MPM frail", text, re.M):
        threading.Thread(target=end_soon, daemon=True).start()
    Server(("127.0.0.1", port), Handler).serve_forever()


def main():
    if sys.argv[1:] == ["-m", "?"]:
        print("good  serves\nfrail  does not serve for long")
    elif sys.argv[1] == "-V":
        print("Weir 9.9.9, a fake")
    elif sys.argv[1] == "-f" or "-f" in sys.argv:
        serve(sys.argv[sys.argv.index("-f") + 1])


if __name__ == "__main__":
    main()
