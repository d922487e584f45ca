"""Where the lines of the log go: standard output, a file, syslog. In the parent only.

One process stamps, formats and writes, so that lines neither mix nor lie about who wrote them. It
never blocks: what nobody takes waits, and what waits too long is lost and counted.
"""

import errno
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from kore._conf.settings import Settings
from kore._conf.source_location import absolute
from kore._process.log import outputs
from kore._process.log.formats import Record
from kore._process.log.outputs import FileOutput, Sink, SyslogOutput

# What waits for a slow reader of stdout; lines beyond it are counted, not kept.
PENDING_MAX: Final = 1024 * 1024
WARNING, INFO = 4, 6


@dataclass(slots=True)
class PendingLine:
    """A piece of a record that waits to be written."""

    record: Record
    data: bytes
    # A line about lines that are lost is as good as those.
    stands_for: int = 0
    begun: bool = False

    @property
    def lines(self) -> int:
        """How many lines are lost with it."""
        return self.stands_for or max(1, self.data.strip(b"\n").count(b"\n") + 1)


class LogWriter:
    """The log as the parent writes it. At first it is standard output."""

    def __init__(self, fd: int = outputs.STDOUT) -> None:
        self.path = ""
        self.lost = 0
        self._why = ""
        self._sink: Sink = FileOutput(fd)
        self._pending: deque[PendingLine] = deque()
        self._size = 0
        # What was written last is the first part of a line.
        self._torn = False

    @property
    def pending(self) -> bool:
        """Whether flush() has something left to write."""
        return bool(self._pending)

    @property
    def elsewhere(self) -> bool:
        """Whether who started the server does not see the log."""
        return not isinstance(self._sink, FileOutput) or self._sink.fd > outputs.STDERR

    def open(self, path: str, form: str = "text") -> None:
        """Append to the file at *path* from now on, or go to standard output.

        OSError leaves everything as it was.
        """
        if path == self.path and self._is_there(path) and isinstance(self._sink, FileOutput):
            self._sink.render = outputs.FORMATS[form]
            return
        self._switch(outputs.file(path, form) if path else FileOutput(form=form))
        self.path = path
        self._absolute = absolute(path) if path else ""

    def _is_there(self, path: str) -> bool:
        """Whether a path leads where it did when it was opened, as far as that can be said."""
        return not path or absolute(path) == self._absolute

    def system(self, settings: Settings, name: str) -> str:
        """Write to syslog from now on. Returns a notice when there is none, once.

        Then it is standard error that gets the log, until a reload finds a syslog.
        """
        path, form = settings.syslog_socket, settings.log_format
        wanted = SyslogOutput(path, name, settings.syslog_facility, form)
        self.path = ""
        if isinstance(self._sink, SyslogOutput):
            # At a reload it may be away for a moment, as at any other.
            self._switch(wanted)
            return ""
        try:
            wanted.connect()
        except OSError as error:
            again = isinstance(self._sink, FileOutput) and self._sink.fd == outputs.STDERR
            self._switch(FileOutput(outputs.STDERR, form))
            if again:
                return ""
            return f"no syslog at {path} ({error.strerror}): the log goes to standard error"
        self._switch(wanted)
        return ""

    def reopen(self) -> None:
        """Open the file anew: the old one has been moved away."""
        if self.path and isinstance(self._sink, FileOutput):
            fresh = outputs.file(self._absolute, "text")
            fresh.render = self._sink.render
            self._switch(fresh)
        elif isinstance(self._sink, SyslogOutput):
            self._sink.close()

    def write(self, who: str, text: str, priority: int = INFO, detail: str = "") -> None:
        """Write a record of the process *who*."""
        record = Record(time.time(), who, priority, text, detail)
        entries = [PendingLine(record, data) for data in self._sink.rendered(record)]
        if self._size + sum(len(entry.data) for entry in entries) > PENDING_MAX:
            for entry in entries:
                self._lose(entry, "nobody read them")
            return
        self._confess()
        for entry in entries:
            self._append(entry)
        self.flush()

    def flush(self) -> None:
        """Write what can be written now."""
        self._confess()
        while self._pending and self._sink.ready():
            entry = self._pending[0]
            try:
                done = self._sink.put(entry.data)
            except BlockingIOError:
                return
            except OSError as error:  # a full disk, a reader that is gone
                if error.errno == errno.EMSGSIZE:
                    self._drop_first("too large for syslog")
                    continue
                self._give_up(error.strerror or str(error))
                return
            self._torn = self._sink.torn(entry.data, done)
            self._size -= done
            entry.data = entry.data[done:]
            entry.begun = True
            if not entry.data:
                self._pending.popleft()
                self._confess()

    def drain(self, seconds: float) -> None:
        """Write the rest, waiting for a slow reader at most so long."""
        until = time.monotonic() + seconds
        self.flush()
        while self._pending and time.monotonic() < until:
            time.sleep(0.01)
            self.flush()

    def _confess(self) -> None:
        """Say how many lines are missing, in the place where they are."""
        if self.lost and not self._pending:
            count, self.lost = self.lost, 0
            text = f"{count} log lines lost: {self._why}"
            record = Record(time.time(), "[parent]", WARNING, text)
            for data in self._sink.rendered(record):
                self._append(PendingLine(record, data, stands_for=count))

    def _append(self, entry: PendingLine) -> None:
        if self._torn and not self._pending:
            # Or it would go on with a line whose end is lost.
            entry.data = b"\n" + entry.data
        self._pending.append(entry)
        self._size += len(entry.data)

    def _lose(self, entry: PendingLine, why: str) -> None:
        self.lost += entry.lines
        self._why = why

    def _drop_first(self, why: str) -> None:
        """Drop what is next: the rest need not wait for it."""
        entry = self._pending.popleft()
        self._size -= len(entry.data)
        self._lose(entry, why)

    def _give_up(self, why: str) -> None:
        """Drop what waits, whole lines as well as the rest of one: no rest may begin a line."""
        for entry in self._pending:
            self._lose(entry, why)
        self._pending.clear()
        self._size = 0

    def _switch(self, sink: Sink) -> None:
        """Go on elsewhere: with what waits, but for the rest of a line that has been begun."""
        self.flush()
        if self._pending and self._pending[0].begun:
            self._size -= len(self._pending[0].data)
            self._lose(self._pending.popleft(), "the log went elsewhere")
        waiting, self._pending, self._size = self._pending, deque(), 0
        self._torn = False
        self._sink.close()
        self._sink = sink
        seen: set[int] = set()
        for entry in waiting:
            # One record may wait as several datagrams, and be a single line there.
            if id(entry.record) not in seen:
                seen.add(id(entry.record))
                for data in sink.rendered(entry.record):
                    self._append(PendingLine(entry.record, data, entry.stands_for))
