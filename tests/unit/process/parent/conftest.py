"""A parent whose children are objects of the test."""

import logging
from collections.abc import Iterator

import pytest

from kore._process.ipc.messages import (
    Stop,
)
from kore._process.parent.parent import Parent
from tests.helpers.fake_children import FakeFamily, fake_family

DRAIN = Stop(drain=True)


@pytest.fixture
def family(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[FakeFamily]:
    caplog.set_level(logging.DEBUG, "kore")
    with fake_family(monkeypatch) as made:
        yield made


@pytest.fixture
def parent(family: FakeFamily) -> Parent:
    return family.parent
