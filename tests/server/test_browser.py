"""Forms as a browser encodes them."""

import html
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.browser import page_after
from tests.helpers.fix_serve import Launcher, Server

NAME = 'ä "b" \\ c;.txt'
APP = """
import json

domain = kore.domain("*", attach="http")

PAGE = '''<!doctype html><meta charset="utf-8"><form method="post" enctype="%s" action="%s">
<textarea name="text"></textarea><input name="empty"><input type="file" name="file" multiple>
</form><script>
const form = document.forms[0];
form.text.value = "one\\\\ntwo & three=%%41+ä€";
const files = new DataTransfer();
for (const [name, text] of [["%s", "a\\\\r\\\\nb\\\\0"], ["empty.bin", ""]])
    files.items.add(new File([text], name, {type: "text/x-test"}));
form.file.files = files.files;
form.submit();
</script>'''

def page(req, kind, name):
    req.response_header("content-type", "text/html; charset=utf-8")
    req.response(200, PAGE % (kind, "/" + name, json.dumps(NAME)[1:-1]))

@kore.route("/multipart-page", methods=["get"])
def multipart_page(req):
    page(req, "multipart/form-data", "multipart")

@kore.route("/urlencoded-page", methods=["get"])
def urlencoded_page(req):
    page(req, "application/x-www-form-urlencoded", "urlencoded")

def told(req):
    files = [[f.name, f.filename, f.raw_filename, f.content_type, f.read(100)[1].decode()]
             for found in req.files().values() for f in found]
    req.response_header("content-type", "text/plain; charset=utf-8")
    req.response(200, json.dumps({"arguments": req.arguments(), "files": files}))

ANY = {"text": "", "empty": "", "file": ""}

@kore.route("/multipart", methods=["post"], post=ANY)
def multipart(req):
    req.populate_multi()
    told(req)

@kore.route("/urlencoded", methods=["post"], post=ANY)
def urlencoded(req):
    req.populate_post()
    told(req)
"""


@pytest.fixture(scope="module")
def server(serve_module: Launcher) -> Server:
    return serve_module(f"NAME = {NAME!r}\n{APP}")


def submitted(server: Server, page: str, profile: Path) -> Any:
    document = page_after(f"http://{server.address[0]}:{server.address[1]}/{page}", profile)
    found = re.search(r"<pre[^>]*>(.*)</pre>", document, re.DOTALL)
    assert found, document
    return json.loads(html.unescape(found[1]))


def test_a_browsers_multipart_form_arrives_whole(server: Server, tmp_path: Path) -> None:
    told = submitted(server, "multipart-page", tmp_path)

    assert told["arguments"] == {"text": ["one\r\ntwo & three=%41+ä€"], "empty": [""]}
    assert told["files"] == [
        ["file", " c;.txt", NAME, "text/x-test", "a\r\nb\0"],
        ["file", "empty.bin", "empty.bin", "text/x-test", ""],
    ]


def test_a_browsers_urlencoded_form_arrives_whole(server: Server, tmp_path: Path) -> None:
    told = submitted(server, "urlencoded-page", tmp_path)

    assert told["files"] == []
    assert told["arguments"] == {
        "text": ["one\r\ntwo & three=%41+ä€"],
        "empty": [""],
        "file": [NAME, "empty.bin"],
    }
