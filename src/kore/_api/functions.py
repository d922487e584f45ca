"""The functions of `import kore` for configuration, logging, messages and the server.

Each delegates to the configuration that is being written or to the running worker, whichever this
process has; see `_context.py`.
"""

import logging
import operator
import os
import signal
import syslog
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from time import monotonic_ns
from typing import Any, Final, NoReturn, TypeVar, Unpack

from kore import _context, _symbols
from kore._conf import arguments
from kore._conf.builder import Builder
from kore._conf.diagnostics import is_importing
from kore._conf.domain_handle import DomainHandle
from kore._conf.domain_tls import TlsKeywords
from kore._conf.schema import Prerequest, RouteKeywords, Tracer
from kore._conf.settings import SETTINGS
from kore._conf.unserved import UnservedBuilder
from kore.errors import Fatal, KoreError

LOG_EMERG: Final = syslog.LOG_EMERG
LOG_ALERT: Final = syslog.LOG_ALERT
LOG_CRIT: Final = syslog.LOG_CRIT
LOG_ERR: Final = syslog.LOG_ERR
LOG_WARNING: Final = syslog.LOG_WARNING
LOG_NOTICE: Final = syslog.LOG_NOTICE
LOG_INFO: Final = syslog.LOG_INFO
LOG_DEBUG: Final = syslog.LOG_DEBUG

RESULT_ERROR: Final = 0
RESULT_OK: Final = 1
RESULT_RETRY: Final = 2

MODULE_LOAD: Final = _symbols.MODULE_LOAD
MODULE_UNLOAD: Final = _symbols.MODULE_UNLOAD

TIMER_ONESHOT: Final = 1

CONN_PROTO_UNKNOWN: Final = 0
CONN_PROTO_HTTP: Final = 1
CONN_PROTO_WEBSOCKET: Final = 2
CONN_STATE_ESTABLISHED: Final = 2
CONN_STATE_DISCONNECTING: Final = 3

WEBSOCKET_OP_TEXT: Final = 1
WEBSOCKET_OP_BINARY: Final = 2
WEBSOCKET_BROADCAST_LOCAL: Final = 1
WEBSOCKET_BROADCAST_GLOBAL: Final = 2

pydomain = DomainHandle

# Levels of the standard library by syslog priority. NOTICE is between INFO and WARNING.
LEVELS: Final = (
    logging.CRITICAL,
    logging.CRITICAL,
    logging.CRITICAL,
    logging.ERROR,
    logging.WARNING,
    (logging.INFO + logging.WARNING) // 2,
    logging.INFO,
    logging.DEBUG,
)
# Signals that cannot be caught, and synchronous ones, after which the fault would be repeated.
UNTRAPPABLE: Final = frozenset(
    {
        signal.SIGKILL,
        signal.SIGSTOP,
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
    }
)
# The higher bits of a priority may be a facility.
PRIORITY_MASK: Final = 7

F = TypeVar("F", bound=Callable[..., Any])
P = TypeVar("P", bound=Prerequest)


