"""Signals of a worker: the hook is called once for a signal, whichever way it arrives."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from kore._process.worker import signals
from kore._process.worker.signals import Signals


def run_check(check: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run *check* on a loop, and restore the handlers of signals."""
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR1, signal.SIGCHLD)}
    try:
        asyncio.run(check())
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def make_signals(hook: Any, errors: list[tuple[str, BaseException]] | None = None) -> Signals:
    """Return the signals of a worker with *hook*; its tasks are those of the running loop."""
    report = (errors if errors is not None else []).append
    tasks: set[asyncio.Task[Any]] = set()

    def start(coroutine: Coroutine[Any, Any, Any]) -> None:
        tasks.add(asyncio.get_running_loop().create_task(coroutine))

    return Signals(hook, start, lambda where, error: report((where, error)))


def test_action_and_hook_are_called_for_a_signal() -> None:
    calls: list[object] = []

    async def check() -> None:
        made = make_signals(calls.append)
        loop = asyncio.get_running_loop()
        made.add_actions(loop, {signal.SIGUSR1: lambda: calls.append("action")})
        signal.raise_signal(signal.SIGUSR1)
        await asyncio.sleep(0.01)

    run_check(check)
    assert calls == ["action", signal.SIGUSR1]


@pytest.mark.parametrize("parent_first", [False, True])
def test_signal_received_both_ways_calls_the_hook_once(parent_first: bool) -> None:
    calls: list[int] = []
    made = make_signals(calls.append)
    ways = [lambda: made.on_signal(2, lambda: None), lambda: made.on_parent_signal(2)]

    for receive in reversed(ways) if parent_first else ways:
        receive()

    assert calls == [2]


def test_signal_received_twice_one_way_calls_the_hook_twice() -> None:
    calls: list[int] = []
    made = make_signals(calls.append)

    made.on_signal(2, lambda: None)
    made.on_signal(2, lambda: None)

    assert calls == [2, 2]


def test_error_of_the_hook_is_reported() -> None:
    errors: list[tuple[str, BaseException]] = []

    def fail(_: int) -> None:
        raise ValueError("no")

    make_signals(fail, errors).on_signal(2, lambda: None)

    ((where, error),) = errors
    assert (where, type(error)) == ("the signal hook", ValueError)


@pytest.mark.parametrize("as_task", [False, True])
def test_async_hook_is_awaited_and_counted(as_task: bool) -> None:
    async def check() -> None:
        done = asyncio.Event()

        def hook(_: int) -> Any:
            wait = done.wait()
            return asyncio.ensure_future(wait) if as_task else wait

        made = make_signals(hook)
        made.on_signal(2, lambda: None)
        assert made.running_hooks == 1
        done.set()
        async with asyncio.timeout(5):
            while made.running_hooks:  # noqa: ASYNC110 - a few turns of the loop
                await asyncio.sleep(0)

    run_check(check)


def test_known_signal_is_not_trapped_again() -> None:
    async def check() -> None:
        made = make_signals(None)
        loop = asyncio.get_running_loop()
        made.add_actions(loop, {signal.SIGUSR1: lambda: None})
        handler = signal.getsignal(signal.SIGUSR1)
        made.trap(loop, signal.SIGUSR1)
        assert signal.getsignal(signal.SIGUSR1) is handler

    run_check(check)


def test_defaults_are_restored_but_not_over_handlers_of_the_application() -> None:
    def own(*_: object) -> None: ...

    async def check() -> None:
        made = make_signals(lambda _: None)
        loop = asyncio.get_running_loop()
        made.add_actions(loop, {signal.SIGUSR1: lambda: None, signal.SIGUSR2: lambda: None})
        signal.signal(signal.SIGUSR2, own)
        made.restore_defaults()
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL
        assert signal.getsignal(signal.SIGUSR2) is own
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)

    run_check(check)


@pytest.mark.parametrize(("from_parent", "hinted"), [(False, True), (True, False)])
def test_sighup_to_a_worker_alone_gets_a_hint(
    from_parent: bool,
    hinted: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(signals, "DUPLICATE_SECONDS", 0.1)

    async def check() -> None:
        made = make_signals(None)
        made.on_signal(signal.SIGHUP, made.on_sighup)
        if from_parent:
            made.on_parent_signal(signal.SIGHUP)
        await asyncio.sleep(0.15)

    run_check(check)
    assert ("SIGHUP to a worker does nothing" in caplog.text) == hinted
