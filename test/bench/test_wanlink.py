"""wanlink, the slow lines: what a program behind them sees, how it ends.

In a network namespace of its own, so for root.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from conftest import compiled

# Answers each request with so many bytes, and prints where it came from.
SERVER = """
import socket, sys, threading
def serve(c, peer):
    c.recv(4096)
    body = b"x" * %d
    c.sendall(b"HTTP/1.1 200 OK\\r\\nConnection: close\\r\\n"
              b"Content-Length: %%d\\r\\n\\r\\n" %% len(body) + body)
    c.recv(1)
    c.close()
s = socket.create_server(("0.0.0.0", 18400), backlog=64)
print("ready", flush=True)
while True:
    c, peer = s.accept()
    print(peer[0], flush=True)
    threading.Thread(target=serve, args=(c, peer), daemon=True).start()
"""
WITHIN = ("ip link set lo up || exit 77; " 'exec "$@"')


def secluded(*line, **more):
    """A process in a new network namespace."""
    return subprocess.Popen(
        ["unshare", "-n", "sh", "-c", WITHIN, "sh", *map(str, line)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


@pytest.fixture(scope="session")
def wanlink(tmp_path_factory):
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        pytest.skip("needs root and /dev/net/tun")
    tried = secluded("sh", "-c", "ip tuntap add dev try0 mode tun && "
                                 "unshare -n true")
    _, said = tried.communicate(timeout=30)
    if tried.returncode:
        pytest.skip(f"no namespace, ip or TUN device may be had: {said}")
    return compiled(tmp_path_factory.mktemp("wanlink"), "wanlink")


@pytest.fixture(scope="session")
def pace_program(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("far"), "pace", "-lm")


@pytest.fixture
def fetch(wanlink, pace_program, tmp_path):
    """fetch(bytes, options of wanlink, options of pace): what pace says, and
    the addresses that the server saw."""
    urls = tmp_path / "urls"
    urls.write_text("/a\n")

    def run(size, link, load):
        (tmp_path / "server.py").write_text(SERVER % size)
        far = " ".join(map(str, [
            wanlink, *link, pace_program, "-h", "10.99.0.1", "-p", 18400,
            "-a", "10.99.128.1", "-f", urls, "-d", 20, "-k", *load]))
        # The server says when it is ready; what follows are addresses.
        script = (f"{sys.executable} {tmp_path}/server.py > {tmp_path}/seen & "
                  f"while ! grep -q ready {tmp_path}/seen; do sleep 0.02; "
                  f"done; {far}; kill $!")
        done = secluded("sh", "-c", script)
        out, said = done.communicate(timeout=60)
        assert out, said
        seen = (tmp_path / "seen").read_text().split()[1:]
        return json.loads(out), seen

    return run


def test_each_client_has_an_address_and_a_way(fetch):
    """Two round trips of twice 20 ms: for the connection, for the answer."""
    told, seen = fetch(100, ["-d", 20], ["-n", 12, "-c", 3])
    assert told["done"] == 12 and not any(told["failed"].values())
    assert {"10.99.128.1", "10.99.128.2", "10.99.128.3"} == set(seen)
    assert told["classes"]["all"]["first_us"]["p50"] >= 80000 * 0.98


def test_a_line_has_its_rate(fetch):
    """32 kB over 512 kbit/s take half a second, for each of two at once."""
    told, _ = fetch(32000, ["-d", 1, "-b", 512], ["-n", 2, "-c", 2])
    assert told["done"] == 2
    assert told["classes"]["all"]["total_us"]["p50"] >= 500000 * 0.98


@pytest.mark.parametrize("line, status", [
    (["sh", "-c", "exit 3"], 3), (["sh", "-c", "kill -9 $$"], 137),
    (["/no/such"], 127)])
def test_ends_as_its_program(wanlink, line, status):
    done = secluded(wanlink, *line)
    _, said = done.communicate(timeout=30)
    assert done.returncode == status
    assert "wanlink: 0 packets" in said


def test_a_signal_is_for_the_program(wanlink):
    done = secluded(wanlink, "sh", "-c", "echo begun; exec sleep 60")
    assert done.stdout.readline() == "begun\n"
    done.send_signal(signal.SIGTERM)
    done.communicate(timeout=30)
    assert done.returncode == 128 + signal.SIGTERM


def test_a_program_does_not_outlive_it(wanlink):
    done = secluded(wanlink, "sh", "-c", "echo $$; exec sleep 60")
    pid = int(done.stdout.readline())
    done.kill()
    done.wait(timeout=30)
    for _ in range(500):
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    break
        except FileNotFoundError:
            break
        time.sleep(0.02)
    else:
        os.kill(pid, signal.SIGKILL)
        raise AssertionError("its program lives on")


@pytest.mark.parametrize("options", [
    ["-d", "x", "true"], ["-b", "-1", "true"], ["-l", "1001", "true"], [],
    ["-z", "true"]])
def test_nonsense_is_refused(wanlink, options):
    done = secluded(wanlink, *options)
    done.communicate(timeout=30)
    assert done.returncode == 2
