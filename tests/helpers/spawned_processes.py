"""Processes that a test has started."""

from pathlib import Path
from typing import Any

from tests.helpers import procs


async def output(proc: Any) -> bytes:
    data = b""
    while (piece := await proc.recv(8192)) is not None:
        data += piece
    return data


def alive(pid: int) -> bool:
    return bool(stat := procs.stat(pid)) and stat[0] != "Z"


def gone(pid: int) -> bool:
    """Not even a zombie."""
    return not Path(f"/proc/{pid}").exists()
