"""Tracebacks of an application's errors, without the frames of this package.

Frames of `kore`, of the import system and of uvloop lead into the application or out of it; where
an error has frames of the application, only those are shown.
"""

from collections.abc import Sequence
from contextlib import contextmanager
from traceback import FrameSummary, TracebackException
from types import TracebackType
from typing import Final

from kore._conf.diagnostics import PACKAGE_DIRECTORY
from kore._conf.suggestions import suggest_for_error

# The file of the frames that leave a `with` block of a generator-based context manager.
CONTEXTLIB: Final = contextmanager.__code__.co_filename


def format_traceback(error: BaseException) -> str:
    """Return the traceback of *error* as text, with the application's frames only.

    Where none is the application's, all frames are kept; but those of a syntax error, which itself
    says where it is.
    """
    report = TracebackException.from_exception(error)
    parts = [report]
    for part in parts:
        frames = _application_frames(part.stack)
        part.stack[:] = frames or ([] if isinstance(error, SyntaxError) else part.stack)
        parts += filter(None, [part.__cause__, part.__context__, *(part.exceptions or ())])
    return "".join(report.format()) + suggest_for_error(error)


def _application_frames(stack: Sequence[FrameSummary]) -> list[FrameSummary]:
    """Return the frames of *stack* that are the application's."""
    found: list[FrameSummary] = []
    is_ours = False
    for frame in reversed(stack):
        # The end of a `with` block of ours is a frame of the standard library's.
        is_ours = _is_internal(frame.filename, frame.name) or (
            is_ours and frame.filename == CONTEXTLIB
        )
        if not is_ours:
            found.insert(0, frame)
    return found


def skip_internal_frames(error: BaseException) -> TracebackType | None:
    """Return the traceback of *error* from the application's first frame on."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        code = trace.tb_frame.f_code
        if not _is_internal(code.co_filename, code.co_name):
            break
        trace = trace.tb_next
    return trace


def _is_internal(filename: str, function: str) -> bool:
    """Return whether a frame is this package's, the import system's or uvloop's."""
    # Compiled modules record the path they were built at, not where they are installed. The
    # generated constructor of a dataclass has the file name "<string>".
    return (
        filename.startswith((PACKAGE_DIRECTORY, "<frozen importlib", "uvloop/"))
        or "kore/_core/" in filename
        or (filename, function) == ("<string>", "__init__")
    )
