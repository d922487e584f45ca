"""The end of a process that runs application code: exit handlers, children of multiprocessing.

Processes of Kore end with os._exit(): the interpreter's own end waits for threads and for child
processes without limit.
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

# Seconds from SIGTERM to SIGKILL for child processes.
TERMINATE_TIMEOUT: Final = 0.2
# Seconds that the finalizers of multiprocessing may take; they run twice.
FINALIZERS_TIMEOUT: Final = 0.3


def disable_inherited_finalizers() -> None:
    """Disable the `weakref.finalize` callbacks that the template has registered.

    Otherwise a worker would remove, at its end, the temporary directories of the template.
    """
    for finalizer in list(getattr(weakref.finalize, "_registry", ())):
        finalizer.atexit = False


def run_exit_handlers() -> None:
    """Call what was registered with `atexit`, then end the child processes of multiprocessing."""
    multiprocessing: Any = sys.modules.get("multiprocessing.util")
    if multiprocessing is not None:
        # It would join every child, and idle ones of a pool wait for work.
        atexit.unregister(multiprocessing._exit_function)  # noqa: SLF001
    atexit._run_exitfuncs()  # noqa: SLF001 - only the interpreter's own end calls them otherwise
    if multiprocessing is not None:
        # Pools and managers first: their processes hold locks that a finalizer would wait for.
        _call_with_timeout(FINALIZERS_TIMEOUT, multiprocessing._run_finalizers, 0)  # noqa: SLF001
        _terminate_child_processes()
        # A queue that nothing reads any more would wait for ever.
        _call_with_timeout(FINALIZERS_TIMEOUT, multiprocessing._run_finalizers)  # noqa: SLF001


def _call_with_timeout(seconds: float, function: Callable[..., object], *arguments: object) -> None:
    """Call *function* in a thread, and do not wait longer than that for it."""
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    thread.join(seconds)


def _terminate_child_processes() -> None:
    """Terminate the processes that were started with multiprocessing, executors among them."""
    children = _list_child_processes()
    for child in children:
        with contextlib.suppress(Exception):
            child.terminate()
    deadline = time.monotonic() + TERMINATE_TIMEOUT
    for child in children:
        with contextlib.suppress(Exception):
            child.join(max(0.0, deadline - time.monotonic()))
            child.kill()


def _list_child_processes() -> list[Any]:
    """Return the children of this process; a forked process has a copy of its parent's list."""
    known: Any = sys.modules.get("multiprocessing.process")
    everything = list(getattr(known, "_children", ()))
    return [child for child in everything if getattr(child, "_parent_pid", 0) == os.getpid()]


def flush_output() -> None:
    """Flush standard output and error; what is buffered at a fork would be written twice."""
    for stream in (sys.stdout, sys.stderr):
        # There is none, its reader is gone, or it is closed.
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()
