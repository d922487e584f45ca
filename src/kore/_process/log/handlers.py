"""What a process has to say: standard logging and `kore.log`, on the way to the parent's log."""

import contextlib
import logging
import select
import time
import warnings
from collections.abc import Callable
from typing import Any, Final

from kore._conf.source_location import OURS, shown
from kore._process.ipc.channel import Channel
from kore._process.ipc.messages import LogLine
from kore._process.log.outputs import STDERR, FileOutput
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
# For last words to standard error, when its reader is slow.
COMPLAINT_SECONDS: Final = 1.0
FORMATTER: Final = logging.Formatter()

# For what this package itself has to say.
log: Final = logging.getLogger("kore")


def complain(reason: str) -> None:
    """Tell whoever started this process why it ends."""
    # Not sys.stderr: there is none when the descriptor was closed at the start. A pipe that is not
    # read must not keep this process.
    text = f"{reason.rstrip()}\n".encode("utf-8", "backslashreplace")
    with contextlib.suppress(OSError):
        output = FileOutput(STDERR)
        deadline = time.monotonic() + COMPLAINT_SECONDS
        while text and time.monotonic() < deadline:
            if select.select([], [STDERR], [], COMPLAINT_SECONDS)[1]:
                text = text[output.put(text) :]


class ParentLogHandler(logging.Handler):
    """Standard logging into whatever takes a priority, a text and what belongs to it."""

    def __init__(self, take: Callable[[int, str, str], object]) -> None:
        super().__init__()
        self.take = take

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one record on."""
        try:
            # What kore.log() was given is finer than the levels of the standard library.
            exact = getattr(record, "priority", priority(record.levelno))
            self.take(exact, record.getMessage(), detail(record))
        except Exception:  # noqa: BLE001 - the standard library's rule for handlers
            self.handleError(record)


def detail(record: logging.LogRecord) -> str:
    """Return what belongs to a record beside its text: its traceback."""
    given = [getattr(record, "detail", ""), record.stack_info or ""]
    if record.exc_info:
        given.append(FORMATTER.formatException(record.exc_info))
    return "\n".join(filter(None, given))


def log_unawaited() -> None:
    """Have the log tell of coroutines that nothing awaits, with what to write.

    Python writes a warning to standard error, which may be nowhere.
    """
    before = warnings.showwarning

    def show(message: Warning | str, category: type[Warning], *rest: Any, **more: Any) -> None:
        text = str(message)
        if category is not RuntimeWarning or not text.endswith(UNAWAITED):
            before(message, category, *rest, **more)
            return
        # Where it was forgotten for good; a frame of ours says nothing about that.
        where = f"{shown(rest[0])}:{rest[1]}: " if not rest[0].startswith(OURS) else ""
        name = text.split("'")[1].rpartition(".")[2]
        log.warning("%s%s: it has not run; write `await %s(...)`", where, text, name)

    warnings.showwarning = show


def to_channel(channel: Channel) -> None:
    """Send this process's log records to the parent."""
    install(ParentLogHandler(lambda *record: channel.send(LogLine(*record))))


def to_destination(destination: LogWriter, *, quiet: bool = False) -> None:
    """Write the parent's own log records; only warnings and worse when *quiet*."""
    install(
        ParentLogHandler(
            lambda prio, *texts: destination.write("[parent]", texts[0], prio, texts[1])
        )
    )
    log.setLevel(logging.WARNING if quiet else logging.DEBUG)


def told(form: str, reason: str, level: int = logging.ERROR) -> None:
    """Log an error whose reason may have many lines: one of them is the record, in *form*."""
    lines = reason.rstrip("\n").split("\n")
    if lines[-1].startswith(FATAL):
        log.log(level, form, lines[-1], extra={"detail": "\n".join(lines[:-1])})
    elif lines[0].startswith(TRACEBACK):
        log.log(level, form, lines[-1], extra={"detail": reason})
    else:
        log.log(level, form, lines[0], extra={"detail": "\n".join(lines[1:])})


def install(handler: ParentLogHandler) -> None:
    """Make *handler* the one for our records, and for those nobody else handles.

    An application that sets up the standard library's logging for itself keeps what it set up.
    Without handlers of its own its levels count all the same: the root's is WARNING unless set.
    """
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel(logging.DEBUG)
    fallback = ParentLogHandler(handler.take)
    # For loggers that are not below the root Python itself would say warnings and worse only.
    fallback.addFilter(lambda record: logging.getLogger(record.name).isEnabledFor(record.levelno))
    logging.lastResort = fallback


def priority(level: int) -> int:
    """Return syslog's priority for a level of the standard library."""
    for least, found in PRIORITIES:
        if level >= least:
            return found
    return DEBUG
