"""What log lines can be written to: a descriptor, or syslog. Neither ever blocks."""

import contextlib
import errno
import os
import re
import select
import socket
import stat
import time
from collections.abc import Callable
from typing import Final

from kore._process.log.formats import (
    JSON_DATAGRAM_MAX,
    Record,
    as_json,
    as_short_json,
    as_text,
    for_syslog,
)
from kore._process.log.open_file import open_log

STDOUT: Final = 1
STDERR: Final = 2
# What a pipe takes without blocking once it says that it is writable (PIPE_BUF).
CHUNK: Final = 4096
# Between two looks whether a syslogd is back.
SYSLOG_RETRY: Final = 0.5
END_OF_RECORD: Final = b"\0"
FORMATS: Final[dict[str, Callable[[Record], bytes]]] = {"text": as_text, "json": as_json}


class FileOutput:
    """Standard output, standard error or a file."""

    def __init__(self, fd: int = STDOUT, form: str = "text") -> None:
        self.fd = fd
        self.render = FORMATS[form]

    def rendered(self, record: Record) -> list[bytes]:
        """Return what to write for a record."""
        return [self.render(record)]

    def ready(self) -> bool:
        """Whether a write of a chunk does not block. Stdout may be a pipe nobody reads."""
        try:
            if stat.S_ISREG(os.fstat(self.fd).st_mode):
                return True
        except OSError:  # closed: the write will say so
            return True
        waiter = select.poll()
        waiter.register(self.fd, select.POLLOUT)
        return bool(waiter.poll(0))

    def put(self, data: bytes) -> int:
        """Write the beginning of *data*; return how much it was."""
        return os.write(self.fd, data[:CHUNK])

    def torn(self, data: bytes, done: int) -> bool:
        """Whether what was written last is the first part of a line."""
        return data[done - 1 : done] != b"\n"

    def close(self) -> None:
        """Close what was opened; the standard descriptors stay."""
        if self.fd > STDERR:
            os.close(self.fd)


def file(path: str, form: str) -> FileOutput:
    """Return the file at *path*, to be appended to. OSError: it cannot be had."""
    return FileOutput(open_log(path), form)


class SyslogOutput:
    """The system's log: a datagram or stream socket that may be closed and made anew."""

    def __init__(self, path: str, name: str, facility: str, form: str = "text") -> None:
        self.path = path
        self.facility = facility
        self.form = form
        # What ends the name of a program in RFC 3164.
        self.sender = f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}[{os.getpid()}]"
        self._socket: socket.socket | None = None
        self._due = 0.0
        # In a stream: the record before has no end yet.
        self._unended = False

    def rendered(self, record: Record) -> list[bytes]:
        """Return the datagrams for a record."""
        datagrams = for_syslog(record, self.sender, self.facility)
        if self.form == "text":
            return datagrams
        start = datagrams[0].partition(b": ")[0]
        return [start + b": " + as_short_json(record, JSON_DATAGRAM_MAX).rstrip(b"\n")]

    def ready(self) -> bool:
        """Whether there is somebody to write to."""
        if self._socket is None and time.monotonic() >= self._due:
            self._due = time.monotonic() + SYSLOG_RETRY
            with contextlib.suppress(OSError):
                self.connect()
        return self._socket is not None

    def connect(self) -> None:
        """Find the other side, or raise OSError."""
        self.close()
        try:
            self._socket = connected(self.path, socket.SOCK_DGRAM)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
            self._socket = connected(self.path, socket.SOCK_STREAM)

    def put(self, data: bytes) -> int:
        """Send a datagram, or the beginning of *data* in a stream. BlockingIOError: not now.

        Raises OSError with EMSGSIZE if a datagram is too large for the other side.
        """
        if self._socket is None:
            raise BlockingIOError
        try:
            if self._socket.type == socket.SOCK_STREAM:
                return self._put_in_stream(self._socket, data)
            return self._socket.send(data)
        except OSError as error:
            if isinstance(error, BlockingIOError) or error.errno == errno.EMSGSIZE:
                raise
            # It is gone. There may be another one by now.
            self.close()
            raise BlockingIOError from error

    def _put_in_stream(self, stream: socket.socket, data: bytes) -> int:
        """Send the beginning of *data*. A record ends with a NUL, as syslog(3) has it."""
        if self._unended:
            stream.send(END_OF_RECORD)
            self._unended = False
        done = stream.send(data)
        if done == len(data):
            self._unended = True
            with contextlib.suppress(BlockingIOError):
                stream.send(END_OF_RECORD)
                self._unended = False
        return done

    def torn(self, _data: bytes, _done: int) -> bool:
        """Return False: a datagram is sent whole, or not."""
        return False

    def close(self) -> None:
        """Let go of the other side."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._unended = False


def connected(path: str, kind: socket.SocketKind) -> socket.socket:
    """Return a socket to the syslog at *path*. Raises OSError if there is none of that kind."""
    found = socket.socket(socket.AF_UNIX, kind)
    found.setblocking(False)
    try:
        found.connect(path)
    except OSError:
        found.close()
        raise
    return found


Sink = FileOutput | SyslogOutput
