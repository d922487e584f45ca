"""Warnings for awaitables of this package that the application drops without `await`."""

import sys
import warnings
from opcode import opmap
from typing import Final

POP_TOP: Final = opmap["POP_TOP"]


class Unawaited:
    """Base of awaitables that warn when they are dropped without having been awaited."""

    __slots__ = ()

    def _drop(self) -> None:
        """Do not warn when this is dropped: the awaitable around it is, too, and warns itself."""


def warn_unawaited(name: str, *, is_certain: bool = False) -> None:
    """Warn that the result of `kore.NAME()` is dropped without having been awaited.

    To be called by `__del__`. Unless *is_certain*, only a call that is a statement of its own
    counts: elsewhere `asyncio.wait_for()` may have cancelled it before it was awaited.
    """
    if sys.is_finalizing():
        return
    frame = sys._getframe(2)  # noqa: SLF001 - the statement that drops it
    if is_certain or frame.f_code.co_code[frame.f_lasti] == POP_TOP:
        text = f"coroutine '{name}' was never awaited"
        warnings.warn(text, RuntimeWarning, stacklevel=3)
