"""What this process is right now: the only mutable global of the package."""

import atexit
import os
import sys
from types import FrameType
from typing import TYPE_CHECKING, Final

from kore.errors import KoreError

if TYPE_CHECKING:
    from kore._aio.tasks import Registry
    from kore._conf.builder import Builder
    from kore._process.worker.worker import Worker


class Context:
    """What this process is: being configured, then perhaps a worker. Set, never shared.

    After the configuration is final the builder stays, frozen, to say so to late callers.
    """

    def __init__(self) -> None:
        self.builder: Builder | None = None
        # What modules configure that are imported without a server.
        self.unserved: Builder | None = None
        self.worker: Worker | None = None
        # Tasks of an asyncio program that is no worker.
        self.tasks: Registry | None = None
        # What kore.app(obj) keeps: the application's, never read by us.
        self.app: object = None


current: Final = Context()


def configuring() -> "Builder":
    """Return the configuration being written."""
    if current.builder is None:
        raise KoreError(f"nothing is being configured: {how_to_start()}")
    return current.builder


def how_to_start() -> str:
    """Return what to do so that something is being configured."""
    # The first is gone when a program has ended.
    file = getattr(sys.modules.get("__main__"), "__file__", None) or next(iter(sys.argv), "")
    # `python -m PROGRAM` and commands that are installed are no applications, unless they call us.
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


def warn_of_unserved_program() -> None:
    """Say how to start an application that python itself has run, and that has hooks only."""
    program = sys.modules.get("__main__")
    app = getattr(program, "koreapp", None)
    kind = app if isinstance(app, type) else type(app)
    hook = getattr(program, "kore_parent_configure", None)
    # With arguments, or after an error, it has done something else.
    if len(sys.argv) != 1 or getattr(sys, "last_value", None) is not None:
        return
    if "__main__" in {kind.__module__, getattr(hook, "__module__", None)}:
        sys.stderr.write(f"nothing has been served: {how_to_start()}\n")


atexit.register(warn_of_unserved_program)


def worker() -> "Worker":
    """Return the worker this process is."""
    if current.worker is None:
        raise KoreError(
            "no worker runs here: call this in a handler, a task or koreapp.workerstart()"
        )
    return current.worker
