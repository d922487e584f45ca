"""Datagrams between processes: messages encoded and decoded. Pure.

A datagram is a header of 16 bytes and a payload: JSON for structured fields, plain bytes for text.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from kore._process.ipc.messages import (
    HEADER,
    PEER,
    SIZE_MAX,
    VERSION,
    ConfigLoaded,
    Draining,
    FatalError,
    Fork,
    Forked,
    Hello,
    LogLine,
    Message,
    NotForked,
    ProtocolError,
    Ready,
    Reopened,
    RoutedMessage,
    Shutdown,
    Signal,
    StartTimeout,
    Stop,
    WorkerExited,
)
from kore._process.ipc.tls_messages import TLS_MESSAGES

ROUTED: Final = RoutedMessage.code
PROCESS_MESSAGES: Final[tuple[type[Message], ...]] = (
    ConfigLoaded,
    Fork,
    Forked,
    NotForked,
    Ready,
    Stop,
    Shutdown,
    LogLine,
    FatalError,
    Signal,
    Reopened,
    StartTimeout,
    RoutedMessage,
    WorkerExited,
    Draining,
    Hello,
)
MESSAGE_TYPES: Final[Mapping[int, type[Message]]] = {
    message.code: message for message in (*PROCESS_MESSAGES, *TLS_MESSAGES)
}


def encode(message: Message) -> bytes:
    """Return *message* as one datagram. Raises ProtocolError if it is too large."""
    payload = message.payload()
    if len(payload) > SIZE_MAX - HEADER.size:
        raise ProtocolError(f"{type(message).__name__} is larger than {SIZE_MAX} bytes")
    return _encode_header(message, len(payload)) + payload


def _encode_header(message: Message, length: int) -> bytes:
    """Return the header of a datagram with a payload of *length* bytes."""
    flags, address = message.header_fields()
    return HEADER.pack(VERSION, message.code, flags, address, length)


def encode_parts(message: Message) -> tuple[bytes | memoryview, ...]:
    """Return *message* as one datagram in parts, so that a large content is not copied."""
    if isinstance(message, RoutedMessage):
        head, content = message.head, message.content
        size = len(head) + len(content)
        front = HEADER.pack(VERSION, ROUTED, message.flags, message.address, size)
        return (front + head, content) if head else (front, content)
    return (encode(message),)


def decode(datagram: bytes | memoryview, descriptors: tuple[int, ...] = ()) -> Message:
    """Return the message in *datagram*. Raises ProtocolError if it is malformed.

    The content of a routed message is a view of *datagram*: most of them are only passed on.
    """
    if len(datagram) < HEADER.size:
        raise ProtocolError("shorter than a header")
    version, code, flags, destination, length = HEADER.unpack_from(datagram)
    if length != len(datagram) - HEADER.size:
        raise ProtocolError("length differs from the header's")
    if code == ROUTED and version == VERSION and not descriptors:
        return RoutedMessage(destination, flags, memoryview(datagram)[HEADER.size :])
    if version != VERSION or flags != 0:
        raise ProtocolError(f"version {version} with flags {flags:#x}")
    if destination != PEER:
        raise ProtocolError(f"destination {destination} does not exist")
    found = MESSAGE_TYPES.get(code)
    if found is None:
        raise ProtocolError(f"type {code} does not exist")
    message = found.read(bytes(datagram[HEADER.size :]))
    return _attach_descriptors(message, descriptors)


def _attach_descriptors(message: Message, descriptors: tuple[int, ...]) -> Message:
    """Return *message* with its descriptors. Raises ProtocolError if their number is wrong."""
    if len(descriptors) != message.descriptor_count:
        raise ProtocolError(f"{type(message).__name__} with {len(descriptors)} descriptors")
    if descriptors:
        # Only dataclasses have descriptors.
        return replace(message, descriptors=descriptors)  # type: ignore[type-var]
    return message
