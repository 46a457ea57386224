"""Processes: start, stop, restart, and what happens when one of them dies.

Most servers here detach, as a user's do; the fixtures' own stay in the
foreground.
"""

import contextlib
import fcntl
import os
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest

import client
import conftest
import sleepers
import tree
from conftest import (HELPER, descriptors_of, free_ports, is_child, processes,
                      processes_of, wait_for)

MASTER, GENERATION = "weir: master", "weir: generatio"  # cut by the kernel


class Detached:
    """A server that was started by "weir -f FILE": a user's view of it."""

    def __init__(self, server, *args):
        self.server = server
        self.args = [*server.chosen, *args]
        self.started = set()  # masters

    def __getattr__(self, name):
        return getattr(self.server, name)

    def write_config(self, extra=None):
        if not self.server.ports:
            self.server.ports = free_ports(len(self.server.hosts))
        self.server.write_config(extra)

    def weir(self, *args):
        return self.server.install.run("-f", self.server.conf, *self.args,
                                       *args)

    def start(self, *args):
        """Start it, again elsewhere if another process took the port."""
        for _ in range(3):
            self.write_config()
            done = self.weir(*args)
            if "Address already in use" not in done.stderr:
                break
            self.server.ports = []
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        self.started.add(self.pid)
        return self

    @property
    def pid_file(self):
        return self.server.root / "weir.pid"

    @property
    def pid(self):
        """The master's."""
        return int(self.pid_file.read_text())

    def processes(self):
        found = {}
        for master in self.started:
            found.update(processes_of(master))
        return found

    def named(self, start):
        """Their process ids."""
        return conftest.named(self.processes(), start)

    @property
    def generation(self):
        """The only one."""
        generation, = self.named(GENERATION)
        return generation

    def lasting(self):
        """All but what a child has forked for a connection."""
        own = {self.pid, self.generation}
        return {pid for pid, (parent, _) in self.processes().items()
                if pid == self.pid or parent in own}

    def generations_of(self, pid):
        return [p for p, (parent, _) in self.processes().items()
                if parent == pid]

    def children(self):
        """Of all generations."""
        return [pid for pid, (_, name) in sorted(self.processes().items())
                if is_child(name)]

    def signal(self, number):
        os.kill(self.pid, number)

    def wait_for_line(self, text, count=1):
        wait_for(lambda: self.server.error_log().count(text) >= count,
                 what=f"{text!r} in the error log")

    def serves(self):
        return self.server.answers(self.server.address)

    def wait_until_gone(self):
        wait_for(lambda: not self.processes(), what="the end of all")

    def stop(self):
        done = self.weir("-k", "stop")
        assert done.returncode == 0, done.stderr
        self.wait_until_gone()

    def finish(self):
        text = self.server.read_text(self.pid_file).strip()
        if text.isdigit():  # perhaps of a start that failed half-way
            found = processes_of(int(text))
            if found.get(int(text), (0, ""))[1] == MASTER:
                self.started.add(int(text))
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


@pytest.fixture
def detached(weir):
    made = []

    def make(*args, **kw):
        made.append(Detached(weir(start=False, **kw), *args))
        return made[-1]

    yield make
    for server in made:
        server.finish()


@pytest.fixture
def several(variant):
    """Arguments for a number of serving processes."""
    def arguments(count):
        if "ProcessPool off" in variant.directives:
            pytest.skip("there is but one that accepts")
        return [word for directive in processes(variant.mpm, count)
                for word in ("-C", directive)]

    return arguments


def comm(pid):
    with open(f"/proc/{pid}/cmdline", encoding="latin-1") as f:
        return f.read().rstrip("\0")


# Start and stop.

def test_start_returns_when_it_serves_and_stop_when_it_is_gone(detached):
    server = detached().start()
    assert server.get("/hello.txt").body == tree.HELLO  # at once
    assert server.processes()[server.pid][1] == MASTER
    assert len(server.children()) >= 1
    master = server.pid
    done = server.weir("-k", "stop")
    assert (done.returncode, done.stderr) == (0, "")
    assert not processes_of(master)
    assert not server.pid_file.exists()
    assert client.is_refused(server.address)
    server.check_logs()


