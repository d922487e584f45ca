"""What a tree of processes has used: CPU time and memory, read from the kernel."""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICK = 1 / os.sysconf("SC_CLK_TCK")
KIB = 1024


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU seconds: the exact total, and its division, which the kernel knows by ticks only."""

    total: float
    user: float
    system: float

    def since(self, before: "Cpu") -> "Cpu":
        """Return what was used since *before*, the exact total divided as the ticks are."""
        total = self.total - before.total
        user = self.user - before.user
        ticks = user + self.system - before.system
        share = user / ticks if ticks else 0.5
        return Cpu(total, total * share, total * (1 - share))


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of memory: resident, resident with shared pages divided, and private alone."""

    rss: int
    pss: int
    private: int


def tree(root: int) -> list[int]:
    """Return *root* and all its living descendants."""
    children: dict[int, list[int]] = {}
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def cpu(root: int) -> Cpu:
    """Return what the processes of a tree have used until now."""
    total = user = system = 0.0
    for pid in tree(root):
        try:
            fields = _stat(pid)
            # The process clock counts nanoseconds and all threads, ended ones too;
            # /proc/PID/schedstat counts one thread. CPUCLOCK_SCHED is 2 (Linux
            # include/linux/posix-timers.h).
            total += time.clock_gettime((~pid << 3) | 2)
        except OSError:
            continue
        user += int(fields[11]) * TICK
        system += int(fields[12]) * TICK
    return Cpu(total, user, system)


def memory(pids: list[int]) -> Memory:
    """Return the memory of some processes, added up."""
    each = [_rollup(pid) for pid in pids]
    return Memory(
        sum(one.get("Rss", 0) for one in each),
        sum(one.get("Pss", 0) for one in each),
        sum(one.get("Private_Clean", 0) + one.get("Private_Dirty", 0) for one in each),
    )


def pin(root: int, core: int) -> None:
    """Put every thread of a tree on one core, should one have chosen its own."""
    for pid in tree(root):
        for thread in _threads(pid):
            try:
                os.sched_setaffinity(thread, {core})
            except OSError:
                continue


def birth(pid: int) -> str:
    """Return when a process began, in ticks; nothing if it is gone."""
    try:
        return _stat(pid)[19]
    except OSError:
        return ""


def _parents() -> Iterator[tuple[int, int]]:
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                yield int(entry.name), int(_stat(int(entry.name))[1])
            except OSError:
                continue


def _stat(pid: int) -> list[str]:
    # The fields after the command, which may hold spaces and brackets itself.
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _threads(pid: int) -> list[int]:
    try:
        return [int(entry.name) for entry in (PROC / str(pid) / "task").iterdir()]
    except OSError:
        return []


def _rollup(pid: int) -> dict[str, int]:
    try:
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]
    except OSError:
        return {}
    pairs = (line.split() for line in lines)
    return {words[0].rstrip(":"): int(words[1]) * KIB for words in pairs}
