"""Where coroutines are, and a line of the log whenever one goes on or waits."""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator, Iterator
from functools import partial
from pathlib import Path, PurePath
from types import CodeType, FrameType, coroutine
from typing import Any, Final

log = logging.getLogger("kore")
NOTICE: Final = (logging.INFO + logging.WARNING) // 2
# Frames of these say nothing about an application.
INNER: Final = (f"{Path(__file__).parents[1]}/", f"{Path(asyncio.__file__).parent}/")


def frames_of(outermost: Any) -> Iterator[FrameType]:
    """Yield the frames of a coroutine that waits, from the outermost to the innermost."""
    while outermost is not None:
        frame = getattr(outermost, "cr_frame", None) or getattr(outermost, "gi_frame", None)
        if frame is not None:
            yield frame
        outermost = awaited_by(outermost)


def awaited_by(waiting: Any) -> Any:
    """Return what a coroutine awaits."""
    if getattr(waiting, "gi_code", None) in (traced.__code__, timed.__code__):
        return waiting.gi_frame.f_locals["inner"]
    return getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)


def place_of(waiting: Any) -> str:
    """Return where a coroutine waits, `file:line`: the innermost place that is the application's.

    Empty for one that is no Python code.
    """
    frames = list(frames_of(waiting))
    own = [frame for frame in frames if not frame.f_code.co_filename.startswith(INNER)]
    if not frames:
        return ""
    frame = (own or frames)[-1]
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def step_of(waiting: Any, name: object, what: str) -> str:
    """Return what the log says of a step of a coroutine."""
    text = f"coro '{name}' {what}" if isinstance(name, str) else f"coro {name} {what}"
    code: CodeType | None = getattr(waiting, "cr_code", None)
    frame: FrameType | None = getattr(waiting, "cr_frame", None)
    if code is None:  # no Python code
        return text
    line = code.co_firstlineno if frame is None else frame.f_lineno
    return f"{text} <{code.co_qualname}> @ [{PurePath(code.co_filename).name}:{line}]"


@coroutine
def traced(
    inner: Coroutine[Any, Any, Any], name: Callable[[], object]
) -> Generator[Any, Any, Any]:
    """Run *inner*, and log each of its steps under what *name* returns."""

    def say(what: str) -> None:
        log.log(NOTICE, "%s", step_of(inner, name(), what))

    say("created")
    step: Callable[..., Any] = inner.send
    argument: Any = None
    try:
        while True:
            say("running")
            yielded = step(argument)
            say("suspended")
            try:
                argument, step = (yield yielded), inner.send
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's
                argument, step = error, inner.throw
            killed = isinstance(argument, (asyncio.CancelledError, GeneratorExit))
            say("killed" if killed else "wokeup")
    except StopIteration as end:
        return end.value
    finally:
        inner.close()
        say("deleted")


@coroutine
def timed(
    inner: Coroutine[Any, Any, Any], call: Callable[[Callable[[], Any]], Any]
) -> Generator[Any, Any, Any]:
    """Run *inner*; *call* is given each of its steps to take."""
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
