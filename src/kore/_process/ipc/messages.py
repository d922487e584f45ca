"""Messages between processes: a dataclass each. Pure.

`datagrams.py` encodes and decodes them; `tls_messages.py` has those about TLS. Nothing here
unpickles: the parent may be root, and reads what a child wrote.
"""

import enum
import json
import struct
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Final, Self

from kore._process.ipc.validation import FIELD_CHECKS
from kore.errors import KoreError

# Version, type, flags, destination, payload length, 4 reserved bytes. No source: the receiver knows
# it from the socket, and a sender could write anything.
HEADER: Final = struct.Struct("!BBHII4x")
VERSION: Final = 1
# Destination of all but routed messages: the process at the other end of the channel.
PEER: Final = 0
# Destination of a routed message to every worker.
ALL_WORKERS: Final = 0
# Well below what a unix socket takes as one datagram with the kernel's default buffers (208 KiB).
SIZE_MAX: Final = 128 * 1024
# A log line has one byte beside header and text, its priority.
TEXT_MAX: Final = SIZE_MAX - HEADER.size - 1
# A longer configuration is compressed, and may have so many bytes when it is read.
UNCOMPRESSED_MAX: Final = 64 * 1024
CONFIG_MAX: Final = 16 * 1024 * 1024
# The beginning of compressed data (RFC 1950). JSON begins with a brace.
COMPRESSED: Final = b"\x78"
# Bytes reserved for the note in the middle of a text that was cut.
CUT_NOTE_SIZE: Final = 64


class ProtocolError(KoreError):
    """A datagram that its receiver cannot accept."""


class MessageKind(enum.IntEnum):
    """What a routed message contains: the lowest byte of its flags."""

    OBJECT = 1
    BROADCAST = 2


# Send a message to ALL_WORKERS to its sender as well.
ECHO: Final = 0x100
# Acknowledges messages of this kind.
ACK: Final = 0x200
# Requests an acknowledgement as soon as earlier messages are processed.
ACK_REQUEST: Final = 0x400
KIND_MASK: Final = 0xFF
KNOWN_FLAGS: Final = KIND_MASK | ECHO | ACK | ACK_REQUEST


class Message:
    """Base class of all messages; `code` is the type in the header."""

    __slots__ = ()
    code: ClassVar[int]
    # Whether the message may be dropped, and counted, when the receiver is too slow.
    may_drop: ClassVar[bool] = False

    @property
    def descriptor_count(self) -> int:
        """How many descriptors travel beside the datagram."""
        return 0

    def header_fields(self) -> tuple[int, int]:
        """Return flags and destination for the header."""
        return 0, PEER

    def payload(self) -> bytes:
        """Return the fields as JSON, or nothing if there are none."""
        content = {f.name: getattr(self, f.name) for f in _payload_fields(type(self))}
        return json.dumps(content).encode() if content else b""

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Return the message that *payload* describes. Raises ProtocolError if it is invalid."""
        try:
            content = json.loads(payload) if payload else {}
        except (ValueError, RecursionError):
            raise ProtocolError(f"{cls.__name__} is not JSON") from None
        wanted = _payload_fields(cls)
        if type(content) is not dict or content.keys() != {f.name for f in wanted}:
            raise ProtocolError(f"{cls.__name__} has other fields")
        try:
            return cls(**{f.name: FIELD_CHECKS[f.type](content[f.name]) for f in wanted})
        except (ValueError, TypeError):
            raise ProtocolError(f"{cls.__name__} has a field of a wrong type") from None


@dataclass(frozen=True, slots=True)
class ConfigLoaded(Message):
    """Template to parent: the application is loaded, with the plain part of its configuration."""

    code: ClassVar[int] = 1
    plain: dict[str, Any]

    def payload(self) -> bytes:
        """Return the fields as JSON; compressed if there are many domains, whose paths repeat."""
        # Not super(): dataclasses with slots are created twice, and it would find the first.
        content = Message.payload(self)
        if len(content) <= UNCOMPRESSED_MAX:
            return content
        import zlib

        return zlib.compress(content, 1)

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Return the message that *payload* describes. Raises ProtocolError if it is invalid."""
        if payload.startswith(COMPRESSED):
            payload = _decompress(payload)
        # By its name, which is that of the second class: see payload().
        return super(ConfigLoaded, cls).read(payload)


@dataclass(frozen=True, slots=True)
class Fork(Message):
    """Parent to template: fork a worker.

    Its descriptors travel beside the datagram, in the order of their *names* (`descriptors.py`).
    """

    code: ClassVar[int] = 2
    number: int
    # Its slot of the scoreboard.
    slot: int
    names: tuple[str, ...]
    descriptors: tuple[int, ...] = ()

    @property
    def descriptor_count(self) -> int:
        """How many descriptors travel beside the datagram."""
        return len(self.names)

    @property
    def handed(self) -> dict[str, int]:
        """The descriptors by name."""
        return dict(zip(self.names, self.descriptors, strict=True))


@dataclass(frozen=True, slots=True)
class Forked(Message):
    """Template to parent: a worker runs, and is a child of the parent."""

    code: ClassVar[int] = 3
    number: int
    pid: int


@dataclass(frozen=True, slots=True)
class NotForked(Message):
    """Template to parent: a worker could not be forked."""

    code: ClassVar[int] = 4
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ready(Message):
    """Child to parent: it serves."""

    code: ClassVar[int] = 5


