"""Threads for work that may block: the event loop goes on meanwhile."""

import asyncio
import threading

from kore._process.worker.bodies import IO_THREADS_MAX, IoThreads


def test_loop_runs_while_threads_are_blocked() -> None:
    async def main() -> None:
        threads = IoThreads(asyncio.get_running_loop())
        unblock, done = threading.Event(), asyncio.Event()
        names: list[str] = []

        def work() -> None:
            unblock.wait(10)
            names.append(threading.current_thread().name)

        for _ in range(IO_THREADS_MAX):
            threads.run(work, lambda error: done.set())
        await asyncio.sleep(0.01)
        assert (threads.pending, done.is_set()) == (IO_THREADS_MAX, False)
        await threads.wait_until_idle(0.01)
        assert threads.pending == IO_THREADS_MAX
        unblock.set()
        await asyncio.wait_for(done.wait(), 10)
        await threads.wait_until_idle(10)
        assert threads.pending == 0
        assert all(name.startswith("kore-disk") for name in names)
        threads.pool.shutdown()

    asyncio.run(main())


def test_exception_of_work_is_passed_to_done() -> None:
    async def main() -> None:
        threads = IoThreads(asyncio.get_running_loop())
        outcomes: list[BaseException | None] = []

        def fail() -> None:
            raise OSError(28, "No space left on device")

        threads.run(fail, outcomes.append)
        threads.run(lambda: None, outcomes.append)
        await threads.wait_until_idle(10)
        assert sorted(map(repr, outcomes)) == [
            "None",
            repr(OSError(28, "No space left on device")),
        ]
        threads.pool.shutdown()

    asyncio.run(main())


def test_work_that_ends_after_the_loop_is_dropped() -> None:
    unblock = threading.Event()

    async def main() -> IoThreads:
        threads = IoThreads(asyncio.get_running_loop())
        threads.run(lambda: bool(unblock.wait(10)) and None, lambda error: None)
        return threads

    threads = asyncio.run(main())
    unblock.set()
    threads.pool.shutdown()
    assert threads.pending == 1
