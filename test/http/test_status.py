"""What the server says of itself: mod_status and the scoreboard.

Each look at the status is a connection and a request as well, and is counted
as such: by the look that follows.
"""

import contextlib
import html.parser
import json
import os
import re
import signal
import time

import pytest

import sleepers
from client import make_request
from conftest import STATUS, wait_for
from gate import Gates

BIG = 5 << 20
SLOW = "SendBufferSize 32768\n"
STATES = ("idle", "reading", "running", "writing", "closing")
FORMS = {"": "text/html; charset=utf-8", "?json": "application/json",
         "?auto": "text/plain; charset=utf-8",
         "?prometheus": "text/plain; version=0.0.4; charset=utf-8"}


@pytest.fixture(scope="module")
def server(module_weir):
    return module_weir(SLOW + "RequestReadTimeout header=60\n"
                       "KeepAliveTimeout 60\n")


class Looks:
    """Looks at the status that are counted as what they are.

    responses, received: of all looks before the last one, and its own request.
    """

    def __init__(self, server):
        self.server = server
        self.seen = None
        self.count = self.sent = self.received = 0

    def look(self):
        request = make_request("GET", f"{STATUS}?json", ["Connection: close"])
        with self.server.connect() as c:
            c.send(request)
            response = c.read_response()
            c.expect_close()
        totals = json.loads(response.body)["totals"]
        self.received += len(request)
        self.last = totals, self.count, self.sent, self.received
        self.count += 1
        self.sent += len(response.head) + len(response.body)
        return totals

    def settled(self):
        """What is counted when nobody else is connected."""
        def look():
            self.seen = self.look()
            return is_settled(self.seen)
        try:
            wait_for(look, what="all to be gone")
        except AssertionError:
            raise AssertionError(f"not all is gone: {self.seen}") from None
        return self.last


def is_settled(totals):
    return {state: totals[state] for state in STATES} == {
        "idle": 0, "reading": 0, "running": 1, "writing": 0, "closing": 0}


def settle(server):
    return Looks(server).settled()[0]


# Numbers.


def test_requests_and_bytes_are_counted_exactly(server):
    looks = Looks(server)
    before, count, sent, received = looks.settled()
    ours = {"requests": 0, "sent": 0, "received": 0}
    for target, times in (("/hello.txt", 7), ("/index.html", 3), ("/no", 2)):
        request = make_request("GET", target)
        with server.connect() as c:
            for _ in range(times):
                c.send(request)
                response = c.read_response()
                ours["requests"] += 1
                ours["received"] += len(request)
                ours["sent"] += len(response.head) + len(response.body)
    after, count2, sent2, received2 = looks.settled()
    found = {name: after[name] - before[name] for name in
             ("requests", "bytes_sent", "bytes_received", "connections")}
    assert found == {
        "requests": ours["requests"] + count2 - count,
        "bytes_sent": ours["sent"] + sent2 - sent,
        "bytes_received": ours["received"] + received2 - received,
        "connections": 3 + count2 - count}


def test_a_large_file_is_counted_whole(server):
    server.put("large.bin", b"x" * BIG)
    before = settle(server)
    assert len(server.get("/large.bin").body) == BIG
    after = settle(server)
    assert BIG <= after["bytes_sent"] - before["bytes_sent"] < BIG + 100000


def test_a_pipeline_is_counted_request_by_request(server):
    looks = Looks(server)
    before, count, _, _ = looks.settled()
    requests = make_request("GET", "/hello.txt") * 200
    assert len(server.answers_to(requests)) == 200
    after, count2, _, _ = looks.settled()
    assert after["requests"] - before["requests"] == 200 + count2 - count


# States.


class Held:
    """Connections held in one state each."""

    def __init__(self, server):
        if not (server.www / "held.bin").exists():
            server.put("held.bin", b"x" * BIG)
        self.server, self.all = server, []

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        for c in self.all:
            c.close()

    def connect(self, **kw):
        self.all.append(self.server.connect(**kw))
        return self.all[-1]

    def idle(self):
        self.connect()

    def idle_again(self):
        self.connect().expect_served()

    def reading(self):
        self.connect().send("GET /hello.txt HT")

    def reading_again(self):
        c = self.connect()
        c.expect_served()
        c.send("GET /hello.txt HTTP/1.1\r\nHost: a\r\n")

    def discarding(self):
        c = self.connect()
        c.send("PUT /hello.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
               "\r\n1234")
        assert c.read_response().status == 405

    def writing(self):
        c = self.connect(rcvbuf=4096)
        c.request("GET", "/held.bin")
        assert c.read_head().status == 200

    def writing_the_last(self):
        c = self.connect(rcvbuf=4096)
        c.request("GET", "/held.bin", ["Connection: close"])
        assert c.read_head().status == 200


