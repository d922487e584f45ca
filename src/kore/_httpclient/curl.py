"""`kore.curl()`: a transfer with any options of libcurl."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kore._httpclient import curlopts
from kore._httpclient.lazy import LazyAwaitable
from kore._httpclient.options import IDLE, POINTER, Setting, checked
from kore._httpclient.prepared import INFILESIZE, POSTSIZE, PreparedRequest, common, counted
from kore._httpclient.urls import checked_url
from kore.errors import ClientTypeError, KoreError

if TYPE_CHECKING:
    from kore._httpclient.transfer import Transfer


class CurlHandle:
    """A transfer that is described option by option, then run as often as you like.

    Only http and https, unless CURLOPT_PROTOCOLS allows others.
    """

    def __init__(self, url: str, exchange: Callable[[PreparedRequest], "Transfer"]) -> None:
        self._exchange = exchange
        self._settings = common(checked_url(url))
        self._own: list[Setting] = []
        self._body: bytes | None = None

    def setopt(self, option: int, value: object) -> bool:
        """Set an option by its CURLOPT_ number.

        KoreError: there is none of that number, or it cannot be set. ClientTypeError: it takes
        something else.
        """
        if type(option) is not int:
            raise ClientTypeError(f"option must be one of CURLOPT_, not {option!r}")
        setting = checked(option, value)
        if setting[0] - POINTER not in IDLE:
            self._own.append(setting)
        return True

    def setbody(self, body: bytes) -> bool:
        """Set what is sent: with PUT, unless CURLOPT_POST or CURLOPT_CUSTOMREQUEST says otherwise.

        KoreError: it has been set before.
        """
        if not isinstance(body, (bytes, bytearray, memoryview)):
            raise ClientTypeError("curl.setbody expects bytes")
        if self._body is not None:
            raise KoreError("curl handle already has body attached")
        self._body = bytes(body)
        return True

    def run(self) -> LazyAwaitable[bytes]:
        """Run the transfer and return the body of the answer, whatever its status."""
        settings = list(self._settings)
        if self._body is not None:
            size = len(self._body)
            settings += [(curlopts.CURLOPT_UPLOAD, 1), (INFILESIZE, size), (POSTSIZE, size)]
        plan = PreparedRequest(
            [*settings, *self._own],
            "request failed",
            body=self._body,
            counted=counted(self._own),
        )
        return LazyAwaitable(partial(self._perform, plan))

    async def _perform(self, plan: PreparedRequest) -> bytes:
        return (await self._exchange(plan).perform())[1]
