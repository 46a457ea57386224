"""Files that change: cached, and while they are sent."""

import os
import shutil
import time

import pytest

import sleepers
import tree
from client import side_by_side
from conftest import wait_for
from gate import Gates

SHORTER = "has become shorter while it is sent"
FRESH = "CacheRevalidate 0\nTimeout 5\nMaxKeepAliveRequests 0\n"


@pytest.fixture(scope="module")
def fresh(module_weir):
    """A server that looks at a file at each request.  Each test has files
    of its own."""
    server = module_weir(FRESH)
    server.allow_errors(SHORTER)
    return server


def tick():
    """Let the file system's clock go on, so that a change has its time."""
    time.sleep(0.02)


def assert_content(server, target, data):
    response = server.get(target)
    assert response.status == 200, response.head
    assert response["content-length"] == str(len(data))
    assert response.body == data
    return response


@pytest.mark.parametrize("size", [100, 5000, 300000])
def test_replaced(fresh, size):
    name = f"replaced{size}.bin"
    fresh.put(name, tree.content(size, 1))
    first = assert_content(fresh, "/" + name, tree.content(size, 1))
    for seed in (2, 3):
        tick()
        fresh.replace(name, tree.content(size, seed))
        then = assert_content(fresh, "/" + name, tree.content(size, seed))
        assert then["etag"] != first["etag"]
        first = then


@pytest.mark.parametrize("size", [100, 5000, 300000])
def test_overwritten(fresh, size):
    name = f"overwritten{size}.bin"
    fresh.put(name, tree.content(size, 1))
    first = assert_content(fresh, "/" + name, tree.content(size, 1))
    tick()
    fresh.put(name, tree.content(size, 2))
    then = assert_content(fresh, "/" + name, tree.content(size, 2))
    assert then["etag"] != first["etag"]


@pytest.mark.parametrize("sizes", [
    (100, 5000), (5000, 100), (100, 0), (0, 100), (100, 300000),
    (300000, 100), (300000, 299999), (300000, 300001), (4096, 8192),
    (65536, 65537), (65537, 65536)])
def test_size_changed(fresh, sizes):
    name = f"changed{sizes[0]}-{sizes[1]}.bin"
    fresh.put(name, tree.content(sizes[0], 1))
    assert_content(fresh, "/" + name, tree.content(sizes[0], 1))
    tick()
    fresh.put(name, tree.content(sizes[1], 2))
    assert_content(fresh, "/" + name, tree.content(sizes[1], 2))


def test_appended(fresh):
    fresh.put("appended.txt", b"one\n")
    assert_content(fresh, "/appended.txt", b"one\n")
    tick()
    with open(fresh.www / "appended.txt", "ab") as f:
        f.write(b"two\n")
    assert_content(fresh, "/appended.txt", b"one\ntwo\n")


def test_removed_and_made_again(fresh):
    fresh.put("removed.txt", b"one\n")
    for data in (b"one\n", b"two, longer\n"):
        assert_content(fresh, "/removed.txt", data)
        (fresh.www / "removed.txt").unlink()
        assert fresh.get("/removed.txt").status == 404
        tick()
        fresh.put("removed.txt", b"two, longer\n")
    assert_content(fresh, "/removed.txt", b"two, longer\n")


def test_made_after_it_was_missing(fresh):
    assert fresh.get("/made.txt").status == 404
    fresh.put("made.txt", b"made\n")
    assert_content(fresh, "/made.txt", b"made\n")


def test_made_unreadable(fresh):
    fresh.put("private.txt", b"public\n")
    assert_content(fresh, "/private.txt", b"public\n")
    (fresh.www / "private.txt").chmod(0)
    assert fresh.get("/private.txt").status == 403
    (fresh.www / "private.txt").chmod(0o644)
    assert_content(fresh, "/private.txt", b"public\n")


def test_file_becomes_a_directory_and_back(fresh):
    fresh.put("turns", b"a file\n")
    assert_content(fresh, "/turns", b"a file\n")
    (fresh.www / "turns").unlink()
    fresh.put("turns/index.html", b"an index\n")
    assert fresh.get("/turns").status == 301
    assert_content(fresh, "/turns/", b"an index\n")
    shutil.rmtree(fresh.www / "turns")
    fresh.put("turns", b"a file again\n")
    assert_content(fresh, "/turns", b"a file again\n")
    assert fresh.get("/turns/").status == 404


def test_directory_is_replaced(fresh):
    fresh.put("folder/file.txt", b"old\n")
    assert_content(fresh, "/folder/file.txt", b"old\n")
    fresh.put("folder2/file.txt", b"new\n")
    shutil.rmtree(fresh.www / "folder")
    os.rename(fresh.www / "folder2", fresh.www / "folder")
    assert_content(fresh, "/folder/file.txt", b"new\n")


