"""What a cached request costs in calls to the kernel, of every architecture.

Counts, which no machine's speed changes; docs/performance.md explains them.
"""

import os

import pytest

import tree
from strace import Trace

REQUESTS = 200
# Each waited for, on one kept connection, with the access log on.
CALLS = {"sped": 3, "amped": 3, "mt": 3, "mp": 3, "hybrid": 5, "proactor": 2}
SPARE = 0.1  # for what comes once in many: a log, a timer


def test_a_cached_request_costs_no_more_calls(weir, variant):
    if variant.name not in CALLS:
        pytest.skip("no such count for this one")
    if "ASAN_OPTIONS" in os.environ:
        pytest.skip("a sanitizer makes calls of its own")
    processes = "" if variant.mpm == "mp" else "Processes 1"
    server = weir(f"CacheRevalidate 1h\nMaxKeepAliveRequests 0\n{processes}")
    with server.connect(deadline=60) as client:
        def ask(count):
            for _ in range(count):
                client.request("GET", "/hello.txt")
                assert client.read_response().body == tree.HELLO

        ask(20)
        with Trace(server) as trace:
            ask(REQUESTS)
    assert len(trace.calls) / REQUESTS <= CALLS[variant.name] * (1 + SPARE)


def test_no_accept_is_vain(weir, variant):
    """Which would make a socket and throw it away: who accepts knows how many
    connections there are."""
    if variant.mpm == "proactor":
        pytest.skip("the kernel accepts for it")
    if variant.mpm == "mp":
        pytest.skip("several processes can hear of the same connection")
    server = weir("Processes 1")
    server.get("/hello.txt")
    with Trace(server) as trace:
        for _ in range(20):
            assert server.get("/hello.txt").body == tree.HELLO
    accepts = [call.result for call in trace.calls if call.name == "accept4"]
    assert len(accepts) == 20
    assert not [result for result in accepts if result.startswith("-1")]


def test_what_is_held_back_is_let_go(weir, variant):
    """TCP_CORK, around what sendfile() sends in many chunks: a client must
    never wait for the time after which the kernel gives in."""
    if variant.mpm == "proactor":
        pytest.skip("it has no sendfile()")
    server = weir("CacheContent descriptor\nSendQuantum 256K\n")
    server.put("large", bytes(range(256)) * 4096)
    with server.connect(deadline=60) as client:
        with Trace(server) as trace:
            for fields in ([], ["Range: bytes=5-"], ["Range: bytes=0-9"]):
                client.request("GET", "/large", fields)
                assert client.read_response().status in (200, 206)
    held = [call.args.split("TCP_CORK, ")[1][:3] for call in trace.calls
            if call.name == "setsockopt" and "TCP_CORK" in call.args]
    assert held and len(held) % 2 == 0
    assert held == ["[1]", "[0]"] * (len(held) // 2)
