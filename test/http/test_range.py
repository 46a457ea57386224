"""Parts of a content (RFC 9110, 14)."""

import re

import pytest

import tree

SIZE = 65536
TARGET = f"/{SIZE}.bin"
WHOLE = tree.content(SIZE)


def get(site, ranges, *fields, target=TARGET, method="GET"):
    return site.get(target, method, [f"Range: {ranges}", *fields])


@pytest.mark.parametrize("spec, first, last", [
    ("0-0", 0, 0), ("0-9", 0, 9), ("100-199", 100, 199),
    ("0-", 0, SIZE - 1), (f"{SIZE - 1}-", SIZE - 1, SIZE - 1),
    ("-1", SIZE - 1, SIZE - 1), ("-10", SIZE - 10, SIZE - 1),
    (f"-{SIZE}", 0, SIZE - 1), ("-99999999", 0, SIZE - 1),
    ("10-99999999", 10, SIZE - 1), (" 5-6", 5, 6), ("5-6 ", 5, 6),
    (",5-6,", 5, 6), ("99999999-, 5-6", 5, 6)])
def test_one_part(site, spec, first, last):
    response = get(site, f"bytes={spec}")
    assert response.status == 206
    assert response["content-range"] == f"bytes {first}-{last}/{SIZE}"
    assert response["content-length"] == str(last - first + 1)
    assert response.body == WHOLE[first:last + 1]
    assert response["content-type"] == "application/octet-stream"
    for name in ("etag", "last-modified", "date"):
        assert response.get(name), name


def test_whole_says_that_parts_can_be_had(site):
    assert site.get(TARGET)["accept-ranges"] == "bytes"


@pytest.mark.parametrize("target", ["/1048576.bin", "/10485760.bin"])
def test_part_of_a_large_file(site, target):
    whole = tree.content(int(target[1:-4]))
    response = get(site, "bytes=1000-900000", target=target)
    assert response.status == 206
    assert response.body == whole[1000:900001]


def parts_of(response):
    found = re.fullmatch(r"multipart/byteranges; boundary=(\S+)",
                         response["content-type"])
    assert found, response["content-type"]
    mark = b"--" + found[1].encode()
    pieces = response.body.split(b"\r\n" + mark)
    assert pieces[0] == b"" and pieces[-1] == b"--\r\n"
    parts = []
    for piece in pieces[1:-1]:
        head, _, body = piece.partition(b"\r\n\r\n")
        fields = dict(line.lower().split(": ", 1)
                      for line in head.decode().strip().split("\r\n"))
        parts.append((fields, body))
    return parts


@pytest.mark.parametrize("spec", [
    "0-0,2-2", "0-9,20-29,40-49", "-5,0-4", "100-199,50-60,-1"])
def test_several_parts(site, spec):
    response = get(site, f"bytes={spec}")
    assert response.status == 206
    assert response.get("content-range") is None
    assert response["content-length"] == str(len(response.body))
    parts = parts_of(response)
    assert len(parts) == spec.count(",") + 1
    for one, (fields, body) in zip(spec.split(","), parts):
        first, last = one.split("-")
        first, last = ((SIZE - int(last), SIZE - 1) if not first
                       else (int(first), int(last)))
        assert fields["content-range"] == f"bytes {first}-{last}/{SIZE}"
        assert fields["content-type"] == "application/octet-stream"
        assert body == WHOLE[first:last + 1]


@pytest.mark.parametrize("spec", [
    f"{SIZE}-", f"{SIZE}-{SIZE + 5}", "99999999-", "-0", "-0,99999999-"])
def test_none_can_be_had(site, spec):
    response = get(site, f"bytes={spec}")
    assert response.status == 416
    assert response["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("field", [
    "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=5", "5-6",
    "bytes=5-6-7", "bytes=5-6;7-8", "lines=0-1", "bytes=0x1-2",
    "bytes=5-6,x", "bytes=9999999999999999999-", "bytes 5-6", "=5-6"])
def test_what_is_not_understood_is_ignored(site, field):
    response = get(site, field)
    assert response.status == 200
    assert response.body == WHOLE


def test_more_than_the_whole_in_parts_gets_the_whole(site):
    for spec in ("0-,0-", ",".join(["0-"] * 50), f"0-{SIZE - 1},0-0"):
        response = get(site, f"bytes={spec}")
        assert response.status == 200
        assert response.body == WHOLE


def test_too_many_parts_get_the_whole(site):
    many = ",".join(f"{2 * i}-{2 * i}" for i in range(201))
    assert get(site, f"bytes={many}").status == 200
    many = ",".join(f"{2 * i}-{2 * i}" for i in range(200))
    response = get(site, f"bytes={many}")
    assert response.status == 206
    assert len(parts_of(response)) == 200


def test_other_methods_know_no_parts(site):
    assert get(site, "bytes=0-9", method="HEAD").status == 200
    assert get(site, "bytes=0-9", method="DELETE").status == 405


def test_empty_file(site):
    response = get(site, "bytes=0-", target="/0.bin")
    assert response.status in (200, 416)
    if response.status == 200:
        assert response.body == b""


def test_if_range(site):
    plain = site.get(TARGET)
    etag, modified = plain["etag"], plain["last-modified"]
    for value, expected in (
            (etag, 206), (modified, 206), ('"x"', 200), (f"W/{etag}", 200),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 200), ("nonsense", 200)):
        response = get(site, "bytes=0-9", f"If-Range: {value}")
        assert response.status == expected, value
    # A failed one makes an impossible range harmless too.
    assert get(site, "bytes=99999999-", 'If-Range: "x"').status == 200


def test_preconditions_come_first(site):
    etag = site.get(TARGET)["etag"]
    assert get(site, "bytes=0-9", f"If-None-Match: {etag}").status == 304
    assert get(site, "bytes=0-9", 'If-Match: "x"').status == 412


def test_pipelined_parts(site):
    with site.connect() as c:
        for i in range(20):
            c.request("GET", TARGET, [f"Range: bytes={i * 10}-{i * 20}"])
        for i in range(20):
            response = c.read_response()
            assert response.status == 206
            assert response.body == WHOLE[i * 10:i * 20 + 1]


def test_access_log_counts_the_part(weir):
    server = weir()
    server.get("/hello.txt", fields=["Range: bytes=0-4"])
    line = [x for x in server.access_lines(1) if " 206 " in x][-1]
    assert " 206 5" in line
