"""Where a request's body ends (RFC 9112, 6 and 7): the table, case by case.

After each body a second request is sent on the same connection.  Either the
first is taken as it is framed and the second answered, or the first is refused
and nothing after it is looked at.  Bodies hold a request of their own, for a
file that nobody asked for: were a body taken for a request, it would show.
"""

import time

import pytest

import tree
from client import Closed, make_request, side_by_side

INNER = b"GET /a.png? HTTP/1.1\r\nHost: localhost\r\n\r\n"
LEN = b"%d" % len(INNER)
assert len(INNER) == 41 == 0x29  # as in the tables below
NEXT = make_request("GET", "/a.css", ["Connection: close"])
CSS = tree.FILES["a.css"]


def chunked(data=INNER, size=None, end=b"0\r\n\r\n", extension=b""):
    size = size or len(data)
    return b"".join(
        b"%x%s\r\n%s\r\n" % (len(data[i:i + size]), extension,
                             data[i:i + size])
        for i in range(0, len(data), size)) + end


def exchange(site, fields, body, version=b"1.1", method=b"GET",
             pause_before_body=0.0):
    """Send a request and NEXT; all responses until the close."""
    head = (method + b" /hello.txt HTTP/" + version
            + b"\r\nHost: localhost\r\n" + fields + b"\r\n")
    responses = []
    with site.connect() as c:
        if pause_before_body:
            c.send(head)
            time.sleep(pause_before_body)
            c.send(body + NEXT)
        else:
            c.send(head + body + NEXT)
        try:
            while c.data or c.receive():
                responses.append(c.read_response())
        except ConnectionResetError:
            assert responses, "reset before the refusal was read"
    return responses


def assert_taken(responses, first=200):
    """The body was stepped over and the next request answered."""
    assert [r.status for r in responses] == [first, 200], responses
    if first == 200:
        assert responses[0].body == tree.HELLO
    assert responses[1].body == CSS
    assert responses[1].closes


def assert_refused(responses, *statuses):
    """One refusal, then nothing more."""
    assert len(responses) == 1, responses
    assert responses[0].status in statuses, responses[0].head
    assert responses[0].closes


