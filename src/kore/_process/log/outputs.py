"""Outputs of the log: a file descriptor, or syslog. Neither ever blocks."""

import contextlib
import errno
import os
import re
import select
import socket
import stat
import time
from collections.abc import Callable
from typing import Final, TypeAlias

from kore._process.log.formats import (
    JSON_DATAGRAM_MAX,
    Record,
    format_json,
    format_short_json,
    format_syslog,
    format_text,
)
from kore._process.log.open_file import open_log

STDOUT: Final = 1
STDERR: Final = 2
# What a pipe takes without blocking once it is writable (PIPE_BUF).
WRITE_SIZE: Final = 4096
# Seconds between two attempts to connect to a syslogd.
SYSLOG_RETRY: Final = 0.5
END_OF_RECORD: Final = b"\0"
FORMATS: Final[dict[str, Callable[[Record], bytes]]] = {"text": format_text, "json": format_json}


class FileOutput:
    """Standard output, standard error or a file."""

    def __init__(self, fd: int = STDOUT, form: str = "text") -> None:
        self.fd = fd
        self.format = FORMATS[form]

    def format_record(self, record: Record) -> list[bytes]:
        """Return the bytes to write for a record."""
        return [self.format(record)]

    def is_ready(self) -> bool:
        """Return whether a write of WRITE_SIZE bytes does not block.

        Standard output may be a pipe whose reader is slow.
        """
        try:
            if stat.S_ISREG(os.fstat(self.fd).st_mode):
                return True
        except OSError:  # closed: the write reports it
            return True
        waiter = select.poll()
        waiter.register(self.fd, select.POLLOUT)
        return bool(waiter.poll(0))

    def write(self, data: bytes) -> int:
        """Write the beginning of *data*; return its size. Raises OSError if that fails."""
        return os.write(self.fd, data[:WRITE_SIZE])

    def is_within_line(self, data: bytes, done: int) -> bool:
        """Return whether the first *done* bytes of *data* end within a line."""
        return data[done - 1 : done] != b"\n"

    def close(self) -> None:
        """Close the file; the standard descriptors stay open."""
        if self.fd > STDERR:
            os.close(self.fd)


def open_output(path: str, form: str) -> FileOutput:
    """Open the file at *path* to append to. Raises OSError if that is not possible."""
    return FileOutput(open_log(path), form)


class SyslogOutput:
    """The system's log: a datagram or stream socket, connected again when syslogd restarts."""

    def __init__(self, path: str, name: str, facility: str, form: str = "text") -> None:
        self.path = path
        self.facility = facility
        self.form = form
        # Other characters would end the name of a program (RFC 3164 section 5.3).
        self.sender = f"{re.sub(r'[^A-Za-z0-9._-]', '_', name)}[{os.getpid()}]"
        self._socket: socket.socket | None = None
        self._retry_at = 0.0
        # On a stream: the previous record has not been terminated yet.
        self._is_unterminated = False

    def format_record(self, record: Record) -> list[bytes]:
        """Return the datagrams for a record."""
        datagrams = format_syslog(record, self.sender, self.facility)
        if self.form == "text":
            return datagrams
        start = datagrams[0].partition(b": ")[0]
        return [start + b": " + format_short_json(record, JSON_DATAGRAM_MAX).rstrip(b"\n")]

    def is_ready(self) -> bool:
        """Return whether a syslogd is connected; connect again when it is time to."""
        if self._socket is None and time.monotonic() >= self._retry_at:
            self._retry_at = time.monotonic() + SYSLOG_RETRY
            with contextlib.suppress(OSError):
                self.connect()
        return self._socket is not None

    def connect(self) -> None:
        """Connect to the syslogd. Raises OSError if that fails."""
        self.close()
        try:
            self._socket = _connect_socket(self.path, socket.SOCK_DGRAM)
        except OSError as error:
            if error.errno != errno.EPROTOTYPE:
                raise
            self._socket = _connect_socket(self.path, socket.SOCK_STREAM)

    def write(self, data: bytes) -> int:
        """Send a datagram, or on a stream the beginning of *data*; return its size.

        Raises BlockingIOError if that is not possible now, OSError with EMSGSIZE if a datagram is
        too large for the syslogd.
        """
        if self._socket is None:
            raise BlockingIOError
        try:
            if self._socket.type == socket.SOCK_STREAM:
                return self._write_to_stream(self._socket, data)
            return self._socket.send(data)
        except OSError as error:
            if isinstance(error, BlockingIOError) or error.errno == errno.EMSGSIZE:
                raise
            # The syslogd has closed its socket. It may have been restarted.
            self.close()
            raise BlockingIOError from error

    def _write_to_stream(self, stream: socket.socket, data: bytes) -> int:
        """Send the beginning of *data*. A NUL terminates a record, as in syslog(3)."""
        if self._is_unterminated:
            stream.send(END_OF_RECORD)
            self._is_unterminated = False
        done = stream.send(data)
        if done == len(data):
            self._is_unterminated = True
            with contextlib.suppress(BlockingIOError):
                stream.send(END_OF_RECORD)
                self._is_unterminated = False
        return done

    def is_within_line(self, _data: bytes, _done: int) -> bool:
        """Return False: a datagram is sent completely or not at all."""
        return False

    def close(self) -> None:
        """Close the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None
            self._is_unterminated = False


def _connect_socket(path: str, kind: socket.SocketKind) -> socket.socket:
    """Connect to the syslogd at *path*. Raises OSError if it has no socket of that kind."""
    sock = socket.socket(socket.AF_UNIX, kind)
    sock.setblocking(False)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


LogOutput: TypeAlias = FileOutput | SyslogOutput
