"""What `import kore` has of the HTTP client: finds the transfers of this process."""

from asyncio import get_running_loop
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Unpack

from kore import _context
from kore._conf.settings import Settings
from kore._httpclient.client import ClientKeywords, HttpClient
from kore._httpclient.curl import CurlHandle
from kore.errors import KoreError

if TYPE_CHECKING:
    from kore._httpclient.prepared import PreparedRequest
    from kore._httpclient.transfer import Transfer
    from kore._httpclient.transfers import TransferLimits

# Connections a worker keeps, as in C Kore, if its descriptors allow; and those for all else.
CONNECTIONS: Final = 500
FEWEST: Final = 64
OTHERS: Final = 56


def httpclient(url: str, **keywords: Unpack[ClientKeywords]) -> HttpClient:
    """Return a client for *url*. It can be made anywhere, on import too; used where a loop runs.

    *tlscert* and *tlskey*: files of the certificate to show. *tlsverify=False*: take any peer for
    the right one. *cabundle*: a file of those who vouch for the peer. *unix*: the path of a socket,
    `@name` of an abstract one. *curlopt*: options of libcurl. *cookies=True*: keep cookies.
    """
    return HttpClient(url, exchange, keywords)


def curl(url: str) -> CurlHandle:
    """Return a transfer to be described by `setopt()` and `setbody()`, and run by `run()`."""
    return CurlHandle(url, exchange)


def exchange(plan: "PreparedRequest") -> "Transfer":
    """Return a request on its way over the running loop's connections."""
    made: Transfer = library("transfer").Transfer(
        plan, library("transfers").transfers_of(get_running_loop(), limits)
    )
    return made


@cache
def library(name: str) -> Any:
    """Return what needs libcurl: a worker that never asks for anything does not load it."""
    try:
        return import_module(f"kore._httpclient.{name}")
    except ImportError as error:
        raise KoreError(f"the HTTP client needs pycurl, which cannot be used: {error}") from error


def limits() -> "TransferLimits":
    """Return what holds here: a worker's settings, or the defaults in any other program."""
    worker = _context.current.worker
    settings = Settings() if worker is None else worker.config.settings
    connections = CONNECTIONS
    if worker is not None:
        clients = settings.worker_max_connections * (1 + bool(settings.http_body_disk_offload))
        free = settings.worker_rlimit_nofiles - clients - OTHERS
        connections = max(FEWEST, min(CONNECTIONS, free))
    made: TransferLimits = library("transfers").TransferLimits(
        settings.curl_timeout, settings.curl_recv_max, connections
    )
    return made
