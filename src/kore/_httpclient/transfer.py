"""One transfer: a request and its response on an easy handle of libcurl, used once.

A new handle costs 2 us more than one that is used again, and cannot carry anything over from one
request to the next: no header field, no password, no cookie.
"""

import os
import socket
from asyncio import Future
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any, Final

import pycurl

from kore._httpclient import curlopts
from kore._httpclient.body_receiver import WRITE_ERROR, LimitedBuffer, ResponseSink
from kore._httpclient.codings import BodyDecoder
from kore._httpclient.fields import is_head_complete, parse_status
from kore._httpclient.options import OPTIONS, POINTER, Setting
from kore._httpclient.prepared import (
    ABSTRACT_UNIX_SOCKET,
    COOKIEFILE,
    EXPECT_CONTINUE,
    HTTPHEADER,
    INFILESIZE,
    POSTFIELDSIZE,
    UNIX_SOCKET_PATH,
    PreparedRequest,
    get_field_lines,
)
from kore._httpclient.transfers import Curl, Outcome, Transfers
from kore._httpclient.upload import Upload
from kore.errors import ClientError

# More would not fit libcurl's milliseconds.
TIMEOUT_SECONDS_MAX: Final = 2_147_483
# Bytes read at a time from the socket of a stream that libcurl decodes. While the reader is behind,
# libcurl keeps all that they decode to, which may be a thousand times as much, up to 64 MiB.
COMPRESSED_READ_SIZE: Final = 16 * 1024
HEAD_TRUNCATED: Final = "the peer closed the connection within the head of its response"
BODY_NOT_REPEATABLE: Final = (
    "the body has to be sent again, and is an iterator of which more has gone than was kept: "
    "give the body as bytes, or ask the address that does not redirect"
)
TOO_LARGE: Final = "Failure writing output to destination: more than curl_recv_max, {} bytes"


EXPECTATION_FAILED: Final = 417
# A part of a compressed body has no end of its own (RFC 9110 section 15.3.7).
PARTIAL_CONTENT: Final = 206
# Options that announce the length of a body that is read piece by piece.
BODY_SIZE_OPTIONS: Final = frozenset({INFILESIZE, POSTFIELDSIZE, curlopts.CURLOPT_INFILESIZE})