TAKEN = {
    # 6.3: neither field: no body
    "no body": (b"", b""),
    # 6.2: Content-Length
    "CL": (b"Content-Length: " + LEN + b"\r\n", INNER),
    "CL 0": (b"Content-Length: 0\r\n", b""),
    "CL 00": (b"Content-Length: 00\r\n", b""),
    "CL leading zeros": (b"Content-Length: 000" + LEN + b"\r\n", INNER),
    "CL no space": (b"Content-Length:" + LEN + b"\r\n", INNER),
    "CL spaces around": (b"Content-Length: \t " + LEN + b" \t\r\n", INNER),
    "CL name in capitals": (b"CONTENT-LENGTH: " + LEN + b"\r\n", INNER),
    "CL large": (b"Content-Length: 90000\r\n", INNER[:40] * 2250),
    # 6.1, 7.1: chunked
    "chunked": (b"Transfer-Encoding: chunked\r\n", chunked()),
    "chunked in capitals": (b"TRANSFER-ENCODING: CHUNKED\r\n", chunked()),
    "chunked empty": (b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n"),
    "chunked zeros": (b"Transfer-Encoding: chunked\r\n", b"000\r\n\r\n"),
    "chunks of 1": (b"Transfer-Encoding: chunked\r\n", chunked(size=1)),
    "chunks of 7": (b"Transfer-Encoding: chunked\r\n", chunked(size=7)),
    "chunk size leading zeros":
        (b"Transfer-Encoding: chunked\r\n",
         b"000%x\r\n%s\r\n0\r\n\r\n" % (len(INNER), INNER)),
    "chunk size in lower case":
        (b"Transfer-Encoding: chunked\r\n",
         b"a\r\n0123456789\r\n0\r\n\r\n"),
    "chunk size in upper case":
        (b"Transfer-Encoding: chunked\r\n",
         b"A\r\n0123456789\r\n0\r\n\r\n"),
    "chunk extension": (b"Transfer-Encoding: chunked\r\n",
                        chunked(extension=b";name=value")),
    "chunk extension without value":
        (b"Transfer-Encoding: chunked\r\n", chunked(extension=b";name")),
    "chunk extension quoted":
        (b"Transfer-Encoding: chunked\r\n",
         chunked(extension=b";a=\"b c\";d=e")),
    "last chunk's extension":
        (b"Transfer-Encoding: chunked\r\n", chunked(end=b"0;a=b\r\n\r\n")),
    "trailer": (b"Transfer-Encoding: chunked\r\n",
                chunked(end=b"0\r\nName: value\r\n\r\n")),
    "trailers": (b"Transfer-Encoding: chunked\r\n",
                 chunked(end=b"0\r\nA: b\r\nC:\r\nD: e f\r\n\r\n")),
    "trailer that would frame":
        (b"Transfer-Encoding: chunked\r\n",
         chunked(end=b"0\r\nContent-Length: 500\r\n\r\n")),
    "chunked large": (b"Transfer-Encoding: chunked\r\n",
                      chunked(INNER[:40] * 2000, 8000)),
}

REFUSED = {
    "CL twice, unlike":
        (b"Content-Length: 41\r\nContent-Length: 42\r\n", INNER),
    "CL list, unlike": (b"Content-Length: 41, 42\r\n", INNER),
    "CL empty": (b"Content-Length:\r\n", b""),
    "CL spaces only": (b"Content-Length:   \r\n", b""),
    "CL +": (b"Content-Length: +41\r\n", INNER),
    "CL -": (b"Content-Length: -41\r\n", INNER),
    "CL -0": (b"Content-Length: -0\r\n", b""),
    "CL space within": (b"Content-Length: 4 1\r\n", INNER),
    "CL tab within": (b"Content-Length: 4\t1\r\n", INNER),
    "CL hexadecimal": (b"Content-Length: 0x29\r\n", INNER),
    "CL hexadecimal digits": (b"Content-Length: 2a\r\n", INNER),
    "CL decimal point": (b"Content-Length: 41.0\r\n", INNER),
    "CL exponent": (b"Content-Length: 4e1\r\n", INNER),
    "CL grouped": (b"Content-Length: 4_1\r\n", INNER),
    "CL comma after": (b"Content-Length: 41,\r\n", INNER),
    "CL comma before": (b"Content-Length: ,41\r\n", INNER),
    "CL semicolon": (b"Content-Length: 41;a=b\r\n", INNER),
    "CL quoted": (b"Content-Length: \"41\"\r\n", INNER),
    "CL word": (b"Content-Length: all\r\n", INNER),
    "CL not ASCII": (b"Content-Length: \xb2\r\n", INNER),
    "CL arabic digits": (b"Content-Length: \xd9\xa1\r\n", INNER),
    "CL and TE": (b"Content-Length: 41\r\nTransfer-Encoding: chunked\r\n",
                  chunked()),
    "TE and CL": (b"Transfer-Encoding: chunked\r\nContent-Length: 41\r\n",
                  chunked()),
    "TE and CL 0": (b"Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
                    chunked()),
}

# Final coding not chunked: the end can't be known (6.3, 4).  A coding that is
# not understood: 501 (6.1).  Both may be said of some.
REFUSED_CODINGS = [
    b"chunked, chunked", b"chunked\r\nTransfer-Encoding: chunked",
    b"chunked\r\nTransfer-Encoding: gzip", b"gzip", b"identity",
    b"compress", b"deflate", b"gzip, chunked",
    b"chunked, gzip", b"chunked, identity", b"identity, chunked", b"xchunked",
    b"chunkedx", b"chunked;a=b", b"\"chunked\"", b"chunked x", b"x chunked",
    b"", b",", b"chunke", b"\x0bchunked", b"chunked\x0b", b"chunked\x0c",
    b"'chunked'", b"chunked\xa0", b"chun ked"]

# Sizes that do not fit or are more than is taken: 413, or 400 as malformed.
OVERFLOWS = [
    b"9223372036854775807", b"9223372036854775808", b"18446744073709551615",
    b"18446744073709551616", b"18446744073709551657",
    b"4294967337", b"99999999999999999999999999999999999999"]

BAD_CHUNKS = {
    "no size": b"\r\n" + INNER + b"\r\n0\r\n\r\n",
    "size +": b"+29\r\n" + INNER + b"\r\n0\r\n\r\n",
    "size -": b"-29\r\n" + INNER + b"\r\n0\r\n\r\n",
    "size 0x": b"0x29\r\n" + INNER + b"\r\n0\r\n\r\n",
    "size not a number": b"zz\r\n" + INNER + b"\r\n0\r\n\r\n",
    "size with g": b"2g\r\n" + INNER + b"\r\n0\r\n\r\n",
    "space before size": b" 29\r\n" + INNER + b"\r\n0\r\n\r\n",
    "space within size": b"2 9\r\n" + INNER + b"\r\n0\r\n\r\n",
    "size ends in LF": b"29\n" + INNER + b"\r\n0\r\n\r\n",
    "size ends in CR": b"29\r" + INNER + b"\r\n0\r\n\r\n",
    "extension ends in LF": b"29;a=b\n" + INNER + b"\r\n0\r\n\r\n",
    "NUL in extension": b"29;a=\0\r\n" + INNER + b"\r\n0\r\n\r\n",
    "CR in extension": b"29;a=\rb\r\n" + INNER + b"\r\n0\r\n\r\n",
    "comma for semicolon": b"29,a=b\r\n" + INNER + b"\r\n0\r\n\r\n",
    "data longer than size": b"28\r\n" + INNER + b"\r\n0\r\n\r\n",
    "data shorter than size": b"2a\r\n" + INNER + b"\r\n0\r\n\r\n",
    "data ends in LF": b"29\r\n" + INNER + b"\n0\r\n\r\n",
    "data ends in CR": b"29\r\n" + INNER + b"\r0\r\n\r\n",
    "no CRLF after data": b"29\r\n" + INNER + b"0\r\n\r\n",
    "last chunk ends in LF": b"29\r\n" + INNER + b"\r\n0\n\r\n",
    "end in LF": b"29\r\n" + INNER + b"\r\n0\r\n\n",
    "trailer ends in LF": b"0\r\nA: b\n\r\n",
    "trailer with space in name": b"0\r\nA b: c\r\n\r\n",
    "trailer with space before colon": b"0\r\nA : c\r\n\r\n",
    "trailer folded": b"0\r\nA: b\r\n c\r\n\r\n",
    "trailer without name": b"0\r\n: b\r\n\r\n",
    "trailer without colon": b"0\r\nA\r\n\r\n",
    "trailer with NUL": b"0\r\nA: \0\r\n\r\n",
}

BIG_CHUNKS = [
    b"7fffffffffffffff", b"8000000000000000", b"ffffffffffffffff",
    b"fffffffffffffffff", b"10000000000000029", b"100000029", b"80000000",
    b"f" * 100]


@pytest.mark.parametrize("case", TAKEN)
def test_taken(site, case):
    assert_taken(exchange(site, *TAKEN[case]))


@pytest.mark.parametrize("case", TAKEN)
def test_taken_when_the_body_comes_later(site, case):
    assert_taken(exchange(site, *TAKEN[case], pause_before_body=0.01))


@pytest.mark.parametrize("case", TAKEN)
def test_taken_in_single_bytes(site, case):
    fields, body = TAKEN[case]
    if len(body) > 300:
        pytest.skip("long; it is cut elsewhere")
    with site.connect() as c:
        c.send_in_pieces(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n" + fields
                         + b"\r\n" + body + NEXT)
        assert c.read_response().body == tree.HELLO
        assert c.read_response().body == CSS
        c.expect_close()


@pytest.mark.parametrize("case", TAKEN)
@pytest.mark.parametrize("method,status", [(b"POST", 405), (b"HEAD", 200),
                                           (b"BREW", 501)])
def test_framing_is_the_same_for_all_methods(site, case, method, status):
    fields, body = TAKEN[case]
    with site.connect() as c:
        c.send(method + b" /hello.txt HTTP/1.1\r\nHost: a\r\n" + fields
               + b"\r\n" + body + NEXT)
        first = c.read_response(head=method == b"HEAD")
        assert first.status == status
        if first.closes:  # as it may with a body that it does not want
            c.expect_close(reset_is_end=True)
        else:
            assert c.read_response().body == CSS
            c.expect_close()


@pytest.mark.parametrize("case", REFUSED)
def test_refused(site, case):
    assert_refused(exchange(site, *REFUSED[case]), 400)


@pytest.mark.parametrize("fields", [
    b"Content-Length: " + LEN + b"\r\nContent-Length: " + LEN + b"\r\n",
    b"Content-Length: " + LEN + b", " + LEN + b"\r\n"])
def test_same_length_twice(site, fields):
    """May be taken as one, or refused (6.3, 5)."""
    responses = exchange(site, fields, INNER)
    if responses[0].status == 200:
        assert_taken(responses)
    else:
        assert_refused(responses, 400)


@pytest.mark.parametrize("coding", REFUSED_CODINGS)
def test_coding_refused(site, coding):
    assert_refused(
        exchange(site, b"Transfer-Encoding: " + coding + b"\r\n", chunked()),
        400, 501)


@pytest.mark.parametrize("coding", [
    b"gzip", b"identity", b"xchunked", b"chunked, gzip", b"chunked, identity",
    b"chunked\r\nTransfer-Encoding: gzip", b"gzip, xchunked"])
def test_coding_without_an_end(site, coding):
    """6.3, 4: the last coding is not chunked."""
    assert_refused(
        exchange(site, b"Transfer-Encoding: " + coding + b"\r\n", chunked()),
        400)


@pytest.mark.parametrize("coding", [
    b"gzip, chunked", b"gzip ,\tChunked", b"x;a=b, gzip, chunked",
    b"gzip\r\nTransfer-Encoding: chunked"])
def test_coding_not_implemented(site, coding):
    assert_refused(
        exchange(site, b"Transfer-Encoding: " + coding + b"\r\n", chunked()),
        501)


@pytest.mark.parametrize("fields", [
    b"Transfer-Encoding : chunked\r\n",
    b"Transfer-Encoding\t: chunked\r\n",
    b" Transfer-Encoding: chunked\r\n",
    b"X: y\r\n Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding:\r\n chunked\r\n",
    b"Transfer-Encoding: chunked\nX: y\r\n",
    b"X: y\nTransfer-Encoding: chunked\r\n",
    b"X: y\rTransfer-Encoding: chunked\r\n",
    b"Transfer-Encoding\0: chunked\r\n",
    b"Content-Length : 41\r\n",
    b"Content-Length: 0\r\nTransfer-Encoding : chunked\r\n",
    b"Content-Length: 41\rX\r\n",
    b"X: y\nContent-Length: 41\r\n",
])
def test_hidden_framing_field(site, fields):
    """What another reader may or may not take for framing is refused."""
    assert_refused(exchange(site, fields, chunked()), 400)


@pytest.mark.parametrize("fields", [
    b"X-Transfer-Encoding: chunked\r\n", b"Transfer_Encoding: chunked\r\n",
    b"Content_Length: 41\r\n", b"Content-Lengt: 41\r\n",
    b"TransferEncoding: chunked\r\n"])
def test_names_that_look_alike_frame_nothing(site, fields):
    assert_taken(exchange(site, fields, b""))


def test_coding_in_1_0(site):
    """6.1: a message of 1.0 with Transfer-Encoding is faulty."""
    assert_refused(
        exchange(site, b"Transfer-Encoding: chunked\r\n"
                 b"Connection: keep-alive\r\n", chunked(), b"1.0"), 400)


def test_length_in_1_0(site):
    responses = exchange(site, b"Content-Length: " + LEN
                         + b"\r\nConnection: keep-alive\r\n", INNER, b"1.0")
    assert_taken(responses)


@pytest.mark.parametrize("length", OVERFLOWS)
def test_length_that_overflows(site, length):
    assert_refused(
        exchange(site, b"Content-Length: " + length + b"\r\n", INNER),
        400, 413)


def assert_nothing_after(responses, *statuses):
    """Refused, or answered already when the fault came, as may be where
    nobody wants the body; but nothing behind it is taken for a request."""
    assert len(responses) == 1, responses
    assert responses[0].status in (200, *statuses), responses[0].head
    if responses[0].status == 200:
        assert responses[0].body == tree.HELLO


@pytest.mark.parametrize("case", BAD_CHUNKS)
def test_malformed_chunk(site, case):
    assert_nothing_after(
        exchange(site, b"Transfer-Encoding: chunked\r\n", BAD_CHUNKS[case]),
        400)


@pytest.mark.parametrize("case", BAD_CHUNKS)
def test_malformed_chunk_later(site, case):
    assert_nothing_after(
        exchange(site, b"Transfer-Encoding: chunked\r\n", BAD_CHUNKS[case],
                 pause_before_body=0.01), 400)


@pytest.mark.parametrize("size", BIG_CHUNKS)
def test_chunk_size_that_overflows(site, size):
    """The rest of what is sent belongs to the chunk, whatever it looks
    like."""
    with site.connect() as c:
        c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n"
               b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\n"
               + INNER + b"\r\n0\r\n\r\n" + NEXT)
        c.end()
        responses = []
        while c.data or c.receive():
            responses.append(c.read_response())
    assert_nothing_after(responses, 400, 413)


