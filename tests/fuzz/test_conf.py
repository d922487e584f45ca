"""Whatever a configuration file says, it is read or refused in sentences: never a traceback."""

from hypothesis import event
from hypothesis import strategies as st

from kore._conf.builder import Builder
from kore._conf.file.loader import ALL_TABLES, load
from kore._conf.file.syntax import CONTROL, parse
from kore._conf.settings import SETTINGS
from kore.errors import ConfigError
from tests.helpers.conf import App
from tests.helpers.head_strategies import fuzzed

DIRECTIVES = {word for table in ALL_TABLES.values() for word in table}
KEYWORDS = sorted({*SETTINGS, "include", *DIRECTIVES})
WORDS = [
    "4",
    "0",
    "16k",
    "yes",
    "no",
    "/x",
    "^/x$",
    "^(",
    "index",
    "allowed",
    "plain",
    "default",
    "get",
    "qs:post",
    "127.0.0.1",
    "::1",
    "8888",
    "@x",
    "cookie",
    "request",
    "regex",
    "function",
    "worker",
    "chroot",
    "*",
    "$X",
    "${X}",
    "$",
    "$$",
    '"a b"',
    '"',
    "'",
    '""',
    "301",
    "text/x",
    "kore.conf",
    "more.conf",
    "\x00",
    "\u2028",
    "é",
    "{",
    "}",
    "#",
]


@st.composite
def lines(draw: st.DrawFn) -> str:
    """Draw a statement, more often than not one that makes sense."""
    words = [draw(st.sampled_from(KEYWORDS)), *draw(st.lists(st.sampled_from(WORDS), max_size=4))]
    return " ".join(words) + draw(st.sampled_from(["", "", " {", " {", " }", "\n}", " # x", "\r"]))


def outcome(text: bytes) -> str:
    """Read a file to the end, and say how that went."""
    builder = Builder()
    files = {"kore.conf": text, "more.conf": b"workers 2\ninclude kore.conf\n"}

    def read(path: str) -> bytes:
        if path not in files:
            raise FileNotFoundError(2, "No such file or directory")
        return files[path]

    load(parse("kore.conf", read, {"X": "a { b"}, builder.problems), builder, App())
    for line in builder.problems.found:
        assert not CONTROL.search(line)
    try:
        builder.build()
    except ConfigError:
        return "refused"
    return "read"


@fuzzed(st.lists(lines(), max_size=12).map("\n".join))
def test_statements_are_read_or_refused(text: str) -> None:
    event(outcome(text.encode()))


@fuzzed(st.binary(max_size=200))
def test_bytes_are_read_or_refused(data: bytes) -> None:
    event(outcome(data))
