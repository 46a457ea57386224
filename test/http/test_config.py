"""Configuration: what weir -t says of it, to the letter; and what it does."""

import os
import re

import pytest

import tree
from conftest import MODULES

LINES = 3 + len(MODULES) + (os.geteuid() == 0)  # of check(), before the text of a test


@pytest.fixture
def check(install, mpm, workdir):
    """Check a configuration; the exit status and what was said, the file's
    name cut to weir.conf."""
    def run(text, *args, needed=True, mpm=mpm):
        (workdir / "www").mkdir(exist_ok=True)
        user = "User nobody\nGroup nogroup" if os.geteuid() == 0 else "#"
        start = "" if not needed else (
            f'Listen 127.0.0.1:1\nServerRoot "{workdir}"\n{user}\n'
            f"{install.load_module_lines()}\n")
        assert not needed or start.count("\n") == LINES
        conf = workdir / "weir.conf"
        conf.write_bytes(start.encode() + (
            text if isinstance(text, bytes) else text.encode()))
        done = install.run("-t", "-f", conf, "-m", mpm, *args, cwd="/")
        said = (done.stdout + done.stderr).replace(f"{workdir}/", "")
        return done.returncode, said
    return run


def refusal(check, text, line, *args, **kw):
    """The first error that is said; its line counts from the test's text."""
    status, said = check(text, *args, **kw)
    assert status != 0, said
    lines = said.splitlines()
    for said_line in lines:  # what follows from the first is said too
        assert re.match(r"weir\.conf:[0-9]+: \S", said_line), said
    start = f"weir.conf:{LINES + line}: "
    assert lines[0].startswith(start), said
    return lines[0][len(start):]


