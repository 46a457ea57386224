"""Directories that show what is in them."""

import html
import os
import re

import pytest

from conftest import wait_for

CONFIG = """
<Directory "@WWW@/list">
    Options +Indexes
</Directory>
<Directory "@WWW@/list/fancy">
    IndexOptions FancyIndexing FoldersFirst
    AddDescription "The <b>first</b>" a.txt
    AddDescription "All images" *.png
    AddIcon (IMG,/icons/image.png) .png
    AddIcon /icons/dir.png ^^DIRECTORY^^
    AddIcon /icons/back.png ..
    AddIconByType (TXT,/icons/text.png) text/*
    AddAltByType HYPER text/html
    DefaultIcon /icons/unknown.png
    IndexIgnore *.bak .??*
    HeaderName HEADER.html
    ReadmeName README
</Directory>
<Directory "@WWW@/list/fancy/table">
    IndexOptions +HTMLTable +IconsAreLinks NameWidth=* +SuppressSize \\
        Charset=ISO-8859-1 IconWidth=16 IconHeight
    IndexIgnoreReset On
    IndexIgnore HEADER.html
    IndexStyleSheet "/x.css"
    IndexHeadInsert "<meta name=generator content=x>"
</Directory>
<Directory "@WWW@/list/alts">
    IndexOptions FancyIndexing
    AddEncoding x-gzip .gz
    AddEncoding x-compress .Z
    AddAlt OURS .our
    AddAltByEncoding PACK x-gzip
    AddIconByEncoding (PCK,/icons/packed.png) x-compress
</Directory>
<Directory "@WWW@/list/fixed">
    IndexOptions FancyIndexing IgnoreClient NameWidth=10 SuppressIcon \\
        SuppressDescription SuppressLastModified SuppressRules
    IndexOrderDefault Descending Size
</Directory>
<Directory "@WWW@/list/sorted">
    IndexOptions FancyIndexing IgnoreCase
</Directory>
<Directory "@WWW@/list/version">
    IndexOptions FancyIndexing VersionSort
</Directory>
<Directory "@WWW@/list/bounded">
    IndexEntriesMax 3
</Directory>
<Directory "@WWW@/list/nolinks">
    Options -FollowSymLinks
</Directory>
<Directory "@WWW@/list/closed">
    <Files ".ht*">
        Require all denied
    </Files>
    <Files "some.txt">
        Require ip 127.0.0.9
    </Files>
</Directory>
<Directory "@WWW@/list/closed/dir">
    Require all denied
</Directory>
<Location "/list/closed/loc.txt">
    <RequireAll>
        Require all denied
        Require local
    </RequireAll>
</Location>
<Directory "@WWW@/list/shown">
    SetHandler hello
</Directory>
"""

ODD = ["a&b<c>.txt", "sp ace.txt", "per%cent.txt", "quote\".txt", "c:d.txt",
       "hash#.txt", "what?.txt", "u\u0308.txt", "plus+.txt", "a'b.txt",
       "semi;.txt"]


@pytest.fixture(scope="module")
def server(module_weir):
    server = module_weir(start=False)
    for name in ODD:
        server.put(f"list/odd/{name}", name)
    for name in ("a.txt", "b.png", "c.html", "d.unknown", "old.bak", ".hidden",
                 "zdir/x", "table/a.txt", "table/old.bak", "table/HEADER.html"):
        server.put(f"list/fancy/{name}", name)
    for name in ("a.our", "b.gz", "c.Z"):
        server.put(f"list/alts/{name}", name)
    server.put("list/fancy/HEADER.html", "<p>The header.")
    server.put("list/fancy/README", "The <readme>.")
    for i, name in enumerate(["one", "two", "three-is-too-long"]):
        server.put(f"list/fixed/{name}", "x" * (1000 * i))
    for i, name in enumerate(["b.txt", "A.txt", "c.log", "B2.txt"]):
        path = server.put(f"list/sorted/{name}", "x" * (40 - 10 * i))
        os.utime(path, (1000000000 + i * 86400, 1000000000 + i * 86400))
    for name in ("f10", "f9", "f1"):
        server.put(f"list/version/{name}")
    server.put("list/empty/inside/x")
    server.put("list/links/real.txt", "real")
    server.put("list/nolinks/real.txt", "real")
    for folder in ("links", "nolinks"):
        at = server.www / "list" / folder
        os.symlink("real.txt", at / "inside")
        os.symlink("/etc/passwd", at / "absolute")
        os.symlink("../../../../../etc/passwd", at / "above")
        os.symlink("nowhere", at / "broken")
        os.mkfifo(at / "fifo")
        server.put(f"list/{folder}/closed.txt", mode=0o000)
    server.put("list/indexed/index.html", "The index.")
    server.put("list/shown/x")
    for name in (".htpasswd", "some.txt", "dir/x", "loc.txt", "open.txt"):
        server.put(f"list/closed/{name}")
    server.put("unlisted/x")
    server.extra = CONFIG
    return server.start()


