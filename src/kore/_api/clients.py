"""The HTTP client of `import kore`: `httpclient()` and `curl()`, on the running event loop."""

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

# Connections of a worker, as in C Kore; fewer, but at least the minimum, if its limit of
# descriptors is low. Other descriptors are for files, logs and pipes.
CONNECTIONS_MAX: Final = 500
CONNECTIONS_MIN: Final = 64
OTHER_DESCRIPTORS: Final = 56


def httpclient(url: str, **keywords: Unpack[ClientKeywords]) -> HttpClient:
    """Return a client for *url*. Create it anywhere, on import too; use it where a loop runs.

    *tlscert* and *tlskey*: files of the client certificate. *tlsverify=False*: accept any server
    certificate. *cabundle*: a file of the authorities to trust. *unix*: the path of a socket,
    `@name` of an abstract one. *curlopt*: options of libcurl. *cookies=True*: keep cookies.
    """
    return HttpClient(url, create_transfer, keywords)


def curl(url: str) -> CurlHandle:
    """Return a transfer for *url*, to set up by `setopt()` and `setbody()`, and to `run()`."""
    return CurlHandle(url, create_transfer)


def create_transfer(request: "PreparedRequest") -> "Transfer":
    """Return a transfer of a request on the running loop, not started yet."""
    transfers = _load_module("transfers").get_transfers(get_running_loop(), get_limits)
    transfer: Transfer = _load_module("transfer").Transfer(request, transfers)
    return transfer


@cache
def _load_module(name: str) -> Any:
    """Return a module that needs libcurl: a worker without requests does not load that.

    Raises KoreError if libcurl cannot be loaded.
    """
    try:
        return import_module(f"kore._httpclient.{name}")
    except ImportError as error:
        raise KoreError(f"the HTTP client needs pycurl, which cannot be used: {error}") from error


def get_limits() -> "TransferLimits":
    """Return the limits of the worker's settings; in other programs, the defaults."""
    worker = _context.current.worker
    settings = Settings() if worker is None else worker.config.settings
    connections = CONNECTIONS_MAX
    if worker is not None:
        clients = settings.worker_max_connections * (1 + bool(settings.http_body_disk_offload))
        free = settings.worker_rlimit_nofiles - clients - OTHER_DESCRIPTORS
        connections = max(CONNECTIONS_MIN, min(CONNECTIONS_MAX, free))
    limits: TransferLimits = _load_module("transfers").TransferLimits(
        settings.curl_timeout, settings.curl_recv_max, connections
    )
    return limits