@pytest.mark.parametrize("text,line,error", [
    ("DocumentRot www\n", 1,
     "unknown directive DocumentRot; did you mean DocumentRoot?"),
    ("Timeout 5\n\n# x\n  KepAlive on\n", 4,
     "unknown directive KepAlive; did you mean KeepAlive?"),
    ("Lisetn 80\n", 1, "unknown directive Lisetn; did you mean Listen?"),
    ("DirectoryIndx a.html\n", 1,
     "unknown directive DirectoryIndx; did you mean DirectoryIndex?"),
    ("Xyzzy\n", 1, "unknown directive Xyzzy"),
    ("<Direktory />\n</Direktory>\n", 1,
     "unknown section Direktory; did you mean Directory?"),
    ("<Directory />\nTimeout 5\n</Directory>\n", 2,
     "Timeout can't stand in <Directory>, only outside all sections or in "
     "<VirtualHost>"),
    ("<VirtualHost *:1>\nListen 81\n</VirtualHost>\n", 2,
     "Listen can't stand in <VirtualHost>, only outside all sections"),
    ("<Directory />\n<Directory /a>\n</Directory>\n</Directory>\n", 2,
     "<Directory> can't stand in <Directory>, only outside all sections or in "
     "<VirtualHost>"),
    ("Timeout\n", 1, "Timeout takes 1 argument, not 0; write Timeout time"),
    ("Timeout 5 6\n", 1, "Timeout takes 1 argument, not 2; write Timeout "
     "time"),
    ("DirectoryIndex\n", 1,
     "DirectoryIndex takes at least 1 argument, not 0; write DirectoryIndex "
     "NAME [NAME] ... | disabled"),
    ("KeepAlive maybe\n", 1, 'KeepAlive: "maybe" is neither On nor Off'),
    ("Timeout soon\n", 1,
     'Timeout: "soon" is not a time such as 5, 500ms, 2min or 1h'),
    ("Timeout 5d\n", 1,
     'Timeout: "5d" is not a time such as 5, 500ms, 2min or 1h'),
    ("CacheSize 1\n", 1, "CacheSize: 1 is too small: at least 64K"),
    ("CacheEntries 1\n", 1, "CacheEntries: 1 is too small: at least 16"),
    ("LimitRequestFields 10001\n", 1,
     "LimitRequestFields: 10001 is too large: at most 10000"),
    ("CacheContent map\n", 1,
     'CacheContent: "map" is none of off, memory, mmap, descriptor'),
    ("<MPM mt>\nThreadStackSize 1K\n</MPM>\n", 2,
     "ThreadStackSize: 1K is too small: at least 128K"),
    ("RequestReadTimeout body=x\n", 1,
     'RequestReadTimeout: "x" is not a time such as 5, 500ms, 2min or 1h'),
    ("RequestReadTimeout foot=5\n", 1,
     'RequestReadTimeout: "foot=5" is neither header=TIME nor body=TIME, '
     "TIME being 20, 20,MinRate=500 or 20-40,MinRate=500"),
    ("Listen 0\n", 1,
     'Listen: "0" is not PORT, IPv4:PORT or [IPv6]:PORT with a port of 1 to '
     "65535"),
    ("Listen 127.0.0.1\n", 1, None),
    ("Listen localhost:80\n", 1,
     'Listen: "localhost" is not a numeric address (IPv6 stands in brackets: '
     "[::1]:8080)"),
    ("Listen 127.0.0.1:1\n", 1,
     "Listen: 127.0.0.1:1 is listened on already by weir.conf:1"),
    ("Require all allowed\n", 1,
     'Require: "all" must be followed by granted or denied'),
    ("<VirtualHost *:1>\n", 1,
     "<VirtualHost> is not closed by </VirtualHost>"),
    ("</VirtualHost>\n", 1, "</VirtualHost> without a <VirtualHost>"),
    ("<VirtualHost *:1\n", 1,
     "<VirtualHost lacks its \">\" at the end of the line"),
    ("<>\n", 1, None),
    ('DocumentRoot "www\n', 1, 'a quote (") is opened and not closed'),
    ("DocumentRoot ${NOT_DEFINED_HERE}\n", 1,
     "${NOT_DEFINED_HERE} is not defined, neither here nor in the "
     "environment"),
    ("DocumentRoot ${X\n", 1, '"${" without a "}"'),
    ("Timeout 5\nTimeout \\\n", 2,
     "the last line ends in a backslash, but no line continues it"),
    ("Include not-there.conf\n", 1,
     "Include: could not open not-there.conf: No such file or directory"),
    ("Include not-there/*.conf\n", 1,
     "Include: nothing matches not-there/*.conf (IncludeOptional would not "
     "mind)"),
    ("DocumentRoot not-there\n", 1,
     "DocumentRoot: could not open not-there: No such file or directory"),
    ("LoadModule x_module /not/there.so\n", 1,
     "LoadModule: could not open /not/there.so: No such file or directory"),
    ("Timeout \\\n5 \\\n6\n", 1,
     "Timeout takes 1 argument, not 2; write Timeout time"),
    ("Listen\\\n 80 \\\n81\n", 1, None),
    ("VirtualHost *:1\n", 1, None),
    ("<Timeout 5>\n</Timeout>\n", 1, "Timeout is not a section"),
    ("Timeout 5\0\n", 1, "a NUL byte: this is not a text file"),
])
def test_error(check, text, line, error):
    said = refusal(check, text, line)
    if error is not None:
        assert said == error


@pytest.mark.parametrize("text,error", [
    ("RingEntries 5", "RingEntries: 5 is too small: at least 16"),
    ("Buffers 1", "Buffers: 1 is too small: at least 2"),
    ("Buffers 3", "Buffers must be a power of two"),
])
def test_errors_of_the_ring(install, check, text, error):
    if not (install.modules / "mod_mpm_proactor.so").exists():
        pytest.skip("this build has no io_uring")
    status, said = check(f"<MPM proactor>\n{text}\n</MPM>\n")
    assert status != 0
    assert error in said


def test_all_errors_are_said(check):
    status, said = check("Timeot 5\nKeepAlive on\nKeepAlive maybe\n"
                         "<Directory />\nListen 5\n</Directory>\n")
    assert status != 0
    lines = [re.match(r"weir\.conf:([0-9]+): ", line)
             for line in said.splitlines()]
    assert all(lines), said
    assert [int(m[1]) - LINES for m in lines] == [1, 3, 5]


def test_good_configuration(check):
    status, said = check("Timeout 5\nkeepalive ON\nKEEPALIVETIMEOUT 500ms\n"
                         "DocumentRoot www\n")
    assert (status, said) == (0, "Syntax OK\n")


def test_crlf_comments_and_blanks(check):
    status, said = check("\r\n# comment\r\n  \t\r\nTimeout 5\r\n"
                         "\tKeepAlive\tOn  \r\n# ends in a backslash \\\nx\n")
    assert status == 0, said


