"""Fixtures of the HTTP tests: real servers on loopback ports.

    weir          start servers of a test's own: weir(extra="Timeout 1")
    site          one server with a tree of files, shared by all tests that
                  only read; it must not be changed, nor its log counted
    weir_command  run weir to its end, as in weir_command("-t", "-f", path)
    workdir       a folder that the serving user can reach
    mpm           the MPM's name
    variant       the MPM with the directives that --mpm asks for, and what
                  holds for it (../run/variants.py)

A server is stopped when its test is over, and that is a test too: exit status
0, no process and no listener left, nothing grave in the error log, no report
of a sanitizer.  What a test provokes it names by server.allow_errors().

See README.md for how to run them.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

import client
import tree

sys.path.append(str(pathlib.Path(__file__).parent.parent / "run"))
import variants  # noqa: E402

START_DEADLINE = 20.0
STOP_DEADLINE = 15.0

MODULES = ("authz_core", "authz_host", "alias", "asis",
           "autoindex", "env", "headers", "setenvif", "mime", "dir", "log_config", "status",
           "hello")

# What the server logs of files that it must not serve is no fault of its own.
REFUSALS = (r"\] access to \S+ refused: |is a directory without an index"
            "|is not a regular file|client denied by server configuration: ")
GRAVE = re.compile(r"\[(?:[\w-]+:)?(?:emerg|alert|crit|error)\]")
BROKEN = re.compile(
    "ERROR: AddressSanitizer|LeakSanitizer|runtime error:"
    "|WARNING: ThreadSanitizer|MemorySanitizer|Segmentation fault"
    "|SIGSEGV|SIGABRT|SIGBUS|[Aa]ssertion .*failed|stack smashing"
    "|(?:free|malloc|realloc)\\(\\): |corrupted")

READY = "/weir-ready"  # asked for until the server answers
STATUS = "/weir-status"  # what the server says of itself

BASE = """\
ServerRoot "@ROOT@"
ServerName localhost
PidFile weir.pid
ErrorLog logs/error.log
DocumentRoot "@WWW@"
@USER@
@MODULES@
TypesConfig "@ROOT@/mime.types"
CustomLog logs/access.log common
<Directory "@WWW@">
    Require all granted
</Directory>
<Location "@STATUS@">
    SetHandler server-status
    Require local
</Location>
<MPM mp>
    StartServers 10
</MPM>
<MPM mt>
    ThreadsPerChild 80
</MPM>
"""


def pytest_addoption(parser):
    group = parser.getgroup("weir")
    group.addoption("--weir-prefix", metavar="DIR",
                    default=os.environ.get("WEIR_PREFIX"),
                    help="where Weir is installed: DIR/sbin/weir")
    group.addoption("--mpm", metavar="NAME",
                    default=os.environ.get("WEIR_MPM", "hybrid"),
                    help="the MPM to serve by (hybrid), or a variant of it")
    group.addoption("--keep", action="store_true",
                    help="keep the servers' folders")
    group.addoption("--long", action="store_true",
                    help="tests of chance last a minute, not three seconds")


def pytest_configure(config):
    os.umask(0o022)  # the serving user is another one


def pytest_report_header(config):
    return (f"weir: {config.getoption('--weir-prefix')}, "
            f"mpm {config.getoption('--mpm')}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Show the logs of a failed test's servers."""
    outcome = yield
    report = outcome.get_result()
    if not report.failed:
        return
    for value in getattr(item, "funcargs", {}).values():
        servers = value.made if isinstance(value, Factory) else [value]
        for server in servers:
            if isinstance(server, Weir):
                report.sections.append((f"error log of {server.root}",
                                        server.error_log()[-4000:]))
                report.sections.append((f"stderr of {server.root}",
                                        server.stderr()[-4000:]))


class Install:
    """Where the server under test lies."""

    def __init__(self, prefix):
        self.prefix = pathlib.Path(prefix).resolve()
        self.weir = self.prefix / "sbin" / "weir"
        self.modules = self.prefix / "lib" / "weir" / "modules"

    @property
    def is_sanitized(self):
        """Made to find faults: it then has threads and memory of its own."""
        program = self.weir.read_bytes()
        return b"__asan_init" in program or b"__tsan_init" in program

    def load_module_lines(self, names=MODULES):
        return "\n".join(
            f'LoadModule {name}_module "{self.modules}/mod_{name}.so"'
            for name in names)

    def run(self, *args, deadline=30, **kw):
        """Run weir to its end; output as text."""
        return subprocess.run(
            [self.weir, *map(str, args)], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            errors="replace", timeout=deadline, check=False, **kw)