def test_processes_are_named_and_detached(detached, mpm, several):
    server = detached(*several(2)).start()
    assert comm(server.pid) == "weir: master"
    assert comm(server.generation) == "weir: generation 1"
    assert len(server.children()) == 2
    for child in server.children():
        assert comm(child) == f"weir:{mpm}"
    assert os.getsid(server.pid) == server.pid
    for fd in (0, 1, 2):
        assert os.readlink(f"/proc/{server.pid}/fd/{fd}") == "/dev/null"
    for pid in [server.generation, *server.children()]:
        assert os.readlink(f"/proc/{pid}/fd/2") == str(
            server.logs / "error.log")
    server.wait_for_line(f"MPM {mpm}: serving on 127.0.0.1:{server.port}")


def test_stray_descriptors_are_not_handed_to_children(detached, variant):
    """The master's channel and signals are its own, listeners are all's."""
    server = detached().start()
    child = server.children()[0]
    links = descriptors_of(child).values()
    assert links  # it was there to be looked at
    of_its_own = "ProcessPool off" in variant.directives  # its forks' ends
    assert sum("signalfd" in link for link in links) == of_its_own, links


def test_errors_of_the_configuration_are_printed(detached):
    server = detached(extra="NoSuchDirective on")
    server.write_config()
    done = server.weir()
    assert done.returncode == 1
    assert re.search(rf"^{re.escape(str(server.conf))}:\d+: .*NoSuchDirective",
                     done.stderr, re.M)
    assert not server.pid_file.exists()
    assert client.is_refused(server.address)


def test_a_taken_port_is_named(detached):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        server = detached()
        server.server.ports = [taken.getsockname()[1]]
        server.write_config()
        done = server.weir()
        assert done.returncode == 1
        assert re.search(rf"weir\.conf:\d+: could not listen on 127\.0\.0\.1:"
                         rf"{server.port}: Address already in use",
                         done.stderr)
        assert not server.pid_file.exists()


def test_second_start_is_refused(detached):
    server = detached().start()
    master = server.pid
    for args in ((), ("-k", "start")):
        done = server.weir(*args)
        assert done.returncode == 1
        assert f"weir (pid {master}) already running" in done.stderr
    assert server.pid == master
    assert server.serves()


def test_telling_a_server_that_does_not_run(detached):
    server = detached()
    server.write_config()
    for command in ("stop", "graceful-stop"):
        done = server.weir("-k", command)
        assert (done.returncode, done.stdout) == (
            0, "weir (no pid file) not running\n")
    server.pid_file.write_text(f"{2 ** 22 + 1}\n")
    done = server.weir("-k", "stop")
    assert done.stdout == f"weir (pid {2 ** 22 + 1}?) not running\n"
    done = server.weir("-k", "graceful")
    assert done.stdout == "weir not running, trying to start\n"
    assert done.returncode == 0
    server.started.add(server.pid)
    assert server.serves()
    assert "-k" not in comm(server.pid)
    server.stop()


@pytest.mark.parametrize("text", ["", "junk", f"{2 ** 22 + 1}\n", "OWN\n"])
def test_stale_pid_file_is_replaced(detached, text):
    """Also one that names a living stranger."""
    server = detached()
    server.pid_file.write_text(text.replace("OWN", str(os.getpid())))
    server.start()
    assert server.processes()[server.pid][1] == MASTER
    server.wait_for_line("weir.pid was left by a server that no longer runs")
    server.stop()


def test_anothers_pid_file_is_left_alone(detached):
    server = detached().start()
    master = server.pid
    server.pid_file.write_text("4711\n")
    os.kill(master, signal.SIGTERM)
    server.wait_until_gone()
    assert server.pid_file.read_text() == "4711\n"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_foreground_ends_on_a_signal(weir, number):
    server = weir()
    server.process.send_signal(number)
    assert server.process.wait(10) == 0
    wait_for(lambda: not server.processes())
    assert not (server.root / "weir.pid").exists()


def test_nobody_else_in_the_process_group_is_signalled(weir):
    server = weir(start=False)
    server.ports = free_ports(1)
    server.write_config()
    line = f'sleep 60 & echo $!; exec "$@" >{server.root}/stderr 2>&1'
    with subprocess.Popen(
            ["sh", "-c", line, "sh", server.install.weir, "-f", server.conf,
             "-DFOREGROUND", *server.chosen], stdout=subprocess.PIPE,
            start_new_session=True) as process:
        bystander = int(process.stdout.readline())
        wait_for(lambda: server.answers(server.address))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
        os.kill(bystander, 0)
        assert processes_of(process.pid).keys() == {bystander}
        os.kill(bystander, signal.SIGKILL)


