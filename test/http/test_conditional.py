"""Preconditions (RFC 9110, 13)."""

import email.utils

import pytest

import tree

OLD = "Sun, 06 Nov 1994 08:49:37 GMT"
FUTURE = "Fri, 01 Jan 2100 00:00:00 GMT"


@pytest.fixture(scope="module")
def known(site):
    """A file's validators, as the server says them."""
    response = site.get("/hello.txt")
    return response["etag"], response["last-modified"]


def status(site, *fields, method="GET"):
    return site.get("/hello.txt", method, fields).status


def test_validators_are_strong_and_right(site, known):
    etag, modified = known
    assert etag.startswith('"') and etag.endswith('"')
    stat = (site.www / "hello.txt").stat()
    seconds = email.utils.parsedate_to_datetime(modified).timestamp()
    assert seconds == int(stat.st_mtime)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_if_none_match(site, known, method):
    etag, _ = known
    for value in (etag, f"W/{etag}", f'"x", {etag}', f"{etag}, *", "*",
                  f'"a","b",\t{etag}'):
        with site.connect() as c:
            c.request(method, "/hello.txt", [f"If-None-Match: {value}"])
            response = c.read_response(head=True)
            assert response.status == 304, value
            assert response["etag"] == etag
            assert response.get("date")
            # RFC 9110, 15.4.5: nothing that describes a content not sent
            for name in ("content-length", "content-type"):
                assert response.get(name) is None
            c.expect_served()
    for value in ('"x"', '"x", "y"', etag.strip('"'), etag[:-1], ""):
        assert status(site, f"If-None-Match: {value}") == 200, value


def test_if_none_match_in_two_lines(site, known):
    assert status(site, 'If-None-Match: "x"',
                  f"If-None-Match: {known[0]}") == 304


def test_if_match(site, known):
    etag, _ = known
    for value in (etag, "*", f'"x", {etag}'):
        assert status(site, f"If-Match: {value}") == 200, value
    for value in ('"x"', f"W/{etag}", ""):
        assert status(site, f"If-Match: {value}") == 412, value


def test_if_modified_since(site, known):
    _, modified = known
    assert status(site, f"If-Modified-Since: {modified}") == 304
    assert status(site, f"If-Modified-Since: {FUTURE}") == 304
    assert status(site, f"If-Modified-Since: {OLD}") == 200
    assert status(site, f"If-Modified-Since: {modified}", method="HEAD") == 304
    for value in ("yesterday", "", "0", "Sun, 06 Nov 1994"):
        assert status(site, f"If-Modified-Since: {value}") == 200, value


@pytest.mark.parametrize("form", [
    "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"])
def test_obsolete_dates(site, known, form):
    """RFC 9110, 5.6.7: a recipient accepts all three."""
    when = email.utils.parsedate_to_datetime(known[1])
    assert status(site, f"If-Modified-Since: {when.strftime(form)}") == 304


def test_if_unmodified_since(site, known):
    _, modified = known
    assert status(site, f"If-Unmodified-Since: {modified}") == 200
    assert status(site, f"If-Unmodified-Since: {OLD}") == 412
    assert status(site, "If-Unmodified-Since: never") == 200


def test_precedence(site, known):
    """RFC 9110, 13.2.2."""
    etag, modified = known
    # If-Match makes If-Unmodified-Since void, and comes before the others.
    assert status(site, f"If-Match: {etag}", f"If-Unmodified-Since: {OLD}") \
        == 200
    assert status(site, 'If-Match: "x"', f"If-None-Match: {etag}") == 412
    # If-None-Match makes If-Modified-Since void.
    assert status(site, 'If-None-Match: "x"',
                  f"If-Modified-Since: {modified}") == 200
    assert status(site, f"If-None-Match: {etag}",
                  f"If-Modified-Since: {OLD}") == 304
    # Both groups hold.
    assert status(site, f"If-Match: {etag}", f"If-None-Match: {etag}") == 304


def test_errors_are_not_conditional(site):
    assert site.get("/missing", fields=["If-None-Match: *"]).status == 404
    assert site.get("/hello.txt", "DELETE",
                    ["If-None-Match: *"]).status == 405


def test_changed_file_is_sent_again(weir):
    server = weir("CacheRevalidate 0")
    etag = server.get("/hello.txt")["etag"]
    server.replace("hello.txt", tree.HELLO + b"More.\n")
    response = server.get("/hello.txt", fields=[f"If-None-Match: {etag}"])
    assert response.status == 200
    assert response["etag"] != etag
    assert response.body == tree.HELLO + b"More.\n"
