"""Where coroutines are, and a line of the log whenever one goes on or waits."""

import logging
from collections.abc import Callable, Coroutine, Generator, Iterator
from pathlib import PurePath
from types import CodeType, FrameType, coroutine
from typing import Any, Final

log = logging.getLogger("kore")
NOTICE: Final = (logging.INFO + logging.WARNING) // 2
# Frames of these say nothing about an application.
INNER: Final = ("/kore/_aio/", "/kore/_process/", "/asyncio/")


def frames_of(outermost: Any) -> Iterator[FrameType]:
    """Yield the frames of a coroutine that waits, from the outermost to the innermost."""
    while outermost is not None:
        frame = getattr(outermost, "cr_frame", None) or getattr(outermost, "gi_frame", None)
        if frame is not None:
            yield frame
        outermost = getattr(outermost, "cr_await", None) or getattr(outermost, "gi_yieldfrom", None)


def place_of(waiting: Any) -> str:
    """Return where a coroutine waits: the innermost place that is the application's."""
    frames = list(frames_of(waiting))
    own = [frame for frame in frames if not any(part in frame.f_code.co_filename for part in INNER)]
    if not frames:
        return "running"
    frame = (own or frames)[-1]
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"


def shown(waiting: Any, name: object) -> str:
    """Return what the log says of a coroutine."""
    code: CodeType | None = getattr(waiting, "cr_code", None)
    frame: FrameType | None = getattr(waiting, "cr_frame", None)
    which = f"'{name}'" if isinstance(name, str) else name
    if code is None:
        return f"coro {which} %s"
    line = frame.f_lineno if frame is not None else code.co_firstlineno
    return f"coro {which} %s <{code.co_qualname}> @ [{PurePath(code.co_filename).name}:{line}]"


@coroutine
def traced(
    inner: Coroutine[Any, Any, Any], name: Callable[[], object]
) -> Generator[Any, Any, Any]:
    """Run *inner*, and log each of its steps under what *name* returns."""

    def say(what: str) -> None:
        log.log(NOTICE, "%s", shown(inner, name()) % what)

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
                say("wokeup")
            except GeneratorExit:
                say("killed")
                raise
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's
                say("killed" if type(error).__name__ == "CancelledError" else "wokeup")
                argument, step = error, inner.throw
    except StopIteration as end:
        return end.value
    finally:
        inner.close()
        say("deleted")
