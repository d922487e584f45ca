"""Output of the commands: standard output, all of it, or an error on standard error."""

import contextlib
import os
import sys

from kore._conf.diagnostics import escape_lines


def write_output(text: str, program: str) -> int:
    """Write to standard output, as UTF-8 in any locale. Returns the exit status."""
    try:
        _write(text)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        write_error(f"{program}: cannot write to standard output: {reason}")
        _discard_output()
        return 1
    return 0


def write_error(text: str) -> None:
    """Write lines to standard error, if there is one."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.write(f"{escape_lines(text.rstrip())}\n")
        sys.stderr.flush()


def _write(text: str) -> None:
    if sys.stdout is None:
        raise ValueError("it is closed")
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.flush()


def _discard_output() -> None:
    """Keep the interpreter from failing to flush the same output again at its end."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        os.dup2(null, sys.stdout.fileno())
