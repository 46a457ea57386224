"""The access log: a line for each request, forge-proof."""

import re
import time

import pytest

import tree
from client import make_request, side_by_side

COMMON = re.compile(
    r'(?P<host>\S+) - (?P<user>\S+) \[(?P<time>[^]]+)\] '
    r'"(?P<line>(?:[^"\\]|\\.)*)" (?P<status>[0-9]{3}) (?P<bytes>[0-9]+|-)'
    r'(?P<rest>.*)')
TIME = re.compile(r"[0-3][0-9]/[A-Z][a-z]{2}/[0-9]{4}:[0-9]{2}:[0-9]{2}"
                  r":[0-9]{2} [+-][0-9]{4}")


def stopped_lines(server, name="access.log"):
    """All lines: stopping writes them out."""
    server.stop()
    return server.access_lines(0, name)


def without_time(lines):
    """Sorted, for several threads may log."""
    return sorted(re.sub(r"\[[^]]*\]", "[]", line, count=1)
                  for line in lines)


def parse(line):
    match = COMMON.fullmatch(line)
    assert match, line
    assert TIME.fullmatch(match["time"]), line
    return match


def test_common(weir):
    """Byte for byte, apart from the time."""
    server = weir()
    server.get("/hello.txt")
    server.get("/missing?a=b")
    server.get("/hello.txt", "HEAD")
    server.put("empty.txt")
    server.get("/empty.txt")
    with server.connect() as c:
        c.request("GET", "/", version="1.0")
        c.read_response()
    page = server.get("/missing").body
    lines = without_time(stopped_lines(server))
    head = "127.0.0.1 - - [] "
    assert lines == sorted([
        f'{head}"GET /hello.txt HTTP/1.1" 200 {len(tree.HELLO)}',
        f'{head}"GET /missing?a=b HTTP/1.1" 404 {len(page)}',
        f'{head}"HEAD /hello.txt HTTP/1.1" 200 -',
        f'{head}"GET /empty.txt HTTP/1.1" 200 -',
        f'{head}"GET / HTTP/1.0" 200 {len(tree.INDEX)}',
        f'{head}"GET /missing HTTP/1.1" 404 {len(page)}',
    ])


def test_combined(weir):
    server = weir("CustomLog logs/combined.log combined")
    server.get("/hello.txt", fields=["Referer: http://a.test/b?c",
                                     "User-Agent: Tester/1.0 (x; y)"])
    server.get("/hello.txt")
    lines = without_time(stopped_lines(server, "combined.log"))
    start = (f'127.0.0.1 - - [] "GET /hello.txt HTTP/1.1" 200 '
             f'{len(tree.HELLO)} ')
    assert lines == sorted([
        start + '"http://a.test/b?c" "Tester/1.0 (x; y)"',
        start + '"-" "-"',
    ])


def test_time(weir):
    server = weir()
    before = int(time.time())
    server.get("/hello.txt")
    line = parse(stopped_lines(server)[0])
    stamp = time.strptime(line["time"], "%d/%b/%Y:%H:%M:%S %z")
    logged = time.mktime(stamp) - (stamp.tm_gmtoff
                                   - time.localtime().tm_gmtoff)
    assert before - 1 <= logged <= time.time() + 1


def test_own_format(weir):
    server = weir('LogFormat "%m|%U|%q|%H|%>s|%b|%B|%h|%a|%p|%{Host}i|%f|%%'
                  '|%{Content-Type}o|%X" own\nCustomLog logs/own.log own\n')
    server.get("/hello.txt?a=b")
    lines = stopped_lines(server, "own.log")
    size = len(tree.HELLO)
    assert lines == [
        f"GET|/hello.txt|?a=b|HTTP/1.1|200|{size}|{size}|127.0.0.1|127.0.0.1"
        f"|{server.port}|localhost|{server.www}/hello.txt|%|text/plain|-"]


def test_a_line_for_each_request(weir):
    """Many clients, many requests, pipelined and not: each is logged once,
    with its own status and byte count."""
    server = weir()
    for size in (0, 10, 5000, 200000):
        server.put(f"{size}.bin", tree.content(size))
    sizes = (0, 10, 5000, 200000)

    def client(number):
        with server.connect() as c:
            for i in range(0, 40, 4):
                c.send(b"".join(
                    make_request("GET", f"/{size}.bin?{number}.{i}")
                    for size in sizes))
                for size in sizes:
                    assert len(c.read_response().body) == size

    side_by_side([lambda n=n: client(n) for n in range(16)])
    lines = [parse(line) for line in stopped_lines(server)]
    wanted = sorted(
        (f"GET /{size}.bin?{n}.{i} HTTP/1.1", "200", str(size or "-"))
        for n in range(16) for i in range(0, 40, 4) for size in sizes)
    assert sorted((m["line"], m["status"], m["bytes"])
                  for m in lines) == wanted