def test_directory_becomes_a_link_out(fresh):
    outside = fresh.root / "outside"
    outside.mkdir()
    (outside / "file.txt").write_bytes(tree.SECRET)
    fresh.put("inside/file.txt", b"inside\n")
    assert_content(fresh, "/inside/file.txt", b"inside\n")
    shutil.rmtree(fresh.www / "inside")
    (fresh.www / "inside").symlink_to(outside)
    response = fresh.get("/inside/file.txt")
    assert response.status in (403, 404)
    assert tree.SECRET not in response.body


def test_index_comes_and_goes(fresh):
    fresh.put("pages/other.txt", b"x\n")
    assert fresh.get("/pages/").status == 403
    fresh.put("pages/index.html", b"index\n")
    assert_content(fresh, "/pages/", b"index\n")
    (fresh.www / "pages/index.html").unlink()
    assert fresh.get("/pages/").status == 403


def test_unchanged_file_is_looked_at_again_in_time(weir):
    """With an interval: at the latest when it has passed."""
    server = weir("CacheRevalidate 300ms")
    server.put("a.txt", b"old\n")
    assert_content(server, "/a.txt", b"old\n")
    tick()
    server.replace("a.txt", b"new one\n")
    assert server.get("/a.txt").body in (b"old\n", b"new one\n")
    time.sleep(0.5)
    assert_content(server, "/a.txt", b"new one\n")
    (server.www / "a.txt").unlink()
    assert server.get("/a.txt").status in (200, 404)
    time.sleep(0.5)
    assert server.get("/a.txt").status == 404


def test_more_files_than_the_cache_holds(weir):
    server = weir("CacheEntries 16\nCacheSize 64K\nCacheMaxFile 8K\n")
    names = []
    for i in range(100):
        names.append(f"f{i}.bin")
        server.put(names[-1], tree.content(100 + 131 * i, i))

    def client(start):
        with server.connect() as c:
            for i in range(200):
                n = (start + i * 37) % 100
                c.request("GET", "/" + names[n])
                assert c.read_response().body == tree.content(
                    100 + 131 * n, n)

    side_by_side([lambda s=s: client(s) for s in range(0, 80, 10)])


@pytest.mark.parametrize("switches", [
    "CachePaths Off\n", "CacheHeaders Off\n", "CacheContent Off\n",
    "CachePaths Off\nCacheHeaders Off\nCacheContent Off\n"])
def test_caches_switched_off(weir, switches):
    server = weir(switches + FRESH)
    for size in (0, 1, 4096, 65537):
        server.put(f"{size}.bin", tree.content(size))
        for _ in range(2):
            assert_content(server, f"/{size}.bin", tree.content(size))
    tick()
    server.replace("4096.bin", tree.content(4096, 2))
    assert_content(server, "/4096.bin", tree.content(4096, 2))


# While it is sent.  The client's buffer is small, so that the server is in
# the midst of it.

SIZE = 8 << 20


def start_to_read(server, name):
    """Ask, and read the head and a little."""
    c = server.connect(rcvbuf=16384)
    c.request("GET", "/" + name)
    head = c.read_head()
    assert head.status == 200
    assert head["content-length"] == str(SIZE)
    return c, c.read_exactly(10000)


def test_truncated_while_sent(fresh):
    """The connection is closed; what came is of the file.

    Pages that were cut off while they were on their way may have been cleared
    by the kernel, which keeps no copy of what sendfile() was given.
    """
    data = tree.content(SIZE, 11)
    fresh.put("cut.bin", data)
    c, start = start_to_read(fresh, "cut.bin")
    with c:
        os.truncate(fresh.www / "cut.bin", 65536)
        body = start + c.read_rest(reset_is_end=True)
    assert len(body) < SIZE
    assert data.startswith(body[:65536])
    for i in range(65536, len(body), 4096):
        page = body[i:i + 4096]
        assert page == data[i:i + len(page)] or not any(page)
    assert_content(fresh, "/cut.bin", data[:65536])


def test_replaced_while_sent(fresh):
    data = tree.content(SIZE, 12)
    fresh.put("swap.bin", data)
    c, start = start_to_read(fresh, "swap.bin")
    with c:
        fresh.replace("swap.bin", tree.content(SIZE, 13))
        assert start + c.read_exactly(SIZE - len(start)) == data
        c.request("GET", "/swap.bin")
        assert c.read_response().body == tree.content(SIZE, 13)


