"""What this package raises. Everything is a RuntimeError underneath, as in C Kore."""

from collections.abc import Mapping


class KoreError(RuntimeError):
    """A call that cannot be done here or now."""


class ConfigError(KoreError):
    """A configuration that cannot be; the text says which part and what is allowed."""


class UnknownSettingError(ConfigError, AttributeError):
    """A name `kore.config` does not have. An AttributeError too, so that `hasattr` works."""


class StartError(KoreError):
    """An application that could not be started; the text is ready to be printed."""


class RefusedError(KoreError):
    """A request that cannot be read. Unless it is caught, its client is answered with *status*."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class QueueFullError(KoreError):
    """A queue with a limit has reached it."""


class NoSuchWorkerError(KoreError, ValueError):
    """A number that no worker has. A ValueError too, though C Kore raises RuntimeError."""


class BusyError(KoreError):
    """A worker that has not handled yet what was sent to it before: *workers* says which."""

    def __init__(self, reason: str, workers: tuple[int, ...] = ()) -> None:
        super().__init__(reason)
        self.workers = workers


class TooLargeError(KoreError, ValueError):
    """More than may be sent to another worker at a time."""


class SocketError(KoreError):
    """What the system says against an operation of a socket or process, with its *errno*."""

    def __init__(self, reason: str, errno: int | None = None) -> None:
        super().__init__(reason)
        self.errno = errno


class ClientError(KoreError):
    """An HTTP request that got no answer: why, in libcurl's words, and *code*, its number."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


class ClientTypeError(KoreError, TypeError):
    """A value of the wrong type for the HTTP client; a TypeError too, as everywhere else."""


class DatabaseError(KoreError):
    """What a database, or the way to it, says against a query.

    *sqlstate* is the five characters of PostgreSQL's appendix A, None where no server spoke.
    *fields* has more of what the server said: `primary`, `detail`, `hint`, `constraint`, `table`,
    `column`, `schema`, `datatype`, `position`, `severity`, as far as it did.
    """

    def __init__(
        self, reason: str, sqlstate: str | None = None, fields: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(reason)
        self.sqlstate = sqlstate
        self.fields: dict[str, str] = dict(fields or {})


class Fatal(SystemExit):
    """What `kore.fatal()` raises while nothing serves yet.

    A SystemExit, so that no `except Exception` of an application swallows it, and so that
    Python itself prints the reason and ends with status 1 where nobody else does.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(f"fatal: {reason}")
