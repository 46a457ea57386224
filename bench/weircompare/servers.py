"""The servers: Weir under each MPM, and those that are found beside it.

All are given the same: one processor's worth of processes, the same files,
kept connections without a bound, a buffered access log in the combined format
or none, the same send buffer.
"""

import dataclasses
import functools
import grp
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

from . import machine
from .trouble import Absent, Trouble

PEERS = ("nginx", "httpd", "lighttpd")
ORDER = ("sped", "amped", "mt", "mp", "hybrid", "proactor", "reactor") + PEERS
START_SECONDS, STOP_SECONDS = 20, 20

WEIR = """\
ServerRoot "{prefix}"
ServerName localhost
Listen {address}:{port}
ListenBacklog 8192
PidFile "{run}/weir.pid"
ErrorLog "{run}/error.log"
LoadModule mime_module modules/mod_mime.so
LoadModule dir_module modules/mod_dir.so
LoadModule log_config_module modules/mod_log_config.so
LoadModule authz_core_module modules/mod_authz_core.so
{status}MPM {mpm}
DocumentRoot "{root}"
MaxKeepAliveRequests 0
KeepAliveTimeout 60
{set_of}AcceptLimit {accept_limit}
SendBufferSize {send_buffer}
{log}{pool}{lines}"""

WEIR_STATUS = """\
LoadModule status_module modules/mod_status.so
<Location "/weir-compare-status">
    SetHandler server-status
</Location>
"""
STATUS_URL = "/weir-compare-status?json"

# Each of these is given the size of the pool, so that it is there from the
# start and stays; those that the MPM does not have are left out.
WEIR_POOLS = {
    "mt": ("ThreadsPerChild", "MinSpareThreads", "MaxSpareThreads"),
    "mp": ("StartServers", "MaxSpareServers", "MaxRequestWorkers"),
    "amped": ("MaxHelpers",),
    "hybrid": ("ThreadsPerChild",),
    "proactor": ("IoWorkers",),
}

NGINX = """\
daemon off; worker_processes {processes}; user {user} {group};
pid {run}/nginx.pid; error_log {run}/error.log;
worker_rlimit_nofile 20000;
events {{ worker_connections 16384; use epoll; multi_accept on; }}
http {{
    default_type application/octet-stream;
    {log} sendfile on; tcp_nopush on; {lines}
    open_file_cache max=20000 inactive=60s; open_file_cache_valid 60s;
    keepalive_timeout 65; keepalive_requests 1000000000;
    client_body_temp_path {run}/n1; proxy_temp_path {run}/n2;
    fastcgi_temp_path {run}/n3; uwsgi_temp_path {run}/n4;
    scgi_temp_path {run}/n5;
    server {{ listen {address}:{port} backlog=8192{buffer}; root {root}; }}
}}
"""

HTTPD = """\
ServerRoot "{run}"
ServerName localhost
PidFile "{run}/httpd.pid"
ErrorLog "{run}/error.log"
Mutex "file:{run}" default
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
User {user}
Group {group}
Listen {address}:{port}
ListenBacklog 8192
DocumentRoot "{root}"
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
EnableSendfile On
{buffer}ServerLimit 1
StartServers 1
ThreadLimit {size}
ThreadsPerChild {size}
MaxRequestWorkers {size}
MinSpareThreads 1
MaxSpareThreads {size}
AsyncRequestWorkerFactor 16
{log}<Directory />
    AllowOverride None
    Require all granted
</Directory>
{lines}"""

LIGHTTPD = """\
server.bind = "{address}"
server.port = {port}
server.document-root = "{root}"
server.errorlog = "{run}/error.log"
server.pid-file = "{run}/lighttpd.pid"
server.max-fds = 20000
server.max-connections = 10000
server.listen-backlog = 8192
server.max-keep-alive-requests = 100000000
server.max-keep-alive-idle = 60
server.network-backend = "sendfile"
{user}{log}{lines}"""

HTTPD_MODULES = ("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules",
                 "/usr/lib/httpd/modules", "/usr/local/apache2/modules")
COMBINED = r'"%h %l %u %t \"%r\" %>s %O \"%{Referer}i\" \"%{User-Agent}i\""'


@dataclasses.dataclass
class Setting:
    """What a run asks of any server."""
    root: pathlib.Path      # the documents
    run: pathlib.Path       # a folder for its logs
    port: int
    pool: int
    log: bool
    send_buffer: int
    accept_limit: int
    processes: int
    lines: list             # further directives, of the server's own kind
    wrapper: list           # a command in front of the server's
    first_url: str
    address: str            # to listen on


