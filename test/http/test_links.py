"""Symbolic links: Options FollowSymLinks and SymLinksIfOwnerMatch."""

import os

import pytest

CONFIG = """
CacheRevalidate 0
<Directory @WWW@/none>
    Options None
</Directory>
<Directory @WWW@/owner>
    Options SymLinksIfOwnerMatch
</Directory>
<Directory @WWW@/owner/loose>
    Options FollowSymLinks
</Directory>
"""

NAMES = ("", "none/", "owner/", "owner/loose/")


@pytest.fixture(scope="module")
def server(module_weir):
    server = module_weir(CONFIG, start=False)
    for name in NAMES:
        server.put(f"{name}real/file.txt", b"real\n")
        folder = server.www / name
        (folder / "link.txt").symlink_to("real/file.txt")
        (folder / "dir").symlink_to("real")
        (folder / "out.txt").symlink_to("/etc/passwd")
        (folder / "up.txt").symlink_to("../" * 9 + "etc/passwd")
        (folder / "loop").symlink_to("loop")
    return server.start()


@pytest.mark.parametrize("name, follows", zip(NAMES, (True, False, True,
                                                      True)))
def test_links(server, name, follows):
    for _ in range(2):
        assert server.get(f"/{name}real/file.txt").body == b"real\n"
        for link in ("link.txt", "dir/file.txt"):
            response = server.get(f"/{name}{link}")
            assert response.status == (200 if follows else 403), link
            assert not follows or response.body == b"real\n"
        for link in ("out.txt", "up.txt", "loop"):
            assert server.get(f"/{name}{link}").status == 403, link


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives links away")
def test_links_of_others(server):
    for name in NAMES:
        link = server.www / name / "others.txt"
        link.symlink_to("real/file.txt")
        os.lchown(link, 65534, 65534)
    assert server.get("/others.txt").status == 200
    assert server.get("/owner/others.txt").status == 403
    assert server.get("/owner/loose/others.txt").status == 200
    assert server.get("/none/others.txt").status == 403


def test_one_host_follows_what_another_does_not(weir):
    server = weir("""
CacheRevalidate 1h
<VirtualHost *:@PORT@>
    ServerName free.test
    DocumentRoot @WWW@
</VirtualHost>
<VirtualHost *:@PORT@>
    ServerName strict.test
    DocumentRoot @WWW@
    <Directory @WWW@>
        Options None
    </Directory>
</VirtualHost>
""", start=False)
    (server.www / "link.txt").symlink_to("hello.txt")
    server.start()

    def ask(host):
        with server.connect() as c:
            c.send(b"GET /link.txt HTTP/1.1\r\nHost: %s\r\n\r\n" % host)
            return c.read_response().status

    for _ in range(2):
        assert ask(b"free.test") == 200
        assert ask(b"strict.test") == 403
