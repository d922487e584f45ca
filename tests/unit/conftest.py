"""A context of its own for every unit test: nothing configured, no worker, no new modules."""

import sys
from collections.abc import Iterator

import pytest

from kore import _context
from kore._conf.builder import Builder


@pytest.fixture(autouse=True)
def context(monkeypatch: pytest.MonkeyPatch) -> Iterator[_context.Context]:
    """Return the process's context, empty; everything is put back afterwards."""
    for name in ("builder", "worker", "tasks", "app"):
        monkeypatch.setattr(_context.current, name, None)
    monkeypatch.setattr(sys, "path", list(sys.path))
    modules = set(sys.modules)
    yield _context.current
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.fixture
def builder(context: _context.Context) -> Builder:
    """Return the configuration being written."""
    context.builder = Builder()
    return context.builder
