"""`kore.curl()`: a transfer with any options of libcurl."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kore._httpclient import curlopts
from kore._httpclient.lazy import LazyAwaitable
from kore._httpclient.options import IGNORED, POINTER, Setting, check_option
from kore._httpclient.prepared import (
    INFILESIZE,
    POSTFIELDSIZE,
    PreparedRequest,
    build_common_settings,
    needs_counting,
)
from kore._httpclient.urls import check_url
from kore.errors import ClientTypeError, KoreError

if TYPE_CHECKING:
    from kore._httpclient.transfer import Transfer


class CurlHandle:
    """A transfer with options that are set one by one; it may be run several times.

    Only http and https are allowed, unless CURLOPT_PROTOCOLS allows other protocols.
    """

    def __init__(self, url: str, create_transfer: Callable[[PreparedRequest], "Transfer"]) -> None:
        self._create_transfer = create_transfer
        self._settings = build_common_settings(check_url(url))
        self._options: list[Setting] = []
        self._body: bytes | None = None

    def setopt(self, option: int, value: object) -> bool:
        """Set an option by its CURLOPT_ number.

        Raises KoreError if there is no such option or it cannot be set, ClientTypeError if the
        value has the wrong type, ValueError if the value is not allowed.
        """
        if type(option) is not int:
            raise ClientTypeError(f"option must be one of CURLOPT_, not {option!r}")
        setting = check_option(option, value)
        if setting[0] - POINTER not in IGNORED:
            self._options.append(setting)
        return True

    def setbody(self, body: bytes) -> bool:
        """Set the body to send: with PUT, unless CURLOPT_POST or CURLOPT_CUSTOMREQUEST is set.

        Raises KoreError if the body has been set before, ClientTypeError if it is not bytes.
        """
        if not isinstance(body, (bytes, bytearray, memoryview)):
            raise ClientTypeError("curl.setbody expects bytes")
        if self._body is not None:
            raise KoreError("curl handle already has body attached")
        self._body = bytes(body)
        return True

    def run(self) -> LazyAwaitable[bytes]:
        """Run the transfer and return the body of the response, of any status."""
        settings = list(self._settings)
        if self._body is not None:
            size = len(self._body)
            settings += [(curlopts.CURLOPT_UPLOAD, 1), (INFILESIZE, size), (POSTFIELDSIZE, size)]
        request = PreparedRequest(
            [*settings, *self._options],
            "request failed",
            body=self._body,
            counts_size=needs_counting(self._options),
        )
        return LazyAwaitable(partial(self._perform, request))

    async def _perform(self, request: PreparedRequest) -> bytes:
        return (await self._create_transfer(request).perform())[1]
