"""What an application logs, as the log has it, whatever it is."""

import json
from typing import Any

import pytest

import kore
from tests.helpers import procs
from tests.helpers.fix_serve import Launcher, Server
from tests.process.process_helpers import get

APP = r"""
import logging
TEXTS = {
    "lines": "one\n2026-01-01 00:00:00.000 UTC proc=[parent] log=[forged]\n",
    "marked": "| not the rest of another",
    "nul": "a\0b",
    "surrogate": "a\ud800b",
    "escape": "\x1b[2J\r\u2028",
    "large": "x" * 1_000_000 + "END",
}
LEVELS = ("EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG")

def text(req, name):
    kore.log(kore.LOG_INFO, TEXTS[name])
    kore.log(kore.LOG_INFO, f"after {name}")
    req.response(200, b"ok")

def levels(req):
    for name in LEVELS:
        kore.log(getattr(kore, f"LOG_{name}"), f"level {name}")
    kore.log(3 << 3 | 4, "level with a facility")
    logging.getLogger("theirs").warning("from a library")
    logging.getLogger("theirs").info("below the level of the root")
    kore.log(kore.LOG_INFO, "after levels")
    req.response(200, b"ok")

def bad(req):
    raise ValueError("first\nproc=[parent] log=[forged]")

domain = kore.domain("*", attach="http")
domain.route("^/text/([a-z]+)$", text, methods=["get"])
domain.route("/levels", levels, methods=["get"])
domain.route("/bad", bad, methods=["get"])
"""


@pytest.fixture(scope="module")
def text(serve_module: Launcher) -> Server:
    return serve_module(APP)


@pytest.fixture(scope="module")
def objects(serve_module: Launcher) -> Server:
    # The port is told in a line of text and in an object alike.
    return serve_module(APP, settings={"log_format": "json"})


def logged(server: Server, name: str) -> list[str]:
    """Ask for a text, and return the lines that the log has got."""
    start = server.log.size()
    assert get(server, f"/text/{name}") == b"ok"
    *lines, _ = server.log.wait(f"after {name}", start).partition(f"after {name}")[0].split("\n")
    return lines


EXPECTED = {
    "lines": r"[one\n2026-01-01 00:00:00.000 UTC proc=[parent] log=[forged]]",
    "marked": r"[\x7c not the rest of another]",
    "nul": r"[a\x00b]",
    "surrogate": r"[a\ud800b]",
    "escape": r"[\x1b[2J\r\u2028]",
}


@pytest.mark.parametrize("name", EXPECTED)
def test_a_record_is_one_line(text: Server, name: str) -> None:
    (line,) = logged(text, name)

    assert line.partition(" proc=")[2] == f"[wrk 1] log={EXPECTED[name]}"


def test_a_record_that_is_too_large_keeps_its_start_and_its_end(text: Server) -> None:
    (line,) = logged(text, "large")

    assert "log=[xxx" in line
    assert line.endswith("xxxEND]")
    assert "bytes left out" in line
    assert len(line) < 200_000


def test_a_traceback_follows_its_record_and_its_lines_are_marked(text: Server) -> None:
    start = text.log.size()
    with text.expecting("uncaught exception ValueError"):
        with pytest.raises(OSError, match="500"):
            get(text, "/bad")
        text.log.wait("log=[forged]]", start)
    lines = text.log.text(start).splitlines()
    first = next(at for at, line in enumerate(lines) if "uncaught exception" in line)

    assert "log=[| Traceback (most recent call last):]" in lines[first + 1]
    assert all(" proc=[wrk 1] log=[| " in line for line in lines[first + 1 :])
    assert lines[-1].endswith("proc=[wrk 1] log=[| proc=[parent] log=[forged]]")


def parsed(server: Server, start: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log.text(start).splitlines()]


def test_levels_have_names_in_json(objects: Server) -> None:
    start = objects.log.size()
    get(objects, "/levels")
    objects.log.wait("after levels", start)
    found = {row["message"]: row["level"] for row in parsed(objects, start)}

    assert found == {
        "level EMERG": "emergency",
        "level ALERT": "alert",
        "level CRIT": "critical",
        "level ERR": "error",
        "level WARNING": "warning",
        "level NOTICE": "notice",
        "level INFO": "info",
        "level DEBUG": "debug",
        "level with a facility": "warning",
        "from a library": "warning",
        "after levels": "info",
    }


@pytest.mark.parametrize("name", ["lines", "marked", "nul", "surrogate", "escape", "large"])
def test_a_record_is_one_object(objects: Server, name: str) -> None:
    (line,) = logged(objects, name)
    content = json.loads(line)

    assert content.keys() == {"time", "level", "process", "message"}
    assert content["process"] == "wrk 1"
    assert content["time"].endswith("Z")
    expected = {
        "lines": "one\n2026-01-01 00:00:00.000 UTC proc=[parent] log=[forged]",
        "marked": "| not the rest of another",
        "nul": r"a\x00b",
        "surrogate": r"a\ud800b",
        "escape": "\x1b[2J\r\u2028",
    }
    assert expected.get(name, content["message"]) == content["message"]
    assert line.isprintable()


def test_a_traceback_is_a_field(objects: Server) -> None:
    start = objects.log.size()
    with objects.expecting("uncaught exception ValueError"):
        with pytest.raises(OSError, match="500"):
            get(objects, "/bad")
        procs.until(lambda: objects.log.text(start).endswith("\n"))
    (row,) = parsed(objects, start)

    assert row["level"] == "error"
    assert row["message"].startswith("uncaught exception ValueError")
    assert row["traceback"].startswith("Traceback (most recent call last):\n")
    assert row["traceback"].endswith("ValueError: first\nproc=[parent] log=[forged]")


def test_every_line_of_the_log_is_an_object(objects: Server) -> None:
    rows = parsed(objects, 0)

    assert rows[0]["message"].startswith("kore ")
    assert {"parent", "wrk 1"} <= {row["process"] for row in rows}


def test_the_constants_are_syslogs() -> None:
    names = ("EMERG", "ALERT", "CRIT", "ERR", "WARNING", "NOTICE", "INFO", "DEBUG")

    assert [getattr(kore, f"LOG_{name}") for name in names] == list(range(8))


@pytest.mark.parametrize(("priority", "message"), [("6", "x"), (6, b"x"), (None, "x"), (6, None)])
def test_other_types_are_refused(priority: Any, message: Any) -> None:
    with pytest.raises(TypeError):
        kore.log(priority, message)


LEVELS = """
import logging
logging.getLogger(NAME).setLevel(logging.INFO)
logger = logging.getLogger("shop.orders")
logger.info("on import")
def index(req):
    logger.debug("too fine")
    logger.info("in a handler")
    logger.warning("the last one")
    req.response(200)
kore.domain("*", attach="http").route("/", index, methods=["get"])
"""


@pytest.mark.parametrize("name", ["", "shop"])
def test_levels_of_loggers_count(serve: Launcher, name: str) -> None:
    server = serve(LEVELS.replace("NAME", repr(name)))
    get(server, "/")
    text = server.log.wait("log=[the last one]") or server.log.text()

    assert "log=[on import]" in text
    assert "log=[in a handler]" in text
    assert "too fine" not in text


def test_without_a_level_the_root_has_pythons(text: Server) -> None:
    get(text, "/levels")
    text.log.wait("after levels")

    assert "from a library" in text.log.text()
    assert "below the level" not in text.log.text()