def test_chunk_size_without_end(site):
    """Leading zeros, extensions and trailers are bounded: the connection is
    closed, however much is still to come."""
    for endless in (b"0" * 1000000, b"1;" + b"a" * 1000000,
                    b"0\r\n" + b"A: b\r\n" * 200000):
        with site.connect() as c:
            c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n"
                   b"Transfer-Encoding: chunked\r\n\r\n")
            try:
                c.send(endless)
            except ConnectionError:
                continue  # refused, and did not wait for the rest
            response = c.read_response()
            assert response.status in (200, 400, 413, 431), response.head
            c.expect_close(reset_is_end=True)


# LimitRequestBody 100000.

def test_body_at_the_limit(site):
    body = b"x" * 100000
    assert_taken(exchange(site, b"Content-Length: 100000\r\n", body))
    assert_taken(exchange(site, b"Transfer-Encoding: chunked\r\n",
                          chunked(body, 30000)))


def test_length_over_the_limit_is_refused_at_once(site):
    """Without waiting for a byte of the body."""
    with site.connect() as c:
        c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n"
               b"Content-Length: 100001\r\n\r\n")
        response = c.read_response()
        assert response.status == 413
        assert response.closes
        c.expect_close()


def test_chunks_over_the_limit(site):
    """Nobody wants this body, so it may be answered and stepped over."""
    responses = exchange(site, b"Transfer-Encoding: chunked\r\n",
                         chunked(b"x" * 100001, 30000))
    if responses[0].status == 200 and len(responses) > 1:
        assert_taken(responses)
    else:
        assert_nothing_after(responses, 413)


