"""Handlers for standard logging and `kore.log`: records go to the parent's log."""

import contextlib
import logging
import select
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from kore._conf.diagnostics import PACKAGE_DIRECTORY, shorten_path
from kore._process.ipc.channel import Channel
from kore._process.ipc.messages import LogLine

if TYPE_CHECKING:
    # The parent's. Workers do not load it.
    from kore._process.log.writer import LogWriter

CRITICAL: Final = logging.CRITICAL
# Syslog's priorities.
CRIT, ERR, WARNING, NOTICE, INFO, DEBUG = 2, 3, 4, 5, 6, 7

PRIORITIES: Final = (
    (logging.CRITICAL, CRIT),
    (logging.ERROR, ERR),
    (logging.WARNING, WARNING),
    (logging.INFO, INFO),
)
TRACEBACK: Final = "Traceback ("
UNAWAITED: Final = "was never awaited"
FATAL: Final = "fatal: "
# For the last message to standard error, if its reader is slow.
STDERR_TIMEOUT: Final = 1.0
FORMATTER: Final = logging.Formatter()

# Kore's own records.
log: Final = logging.getLogger("kore")


def write_stderr(reason: str) -> None:
    """Write to standard error why this process ends, without blocking longer than a second."""
    from kore._process.log.outputs import STDERR, FileOutput

    # Not sys.stderr: it is None if the descriptor was closed at the start.
    text = f"{reason.rstrip()}\n".encode("utf-8", "backslashreplace")
    with contextlib.suppress(OSError):
        output = FileOutput(STDERR)
        deadline = time.monotonic() + STDERR_TIMEOUT
        while text and time.monotonic() < deadline:
            if select.select([], [STDERR], [], STDERR_TIMEOUT)[1]:
                text = text[output.write(text) :]


class ParentLogHandler(logging.Handler):
    """Passes records of standard logging to *write*: syslog priority, text, detail."""

    def __init__(self, write: Callable[[int, str, str], object]) -> None:
        super().__init__()
        self.write = write

    def emit(self, record: logging.LogRecord) -> None:
        """Pass a record on."""
        try:
            # kore.log() has finer priorities than the levels of the standard library.
            priority = getattr(record, "priority", _to_syslog_priority(record.levelno))
            self.write(priority, record.getMessage(), _format_detail(record))
        except Exception:  # noqa: BLE001 - the standard library's rule for handlers
            self.handleError(record)


def _format_detail(record: logging.LogRecord) -> str:
    """Return the further lines of a record: its detail, stack and traceback."""
    given = [getattr(record, "detail", ""), record.stack_info or ""]
    if record.exc_info:
        given.append(FORMATTER.formatException(record.exc_info))
    return "\n".join(filter(None, given))


def log_unawaited() -> None:
    """Log coroutines that were never awaited, with advice.

    Python writes a warning to standard error, which a server in the background does not have.
    """
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        text = str(message)
        if category is not RuntimeWarning or not text.endswith(UNAWAITED):
            before(message, category, *rest, **more)
            return
        # Where the last reference was dropped; not helpful if that is in this package.
        is_ours = rest[0].startswith(PACKAGE_DIRECTORY)
        where = "" if is_ours else f"{shorten_path(rest[0])}:{rest[1]}: "
        name = text.split("'")[1].rpartition(".")[2]
        log.warning("%s%s: it has not run; write `await %s(...)`", where, text, name)

    warnings.showwarning = show


def log_to_channel(channel: Channel) -> None:
    """Send this process's log records to the parent."""
    install_handler(ParentLogHandler(lambda *record: channel.send(LogLine(*record))))


def log_to_writer(writer: "LogWriter", *, quiet: bool = False) -> None:
    """Write the parent's own log records; only warnings and worse when *quiet*."""
    install_handler(
        ParentLogHandler(
            lambda priority, text, detail: writer.write("[parent]", text, priority, detail)
        )
    )
    log.setLevel(logging.WARNING if quiet else logging.DEBUG)


def log_multiline_error(form: str, reason: str, level: int = logging.ERROR) -> None:
    """Log an error with a reason of several lines.

    The line that says most becomes the text of the record, in *form*; the others its detail.
    """
    lines = reason.rstrip("\n").split("\n")
    if lines[-1].startswith(FATAL):
        log.log(level, form, lines[-1], extra={"detail": "\n".join(lines[:-1])})
    elif lines[0].startswith(TRACEBACK):
        log.log(level, form, lines[-1], extra={"detail": reason})
    else:
        log.log(level, form, lines[0], extra={"detail": "\n".join(lines[1:])})


def install_handler(handler: ParentLogHandler) -> None:
    """Use *handler* for Kore's records, and for all that have no other handler.

    Handlers that the application has set up stay. The levels of its loggers apply in either case:
    that of the root logger is WARNING unless set.
    """
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel(logging.DEBUG)
    fallback = ParentLogHandler(handler.write)
    # Python's own last resort handles only warnings and worse.
    fallback.addFilter(lambda record: logging.getLogger(record.name).isEnabledFor(record.levelno))
    logging.lastResort = fallback


def _to_syslog_priority(level: int) -> int:
    """Return the syslog priority for a level of the standard library."""
    for least, priority in PRIORITIES:
        if level >= least:
            return priority
    return DEBUG