class Configuration:
    """All settings by name: `kore.config.workers = 4` before the start, readable at any time."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        arguments.find_setting(name)
        current = _context.current
        if current.worker is not None:
            return getattr(current.worker.config.settings, name)
        builder = current.builder or current.unserved or _get_builder()
        return getattr(builder.settings, name)

    def __setattr__(self, name: str, value: object) -> None:
        _get_builder().set(name, value)

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"kore.config.{name} cannot be deleted, only set")

    def __dir__(self) -> list[str]:
        return list(SETTINGS)

    def __repr__(self) -> str:
        return "<kore.config>"


config: Final = Configuration()


def _get_builder() -> Builder:
    """Return the configuration being written.

    A module that is imported without a server, by a test say, gets one that is never served.
    Raises KoreError if nothing is being configured.
    """
    current = _context.current
    if current.builder is None and current.worker is None and is_importing():
        current.unserved = current.unserved or UnservedBuilder()
        return current.unserved
    return _context.require_builder()


# What is served


def server(
    name: str = "default",
    *,
    ip: str | None = None,
    port: int | str | None = None,
    path: str | None = None,
    tls: bool = True,
    redirect_https: bool = False,
) -> None:
    """Listen on *ip* and *port*, or on a unix socket at *path* (`@name`: an abstract one).

    *ip* is an address, IPv4 or IPv6, or a host's name. Port 0 is any free port. *tls=False* is
    plain HTTP; with *redirect_https*, requests for hosts of the servers with TLS are redirected.
    """
    # As in C Kore, an empty keyword counts as not given.
    address = arguments.build_address(ip or None, port, path or None)
    _get_builder().server(
        arguments.check_text(name, "name"),
        address,
        tls=arguments.check_type(tls, bool, "tls"),
        redirect_https=arguments.check_type(redirect_https, bool, "redirect_https"),
    )


def bind(ip: str, port: int | str) -> bool:
    """Listen without TLS on *ip* and *port*, in addition to other calls.

    The older spelling of `server()`: all addresses belong to the server `default`.
    """
    _get_builder().bind(arguments.build_address(ip, port, None))
    return True


def bind_unix(path: str) -> bool:
    """Listen without TLS on a unix socket, as `bind()` does on an address."""
    _get_builder().bind(arguments.build_address(None, None, path))
    return True


def privsep(
    process: str,
    *,
    root: str | os.PathLike[str] | None = None,
    runas: str | None = None,
    skip: Sequence[str] = (),
) -> None:
    """Restrict the processes `worker`, `keymgr` or `acme` when they start.

    *root*: their root directory. *runas*: the user they change to. *skip*: a list that may contain
    "chroot": then *root* is only their working directory.
    """
    _get_builder().privsep(arguments.build_privsep(process, root, runas, skip))


def domain(
    host: str,
    attach: str = "default",
    *,
    accesslog: str | None = None,
    accesslog_format: str = "combined",
    **tls: Unpack[TlsKeywords],
) -> DomainHandle:
    """Serve the host name *host*, which may contain wildcards, on the server named *attach*.

    Requests are logged to the file *accesslog*, in the format `combined`, `json`, or a text with
    variables.

    A server with TLS needs *cert* and *key*: the paths of a certificate with its chain and of its
    key, in PEM, or lists of two, for an ECDSA and an RSA key. *client_verify*: require client
    certificates of the authorities in this file, with at most *verify_depth* certificates in
    between, except those that the list in the file *crl* revokes.
    """
    return _get_builder().domain(
        host, attach, accesslog=accesslog, accesslog_format=accesslog_format, **tls
    )


def route(
    path: str,
    *,
    domain: str | DomainHandle | None = None,
    methods: Sequence[str] | None = None,
    **keywords: Unpack[RouteKeywords],
) -> Callable[[F], F]:
    """Have the decorated function handle requests for *path*. See `route()` of a domain.

    *domain* may be omitted if there is only one.
    """
    builder = _get_builder()
    # Checked here: without its parentheses, the decorator would never be called.
    if callable(path):
        raise TypeError('path must be str, not a function: write @kore.route("/") above it')
    arguments.check_text(path, "path")

    def decorate(handler: F) -> F:
        builder.route(path, handler, methods=methods, domain=domain, **keywords)
        return handler

    return decorate


def prerequest(function: P) -> P:
    """Call *function*, async or not, with each request before its handler; False stops it.

    A decorator. Several are called in the order of their registration. A function that returns
    False sends the response itself.
    """
    _get_builder().prerequest(function)
    return function


def dbsetup(name: str, connstring: str) -> bool:
    """Name the PostgreSQL database of a connection string, for `dbquery()` and the like.

    *connstring* is one of libpq: `"host=/run/postgresql dbname=shop"`, or a URI. When called in a
    worker the name is known to that worker only; call it in `koreapp.workerstart()` for all.
    """
    worker = _context.current.worker
    if worker is None:
        _get_builder().database(name, connstring)
    else:
        worker.databases.register(name, connstring)
    return True


register_database = dbsetup


# What runs


def tracer(callback: Tracer) -> bool:
    """Call *callback* with type, value and traceback of each uncaught exception."""
    if not callable(callback):
        raise KoreError("object not callable")
    owner = _context.current.worker or _get_builder()
    if owner.tracer is not None:
        raise KoreError("tracer already set")
    owner.tracer = callback
    return True


# Between workers


def sendobj(obj: object, worker: int | None = None) -> None:
    """Send an object to `koreapp.onmsg` of worker number *worker*, or of all, this one included.

    It arrives as an equal object of the same type, made of None, bool, int, float, str, bytes,
    list, tuple, dict, set, frozenset, datetime, date, time and timedelta; other classes need
    `worker_message_pickle`.

    It never waits. Raises errors.BusyError if a worker has not handled enough of what was sent
    before, and sends to none then; TypeError for an object that cannot be sent; ValueError for one
    that is too large, nested too deep or part of itself, or for a worker that does not exist.
    """
    _context.require_worker().objects.send(obj, worker)


async def sendobj_drained(worker: int | None = None) -> None:
    """Wait until objects sent from here have been handled: all, or those to one worker.

    Objects to a worker that has ended count as handled; the log says how many were lost.
    """
    await _context.require_worker().objects.drain(worker)


# This process and its server


def worker() -> int | None:
    """Return the number of this worker, from 1 on, or None in other processes."""
    return None if _context.current.worker is None else _context.current.worker.number


def log(priority: int, message: str) -> bool:
    """Write a line to the server's log, with one of the LOG_ priorities."""
    exact = operator.index(priority) & PRIORITY_MASK
    text = arguments.check_type(message, str, "message")
    logging.getLogger("kore").log(LEVELS[exact], "%s", text, extra={"priority": exact})
    return True


