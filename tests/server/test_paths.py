"""Each path has one spelling: all spellings that clients send get the same answer."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._values.paths import normalize_path
from tests.helpers.build import get, request
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer
from tests.helpers.response_reader import Answer

APP = """
import kore

AUTH = {"type": "header", "value": "x-key", "verify": lambda req, value: value == "s3cret"}

@kore.prerequest
def prerequest(req):
    if req.path.startswith("/echo/pre:"):
        req.response(402, b"")

def echo(req, *captures):
    req.response(200, "\\n".join([req.path, *captures]))

site = kore.domain("*", attach="http")
site.return_("^/@internal/", 410)
site.return_("^/%c3%bcber/", 410)
site.redirect("^/m%6fv%c3%a9d/(.*)$", 301, "/$1")
site.route("/literal(1)/caf%c3%a9", echo, methods=["get"])
site.route("/secret,1.txt", echo, methods=["get"], auth=AUTH)
site.route("^/kept;/%40", echo, methods=["get"], auth=AUTH)
site.route("^/echo/(.*)$", echo, methods=["get"])
site.route("/", echo, methods=["options"])
site.filemaps({"/": "www", "/@admin/": ("www/@admin", AUTH), "/a+b=c/": ("www/a+b=c", AUTH)})
"""
FILES = (
    "@admin/x.txt",
    "a+b=c/x.txt",
    "@internal/x.txt",
    "secret,1.txt",
    "\u00fcber/x",
    "f [1].txt",
    "kept;/@x",
)

PATHS = {
    "/@admin/x.txt": 403,
    "/@admin/none": 403,
    "/a+b=c/x.txt": 403,
    "/@internal/x.txt": 410,
    "/%C3%BCber/x": 410,
    "/mov%C3%A9d/to:x": 301,
    "/literal(1)/caf%C3%A9": 200,
    "/secret,1.txt": 403,
    "/kept;/@x": 403,
    "/echo/pre:x": 402,
    "/f%20[1].txt": 200,
    "/none!": 404,
    "/@admin%2Fx.txt": 404,
}
# Bytes that a request line can hold in a path; the others are escaped.
RAW = {code for code in range(0x21, 0x7F) if chr(code) not in "#%?\\"}


@pytest.fixture(scope="module")
def server(serve_thread: ThreadLauncher, tmp_path_factory: pytest.TempPathFactory) -> ThreadServer:
    www: Path = tmp_path_factory.mktemp("site") / "www"
    for name in FILES:
        (www / name).parent.mkdir(parents=True, exist_ok=True)
        (www / name).write_text(f"content of {name}")
    return serve_thread(APP.replace('"www', f'"{www}'))


def ask(server: ThreadServer, path: str) -> Answer:
    with server.connect() as client:
        return client.ask(get(path))


def gist(answer: Answer) -> tuple[int, bytes, str | None]:
    """Return what must not depend on the spelling of a path."""
    return answer.status, answer.body, answer.get("location")


def escapes(code: int) -> list[str]:
    """Return the escapes of a byte, with hexadecimal digits in both cases."""
    high, low = f"{code:02X}"
    return [f"%{a}{b}" for a in {high, high.lower()} for b in {low, low.lower()}]


def spellings(code: int) -> st.SearchStrategy[str]:
    """Draw one of the ways to write a byte of a path; a slash that separates has one."""
    plain = [chr(code)] if code in RAW else []
    return st.sampled_from(plain if chr(code) == "/" else plain + sorted(escapes(code)))


@st.composite
def respelled(draw: st.DrawFn, path: str) -> str:
    """Draw another spelling of a path in its normal form."""
    parts = path.split("%")
    codes: list[int | str] = [*parts[0].encode()]
    for part in parts[1:]:
        code = int(part[:2], 16)
        codes += [draw(st.sampled_from(escapes(code))) if chr(code) == "/" else code]
        codes += part[2:].encode()
    return "/" + "".join(c if isinstance(c, str) else draw(spellings(c)) for c in codes[1:])


@pytest.mark.parametrize(("path", "status"), PATHS.items())
@given(data=st.data())
def test_every_spelling_of_a_path_gets_the_same_answer(
    server: ThreadServer, path: str, status: int, data: st.DataObject
) -> None:
    expected = ask(server, path)
    spelled = data.draw(respelled(path))

    assert expected.status == status
    assert gist(ask(server, spelled)) == gist(expected), spelled


@given(octets=st.lists(st.integers(1, 255), max_size=8), data=st.data())
def test_handlers_see_one_spelling(
    server: ThreadServer, octets: list[int], data: st.DataObject
) -> None:
    spelled = "".join(data.draw(spellings(code)) for code in octets)
    normal = normalize_path("".join(f"%{c:02X}" if chr(c) != "/" else "/" for c in octets))

    answer = ask(server, "/echo/" + spelled)

    assert answer.status == (402 if normal.startswith("pre:") else 200)
    assert answer.body.decode() in ("", f"/echo/{normal}\n{normal}")


@pytest.mark.parametrize("code", range(1, 256))
def test_the_escape_of_each_byte_is_the_byte(server: ThreadServer, code: int) -> None:
    answers = {gist(ask(server, f"/echo/{text}")) for text in escapes(code)}
    if code in RAW - {ord("/")}:
        answers.add(gist(ask(server, f"/echo/{chr(code)}")))

    assert len(answers) == 1


@pytest.mark.parametrize(
    "path", ["/%", "/%4", "/%zz", "/%00", "/a\\b", "/a#b", "/caf\u00e9", "/a\x7fb", "/a\tb", "/a b"]
)
def test_a_path_without_a_normal_form_is_refused(server: ThreadServer, path: str) -> None:
    assert ask(server, path).status == 400


@pytest.mark.parametrize(
    ("path", "other"),
    [("/echo/a/b", "/echo/a%2Fb"), ("/echo/a", "/echo//a"), ("/echo/a", "/echo/./a")],
)
def test_different_paths_stay_different(server: ThreadServer, path: str, other: str) -> None:
    assert ask(server, path).body != ask(server, other).body


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "http://h/%40admin/x.txt", 403),
        ("HEAD", "http://h/@admin/x.txt", 403),
        ("GET", "http://h.:80/%40admin/x.txt", 403),
        ("GET", "http://user@h/@admin/x.txt", 400),
        ("GET", "http://h\\@admin/x.txt", 400),
        ("GET", "@admin/x.txt", 400),
        ("POST", "/%40admin/x.txt", 405),
        ("OPTIONS", "*", 204),
        ("OPTIONS", "/", 200),
        ("GET", "*", 400),
    ],
)
def test_other_target_forms_reach_the_same_routes_only(
    server: ThreadServer, method: str, target: str, status: int
) -> None:
    with server.connect(method) as client:
        answer = client.ask(request(method, target, "X-HTTP-Method-Override: PUT"))

    assert answer.status == status
    assert b"content of" not in answer.body
