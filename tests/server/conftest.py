"""Servers that several files share."""

from pathlib import Path

import pytest

from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.fix_worker import ThreadLauncher, ThreadServer, serve_thread

__all__ = ["serve_thread"]


WIRE_APP = Path(__file__).with_name("wire_app.py")


@pytest.fixture(scope="module")
def plain(serve_thread: ThreadLauncher) -> ThreadServer:
    """The worker of the raw cases: `/` says hello world, `/echo` echoes. Default settings."""
    return serve_thread(WIRE_APP)


@pytest.fixture(scope="session")
def plain_server(serve_session: Launcher) -> Server:
    """The same application, on a real server."""
    return serve_session(WIRE_APP)
