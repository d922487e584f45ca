"""The fixture of the toolkit's tests."""

import os

import pytest


@pytest.fixture(params=["pidfd", "thread"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Be on a kernel with and without process descriptors."""

    def missing(pid: int, flags: int = 0) -> int:
        raise OSError(38, "Function not implemented")

    if request.param == "thread":
        monkeypatch.setattr(os, "pidfd_open", missing)
    return str(request.param)
