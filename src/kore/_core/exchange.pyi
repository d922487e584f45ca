"""One request and its response; see exchange.pyx."""

from kore._core.accesslog import AccessLog
from kore._core.protocol import Protocol
from kore._core.request_head import RequestHead

class HttpProtocol(Protocol):
    """What carries exchanges."""

class Exchange(RequestHead):
    """A request, its response, and the state of both."""

    access_log: AccessLog | None
    @property
    def host_key(self) -> str | tuple[str, str, bool]: ...
    @property
    def answered(self) -> bool: ...
    @property
    def status(self) -> int: ...