@pytest.mark.parametrize("kind, state", [
    ("idle", "idle"), ("idle_again", "idle"), ("reading", "reading"),
    ("reading_again", "reading"), ("discarding", "reading"),
    ("writing", "writing"), ("writing_the_last", "writing")])
def test_a_connection_is_in_its_state_until_it_goes(server, kind, state):
    settle(server)
    expected = dict.fromkeys(STATES, 0, ) | {"running": 1}
    expected[state] += 3
    with Held(server) as held:
        for _ in range(3):
            getattr(held, kind)()
        wait_for(lambda: {s: n for s, n in server.status()["totals"].items()
                          if s in STATES} == expected,
                 what=f"three to be {state}")
    settle(server)


def test_who_lingers_is_closing(server):
    settle(server)
    with Held(server) as held:
        def refuse_one():
            c = held.connect()
            c.send("BAD\r\n\r\n")
            assert c.read_response().status == 400
            return server.status()["totals"]["closing"] > 0
        wait_for(refuse_one, what="one to linger")
    settle(server)


def test_all_states_at_once(server):
    settle(server)
    with Held(server) as held:
        for kind in ("idle", "idle_again", "reading", "discarding",
                     "writing", "writing"):
            getattr(held, kind)()
        wait_for(lambda: [server.status()["totals"][s] for s in STATES]
                 == [2, 2, 1, 2, 0], what="all states")
        for process in server.status()["processes"]:
            counters = process["counters"]
            assert all(counters[state] >= 0 for state in STATES), counters
    settle(server)


def serving(server):
    """The children's pids, as the status tells them."""
    return {process["pid"] for process in server.status()["processes"]}


def test_a_killed_child_takes_its_gauges_with_it(weir):
    server = weir(SLOW)
    server.allow_errors("child .*signal 9|killed")
    with Held(server) as held:
        for kind in ("idle", "reading", "writing"):
            getattr(held, kind)()
        wait_for(lambda: [server.status()["totals"][s] for s in STATES]
                 == [1, 1, 1, 1, 0], what="all to be accepted")
        before = server.status()
        for pid in serving(server):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: server.answers(server.address))
        after = settle(server)
    for name in ("requests", "connections", "bytes_sent", "bytes_received"):
        assert after[name] >= before["totals"][name], name
    gone = {process["pid"] for process in before["processes"]}
    wait_for(lambda: not gone & serving(server), what="the new ones alone")


def test_totals_go_on_over_a_reload(weir):
    server = weir(SLOW)
    for _ in range(5):
        server.get("/hello.txt")
    before = server.status()
    with Held(server) as held:
        held.writing()
        wait_for(lambda: server.status()["totals"]["writing"] == 1)
        server.reload()
        wait_for(lambda: server.status()["generation"] == 2)
        both = server.status()
        numbers = [g["generation"] for g in both["generations"]]
        assert sorted(numbers) == [1, 2], "the old one still serves"
        by_generation = {g["generation"]: g["counters"]
                         for g in both["generations"]}
        assert by_generation[1]["writing"] == 1
        assert by_generation[2]["writing"] == 0
    settle(server)
    wait_for(lambda: [g["generation"] for g in
                      server.status()["generations"]] == [2])
    after = server.status()
    assert after["started_us"] == before["started_us"]
    for name in ("requests", "connections", "bytes_sent", "bytes_received"):
        assert after["totals"][name] > before["totals"][name], name
    # What a generation counts is its own.
    own = after["generations"][0]["counters"]
    assert own["requests"] < after["totals"]["requests"]


# Threads and what the kernel says of them.


def test_threads_and_processes_are_there(server):
    status = server.status()
    pids = {process["pid"] for process in status["processes"]}
    # Ours, or ended: it may still have to be waited for.
    wait_for(lambda: {pid for pid in pids if os.path.exists(f"/proc/{pid}")}
             <= set(server.children()))
    assert status["threads"]
    for thread in status["threads"]:
        assert thread["pid"] in pids
        assert thread["mpm"] == server.mpm
        assert thread["state"] in ("busy", "waiting")
        usage = thread["usage"]
        if usage is None:
            continue  # it has just ended
        assert all(value >= 0 for value in usage.values())
        try:
            with open(f"/proc/{thread['pid']}/task/{thread['tid']}/comm",
                      encoding="ascii") as f:
                assert f.read().strip() == f"weir:{thread['role']}"[:15]
        except OSError:
            continue  # likewise
    for process in status["processes"]:
        assert process["resident_bytes"] > 100000
    assert status["usage"]["cpu_ns"] > 0
    assert status["usage"]["voluntary_switches"] > 0
    assert status["usage_unread"] == 0


