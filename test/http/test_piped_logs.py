"""Logs that go to programs: every line whole and once, programs kept running,
and nothing handed to them that is not theirs."""

import os
import re
import signal
import subprocess

import pytest

import conftest
from client import make_request, side_by_side
from conftest import (HELPER, descriptors_of, free_ports, processes_of,
                      wait_for)
from test_process import detached  # noqa: F401  a fixture

SPAWNER = "weir: spawner"

# Copies its input to a file, a line at a time; says when it begins and ends.
KEEPER = """\
#!/bin/sh
echo "begin $$" >>"$1.life"
while read -r line; do
    printf '%s\\n' "$line"
done >>"$1"
sleep "${2:-0}"
echo "end $$" >>"$1.life"
"""


def with_keeper(server):
    """The server, started, whose CustomLog "|.../keeper FILE" works now."""
    path = server.root / "keeper"
    path.write_text(KEEPER)
    path.chmod(0o755)
    server.start()
    return server


def keeper(name="piped.log", *more):
    words = " ".join(["@ROOT@/keeper", f"@ROOT@/logs/{name}", *more])
    return f'CustomLog "|{words}" common\n'


def life(server, name="piped.log"):
    """[("begin", pid), ("end", pid), ...]"""
    text = server.read_text(server.logs / f"{name}.life")
    return [(word, int(pid)) for word, pid in
            (line.split() for line in text.splitlines())]


def program(server, name="piped.log"):
    """The process id of the last one that began."""
    wait_for(lambda: life(server, name), what="the program's begin")
    return [pid for word, pid in life(server, name) if word == "begin"][-1]


def ask(server, count, mark="", start=0):
    with server.connect() as c:
        for i in range(start, start + count):
            c.request("GET", f"/hello.txt?{mark}{i}")
            c.read_response()


def assert_same(server, count, name="piped.log"):
    """The program got what the file got: all of it."""
    expected = server.access_lines(count)
    assert len(expected) == count
    assert sorted(server.access_lines(0, name)) == sorted(expected)


def stopped(server):
    server.stop()
    return server


def named(server, name):
    return conftest.named(server.processes(), name)


@pytest.mark.parametrize("command", [
    "|/bin/dd bs=1M of=@ROOT@/logs/piped.log status=none",
    "||/bin/dd bs=1M 'of=@ROOT@/logs/piped.log' status=none",
    "|$cat >logs/piped.log",
])
def test_lines_arrive_whole_and_once_under_load(weir, command):
    server = weir(f'CustomLog "{command}" common')

    def client(number):
        with server.connect() as c:
            for i in range(0, 200, 20):
                c.send(b"".join(make_request("GET", f"/hello.txt?{number}.{k}")
                                for k in range(i, i + 20)))
                for _ in range(20):
                    assert c.read_response().status == 200

    side_by_side([lambda n=n: client(n) for n in range(16)])
    assert_same(stopped(server), 3200)


def test_long_lines_are_not_come_between(weir):
    """Longer than what the kernel takes as a whole."""
    server = with_keeper(weir(
        "LimitRequestLine 8190\n"
        'CustomLog "|$exec cat >logs/piped.log" "%r %r"\n'
        'CustomLog logs/long.log "%r %r"', start=False))

    def client(number):
        with server.connect() as c:
            for i in range(20):
                size = 7000 if i % 2 else 10
                c.request("GET", f"/hello.txt?{number}.{i}" + "x" * size)
                c.read_response()

    side_by_side([lambda n=n: client(n) for n in range(12)])
    server.stop()
    lines = server.access_lines(240, "long.log")
    assert len(lines) == 240
    assert sorted(server.access_lines(0, "piped.log")) == sorted(lines)


def test_lines_come_without_a_stop(weir):
    server = with_keeper(weir(keeper(), start=False))
    ask(server, 1, "marker")
    assert "marker" in server.access_lines(1, "piped.log")[0]


def test_transfer_log_and_hosts_share_a_program(weir):
    server = with_keeper(weir(
        'TransferLog "|@ROOT@/keeper @ROOT@/logs/piped.log"\n'
        "<VirtualHost *:@PORT@>\nServerName a.test\n"
        'DocumentRoot "@WWW@"\n</VirtualHost>\n'
        "<VirtualHost *:@PORT@>\nServerName b.test\n"
        'DocumentRoot "@WWW@"\n'
        'TransferLog "|@ROOT@/keeper @ROOT@/logs/piped.log"\n</VirtualHost>\n',
        start=False))
    for host in ("a.test", "b.test"):
        server.get("/hello.txt?" + host, host=host)
    server.stop()
    lines = server.access_lines(0, "piped.log")
    assert sorted(re.findall(r"\?(\S+)", "\n".join(lines))) == [
        "a.test", "b.test"]
    assert [word for word, _ in life(server)] == ["begin", "end"]


