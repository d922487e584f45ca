"""Processes end with their owners, and nothing is left of them, however many there were."""

import asyncio
import gc
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import kore
from kore.errors import KoreError, SocketError
from tests.helpers import procs
from tests.helpers.loops import LOOPS, on_both, passes, until
from tests.helpers.spawned_processes import alive, gone, output


@pytest.mark.usefixtures("kernel")
@on_both
async def test_process_group_is_killed_when_its_owner_ends() -> None:
    pids: list[int] = []
    kept: list[Any] = []

    async def owner(how: str) -> None:
        proc = kore.proc(["sh", "-c", "sleep 100 & echo $!; wait"])
        kept.append(proc)
        pids.extend([proc.pid, int(await proc.recv(100) or 0)])
        if how == "raise":
            raise LookupError
        if how == "wait":
            await proc.recv(100)

    for how in ("return", "raise", "wait"):
        task = asyncio.create_task(owner(how))
        count = len(pids) + 2
        await until(lambda count=count: len(pids) == count)
        if how == "wait":
            assert alive(pids[-1])
            task.cancel()
        await asyncio.wait([task])
        assert how != "raise" or isinstance(task.exception(), LookupError)
    await until(lambda: not any(map(alive, pids)))
    await until(lambda: gone(kept[-1].pid))
    assert [await proc.reap() for proc in kept] == [9, 9, 9]
    assert await kept[0].recv(10) is None


@on_both
async def test_task_can_wait_for_the_process_of_another() -> None:
    async def owner() -> Any:
        return kore.proc("sleep 100")

    async def wait(proc: Any) -> tuple[object, int]:
        return await proc.recv(10), await proc.reap()

    proc = await asyncio.create_task(owner())
    assert await wait(proc) == (None, 9)


@on_both
async def test_process_that_is_waited_for_is_kept_alive() -> None:
    assert await kore.proc("sh -c 'sleep 0.05; exit 4'").reap() == 4
    assert await kore.proc("sh -c 'sleep 0.05; echo x'").recv(10) == b"x\n"
    status = kore.proc("sh -c 'sleep 0.7; exit 5'").reap()
    gc.collect()
    assert await status == 5


@pytest.mark.usefixtures("kernel")
@on_both
async def test_dropped_process_is_killed_and_reaped() -> None:
    pid = kore.proc("sleep 100").pid
    gc.collect()
    await until(lambda: gone(pid))


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("kind", LOOPS)
def test_process_is_killed_when_the_loop_ends(kind: str) -> None:
    kept: list[Any] = []

    async def check() -> list[int]:
        kept.append(kore.proc("sleep 100"))
        return [kept[0].pid, kore.proc("sleep 100").pid]

    before = len(procs.descriptors(os.getpid()))
    with asyncio.Runner(loop_factory=LOOPS[kind]) as runner:
        pids = runner.run(check())
    kept.clear()
    gc.collect()  # with its ResourceWarning, if there were one
    procs.until(lambda: all(map(gone, pids)))
    assert len(procs.descriptors(os.getpid())) <= before


PROGRAM = """
import asyncio, kore, os, sys
kept = []
async def main():
    kept.append(kore.proc("sleep 100"))
    other = kore.proc("sleep 100")
    print(kept[0].pid, other.pid)
asyncio.run(main())
"""


def test_process_is_killed_without_a_warning_when_the_program_ends() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    pids = [int(word) for word in done.stdout.split()]

    assert (len(pids), done.stderr) == (2, "")
    procs.until(lambda: not any(map(alive, pids)))


@pytest.mark.usefixtures("kernel")
@on_both
async def test_hundred_processes_at_once() -> None:
    async def one(number: int) -> tuple[bytes, int]:
        proc = kore.proc(["sh", "-c", f"echo {number}; exit {number}"])
        return await output(proc), await proc.reap()

    assert await kore.gather(*map(one, range(100))) == [(b"%d\n" % n, n) for n in range(100)]


@on_both
async def test_long_process_does_not_delay_the_end_of_others() -> None:
    sleepers = [kore.proc("sleep 100") for _ in range(40)]
    proc = kore.proc("true")
    assert await proc.reap() == 0
    for sleeper in sleepers:
        sleeper.kill()
        await sleeper.reap()


@pytest.mark.usefixtures("kernel")
@on_both
async def test_two_hundred_processes_leave_no_descriptor_or_zombie() -> None:
    before = len(procs.descriptors(os.getpid()))
    for _ in range(200):
        await kore.proc("true").reap()
    await until(lambda: len(procs.descriptors(os.getpid())) == before)
    left = [pid for pid, stat in procs.stats() if int(stat[1]) == os.getpid() and stat[0] == "Z"]

    assert left == []


LIST_OWN = [
    sys.executable,
    "-Sc",
    "import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))",
]


@on_both
async def test_process_has_three_descriptors_only() -> None:
    others = [kore.proc("sleep 100") for _ in range(3)]
    with Path("/dev/null").open() as file:  # noqa: ASYNC230
        os.set_inheritable(file.fileno(), True)
        said = await output(kore.proc(LIST_OWN))
    for other in others:
        other.kill()
        await other.reap()

    assert said in (b"[0, 1, 2]\n", b"[0, 1, 2, 3]\n")  # 3 is the directory that it reads


@on_both
async def test_end_of_input_is_seen_though_another_process_was_started_later() -> None:
    """Had it inherited our end of the first one's pipe, `cat` would never see the end."""
    first = kore.proc("cat")
    second = kore.proc("sleep 100")
    first.close_stdin()
    assert await first.reap() == 0
    second.kill()
    await second.reap()


@on_both
async def test_many_tasks_wait_for_the_same_process() -> None:
    proc = kore.proc("cat")

    async def wait() -> int:
        return int(await proc.reap())

    waiting = [asyncio.create_task(wait()) for _ in range(5)]
    await passes(2)
    waiting[0].cancel()
    proc.close_stdin()
    assert await asyncio.gather(*waiting[1:]) == [0] * 4


def test_proc_needs_a_running_task() -> None:
    async def main() -> None:
        told = asyncio.get_running_loop().create_future()

        def call() -> None:
            with pytest.raises(KoreError, match="only available in coroutines"):
                kore.proc("true")
            told.set_result(None)

        asyncio.get_running_loop().call_soon(call)
        await told

    with pytest.raises(KoreError, match=r"kore\.proc only available in coroutines"):
        kore.proc("true")
    asyncio.run(main())


@on_both
async def test_proc_without_free_descriptors_raises_with_the_reason() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(procs.descriptors(os.getpid())) + 1, hard))
    try:
        with pytest.raises(SocketError, match="Too many open files"):
            kore.proc("true")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert await kore.proc("true").reap() == 0


