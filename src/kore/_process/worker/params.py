"""Start parameters of a worker."""

import socket
from dataclasses import dataclass

from kore._conf.schema import Config
from kore._process.ipc.channel import Channel


@dataclass(frozen=True, slots=True)
class WorkerParams:
    """Start parameters of a worker. All other inherited descriptors are already closed."""

    number: int
    config: Config
    channel: Channel
    # Server name and listening socket; none if this worker accepts no connections.
    sockets: tuple[tuple[str, socket.socket], ...]
    # For each of `Config.accesslogs` a descriptor to append to.
    accesslogs: tuple[int, ...]
    # Its slot of the scoreboard, writable.
    slot: memoryview
    # The read end of the pipe whose end kills the processes it starts, see `_aio.parent_death`.
    death_pipe: int
    # The CPUs of the server, before this process was pinned to one.
    cpus: frozenset[int]
    # The parent's pid.
    parent: int
    # The descriptor for stack dumps of its threads, or -1, and the offset in it.
    stacks: tuple[int, int] = (-1, 0)
    # Its channel to the key process, or -1.
    keys: int = -1
    # It runs under `kodev run`.
    development: bool = False