def test_lines_come_without_a_stop(weir):
    """An idle server writes them out in a second or so."""
    server = weir()
    server.get("/hello.txt?marker")
    start = time.monotonic()
    lines = server.access_lines(1)
    assert "marker" in lines[0]
    assert time.monotonic() - start < 5


AGENTS = [
    (b'a"b', [r'a\"b']),
    (b"a\\b", [r"a\\b"]),
    (b'\\"', [r'\\\"']),
    (b'" 200 1 "', [r'\" 200 1 \"']),
    (b"a\tb", [r"a\tb", r"a\x09b"]),
    (b"caf\xc3\xa9", [r"caf\xc3\xa9"]),
    (b"\xff\x80\x9b", [r"\xff\x80\x9b"]),
    (b"%s%n%x", ["%s%n%x"]),
    (b"%{Host}i", ["%{Host}i"]),
    (b"\\n", [r"\\n"]),
    (b"a" * 1000, ["a" * 1000]),
]


@pytest.fixture(scope="module")
def agents_logged(module_weir):
    """What the log has of each of AGENTS."""
    server = module_weir('LogFormat "%q \\"%{User-Agent}i\\"" agent\n'
                         "CustomLog logs/agent.log agent\n")
    with server.connect() as c:
        for number, (agent, _) in enumerate(AGENTS):
            c.send(b"GET /hello.txt?%d HTTP/1.1\r\nHost: a\r\n"
                   b"User-Agent: %s\r\n\r\n" % (number, agent))
            assert c.read_response().status == 200
    lines = [line.split(" ", 1) for line in stopped_lines(server, "agent.log")
             if line.startswith("?")]
    return {int(number[1:]): text for number, text in lines}


@pytest.mark.parametrize("number", range(len(AGENTS)))
def test_escaping_of_fields(agents_logged, number):
    assert agents_logged[number] in [f'"{t}"' for t in AGENTS[number][1]]


def test_nothing_can_be_forged(weir):
    """Whatever is sent, lines are of one request each and printable."""
    server = weir("CustomLog logs/combined.log combined")
    evil = '127.0.0.1 - - [01/Jan/2000:00:00:00 +0000] "GET /evil" 200 1'
    attempts = [
        b"GET /%0a" + evil.replace(" ", "%20").encode() + b" HTTP/1.1\r\n"
        b"Host: a\r\nConnection: close\r\n\r\n",
        b'GET /?"%20200%201%20"\\ HTTP/1.1\r\nHost: a\r\n'
        b"Connection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: x\n" + evil.encode()
        + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nReferer: x\r" + evil.encode()
        + b"\r\n\r\n",
        b"\x1b[2J\x1b]0;evil\x07\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: \x1b[31m\r\n\r\n",
        b"GET /\x00 HTTP/1.1\r\n\r\n",
        b"\n" + evil.encode() + b"\n",
    ]
    for data in attempts:
        with server.connect() as c:
            c.send(data)
            c.read_response()
    server.stop()
    for name in ("access.log", "combined.log"):
        lines = server.access_lines(0, name)
        assert len(lines) == len(attempts)
        for line in lines:
            assert re.fullmatch(r"[\x20-\x7e]*", line), line
            assert line.startswith("127.0.0.1 - - ["), line
            parse(line)
    assert re.fullmatch(r"[\x20-\x7e\n]*", server.error_log())


def test_refused_requests_are_logged(weir):
    server = weir("LimitRequestBody 10\nLimitRequestLine 1000\n")
    attempts = [
        (b"nonsense{}\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        (b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 11\r\n\r\n", 413),
        (b"BREW / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: x\r\n\r\n", 400),
    ]
    sizes = []
    for data, status in attempts:
        with server.connect() as c:
            c.send(data)
            response = c.read_response()
            assert response.status == status
            sizes.append(str(len(response.body)))
            c.read_rest(reset_is_end=True)
    lines = [parse(line) for line in stopped_lines(server)]
    assert sorted((m["status"], m["bytes"]) for m in lines) == sorted(
        (str(status), size) for (_, status), size in zip(attempts, sizes))
    assert [m["line"] for m in lines if m["status"] == "413"] == [
        "GET / HTTP/1.1"]


def test_aborted_requests_are_logged(weir):
    """With the bytes that went, which are fewer than all."""
    server = weir('LogFormat "%h %l %u %t \\"%r\\" %>s %b %X" state\n'
                  "CustomLog logs/state.log state\nSendBufferSize 65536\n")
    size = 16 << 20
    server.put("big.bin", tree.content(size))
    c = server.connect(rcvbuf=16384)
    c.request("GET", "/big.bin?reset")
    while len(c.data) < 100000:
        c.receive()
    c.reset()
    with server.connect(rcvbuf=16384) as c:
        c.request("GET", "/big.bin?whole", ["Connection: close"])
        assert len(c.read_response().body) == size
    lines = {parse(line)["line"]: parse(line)
             for line in server.access_lines(2, "state.log")}
    assert len(lines) == 2
    cut = lines["GET /big.bin?reset HTTP/1.1"]
    assert cut["status"] == "200"
    assert 90000 < int(cut["bytes"]) < size
    assert cut["rest"] == " X"
    whole = lines["GET /big.bin?whole HTTP/1.1"]
    assert int(whole["bytes"]) == size
    assert whole["rest"] == " -"