def test_removed_while_sent(fresh):
    data = tree.content(SIZE, 14)
    fresh.put("gone.bin", data)
    c, start = start_to_read(fresh, "gone.bin")
    with c:
        (fresh.www / "gone.bin").unlink()
        assert start + c.read_exactly(SIZE - len(start)) == data
        c.request("GET", "/gone.bin")
        assert c.read_response().status == 404


def test_grown_while_sent(fresh):
    """As long as was announced, and the next response in its place."""
    data = tree.content(SIZE, 15)
    fresh.put("grows.bin", data)
    c, start = start_to_read(fresh, "grows.bin")
    with c:
        with open(fresh.www / "grows.bin", "ab") as f:
            f.write(b"more" * 10000)
        assert start + c.read_exactly(SIZE - len(start)) == data
        c.expect_served()


def test_changing_under_load(fresh):
    """Small files replaced again and again: each answer is one of them,
    whole."""
    versions = [tree.content(3000 + 1000 * i, 20 + i) for i in range(4)]
    fresh.put("busy.bin", versions[0])
    end = time.monotonic() + 1.0

    def change():
        i = 0
        while time.monotonic() < end:
            i += 1
            fresh.replace("busy.bin", versions[i % 4])

    def read():
        with fresh.connect() as c:
            while time.monotonic() < end:
                c.request("GET", "/busy.bin")
                response = c.read_response()
                assert response.status == 200
                assert response.body in versions

    side_by_side([change] + [read] * 4)


# Mapped files: what is behind the end of one that was truncated may not be
# touched.

LASTING = "CacheContent mmap\nCacheRevalidate 1h\nTimeout 5\n"


@pytest.mark.parametrize("cut", [0, 100, 4096, 20000, 49999])
def test_mapped_and_truncated(weir, cut):
    """In the time in which no one looks: the response ends too early, and what
    comes of it is the file's."""
    server = weir(LASTING)
    server.allow_errors("a.bin " + SHORTER)
    data = tree.content(50000)
    server.put("a.bin", data)
    server.put("b.bin", data)
    with server.connect() as c:  # one process, so one cache
        for _ in range(2):
            assert c.expect_served("/a.bin").body == data
        os.truncate(server.www / "a.bin", cut)
        c.request("GET", "/a.bin")
        response = c.read_response(partial=True)
        assert not response.complete
        assert data.startswith(response.body)
    wait_for(lambda: "a.bin " + SHORTER in server.error_log())
    assert_content(server, "/b.bin", data)


def test_mapped_and_replaced(weir):
    """Who replaces a file leaves the old one to those who have it."""
    server = weir(LASTING)
    server.put("a.bin", tree.content(50000, 1))
    with server.connect() as c:  # one process, so one cache
        assert c.expect_served("/a.bin").body == tree.content(50000, 1)
        server.replace("a.bin", tree.content(50000, 2))
        assert c.expect_served("/a.bin").body == tree.content(50000, 1)


def test_mapped_in_parts_and_by_modules(weir):
    """Who wants its bytes in memory reads them."""
    server = weir(LASTING + "EnableSendfile Off\nErrorDocument 404 /e.html\n"
                  "AddHandler send-as-is asis\n")
    data = tree.content(50000)
    server.put("a.bin", data)
    server.put("e.html", b"<p>an error")
    server.put("a.asis", b"Status: 201 Made\n\nas it is")
    for _ in range(2):
        assert_content(server, "/a.bin", data)
        assert server.get("/none").body == b"<p>an error"
        assert server.get("/a.asis").body == b"as it is"
        part = server.get("/a.bin", fields=["Range: bytes=10-19,40000-49999"])
        assert part.status == 206
        assert data[10:20] in part.body and data[40000:] in part.body


# One fetch for all who want the same.

FETCHERS = 8
WORKERS = """
<MPM hybrid>
    ThreadsPerChild 2
</MPM>
"""


def test_one_fetch_for_all(weir, variant):
    """While a file is being looked for, it is so once; and so it takes one
    worker, not all, from others."""
    server = weir(WORKERS)
    if server.mpm in ("mp", "mt", "sped"):
        pytest.skip("calls are made where they are wanted")
    if variant.nature is None:
        pytest.skip("a request may wait behind one that stands still")
    assert server.get("/none").status == 404
    server.put("other.txt", b"other")
    with Gates() as gates:
        gates.shut(server.put("slow.txt", b"slow"))
        clients = [server.connect(deadline=30) for _ in range(FETCHERS)]
        for c in clients:
            c.request("GET", "/slow.txt")
            sleepers.wait_until_asleep(server, c.sock)
            assert gates.waiting() == 1
        assert server.get("/other.txt").body == b"other"
        gates.open()
        for c in clients:
            assert c.read_response().body == b"slow"
            c.expect_served("/other.txt")
            c.close()
