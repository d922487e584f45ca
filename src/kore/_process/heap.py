"""The heap of the C library: return to the system what is free in it."""

import ctypes


def trim_heap() -> None:
    """Return free memory to the system, by malloc_trim(3).

    Imports leave holes in the heap, up to a tenth of a process that is to live for long. Other C
    libraries than glibc have no such function and return memory by themselves.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
