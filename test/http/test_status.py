"""What the server says of itself: mod_status and the scoreboard."""

import json

from conftest import STATUS, wait_for


def test_json_tells_requests_and_connections(weir):
    server = weir()
    before = server.status()["totals"]
    with server.connect() as c:
        for _ in range(5):
            c.request("GET", "/hello.txt")
            assert c.read_response().status == 200
    wait_for(lambda: server.status()["totals"]["idle"] == 0)
    after = server.status()
    assert after["mpm"] == server.mpm
    # Each look at it is a connection and a request, too.
    looks = (after["totals"]["connections"] - before["connections"]) - 1
    assert after["totals"]["requests"] - before["requests"] == 5 + looks


def test_json_is_not_kept_by_caches(weir):
    response = weir().get(f"{STATUS}?json")
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert json.loads(response.body)["version"] == 1
