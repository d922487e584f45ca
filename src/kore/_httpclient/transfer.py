"""One request on its way: an easy handle, made and thrown away.

A new handle costs 2 us more than one that is used again, and can carry nothing over from one
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
from kore._httpclient.codings import BodyDecoder
from kore._httpclient.fields import status_of, whole
from kore._httpclient.options import OPTIONS, POINTER, Setting
from kore._httpclient.prepared import (
    ABSTRACT,
    COOKIEFILE,
    EXPECTS,
    HTTPHEADER,
    INFILESIZE,
    POSTSIZE,
    UNIX,
    PreparedRequest,
    fields_of,
)
from kore._httpclient.stream import ResponseSink
from kore._httpclient.transfers import Curl, Outcome, Transfers
from kore._httpclient.upload import Upload
from kore.errors import ClientError

# More would not fit libcurl's milliseconds.
SECONDS_MAX: Final = 2_147_483
# So much is read at a time of what is unpacked into a stream. When its reader waits libcurl keeps
# all of what that makes, which may be a thousand times as much, and has a limit of 64 MiB.
PACKED: Final = 16 * 1024
CUT: Final = "the peer closed the connection within the head of its answer"
SENT_ALREADY: Final = (
    "the body has to be sent again, and is an iterator of which more has gone than was kept: "
    "give the body as bytes, or ask the address that does not redirect"
)
TOO_LARGE: Final = "Failure writing output to destination: more than curl_recv_max, {} bytes"


EXPECTATION_FAILED: Final = 417
# A part of a compressed body has no end of its own (RFC 9110 section 15.3.7).
PARTIAL_CONTENT: Final = 206
# What may be announced as the length of a body that is read piece by piece.
SIZES: Final = frozenset({INFILESIZE, POSTSIZE, curlopts.CURLOPT_INFILESIZE})


class LimitedBuffer:
    """Takes what comes, up to a limit. libcurl counts what arrives, not what it unpacks."""

    def __init__(self, chunks: list[bytes], limit: int, decoder: BodyDecoder | None) -> None:
        self.chunks = chunks
        self.left = limit
        self.decoder = decoder

    def write(self, data: bytes) -> int:
        """Take a piece; -1 ends the transfer."""
        taken = len(data)
        if self.decoder is not None:
            decoded = self.decoder.decode(data, self.left + 1)
            if decoded is None:
                return -1
            data = decoded
        self.left -= len(data)
        if self.left < 0:
            return -1
        self.chunks.append(data)
        return taken


class Transfer:
    """A request on its way, and what has come of its answer."""

    # Not the future: when it is cancelled, it holds the traceback that leads to here.
    __slots__ = ("_counter", "_decoder", "_expects", "_refused", "_source", "_transfers", "chunks",
                 "curl", "lines", "plan", "upload")

    def __init__(self, plan: PreparedRequest, transfers: Transfers) -> None:
        self.plan = plan
        self._transfers = transfers
        self._counter: LimitedBuffer | None = None
        self._decoder: BodyDecoder | None = None
        self._source: BytesIO | None = None
        # Whether the peer is asked for permission to send the body, and has refused to say (417).
        self._expects = plan.expects
        self._refused = False
        self.chunks: list[bytes] = []
        self.lines: list[bytes] = []
        self.curl: Curl = pycurl.Curl()
        self.upload: Upload | None = None

    # ---- before it begins

    def begin(self, sink: ResponseSink | None = None) -> "Future[Outcome]":
        """Set everything, start, return what will have the outcome.

        ClientError: libcurl refuses a setting.
        """
        plan, setopt = self.plan, self.curl.setopt
        if sink is not None:
            self.lines = sink.lines
        if plan.decoded:
            self._decoder = BodyDecoder(self.lines)
        self._limit(setopt)
        # Without it libcurl would read from the server's standard input.
        setopt(pycurl.READFUNCTION, nothing)
        take_line: Callable[[bytes], Any] = self.lines.append
        if sink is not None:
            sink.decoder = self._decoder
            take_line = sink.header
            setopt(pycurl.WRITEFUNCTION, sink.write)
        setopt(
            pycurl.HEADERFUNCTION,
            partial(self._take_line, take_line) if plan.expects else take_line,
        )
        if plan.jar is not None:
            setopt(pycurl.SHARE, plan.jar.share())
            setopt(COOKIEFILE, b"")
        apply(self.curl, plan.settings, plan.place)
        if sink is not None and plan.counted:
            setopt(pycurl.BUFFERSIZE, PACKED)
        self._set_body(setopt)
        try:
            future = self._transfers.start(self.curl, self._retry if plan.expects else None)
        except pycurl.error as error:
            raise failure(plan, *error.args) from None
        if self.upload is not None:
            self.upload.begin(future)
        return future

    def _set_body(self, setopt: Callable[[int, Any], None]) -> None:
        plan = self.plan
        if isinstance(plan.body, bytes):
            self._source = source = BytesIO(plan.body)
            setopt(pycurl.READFUNCTION, source.read)
            setopt(pycurl.SEEKFUNCTION, lambda *where: source.seek(*where) and 0)
        elif plan.body is not None:
            size = next((size for number, size in plan.settings[::-1] if number in SIZES), None)
            self.upload = Upload(plan, size, self.curl, self._transfers)
            setopt(pycurl.READFUNCTION, self.upload.read)
            setopt(pycurl.SEEKFUNCTION, self.upload.seek)

    def _limit(self, setopt: Callable[[int, Any], None]) -> None:
        plan, limits = self.plan, self._transfers.limits
        seconds = min(limits.timeout, SECONDS_MAX)
        if plan.timeout is not None:
            setopt(pycurl.TIMEOUT_MS, plan.timeout)
        elif plan.streamed:  # it may take any time, as long as something happens
            setopt(pycurl.CONNECTTIMEOUT, seconds)
            setopt(pycurl.LOW_SPEED_LIMIT, 1)
            setopt(pycurl.LOW_SPEED_TIME, seconds)
        else:
            setopt(pycurl.TIMEOUT, seconds)
        if plan.streamed:
            return
        if plan.counted or not limits.recv_max:
            self._counter = LimitedBuffer(self.chunks, limits.recv_max, self._decoder)
            setopt(pycurl.WRITEFUNCTION, self._counter.write)
        else:
            setopt(pycurl.MAXFILESIZE_LARGE, limits.recv_max)
            setopt(pycurl.WRITEFUNCTION, self.chunks.append)

    def _take_line(self, take: Callable[[bytes], Any], line: bytes) -> Any:
        """Take a line of a head, or end the transfer when its expectation is refused."""
        if self._expects and line.startswith(b"HTTP/") and status_of(line) == EXPECTATION_FAILED:
            self._refused = True
            return -1
        return take(line)

    def _retry(self) -> bool:
        """Prepare the request without its expectation (RFC 9110 section 10.1.1).

        libcurl would repeat a field that an application has set.
        """
        if not self._refused or not self._rewind():
            return False
        self._refused = self._expects = False
        self.lines.clear()
        kept = [line for line in fields_of(self.plan.settings) if not EXPECTS.fullmatch(line)]
        self.curl.setopt(HTTPHEADER, [*kept, b"expect:"])
        return True

    def _rewind(self) -> bool:
        if self._source is not None:
            self._source.seek(0)
        return self.upload is None or self.upload.seek(0, os.SEEK_SET) == pycurl.SEEKFUNC_OK

    # ---- afterwards

    async def perform(self) -> tuple[int, bytes]:
        """Return status and body. ClientError: there is no answer, and why."""
        try:
            self.check(await self.begin())
            return self.status(), b"".join(self.chunks)
        finally:
            self.end()

    def check(self, outcome: Outcome) -> None:
        """Raise what went wrong, if anything did."""
        code, reason = outcome
        if self._decoder is not None:
            if code == 0 and self.status() != PARTIAL_CONTENT:
                self._decoder.check_end()
            if self._decoder.problem:
                raise failure(self.plan, pycurl.E_BAD_CONTENT_ENCODING, self._decoder.problem)
        if code == pycurl.E_SEND_FAIL_REWIND or self._refused:
            raise failure(self.plan, pycurl.E_SEND_FAIL_REWIND, SENT_ALREADY)
        if code == 0:
            if whole(self.lines):
                return
            # To libcurl that is an answer.
            raise failure(self.plan, pycurl.E_RECV_ERROR, CUT)
        limit = self._transfers.limits.recv_max
        full = self._counter is not None and self._counter.left < 0
        if full or (code == pycurl.E_FILESIZE_EXCEEDED and self._counter is None):
            code, reason = pycurl.E_WRITE_ERROR, TOO_LARGE.format(limit)
        raise failure(self.plan, code, reason)

    def status(self) -> int:
        """Return the status of the answer, 0 if there is none yet."""
        return int(self.curl.getinfo(pycurl.RESPONSE_CODE))

    def go_on(self, what: int) -> None:
        """Let libcurl offer again what a callback did not take."""
        self._transfers.go_on(self.curl, what)

    def drop(self) -> None:
        """Do what `end()` does, soon."""
        self._transfers.drop(self.end)

    def end(self) -> None:
        """Let go of everything, whether it is over or not."""
        if self.upload is not None:
            self.upload.end()
        self._transfers.abort(self.curl)
        # Its callbacks point to what points to it.
        self.curl.close()


def failure(plan: PreparedRequest, code: int, reason: str) -> ClientError:
    """Return the error of a request that failed."""
    return ClientError(f"{plan.place}: {reason or pycurl.easy_strerror(code)}", code)


def nothing(_: int) -> bytes:
    """Return what a body without bytes consists of."""
    return b""


def apply(curl: Curl, settings: list[Setting], place: str) -> None:
    """Set everything. ClientError: libcurl refuses one, which is named."""
    for number, value in settings:
        if number == ABSTRACT:
            abstract(curl, value)
            continue
        try:
            curl.setopt(number, value)
        except pycurl.error as error:
            option = OPTIONS.get(number % POINTER)
            name = option.name if option else str(number)
            raise ClientError(f"{place}: option '{name}': {error.args[1]}", error.args[0]) from None


def abstract(curl: Curl, name: bytes) -> None:
    """Have connections go to an abstract Unix socket, for which pycurl has no option.

    To libcurl it is an ordinary Unix socket with this name, so that no other client is given such
    a connection. Only it is connected already when libcurl gets it.
    """

    def connected(_: int, __: object) -> Any:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            sock.connect(b"\0" + name)
        except OSError:
            sock.close()
            return pycurl.SOCKET_BAD
        return sock.detach()

    curl.setopt(UNIX, b"@" + name)
    curl.setopt(pycurl.OPENSOCKETFUNCTION, connected)
    curl.setopt(pycurl.SOCKOPTFUNCTION, lambda _, __: pycurl.SOCKOPT_ALREADY_CONNECTED)
