"""What this process is at the moment: the only mutable global of the package.

A process is being configured, is a worker, or is neither. The public functions of `kore` look here
to find out which, and delegate to the configuration or to the worker.
"""

import atexit
import os
import sys
from types import FrameType
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

from kore.errors import KoreError

if TYPE_CHECKING:
    from kore._aio.tasks import TaskRegistry
    from kore._conf.builder import Builder
    from kore._conf.schema import Config, Tracer
    from kore._process.worker.databases import Databases
    from kore._process.worker.heartbeat import Heartbeat
    from kore._process.worker.objects import Objects
    from kore._process.worker.websockets import WebSockets


class RunningWorker(Protocol):
    """The worker that this process is, as far as the public functions use it."""

    number: int
    config: "Config"
    tracer: "Tracer | None"
    heartbeat: "Heartbeat"
    objects: "Objects"
    databases: "Databases"
    websockets: "WebSockets"

    @property
    def tasks(self) -> "TaskRegistry":
        """The tasks and handlers of this worker."""

    def trap(self, number: int) -> None:
        """Call the application's signal hook for one more signal to this process."""

    def rename(self, name: str) -> None:
        """Set the name that the title of this process begins with."""

    def fatal(self, text: str) -> NoReturn:
        """End this worker at once, with *text* in the log; the parent replaces it."""

    def fatalx(self, text: str) -> NoReturn:
        """End the whole server with status 1 and *text*."""

    def shutdown(self) -> None:
        """Ask the parent to stop the server in good order."""


class Context:
    """What this process is: being configured, then perhaps a worker. Set, never shared.

    After the configuration is final the builder stays, frozen, to say so to late callers.
    """

    def __init__(self) -> None:
        self.builder: Builder | None = None
        # The configuration of modules that are imported without a server.
        self.unserved: Builder | None = None
        self.worker: RunningWorker | None = None
        # Tasks of an asyncio program that is no worker.
        self.tasks: TaskRegistry | None = None
        # The object kept by kore.app(obj): the application's, never read by this package.
        self.app: object = None


current: Final = Context()


def require_builder() -> "Builder":
    """Return the configuration being written. Raises KoreError if there is none."""
    if current.builder is None:
        raise KoreError(f"nothing is being configured: {how_to_start()}")
    return current.builder


def require_worker() -> RunningWorker:
    """Return the worker this process is. Raises KoreError if it is none."""
    if current.worker is None:
        raise KoreError(
            "no worker runs here: call this in a handler, a task or koreapp.workerstart()"
        )
    return current.worker


def how_to_start() -> str:
    """Return what to do so that something is being configured."""
    # A program that has ended has no __main__ any more.
    file = getattr(sys.modules.get("__main__"), "__file__", None) or next(iter(sys.argv), "")
    # `python -m PROGRAM` and installed commands are no applications, unless they call this package.
    if file.endswith("__main__.py") and _is_called_by_program():
        file = os.path.dirname(file)  # noqa: PTH120 - no pathlib for the parent's sake
    elif not file.endswith(".py") or file.endswith("__main__.py"):
        return "call this on import or in koreapp.configure(), under kore"
    near = os.path.relpath(file)
    shown = file if near.startswith(os.pardir) else near
    return f"start the application by `kore {shown}`, not by python itself"


def _is_called_by_program() -> bool:
    """Return whether the program itself called into this package, not a module of it."""
    ours = __name__.partition(".")[0]
    frame: FrameType | None = sys._getframe()  # noqa: SLF001 - inspect is large
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name.partition(".")[0] != ours:
            return bool(name == "__main__")
        frame = frame.f_back
    return False


def _warn_of_unserved_program() -> None:
    """Print how to start an application that python itself has run, and that has hooks only."""
    program = sys.modules.get("__main__")
    app = getattr(program, "koreapp", None)
    kind = app if isinstance(app, type) else type(app)
    hook = getattr(program, "kore_parent_configure", None)
    # With arguments, or after an error, it has done something else.
    if len(sys.argv) != 1 or getattr(sys, "last_value", None) is not None:
        return
    if "__main__" in {kind.__module__, getattr(hook, "__module__", None)}:
        sys.stderr.write(f"nothing has been served: {how_to_start()}\n")


atexit.register(_warn_of_unserved_program)
