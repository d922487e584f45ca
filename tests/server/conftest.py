"""Servers that several files share."""

from pathlib import Path

import pytest

from tests.helpers.fix_serve import Launcher, Server


@pytest.fixture(scope="session")
def plain(serve_session: Launcher) -> Server:
    """The server of the raw cases: `/` says hello world, `/echo` echoes. Default settings."""
    return serve_session(Path(__file__).with_name("wire_app.py"))
