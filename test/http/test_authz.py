"""Who may have what: Require, its sections and their merging."""

import socket

import pytest

import client

SITES = {  # folder: what stands in its section
    "any": "Require ip 127.0.0.2 127.0.0.3\nRequire ip 127.0.0.4",
    "net": "Require ip 127.0.16.0/20 10.0.0.0/8",
    "mask": "Require ip 127.1.0.0/255.255.0.0",
    "partial": "Require ip 127.0.2 192.168.",
    "v6": "Require ip 2001:db8::/32",
    "local": "Require local",
    "method": "Require method PUT GET",
    "env": "Require env nobody_sets_this",
    "denied": "Require all denied",
    "host": "Require host localhost",
    "domain": "Require host example.org ocalhost",
    "twohosts": "<RequireAny>\nRequire host nowhere.invalid\n"
                "Require host localhost\n</RequireAny>",
    "forward": "Require forward-dns nowhere.invalid localhost",
    "notme": "<RequireAll>\nRequire all granted\n"
             "Require not ip 127.0.0.2\n</RequireAll>",
    "nothost": "<RequireAll>\nRequire all granted\n"
               "Require not host localhost\n</RequireAll>",
    "both": "<RequireAll>\nRequire ip 127.0.0\nRequire method GET\n"
            "</RequireAll>",
    "none": "<RequireAll>\nRequire all granted\n<RequireNone>\n"
            "Require ip 127.0.0.2\nRequire ip 127.0.0.3\n</RequireNone>\n"
            "</RequireAll>",
    "nested": "<RequireAny>\nRequire ip 127.0.0.9\n<RequireAll>\n"
              "Require ip 127.0.0\n<RequireAny>\nRequire ip 127.0.0.2\n"
              "Require ip 127.0.0.3\n</RequireAny>\n</RequireAll>\n"
              "</RequireAny>",
    "outer": "Require ip 127.0.0.2",
    "outer/replaced": "Require ip 127.0.0.3",
    "outer/kept": "AddType text/x-a a",
    "outer/or": "AuthMerging Or\nRequire ip 127.0.0.3",
    "outer/and": "AuthMerging And\nRequire method GET",
    "outer/off": "AuthMerging Off",
}


@pytest.fixture(scope="module")
def sites(module_weir):
    server = module_weir("".join(
        f'<Directory "@WWW@/{name}">\n{text}\n</Directory>\n'
        for name, text in SITES.items()))
    for name in SITES:
        server.put(f"{name}/file.txt", name)
    return server


def ask(server, folder, source="127.0.0.1", method="GET"):
    with client.Client(server.address, source=(source, 0)) as c:
        c.request(method, f"/{folder}/file.txt", ["Connection: close"])
        response = c.read_response(head=method == "HEAD")
    if response.status == 200 and method == "GET":
        assert response.body == folder.encode()
    return response.status


def has_names():
    try:
        return ("localhost" in socket.gethostbyaddr("127.0.0.1")[0]
                and socket.gethostbyname("localhost") == "127.0.0.1")
    except OSError:
        return False