def free_ports(count, host="127.0.0.1"):
    """Ports that nobody listened on a moment ago."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    socks = []
    for _ in range(count):
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.bind((host, 0))
        socks.append(sock)
    ports = [sock.getsockname()[1] for sock in socks]
    for sock in socks:
        sock.close()
    return ports


def processes(mpm, count):
    """Directives for so many processes that serve."""
    if mpm == "mp":
        return [f"StartServers {count}", "MinSpareServers 1",
                f"MaxSpareServers {count}", f"MaxRequestWorkers {count}"]
    return [f"Processes {count}"]


LIBC = ctypes.CDLL(None)
PR_SET_PDEATHSIG = 1


def end_with_us():
    """In a new server: it is stopped when the tests are killed."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


HELPER = "weir:helper"  # and a number: who runs ops for a child


def is_child(name):
    """Does a process of that name serve?"""
    return not name.startswith(("weir: ", HELPER))


# What /proc says of a process, or of its descriptor, that is there no more.
GONE = (FileNotFoundError, ProcessLookupError)


def descriptors_of(pid):
    """fd: what it is.  A process may close some, or end, while we look."""
    found = {}
    with contextlib.suppress(*GONE):
        for fd in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(*GONE):
                found[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return found


def processes_of(session):
    """pid: (parent, name) of a session's processes that still run."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="latin-1") as f:
                text = f.read()
        except OSError:
            continue  # gone meanwhile
        name = text[text.index("(") + 1:text.rindex(")")]
        fields = text[text.rindex(")") + 2:].split()
        if int(fields[3]) == session and fields[0] not in "ZX":
            found[int(entry)] = (int(fields[1]), name)
    return found


def named(found, start):
    """Ids of those (as of processes_of) whose names begin so.  Who has just
    been forked bears its parent's name for a moment, and does not count."""
    return [pid for pid, (parent, name) in sorted(found.items())
            if name.startswith(start)
            and found.get(parent, (0, ""))[1] != name]


class Weir:
    """A server: its folder, its ports, its processes.

    root      ServerRoot; root/weir.conf, root/www, root/logs
    port      of the first listener; ports: of all
    pid       the master's
    """

    def __init__(self, install, variant, root, extra="", ports=1, hosts=None,
                 base=None, args=()):
        self.install, self.mpm, self.args = install, variant.mpm, list(args)
        self.chosen = ["-m", variant.mpm, *variants.arguments(variant)]
        self.root = pathlib.Path(root)
        self.www = self.root / "www"
        self.logs = self.root / "logs"
        self.conf = self.root / "weir.conf"
        self.hosts = hosts or ["127.0.0.1"] * ports
        self.extra, self.base = extra, BASE if base is None else base
        self.ports = []
        self.process = None
        self.allowed = [REFUSALS]
        for path in (self.root, self.www, self.logs):
            path.mkdir(exist_ok=True)
            path.chmod(0o755)
        (self.root / "mime.types").write_text(tree.MIME_TYPES)

    # The configuration.

    def fill_in(self, text):
        user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else ""
        names = {"ROOT": self.root, "WWW": self.www, "USER": user,
                 "PREFIX": self.install.prefix, "STATUS": STATUS,
                 "MODULES": self.install.load_module_lines(),
                 "PORT": self.ports[0] if self.ports else 0}
        for i, port in enumerate(self.ports):
            names[f"PORT{i + 1}"] = port
        for name, value in names.items():
            text = text.replace(f"@{name}@", str(value))
        return text

    def write_config(self, extra=None):
        """Write weir.conf; extra: new text after the base's."""
        if extra is not None:
            self.extra = extra
        listens = "".join(
            f"Listen {f'[{host}]' if ':' in host else host}:{port}\n"
            for host, port in zip(self.hosts, self.ports))
        self.conf.write_text(
            listens + self.fill_in(self.base + self.extra) + "\n")

    # The processes.

    def start(self):
        """Start and wait until it answers."""
        for attempt in range(3):
            self.ports = [free_ports(1, host)[0] for host in self.hosts]
            self.write_config()
            with open(self.root / "stderr", "wb") as err:
                self.process = subprocess.Popen(
                    [self.install.weir, "-f", self.conf, "-DFOREGROUND",
                     *self.chosen, *self.args],
                    stdin=subprocess.DEVNULL, stdout=err, stderr=err,
                    cwd="/", start_new_session=True, preexec_fn=end_with_us)
            if self.wait_until_ready():
                return self
            taken = "in use" in self.stderr() + self.error_log()
            if not taken or attempt == 2:
                break
        raise AssertionError(
            f"weir did not start (exit {self.process.poll()}):\n"
            f"{self.stderr()}\n{self.error_log()}")

    def wait_until_ready(self):
        end = time.monotonic() + START_DEADLINE
        for is_so in [self.has_started, *(
                lambda a=a: self.answers(a) for a in self.addresses)]:
            while not is_so():
                if self.process.poll() is not None:
                    return False
                if time.monotonic() > end:
                    self.kill()
                    return False
                time.sleep(0.02)
        return True

    def has_started(self):
        """All of it is there: one of several processes may answer earlier."""
        if "PidFile weir.pid" not in self.conf.read_text():
            return True
        return (self.root / "weir.pid").exists()

    def answers(self, address):
        try:
            with client.Client(address, deadline=START_DEADLINE) as c:
                c.send(f"GET {READY} HTTP/1.0\r\n\r\n")
                return c.read_rest().startswith(b"HTTP/1.1 ")
        except (OSError, AssertionError):
            return False

    @property
    def pid(self):
        return self.process.pid

    @property
    def is_running(self):
        return self.process is not None and self.process.poll() is None

    def processes(self):
        """pid: (parent, name) of all of the server's processes."""
        return processes_of(self.pid)

    def children(self):
        """The same without the master."""
        found = self.processes()
        found.pop(self.pid, None)
        return found

    def serving(self):
        """Children and helpers: the processes that serve."""
        return {pid: its for pid, its in self.children().items()
                if not its[1].startswith("weir: ")}

    def reload(self, extra=None, wait=True):
        """Restart gracefully; wait: until a new process is there."""
        self.write_config(extra)
        # Children may answer before the master has taken note of it.
        wait_for(lambda: (self.root / "weir.pid").exists(), what="PidFile")
        old = self.processes()
        done = self.install.run("-k", "graceful", "-f", self.conf)
        assert done.returncode == 0, done.stderr
        if wait:
            wait_for(lambda: set(self.processes()) - set(old))
            wait_for(lambda: self.answers(self.address))

    def kill(self):
        """End all of it at once, as when nothing else helps."""
        for pid in [*self.processes(), self.pid]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()

    def stop(self):
        """End by SIGTERM; everything must be in order then."""
        if self.process is None:
            return
        addresses = self.addresses
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            left = self.processes()
            self.kill()
            raise AssertionError(f"does not end on SIGTERM: {left}") from None
        end = time.monotonic() + 1
        while processes_of(self.pid) and time.monotonic() < end:
            time.sleep(0.01)
        left = self.processes()
        self.kill()
        self.process = None
        assert status == 0, f"exit status {status}:\n{self.stderr()}"
        assert not left, f"processes left: {left}"
        for address in addresses:
            assert client.is_refused(address), f"{address} still listens"
        self.check_logs()

    def check_logs(self):
        text = self.stderr() + self.error_log()
        assert not BROKEN.search(text), text[-8000:]
        grave = [line for line in text.splitlines() if GRAVE.search(line)
                 and not any(re.search(a, line) for a in self.allowed)]
        assert not grave, "in the error log:\n" + "\n".join(grave)

    def allow_errors(self, pattern="."):
        """Lines of the error log that the test provokes."""
        self.allowed.append(pattern)

    # Talking to it.

    @property
    def addresses(self):
        return list(zip(self.hosts, self.ports))

    @property
    def address(self):
        return self.addresses[0]

    @property
    def port(self):
        return self.ports[0]

    def connect(self, index=0, **kw):
        return client.Client(self.addresses[index], **kw)

    def get(self, target, method="GET", fields=(), body=b"", index=0, **kw):
        """One request on a connection of its own."""
        with self.connect(index) as c:
            c.request(method, target, ["Connection: close", *fields], body,
                      **kw)
            response = c.read_response(head=method == "HEAD")
            c.expect_close()
            return response

    def status(self, index=0):
        """What the server counts, as its status page says by ?json."""
        response = self.get(f"{STATUS}?json", index=index)
        assert response.status == 200, response.head
        return json.loads(response.body)

    def answers_to(self, data, index=0, heads=()):
        """Send bytes, then FIN; all responses until the server closes.

        heads: numbers of the responses that answer HEAD.
        """
        responses = []
        with self.connect(index) as c:
            c.send(data)
            c.end()
            while c.data or c.receive():
                responses.append(c.read_response(
                    head=len(responses) in heads))
        return responses

    # Its files.

    def put(self, name, data=b"", mode=0o644):
        """Make or overwrite, in place, a file below www."""
        path = self.www / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        path.chmod(mode)
        return path

    def replace(self, name, data):
        """Put a new file in the place of an old one."""
        new = self.put(name + ".new", data)
        os.replace(new, self.www / name)

    def read_text(self, path):
        try:
            return path.read_bytes().decode("latin-1")
        except FileNotFoundError:
            return ""

    def stderr(self):
        return self.read_text(self.root / "stderr")

    def error_log(self):
        return self.read_text(self.logs / "error.log")

    def access_lines(self, count=0, name="access.log"):
        """The access log's lines, without start's own; waits for count.

        Only what is whole counts: a line ends in a line feed.
        """
        def look():
            text = self.read_text(self.logs / name)
            return [line for line in text.split("\n")[:-1]
                    if READY not in line and STATUS not in line]
        wait_for(lambda: len(look()) >= count, what=f"{count} lines")
        return look()


def wait_for(condition, deadline=10.0, what="it"):
    """Wait until condition() holds."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"waited for {what} in vain"
        time.sleep(0.02)


class Factory:
    """What the weir fixture is: call it for a server that runs."""

    def __init__(self, install, variant, root):
        self.install, self.variant, self.root = install, variant, root
        self.made = []

    def __call__(self, extra="", start=True, **kw):
        """A server.

        extra   text after the base configuration; @ROOT@, @WWW@, @PORT@,
                @PORT2@ ... @PREFIX@ stand for what they say
        base    text in the place of the base configuration
        ports   number of listeners; or hosts, a list of addresses
        args    of the command line
        """
        root = self.root / f"server{len(self.made) + 1}"
        server = Weir(self.install, self.variant, root, extra, **kw)
        self.made.append(server)
        server.put("index.html", tree.INDEX)
        server.put("hello.txt", tree.HELLO)
        return server.start() if start else server

    def finish(self):
        failures = []
        for server in self.made:
            try:
                server.stop()
            except AssertionError as failure:
                failures.append(failure)
        if failures:
            raise failures[0]


@pytest.fixture(scope="session")
def install(request):
    prefix = request.config.getoption("--weir-prefix")
    if not prefix:
        pytest.exit("say --weir-prefix=DIR", 4)
    found = Install(prefix)
    if not os.access(found.weir, os.X_OK):
        pytest.exit(f"{found.weir} is not there", 4)
    return found


@pytest.fixture(scope="session")
def variant(request):
    return variants.named(request.config.getoption("--mpm"))


@pytest.fixture(scope="session")
def mpm(variant):
    return variant.mpm


@pytest.fixture(scope="session")
def session_dir(request):
    """Not pytest's own: that one is closed to the serving user."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="weir-http-"))
    path.chmod(0o755)
    yield path
    if not request.config.getoption("--keep"):
        shutil.rmtree(path, ignore_errors=True)


def make_workdir(session_dir, name):
    name = re.sub(r"[^\w.-]+", "_", name)[:60]
    path = pathlib.Path(tempfile.mkdtemp(prefix=name + "-", dir=session_dir))
    path.chmod(0o755)
    return path


@pytest.fixture
def workdir(request, session_dir):
    return make_workdir(session_dir, request.node.name)


@pytest.fixture
def weir(install, variant, workdir):
    factory = Factory(install, variant, workdir)
    yield factory
    factory.finish()


@pytest.fixture(scope="module")
def module_weir(request, install, variant, session_dir):
    """As weir, for servers that a module's tests share."""
    factory = Factory(install, variant,
                      make_workdir(session_dir, request.module.__name__))
    yield factory
    factory.finish()


@pytest.fixture(scope="session")
def seconds_of_chaos(request):
    """How long a test of chance lasts."""
    return 60.0 if request.config.getoption("--long") else 3.0


@pytest.fixture
def weir_command(install):
    return install.run


@pytest.fixture(scope="session")
def site(install, variant, session_dir):
    root = make_workdir(session_dir, "site")
    server = Weir(install, variant, root, SITE)
    tree.make(server.www, root / "outside")
    server.start()
    yield server
    server.stop()


SITE = """
Timeout 10
KeepAliveTimeout 10
RequestReadTimeout header=10
MaxKeepAliveRequests 0
LimitRequestLine 4096
LimitRequestFields 50
LimitRequestFieldSize 2048
LimitRequestBody 100000
<Directory "@WWW@/denied">
    Require all denied
</Directory>
<Directory "@WWW@/denied/again">
    Require all granted
</Directory>
<Directory "@WWW@/say">
    SetHandler hello
</Directory>
<Directory "@WWW@/other">
    DirectoryIndex nothing.here start.txt index.html
</Directory>
"""