def time() -> int:
    """Return the milliseconds of a clock that never goes back; it is not the time of day."""
    return monotonic_ns() // 1_000_000


def websocket_broadcast(
    src: Any,
    op: int,
    data: Any,
    scope: int = WEBSOCKET_BROADCAST_LOCAL,
    *,
    group: str | None = None,
) -> bool:
    """Send a message to all WebSockets but *src*: of this worker, or with GLOBAL of all workers.

    *group* addresses those that have joined it with `conn.join()`. Clients that do not read are
    disconnected, see `websocket_buffer_max`. Raises TypeError for another op or other data,
    ValueError for a text that is not UTF-8, RuntimeError in another thread. GLOBAL goes to all
    workers or to none: raises BusyError if one of them has too much to handle, TooLargeError above
    `worker_message_max`.
    """
    _context.require_worker().websockets.broadcast(src, op, data, scope, group)
    return True


def fatal(reason: str) -> NoReturn:
    """End this worker, with the reason in the log; the parent replaces it.

    Before the start: the server does not start.
    """
    if _context.current.worker is None:
        raise Fatal(arguments.check_type(reason, str, "reason"))
    _context.current.worker.fatal(arguments.check_type(reason, str, "reason"))


def fatalx(reason: str) -> NoReturn:
    """End the whole server, with the reason in the log and status 1."""
    if _context.current.worker is None:
        raise Fatal(arguments.check_type(reason, str, "reason"))
    _context.current.worker.fatalx(arguments.check_type(reason, str, "reason"))


def shutdown() -> bool:
    """Stop the whole server gracefully: accepted requests get their responses first."""
    if _context.current.worker is None:
        raise Fatal("kore_shutdown: called from parent")
    _context.current.worker.shutdown()
    return True


def blocking() -> AbstractContextManager[None]:
    """Return a context manager for code that blocks the event loop on purpose.

    While its block runs, this worker is not reported as stuck, nor replaced after
    `worker_stuck_timeout`. Its other clients wait all the same.
    """
    worker = _context.current.worker
    return nullcontext() if worker is None else worker.heartbeat.blocking()


def sigtrap(number: int) -> None:
    """Call the `signal` hook for a signal: in this worker; before the start, in all.

    Raises ValueError if there is no such signal or it cannot be caught.
    """
    number = operator.index(number)
    if number not in signal.valid_signals() or number in UNTRAPPABLE:
        raise ValueError(f"signal {number} cannot be trapped")
    (_context.current.worker or _get_builder()).trap(number)


def app(*value: object) -> Any:
    """Keep an object for the application, `app(obj)`, or return the kept one, `app()`."""
    if len(value) != 1:
        return _context.current.app
    _context.current.app = value[0]
    return True


def setname(name: str) -> None:
    """Set the name that process titles begin with; in a worker, that of its own title."""
    (_context.current.worker or _get_builder()).rename(name)