@pytest.mark.parametrize("folder,source,status", [
    ("any", "127.0.0.2", 200), ("any", "127.0.0.3", 200),
    ("any", "127.0.0.4", 200), ("any", "127.0.0.1", 403),
    ("net", "127.0.16.0", 200), ("net", "127.0.31.255", 200),
    ("net", "127.0.32.1", 403), ("net", "127.0.15.255", 403),
    ("mask", "127.1.2.3", 200), ("mask", "127.2.2.3", 403),
    ("partial", "127.0.2.77", 200), ("partial", "127.0.20.1", 403),
    ("v6", "127.0.0.1", 403),
    ("local", "127.0.0.1", 200), ("local", "127.9.9.9", 200),
    ("method", "127.0.0.1", 200),
    ("env", "127.0.0.1", 403),
    ("denied", "127.0.0.1", 403),
    ("host", "127.0.0.1", 200), ("domain", "127.0.0.1", 403),
    ("twohosts", "127.0.0.1", 200),
    ("forward", "127.0.0.1", 200), ("forward", "127.0.0.2", 403),
    ("notme", "127.0.0.1", 200), ("notme", "127.0.0.2", 403),
    ("nothost", "127.0.0.1", 403),
    ("both", "127.0.0.5", 200), ("both", "127.1.0.5", 403),
    ("none", "127.0.0.1", 200), ("none", "127.0.0.2", 403),
    ("none", "127.0.0.3", 403),
    ("nested", "127.0.0.9", 200), ("nested", "127.0.0.2", 200),
    ("nested", "127.0.0.3", 200), ("nested", "127.0.0.4", 403),
    ("outer", "127.0.0.2", 200), ("outer", "127.0.0.3", 403),
    ("outer/replaced", "127.0.0.2", 403), ("outer/replaced", "127.0.0.3", 200),
    ("outer/kept", "127.0.0.2", 200), ("outer/kept", "127.0.0.3", 403),
    ("outer/or", "127.0.0.2", 200), ("outer/or", "127.0.0.3", 200),
    ("outer/or", "127.0.0.4", 403),
    ("outer/and", "127.0.0.2", 200), ("outer/and", "127.0.0.3", 403),
    ("outer/off", "127.0.0.4", 200),
])
def test_require(sites, folder, source, status):
    if "host" in folder or folder == "forward":
        if not has_names():
            pytest.skip("nothing says here that 127.0.0.1 is localhost")
    for _ in range(2):  # the second time the path is known
        assert ask(sites, folder, source) == status


@pytest.mark.parametrize("folder,method,status", [
    ("method", "HEAD", 200), ("method", "POST", 403),
    ("both", "HEAD", 200), ("both", "DELETE", 403),
    ("outer/and", "POST", 403),
])
def test_require_method(sites, folder, method, status):
    assert ask(sites, folder, "127.0.0.2", method) == status


def test_local_over_ipv6(weir):
    server = weir('<Directory "@WWW@">\nRequire local\n</Directory>\n'
                  '<Directory "@WWW@/net">\nRequire ip ::/64\n</Directory>\n'
                  '<Directory "@WWW@/other">\nRequire ip 127.0.0.1\n'
                  '</Directory>', hosts=["::1"])
    server.put("net/file.txt", "net")
    server.put("other/file.txt", "other")
    assert server.get("/hello.txt").status == 200
    assert server.get("/net/file.txt").status == 200
    assert server.get("/other/file.txt").status == 403


def test_denial_is_logged(weir):
    server = weir('<Directory "@WWW@">\nRequire all denied\n</Directory>')
    assert server.get("/hello.txt").status == 403
    assert ("client denied by server configuration: "
            f"{server.www}/hello.txt") in server.error_log()


@pytest.mark.parametrize("text,words", [
    ("Require", "argument"),
    ("Require all", "granted or denied"),
    ("Require all allowed", "granted or denied"),
    ("Require not", "not what"),
    ("Require ip", "an address must follow"),
    ("Require ip 300.1.2.3", "is no address"),
    ("Require ip 10.0.0.0/33", "is no address"),
    ("Require ip 10.1.2.3.4", "is no address"),
    ("Require ip 10..1", "is no address"),
    ("Require ip fe80::/129", "is no address"),
    ("Require host", "a host name must follow"),
    ("Require local yes", "nothing may follow"),
    ("Require method", "at least one name"),
    ("Require nonsense x", 'knows "nonsense"'),
    ("Require not ip 10", "no effect in <RequireAny>"),
    ("<RequireAny>\nRequire not ip 10\n</RequireAny>",
     "no effect in <RequireAny>"),
    ("<RequireNone>\nRequire ip 10\n</RequireNone>",
     "no effect in <RequireAny>"),
    ("<RequireAll>\nRequire not ip 10\n</RequireAll>", "only negative"),
    ("<RequireAll>\n</RequireAll>", "no Require in it"),
    ("AuthMerging Maybe", "Off, And or Or"),
])
def test_errors(weir, weir_command, text, words):
    server = weir(f'<Directory "@WWW@">\n{text}\n</Directory>', start=False)
    server.write_config()
    done = weir_command("-t", "-f", server.conf)
    assert done.returncode != 0
    assert words in done.stderr
    assert f"{server.conf}:" in done.stderr
