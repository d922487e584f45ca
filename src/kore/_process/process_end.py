"""The end of a process that runs application code: exit handlers, children of multiprocessing.

The interpreter's own end is not used: it waits for threads and for child processes, for ever.
"""

import atexit
import contextlib
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final

# How long child processes have after SIGTERM, before SIGKILL.
TERMINATE_TIMEOUT: Final = 0.2
# How long what multiprocessing does at the end may take, twice.
FINALIZERS_TIMEOUT: Final = 0.3


def disable_inherited_finalizers() -> None:
    """Leave what `weakref.finalize` watches to the process that registered it.

    A worker would otherwise remove, at its end, the temporary directories of the template.
    """
    for finalizer in list(getattr(weakref.finalize, "_registry", ())):
        finalizer.atexit = False


def run_exit_handlers() -> None:
    """Call what was registered with `atexit`, then end the child processes of multiprocessing."""
    multiprocessing: Any = sys.modules.get("multiprocessing.util")
    if multiprocessing is not None:
        # It would join every child, and idle ones of a pool wait for work.
        atexit.unregister(multiprocessing._exit_function)  # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no other way but the interpreter's end
    if multiprocessing is not None:
        # Pools and managers first: their processes hold locks that a finalizer would wait for.
        call_for(FINALIZERS_TIMEOUT, multiprocessing._run_finalizers, 0)  # noqa: SLF001
        end_child_processes()
        # A queue that nothing reads any more would wait for ever.
        call_for(FINALIZERS_TIMEOUT, multiprocessing._run_finalizers)  # noqa: SLF001


def call_for(seconds: float, function: Callable[..., object], *arguments: object) -> None:
    """Call *function*, and go on without it if it takes longer."""
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    thread.join(seconds)


def end_child_processes() -> None:
    """Terminate the processes that were started with multiprocessing, executors among them."""
    children = own_child_processes()
    for child in children:
        with contextlib.suppress(Exception):
            child.terminate()
    deadline = time.monotonic() + TERMINATE_TIMEOUT
    for child in children:
        with contextlib.suppress(Exception):
            child.join(max(0.0, deadline - time.monotonic()))
            child.kill()


def own_child_processes() -> list[Any]:
    """Return the children of this process; a forked process has a copy of its parent's list."""
    known: Any = sys.modules.get("multiprocessing.process")
    everything = list(getattr(known, "_children", ()))
    return [child for child in everything if getattr(child, "_parent_pid", 0) == os.getpid()]