class Transfer:
    """A request and what has been received of its response."""

    # The future of the outcome is not kept: once cancelled, its traceback would refer to this.
    __slots__ = (
        "_buffer",
        "_decoder",
        "_expects_continue",
        "_is_refused",
        "_source",
        "_transfers",
        "chunks",
        "curl",
        "lines",
        "request",
        "upload",
    )

    def __init__(self, request: PreparedRequest, transfers: Transfers) -> None:
        self.request = request
        self._transfers = transfers
        self._buffer: LimitedBuffer | None = None
        self._decoder: BodyDecoder | None = None
        self._source: BytesIO | None = None
        # The request has `Expect: 100-continue`; the response to it was 417.
        self._expects_continue = request.expects_continue
        self._is_refused = False
        self.chunks: list[bytes] = []
        self.lines: list[bytes] = []
        self.curl: Curl = pycurl.Curl()
        self.upload: Upload | None = None

    # ---- start

    def start(self, sink: ResponseSink | None = None) -> "Future[Outcome]":
        """Set all options and start the transfer; return the future of its outcome.

        Raises ClientError if libcurl refuses an option.
        """
        request, setopt = self.request, self.curl.setopt
        if sink is not None:
            self.lines = sink.lines
        if request.decodes_here:
            self._decoder = BodyDecoder(self.lines)
        self._set_limits(setopt)
        # By default libcurl would read a body from the server's standard input.
        setopt(pycurl.READFUNCTION, _read_nothing)
        add_line: Callable[[bytes], Any] = self.lines.append
        if sink is not None:
            sink.decoder = self._decoder
            add_line = sink.header
            setopt(pycurl.WRITEFUNCTION, sink.write)
        setopt(
            pycurl.HEADERFUNCTION,
            partial(self._on_header, add_line) if request.expects_continue else add_line,
        )
        if request.cookie_jar is not None:
            setopt(pycurl.SHARE, request.cookie_jar.get_share())
            setopt(COOKIEFILE, b"")
        _apply_settings(self.curl, request.settings, request.error_prefix)
        if sink is not None and request.counts_size:
            setopt(pycurl.BUFFERSIZE, COMPRESSED_READ_SIZE)
        self._set_body(setopt)
        try:
            retry = self._retry if request.expects_continue else None
            outcome = self._transfers.start(self.curl, retry)
        except pycurl.error as error:
            raise _make_error(request, *error.args) from None
        if self.upload is not None:
            self.upload.start(outcome)
        return outcome

    def _set_body(self, setopt: Callable[[int, Any], None]) -> None:
        request = self.request
        if isinstance(request.body, bytes):
            self._source = source = BytesIO(request.body)
            setopt(pycurl.READFUNCTION, source.read)
            setopt(pycurl.SEEKFUNCTION, lambda *where: source.seek(*where) and 0)
        elif request.body is not None:
            sizes = (size for key, size in request.settings[::-1] if key in BODY_SIZE_OPTIONS)
            self.upload = Upload(request, next(sizes, None), self.curl, self._transfers)
            setopt(pycurl.READFUNCTION, self.upload.read)
            setopt(pycurl.SEEKFUNCTION, self.upload.seek)

    def _set_limits(self, setopt: Callable[[int, Any], None]) -> None:
        request, limits = self.request, self._transfers.limits
        seconds = min(limits.timeout, TIMEOUT_SECONDS_MAX)
        if request.timeout_ms is not None:
            setopt(pycurl.TIMEOUT_MS, request.timeout_ms)
        elif request.is_streamed:  # no limit in all, but for connecting and for silence
            setopt(pycurl.CONNECTTIMEOUT, seconds)
            setopt(pycurl.LOW_SPEED_LIMIT, 1)
            setopt(pycurl.LOW_SPEED_TIME, seconds)
        else:
            setopt(pycurl.TIMEOUT, seconds)
        if request.is_streamed:
            return
        if request.counts_size or not limits.recv_max:
            self._buffer = LimitedBuffer(self.chunks, limits.recv_max, self._decoder)
            setopt(pycurl.WRITEFUNCTION, self._buffer.write)
        else:
            setopt(pycurl.MAXFILESIZE_LARGE, limits.recv_max)
            setopt(pycurl.WRITEFUNCTION, self.chunks.append)

    def _on_header(self, add_line: Callable[[bytes], Any], line: bytes) -> Any:
        """Add a line of a head, or end the transfer if the response is 417."""
        is_status_line = self._expects_continue and line.startswith(b"HTTP/")
        if is_status_line and parse_status(line) == EXPECTATION_FAILED:
            self._is_refused = True
            return WRITE_ERROR
        return add_line(line)

    def _retry(self) -> bool:
        """After a 417, prepare the request without `Expect` (RFC 9110 section 10.1.1).

        libcurl would repeat a field that the application has set. Returns whether to run it.
        """
        if not self._is_refused or not self._rewind():
            return False
        self._is_refused = self._expects_continue = False
        self.lines.clear()
        lines = get_field_lines(self.request.settings)
        others = [line for line in lines if not EXPECT_CONTINUE.fullmatch(line)]
        self.curl.setopt(HTTPHEADER, [*others, b"expect:"])
        return True

    def _rewind(self) -> bool:
        if self._source is not None:
            self._source.seek(0)
        return self.upload is None or self.upload.seek(0, os.SEEK_SET) == pycurl.SEEKFUNC_OK

    # ---- outcome

    async def perform(self) -> tuple[int, bytes]:
        """Run the transfer; return status and body. Raises ClientError if it fails."""
        try:
            self.check(await self.start())
            return self.get_status(), b"".join(self.chunks)
        finally:
            self.end()

    def check(self, outcome: Outcome) -> None:
        """Raise ClientError if a transfer with this outcome has failed, or its response is cut."""
        code, reason = outcome
        if self._decoder is not None:
            if code == 0 and self.get_status() != PARTIAL_CONTENT:
                self._decoder.check_end()
            if self._decoder.problem:
                raise _make_error(
                    self.request, pycurl.E_BAD_CONTENT_ENCODING, self._decoder.problem
                )
        if code == pycurl.E_SEND_FAIL_REWIND or self._is_refused:
            raise _make_error(self.request, pycurl.E_SEND_FAIL_REWIND, BODY_NOT_REPEATABLE)
        if code == 0:
            if is_head_complete(self.lines):
                return
            # libcurl accepts a head that ends early.
            raise _make_error(self.request, pycurl.E_RECV_ERROR, HEAD_TRUNCATED)
        limit = self._transfers.limits.recv_max
        is_full = self._buffer is not None and self._buffer.room < 0
        if is_full or (code == pycurl.E_FILESIZE_EXCEEDED and self._buffer is None):
            code, reason = pycurl.E_WRITE_ERROR, TOO_LARGE.format(limit)
        raise _make_error(self.request, code, reason)

    def get_status(self) -> int:
        """Return the status of the response, 0 if there is none yet."""
        return int(self.curl.getinfo(pycurl.RESPONSE_CODE))

    def resume(self, directions: int) -> None:
        """Resume a transfer that a callback has paused; *directions* as for curl_easy_pause()."""
        self._transfers.resume(self.curl, directions)

    def end_soon(self) -> None:
        """Call `end()` from the event loop; for finalizers, which run in any thread."""
        self._transfers.call_soon(self.end)

    def end(self) -> None:
        """End the transfer if it runs, and free the handle."""
        if self.upload is not None:
            self.upload.stop()
        self._transfers.abort(self.curl)
        # Breaks the reference cycle between the handle and its callbacks.
        self.curl.close()


