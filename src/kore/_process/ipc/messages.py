"""What processes say to each other: a dataclass each, encode and decode. Pure.

A datagram is a header of 16 bytes and a payload: JSON for what has a structure, plain bytes for
text. Nothing here ever unpickles: the parent may be root, and reads what a child wrote.
"""

import enum
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, Final, Self

from kore._process.ipc.validation import CHECKS
from kore.errors import KoreError

# Version, type, flags, destination, length, sequence. No source: whoever receives knows it from
# the socket, and a sender could write anything.
HEADER: Final = struct.Struct("!BBHIII")
VERSION: Final = 1
# The process at the other end of the channel.
PEER: Final = 0
# Of a parcel: every worker.
ALL: Final = 0
# Well below what a unix socket takes as one datagram with the kernel's default buffers (208 KiB).
SIZE_MAX: Final = 128 * 1024
# A text's: beside the header there is one more byte.
TEXT_MAX: Final = SIZE_MAX - HEADER.size - 1
# For the note in the middle of a text that was too long.
NOTE_ROOM: Final = 64


class ProtocolError(KoreError):
    """A datagram that its receiver cannot accept."""


class MessageKind(enum.IntEnum):
    """What is in a parcel: the lowest byte of its flags."""

    OBJECT = 1
    BROADCAST = 2


# To every worker, and to the sender itself.
ECHO: Final = 0x100
# Not a parcel of that kind, but word from its receiver that such were handled.
RECEIPT: Final = 0x200
# Not a parcel either, but the wish for such word as soon as there is nothing before it.
ASK: Final = 0x400
KIND: Final = 0xFF
FLAGS: Final = KIND | ECHO | RECEIPT | ASK


class Message:
    """One thing to say. A class per kind; `code` is its type in the header."""

    __slots__ = ()
    code: ClassVar[int]
    # May be left out, and counted, when the receiver is too slow.
    may_drop: ClassVar[bool] = False

    def label(self) -> tuple[int, int]:
        """Return flags and destination for the header."""
        return 0, PEER

    def payload(self) -> bytes:
        """Return the fields as JSON, or nothing where there are none."""
        content = {f.name: getattr(self, f.name) for f in carried(type(self))}
        return json.dumps(content).encode() if content else b""

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Return the message that *payload* describes."""
        try:
            content = json.loads(payload) if payload else {}
        except (ValueError, RecursionError):
            raise ProtocolError(f"{cls.__name__} is not JSON") from None
        wanted = carried(cls)
        if type(content) is not dict or content.keys() != {f.name for f in wanted}:
            raise ProtocolError(f"{cls.__name__} has other fields")
        try:
            return cls(**{f.name: CHECKS[f.type](content[f.name]) for f in wanted})
        except (ValueError, TypeError):
            raise ProtocolError(f"{cls.__name__} has a field of a wrong type") from None


@dataclass(frozen=True, slots=True)
class ConfigLoaded(Message):
    """Template to parent: the application is loaded, and this is the plain part of its wishes."""

    code: ClassVar[int] = 1
    plain: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Fork(Message):
    """Parent to template: start a worker.

    Its descriptors travel beside the datagram: channel, scoreboard, leash, then one listening
    socket per name in *servers*, then its access logs.
    """

    code: ClassVar[int] = 2
    number: int
    servers: tuple[str, ...]
    descriptors: tuple[int, ...] = ()
    accesslogs: int = 0
    # Of the scoreboard; 0: as its number.
    slot: int = 0

    @property
    def announced(self) -> int:
        """How many descriptors belong to it."""
        return 3 + len(self.servers) + self.accesslogs


@dataclass(frozen=True, slots=True)
class Forked(Message):
    """Template to parent: that worker runs, and is a child of the parent's own."""

    code: ClassVar[int] = 3
    number: int
    pid: int


@dataclass(frozen=True, slots=True)
class NotForked(Message):
    """Template to parent: that worker could not be started."""

    code: ClassVar[int] = 4
    number: int
    reason: str


@dataclass(frozen=True, slots=True)
class Ready(Message):
    """Worker to parent: it serves."""

    code: ClassVar[int] = 5


