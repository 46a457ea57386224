"""pace, the load: what it counts and how, on servers that misbehave."""

import socket
import threading
import time

from conftest import respond


def failures(result):
    return {name: n for name, n in result["failed"].items() if n}


def test_closed_loop_in_order_by_class(pace, server):
    one = server()
    got = pace(one.port, ["/a hot", "/b cold", "/c hot"], "-o", "-n", 30,
               "-c", 1, "-d", 20)
    assert one.paths[:6] == ["/a", "/b", "/c"] * 2
    assert got["mode"] == "closed"
    assert got["done"] == 30 and not failures(got)
    assert got["classes"]["hot"]["done"] == 20
    assert got["classes"]["cold"]["done"] == 10
    assert got["connections"] == 1


def test_a_connection_a_request(pace, server):
    one = server()
    got = pace(one.port, ["/a"], "-k", "-n", 10, "-d", 20)
    assert got["done"] == 10 and got["connections"] >= 10


def test_random_urls_are_the_same_for_a_seed(pace, server):
    order = []
    for seed in (1, 1, 2):
        one = server()
        pace(one.port, [f"/{i}" for i in range(50)], "-n", 20, "-s", seed,
             "-d", 20)
        order.append(one.paths[:20])
    assert order[0] == order[1] != order[2]


def test_open_loop_charges_a_stall_to_all_it_delayed(pace, server):
    """The server answers nothing for 600 ms: 120 requests are due meanwhile,
    and each has waited since it was due, though only two could be sent."""
    lock = threading.Lock()
    seen = []

    def answer(_server, connection, _path):
        with lock:
            seen.append(1)
            if len(seen) == 20:
                time.sleep(0.6)
        respond(connection)

    got = pace(server(answer).port, ["/a"], "-r", 200, "-d", 2, "-c", 2)
    assert got["mode"] == "open" and got["offered"] == 400
    assert got["done"] == 400 and not failures(got)
    slow = sum(n for us, n in got["classes"]["all"]["histogram_us"]
               if us > 100000)
    assert slow >= 90
    assert got["classes"]["all"]["total_us"]["max"] >= 590000
    assert got["queued"] > 50


def test_shares_are_those_of_the_slots(pace, server):
    one = pace(server().port, ["/a"], "-n", 500, "-d", 20)["classes"]["all"]
    slots = one["histogram_us"]
    assert sum(n for _, n in slots) == 500 == one["total_us"]["count"]
    for name, share in (("p50", .5), ("p90", .9), ("p99", .99)):
        seen = 0
        for us, n in slots:
            seen += n
            if seen >= int(share * 500):
                break
        assert us <= one["total_us"][name] <= us * 1.02 + 0.01


def test_unanswered_requests_are_counted_with_their_wait(pace, server):
    release = threading.Event()

    def answer(_server, connection, path):
        if path == "/stuck":
            release.wait(30)
        respond(connection)

    got = pace(server(answer).port, ["/stuck", "/a"], "-o", "-r", 20, "-d",
               0.5, "-g", 0.3)
    release.set()
    assert got["failed"]["unfinished"] == 5
    assert got["done"] == 5 and got["offered"] == 10
    assert got["classes"]["all"]["total_us"]["count"] == 10
    assert got["classes"]["all"]["total_us"]["max"] >= 700000


def test_what_never_could_be_sent_is_counted(pace, server):
    """One connection, which is stuck: the others never get one."""
    release = threading.Event()

    def answer(_server, connection, _path):
        release.wait(30)
        respond(connection)

    got = pace(server(answer).port, ["/a"], "-r", 20, "-d", 0.5, "-g", 0.2,
               "-c", 1)
    release.set()
    assert got["done"] == 0 and got["offered"] == 10
    assert got["failed"]["unfinished"] == 10


def test_a_kept_connection_that_was_closed_is_tried_again(pace, server):
    def answer(server, connection, _path):
        respond(connection)
        # The third request finds its connection closed, unannounced.
        return "close" if len(server.paths) == 2 else None

    got = pace(server(answer).port, ["/a"], "-n", 10, "-d", 20)
    assert got["done"] == 10 and not failures(got)
    assert got["connections"] == 2


def test_failures_have_their_names(pace, server):
    def answer(_server, connection, path):
        if path == "/missing":
            respond(connection, status="404 Not Found")
        elif path == "/short":
            connection.sendall(b"HTTP/1.1 200 OK\r\n"
                               b"Content-Length: 9\r\n\r\na")
            return "close"
        elif path == "/strange":
            connection.sendall(b"SIP/2.0 200 OK\r\n\r\n")
            return "close"
        else:
            respond(connection)
        return None

    got = pace(server(answer).port, ["/missing", "/short", "/strange", "/ok"],
               "-o", "-n", 2, "-c", 1, "-d", 20)
    assert got["done"] == 2
    assert got["failed"]["status"] in (1, 2)
    assert got["failed"]["closed"] in (1, 2)
    assert got["failed"]["malformed"] in (1, 2)


def test_nobody_listens(pace):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        got = pace(taken.getsockname()[1], ["/a"], "-d", 0.2)
    assert got["done"] == 0 and got["failed"]["connect"] > 0


def test_slow_readers_take_their_time(pace, server):
    body = bytes(200000)

    def answer(_server, connection, _path):
        respond(connection, body)

    got = pace(server(answer).port, ["/a"], "-b", 200000, "-c", 3, "-n", 3,
               "-w", 4096, "-d", 30)
    assert got["done"] == 3 and not failures(got)
    assert got["classes"]["all"]["total_us"]["p50"] >= 900000


def test_warm_up_does_not_count(pace, server):
    one = server()
    got = pace(one.port, ["/a"], "-r", 50, "-W", 0.4, "-d", 0.4)
    assert got["offered"] == got["done"] == 20
    assert len(one.paths) == 40
