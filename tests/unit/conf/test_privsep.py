"""`kore.privsep()` and the block of that name make the same, and refuse the same."""

from pathlib import Path
from typing import Any

import pytest

import kore
from kore import _context
from kore._conf.builder import Builder
from kore._conf.server_schema import Privsep
from kore.errors import ConfigError
from tests.helpers.conf import config


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch) -> Builder:
    builder = Builder()
    monkeypatch.setattr(_context.current, "builder", builder)
    return builder


def test_calls_and_files_configure_the_same_privsep(builder: Builder) -> None:
    kore.privsep("worker", root=Path("/var/www"), runas="www", skip=["chroot"])
    kore.privsep("keymgr", runas="keys")
    kore.privsep("worker", runas="http")

    text = """
privsep worker {
    root /var/www
    runas http
    skip chroot
}
privsep keymgr {
    runas keys
}
"""
    assert tuple(builder.privseps.values()) == config(text).privsep
    assert builder.privseps["worker"] == Privsep("worker", "/var/www", "http", ("chroot",))
    assert builder.privseps["worker"].where.startswith("tests/unit/conf/test_privsep.py:")


@pytest.mark.parametrize(
    ("process", "keywords", "reason"),
    [
        ("parent", {"runas": "x"}, "unknown privsep process 'parent', there are worker, keymgr"),
        ("worker", {"skip": "chroot"}, "privsep skip keyword needs to be a list, not 'chroot'"),
        ("worker", {"skip": ["runas"]}, "unknown skip keyword 'runas', there is chroot"),
        ("worker", {"skip": [5]}, "unknown skip keyword '5', there is chroot"),
        ("worker", {}, "privsep worker: nothing to give up: pass root, runas or skip"),
        ("worker", {"root": "a\ud800"}, "root cannot be the name of a file"),
    ],
)
def test_what_makes_no_sense_is_refused(
    builder: Builder, process: str, keywords: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ConfigError, match="^" + reason.replace("[", r"\[")):
        kore.privsep(process, **keywords)


@pytest.mark.parametrize("keywords", [{"root": 5}, {"runas": b"www"}])
def test_a_value_that_is_no_text_is_a_type_error(
    builder: Builder, keywords: dict[str, Any]
) -> None:
    with pytest.raises(TypeError):
        kore.privsep("worker", **keywords)


def test_an_empty_name_is_refused(builder: Builder) -> None:
    with pytest.raises(ValueError, match="runas is empty"):
        kore.privsep("worker", runas="")