def test_single_process_for_the_debugger(weir):
    server = weir(start=False)
    server.ports = free_ports(1)
    server.write_config()
    process = subprocess.Popen(
        [server.install.weir, "-f", server.conf, "-X", *server.chosen],
        start_new_session=True)
    try:
        wait_for(lambda: server.answers(server.address))
        others = {name for pid, (_, name) in processes_of(process.pid).items()
                  if pid != process.pid}
        assert others - {HELPER + "1"} == (
            {"weir: spawner"} if server.mpm == "amped" else set())
        assert server.get("/hello.txt").body == tree.HELLO
        server.access_lines(1)  # at once, though nobody flushes
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def on_terminal(weir):
    """A server in the foreground of a terminal: (server, terminal)."""
    server = weir(start=False)
    server.ports = free_ports(1)
    server.write_config()
    try:
        pid, terminal = pty.fork()
    except OSError:
        pytest.skip("no terminal is to be had here")
    if pid == 0:
        os.execv(server.install.weir,
                 ["weir", "-f", str(server.conf), "-DFOREGROUND",
                  *server.chosen])
    wait_for(lambda: server.answers(server.address))
    # Its children may answer before the master has taken note of it.
    wait_for(lambda: (server.root / "weir.pid").exists())
    yield server, terminal
    wait_for(lambda: not processes_of(pid), what="the end of all")
    assert os.waitpid(pid, 0) == (pid, 0)
    assert not (server.root / "weir.pid").exists()


def test_terminal_may_change_its_size_and_ends_by_ctrl_c(on_terminal):
    server, terminal = on_terminal
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 9, 9, 0, 0))
    assert server.answers(server.address)
    os.write(terminal, b"\x03")
    wait_for(lambda: "has stopped" in server.error_log())
    assert "SIGWINCH" not in server.error_log()
    os.close(terminal)


def test_server_ends_when_its_terminal_is_closed(on_terminal):
    os.close(on_terminal[1])


# Restarts.

def test_graceful_restart_refuses_and_loses_nobody(detached):
    server = detached().start()
    first = server.generation
    with server.connect() as c:
        c.request("GET", "/hello.txt")
        assert not c.read_response().closes
        assert server.weir("-k", "graceful").returncode == 0
        response = None
        while response is None or not response.closes:
            assert server.get("/hello.txt").body == tree.HELLO
            c.request("GET", "/hello.txt")  # the old one's to the end
            response = c.read_response()
            assert response.body == tree.HELLO
        c.expect_close()
    wait_for(lambda: first not in server.processes())
    assert server.named(MASTER) == [server.pid]
    assert comm(server.generation) == "weir: generation 2"
    assert server.get("/hello.txt").body == tree.HELLO
    server.stop()
    server.check_logs()


def test_restart_takes_the_new_configuration(detached):
    server = detached().start()
    assert server.get("/hello.txt").status == 200
    server.write_config(
        '<Directory "@WWW@">\nRequire all denied\n</Directory>')
    assert server.weir("-k", "restart").returncode == 0
    server.wait_for_line("generation 1 has ended")
    assert server.get("/hello.txt").status == 403
    assert comm(server.generation) == "weir: generation 2"


@pytest.mark.parametrize("extra,message", [
    ("NoSuchDirective on", r"weir\.conf:\d+: .*NoSuchDirective"),
    ("Listen 192.0.2.1:80", r"could not listen on 192\.0\.2\.1:80"),
    ("LoadModule none_module /none/mod_none.so", "mod_none.so"),
])
def test_old_generation_serves_on_when_the_new_one_can_not(
        detached, extra, message):
    server = detached().start()
    sleepers.wait_until_asleep(server)  # all have begun
    before = server.lasting()
    with server.connect() as c:
        c.request("GET", "/hello.txt")
        c.read_response()
        server.write_config(extra)
        for i, number in enumerate((signal.SIGUSR1, signal.SIGHUP)):
            server.signal(number)
            server.wait_for_line("could not start: generation 1 serves on",
                                 i + 1)
        assert re.search(message, server.error_log())
        assert server.lasting() == before
        c.request("GET", "/hello.txt")
        assert not c.read_response().closes
    assert server.get("/hello.txt").body == tree.HELLO
    server.write_config("")
    server.signal(signal.SIGUSR1)
    server.wait_for_line("generation 1 has ended")
    assert server.serves()