def links(body):
    """What a page leads to, without the headings and the parent."""
    found = re.findall(r'<a href="([^"]*)">', body.decode())
    return [html.unescape(link) for link in found
            if not link.startswith(("?", "../"))]


def listing(server, target):
    response = server.get(target)
    assert response.status == 200
    assert response["content-type"] == "text/html;charset=UTF-8"
    return response.body


@pytest.mark.parametrize("name,image", [
    ("a.our", "[OURS]"), ("b.gz", "[PACK]"),
    ("c.Z", 'src="/icons/packed.png" alt="[PCK]"')])
def test_words_for_icons(server, name, image):
    line = next(line for line in
                listing(server, "/list/alts/").decode().splitlines()
                if f'href="{name}"' in line)
    assert image in line


def test_plain(server):
    body = listing(server, "/list/empty/")
    assert b"<title>Index of /list/empty</title>" in body
    assert b'<li><a href="../">Parent Directory</a></li>' in body
    assert b'<li><a href="inside/">inside/</a></li>' in body


def test_head(server):
    response = server.get("/list/empty/", "HEAD")
    assert response.status == 200
    assert int(response["content-length"]) == len(
        listing(server, "/list/empty/"))


def test_names_are_escaped(server):
    body = listing(server, "/list/odd/")
    assert b"<c>" not in body
    shown = [html.unescape(text) for text in
             re.findall(r'<li><a href="[^"]*">([^<]*)</a>', body.decode())]
    assert sorted(shown) == sorted([*ODD, "Parent Directory"])
    found = links(body)
    assert len(found) == len(ODD)
    assert "./c:d.txt" in found
    for link in found:
        link = link.removeprefix("./")
        assert re.fullmatch(r"[\w.~!$&'()*+,;=:@%-]+", link, re.A), link
        assert server.get("/list/odd/" + link).status == 200


def test_uri_is_escaped(server):
    server.put("list/<i>&/x")
    body = listing(server, "/list/%3Ci%3E&/")
    assert b"<title>Index of /list/&lt;i&gt;&amp;</title>" in body
    assert b"<i>" not in body


@pytest.mark.parametrize("target,status", [
    ("/unlisted/", 403), ("/list/empty", 301), ("/list/indexed/", 200)])
def test_not_listed(server, target, status):
    response = server.get(target)
    assert response.status == status
    assert b"Index of" not in response.body


def test_handler_of_its_own(server):
    assert server.get("/list/shown/").body == b"Hello, you!\n"


def test_methods(server):
    assert server.get("/list/empty/", "POST").status == 405


@pytest.mark.parametrize("folder,names", [
    ("links", ["inside", "real.txt"]), ("nolinks", ["real.txt"])])
def test_only_what_may_be_read(server, folder, names):
    body = listing(server, f"/list/{folder}/")
    assert [n for n in links(body) if n != "closed.txt"] == names
    if os.geteuid() == 0:  # the server serves as another
        assert "closed.txt" not in links(body)


def test_what_nobody_may_have_is_not_shown(server):
    assert links(listing(server, "/list/closed/")) == ["open.txt", "some.txt"]


def test_fancy(server):
    body = listing(server, "/list/fancy/").decode()
    lines = body.splitlines()
    assert "<p>The header." in body and "<h1>" not in body
    assert "<pre>The &lt;readme&gt;.</pre>" in body
    assert links(body.encode()) == [
        "table/", "zdir/", "HEADER.html", "README", "a.txt", "b.png",
        "c.html", "d.unknown"]
    rows = {re.search(r'<a href="([^"?]+)"', line).group(1): line
            for line in lines if re.search(r'<a href="[^"?]+"', line)}
    assert '<img src="/icons/back.png" alt="[DIR]">' in rows["../"]
    assert '<img src="/icons/dir.png" alt="[DIR]">' in rows["zdir/"]
    assert '<img src="/icons/image.png" alt="[IMG]">' in rows["b.png"]
    assert '<img src="/icons/text.png" alt="[TXT]">' in rows["a.txt"]
    assert 'alt="[HYPER]"' in rows["c.html"] or 'alt="[TXT]"' in rows["c.html"]
    assert '<img src="/icons/unknown.png" alt="[   ]">' in rows["d.unknown"]
    assert rows["a.txt"].endswith("The <b>first</b>")
    assert rows["b.png"].endswith("All images")
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d +5 +The", rows["a.txt"])