def test_large_body_over_the_limit_is_answered_without_a_reset(site):
    """The client sends all of it and only then reads."""
    with site.connect() as c:
        c.send(b"POST /hello.txt HTTP/1.1\r\nHost: a\r\n"
               b"Content-Length: 400000\r\n\r\n")
        try:
            c.send(b"x" * 400000)
        except ConnectionError:
            pytest.fail("reset while the body was sent")
        assert c.read_response().status == 413
        c.expect_close()


# Expect (RFC 9110, 10.1.1).

def test_expect_is_answered_without_the_body(site):
    with site.connect() as c:
        c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n"
               b"Content-Length: 41\r\nExpect: 100-continue\r\n\r\n")
        response = c.read_response()
        if response.status == 100:
            assert response.body == b""
            c.send(INNER)
            response = c.read_response()
        assert response.status == 200
        assert response.body == tree.HELLO
        if not response.closes:
            c.send(NEXT)


def test_expect_with_the_body_already_there(site):
    responses = exchange(site, b"Content-Length: " + LEN
                         + b"\r\nExpect: 100-continue\r\n", INNER)
    final = [r for r in responses if r.status >= 200]
    assert final[0].status == 200
    assert final[0].body == tree.HELLO
    if final[0].closes:
        assert len(final) == 1
    else:
        assert final[1].body == CSS and len(final) == 2


