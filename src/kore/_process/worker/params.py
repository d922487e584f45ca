"""What a worker is given when it starts."""

import socket
from dataclasses import dataclass

from kore._conf.schema import Config
from kore._process.ipc.channel import Channel


@dataclass(frozen=True, slots=True)
class WorkerParams:
    """Everything a worker has. All else was closed before it came to be."""

    number: int
    config: Config
    channel: Channel
    # Server name and listening socket; none when this worker accepts no connections.
    sockets: tuple[tuple[str, socket.socket], ...]
    # Of each access log in `Config.accesslogs` a descriptor to append to.
    accesslogs: tuple[int, ...]
    # Its place on the scoreboard, writable.
    slot: memoryview
    # What ends the processes it starts with the parent.
    death_pipe: int
    # Those of the server, before this process was pinned to one.
    cpus: frozenset[int]
    # The parent's pid.
    parent: int
    # Where it writes the stacks of its threads: a descriptor, or -1, and the offset.
    stacks: tuple[int, int] = (-1, 0)
    # Under `kodev run`.
    development: bool = False
