"""In each process of a run of `make cover`: write the counters of the core."""

import os
import sys
from typing import NoReturn


def flush_counters() -> None:
    """Add the counters of loaded modules to the files in $GCOV_PREFIX, and clear them."""
    # A process under test does not have it before its end.
    import ctypes

    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if name.startswith("kore._core.") and path:
            ctypes.CDLL(path).flush_counters()


def patch_exit() -> None:
    """Let os._exit() write the counters: libgcov does so at an ordinary exit only."""
    leave = os._exit

    def flush_and_exit(status: int) -> NoReturn:
        flush_counters()
        leave(status)

    os._exit = flush_and_exit