def test_expect_over_the_limit(site):
    """No 100 for a body that is not taken."""
    with site.connect() as c:
        c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n"
               b"Content-Length: 100001\r\nExpect: 100-continue\r\n\r\n")
        response = c.read_response()
        assert response.status == 413
        assert response.closes
        c.expect_close()


def test_expect_without_a_body(site):
    with site.connect() as c:
        c.request("GET", "/hello.txt", ["Expect: 100-continue"])
        response = c.read_response()
        assert response.status == 200
        c.expect_served()


def test_expect_in_1_0_is_ignored(site):
    with site.connect() as c:
        c.send(b"GET /hello.txt HTTP/1.0\r\nExpect: 100-continue\r\n"
               b"Content-Length: 41\r\n\r\n" + INNER)
        assert c.read_response().status == 200
        c.expect_close()


def test_other_expectation(site):
    response = site.get("/hello.txt", fields=["Expect: the-unexpected"])
    assert response.status == 417


# Bodies that end too early.

@pytest.mark.parametrize("fields,part", [
    (b"Content-Length: 100\r\n", b"x" * 99),
    (b"Content-Length: 100\r\n", b""),
    (b"Transfer-Encoding: chunked\r\n", b"5\r\nabc"),
    (b"Transfer-Encoding: chunked\r\n", b"5\r\nabcde\r\n0\r\n"),
    (b"Transfer-Encoding: chunked\r\n", b""),
])
def test_body_cut_short(site, fields, part):
    """The server neither waits for ever nor serves anything else."""
    with site.connect() as c:
        c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n" + fields + b"\r\n"
               + part)
        c.end()
        statuses = []
        while c.data or c.receive():
            statuses.append(c.read_response().status)
        assert statuses in ([], [200], [400], [408])


