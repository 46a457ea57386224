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
