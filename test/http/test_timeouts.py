"""Time-outs.  All of the waiting is done at once, by threads: the fixture
runs the scenarios side by side, and each test looks at one's result."""

import time
from types import SimpleNamespace

import pytest

import tree
from client import DEADLINE, Late, make_request, side_by_side

CONFIG = """
Timeout 1500ms
KeepAliveTimeout 500ms
RequestReadTimeout header=1
SendBufferSize 65536
"""
TIMEOUT, KEEP_ALIVE, HEAD = 1.5, 0.5, 1.0
EARLY = 0.05  # clocks and timers differ by so much
BIG = 16 << 20


def wait_for_close(c, start):
    """What came until the server closed, and how many seconds after the start,
    before which the server's time can not have begun."""
    data = c.read_rest(reset_is_end=True)
    return data, time.monotonic() - start


def silent(server):
    """Connect and say nothing."""
    start = time.monotonic()
    with server.connect() as c:
        return wait_for_close(c, start)


def idle_after_a_request(server):
    with server.connect() as c:
        start = time.monotonic()
        c.expect_served()
        return wait_for_close(c, start)


def idle_but_not_too_long(server):
    """Requests again and again within the time: never closed."""
    with server.connect() as c:
        for _ in range(8):
            c.expect_served()
            time.sleep(KEEP_ALIVE * 0.5)
        c.expect_served()
        return True


def idle_after_pipelining(server):
    with server.connect() as c:
        start = time.monotonic()
        c.send(make_request("GET", "/hello.txt") * 5)
        for _ in range(5):
            assert c.read_response().status == 200
        return wait_for_close(c, start)


def unfinished(part):
    def scenario(server):
        start = time.monotonic()
        with server.connect() as c:
            c.send(part)
            return wait_for_close(c, start)
    return scenario


def dribble(c, data):
    """A byte now and then, until the server closes or says something."""
    start = time.monotonic()
    for i in range(len(data)):
        try:
            c.send(data[i:i + 1])
            c.expect_open(0.1)
        except (ConnectionError, AssertionError):
            break
    took = time.monotonic() - start
    return c.data + wait_for_close(c, start)[0], took


LONG_HEAD = make_request("GET", "/hello.txt", ["X: " + "y" * 200])


def dribbled_head(server):
    with server.connect() as c:
        return dribble(c, LONG_HEAD)


def dribbled_second_head(server):
    with server.connect() as c:
        c.expect_served()
        return dribble(c, LONG_HEAD)


def empty_lines(server):
    """CRLF again and again does not keep a connection."""
    with server.connect() as c:
        return dribble(c, b"\r\n" * 45)[1]


def slow_but_in_time_head(server):
    with server.connect() as c:
        c.send_in_pieces(make_request("GET", "/hello.txt"), 10, HEAD / 15)
        return c.read_response()


def body_that_does_not_come(fields, part):
    def scenario(server):
        with server.connect() as c:
            c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n" + fields
                   + b"\r\n" + part)
            start = time.monotonic()
            statuses = []
            try:
                while c.data or c.receive():
                    statuses.append(c.read_response().status)
            except ConnectionResetError:
                pass
            return statuses, time.monotonic() - start
    return scenario


def does_not_read(server):
    """Asks for much and takes nothing."""
    with server.connect(rcvbuf=4096) as c:
        c.request("GET", "/big.bin")
        time.sleep(TIMEOUT * 2)
        return c.read_rest(reset_is_end=True)


def does_not_read_pipelined(server):
    with server.connect(rcvbuf=4096) as c:
        c.send(make_request("GET", "/medium.bin") * 300)
        time.sleep(TIMEOUT * 2)
        return c.read_rest(reset_is_end=True)


def pauses_shorter_than_timeout(server):
    with server.connect(rcvbuf=65536) as c:
        c.request("GET", "/big.bin")
        c.read_head()
        time.sleep(TIMEOUT * 0.5)
        return c.read_exactly(BIG)


