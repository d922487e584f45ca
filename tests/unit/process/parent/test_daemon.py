"""The terminal of a server, and the pipe by which a command waits for its start."""

import os
import pty
import socket
from collections.abc import Iterator

import pytest

from kore._process.eventloop import CallbackLoop
from kore._process.log.writer import LogWriter
from kore._process.parent import daemon
from kore._process.parent.daemon import STARTED, StartupPipe, Terminal

Ends = tuple[socket.socket, StartupPipe]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    yield ours, StartupPipe(theirs)
    ours.close()
    theirs.close()


@pytest.fixture
def redirected(monkeypatch: pytest.MonkeyPatch) -> list[frozenset[int]]:
    """The descriptors that were redirected to /dev/null, instead of those of this process."""
    calls: list[frozenset[int]] = []
    monkeypatch.setattr(daemon, "redirect_to_null", calls.append)
    return calls


@pytest.mark.parametrize(("keep_stderr", "fds"), [(True, {0, 1}), (False, {0, 1, 2})])
def test_report_detaches_and_tells_the_command(
    ends: Ends, redirected: list[frozenset[int]], fds: set[int], *, keep_stderr: bool
) -> None:
    ours, pipe = ends
    pipe.report_started(keep_stderr=keep_stderr)

    assert ours.recv(10) == STARTED
    assert redirected == [fds]
    assert not pipe.waiting


def test_report_to_a_command_that_has_exited_is_no_error(
    ends: Ends, redirected: list[frozenset[int]]
) -> None:
    ours, pipe = ends
    ours.close()
    pipe.report_started(keep_stderr=True)

    assert redirected


def test_server_stops_when_the_waiting_command_exits(ends: Ends) -> None:
    ours, pipe = ends
    stops: list[bool] = []
    loop = CallbackLoop()
    Terminal(pipe).watch(loop, lambda: stops.append(True))
    ours.close()
    loop.turn()
    loop.close()

    assert stops == [True]


def test_detaching_once_is_enough(ends: Ends, redirected: list[frozenset[int]]) -> None:
    _, pipe = ends
    loop = CallbackLoop()
    terminal = Terminal(pipe)
    terminal.watch(loop, lambda: None)
    for _ in range(2):
        terminal.detach(loop, LogWriter())
    loop.close()

    assert redirected == [{0, 1}], "standard error is the log"
    assert terminal.descriptors == []


def test_server_in_the_foreground_does_not_detach(redirected: list[frozenset[int]]) -> None:
    loop = CallbackLoop()
    terminal = Terminal()
    terminal.watch(loop, lambda: None)
    terminal.detach(loop, LogWriter())
    loop.close()

    assert redirected == []


def test_closed_terminal_is_noticed() -> None:
    ours, theirs = pty.openpty()
    terminal = Terminal()
    terminal.descriptors = [theirs]
    assert not terminal.is_closed
    os.close(ours)

    assert terminal.is_closed
    os.close(theirs)


def test_server_without_a_terminal_has_none_to_lose() -> None:
    terminal = Terminal()
    terminal.descriptors = []

    assert not terminal.is_closed
