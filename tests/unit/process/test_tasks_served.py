"""Tasks with real clients behind them: who leaves ends a handler, and who waits is answered."""

import asyncio

from kore._core.request import Request
from tests.helpers.core_client import get
from tests.helpers.core_loop import run, serving


def test_a_client_that_leaves_cancels_its_handler() -> None:
    async def check() -> None:
        told: list[str] = []

        async def handler(request: Request) -> None:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                told.append("ended")

        async with serving(handler, tcp=True) as house:
            house.client.send(get())
            await house.until(lambda: house.real.serving)
            house.client.close()
            await house.until(lambda: told)
            await house.until(lambda: not house.real.serving)

    run(check)


def test_pipelined_handlers_that_wait_answer_in_order() -> None:
    async def check() -> None:
        async def handler(request: Request) -> None:
            await asyncio.sleep(0)
            request.response(200, request.path)

        async with serving(handler) as house:
            await house.answered(b"".join(get(f"/{n}") for n in range(100)), 100)
            bodies = [answer.body.decode() for answer in house.client.reader.answers]
            assert bodies == [f"/{n}" for n in range(100)]

    run(check)


def test_a_handler_that_hangs_up_owes_no_answer() -> None:
    async def check() -> None:
        async def handler(request: Request) -> None:
            request.connection.disconnect()

        async with serving(handler) as house:
            await house.answered(get())
            await house.until(lambda: not house.real.serving)

    run(check)


def test_a_free_attribute_cannot_keep_a_client_waiting() -> None:
    async def check() -> None:
        async def handler(request: Request) -> None:
            request.fail = True  # type: ignore[assignment,method-assign]
            raise ValueError

        async with serving(handler) as house:
            house.client.send(get())
            await house.until(lambda: house.seen)
            for _ in range(20):
                await asyncio.sleep(0)
            house.client.read()
            assert house.client.statuses == [500]
            house.failed()

    run(check)