def test_no_listen(check):
    status, said = check("Timeout 5\n", needed=False)
    assert status != 0
    assert said.splitlines()[-1] == (
        "weir.conf:1: no Listen: there is no address to serve on")


def test_missing_file(install, workdir):
    done = install.run("-t", "-f", workdir / "none.conf", cwd="/")
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] == (
        f"{workdir}/none.conf:1: could not open {workdir}/none.conf: No such "
        "file or directory")


def test_error_in_an_included_file(check, workdir):
    (workdir / "more.conf").write_text("\n\nTimeot 5\n")
    status, said = check("Include more.conf\n")
    assert status != 0
    assert said == ("more.conf:3: unknown directive Timeot; did you mean "
                    "Timeout?\n")


def test_include_of_itself_ends(check):
    status, said = check("Include weir.conf\n")
    assert status != 0
    assert "deeper than" in said


def test_include_forms(check, workdir):
    (workdir / "conf.d").mkdir()
    (workdir / "conf.d" / "a.conf").write_text("Define A 1\n")
    (workdir / "conf.d" / "b.conf").write_text("Timeout ${A}0\n")
    assert check("Include conf.d/*.conf\n")[0] == 0
    assert check("Include conf.d\n")[0] == 0
    assert check(f'Include "{workdir}/conf.d/[ab].conf"\n')[0] == 0
    assert check("IncludeOptional nothing/*.conf\n"
                 "IncludeOptional nothing.conf\n")[0] == 0


def test_if_define(check):
    text = "<IfDefine TEST>\nTimeot 5\n</IfDefine>\n"
    assert check(text)[0] == 0
    assert refusal(check, text, 2, "-DTEST").startswith("unknown directive")
    text = text.replace("TEST", "!TEST", 1)
    assert refusal(check, text, 2).startswith("unknown directive")
    assert check(text, "-DTEST")[0] == 0
    assert check("<IfModule !mime>\nx\n</IfModule>\n"
                 "<IfModule mod_mime.c>\nTimeout 5\n</IfModule>\n"
                 "<IfModule none_module>\nx\n</IfModule>\n")[0] == 0


def test_directives_of_the_command_line(check):
    assert refusal(check, "Timeout ${A}\n", 1).startswith("${A} is not")
    assert check("Timeout ${A}\n", "-C", "Define A 5")[0] == 0
    status, said = check("", "-c", "Timeot 5")
    assert status != 0
    assert "unknown directive Timeot" in said


def test_mpm_directives(check, mpm):
    assert check("<MPM mt>\nThreadsPerChild 5\n</MPM>\n")[0] == 0
    said = refusal(check, "<MPM mt>\nThreadsPerChild 0\n</MPM>\n", 2)
    assert said == "ThreadsPerChild: 0 is too small: at least 1"
    said = refusal(check, "<MPM mt>\nThreadPerChild 5\n</MPM>\n", 2)
    assert said == ("MPM mt has no directive ThreadPerChild; did you mean "
                    "ThreadsPerChild?")
    said = refusal(check, "<MPM mt>\nTimeout 5\n</MPM>\n", 2)
    assert said == ("Timeout can't stand in <MPM>, only outside all sections "
                    "or in <VirtualHost>")
    said = refusal(check, "<MPM xy>\n</MPM>\n", 1)
    assert said.startswith('<MPM>: there is no MPM "xy"; there are ')


def test_bare_mpm_directive(check):
    assert check("ThreadsPerChild 5\n", mpm="mt")[0] == 0
    assert check("ThreadsPerChild 5\n", mpm="hybrid")[0] == 0
    said = refusal(check, "ThreadsPerChild 5\n", 1, mpm="sped")
    assert re.fullmatch(r"ThreadsPerChild belongs to MPM [\w, ]+; this server "
                        r"runs sped; put it into <MPM \w+>", said)


def test_unknown_mpm(install, check):
    status, said = check("", mpm="nonesuch")
    assert status != 0
    assert 'there is no MPM "nonesuch"; there are ' in said
    status, said = check("MPM nonesuch\n", mpm="mt")
    assert status == 0 or "nonesuch" in said


