"""A warning for awaitables of ours that the application drops without `await`."""

import sys
import warnings
from opcode import opmap
from typing import Final

POP_TOP: Final = opmap["POP_TOP"]


class Unawaited:
    """Base of awaitables that warn when they are dropped without having been awaited."""

    __slots__ = ()

    def _drop(self) -> None:
        """Be dropped without a warning: what was to await it is dropped, too, and warns itself."""


def warn_unawaited(name: str, *, is_certain: bool = False) -> None:
    """Warn that what `kore.NAME()` returned is dropped without having been awaited.

    To be called by `__del__`. Unless it *is certain*, only a statement of its own counts: what is
    dropped elsewhere may have been cancelled by `asyncio.wait_for()` before it began.
    """
    if sys.is_finalizing():
        return
    frame = sys._getframe(2)  # noqa: SLF001 - the statement that drops it
    if is_certain or frame.f_code.co_code[frame.f_lasti] == POP_TOP:
        text = f"coroutine '{name}' was never awaited"
        warnings.warn(text, RuntimeWarning, stacklevel=3)