def reads_slowly(server):
    """Takes longer than Timeout in all, but never stands still."""
    with server.connect(rcvbuf=65536, deadline=2 * DEADLINE) as c:
        start = time.monotonic()
        c.request("GET", "/big.bin")
        c.read_head()
        parts = [c.read_exactly(BIG // 16)]
        for _ in range(15):
            time.sleep(0.17)
            parts.append(c.read_exactly(BIG // 16))
        return b"".join(parts), time.monotonic() - start


def endless_body(server):
    """What nobody wants is stepped over, but not for ever."""
    chunk = b"8000\r\n" + b"x" * 0x8000 + b"\r\n"
    with server.connect() as c:
        c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n")
        start = time.monotonic()
        try:
            while time.monotonic() - start < DEADLINE:
                c.send(chunk)
                time.sleep(0.02)
        except ConnectionError:
            pass
        return time.monotonic() - start


def works_meanwhile(server):
    """The others' waiting holds nobody up."""
    slowest = 0.0
    for _ in range(15):
        start = time.monotonic()
        assert server.get("/hello.txt").body == tree.HELLO
        slowest = max(slowest, time.monotonic() - start)
        time.sleep(0.15)
    return slowest


HEAD_PARTS = [b"G", b"GET /hello.txt HTTP/1.1", b"GET / HTTP/1.1\r\n",
              b"GET / HTTP/1.1\r\nHost: a\r\n",
              b"GET / HTTP/1.1\r\nHost: a\r\n\r"]
BODIES = [(b"Content-Length: 10\r\n", b""),
          (b"Content-Length: 10\r\n", b"12345"),
          (b"Transfer-Encoding: chunked\r\n", b""),
          (b"Transfer-Encoding: chunked\r\n", b"5\r\nab")]

SCENARIOS = {f.__name__: f for f in (
    silent, idle_after_a_request, idle_but_not_too_long,
    idle_after_pipelining, empty_lines, dribbled_head, dribbled_second_head,
    slow_but_in_time_head, does_not_read, does_not_read_pipelined,
    pauses_shorter_than_timeout, reads_slowly, endless_body,
    works_meanwhile)}
SCENARIOS.update({f"head{i}": unfinished(part)
                  for i, part in enumerate(HEAD_PARTS)})
SCENARIOS.update({f"body{i}": body_that_does_not_come(*case)
                  for i, case in enumerate(BODIES)})


@pytest.fixture(scope="module")
def results(module_weir):
    server = module_weir(CONFIG)
    server.put("big.bin", tree.content(BIG))
    server.put("medium.bin", tree.content(50000))

    def run(scenario):
        try:
            return SimpleNamespace(value=scenario(server), failure=None)
        except Exception as failure:  # told by the test it belongs to
            return SimpleNamespace(value=None, failure=failure)

    return dict(zip(SCENARIOS, side_by_side(
        [lambda s=s: run(s) for s in SCENARIOS.values()])))


@pytest.fixture
def result(results):
    def get(name):
        if results[name].failure:
            raise results[name].failure
        return results[name].value
    return get


def assert_time(took, limit):
    """Not before; and long before the test's own deadline."""
    assert took > limit - EARLY
    assert took < limit + 4


def assert_timed_out(answer):
    """Closed without a word, or told why."""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 408 "), answer


def test_silent_connection(result):
    answer, took = result("silent")
    assert_timed_out(answer)
    assert_time(took, min(HEAD, KEEP_ALIVE))


def test_idle_connection(result):
    answer, took = result("idle_after_a_request")
    assert answer == b""  # nothing was asked, so nothing is said
    assert_time(took, KEEP_ALIVE)


def test_idle_connection_after_pipelining(result):
    answer, took = result("idle_after_pipelining")
    assert answer == b""
    assert_time(took, KEEP_ALIVE)


def test_busy_connection_is_kept(result):
    assert result("idle_but_not_too_long")


def test_empty_lines_do_not_keep_a_connection(result):
    assert result("empty_lines") < 7  # of the 9 that it would take


@pytest.mark.parametrize("number", range(len(HEAD_PARTS)))
def test_unfinished_head(result, number):
    answer, took = result(f"head{number}")
    assert_timed_out(answer)
    assert_time(took, HEAD)


def test_dribbled_head(result):
    answer, took = result("dribbled_head")
    assert_timed_out(answer)
    assert_time(took, HEAD)


def test_dribbled_second_head(result):
    answer, took = result("dribbled_second_head")
    assert_timed_out(answer)
    assert_time(took, min(HEAD, KEEP_ALIVE))


def test_slow_head_in_time(result):
    response = result("slow_but_in_time_head")
    assert response.status == 200
    assert response.body == tree.HELLO


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_body_that_does_not_come(result, number):
    """Answered already, or refused, and closed in time."""
    statuses, took = result(f"body{number}")
    assert statuses in ([], [200], [408])
    assert took < TIMEOUT + HEAD + 4


def test_endless_body(result):
    assert result("endless_body") < DEADLINE - 2


def test_client_that_does_not_read(result):
    """Cut: only what was in buffers comes."""
    data = result("does_not_read")
    assert 0 < len(data) < BIG
    head, _, body = data.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    assert tree.content(BIG).startswith(body)


def test_client_that_does_not_read_pipelined(result):
    assert len(result("does_not_read_pipelined")) < 300 * 50000


def test_pause_shorter_than_timeout(result):
    assert result("pauses_shorter_than_timeout") == tree.content(BIG)


def test_slow_reader_is_not_cut(result):
    data, took = result("reads_slowly")
    assert took > TIMEOUT  # else it shows nothing
    assert data == tree.content(BIG)


def test_others_are_served_meanwhile(result):
    assert result("works_meanwhile") < 2.0


def test_nothing_is_cut_before_its_time(weir):
    """With long time-outs a slow client has time."""
    server = weir("Timeout 20\nKeepAliveTimeout 20\n"
                  "RequestReadTimeout header=20\n")

    def pause_in_head():
        with server.connect() as c:
            c.send_in_pieces(make_request("GET", "/hello.txt"), 9, 0.2)
            assert c.read_response().status == 200

    def pause_between():
        with server.connect() as c:
            c.expect_served()
            c.expect_open(1.0)
            c.expect_served()

    def silent_for_a_while():
        with server.connect() as c:
            c.expect_open(1.0)
            c.expect_served()

    side_by_side([pause_in_head, pause_between, silent_for_a_while])


def test_silence_is_late(weir):
    """The tests' own deadline works: a server that waits is not one that
    closed."""
    server = weir("KeepAliveTimeout 20\nRequestReadTimeout header=20\n")
    with server.connect(deadline=0.2) as c, pytest.raises(Late):
        c.send(b"GET ")
        c.read_rest()
