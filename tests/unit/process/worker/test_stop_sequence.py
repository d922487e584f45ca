"""The stop sequence of a worker: the order of its steps, and their deadlines."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import pytest

from kore._conf.settings import Settings
from kore._process.worker.stop_sequence import DRAINED_TIMEOUT, IMMEDIATE_TIMEOUT, StopSequence


class FakeWorker:
    """Records the steps of stopping."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.steps: list[str] = []
        self.idle = False
        self.hooks: list[tuple[str, Callable[..., Any], tuple[object, ...]]] = []

    def stop_accepting(self, *, patient: bool, accept: bool) -> None:
        self.steps.append(f"stop_accepting patient={patient} accept={accept}")

    def report_draining(self) -> None:
        self.steps.append("report_draining")

    def is_idle(self) -> bool:
        return self.idle

    async def end_requests(self) -> None:
        self.steps.append("end_requests")

    def get_stop_hooks(self) -> Iterable[tuple[str, Callable[..., Any], tuple[object, ...]]]:
        return self.hooks

    async def end_remaining(self) -> None:
        self.steps.append("end_remaining")

    def report_error(self, where: str, error: BaseException) -> None:
        self.steps.append(f"{where}: {error!r}")


Check = Callable[[FakeWorker, StopSequence], Coroutine[Any, Any, None]]


def run_check(check: Check, **settings: Any) -> None:
    """Run *check* with a worker and its stop sequence."""

    async def main() -> None:
        worker = FakeWorker()
        await check(worker, StopSequence(worker, Settings(**settings)))

    asyncio.run(main())


def test_steps_are_taken_in_order() -> None:
    async def check(worker: FakeWorker, sequence: StopSequence) -> None:
        async def stop() -> None:
            worker.steps.append("workerstop")

        worker.hooks = [("workerstop", stop, ())]
        await sequence.run()
        assert worker.steps == ["end_requests", "workerstop", "end_remaining"]

    run_check(check)


def test_drain_ends_as_soon_as_the_worker_is_idle() -> None:
    async def check(worker: FakeWorker, sequence: StopSequence) -> None:
        sequence.drain()
        assert worker.steps == ["stop_accepting patient=False accept=True"]
        await asyncio.sleep(0)
        assert not sequence.serving_ended.done()
        worker.idle = True
        await asyncio.wait_for(sequence.serving_ended, 1)

    run_check(check)


def test_drain_ends_after_drain_timeout() -> None:
    async def check(worker: FakeWorker, sequence: StopSequence) -> None:
        sequence.drain()
        await asyncio.wait_for(sequence.serving_ended, 1)
        assert not worker.idle

    run_check(check, drain_timeout=0)


def test_second_drain_with_patience_changes_nothing() -> None:
    async def check(worker: FakeWorker, sequence: StopSequence) -> None:
        sequence.drain()
        before = (list(worker.steps), sequence.deadline)
        sequence.drain(patient=True)
        assert (worker.steps, sequence.deadline) == before

    run_check(check)


def test_drain_on_signal_is_reported_once() -> None:
    async def check(worker: FakeWorker, sequence: StopSequence) -> None:
        sequence.drain_on_signal()
        sequence.drain_on_signal()
        assert worker.steps.count("report_draining") == 1

    run_check(check)


@pytest.mark.parametrize("at_once", [False, True])
def test_step_timeout_is_half_of_the_time_before_a_kill(at_once: bool) -> None:
    async def check(worker: FakeWorker, sequence: StopSequence) -> None:
        sequence.drain()
        if at_once:
            sequence.stop_at_once()
        total = IMMEDIATE_TIMEOUT if at_once else DRAINED_TIMEOUT
        assert sequence.get_step_timeout() == pytest.approx(total / 2, abs=0.1)

    run_check(check, drain_timeout=0)


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3), asyncio.CancelledError()])
def test_error_of_a_stop_hook_is_reported_and_the_rest_follows(error: BaseException) -> None:
    async def check(worker: FakeWorker, sequence: StopSequence) -> None:
        def fail() -> None:
            raise error

        worker.hooks = [("workerstop", fail, ())]
        await sequence.run()
        assert worker.steps == ["end_requests", f"workerstop: {error!r}", "end_remaining"]

    run_check(check)


def test_stop_hook_that_takes_too_long_is_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    async def check(worker: FakeWorker, sequence: StopSequence) -> None:
        async def hang() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                worker.steps.append("cancelled")

        worker.hooks = [("workerstop", hang, ())]
        sequence.stop_at_once()
        await asyncio.wait_for(sequence.run(), 5)
        assert worker.steps == ["end_requests", "cancelled", "end_remaining"]

    run_check(check, drain_timeout=0)
    assert "workerstop has not ended within drain_timeout: cancelled at" in caplog.text
