"""A worker's end of the channel: messages to their handlers, the end of the parent, a backlog."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from kore._process.ipc.channel import Channel, open_pair
from kore._process.ipc.messages import LogLine, Ready, Signal, Stop
from kore._process.worker.parent_link import ParentLink

Check = Callable[[ParentLink, Channel], Coroutine[Any, Any, None]]


def run_check(check: Check) -> None:
    """Run *check* with a link and the parent's end of its channel."""

    async def main() -> None:
        ours, theirs = (Channel(end) for end in open_pair())
        try:
            await check(ParentLink(ours, asyncio.get_running_loop()), theirs)
        finally:
            asyncio.get_running_loop().remove_reader(ours.fileno())
            ours.close()
            theirs.close()

    asyncio.run(main())


async def wait_until(condition: Callable[[], object]) -> None:
    """Wait for *condition*."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - any condition
            await asyncio.sleep(0.001)


def test_messages_reach_the_handlers_of_their_types() -> None:
    async def check(link: ParentLink, parent: Channel) -> None:
        received: list[object] = []
        link.open({Signal: received.append}, lambda: None)
        parent.send(Stop(drain=True))
        parent.send(Signal(2))
        await wait_until(lambda: received)
        assert received == [Signal(2)]

    run_check(check)


def test_malformed_messages_are_ignored() -> None:
    async def check(link: ParentLink, parent: Channel) -> None:
        received: list[object] = []
        link.open({Signal: received.append}, lambda: None)
        parent.socket.send(b"\xff\xff\xff")
        parent.send(Signal(2))
        await wait_until(lambda: received)

    run_check(check)


def test_end_of_the_parent_is_noticed() -> None:
    async def check(link: ParentLink, parent: Channel) -> None:
        ended: list[bool] = []

        def on_eof() -> None:
            ended.append(True)
            asyncio.get_running_loop().remove_reader(link.channel.fileno())

        link.open({}, on_eof)
        parent.socket.close()
        await wait_until(lambda: ended)

    run_check(check)


def test_message_can_be_sent_before_open() -> None:
    async def check(link: ParentLink, parent: Channel) -> None:
        link.send(Ready())
        assert parent.receive() == [Ready()]

    run_check(check)


def test_messages_that_do_not_fit_are_sent_later() -> None:
    async def check(link: ParentLink, parent: Channel) -> None:
        sent = [LogLine(6, f"{number} " + "x" * 10_000) for number in range(100)]
        for message in sent:
            link.send(message)
        assert link.channel.wants_write
        received: list[object] = []

        def is_complete() -> bool:
            received.extend(parent.receive())
            return len(received) == len(sent)

        await wait_until(is_complete)
        assert received == sent
        assert not link.channel.wants_write

    run_check(check)
