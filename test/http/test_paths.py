"""From a URL to a file, and never out of the root."""

import time
import urllib.parse

import pytest

import tree
from client import side_by_side


def get_raw(site, target, fields=b""):
    """A target as raw bytes."""
    with site.connect() as c:
        c.send(b"GET " + target + b" HTTP/1.1\r\nHost: localhost\r\n"
               b"Connection: close\r\n" + fields + b"\r\n")
        response = c.read_response()
        c.expect_close(reset_is_end=response.status == 400)
        return response


@pytest.mark.parametrize("target,name", [
    (b"/", "index.html"),
    (b"/index.html", "index.html"),
    (b"/hello.txt", "hello.txt"),
    (b"/hello.txt?", "hello.txt"),
    (b"/hello.txt?query", "hello.txt"),
    (b"/hello.txt?/../../etc/passwd", "hello.txt"),
    (b"/hello.txt?a=%00%2f%0a", "hello.txt"),
    (b"/hello.txt?a?b?c", "hello.txt"),
    (b"/%68%65%6c%6C%6f.txt", "hello.txt"),
    (b"/hello%2Etxt", "hello.txt"),
    (b"/hello%2etxt", "hello.txt"),
    (b"//hello.txt", "hello.txt"),
    (b"///hello.txt", "hello.txt"),
    (b"/dir//file.txt", "dir/file.txt"),
    (b"//dir///deep////er//file.txt", "dir/deep/er/file.txt"),
    (b"/./hello.txt", "hello.txt"),
    (b"/././hello.txt", "hello.txt"),
    (b"/dir/./file.txt", "dir/file.txt"),
    (b"/dir/../hello.txt", "hello.txt"),
    (b"/dir/deep/../file.txt", "dir/file.txt"),
    (b"/dir/deep/er/../../file.txt", "dir/file.txt"),
    (b"/not-there/../hello.txt", "hello.txt"),
    (b"/dir/", "dir/index.html"),
    (b"/dir/.", "dir/index.html"),
    (b"/dir/./", "dir/index.html"),
    (b"/dir/deep/..", "dir/index.html"),
    (b"/dir/?query", "dir/index.html"),
    (b"/dir//", "dir/index.html"),
    (b"/other/", "other/start.txt"),
    (b"/sp%20ace.txt", "sp ace.txt"),
    (b"/per%2541cent.txt", "per%41cent.txt"),
    (b"/plus+sign.txt", "plus+sign.txt"),
    (b"/plus%2Bsign.txt", "plus+sign.txt"),
    (b"/semi;colon.txt", "semi;colon.txt"),
    (b"/semi%3bcolon.txt", "semi;colon.txt"),
    (b"/qm%3F.txt", "qm?.txt"),
    (b"/hash%23.txt", "hash#.txt"),
    (b"/u%CC%88mlaut.txt", "u\u0308mlaut.txt"),
    (b"/...", "..."),
    (b"/..dots.txt", "..dots.txt"),
    (b"/%2E.dots.txt", "..dots.txt"),
    (b"/noextension", "noextension"),
    (b"/denied/again/file.txt", "denied/again/file.txt"),
])
def test_found(site, target, name):
    response = get_raw(site, target)
    assert response.status == 200, response.head
    assert response.body == tree.FILES[name]


@pytest.mark.parametrize("target", [
    b"/missing", b"/missing/", b"/missing.html", b"/dir/missing",
    b"/missing/missing", b"/hello", b"/hello.tx", b"/hello.txt.gz",
    b"/HELLO.TXT", b"/Dir/", b"/index.htm",
    b"/hello.txt/", b"/hello.txt//", b"/hello.txt/more", b"/hello.txt/.",
    b"/0.bin/", b"/dir/file.txt/index.html",
    b"/hello.txt%20", b"/hello.txt.", b"/%20hello.txt", b"/hello.txt%3fq",
    b"/per%41cent.txt", b"/perAcent.txt", b"/hello%252etxt",
    b"/plus%20sign.txt", b"/sp+ace.txt",
    b"/dir%2Ffile.txt", b"/dir%2ffile.txt", b"/%2Fhello.txt", b"/dir%2f",
    b"/dir%5Cfile.txt",
    b"/hello.txt%0a", b"/hello.txt%0d%0a", b"/%0d%0aX:%20y",
    b"/" + b"a" * 255, b"/" + b"a" * 256, b"/" + b"a/" * 1500,
    b"/link-nowhere",
])
def test_not_found(site, target):
    assert get_raw(site, target).status == 404