def test_where_and_as_whom_a_program_runs(weir):
    """In ServerRoot, as who started the server."""
    server = weir('CustomLog "|$(pwd; id -u) >logs/who; exec cat" common')
    wait_for(lambda: server.read_text(server.logs / "who").count("\n") == 2)
    assert server.read_text(server.logs / "who") == (
        f"{os.path.realpath(server.root)}\n{os.geteuid()}\n")


def test_what_a_program_says_is_in_the_error_log(weir):
    server = weir('CustomLog "|$echo said by it >&2; exec cat >/dev/null" '
                  "common")
    wait_for(lambda: "said by it" in server.error_log())


def sockets(pid):
    """Those that a process holds."""
    return {link for link in descriptors_of(pid).values()
            if link.startswith("socket:")}


def tcp_sockets():
    """All there are: listeners and connections."""
    lines = [line for name in ("tcp", "tcp6")
             for line in open(f"/proc/net/{name}",
                              encoding="ascii").readlines()[1:]]
    return {f"socket:[{line.split()[9]}]" for line in lines}


def test_a_program_inherits_no_listener_and_no_client(weir):
    """The first one, and one that is started while clients are served."""
    server = weir('CustomLog "|$ls -l /proc/self/fd >>logs/fds; echo $$ '
                  '>>logs/pids; exec cat >/dev/null" common\n')
    server.allow_errors("log program .* died")

    def pids():
        return [int(p) for p in
                server.read_text(server.logs / "pids").split()]

    with server.connect() as c:
        c.request("GET", "/hello.txt")
        c.read_response()
        wait_for(pids)
        os.kill(pids()[0], signal.SIGKILL)
        wait_for(lambda: len(pids()) == 2)
    found = re.findall(r" (\d+) -> (.*)", server.read_text(server.logs / "fds"))
    assert len(found) == 8  # twice 0, 1, 2, and the folder that ls reads
    for number, target in found:
        if number == "3":
            assert re.fullmatch(r"/proc/\d+/fd", target)
        elif number == "0":
            assert target.startswith("pipe:")
        elif number == "1":
            assert target.endswith("/logs/fds")
        else:
            assert target.endswith("/logs/error.log")
    spawner, = named(server, SPAWNER)
    # the generation's, and where children ask for helpers
    assert len(sockets(spawner)) == (2 if server.mpm == "amped" else 1)
    assert not sockets(spawner) & tcp_sockets()


def test_children_do_not_hold_what_is_the_generations(weir):
    """The end from which the program reads, and the spawner's socket."""
    server = with_keeper(weir(keeper(), start=False))
    pipe = os.readlink(f"/proc/{program(server)}/fd/0")
    spawner, = named(server, SPAWNER)
    generation = server.processes()[spawner][0]
    children = [pid for pid, (parent, _) in server.processes().items()
                if parent == generation and pid != spawner]
    assert children
    for child in children:
        modes = []
        for fd, link in descriptors_of(child).items():
            if link == pipe:
                with open(f"/proc/{child}/fdinfo/{fd}",
                          encoding="ascii") as f:
                    modes.append(int(re.search(r"flags:\s*(\d+)",
                                               f.read())[1], 8))
        assert [mode & 3 for mode in modes] == [os.O_WRONLY]
        assert all(mode & os.O_NONBLOCK for mode in modes)
        # the listener, and where helpers are asked for
        assert len(sockets(child) & sockets(generation)) == (
            2 if server.mpm == "amped" else 1)


def test_a_killed_program_is_replaced_and_no_line_is_lost(weir):
    """What lies in the pipe is for the next one."""
    server = with_keeper(weir(keeper(), start=False))
    server.allow_errors("log program .* died")
    ask(server, 10, "a")
    server.access_lines(10, "piped.log")
    first = program(server)
    os.kill(first, signal.SIGSTOP)  # so that it holds no line
    ask(server, 50, "b")
    server.access_lines(60)  # those of the program are in the pipe
    os.kill(first, signal.SIGKILL)
    ask(server, 50, "c")
    wait_for(lambda: program(server) != first)
    server.access_lines(110, "piped.log")
    assert f"(pid {first}) died: Killed (signal 9)" in server.error_log()
    assert_same(stopped(server), 110)


def test_a_program_that_is_killed_again_and_again(weir):
    """At most what it had read already, a buffer of it, goes with it."""
    server = with_keeper(weir(keeper(), start=False))
    server.allow_errors("log program .* died")
    seen = set()
    for i in range(3):
        ask(server, 100, f"{i}.")
        wait_for(lambda: program(server) not in seen)
        seen.add(program(server))
        os.kill(program(server), signal.SIGKILL)
    server.access_lines(297, "piped.log")  # a stop waits a few seconds only
    server.stop()
    lines = server.access_lines(0, "piped.log")
    expected = server.access_lines(300)
    assert len(set(lines)) == len(lines)
    lost = set(expected) - set(lines)
    assert sum(len(line) + 1 for line in lost) <= 3 * 4096