def test_table(server):
    response = server.get("/list/fancy/table/")
    body = response.body.decode()
    assert response["content-type"] == "text/html;charset=ISO-8859-1"
    assert '<link rel="stylesheet" href="/x.css">' in body
    assert "<meta name=generator content=x>" in body
    assert "?C=S" not in body
    assert ('<a href="a.txt"><img src="/icons/text.png" alt="[TXT]" '
            'width="16" height="22"></a>') in body
    assert '<a href="old.bak">old.bak</a>' in body
    assert '<a href="HEADER.html">' not in body


def test_fixed_view(server):
    for query in ("", "?C=N;O=A", "?F=0"):
        body = listing(server, "/list/fixed/" + query).decode()
        assert links(body.encode()) == ["three-is-too-long", "two", "one"]
        assert "?C=" not in body and "<hr>" not in body
        assert ">three-i..&gt;</a>" in body


@pytest.mark.parametrize("query,names", [
    ("", "A.txt b.txt B2.txt c.log"),
    ("?C=N;O=D", "c.log B2.txt b.txt A.txt"),
    ("?C=M;O=A", "b.txt A.txt c.log B2.txt"),
    ("?C=M&O=D", "B2.txt c.log A.txt b.txt"),
    ("?C=S", "B2.txt c.log A.txt b.txt"),
    ("?C=S;O=D", "b.txt A.txt c.log B2.txt"),
    ("?P=*.txt", "A.txt b.txt B2.txt"),
    ("?P=b%2A", "b.txt B2.txt"),
    ("?C=X;O=Y;nonsense&P", "A.txt b.txt B2.txt c.log"),
    ("?F=0", "A.txt b.txt B2.txt c.log"),
    ("?F=2;C=N;O=D", "c.log B2.txt b.txt A.txt"),
])
def test_order(server, query, names):
    body = listing(server, "/list/sorted/" + query)
    assert " ".join(links(body)) == names
    assert (b"<table>" in body) == ("F=2" in query)
    assert (b"<ul>" in body) == ("F=0" in query)


def test_headings_turn_the_order_round(server):
    assert b'"?C=N;O=D"' in listing(server, "/list/sorted/")
    assert b'"?C=N;O=A"' in listing(server, "/list/sorted/?C=N;O=D")
    assert b'"?C=M;O=A"' in listing(server, "/list/sorted/?C=N;O=D")
    body = listing(server, "/list/sorted/?P=%22%3E%3Cscript%3E")
    assert b"<script>" not in body


def test_version_sort(server):
    assert links(listing(server, "/list/version/")) == ["f1", "f9", "f10"]
    assert links(listing(server, "/list/version/?V=0")) == ["f1", "f10", "f9"]


def test_changes_show_at_once(server):
    server.put("list/changing/one")
    assert links(listing(server, "/list/changing/")) == ["one"]
    server.put("list/changing/two")
    assert links(listing(server, "/list/changing/")) == ["one", "two"]


def test_no_more_entries_than_the_bound(server):
    for name in "abc":
        server.put(f"list/bounded/{name}")
    assert links(listing(server, "/list/bounded/")) == ["a", "b", "c"]
    server.put("list/bounded/d")
    assert len(links(listing(server, "/list/bounded/"))) == 3
    wait_for(lambda: "has more than the 3 entries that are shown"
             in server.error_log())


@pytest.mark.parametrize("text,words", [
    ("IndexEntriesMax 0", "too small"),
    ("IndexOptions Fancy", "no option Fancy"),
    ("IndexOptions NameWidth", "needs a number"),
    ("IndexOptions NameWidth=2", "too small"),
    ("IndexOptions +None", "no option None"),
    ("IndexOrderDefault Up Name", "Ascending or Descending"),
    ("IndexOrderDefault Ascending Colour", "by Name, Date"),
    ("AddIcon (X /icons/x.png", "argument"),
    ("AddIcon (X /icons/x.png) .x", "(TEXT,URL)"),
])
def test_errors(weir, weir_command, text, words):
    server = weir(text, start=False)
    server.write_config()
    done = weir_command("-t", "-f", server.conf)
    assert done.returncode != 0
    assert words in done.stderr