@dataclass(frozen=True, slots=True)
class Stop(Message):
    """Parent to child: end; after what is in progress when *drain*, else at once.

    *patient*: others serve in its place, so idle clients need not be hung up on. *accept*: nobody
    inherits all of its listening sockets, so who waits there is let in first.
    """

    code: ClassVar[int] = 6
    drain: bool
    patient: bool = False
    accept: bool = True


@dataclass(frozen=True, slots=True)
class Shutdown(Message):
    """Worker to parent: the application asks for the end of the whole server."""

    code: ClassVar[int] = 7


@dataclass(frozen=True, slots=True)
class LogLine(Message):
    """Child to parent: text for the log, with a syslog priority and what belongs to it."""

    code: ClassVar[int] = 8
    may_drop: ClassVar[bool] = True
    priority: int
    text: str
    # A traceback, for one: the only part with lines of its own.
    detail: str = ""

    def payload(self) -> bytes:
        """Return the priority as one byte, the text, and behind a NUL the detail."""
        text = self.text.replace("\0", r"\x00")
        first = bytes([self.priority & 0xFF])
        if not self.detail:
            return first + text_bytes(text)
        detail = text_bytes(self.detail, TEXT_MAX // 2)
        return first + text_bytes(text, TEXT_MAX // 4) + b"\0" + detail

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Return the message that *payload* describes."""
        if not payload:
            raise ProtocolError("Log is empty")
        text, _, detail = payload[1:].partition(b"\0")
        return cls(payload[0], text.decode("utf-8", "replace"), detail.decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Fatal(Message):
    """Child to parent: its last words, why it cannot go on, and the server neither."""

    code: ClassVar[int] = 9
    text: str

    def payload(self) -> bytes:
        """Return the text alone."""
        return text_bytes(self.text)

    @classmethod
    def read(cls, payload: bytes) -> Self:
        """Return the message that *payload* describes."""
        return cls(payload.decode("utf-8", "replace"))


@dataclass(frozen=True, slots=True)
class Signal(Message):
    """Parent to worker: the server was sent this signal. For the application's hook."""

    code: ClassVar[int] = 10
    may_drop: ClassVar[bool] = True
    number: int


@dataclass(frozen=True, slots=True)
class Reopened(Message):
    """Parent to worker: the access log of that number goes on in another file, which comes with it.

    The numbers are those of `Config.accesslogs`.
    """

    code: ClassVar[int] = 11
    number: int
    descriptors: tuple[int, ...] = ()

    @property
    def announced(self) -> int:
        """How many descriptors belong to it."""
        return 1


@dataclass(frozen=True, slots=True)
class StartTimeout(Message):
    """Template to parent: so many seconds may loading the application take; 0: no limit."""

    code: ClassVar[int] = 12
    seconds: int


@dataclass(slots=True)
class RoutedMessage(Message):
    """Worker to worker, through the parent, which reads the header only.

    *address* is a worker's number: on the way to the parent the receiver's, or ALL; on the way
    from it the sender's.
    """

    code: ClassVar[int] = 13
    address: int
    flags: int
    content: bytes | memoryview
    # Of the content, where that would have to be copied to get it in front.
    head: bytes = b""

    def label(self) -> tuple[int, int]:
        """Return flags and destination for the header."""
        return self.flags, self.address

    def payload(self) -> bytes:
        """Return what nobody between the two workers looks into."""
        return b"".join((self.head, self.content))


@dataclass(frozen=True, slots=True)
class WorkerExited(Message):
    """Parent to worker: the worker of that number has ended, with what was on its way to it.

    *absent*: it had ended before, and what was sent to all went to all others. *pid*: of the
    process that has ended just now.
    """

    code: ClassVar[int] = 14
    number: int
    absent: bool = False
    pid: int = 0


@dataclass(frozen=True, slots=True)
class Draining(Message):
    """Worker to parent: it was told by a signal to end, and accepts no clients any more."""

    code: ClassVar[int] = 15


@dataclass(frozen=True, slots=True)
class Hello(Message):
    """Template to parent, before anything else: the version of kore that it runs."""

    code: ClassVar[int] = 16
    version: str


PARCEL: Final = RoutedMessage.code
KINDS: Final[Mapping[int, type[Message]]] = {
    kind.code: kind
    for kind in (
        ConfigLoaded,
        Fork,
        Forked,
        NotForked,
        Ready,
        Stop,
        Shutdown,
        LogLine,
        Fatal,
        Signal,
        Reopened,
        StartTimeout,
        RoutedMessage,
        WorkerExited,
        Draining,
        Hello,
    )
}


def encode(message: Message, sequence: int = 0) -> bytes:
    """Return *message* as one datagram."""
    payload = message.payload()
    if len(payload) > SIZE_MAX - HEADER.size:
        raise ProtocolError(f"{type(message).__name__} is larger than {SIZE_MAX} bytes")
    return header(message, len(payload), sequence) + payload


def header(message: Message, length: int, sequence: int = 0) -> bytes:
    """Return the header of a datagram with a payload of that length."""
    flags, address = message.label()
    return HEADER.pack(VERSION, message.code, flags, address, length, sequence & 0xFFFFFFFF)


def parts(message: Message) -> tuple[bytes | memoryview, ...]:
    """Return *message* as one datagram, in the parts that it would be copied from."""
    if isinstance(message, RoutedMessage):
        head, content = message.head, message.content
        size = len(head) + len(content)
        front = HEADER.pack(VERSION, PARCEL, message.flags, message.address, size, 0)
        return (front + head, content) if head else (front, content)
    return (encode(message),)


def decode(datagram: bytes | memoryview, descriptors: tuple[int, ...] = ()) -> Message:
    """Return the message in *datagram*, or raise ProtocolError. A parcel does not copy it."""
    if len(datagram) < HEADER.size:
        raise ProtocolError("shorter than a header")
    version, code, flags, destination, length, _ = HEADER.unpack_from(datagram)
    if length != len(datagram) - HEADER.size:
        raise ProtocolError("another length than announced")
    if code == PARCEL and version == VERSION and not descriptors:
        # Not a copy: it may be large, and most of them only pass through here.
        return RoutedMessage(destination, flags, memoryview(datagram)[HEADER.size :])
    if version != VERSION or flags != 0:
        raise ProtocolError(f"version {version} with flags {flags:#x}")
    if destination != PEER:
        raise ProtocolError(f"destination {destination} does not exist")
    kind = KINDS.get(code)
    if kind is None:
        raise ProtocolError(f"type {code} does not exist")
    message = kind.read(bytes(datagram[HEADER.size :]))
    return with_descriptors(message, descriptors)


def with_descriptors(message: Message, descriptors: tuple[int, ...]) -> Message:
    """Hand over what came beside the datagram, if that is what the message announces."""
    if isinstance(message, Fork | Reopened):
        if len(descriptors) != message.announced:
            raise ProtocolError(f"{type(message).__name__} with {len(descriptors)} descriptors")
        return replace(message, descriptors=descriptors)
    if descriptors:
        raise ProtocolError(f"{type(message).__name__} with descriptors")
    return message


def carried(kind: type[Message]) -> list[Any]:
    """Return the fields that are part of the payload."""
    # fields() wants a dataclass type: all concrete messages are, their common base is not.
    return [f for f in fields(kind) if f.name != "descriptors"]  # type: ignore[arg-type]


def text_bytes(text: str, limit: int = TEXT_MAX) -> bytes:
    """Return *text* as UTF-8; of what does not fit the middle is left out.

    Its end matters as much as its start: that is where an exception says what it is.
    """
    # A lone surrogate is no reason to lose the line it is in.
    whole = text.encode("utf-8", "backslashreplace")
    if len(whole) <= limit:
        return whole
    kept = (limit - NOTE_ROOM) // 2
    # Half a character at a cut is left out.
    start, end = (part.decode("utf-8", "ignore") for part in (whole[:kept], whole[-kept:]))
    lost = len(whole) - len(start.encode()) - len(end.encode())
    return f"{start}\n[{lost} bytes left out]\n{end}".encode()