def test_directive_of_a_module_that_is_not_loaded(check, workdir):
    status, said = check(f'Listen 127.0.0.1:1\nServerRoot "{workdir}"\n'
                         + ("User nobody\n" if os.geteuid() == 0 else "#\n")
                         + "DirectoryIndex a.html\n", needed=False)
    assert status != 0
    assert said == (
        "weir.conf:4: DirectoryIndex belongs to a module that is not loaded: "
        "LoadModule dir_module modules/mod_dir.so\n")


def test_terminal_is_not_fooled(check):
    status, said = check(b"Time\x1b[31mout 5\n\x9b\x07 x\n")
    assert status != 0
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", said)


# What other options show.

def test_version(weir_command):
    done = weir_command("-v")
    assert done.returncode == 0
    assert re.match(r"Server version: Weir/[0-9]+\.[0-9]+\.[0-9]+\n",
                    done.stdout)


def test_help(weir_command):
    done = weir_command("-h")
    assert done.returncode == 0
    for option in "DdfmCckeEXtSMlLvVh":
        assert re.search(rf"-{option}\b", done.stdout), option


def test_unknown_option(weir_command):
    done = weir_command("-Z")
    assert done.returncode != 0
    assert "Usage:" in done.stderr


def test_mpms_are_listed(weir_command, mpm):
    done = weir_command("-m", "?")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert mpm in names


def test_settings_are_shown(install, workdir, mpm):
    (workdir / "www").mkdir()
    conf = workdir / "weir.conf"
    conf.write_text(
        f'ServerRoot "{workdir}"\nListen 127.0.0.1:1\nListen [::1]:2\n'
        f"DocumentRoot www\n{install.load_module_lines()}\n"
        "<VirtualHost *:1>\nServerName a.test\n</VirtualHost>\n")
    shown = install.run("-S", "-f", conf, "-m", mpm)
    assert shown.returncode == 0, shown.stderr
    for word in ("a.test", mpm, "www", "127.0.0.1:1", "[::1]:2",
                 f"{conf}:"):
        assert word in shown.stdout, word
    assert re.search("^Processes: ", shown.stdout, re.M)
    assert re.search(r"^Connections: (\d+|one) in a process", shown.stdout,
                     re.M)
    shown = install.run("-M", "-f", conf, "-m", mpm)
    assert shown.returncode == 0
    for name in ("core", "mime", "dir", "log_config", "authz_core", "hello"):
        assert re.search(rf"\b{name}_module\b.*\b(shared|static)\b",
                         shown.stdout), name
    shown = install.run("-L", "-f", conf, "-m", mpm)
    assert shown.returncode == 0
    for name in ("DocumentRoot", "DirectoryIndex", "HelloName", "Require"):
        assert name in shown.stdout, name


# What a configuration does.

def test_inner_sections_win(weir):
    server = weir("""
HelloName everywhere
<Directory "@WWW@">
    SetHandler hello
</Directory>
<Directory "@WWW@/a/b">
    HelloName b
</Directory>
<Directory "@WWW@/a">
    HelloName a
</Directory>
<Directory "@WWW@/a/plain">
    SetHandler none
</Directory>
""")
    for name in ("x.txt", "a/x.txt", "a/b/x.txt", "a/b/c/x.txt",
                 "a/plain/x.txt", "ab/x.txt"):
        server.put(name, b"file\n")
    for target, who in (("/x.txt", b"everywhere"), ("/a/x.txt", b"a"),
                        ("/a/b/x.txt", b"b"), ("/a/b/c/x.txt", b"b"),
                        ("/ab/x.txt", b"everywhere")):
        assert server.get(target).body == b"Hello, %s!\n" % who, target
    assert server.get("/a/plain/x.txt").body == b"file\n"


def test_variables_and_continuation(weir):
    server = weir("""
Define NAME world
<Directory "@WWW@/say">
    SetHandler \\
        hello
    HelloName "the wide ${NAME}"
</Directory>
""")
    server.put("say/x", b"")
    assert server.get("/say/x").body == b"Hello, the wide world!\n"


def test_mpm_of_the_file(weir, mpm):
    """-m has the last word, wherever MPM stands."""
    other = "sped" if mpm != "sped" else "mt"
    server = weir(f"MPM {other}\n")
    assert server.get("/hello.txt").body == tree.HELLO