def _make_error(request: PreparedRequest, code: int, reason: str) -> ClientError:
    """Return the error of a failed request; without a *reason*, libcurl's text for the code."""
    return ClientError(f"{request.error_prefix}: {reason or pycurl.easy_strerror(code)}", code)


def _read_nothing(_: int) -> bytes:
    """Return an empty body to libcurl."""
    return b""


def _apply_settings(curl: Curl, settings: list[Setting], error_prefix: str) -> None:
    """Set options in order. Raises ClientError that names the option if libcurl refuses it."""
    for number, value in settings:
        if number == ABSTRACT_UNIX_SOCKET:
            _use_abstract_socket(curl, value)
            continue
        try:
            curl.setopt(number, value)
        except pycurl.error as error:
            option = OPTIONS.get(number % POINTER)
            name = option.name if option else str(number)
            raise ClientError(
                f"{error_prefix}: option '{name}': {error.args[1]}", error.args[0]
            ) from None


def _use_abstract_socket(curl: Curl, name: bytes) -> None:
    """Connect to an abstract Unix socket, for which pycurl has no option.

    libcurl is told of an ordinary Unix socket with this name, so that it does not share the
    connection with other targets, and gets a socket that is connected already.
    """

    def open_connected(_: int, __: object) -> Any:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(b"\0" + name)
        except OSError:
            sock.close()
            return pycurl.SOCKET_BAD
        return sock.detach()

    curl.setopt(UNIX_SOCKET_PATH, b"@" + name)
    curl.setopt(pycurl.OPENSOCKETFUNCTION, open_connected)
    curl.setopt(pycurl.SOCKOPTFUNCTION, lambda _, __: pycurl.SOCKOPT_ALREADY_CONNECTED)
