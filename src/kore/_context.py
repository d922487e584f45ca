"""What this process is right now: the only mutable global of the package."""

import sys
from typing import TYPE_CHECKING, Final

from kore.errors import KoreError

if TYPE_CHECKING:
    from kore._aio.tasks import Registry
    from kore._conf.builder import Builder
    from kore._process.worker import Worker


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
        raise KoreError(f"nothing is being configured: {_how_to_configure()}")
    return current.builder


def _how_to_configure() -> str:
    """Return what to do so that something is being configured."""
    file = getattr(sys.modules.get("__main__"), "__file__", None) or ""
    # `python -m PROGRAM` and commands that are installed are no applications.
    if file.endswith(".py") and not file.endswith("__main__.py"):
        return f"start the application by `kore {sys.argv[0] or file}`, not by python itself"
    return "call this on import or in koreapp.configure(), under kore"


def worker() -> "Worker":
    """Return the worker this process is."""
    if current.worker is None:
        raise KoreError(
            "no worker runs here: call this in a handler, a task or koreapp.workerstart()"
        )
    return current.worker