def test_a_bad_configuration_is_refused_before_any_signal(detached):
    server = detached().start()
    server.write_config("NoSuchDirective on")
    for command in ("graceful", "restart"):
        done = server.weir("-k", command)
        assert done.returncode == 1
        assert "NoSuchDirective" in done.stderr
    assert "SIG" not in server.error_log()


def test_many_restarts_at_once_end_with_one_generation(detached):
    server = detached().start()
    for _ in range(5):
        server.signal(signal.SIGUSR1)
        server.signal(signal.SIGHUP)
    wait_for(lambda: len(server.named(GENERATION)) == 1
             and "generation 1 has ended" in server.error_log())
    assert server.serves()
    server.stop()
    server.check_logs()


def test_listeners_come_and_go_with_a_restart(detached):
    server = detached(ports=2)
    both = server.server.hosts
    server.server.hosts = both[:1]
    server.start()
    server.server.hosts = both
    server.server.ports += free_ports(1)
    server.write_config()
    first, second = server.addresses
    server.signal(signal.SIGUSR1)
    wait_for(lambda: server.answers(second))
    assert server.answers(first)
    server.wait_for_line("generation 1 has ended")

    server.server.hosts, server.server.ports = both[1:], [second[1]]
    server.write_config()
    server.signal(signal.SIGUSR1)
    wait_for(lambda: client.is_refused(first))
    assert server.answers(second)
    server.stop()
    assert client.is_refused(second)


def test_a_moved_pid_file_is_followed(detached):
    server = detached().start()
    master, other = server.pid, server.root / "other.pid"
    server.write_config("PidFile other.pid")
    server.signal(signal.SIGUSR1)
    wait_for(lambda: other.exists() and not server.pid_file.exists())
    assert int(other.read_text()) == master
    os.kill(master, signal.SIGTERM)
    server.wait_until_gone()
    assert not other.exists()


def test_logs_are_opened_anew(detached):
    server = detached().start()
    server.get("/hello.txt")
    for name in ("error.log", "access.log"):
        os.rename(server.logs / name, server.logs / (name + ".1"))
    server.signal(signal.SIGUSR1)
    wait_for(lambda: "generation 2" in server.error_log())
    old = server.read_text(server.logs / "error.log.1")
    server.wait_for_line("generation 1 has ended")  # the master's, too
    assert old.endswith("SIGUSR1: graceful restart\n")
    server.get("/index.html")
    assert "/index.html" in server.access_lines(1)[0]
    assert "/hello.txt" in server.read_text(server.logs / "access.log.1")


# Graceful stop, and its limit.

def test_graceful_stop_lets_requests_end(detached):
    server = detached().start()
    with server.connect() as c, server.connect() as idle:
        idle.request("GET", "/hello.txt")
        idle.read_response()
        c.send("GET /hello.txt HTTP/1.1\r\nHost: localh")
        wait_for(server.serves)  # so both were accepted
        assert server.weir("-k", "graceful-stop").returncode == 0
        wait_for(lambda: client.is_refused(server.address))

        def drains():  # the child learns of it a little later
            idle.request("GET", "/hello.txt")
            return idle.read_response().closes

        wait_for(drains)
        c.send("ost\r\n\r\n")
        response = c.read_response()
        assert response.body == tree.HELLO
        assert response.closes
    server.wait_until_gone()
    assert not server.pid_file.exists()


def test_draining_has_a_limit(detached):
    server = detached(extra="GracefulShutdownTimeout 1\n"
                            "RequestReadTimeout header=300\n"
                            "KeepAliveTimeout 300")
    server.start()
    with server.connect() as c:
        c.send("GET /hello.txt HTTP/1.1\r\nHost: localh")
        wait_for(server.serves)
        server.signal(signal.SIGWINCH)
        server.wait_until_gone()
        server.wait_for_line("drained long enough")