@dataclass(frozen=True, slots=True)
class Stop(Message):
    """Parent to child: stop, with *drain* after the requests in progress, else immediately.

    *patient*: other workers serve in its place, so idle connections may be kept until their
    clients close them. *accept*: no other worker has all of its listening sockets, so connections
    in their queues are accepted first.
    """

    code: ClassVar[int] = 6
    drain: bool
    patient: bool = False
    accept: bool = True


@dataclass(frozen=True, slots=True)
class Shutdown(Message):
    """Worker to parent: the application requests a shutdown of the server."""

    code: ClassVar[int] = 7


@dataclass(frozen=True, slots=True)
class LogLine(Message):
    """Child to parent: a record for the log, with a syslog priority."""

    code: ClassVar[int] = 8
    may_drop: ClassVar[bool] = True
    priority: int
    text: str
    # Further lines, such as a traceback; line ends in *text* are escaped.
    detail: str = ""

    def payload(self) -> bytes:
        """Return the priority as one byte, the text, and after a NUL the detail."""
        text = self.text.replace("\0", r"\x00")
        first = bytes([self.priority & 0xFF])
        if not self.detail:
            return first + _encode_text(text)
        detail = _encode_text(self.detail, TEXT_MAX // 2)
        return first + _encode_text(text, TEXT_MAX // 4) + b"\0" + detail

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Return the message that *payload* describes. Raises ProtocolError if it is empty."""
        if not payload:
            raise ProtocolError("LogLine is empty")
        text, _, detail = payload[1:].partition(b"\0")
        return cls(payload[0], text.decode("utf-8", "replace"), detail.decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class FatalError(Message):
    """Child to parent: the reason why it ends, and why the server cannot go on either."""

    code: ClassVar[int] = 9
    text: str

    def payload(self) -> bytes:
        """Return the text alone."""
        return _encode_text(self.text)

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Return the message that *payload* describes."""
        return cls(payload.decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Signal(Message):
    """Parent to worker: the server received this signal. For the application's signal hook."""

    code: ClassVar[int] = 10
    may_drop: ClassVar[bool] = True
    number: int


@dataclass(frozen=True, slots=True)
class Reopened(Message):
    """Parent to worker: write an access log to the descriptor that comes with this message.

    *number* is its index in `Config.accesslogs`.
    """

    code: ClassVar[int] = 11
    number: int
    descriptors: tuple[int, ...] = ()

    @property
    def descriptor_count(self) -> int:
        """How many descriptors travel beside the datagram."""
        return 1


@dataclass(frozen=True, slots=True)
class StartTimeout(Message):
    """Template to parent: how long loading the application may take; 0: no limit."""

    code: ClassVar[int] = 12
    seconds: int


@dataclass(slots=True)
class RoutedMessage(Message):
    """Worker to worker, through the parent, which reads only the header.

    *address* is a worker's number: on the way to the parent that of the receiver, or ALL_WORKERS;
    on the way from the parent that of the sender.
    """

    code: ClassVar[int] = 13
    address: int
    flags: int
    content: bytes | memoryview
    # The beginning of the content, if joining the two would copy a large one.
    head: bytes = b""

    def header_fields(self) -> tuple[int, int]:
        """Return flags and destination for the header."""
        return self.flags, self.address

    def payload(self) -> bytes:
        """Return the content."""
        return b"".join((self.head, self.content))


@dataclass(frozen=True, slots=True)
class WorkerExited(Message):
    """Parent to worker: another worker has ended, and messages on the way to it are lost.

    *absent*: it had ended earlier, and a message to all workers went to the others only. *pid*: the
    process that has just ended.
    """

    code: ClassVar[int] = 14
    number: int
    absent: bool = False
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Draining(Message):
    """Worker to parent: it received a signal to end, and accepts no more connections."""

    code: ClassVar[int] = 15


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """Template to parent, before anything else: the version of kore that it runs."""

    code: ClassVar[int] = 16
    version: str


def _decompress(data: bytes) -> bytes:
    """Return compressed data. Raises ProtocolError if it is malformed, or too much."""
    import zlib

    decompressor = zlib.decompressobj()
    try:
        content = decompressor.decompress(data, CONFIG_MAX)
    except zlib.error:
        raise ProtocolError("malformed compressed data") from None
    if not decompressor.eof:
        raise ProtocolError(f"compressed data is incomplete, or of more than {CONFIG_MAX} bytes")
    return content


def _payload_fields(message_type: type[Message]) -> list[Any]:
    """Return the fields that are part of the payload."""
    # fields() wants a dataclass type: all concrete messages are, their common base is not.
    return [f for f in fields(message_type) if f.name != "descriptors"]  # type: ignore[arg-type]


def _encode_text(text: str, limit: int = TEXT_MAX) -> bytes:
    """Return *text* as UTF-8; if it is longer than *limit* bytes, its middle is left out.

    The end of an exception's text matters as much as its start: there is what went wrong.
    """
    # A lone surrogate must not cost the whole line.
    encoded = text.encode("utf-8", "backslashreplace")
    if len(encoded) <= limit:
        return encoded
    kept = (limit - CUT_NOTE_SIZE) // 2
    # Half a character at a cut is left out.
    start, end = (part.decode("utf-8", "ignore") for part in (encoded[:kept], encoded[-kept:]))
    omitted = len(encoded) - len(start.encode()) - len(end.encode())
    return f"{start}\n[{omitted} bytes left out]\n{end}".encode()