def serving_user():
    """(user, group) who serves: nobody, or whoever calls."""
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 \
        else pwd.getpwuid(os.geteuid())
    return user.pw_name, grp.getgrgid(user.pw_gid).gr_name


class Server:
    """A server that can be started: weir under an MPM, or a peer."""

    def __init__(self, name, program, version):
        self.name, self.program, self.version = name, program, version

    @property
    def is_weir(self):
        return self.name not in PEERS

    def configure(self, setting):
        """@return (configuration's text, its file's name, the command)."""
        user, group = serving_user()
        fields = {
            "user": user, "group": group, "port": setting.port,
            "address": setting.address,
            "run": setting.run, "root": setting.root,
            "processes": setting.processes, "size": setting.pool,
            "lines": "".join(f"{line}\n" for line in setting.lines),
        }
        maker = {"nginx": self.nginx, "httpd": self.httpd,
                 "lighttpd": self.lighttpd}.get(self.name, self.weir)
        return maker(setting, fields)

    def weir(self, setting, fields):
        prefix = self.program.parent.parent
        has_status = (prefix / "lib/weir/modules/mod_status.so").exists()
        text = WEIR.format(
            **fields, prefix=prefix, mpm=self.name,
            accept_limit=setting.accept_limit,
            send_buffer=setting.send_buffer,
            status=WEIR_STATUS if has_status else "",
            # Of this one a process for each connection is the nature.
            set_of="" if self.name == "mp"
                   else f"Processes {setting.processes}\n",
            log=f'CustomLog "{setting.run}/access.log" combined\n'
                if setting.log else "",
            pool=self.pool_section(setting.pool))
        return text, "weir.conf", [str(self.program), "-D", "FOREGROUND",
                                   "-f"]

    def pool_section(self, size):
        """Directives that make a pool so large; of 0 none."""
        names = [name for name in WEIR_POOLS.get(self.name, ())
                 if name in directives_of(self.program, self.name)]
        lines = "".join(f"    {name} {size}\n" for name in names)
        return f"<MPM {self.name}>\n{lines}</MPM>\n" if size and names else ""

    def nginx(self, setting, fields):
        text = NGINX.format(
            **fields,
            log=f"access_log {setting.run}/access.log combined buffer=64k "
                "flush=1s;" if setting.log else "access_log off;",
            buffer=f" sndbuf={setting.send_buffer}"
                   if setting.send_buffer else "")
        return text, "nginx.conf", [str(self.program), "-c"]

    def httpd(self, setting, fields):
        modules = next((m for m in HTTPD_MODULES if os.path.isdir(m)), None)
        if not modules:
            raise Trouble("httpd: its modules are in none of "
                          + " ".join(HTTPD_MODULES))
        fields["size"] = max(setting.pool, 64)
        module = f"{modules}/mod_log_config.so"
        log = (f"LoadModule log_config_module {module}\n"
               if os.path.exists(module) else "") + (
               f'LogFormat {COMBINED} combined\nBufferedLogs On\n'
               f'CustomLog "{setting.run}/access.log" combined\n')
        text = HTTPD.format(
            **fields, modules=modules,
            log=log if setting.log else "",
            buffer=f"SendBufferSize {setting.send_buffer}\n"
                   if setting.send_buffer else "")
        return text, "httpd.conf", [str(self.program), "-DFOREGROUND", "-f"]

    def lighttpd(self, setting, fields):
        if setting.send_buffer:
            raise Absent("it has no setting for the send buffer")
        user = fields.pop("user")
        text = LIGHTTPD.format(
            **fields,
            user=f'server.username = "{user}"\n' if os.geteuid() == 0 else "",
            log=f'server.modules = ("mod_accesslog")\naccesslog.filename = '
                f'"{setting.run}/access.log"\n' if setting.log else "")
        return text, "lighttpd.conf", [str(self.program), "-D", "-f"]


@functools.lru_cache
def directives_of(program, mpm):
    """Names of the directives that weir has under an MPM."""
    listed = subprocess.run([program, "-m", mpm, "-L"], check=False,
                            stdout=subprocess.PIPE, text=True,
                            stdin=subprocess.DEVNULL)
    return frozenset(re.findall(r"^(\w+)", listed.stdout, re.M))


