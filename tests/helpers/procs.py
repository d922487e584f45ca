"""What the kernel says about processes: children, descriptors, memory, time. Linux's /proc."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")


# Until what is awaited counts as missing; generous, the machine may be slow and busy.
PATIENCE = 25.0


def until(condition: Callable[[], object], seconds: float = PATIENCE, what: str = "") -> None:
    """Wait for something that is due to happen; the limit only ends a failing test."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"did not happen within {seconds} s: {what}"
        time.sleep(0.01)


def session(leader: int) -> list[int]:
    """Return the living processes of a session."""
    return [pid for pid, stat in stats() if int(stat[3]) == leader and stat[0] != "Z"]


def children(parent: int) -> list[int]:
    """Return the living children of a process."""
    return [pid for pid, stat in stats() if int(stat[1]) == parent and stat[0] != "Z"]


def stats() -> Iterator[tuple[int, list[str]]]:
    """Yield pid and the fields after the command of every process."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (found := stat(int(entry.name))):
            yield int(entry.name), found


def stat(pid: int) -> list[str]:
    """Return /proc/PID/stat from its third field on; empty when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def title(pid: int) -> str:
    """Return what ps shows."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def descriptors(pid: int) -> list[str]:
    """Return what each open descriptor points to."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(str(entry.readlink()))
        except FileNotFoundError:  # closed between the two calls
            continue
    return sorted(found)


def resident(pid: int) -> int:
    """Return the resident bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE


def cpu(pid: int) -> float:
    """Return the seconds of processor time used."""
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) / TICKS
