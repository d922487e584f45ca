"""Tasks by their numbers: created, named, traced, listed, killed; in any asyncio program."""

import asyncio
import gc
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

import kore
from kore.errors import KoreError
from tests.helpers.loops import Errors, on_both, passes, until

LINES = Path(__file__).read_text().splitlines()


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


async def end_all() -> None:
    for task in kore.tasks():
        kore.task_kill(task.id)
    await until(lambda: not kore.tasks())


@on_both
async def test_task_id_is_the_id_of_the_running_task() -> None:
    seen: list[int] = []

    async def work() -> None:
        seen.append(kore.task_id())
        await asyncio.sleep(0)
        seen.append(kore.task_id())

    numbers = [kore.task_create(work()) for _ in range(3)]
    mine = kore.task_id()
    await passes(4)

    assert sorted(seen) == sorted(numbers * 2)
    assert mine not in numbers
    assert kore.task_id() == mine
    assert kore.tasks() == []


@on_both
async def test_tasks_lists_name_age_and_location() -> None:
    queue = kore.queue()

    async def inner() -> None:
        await queue.pop()  # here

    async def work() -> None:
        await inner()

    async def named() -> None:
        kore.coroname("a name")
        await kore.suspend(10_000)

    numbers = [kore.task_create(work()), kore.task_create(named())]
    await until(lambda: len(kore.tasks()) == 2)
    await passes(2)
    first, second = kore.tasks()
    file, _, line = first.where.rpartition(":")

    assert [first.id, second.id] == numbers
    assert first.name.endswith("<locals>.work")
    assert second.name == "a name"
    assert 0 <= second.age < 60
    assert 0 <= first.age < 60
    assert (file, LINES[int(line) - 1].strip()) == (__file__, "await queue.pop()  # here")
    await end_all()


@on_both
async def test_location_is_not_within_asyncio() -> None:
    async def work() -> None:
        async with asyncio.timeout(100):
            await kore.gather(asyncio.Event().wait())

    kore.task_create(work())
    await passes(3)
    (task,) = kore.tasks()

    assert task.where.startswith(f"{__file__}:")
    await end_all()


@pytest.mark.parametrize("turns", [0, 1, 2])
@on_both
async def test_task_can_be_killed_before_and_while_it_runs(turns: int) -> None:
    told: list[str] = []

    async def work() -> None:
        told.append("begun")
        try:
            await forever()
        finally:
            told.append("ended")

    number = kore.task_create(work())
    await passes(turns)
    killed = kore.task_kill(number)
    await passes(3)
    gc.collect()

    assert killed
    assert told == (["begun", "ended"] if turns else [])
    assert kore.task_kill(number) is False
    assert kore.tasks() == []


@on_both
async def test_task_cannot_kill_itself() -> None:
    told: list[str] = []

    async def work() -> None:
        with pytest.raises(KoreError, match="refusing to kill active coroutine"):
            kore.task_kill(kore.task_id())
        told.append("lives")

    kore.task_create(work())
    await passes(3)

    assert told == ["lives"]
    assert kore.task_kill(12345678) is False


@on_both
async def test_foreign_task_cannot_kill_itself() -> None:
    with pytest.raises(KoreError, match="refusing to kill active coroutine"):
        kore.task_kill(kore.task_id())


@on_both
async def test_task_kill_of_a_non_integer_is_a_type_error() -> None:
    for call in (kore.task_kill, kore.corotrace):
        with pytest.raises(TypeError, match="'str' object cannot be interpreted as an integer"):
            call("1")  # type: ignore[operator]


@on_both
async def test_killed_task_may_suppress_its_cancellation() -> None:
    gate = asyncio.Event()

    async def work() -> None:
        while not gate.is_set():
            try:
                await gate.wait()
            except asyncio.CancelledError:
                continue

    number = kore.task_create(work())
    await passes(2)
    assert kore.task_kill(number)
    await passes(3)
    assert [task.id for task in kore.tasks()] == [number]
    gate.set()
    await passes(3)
    assert kore.tasks() == []


@pytest.mark.parametrize("error", [LookupError, SystemExit, KeyboardInterrupt, GeneratorExit])
@on_both
async def test_error_of_a_task_is_reported_once(error: type[BaseException]) -> None:
    errors = Errors()

    async def fails() -> None:
        await asyncio.sleep(0)
        raise error

    number = kore.task_create(fails())
    await passes(4)
    gc.collect()

    ((where, found),) = errors.found
    assert type(found) is error
    assert re.fullmatch(rf"task {number} \(.*fails\)", where)


