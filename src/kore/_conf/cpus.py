"""The number of CPUs that this process may use: fewer than exist, in a container or a service."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kore._conf.value_types import U8

CGROUPS: Final = Path("/sys/fs/cgroup")
OWN_CGROUPS: Final = Path("/proc/self/cgroup")


def count_usable_cpus() -> int:
    """Return the number of CPUs by affinity and by the limits of control groups, at least 1."""
    limits = (math.ceil(limit) for limit in read_cgroup_limits())
    return max(1, min([len(os.sched_getaffinity(0)), U8, *limits]))


def read_cgroup_limits(root: Path = CGROUPS, own: Path = OWN_CGROUPS) -> Iterator[float]:
    """Yield the CPU limits of this process's control groups and of those above, in CPUs."""
    try:
        lines = own.read_text(errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if not controllers:
            for directory in _list_ancestors(root, path):
                yield from _read_limit_v2(directory / "cpu.max")
        elif "cpu" in controllers.split(","):
            for directory in _list_ancestors(root / "cpu", path):
                yield from _read_limit_v1(directory)


def _list_ancestors(root: Path, path: str) -> Iterator[Path]:
    """Yield the directory of a control group and those above it; in a container only its root."""
    here = root / path.strip("/")
    yield here
    while here not in (root, here.parent):
        here = here.parent
        yield here
    if here != root:
        yield root


def _read_limit_v2(file: Path) -> Iterator[float]:
    """Yield the limit in a `cpu.max`: microseconds in a period, and the period."""
    try:
        quota, period = file.read_text().split()
        yield int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # no limit, or "max"
        return


def _read_limit_v1(directory: Path) -> Iterator[float]:
    """Yield the limit of a control group of version 1; -1 is none."""
    try:
        quota = int((directory / "cpu.cfs_quota_us").read_text())
        period = int((directory / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return
    if quota > 0 and period > 0:
        yield quota / period