def test_stop_does_not_wait_for_connections(detached):
    server = detached(extra="RequestReadTimeout header=300").start()
    with server.connect() as c, server.connect() as idle:
        idle.request("GET", "/hello.txt")
        idle.read_response()
        c.send("GET /hello.txt HTTP/1.1\r\nHost: localh")
        wait_for(server.serves)
        server.stop()
    assert "killing" not in server.error_log()
    server.check_logs()


# Deaths.

def test_a_dead_child_is_replaced_and_the_others_serve_on(detached, several):
    server = detached(*several(3)).start()
    before = server.children()
    assert len(before) == 3
    os.kill(before[0], signal.SIGKILL)

    def is_replaced():
        now = set(server.children())
        return (len(now) == 3 and before[0] not in now
                and set(before[1:]) < now)

    wait_for(is_replaced)
    assert server.get("/hello.txt").body == tree.HELLO
    server.wait_for_line(f"child {before[0]} died: Killed (signal 9)")
    server.stop()


def test_log_lines_of_a_dead_child_are_kept(detached):
    server = detached().start()
    for i in range(20):
        server.get(f"/hello.txt?{i}")
    sleepers.wait_until_asleep(server)  # an answer is there before its line is
    for child in server.children():
        with contextlib.suppress(ProcessLookupError):  # it ended with another
            os.kill(child, signal.SIGKILL)
    assert len(server.access_lines(20)) == 20


def test_children_that_die_at_their_start_are_not_replaced_at_once(detached):
    server = detached().start()
    died = 0
    for _ in range(2):
        wait_for(lambda: server.children())
        os.kill(server.children()[0], signal.SIGKILL)
        died += 1
        server.wait_for_line(" died: Killed", died)
    server.wait_for_line("the next one is tried in 1 s")
    wait_for(server.serves)
    server.stop()


def test_a_dead_generation_is_replaced(detached):
    server = detached().start()
    before = server.processes()
    os.kill(server.generation, signal.SIGKILL)

    def is_replaced():
        now = server.named(GENERATION)
        return len(now) == 1 and now[0] not in before

    wait_for(is_replaced)
    wait_for(server.serves)
    wait_for(lambda: before.keys() & server.processes().keys()
             == {server.pid}, what="the end of its children")
    server.stop()


def test_all_end_with_the_master(detached, several):
    server = detached(*several(2)).start()
    os.kill(server.pid, signal.SIGKILL)
    server.wait_until_gone()
    assert client.is_refused(server.address)
    server.start()  # beside the pid file that was left
    server.stop()


# Privileges.

@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another")
def test_children_have_no_privileges(detached):
    server = detached().start()
    for pid in [*server.children(), *server.named(HELPER)]:
        with open(f"/proc/{pid}/status", encoding="ascii") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f)
        assert "0" not in status["Uid"].split()
        assert "0" not in status["Gid"].split()
        assert "0" not in status["Groups"].split()
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            assert int(status[name], 16) == 0
        assert status["NoNewPrivs"] == "1"


def test_descriptor_limit_is_raised(detached):
    server = detached().start()
    with open(f"/proc/{server.children()[0]}/limits", encoding="ascii") as f:
        line, = [line for line in f if line.startswith("Max open files")]
    soft, hard = line.split()[3:5]
    assert soft == hard


# The command line.

def test_check(detached):
    server = detached()
    server.write_config()
    done = server.weir("-t")
    assert (done.returncode, done.stdout, done.stderr) == (
        0, "", "Syntax OK\n")
    server.write_config("Listen nonsense")
    done = server.weir("-t")
    assert done.returncode == 1
    assert re.match(r"/.*/weir\.conf:\d+: ", done.stderr)
    assert "Syntax OK" not in done.stderr


def test_version_and_help(weir_command):
    done = weir_command("-v")
    assert re.fullmatch(r"Server version: Weir/\d+\.\d+\.\d+\n", done.stdout)
    done = weir_command("-V")
    assert "WR_CONFIG_FILE=" in done.stdout
    done = weir_command("-h")
    assert done.returncode == 0
    assert done.stdout.startswith("Usage: weir ")


@pytest.mark.parametrize("args", [
    ["-z"], ["-f"], ["extra"], ["-k", "none"], ["-e", "none"]])
