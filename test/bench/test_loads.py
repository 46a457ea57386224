"""What is read of what load generators print, and of strace's table."""

import json
import os
import threading
import time

import pytest
from weircompare import experiment, loads, measures
from weircompare.trouble import Trouble

WRK = """\
Running 1s test @ http://127.0.0.1:18200/page/00000
  1 threads and 16 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   140.10us   42.00us   2.52ms   92.49%
    Req/Sec   112.21k     2.40k  114.87k    90.91%
  Latency Distribution
     50%  131.00us
     75%  152.00us
     90%    1.20ms
     99%    2.00s
  122840 requests in 1.10s, 147.40MB read
  Socket errors: connect 1, read 2, write 0, timeout 3
  Non-2xx or 3xx responses: 4
Requests/sec: 111663.28
"""
STRACE = """\
syscall                 calls
---------------- ------------
sendto                   2000
epoll_wait               2003
restart_syscall             1
---------------- ------------
total                    4004
"""


def test_wrk():
    found, _ = loads.read_wrk(WRK)
    assert found["done"] == 122840 and found["errors"] == 10
    assert found["rate"] == pytest.approx(122840 / 1.1)
    assert (found["p50_ms"], found["p90_ms"], found["p99_ms"]) == (
        0.131, 1.2, 2000)


def test_wrk_that_fails_is_quoted():
    with pytest.raises(Trouble, match="unable to connect"):
        loads.read_wrk("unable to connect to 127.0.0.1:1 Connection refused")


def test_hammer():
    found, _ = loads.read_hammer(json.dumps(
        {"requests": 200, "secs": 2.0, "rps": 100.0, "bytes": 4000000,
         "errors": 0, "p50": 1000.0, "p90": 2000.0, "p99": 3000.0,
         "p999": 4000.0, "max": 5000.0, "unsent": 0}))
    assert found["rate"] == 100 and found["mb_s"] == 2
    assert found["p999_ms"] == 4 and found["max_ms"] == 5


def test_system_calls():
    assert measures.read_calls(STRACE) == {
        "sendto": 2000, "epoll_wait": 2003, "restart_syscall": 1}


def test_a_board_is_read_by_what_its_counters_are():
    def board(requests, blocked, now):
        totals = {"requests": requests, "hand_overs": 2 * requests,
                  "idle": 7, "blocked_ns": blocked, "helper_jobs": 10,
                  "helper_wait_ns": now}
        return measures.board_counters(
            {"totals": totals, "now_us": now,
             "counter_infos": [{"name": "idle", "kind": "gauge"}],
             "roles": [{"role": "sped", "counters": totals},
                       {"role": "helper", "counters": totals}]})

    found = measures.of_the_board(board(100, 0, 1000000),
                                  board(300, 500000000, 2000000))
    assert found["board.hand_overs"] == 2
    assert "board.idle" not in found
    assert found["stall_ms_s"] == 500  # of the loop, not of the helper
    assert measures.of_the_board({}, {}) == {}


def test_the_sweep_stands_where_it_is_asked_for():
    class Setup:
        tools = {"pace": "pace"}
        port, seed, settle, wrapper = 1, 5, 1.5, []
        documents = {"hot": experiment.Documents("hot", 1, 1)}

        @staticmethod
        def list(kinds):
            return "list"

    load = experiment.Load("slow", "pace", ("hot",), "sweep", beside=True,
                           bytes_per_second=8000)
    line = loads.command(load, 250, experiment.Extent(3, 1, (250,)), Setup)
    assert line[line.index("-c") + 1] == "250"
    assert line[line.index("-b") + 1] == "8000"
    assert line[line.index("-d") + 1] == "3.5"
    assert "-r" not in line


def test_processor_time_of_threads_that_have_ended_counts():
    def work():
        end = time.thread_time() + 0.2
        while time.thread_time() < end:
            pass

    before = measures.cpu_ns(os.getpid())
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert measures.cpu_ns(os.getpid()) - before >= 200000000
    assert measures.cpu_ns(1 << 22) == 0  # no such process


def test_who_has_ended_takes_nothing_away():
    assert measures.grown({"a": [5, 1], "b": [9, 9]},
                          {"a": [7, 1], "c": [3, 2]}) == [5, 2]
