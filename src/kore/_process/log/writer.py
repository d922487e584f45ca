"""Writer of the log: standard output, a file or syslog. In the parent only.

One process stamps, formats and writes all records, so that lines do not mix and name the process
that logged them. It never blocks: lines wait for a slow reader, and beyond a limit they are dropped
and counted.
"""

import errno
import time
from collections import deque
from dataclasses import dataclass
from typing import Final

from kore._conf.diagnostics import make_absolute
from kore._conf.settings import Settings
from kore._process.log import outputs
from kore._process.log.formats import Record
from kore._process.log.outputs import FileOutput, LogOutput, SyslogOutput

# Bytes that wait for a slow reader; records beyond it are dropped and counted.
PENDING_MAX: Final = 1024 * 1024
DRAIN_INTERVAL: Final = 0.01
WARNING, INFO = 4, 6


@dataclass(slots=True)
class PendingLine:
    """A record, or a datagram of one, that waits to be written."""

    record: Record
    data: bytes
    # Of a line about dropped lines: how many these are.
    stands_for: int = 0
    # A part of it has been written.
    begun: bool = False

    @property
    def line_count(self) -> int:
        """How many lines are lost if it is dropped."""
        return self.stands_for or max(1, self.data.strip(b"\n").count(b"\n") + 1)


class LogWriter:
    """The log as the parent writes it; at first to standard output."""

    def __init__(self, fd: int = outputs.STDOUT) -> None:
        self.path = ""
        self.dropped_count = 0
        self._drop_reason = ""
        self._output: LogOutput = FileOutput(fd)
        self._pending: deque[PendingLine] = deque()
        self._pending_size = 0
        # The last write ended within a line.
        self._is_within_line = False

    @property
    def pending(self) -> bool:
        """Whether flush() has something left to write."""
        return bool(self._pending)

    @property
    def is_redirected(self) -> bool:
        """Whether the log goes elsewhere than to standard output or error."""
        return not isinstance(self._output, FileOutput) or self._output.fd > outputs.STDERR

    def open(self, path: str, form: str = "text") -> None:
        """Append to the file at *path* from now on; to standard output if it is empty.

        Raises OSError, and changes nothing then, if the file cannot be opened.
        """
        if path == self.path and self._is_same_file(path) and isinstance(self._output, FileOutput):
            self._output.format = outputs.FORMATS[form]
            return
        self._switch(outputs.open_output(path, form) if path else FileOutput(form=form))
        self.path = path
        self._absolute = make_absolute(path) if path else ""

    def _is_same_file(self, path: str) -> bool:
        """Return whether a path still means the file that was opened, links not followed."""
        return not path or make_absolute(path) == self._absolute

    def open_syslog(self, settings: Settings, name: str) -> str:
        """Write to syslog from now on. Returns a notice if there is none, once.

        Without syslog the log goes to standard error, until a reload finds a syslog.
        """
        path, form = settings.syslog_socket, settings.log_format
        wanted = SyslogOutput(path, name, settings.syslog_facility, form)
        self.path = ""
        if isinstance(self._output, SyslogOutput):
            # It may just be restarted; then it is connected later.
            self._switch(wanted)
            return ""
        try:
            wanted.connect()
        except OSError as error:
            again = isinstance(self._output, FileOutput) and self._output.fd == outputs.STDERR
            self._switch(FileOutput(outputs.STDERR, form))
            if again:
                return ""
            return f"no syslog at {path} ({error.strerror}): the log goes to standard error"
        self._switch(wanted)
        return ""

    def reopen(self) -> None:
        """Open the file again after it has been moved away. Raises OSError if that fails."""
        if self.path and isinstance(self._output, FileOutput):
            fresh = outputs.open_output(self._absolute, "text")
            fresh.format = self._output.format
            self._switch(fresh)
        elif isinstance(self._output, SyslogOutput):
            self._output.close()

    def write(self, who: str, text: str, priority: int = INFO, detail: str = "") -> None:
        """Write a record of the process *who*."""
        record = Record(time.time(), who, priority, text, detail)
        lines = [PendingLine(record, data) for data in self._output.format_record(record)]
        if self._pending_size + sum(len(line.data) for line in lines) > PENDING_MAX:
            for line in lines:
                self._drop(line, "output blocked")
            return
        self._log_dropped_count()
        for line in lines:
            self._append(line)
        self.flush()

    def flush(self) -> None:
        """Write as much as is possible without blocking."""
        self._log_dropped_count()
        while self._pending and self._output.is_ready():
            line = self._pending[0]
            try:
                done = self._output.write(line.data)
            except BlockingIOError:
                return
            except OSError as error:  # a full disk, a closed pipe
                if error.errno == errno.EMSGSIZE:
                    self._drop_first("too large for syslog")
                    continue
                self._drop_all(error.strerror or str(error))
                return
            self._is_within_line = self._output.is_within_line(line.data, done)
            self._pending_size -= done
            line.data = line.data[done:]
            line.begun = True
            if not line.data:
                self._pending.popleft()
                self._log_dropped_count()

    def drain(self, timeout: float) -> None:
        """Write what waits, for a slow reader at most *timeout* seconds."""
        deadline = time.monotonic() + timeout
        self.flush()
        while self._pending and time.monotonic() < deadline:
            time.sleep(DRAIN_INTERVAL)
            self.flush()

    def _log_dropped_count(self) -> None:
        """Log how many lines were dropped, in the place where they would have been."""
        if self.dropped_count and not self._pending:
            count, self.dropped_count = self.dropped_count, 0
            text = f"{count} log lines dropped: {self._drop_reason}"
            record = Record(time.time(), "[parent]", WARNING, text)
            for data in self._output.format_record(record):
                self._append(PendingLine(record, data, stands_for=count))

    def _append(self, line: PendingLine) -> None:
        if self._is_within_line and not self._pending:
            # The rest of the last line was dropped: end it here.
            line.data = b"\n" + line.data
        self._pending.append(line)
        self._pending_size += len(line.data)

    def _drop(self, line: PendingLine, reason: str) -> None:
        self.dropped_count += line.line_count
        self._drop_reason = reason

    def _drop_first(self, reason: str) -> None:
        """Drop the next line; those after it can be written."""
        line = self._pending.popleft()
        self._pending_size -= len(line.data)
        self._drop(line, reason)

    def _drop_all(self, reason: str) -> None:
        """Drop all that waits, also the rest of a line that has been begun."""
        for line in self._pending:
            self._drop(line, reason)
        self._pending.clear()
        self._pending_size = 0

    def _switch(self, output: LogOutput) -> None:
        """Write to another output from now on, also what waits, but for a line that was begun."""
        self.flush()
        if self._pending and self._pending[0].begun:
            self._pending_size -= len(self._pending[0].data)
            self._drop(self._pending.popleft(), "log destination changed")
        waiting, self._pending, self._pending_size = self._pending, deque(), 0
        self._is_within_line = False
        self._output.close()
        self._output = output
        seen: set[int] = set()
        for line in waiting:
            # A record may wait as several datagrams, and be a single entry in the new format.
            if id(line.record) not in seen:
                seen.add(id(line.record))
                for data in output.format_record(line.record):
                    self._append(PendingLine(line.record, data, line.stands_for))
