"""Inspect coroutines: where they wait, a log line for each step, a timer around each step."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator, Iterator
from functools import partial
from pathlib import Path, PurePath
from types import CodeType, FrameType, coroutine
from typing import Any, Final

log = logging.getLogger("kore")
NOTICE: Final = (logging.INFO + logging.WARNING) // 2
# Frames of this package and of asyncio are not the application's.
INTERNAL_PATHS: Final = (f"{Path(__file__).parents[1]}/", f"{Path(asyncio.__file__).parent}/")


def _iter_frames(outermost: Any) -> Iterator[FrameType]:
    """Yield the frames of a coroutine that waits, from the outermost to the innermost."""
    while outermost is not None:
        frame = getattr(outermost, "cr_frame", None) or getattr(outermost, "gi_frame", None)
        if frame is not None:
            yield frame
        outermost = _get_awaited(outermost)


def _get_awaited(waiting: Any) -> Any:
    """Return what a coroutine awaits, None if it does not wait."""
    if getattr(waiting, "gi_code", None) in (trace_steps.__code__, run_steps.__code__):
        return waiting.gi_frame.f_locals["inner"]
    return getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)


def get_wait_location(waiting: Any) -> str:
    """Return where a coroutine waits, as `file:line` of the application's innermost frame.

    Empty for a coroutine that is not Python code.
    """
    frames = list(_iter_frames(waiting))
    own = [frame for frame in frames if not frame.f_code.co_filename.startswith(INTERNAL_PATHS)]
    if not frames:
        return ""
    frame = (own or frames)[-1]
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def _describe_step(waiting: Any, name: object, what: str) -> str:
    """Return the log line for a step of a coroutine."""
    text = f"coro '{name}' {what}" if isinstance(name, str) else f"coro {name} {what}"
    code: CodeType | None = getattr(waiting, "cr_code", None)
    frame: FrameType | None = getattr(waiting, "cr_frame", None)
    if code is None:  # not Python code
        return text
    line = code.co_firstlineno if frame is None else frame.f_lineno
    return f"{text} <{code.co_qualname}> @ [{PurePath(code.co_filename).name}:{line}]"


@coroutine
def trace_steps(
    inner: Coroutine[Any, Any, Any], name: Callable[[], object]
) -> Generator[Any, Any, Any]:
    """Run *inner*, and log each of its steps under the name that *name* returns."""

    def log_step(what: str) -> None:
        log.log(NOTICE, "%s", _describe_step(inner, name(), what))

    log_step("created")
    step: Callable[..., Any] = inner.send
    argument: Any = None
    try:
        while True:
            log_step("running")
            yielded = step(argument)
            log_step("suspended")
            try:
                argument, step = (yield yielded), inner.send
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's
                argument, step = error, inner.throw
            killed = isinstance(argument, (asyncio.CancelledError, GeneratorExit))
            log_step("killed" if killed else "wokeup")
    except StopIteration as end:
        return end.value
    finally:
        inner.close()
        log_step("deleted")


@coroutine
def run_steps(
    inner: Coroutine[Any, Any, Any], call: Callable[[Callable[[], Any]], Any]
) -> Generator[Any, Any, Any]:
    """Run *inner* by passing each of its steps to *call*."""
    step: Callable[..., Any] = inner.send
    argument: Any = None
    try:
        while True:
            yielded = call(partial(step, argument))
            try:
                argument, step = (yield yielded), inner.send
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's
                argument, step = error, inner.throw
    except StopIteration as end:
        return end.value
    finally:
        inner.close()