@on_both
async def test_tasks_are_kept_alive() -> None:
    done: list[int] = []

    async def work() -> None:
        await asyncio.sleep(0.01)
        done.append(1)

    for _ in range(10):
        kore.task_create(work())
    gc.collect()
    await until(lambda: len(done) == 10)


@pytest.mark.parametrize("call", [kore.task_id, lambda: kore.coroname("x")])
def test_task_id_and_coroname_need_a_running_task(call: object) -> None:
    with pytest.raises(KoreError, match="no coroutine active"):
        call()  # type: ignore[operator]


@on_both
async def test_corotrace_logs_each_step(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "kore")

    async def work() -> None:
        await asyncio.sleep(0)
        kore.coroname("worker")
        await asyncio.sleep(0)

    async def stays() -> None:
        await forever()

    kore.corotrace(1)
    number = kore.task_create(work())
    await passes(4)
    other = kore.task_create(stays())
    await passes(2)
    kore.task_kill(other)
    await passes(2)
    kore.corotrace(0)
    kore.task_create(asyncio.sleep(0))
    await passes(2)

    steps = [re.sub(r" <.*<locals>\.(\w+)> @ \[(.*):\d+\]", r" \1 \2", m) for m in caplog.messages]
    turn = ["running", "suspended", "wokeup"]
    words = ["created", *turn, *turn, "running", "deleted"]
    names = [number] * 5 + ["'worker'"] * 4
    assert steps == [
        *[f"coro {n} {word} work test_tasks.py" for n, word in zip(names, words, strict=True)],
        *[
            f"coro {other} {word} stays test_tasks.py"
            for word in ["created", "running", "suspended", "killed", "running", "deleted"]
        ],
    ]


@on_both
async def test_traced_task_may_be_killed_before_it_starts() -> None:
    kore.corotrace(1)
    number = kore.task_create(forever())
    kore.task_kill(number)
    await passes(2)
    kore.corotrace(0)
    gc.collect()

    assert kore.tasks() == []


@on_both
async def test_ten_thousand_tasks_get_ids() -> None:
    seen: list[int] = []

    async def work() -> None:
        await asyncio.sleep(0)
        seen.append(kore.task_id())

    numbers = [kore.task_create(work()) for _ in range(10_000)]
    await passes(3)

    assert seen == numbers


PROGRAM = """
import asyncio, kore, socket

async def echo(listening):
    client = await listening.accept()
    while (data := await client.recv(100)) is not None:
        await client.send(data)

async def main():
    server = socket.create_server(("127.0.0.1", 0))
    kore.task_create(echo(kore.socket_wrap(server)))
    sock = socket.socket()
    client = kore.socket_wrap(sock)
    await client.connect("127.0.0.1", server.getsockname()[1])
    await client.send("hello")
    proc = kore.proc("cat")
    await proc.send(await client.recv(100))
    proc.close_stdin()
    print(await proc.recv(100), await proc.reap(), await kore.gather(kore.suspend(1)))
    ended = kore.queue()
    kore.timer(ended.push, 1, kore.TIMER_ONESHOT, data="timer")
    async with kore.lock():
        print(await ended.pop(), len(kore.tasks()), kore.worker())
    sock.close()
    server.close()

asyncio.run(main())
"""


def test_tasks_work_in_any_asyncio_program() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM], capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.stderr) == ("b'hello' 0 [None]\ntimer 1 None\n", "")


@on_both
async def test_task_that_awaits_a_cancelled_future_is_reported() -> None:
    errors = Errors()

    async def fails() -> None:
        other = asyncio.get_running_loop().create_future()
        other.cancel()
        await other

    kore.task_create(fails())
    await passes(3)

    assert [type(error) for _, error in errors.found] == [asyncio.CancelledError]


@on_both
async def test_tasks_of_one_moment_are_listed_in_creation_order() -> None:
    numbers = [kore.task_create(forever()) for _ in range(50)]
    await passes(2)
    listed = kore.tasks()
    await end_all()

    assert [task.id for task in listed] == numbers
    assert [task.age for task in listed] == sorted((task.age for task in listed), reverse=True)


@on_both
async def test_task_name_in_asyncio_is_that_of_the_function() -> None:
    seen: list[str] = []

    async def named() -> None:
        task = asyncio.current_task()
        seen.append(task.get_name() if task else "")

    kore.task_create(named())
    await passes(2)

    assert [name.rpartition(".")[2] for name in seen] == ["named"]
