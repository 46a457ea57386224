"""What the extensions of a name say: type, encoding, language, character
set, handler."""

import pytest

CONFIG = """
AddLanguage en .en
AddLanguage fr .fr
AddCharset utf-8 .utf8
AddHandler hello .hi
AddType text/x-one .one
AddEncoding gzip .gz
DefaultLanguage de
<Directory "@WWW@/less">
    RemoveType one
    RemoveLanguage .en .fr
    RemoveCharset utf8
    RemoveEncoding gz
    RemoveHandler hi
    DefaultLanguage it
</Directory>
<Directory "@WWW@/less/more">
    AddType text/x-more one
    AddLanguage en en
</Directory>
<Directory "@WWW@/set">
    SetHandler hello
    AddHandler none-such .hi
</Directory>
"""

FILES = ("a.html", "a.html.en", "a.fr.html", "a.html.en.fr", "a.html.utf8",
         "a.one", "a.one.gz", "a.hi", "less/a.html.en", "less/a.one",
         "less/a.html.utf8", "less/a.html.gz", "less/a.hi", "less/more/a.one",
         "less/more/a.html.en", "less/more/a.html.fr", "set/a.hi", "set/a.txt")


@pytest.fixture(scope="module")
def server(module_weir):
    server = module_weir(CONFIG)
    for name in FILES:
        server.put(name, name)
    return server


@pytest.mark.parametrize("name,media_type,encoding,language", [
    ("a.html", "text/html", None, "de"),
    ("a.html.en", "text/html", None, "en"),
    ("a.fr.html", "text/html", None, "fr"),
    ("a.html.en.fr", "text/html", None, "en, fr"),
    ("a.html.utf8", "text/html; charset=utf-8", None, "de"),
    ("a.one", "text/x-one", None, "de"),
    ("a.one.gz", "text/x-one", "gzip", "de"),
    ("less/a.html.en", "text/html", None, "it"),
    ("less/a.one", None, None, "it"),
    ("less/a.html.utf8", "text/html", None, "it"),
    ("less/a.html.gz", "text/html", None, "it"),
    ("less/a.hi", None, None, "it"),
    ("less/more/a.one", "text/x-more", None, "it"),
    ("less/more/a.html.en", "text/html", None, "en"),
    ("less/more/a.html.fr", "text/html", None, "it"),
])
def test_fields(server, name, media_type, encoding, language):
    for _ in range(3):
        response = server.get("/" + name)
        assert response.status == 200
        assert response.body == name.encode()
        assert response.get("content-type") == media_type
        assert response.get("content-encoding") == encoding
        assert response.get("content-language") == language


@pytest.mark.parametrize("name", ["a.hi", "set/a.hi", "set/a.txt"])
def test_handler(server, name):
    for _ in range(3):
        assert server.get("/" + name).body == b"Hello, you!\n"
