"""Work that may block: done elsewhere, while the loop goes on."""

import asyncio
import threading

from kore._process.worker.io_threads import THREADS, IoThreads


def test_the_loop_goes_on_while_the_disk_does_not() -> None:
    async def main() -> None:
        disk = IoThreads(asyncio.get_running_loop())
        stuck, done = threading.Event(), asyncio.Event()
        threads: list[str] = []

        def work() -> None:
            stuck.wait(10)
            threads.append(threading.current_thread().name)

        for _ in range(THREADS):
            disk.run(work, lambda error: done.set())
        await asyncio.sleep(0.01)
        assert (disk.pending, done.is_set()) == (THREADS, False)
        await disk.idle(0.01)
        assert disk.pending == THREADS
        stuck.set()
        await asyncio.wait_for(done.wait(), 10)
        await disk.idle(10)
        assert disk.pending == 0
        assert all(name.startswith("kore-disk") for name in threads)
        disk.pool.shutdown()

    asyncio.run(main())


def test_what_goes_wrong_is_handed_back() -> None:
    async def main() -> None:
        disk = IoThreads(asyncio.get_running_loop())
        told: list[BaseException | None] = []

        def fail() -> None:
            raise OSError(28, "No space left on device")

        disk.run(fail, told.append)
        disk.run(lambda: None, told.append)
        await disk.idle(10)
        assert sorted(map(repr, told)) == ["None", repr(OSError(28, "No space left on device"))]
        disk.pool.shutdown()

    asyncio.run(main())


def test_work_that_ends_after_the_loop_is_of_no_interest() -> None:
    stuck = threading.Event()

    async def main() -> IoThreads:
        disk = IoThreads(asyncio.get_running_loop())
        disk.run(lambda: bool(stuck.wait(10)) and None, lambda error: None)
        return disk

    disk = asyncio.run(main())
    stuck.set()
    disk.pool.shutdown()
    assert disk.pending == 1