@pytest.mark.parametrize("target", [
    b"/%", b"/%4", b"/%zz", b"/%4g", b"/%g4", b"/hello.txt%", b"/%-1",
    b"/% 1", b"/%%41", b"/%u0041", b"/hello.txt%2", b"/%+4.txt"])
def test_malformed_escape(site, target):
    assert get_raw(site, target).status == 400


@pytest.mark.parametrize("target", [
    b"/%00", b"/hello.txt%00", b"/hello%00.txt", b"/%00hello.txt",
    b"/hello.txt%00.html", b"/dir/%00/file.txt", b"/dir%00/"])
def test_NUL(site, target):
    assert get_raw(site, target).status in (400, 404)


@pytest.mark.parametrize("target", [
    b"/..", b"/../", b"/../hello.txt", b"/../../hello.txt",
    b"/dir/../../hello.txt", b"/%2e%2e/hello.txt", b"/.%2e/hello.txt",
    b"/%2E./hello.txt", b"/dir/%2e%2e/hello.txt", b"/dir/.%2E/hello.txt",
    b"/%2e/hello.txt", b"//../hello.txt", b"/./../hello.txt"])
def test_dot_segments_at_the_root(site, target):
    """Stay at the root, or are refused; nothing else."""
    response = get_raw(site, target)
    if response.status == 200:
        assert response.body in (tree.HELLO, tree.INDEX)
    else:
        assert response.status in (400, 403, 404)


UP = ["..", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "..%2f..", "..%2F..",
      "..%5c..", "..\\..", "%252e%252e", "..%252f..", "%c0%ae%c0%ae",
      "%c0%2e%c0%2e", "%e0%80%ae%e0%80%ae", "..%c0%af..", "..;", "..;a=b",
      "..%00", "%00..", ". .", "..%20", "%20..", "...", "....", "..//..",
      "../.", "./..", "..%09", "%uff0e%uff0e", "\xff\xfe.", "..%3f",
      "%2e%2e%2f%2e%2e", "..%0d", "..%0a"]
GOALS = ["outside/secret.txt", "etc/passwd", "weir.conf", "logs/access.log"]


def test_dot_segments_never_leave_the_root(site):
    def attempt(target):
        response = get_raw(site, target.encode("latin-1"))
        assert response.status in (400, 403, 404), (target, response.head)
        for secret in (b"SECRET", b"root:x:", b"ServerRoot", b'"GET '):
            assert secret not in response.body, target

    side_by_side([
        lambda t=f"{start}{up}{slash}{goal}": attempt(t)
        for start in ("/", "/dir/", "//", "/dir/deep/er/../../../")
        for up in [*UP, *("/".join([u] * 9) for u in UP[:8])]
        for slash in ("/", "%2f", "\\")
        for goal in GOALS], workers=8)


@pytest.mark.parametrize("target", [
    b"/link-out.txt", b"/link-up.txt", b"/link-passwd",
    b"/dirlink-out/secret.txt", b"/dirlink-up/secret.txt", b"/dirlink-out/",
    b"/dirlink-up/", b"/dirlink-out", b"/dirlink-up", b"/link-loop",
    b"/dirlink-in/../../outside/secret.txt", b"/link-loop/x"])
def test_links_never_leave_the_root(site, target):
    response = get_raw(site, target)
    if response.status == 301:  # says no more than that it is a directory
        assert target in (b"/dirlink-out", b"/dirlink-up")
    else:
        assert response.status in (400, 403, 404), response.head
    assert b"SECRET" not in response.body
    assert b"root:x:" not in response.body


