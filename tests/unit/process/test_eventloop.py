import os
import signal
import socket
import time
from collections.abc import Iterator

import pytest

from kore._process.eventloop import CallbackLoop


@pytest.fixture
def loop() -> Iterator[CallbackLoop]:
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    loop = CallbackLoop()
    yield loop
    loop.close()
    for number, handler in before.items():
        if handler is not None and number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, handler)


def test_deadlines_run_in_order(loop: CallbackLoop) -> None:
    seen: list[str] = []
    loop.after(0.02, lambda: seen.append("second"))
    loop.after(0.01, lambda: seen.append("first"))
    loop.after(0.02, lambda: seen.append("third"))
    while len(seen) < 3:
        loop.turn()

    assert seen == ["first", "second", "third"]


def test_readable_descriptor_runs_its_callback(loop: CallbackLoop) -> None:
    ours, theirs = socket.socketpair()
    seen: list[bytes] = []
    loop.watch(ours, lambda: seen.append(ours.recv(10)))
    theirs.send(b"x")
    loop.turn()
    loop.forget(ours)
    loop.forget(ours)
    ours.close()
    theirs.close()

    assert seen == [b"x"]


def test_descriptor_closed_in_the_same_turn_runs_no_callback(loop: CallbackLoop) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[int] = []

    def end_both(which: int) -> None:
        called.append(which)
        for ours, _ in pairs:
            loop.forget(ours)

    for which, (ours, theirs) in enumerate(pairs):
        loop.watch(ours, lambda which=which: end_both(which))  # type: ignore[misc]
        theirs.send(b"x")
    loop.turn()
    for both in pairs:
        for end in both:
            end.close()

    assert len(called) == 1


def test_reused_descriptor_does_not_run_the_old_callback(loop: CallbackLoop) -> None:
    pairs = [socket.socketpair() for _ in range(2)]
    called: list[str] = []

    def replace_both() -> None:
        called.append("old")
        for ours, _ in pairs:
            loop.forget(ours)
            loop.watch(ours, lambda: called.append("new"))

    for ours, theirs in pairs:
        loop.watch(ours, replace_both)
        theirs.send(b"x")
    loop.turn()
    assert called == ["old"]
    loop.turn()
    for both in pairs:
        for end in both:
            end.close()

    assert called == ["old", "new", "new"]


def test_writable_is_watched_only_on_request(loop: CallbackLoop) -> None:
    ours, theirs = socket.socketpair()
    called: list[bool] = []
    loop.watch(ours, lambda: called.append(True))
    loop.after(0, lambda: None)
    loop.turn()
    assert not called
    loop.watch(ours, lambda: called.append(True), write=True)
    loop.turn()
    loop.forget(ours)
    ours.close()
    theirs.close()

    assert called


def test_no_signal_is_lost_and_sigchld_comes_last(loop: CallbackLoop) -> None:
    seen: list[str] = []
    loop.trap_signals(
        {
            signal.SIGCHLD: lambda: seen.append("child"),
            signal.SIGUSR1: lambda: seen.append("one"),
            signal.SIGUSR2: lambda: seen.append("two"),
        }
    )
    for number in (signal.SIGCHLD, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(os.getpid(), number)
    while len(seen) < 3:
        loop.turn()

    assert seen[-1] == "child"
    assert set(seen[:2]) == {"one", "two"}


def test_signals_survive_a_full_pipe(loop: CallbackLoop) -> None:
    seen: list[int] = []
    loop.trap_signals(
        {signal.SIGUSR1: lambda: seen.append(1), signal.SIGUSR2: lambda: seen.append(2)}
    )
    for _ in range(70_000):
        signal.raise_signal(signal.SIGUSR1)
    signal.raise_signal(signal.SIGUSR2)
    while 2 not in seen:
        loop.turn()

    assert seen.count(1) == 70_000


def test_signal_ends_the_wait(loop: CallbackLoop) -> None:
    seen: list[float] = []
    loop.trap_signals({signal.SIGALRM: lambda: seen.append(time.monotonic())})
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    while not seen:
        loop.turn()

    assert len(seen) == 1
