"""Names of the descriptors that a new process is handed.

The parent puts them in a mapping from name to descriptor. They travel beside a `Fork` message, or
through exec (`spawn.py`), together with their names.
"""

from collections.abc import Mapping
from typing import Final

# The new process's end of the channel to the parent.
CHANNEL: Final = "channel"
SCOREBOARD: Final = "scoreboard"
# The pipe that has an event when the parent has ended (`_aio/parent_death.py`).
PARENT_DEATH: Final = "parent_death"
# A worker's channel to the key process, if it serves domains with TLS.
KEYS: Final = "keys"
# Beginnings of names; an index follows, and after the index of a listening socket its server.
LISTENER: Final = "listener:"
ACCESSLOG: Final = "accesslog:"


def name_listener(index: int, server: str) -> str:
    """Return the name of a listening socket. A server may have several."""
    return f"{LISTENER}{index}:{server}"


def name_accesslog(index: int) -> str:
    """Return the name of an access log, by its index in `Config.accesslogs`."""
    return f"{ACCESSLOG}{index}"


def select_listeners(handed: Mapping[str, int]) -> list[tuple[str, int]]:
    """Return server name and descriptor of each listening socket, in their order."""
    return [
        (name.removeprefix(LISTENER).partition(":")[2], fd)
        for name, fd in handed.items()
        if name.startswith(LISTENER)
    ]


def select_accesslogs(handed: Mapping[str, int]) -> tuple[int, ...]:
    """Return the descriptors of the access logs, in their order."""
    return tuple(fd for name, fd in handed.items() if name.startswith(ACCESSLOG))


def format_arguments(handed: Mapping[str, int]) -> str:
    """Return the command line argument that tells a process its descriptors.

    The channel comes first, as a number alone: a template of any version of kore writes its
    `Hello` there before it looks at anything else.
    """
    others = [f"{name}={fd}" for name, fd in handed.items() if name != CHANNEL]
    return ",".join([str(handed[CHANNEL]), *others])


def parse_arguments(text: str) -> dict[str, int]:
    """Return the descriptors in what format_arguments() returned, by name."""
    channel, *others = text.split(",")
    named = (other.rpartition("=") for other in others)
    return {CHANNEL: int(channel), **{name: int(fd) for name, _, fd in named}}