def test_links_within_the_root(site):
    for target, name in ((b"/link-in.txt", "hello.txt"),
                         (b"/dirlink-in/file.txt", "dir/file.txt")):
        response = get_raw(site, target)
        if response.status == 200:
            assert response.body == tree.FILES[name]
        else:
            assert response.status in (403, 404)


@pytest.mark.parametrize("target", [b"/unreadable.txt", b"/closed/file.txt",
                                    b"/closed/", b"/denied/file.txt",
                                    b"/denied/", b"/denied/index.html",
                                    b"/denied/deep/file.txt",
                                    b"/denied/missing",
                                    b"//denied//file.txt",
                                    b"/dir/../denied/file.txt",
                                    b"/%64enied/file.txt",
                                    b"/noindex/", b"/empty/"])
def test_forbidden(site, target):
    response = get_raw(site, target)
    # what is missing below a refused directory may be said to be missing
    expected = (403, 404) if target == b"/denied/missing" else (403,)
    assert response.status in expected, response.head
    assert b"SECRET" not in response.body


@pytest.mark.parametrize("target", [b"/fifo", b"/socket", b"/device"])
def test_special_files_neither_hang_nor_are_served(site, target):
    start = time.monotonic()
    assert get_raw(site, target).status in (403, 404)
    assert time.monotonic() - start < 3
    assert get_raw(site, b"/hello.txt").status == 200


@pytest.mark.parametrize("target,path,query", [
    ("/dir", "/dir/", ""),
    ("/dir?a=b&c", "/dir/", "a=b&c"),
    ("/dir?", "/dir/", ""),
    ("/dir/deep", "/dir/deep/", ""),
    ("//dir", "/dir/", ""),
    ("/noindex", "/noindex/", ""),
    ("/dir/../dir/deep/er", "/dir/deep/er/", ""),
    ("/%64ir", "/dir/", ""),
    ("/say?%0d%0aX:y", "/say/", "%0d%0aX:y"),
])
def test_directory_without_slash(site, target, path, query):
    response = site.get(target)
    assert response.status == 301
    location = urllib.parse.urlsplit(response["location"])
    assert (location.path, location.query) == (path, query)
    assert response["content-type"].startswith("text/html")
    assert int(response["content-length"]) == len(response.body) > 0


@pytest.mark.parametrize("host", ["www.example.test:8080", "[::1]:81",
                                  "localhost", "[::1]"])
def test_redirect_names_the_server_as_the_client_did(site, host):
    """The port too: the one that is listened on may not be the one that the
    client sees."""
    location = urllib.parse.urlsplit(site.get("/dir", host=host)["location"])
    assert location.scheme in ("http", "")
    names = [host, ""]
    if host[-1] not in "01":  # no port
        names.append(f"{host}:{site.port}")
    assert location.netloc in names


def test_redirect_can_not_be_led_elsewhere(site):
    for target in ("//example.org/..", "//example.org/../dir",
                   "/%5cexample.org/../dir", "///example.org/%2e%2e/dir"):
        response = site.get(target)
        location = response.get("location") or ""
        assert "example.org" not in location, target


def test_redirect_escapes_what_the_path_holds(site):
    response = get_raw(site, b"/cr%0d%0aX-Evil:%201")
    assert response.get("x-evil") is None
    assert response.status in (301, 400, 404)
    if response.status == 301:
        assert "%0d%0a" in response["location"].lower()


def test_hidden_name_after_a_slash_of_the_query(site):
    assert get_raw(site, b"/dir?/../../x").status == 301
    assert get_raw(site, b"/missing?/hello.txt").status == 404


def test_fragment_is_no_part_of_a_target(site):
    assert get_raw(site, b"/hello.txt#part").status in (400, 404)


@pytest.mark.parametrize("target", [
    b"/caf\xc3\xa9", b"/\xff", b"/a\x80b", b"/dir\\file.txt", b"/a<b>",
    b"/a|b", b"/a^b", b"/{a}", b"/a`b"])
def test_bytes_that_no_target_has(site, target):
    """Not allowed there, but harmless."""
    assert get_raw(site, target).status in (400, 404)
