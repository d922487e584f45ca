"""What this process is: nothing, being configured, or a worker."""

import pytest

from kore import _context
from kore._conf.builder import Builder
from kore.errors import KoreError


def test_plain_interpreter_has_no_builder_and_no_worker() -> None:
    with pytest.raises(KoreError, match="nothing is being configured: call this on import"):
        _context.require_builder()
    with pytest.raises(KoreError, match="no worker runs here: call this in a handler"):
        _context.require_worker()


def test_require_returns_what_was_set(builder: Builder) -> None:
    _context.current.worker = worker = object()  # type: ignore[assignment]

    assert _context.require_builder() is builder
    assert _context.require_worker() is worker