def find_peer(name):
    """@return the Server, or None where it is not installed."""
    programs = {"nginx": ("nginx",), "httpd": ("apache2", "httpd"),
                "lighttpd": ("lighttpd",)}[name]
    path = os.environ["PATH"] + ":/usr/sbin:/usr/local/sbin"
    for program in programs:
        found = shutil.which(program, path=path)
        if found:
            version = machine.version_of([found, "-v"])
            return Server(name, pathlib.Path(found), version or "?")
    return None


def find_weir(prefix):
    """@return ({MPM: Server}, what -V says)."""
    program = prefix / "sbin" / "weir"
    if not program.exists():
        raise Trouble(f"there is no {program}; ./compare builds it, or "
                      "--weir says where it is installed")
    listed = subprocess.run([program, "-m", "?"], stdout=subprocess.PIPE,
                            check=False, text=True, stdin=subprocess.DEVNULL)
    about = subprocess.run([program, "-V"], stdout=subprocess.PIPE,
                           check=False, text=True, stdin=subprocess.DEVNULL)
    version = re.search(r"(\d+\.\d+\S*)", about.stdout)
    names = [line.split()[0] for line in listed.stdout.splitlines() if line]
    if not names:
        raise Trouble(f"{program} has no MPM: {listed.stdout.strip()}")
    names.sort(key=lambda n: ORDER.index(n) if n in ORDER else len(ORDER))
    return {name: Server(name, program, version.group(1) if version else "?")
            for name in names}, about.stdout.strip()


def is_taken(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def answers(port, url):
    """Does a server answer 200 there?"""
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as s:
            s.sendall(f"GET {url} HTTP/1.0\r\nHost: localhost\r\n\r\n"
                      .encode())
            return b" 200 " in s.recv(64)
    except OSError:
        return False


class Running:
    """A server that has been started.  Leave it by stop(), however it went."""

    def __init__(self, server, setting):
        if is_taken(setting.port):
            raise Trouble(f"port {setting.port} is taken; choose another one "
                          "by --port")
        setting.run.mkdir(parents=True, exist_ok=True)
        setting.run.chmod(0o777)
        self.server, self.setting = server, setting
        self.text, name, command = server.configure(setting)
        path = setting.run / name
        path.write_text(self.text)
        self.command = setting.wrapper + command + [str(path)]
        self.output = open(setting.run / "output", "wb")
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=self.output,
            stderr=subprocess.STDOUT, start_new_session=True,
            preexec_fn=machine.dies_with_us)

    def wait_ready(self):
        deadline = time.monotonic() + START_SECONDS
        while not answers(self.setting.port, self.setting.first_url):
            if self.process.poll() is not None:
                raise Trouble(f"{self.server.name} has ended at its start: "
                              + self.last_words())
            if time.monotonic() > deadline:
                raise Trouble(f"{self.server.name} does not answer "
                              f"{self.setting.first_url}: "
                              + self.last_words())
            time.sleep(0.02)

    def check_alive(self):
        if self.process.poll() is not None:
            raise Trouble(
                f"{self.server.name} died while it was measured (status "
                f"{self.process.returncode}): " + self.last_words())

    def last_words(self):
        for name in ("output", "error.log"):
            path = self.setting.run / name
            text = path.read_text(errors="replace").strip() \
                if path.exists() else ""
            if text:
                return text.splitlines()[-1]
        return "it said nothing"

    def pids(self):
        """The server's processes, all of them."""
        return [self.process.pid] + descendants(self.process.pid)

    def stop(self):
        pids = self.pids()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(timeout=STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        end_all(pids[1:])
        self.output.close()


def descendants(pid):
    """Of a process, in the order of their generations."""
    found = [pid]
    for one in found:
        try:
            for task in os.listdir(f"/proc/{one}/task"):
                with open(f"/proc/{one}/task/{task}/children") as file:
                    found += [int(x) for x in file.read().split()]
        except OSError:
            pass
    return found[1:]


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def end_all(pids, patience=3.0):
    """End processes that should have ended by themselves; reap our own."""
    deadline = time.monotonic() + patience
    left = pids
    while left:
        for pid in left:
            try:
                os.waitpid(pid, os.WNOHANG)
            except OSError:
                pass
        left = [pid for pid in left if is_alive(pid)]
        if time.monotonic() > deadline:
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except OSError:
                    pass
            patience *= 2
            deadline += patience
        time.sleep(0.02)