def test_helpers_have_rows(server):
    if not server.mpm.startswith("amped"):
        pytest.skip("no helpers")
    server.put("cold/file.txt", b"cold")
    server.get("/cold/file.txt")
    names = [name for _, name in server.children().values()]
    helpers = [name for name in names if name.startswith("weir:helper")]
    roles = {role["role"]: role for role in server.status()["roles"]}
    assert roles["helper"]["threads"] >= len(helpers)
    wait_for(lambda: [role["busy"] for role in server.status()["roles"]
                      if role["role"] == "helper"] == [0])


def test_who_has_nothing_to_do_waits(server):
    """All but the one that makes the answer."""
    settle(server)
    wait_for(lambda: server.status()["busy"] == 1, what="all to wait")


@pytest.mark.parametrize("mpm, role, stands_still", [
    ("sped", "sped", True), ("amped", "amped", False)])
def test_time_a_loop_stood_still(weir, variant, mpm, role, stands_still):
    """A file is opened that has to be waited for: by whom?"""
    if variant.mpm != mpm:
        pytest.skip(f"{variant.name} has no loop called {role}")
    server = weir("Processes 1\n")
    slow = server.put("slow", b"slow")

    def blocked():
        counters, = [r["counters"] for r in server.status()["roles"]
                     if r["role"] == role]
        return counters["blocked_ns"]

    before = blocked()
    with Gates() as gates, server.connect(deadline=30) as c:
        gates.shut(slow)
        c.request("GET", "/slow")
        sleepers.wait_until_asleep(server, c.sock)
        since = time.monotonic_ns()
        time.sleep(0.2)
        slept = time.monotonic_ns() - since
        gates.open()
        assert c.read_response().body == b"slow"
    assert (blocked() - before >= slept) == stands_still


def test_sums_are_of_what_they_are_made(server):
    status = server.status()
    for name, total in status["totals"].items():
        assert total == sum(role["counters"][name]
                            for role in status["roles"]), name
    threads = len(status["threads"])
    for groups in ("roles", "generations", "processes"):
        assert sum(g["threads"] for g in status[groups]) == threads
        assert sum(g["busy"] for g in status[groups]) == status["busy"]
    assert status["busy"] + status["waiting"] == threads
    named = {info["name"] for info in status["counter_infos"]}
    assert set(status["totals"]) == named


# Forms.


class Page(html.parser.HTMLParser):
    """Checks that elements are closed; keeps addresses and text."""

    def __init__(self, text):
        super().__init__()
        self.open, self.links, self.text = [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)
        self.links += [v for k, v in attrs if k in ("href", "src")]
        assert tag not in ("script", "img", "link", "iframe")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_page(server):
    response = server.get(STATUS)
    assert response["Content-Type"] == FORMS[""]
    assert response["Cache-Control"] == "no-store"
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert response.get("Refresh") is None
    page = Page(response.body.decode())
    assert all(link.startswith("?") for link in page.links)
    assert f"MPM {server.mpm}" in page.text
    assert "requests answered" in page.text


@pytest.mark.parametrize("query", [
    "?", "?unknown", "?jsonx", "?JSON", "?auto=1", "?%6ason", "?&&&", "?x=&y"])
def test_all_other_queries_get_the_page(server, query):
    response = server.get(STATUS + query)
    assert response["Content-Type"] == FORMS[""]


@pytest.mark.parametrize("query, seconds", [
    ("refresh=7", 7), ("refresh", 10), ("refresh=", 10), ("refresh=0", 10),
    ("refresh=-5", 10), ("refresh=x", 10), ("refresh=3600", 3600),
    ("refresh=3601", 3600), ("refresh=99999999999999999999", 3600),
    ("notable&refresh=3", 3), ("refreshing=3", None), ("json&refresh=3", None)])
def test_refresh_is_bounded(server, query, seconds):
    response = server.get(f"{STATUS}?{query}")
    assert response.status == 200
    assert response.get("Refresh") == (seconds and str(seconds))


@pytest.mark.parametrize("query", FORMS)
def test_a_form_may_have_an_empty_value(server, query):
    response = server.get(f"{STATUS}{query}{'=' if query else ''}")
    assert response["Content-Type"] == FORMS[query]


def test_notable_leaves_rows_out(server):
    assert "<h2>Threads</h2>" in server.get(STATUS).body.decode()
    page = server.get(f"{STATUS}?notable").body.decode()
    assert "<h2>Threads</h2>" not in page
    Page(page)


def test_page_escapes_what_comes_from_outside(server):
    with server.connect() as c:
        c.request("GET", f"{STATUS}?%3Cnowhere%3E",
                  ["Connection: close", "User-Agent: <nowhere>"],
                  host="a&b'c")
        page = c.read_response().body.decode()
    assert "a&amp;b" in page
    assert "a&b" not in page
    assert "nowhere" not in page