def test_smuggled_requests_are_never_answered(site):
    """The classics: what one reader frames by length, another by chunks."""
    evil = b"GET /a.png HTTP/1.1\r\nHost: a\r\n\r\n"
    attempts = [
        b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n" + evil,
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"22\r\n" + evil + b"\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n"
        b"0\r\n\r\n" + evil,
        b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n" + evil,
        b"Transfer-Encoding: \x00chunked\r\n\r\n0\r\n\r\n" + evil,
        b"Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n" + evil,
        b"Content-Length: 0\r\nContent-Length: %d\r\n\r\n" % len(evil) + evil,
        b"Content-Length: 0, %d\r\n\r\n" % len(evil) + evil,
        b"X: y\r\n\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil,
        b"X: \nContent-Length: %d\r\n\r\n" % len(evil) + evil,
        b"Transfer-Encoding: chunked\r\n\r\n1\r\nZ\r\nQ\r\n\r\n" + evil,
        b"Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\n" + evil,
        b"Transfer-Encoding: chunked\r\n\r\n2;\na\r\n0\r\n\r\n" + evil,
        b"Content-Length: %d \x00\r\n\r\n" % len(evil) + evil,
    ]

    def attempt(data):
        with site.connect() as c:
            c.send(b"POST /hello.txt HTTP/1.1\r\nHost: a\r\n" + data)
            c.end()
            answer = c.read_rest(reset_is_end=True)
            assert answer.count(b"HTTP/1.1 ") == 1, (data, answer)
            assert b"PNG" not in answer
            assert answer[9:12] in (b"400", b"405", b"501"), (data, answer)

    side_by_side([lambda a=a: attempt(a) for a in attempts])


def test_body_longer_than_its_length_is_the_next_request(site):
    """Framing is by length alone: the rest is a malformed request."""
    with site.connect() as c:
        c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n"
               b"Content-Length: 3\r\n\r\nabc{}\r\n\r\n")
        assert c.read_response().status == 200
        assert c.read_response().status == 400
        c.expect_close(reset_is_end=True)


def test_answer_does_not_come_after_the_close(site):
    """After a refusal the connection really is closed."""
    with site.connect() as c:
        c.send(b"GET /hello.txt HTTP/1.1\r\nHost: a\r\n"
               b"Content-Length: x\r\n\r\n")
        assert c.read_response().status == 400
        try:
            c.send(NEXT)
        except ConnectionError:
            return
        with pytest.raises((Closed, ConnectionResetError)):
            c.read_response()