def test_connections_without_a_request_are_not_logged(weir):
    server = weir()
    for _ in range(5):
        server.connect().close()
    with server.connect() as c:
        c.expect_served()
    with server.connect() as c:
        c.send(b"\r\n")
        c.end()
        c.read_rest()
    assert len(stopped_lines(server)) == 1


def test_keep_alive_state(weir):
    server = weir('LogFormat "%U %X" state\nCustomLog logs/state.log state\n')
    with server.connect() as c:
        c.expect_served()
        c.request("GET", "/hello.txt", ["Connection: close"])
        c.read_response()
        c.expect_close()
    assert sorted(stopped_lines(server, "state.log")) == [
        "/hello.txt +", "/hello.txt -"]


def test_both_logs_name_a_request_alike(weir):
    """%L: "-" where the error log has nothing about the request."""
    server = weir('LogLevel info\nLogFormat "%L %s %U" id\n'
                  "CustomLog logs/id.log id\n")
    server.get("/hello.txt")
    for _ in range(2):
        with server.connect() as c:
            c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a b\r\n\r\n")
            assert c.read_response().status == 400
    lines = [line.split()[:2] for line in stopped_lines(server, "id.log")
             if line.endswith(("200 /hello.txt", "400 -"))]
    in_error_log = re.findall(r"\[id ([\w-]{19})\] refused with status 400",
                              server.error_log())
    assert len(set(in_error_log)) == 2
    assert sorted(lines) == sorted(
        [["-", "200"]] + [[name, "400"] for name in in_error_log])


def test_two_logs_and_one_per_host(weir):
    server = weir("CustomLog logs/second.log common\n"
                  "<VirtualHost *:@PORT@>\nServerName a.test\n"
                  'DocumentRoot "@WWW@"\n</VirtualHost>\n'
                  "<VirtualHost *:@PORT@>\nServerName b.test\n"
                  'DocumentRoot "@WWW@"\n'
                  "CustomLog logs/b.log common\n</VirtualHost>\n")
    server.get("/hello.txt?a", host="a.test")
    server.get("/hello.txt?b", host="b.test")
    assert ["?b" in line for line in stopped_lines(server, "b.log")] == [True]
    for name in ("access.log", "second.log"):
        lines = server.access_lines(0, name)
        assert ["?a" in line for line in lines] == [True]


def test_long_line_is_whole(weir):
    server = weir("LimitRequestLine 8190\n")
    target = "/hello.txt?" + "a" * 7000
    server.get(target)
    (line,) = stopped_lines(server)
    assert parse(line)["line"] == f"GET {target} HTTP/1.1"


def test_line_that_grows_by_escaping(weir):
    """Each quote becomes two bytes; the line stays one line."""
    server = weir("CustomLog logs/combined.log combined\n"
                  "LimitRequestFieldSize 8190\n")
    with server.connect() as c:
        c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
               b"User-Agent: " + b"\xff" * 6000 + b"\r\nReferer: "
               + b'"' * 6000 + b"\r\n\r\n")
        assert c.read_response().status == 200
    server.get("/hello.txt")
    lines = stopped_lines(server, "combined.log")
    assert len(lines) == 2
    assert all(parse(line) for line in lines)


def test_bytes_on_the_wire(weir):
    server = weir('CustomLog logs/wire.log "%U %I %O %S %B %A %R"\n'
                  '<Location "/say">\nSetHandler hello\n</Location>')
    with server.connect() as c:
        sent = make_request("GET", "/say", ["X: " + "x" * 1000])
        c.send(sent)
        first = c.read_response()
        c.request("GET", "/hello.txt", ["Cookie: a=b"])
        second = c.read_response()
    lines = {line.split()[0]: line.split()[1:]
             for line in server.access_lines(2, "wire.log")}
    out = len(first.head) + len(first.body)
    assert lines["/say"] == [str(len(sent)), str(out), str(len(sent) + out),
                             str(len(first.body)), "127.0.0.1", "hello"]
    out = len(second.head) + len(second.body)
    assert lines["/hello.txt"][1] == str(out)
    assert lines["/hello.txt"][4:] == ["127.0.0.1", "-"]


def test_what_the_log_can_not_have(weir, weir_command):
    for text, words in (("%{X}^ti", "trailers are read and dropped"),
                        ("%{x}a", "takes c")):
        server = weir(f'LogFormat "{text}" x', start=False)
        server.write_config()
        done = weir_command("-t", "-f", server.conf)
        assert done.returncode != 0
        assert words in done.stderr