def test_bad_command_line(weir_command, args):
    done = weir_command(*args)
    assert done.returncode == 1
    assert done.stderr != ""


def test_list_of_mpms(weir_command, mpm):
    done = weir_command("-m", "?")
    assert done.returncode == 0
    assert re.search(rf"^{mpm}\s+\S", done.stdout, re.M)


def test_unknown_mpm(detached):
    server = detached()
    server.write_config()
    done = server.weir("-m", "none")
    assert done.returncode == 1
    assert "none" in done.stderr


def test_lists(detached):
    server = detached()
    server.write_config()
    assert "mime" in server.weir("-M").stdout
    assert "KeepAliveTimeout" in server.weir("-L").stdout
    assert str(server.www) in server.weir("-S").stdout
    assert server.weir("-l").returncode == 0


def test_start_errors_to_a_file(detached):
    server = detached(extra="NoSuchDirective on")
    server.write_config()
    done = server.weir("-E", server.root / "errors")
    assert (done.returncode, done.stderr) == (1, "")
    assert "NoSuchDirective" in (server.root / "errors").read_text()


def test_defines_and_directives_of_the_command_line(detached):
    server = detached("-D", "Denied", "-c", "PidFile late.pid", extra="""
PidFile early.pid
<IfDefine Denied>
    <Directory "@WWW@">
        Require all denied
    </Directory>
</IfDefine>
""")
    server.write_config()
    done = server.weir()
    assert done.returncode == 0, done.stderr
    server.started.add(int((server.root / "late.pid").read_text()))
    assert server.get("/hello.txt").status == 403
    assert server.weir("-k", "stop").returncode == 0
    server.wait_until_gone()


def note_pipes(pid):
    """Where a child tells its generation of itself."""
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with open(f"/proc/{pid}/fdinfo/{fd}", encoding="ascii") as f:
            flags = int(re.search(r"flags:\s*(\d+)", f.read())[1], 8)
        path = f"/proc/{pid}/fd/{fd}"
        if os.readlink(path).startswith("pipe:") and flags & os.O_ACCMODE:
            yield path


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_notes_of_a_child_may_be_anything(weir):
    """Whoever serves is not trusted by who started the server."""
    server = weir("GracefulShutdownTimeout 1\n")
    child = next(pid for pid, (_, name) in server.children().items()
                 if is_child(name))
    paths = list(note_pipes(child))
    assert paths
    before = server.processes()
    for path in paths:
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        for pid in (0, -1, 1, server.pid, os.getpid()):
            for kind in (0, 1, 2, -1):
                os.write(fd, struct.pack("ii", pid, kind))
        os.write(fd, b"odd")
        os.close(fd)
    deadline = time.monotonic() + 2.5  # longer than what drains may take
    while time.monotonic() < deadline:
        assert server.get("/hello.txt").status == 200
        time.sleep(0.1)
    assert server.pid in server.processes()
    if server.mpm != "mp":  # whose processes come and go
        assert server.processes().keys() == before.keys()


def test_a_child_whose_wait_fails_ends_with_status_1(detached, mpm):
    """In the midst of serving: that is no crash, and another takes its place."""
    wait = {"sped": "epoll_wait,epoll_pwait", "amped": "epoll_wait,epoll_pwait",
            "hybrid": "epoll_wait,epoll_pwait",
            "proactor": "io_uring_enter"}.get(mpm)
    if not wait or not shutil.which("strace"):
        pytest.skip("has no loop, or strace is not there")
    server = detached("-C", "Processes 1").start()
    with server.connect() as c:
        c.request("GET", "/hello.txt")
        assert c.read_response().body == tree.HELLO
        child = server.children()[0]
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-o", "/dev/null", "-e",
             f"inject={wait}:error=EBADF", "-p", str(child)],
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            while tracer.poll() is None and f"child {child} " not in (
                    server.error_log()):
                with contextlib.suppress(OSError, AssertionError):
                    server.get("/hello.txt")  # wakes it up
        finally:
            tracer.kill()
        said = tracer.communicate()[1]
    if "Operation not permitted" in said:
        pytest.skip(f"strace may not: {said.strip()}")
    server.wait_for_line(f"child {child} ended with status 1")
    wait_for(server.serves)
    server.allow_errors("waiting for|has failed|ended with status 1")
    server.stop()
