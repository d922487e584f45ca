"""Exceptions of this package. All but Fatal derive from RuntimeError, as in C Kore."""

from collections.abc import Mapping


class KoreError(RuntimeError):
    """A call that is not possible here or now; base of the others."""


class ConfigError(KoreError):
    """An invalid configuration; the text names the part and what is allowed."""


class UnknownSettingError(ConfigError, AttributeError):
    """A name that `kore.config` does not have. Also an AttributeError, so that `hasattr` works."""


class StartError(KoreError):
    """An application that could not be started; its text is ready to be printed."""


class RefusedError(KoreError):
    """A malformed request. Unless it is caught, the response has *status*."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class QueueFullError(KoreError):
    """A queue that has reached its limit."""


class NoSuchWorkerError(KoreError, ValueError):
    """A number that no worker has. Also a ValueError, though C Kore raises RuntimeError."""


class BusyError(KoreError):
    """Workers that have not handled yet what was sent to them before: *workers* lists them."""

    def __init__(self, reason: str, workers: tuple[int, ...] = ()) -> None:
        super().__init__(reason)
        self.workers = workers


class TooLargeError(KoreError, ValueError):
    """A message to other workers above `worker_message_max`."""


class SocketError(KoreError):
    """A failed operation of a socket or process: the system's reason, and its *errno*."""

    def __init__(self, reason: str, errno: int | None = None) -> None:
        super().__init__(reason)
        self.errno = errno


class ClientError(KoreError):
    """An HTTP request without a response: libcurl's reason, and *code*, its error number."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


class ClientTypeError(KoreError, TypeError):
    """A value of the wrong type for the HTTP client. Also a TypeError."""


class DatabaseError(KoreError):
    """A failed query, or a failed connection to a database.

    *sqlstate* is the code of PostgreSQL's appendix A, None if the error is not the server's.
    *fields* are those of the server's error: `primary`, `detail`, `hint`, `constraint`, `table`,
    `column`, `schema`, `datatype`, `position`, `severity`, as far as they are set.
    """

    def __init__(
        self, reason: str, sqlstate: str | None = None, fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(reason)
        self.sqlstate = sqlstate
        self.fields: dict[str, str] = dict(fields or {})


class Fatal(SystemExit):
    """Raised by `kore.fatal()` before the server has started.

    A SystemExit, so that no `except Exception` of an application swallows it, and so that
    Python itself prints the reason and exits with status 1 if it is not caught.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"fatal: {reason}")