def lines_of(text):
    head, *lines = text.splitlines()
    found = {}
    for line in lines:
        key, value = line.split(": ", 1)
        assert key not in found
        found[key] = value
    return head, found


def test_auto_has_the_names_of_httpd(server):
    def look():
        response = server.get(f"{STATUS}?auto")
        assert response["Content-Type"] == FORMS["?auto"]
        return lines_of(response.body.decode())
    wait_for(lambda: look()[1]["ConnsTotal"] == "1", what="us alone")
    head, lines = look()
    assert head == "localhost"
    status = server.status()
    requests = int(lines["Total Accesses"])
    assert requests == status["totals"]["requests"] - 1
    assert int(lines["Total kBytes"]) * 1024 <= status["totals"]["bytes_sent"]
    assert lines["ServerMPM"] == server.mpm
    assert lines["ServerVersion"].startswith("Weir/")
    assert int(lines["Uptime"]) == int(lines["ServerUptimeSeconds"])
    assert float(lines["ReqPerSec"]) > 0
    assert float(lines["BytesPerSec"]) > 0
    assert float(lines["BytesPerReq"]) > 0
    threads = int(lines["BusyWorkers"]) + int(lines["IdleWorkers"])
    assert len(lines["Scoreboard"]) == threads
    assert set(lines["Scoreboard"]) <= set("_W")
    assert lines["Scoreboard"].count("W") == int(lines["BusyWorkers"])
    assert lines["ConnsAsyncKeepAlive"] == "0"
    assert int(lines["WeirRequests"]) == requests


SAMPLE = re.compile(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?[\d.]+)")


def samples_of(text):
    """By name and labels; each name's stand together after HELP and TYPE."""
    found, kinds, name = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name = line.split(" ")[2]
            assert name not in kinds
        elif line.startswith("# TYPE "):
            assert line.split(" ")[2] == name
            kinds[name] = line.split(" ")[3]
        else:
            match = SAMPLE.fullmatch(line)
            assert match and match[1] == name, line
            assert (name, match[2]) not in found
            found[name, match[2]] = float(match[3])
    return found, kinds


def test_prometheus(server):
    settle(server)
    response = server.get(f"{STATUS}?prometheus")
    assert response["Content-Type"] == FORMS["?prometheus"]
    samples, kinds = samples_of(response.body.decode())
    status = server.status()
    requests = sum(value for (name, _), value in samples.items()
                   if name == "weir_requests_total")
    assert requests == status["totals"]["requests"] - 1
    for info in status["counter_infos"]:
        name = "weir_" + info["name"]
        if info["unit"] == "ns":
            name = name.removesuffix("_ns") + "_seconds"
        name += "_total" if info["kind"] == "counter" else ""
        assert kinds[name] == info["kind"]
    assert kinds["weir_live_cpu_seconds"] == "gauge"
    assert samples["weir_running", None] == 1
    assert samples["weir_processes", None] >= 1
    for (name, labels), value in samples.items():
        if kinds[name] == "counter":
            assert re.fullmatch(r'mpm="\w*",role="\w*"', labels)
            assert value >= 0


# As a resource.


@pytest.mark.parametrize("query", FORMS)
def test_head(server, query):
    response = server.get(STATUS + query, method="HEAD")
    assert response.status == 200
    assert response["Content-Type"] == FORMS[query]
    assert int(response["Content-Length"]) > 0


@pytest.mark.parametrize("field", [
    "If-Modified-Since: Thu, 01 Jan 2037 00:00:00 GMT",
    'If-None-Match: "x"', 'If-Match: *'])
def test_it_is_always_new(server, field):
    response = server.get(f"{STATUS}?json", fields=[field])
    assert response.status == 200
    assert json.loads(response.body)["version"] == 1


def test_method_that_changes_is_refused(server):
    assert server.get(STATUS, method="DELETE").status == 405


def test_it_is_for_whom_the_configuration_names(weir):
    server = weir("""
<Location /closed>
    SetHandler server-status
    Require all denied
</Location>
<Location /far>
    SetHandler server-status
    Require ip 192.0.2.1
</Location>
""")
    for query in FORMS:
        assert server.get(f"/closed{query}").status == 403
        assert server.get(f"/far{query}").status == 403
    assert server.get("/server-status").status == 404, "nowhere by itself"


# Directives.


def test_extended_status_is_always_on(weir):
    server = weir("ExtendedStatus On\n")
    assert server.status()["version"] == 1


def test_extended_status_off_is_an_error(weir, weir_command):
    server = weir("ExtendedStatus Off\n", start=False)
    server.write_config()
    done = weir_command("-t", "-f", server.conf)
    assert done.returncode != 0
    assert "everything is counted always" in done.stderr