def test_who_dies_at_once_is_not_started_at_once(weir):
    server = weir('CustomLog "|$echo x >>logs/starts; exit 7" common')
    server.allow_errors("log program .* ended with status 7")
    wait_for(lambda: "ended with status 7; it is started again in 2 s"
             in server.error_log())
    assert server.read_text(server.logs / "starts") == "x\nx\n"
    assert server.get("/hello.txt").status == 200


def test_lines_of_a_dead_child_are_kept(weir):
    server = with_keeper(weir(keeper(), start=False))
    server.allow_errors("child .* died")
    ask(server, 20)
    assert server.answers(server.address)  # a line follows its response
    spawner, = named(server, SPAWNER)
    generation = server.processes()[spawner][0]
    for pid, (parent, _) in server.processes().items():
        if parent == generation and pid != spawner:
            os.kill(pid, signal.SIGKILL)
    server.access_lines(20, "piped.log")
    wait_for(lambda: server.answers(server.address))
    assert_same(stopped(server), 20)


def test_the_server_serves_while_a_program_does_not_read(weir):
    server = with_keeper(weir(keeper(), start=False))
    os.kill(program(server), signal.SIGSTOP)
    try:
        ask(server, 900)
        server.access_lines(900)
    finally:
        os.kill(program(server), signal.SIGCONT)
    assert_same(stopped(server), 900)


def test_a_stop_waits_until_the_last_line_is_dealt_with(weir):
    server = with_keeper(weir(keeper("piped.log", "0.3"), start=False))
    ask(server, 200)
    server.stop()
    assert [word for word, _ in life(server)] == ["begin", "end"]
    assert_same(server, 200)


def test_each_generation_has_its_own_program(weir):
    """The old one's ends with it, and not before it has logged all."""
    server = with_keeper(weir(keeper(), start=False))
    first = program(server)
    with server.connect() as c:
        c.request("GET", "/hello.txt?1")
        c.read_response()
        c.send("GET /hello.txt?2 HTTP/1.1\r\nHost: localh")
        wait_for(lambda: server.answers(server.address))
        server.reload()
        wait_for(lambda: program(server) != first)
        assert ("end", first) not in life(server)
        server.get("/hello.txt?3")
        c.send("ost\r\n\r\n")
        c.read_response()
    wait_for(lambda: ("end", first) in life(server), what="its end")
    assert len([1 for word, _ in life(server) if word == "end"]) == 1
    assert_same(stopped(server), 3)


def test_a_dead_spawner_is_replaced(weir):
    server = with_keeper(weir(keeper(), start=False))
    server.allow_errors("the spawner died")
    ask(server, 10, "a")
    server.access_lines(10, "piped.log")
    spawner, = named(server, SPAWNER)
    first = program(server)
    os.kill(first, signal.SIGSTOP)
    os.kill(spawner, signal.SIGKILL)
    ask(server, 10, "b")
    wait_for(lambda: program(server) != first)
    wait_for(lambda: first not in server.processes())
    assert len(named(server, SPAWNER)) == 1
    assert_same(stopped(server), 20)


def test_programs_end_with_a_killed_generation(weir):
    server = with_keeper(weir(keeper(), start=False))
    server.allow_errors("generation 1 died")
    first = program(server)
    spawner, = named(server, SPAWNER)
    ask(server, 5)
    assert server.answers(server.address)  # a line follows its response
    os.kill(server.processes()[spawner][0], signal.SIGKILL)
    wait_for(lambda: not {first, spawner} & server.processes().keys())
    wait_for(lambda: program(server) != first)
    wait_for(lambda: server.answers(server.address))
    assert len(server.access_lines(5, "piped.log")) == 5


@pytest.mark.parametrize("line", [
    'CustomLog "|" common', 'CustomLog "||" common', 'CustomLog "| " common',
    'CustomLog "|$" common', 'CustomLog "|$  " common', 'TransferLog "|"',
    'ErrorLog "|"', 'ErrorLog "||"', 'ErrorLog "|$"',
    'ErrorLog syslog:nonsense',
])
def test_errors_of_the_configuration(weir, weir_command, line):
    server = weir(line, start=False)
    server.ports = free_ports(1)
    server.write_config()
    done = weir_command("-t", "-f", server.conf)
    assert done.returncode == 1
    number = server.conf.read_text().splitlines().index(line) + 1
    assert f"{server.conf}:{number}: " in done.stderr


