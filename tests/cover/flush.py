"""In each process of a run of `make cover`: write what was counted, however the process ends."""

import atexit
import os
import sys
from typing import NoReturn

import coverage


def flush_counters() -> None:
    """Add the counters of loaded modules to the files in $GCOV_PREFIX, and clear them."""
    # A process under test does not have it before its end.
    import ctypes

    for name, module in list(sys.modules.items()):
        path = getattr(module, "__file__", None)
        if name.startswith("kore._core.") and path:
            ctypes.CDLL(path).flush_counters()


def patch_exit() -> None:
    """Let os._exit() write the counters of the core, and exit handlers not end the measurement.

    libgcov writes at an ordinary exit only. A worker calls the handlers of `atexit` and goes on;
    that of coverage.py is left out, since os._exit() does the same.
    """
    leave, run_handlers = os._exit, atexit._run_exitfuncs

    def flush_and_exit(status: int) -> NoReturn:
        flush_counters()
        leave(status)

    def run_other_handlers() -> None:
        if measuring := coverage.Coverage.current():
            atexit.unregister(measuring._atexit)
        run_handlers()

    os._exit = flush_and_exit
    atexit._run_exitfuncs = run_other_handlers
