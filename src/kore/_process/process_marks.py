"""Marks in the environment that tell which of our processes has started a program.

The parent adopts all orphans below it: those of its children, and those of programs that an entry
script had started before. Each template and each worker therefore has a mark in its environment,
which the programs it starts inherit, and by which the parent finds what a dead child has left
(`parent/orphans.py`).
"""

import ctypes
import os
from typing import Final

MARK: Final = "KORE_PROCESS"
# The end of a mark: a letter and the number of a worker in four digits.
MARK_END: Final = 5
# What the mark is of: a program that a worker has started, a process that it has forked, anything
# that a spawned process, such as a template, has started.
PROGRAM, FORKED, FROM_SPAWNED = "p", "f", "t"


def new_mark() -> str:
    """Return a mark for a process that is spawned."""
    return f"{os.getpid()}-{os.urandom(8).hex()}-{FROM_SPAWNED}0000"


def derive_mark(template: str, letter: str, number: int) -> str:
    """Return a mark for a worker, as long as that of its template."""
    return f"{template[:-MARK_END]}{letter}{number:04d}"


def mark_worker(number: int) -> None:
    """Mark this process, a worker, and all that it starts from here on.

    A process that it forks has a copy of the environment that the kernel shows, where the mark is
    replaced in place; programs get that of `os.environ`.
    """
    template = os.environ.get(MARK, "")
    if len(template) <= MARK_END:
        return
    _replace_in_place(MARK, template, derive_mark(template, FORKED, number))
    os.environ[MARK] = derive_mark(template, PROGRAM, number)


def _replace_in_place(name: str, value: str, other: str) -> None:
    """Replace the value of a variable in the environment that this process was started with."""
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    address = libc.getenv(name.encode())
    old, new = value.encode(), other.encode()
    if address and len(old) == len(new) and ctypes.string_at(address) == old:
        ctypes.memmove(address, new, len(new))