@pytest.mark.parametrize("line,where", [
    ('CustomLog "|/nowhere/at/all x" common', "error log"),
    ('CustomLog "|hello.txt" common', "error log"),
    ('ErrorLog "|/nowhere/at/all x"', "stderr"),
])
def test_a_program_that_is_not_there_ends_the_start(weir, weir_command, mpm,
                                                    line, where):
    server = weir(line, start=False)
    server.ports = free_ports(1)
    server.write_config()
    assert weir_command("-t", "-f", server.conf).returncode == 0
    done = weir_command("-f", server.conf, "-m", mpm)
    assert done.returncode == 1
    text = done.stderr if where == "stderr" else server.error_log()
    assert "No such file or directory" in text
    assert re.search(r"log \|\S+", text)
    assert not server.processes() if server.process else True


def test_a_missing_program_leaves_the_old_generation_serving(weir):
    server = with_keeper(weir(keeper(), start=False))
    server.allow_errors("can't open log|a module could not start"
                        "|generation 1 serves on")
    before = server.processes().keys()
    server.reload('CustomLog "|/nowhere/at/all" common', wait=False)
    wait_for(lambda: "generation 1 serves on" in server.error_log())
    assert server.processes().keys() == before
    ask(server, 3)
    server.write_config(keeper())
    server.stop()
    assert len(server.access_lines(0, "piped.log")) == 3


# The error log.

def error_lines(server):
    return server.read_text(server.logs / "piped.log")


def test_error_log_to_a_program(weir):
    server = with_keeper(weir(
        'ErrorLog "|@ROOT@/keeper @ROOT@/logs/piped.log"\nLogLevel info\n',
        start=False))
    wait_for(lambda: "serving on" in error_lines(server))
    first = program(server)
    server.get("/")  # no error
    server.put("closed.txt", "x", mode=0)
    if os.geteuid() == 0:
        assert server.get("/closed.txt").status == 403
        wait_for(lambda: "/closed.txt" in error_lines(server))
    server.reload()
    wait_for(lambda: ("end", first) in life(server))
    wait_for(lambda: "generation 1 has ended" in error_lines(server))
    server.stop()
    text = error_lines(server)
    for part in ("generation 1, ", "SIGUSR1: graceful restart",
                 "generation 2, ", "SIGTERM: stop",
                 "generation 2 ends, and with it its log program"):
        assert text.count(part) == 1, part
    assert all(line.startswith("[20") for line in text.splitlines())
    assert [word for word, _ in life(server)].count("end") == 2


def test_error_log_program_is_replaced(weir):
    server = with_keeper(weir(
        'ErrorLog "|@ROOT@/keeper @ROOT@/logs/piped.log"\n', start=False))
    wait_for(lambda: "serving on" in error_lines(server))
    first = program(server)
    os.kill(first, signal.SIGKILL)
    wait_for(lambda: f"(pid {first}) died: Killed" in error_lines(server))


def test_detached_with_an_error_log_program(detached):  # noqa: F811
    """Nobody who waits for the starter's output waits in vain."""
    server = detached(
        extra='ErrorLog "|@ROOT@/keeper @ROOT@/logs/piped.log"\n'
              'CustomLog "|@ROOT@/keeper @ROOT@/logs/lines.log" common')
    path = server.server.root / "keeper"
    path.write_text(KEEPER)
    path.chmod(0o755)
    server.start()
    assert server.get("/hello.txt").status == 200
    spawner, = server.named(SPAWNER)
    programs = set(server.generations_of(spawner)) - set(server.named(HELPER))
    assert len(programs) == 2
    for pid in [spawner, *programs, *server.children()]:
        for fd in (0, 1, 2):
            link = os.readlink(f"/proc/{pid}/fd/{fd}")
            assert not link.startswith("/dev/pts"), link
            assert link == "/dev/null" or link.startswith("pipe:") \
                or str(server.server.root) in link, link
    server.stop()
    assert "/hello.txt" in server.read_text(server.server.logs / "lines.log")


def test_error_log_to_syslog(weir):
    """Whoever listens there: the server starts, serves and stops."""
    server = weir("ErrorLog syslog:local7:weir-test\n")
    assert server.get("/hello.txt").status == 200


def test_single_process_has_programs_too(weir):
    server = weir(keeper(), start=False)
    path = server.root / "keeper"
    path.write_text(KEEPER)
    path.chmod(0o755)
    server.ports = free_ports(1)
    server.write_config()
    process = subprocess.Popen(
        [server.install.weir, "-f", server.conf, "-X", *server.chosen],
        start_new_session=True)
    try:
        wait_for(lambda: server.answers(server.address))
        server.get("/hello.txt?1")
        server.access_lines(1, "piped.log")  # at once
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert [word for word, _ in life(server)] == ["begin", "end"]
        assert not processes_of(process.pid)
    finally:
        process.kill()
        process.wait()
