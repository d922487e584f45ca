"""Where log lines go: from any process to the parent, from the parent to stdout or a file.

One process stamps, formats and writes, so that lines neither mix nor lie about who wrote them.
"""

import contextlib
import logging
import os
import re
import select
import stat
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kore._process.channel import Channel
from kore._process.messages import Log

STDOUT: Final = 1
STDERR: Final = 2
# What waits for a slow reader of stdout; lines beyond it are counted, not kept.
PENDING_MAX: Final = 1024 * 1024
# What a pipe takes without blocking once it says that it is writable (PIPE_BUF).
CHUNK: Final = 4096
FILE_MODE: Final = 0o644

# Whatever could end a line, or move a terminal's cursor. Tabs stay.
CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

# Syslog's priorities.
CRIT, ERR, WARNING, NOTICE, INFO, DEBUG = 2, 3, 4, 5, 6, 7

PRIORITIES: Final = (
    (logging.CRITICAL, CRIT),
    (logging.ERROR, ERR),
    (logging.WARNING, WARNING),
    (logging.INFO, INFO),
)

# For what this package itself has to say.
log: Final = logging.getLogger("kore")


@dataclass(slots=True)
class Entry:
    """Lines that wait to be written."""

    data: bytes
    # A line about lines that are lost is as good as those.
    stands_for: int = 0

    @property
    def lines(self) -> int:
        """How many lines are lost with it."""
        return self.stands_for or self.data.lstrip(b"\n").count(b"\n")


class Destination:
    """Standard output or the log file. In the parent only, and never blocking it."""

    def __init__(self, fd: int = STDOUT) -> None:
        self.path = ""
        self.lost = 0
        self._why = ""
        self._fd = fd
        self._pending: deque[Entry] = deque()
        self._size = 0
        # What was written last is the first part of a line.
        self._torn = False

    @property
    def pending(self) -> bool:
        """Whether flush() has something left to write."""
        return bool(self._pending)

    def open(self, path: str) -> None:
        """Append to the file at *path* from now on. OSError leaves everything as it was."""
        if path == self.path:
            return
        self._switch(os.path.abspath(path) if path else "")  # noqa: PTH100 - kept as text
        self.path = path

    def reopen(self) -> None:
        """Open the file anew: the old one has been moved away."""
        if self.path:
            self._switch(self._absolute)

    def write(self, who: str, text: str) -> None:
        """Write *text* as lines of the process *who*."""
        lines = formatted(who, text, time.time())
        if self._size + len(lines) > PENDING_MAX:
            self._lose(Entry(lines), "nobody read them")
            return
        self._confess()
        self._append(Entry(lines))
        self.flush()

    def flush(self) -> None:
        """Write what can be written now."""
        self._confess()
        while self._pending and writable(self._fd):
            entry = self._pending[0]
            try:
                done = os.write(self._fd, entry.data[:CHUNK])
            except BlockingIOError:
                return
            except OSError as error:  # a full disk, a reader that is gone
                self._give_up(error.strerror or str(error))
                return
            self._torn = entry.data[done - 1 : done] != b"\n"
            self._size -= done
            entry.data = entry.data[done:]
            if not entry.data:
                self._pending.popleft()
                self._confess()

    def _confess(self) -> None:
        """Say how many lines are missing, in the place where they are."""
        if self.lost and not self._pending:
            count, self.lost = self.lost, 0
            text = f"{count} log lines lost: {self._why}"
            self._append(Entry(formatted("[parent]", text, time.time()), stands_for=count))

    def _append(self, entry: Entry) -> None:
        if self._torn and not self._pending:
            # Or it would go on with a line whose end is lost.
            entry.data = b"\n" + entry.data
        self._pending.append(entry)
        self._size += len(entry.data)

    def _lose(self, entry: Entry, why: str) -> None:
        self.lost += entry.lines
        self._why = why

    def _give_up(self, why: str) -> None:
        """Drop what waits, whole lines as well as the rest of one: no rest may begin a line."""
        for entry in self._pending:
            self._lose(entry, why)
        self._pending.clear()
        self._size = 0

    def drain(self, seconds: float) -> None:
        """Write the rest, waiting for a slow reader at most so long."""
        until = time.monotonic() + seconds
        self.flush()
        while self._pending and time.monotonic() < until:
            time.sleep(0.01)
            self.flush()

    def _switch(self, path: str) -> None:
        fd = STDOUT
        if path:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            fd = os.open(path, flags, FILE_MODE)
        self.flush()
        if self._torn and self._pending:
            # The rest of a line would begin the new file, and look like a line of its own.
            self._give_up("the log went elsewhere")
        self._torn = False
        if self._fd != STDOUT:
            os.close(self._fd)
        self._fd = fd
        self._absolute = path


def complain(reason: str) -> None:
    """Tell whoever started this process why it ends."""
    # Not sys.stderr: there is none when the descriptor was closed at the start.
    with contextlib.suppress(OSError):
        os.write(STDERR, f"{reason.rstrip()}\n".encode("utf-8", "backslashreplace"))


class Handler(logging.Handler):
    """Standard logging into whatever takes a priority and a text."""

    def __init__(self, take: Callable[[int, str], object]) -> None:
        super().__init__()
        self.take = take

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one record on."""
        try:
            self.take(priority(record.levelno), self.format(record))
        except Exception:  # noqa: BLE001 - the standard library's rule for handlers
            self.handleError(record)


def to_channel(channel: Channel) -> None:
    """Send this process's log records to the parent."""
    install(Handler(lambda prio, text: channel.send(Log(prio, text))))


def to_destination(destination: Destination, *, quiet: bool = False) -> None:
    """Write the parent's own log records; only warnings and worse when *quiet*."""
    install(Handler(lambda _, text: destination.write("[parent]", text)))
    log.setLevel(logging.WARNING if quiet else logging.DEBUG)


def install(handler: Handler) -> None:
    """Make *handler* the one for our records, and for those nobody else handles.

    An application that sets up the standard library's logging for itself keeps what it set up.
    """
    log.handlers[:] = [handler]
    log.propagate = False
    log.setLevel(logging.DEBUG)
    fallback = Handler(handler.take)
    fallback.setLevel(logging.WARNING)
    logging.lastResort = fallback


def priority(level: int) -> int:
    """Return syslog's priority for a level of the standard library."""
    for least, found in PRIORITIES:
        if level >= least:
            return found
    return DEBUG


def formatted(who: str, text: str, now: float) -> bytes:
    """Return *text* as lines of the log: each line of it becomes one."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(now))
    start = f"{stamp}.{int(now * 1000) % 1000:03d} UTC proc={who} log=["
    lines = [start + escaped(line) + "]\n" for line in text.rstrip("\n").split("\n")]
    return "".join(lines).encode()


def escaped(line: str) -> str:
    """Return *line* without anything that could pass for another line."""
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), line)


def writable(fd: int) -> bool:
    """Whether a write of a chunk does not block. Stdout may be a pipe nobody reads."""
    try:
        if stat.S_ISREG(os.fstat(fd).st_mode):
            return True
    except OSError:  # closed: the write will say so
        return True
    waiter = select.poll()
    waiter.register(fd, select.POLLOUT)
    return bool(waiter.poll(0))
