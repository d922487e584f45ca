"""Channels between parent and child: messages and descriptors over a socketpair.

SOCK_SEQPACKET keeps message boundaries and reports the end of the peer. Neither side ever blocks
on the other: what the kernel does not take waits in a bounded queue.
"""

import array
import contextlib
import errno
import os
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, TypeAlias

from kore._process.ipc import datagrams
from kore._process.ipc.messages import (
    SIZE_MAX,
    LogLine,
    Message,
    ProtocolError,
    RoutedMessage,
)
from kore._process.ipc.send_queue import SendQueue

Part: TypeAlias = bytes | memoryview
Ancillary: TypeAlias = tuple[int, int, "array.array[int]"]
# Queued messages of one channel; log lines beyond it are dropped and counted.
QUEUE_MAX: Final = 256
# Datagrams received per call, so that a flood from one peer does not hold up the others.
BATCH_SIZE: Final = 64
# While single datagrams arrive, every so many turns a second one is looked for.
BACKLOG_CHECK_INTERVAL: Final = 8
# The kernel's own limit for one datagram (SCM_MAX_FD).
DESCRIPTORS_MAX: Final = 253
# ETOOMANYREFS: the kernel limits the descriptors in flight of a user. It passes, as a full socket
# buffer does.
RETRY_ERRORS: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ETOOMANYREFS})
WARNING: Final = 4  # syslog priority
# Shared by all channels of a process. A buffer for the largest datagram per received message would
# cost more than processing most of them.
RECEIVE_BUFFER: Final = memoryview(bytearray(SIZE_MAX))
# Plain ints: combining members of an enum takes longer than receiving a datagram.
RECEIVE_FLAGS: Final = int(socket.MSG_CMSG_CLOEXEC)
TRUNCATED_FLAGS: Final = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)
SEND_FLAGS: Final = int(socket.MSG_NOSIGNAL)


def open_pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a new channel, closed on exec and non-blocking."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
        # Room for the largest datagram, also where the system's default is small.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * SIZE_MAX)
    return ends


class Channel:
    """One end of a channel. Messages arrive in order, each completely or not at all."""

    def __init__(self, end: socket.socket, *, takes_descriptors: bool = False) -> None:
        end.setblocking(False)
        self.socket = end
        # Nothing more will arrive. What the peer sent before its end is still received first,
        # which is why a failed send sets only `_peer_closed`.
        self.eof = False
        self._peer_closed = False
        # Errors of malformed datagrams in the latest receive().
        self.errors: list[str] = []
        self.dropped_count = 0
        # Turns since more than one datagram was waiting.
        self._turn = -1
        self._pending: deque[tuple[bytes, tuple[int, ...]]] = deque()
        # Sent only while `_pending` is empty.
        self.send_queue = SendQueue()
        # Without a buffer for them the kernel never installs descriptors that a peer attached.
        size = DESCRIPTORS_MAX * array.array("i").itemsize if takes_descriptors else 0
        self._ancillary_size = socket.CMSG_SPACE(size) if size else 0

    def fileno(self) -> int:
        """Return the descriptor of the socket."""
        return self.socket.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether flush() is due when the socket becomes writable."""
        return bool(self._pending or self.send_queue.entries) and not self._peer_closed

    def send(self, message: Message) -> bool:
        """Send or queue *message*. Returns False if it is dropped."""
        if self._peer_closed:
            return False
        if message.may_drop and len(self._pending) >= QUEUE_MAX:
            self.dropped_count += 1
            return False
        self._send_or_queue(message)
        return not self._peer_closed

    def send_low_priority(self, message: Message, queue_key: int = 0) -> None:
        """Send *message* after all others, or queue it, charged to *queue_key*.

        The queue is not bounded here: the caller limits what it adds to `send_queue`.
        """
        parts = datagrams.encode_parts(message)
        if not self.try_send(parts):
            self.send_queue.append(queue_key, b"".join(parts))

    def try_send(self, parts: Sequence[Part]) -> bool:
        """Send a datagram if none waits before it. Returns False if it has to be queued."""
        if self._peer_closed:
            return True
        return not self._pending and not self.send_queue.entries and self._try_sendmsg(parts)

    def flush(self) -> None:
        """Send queued messages until the socket buffer is full."""
        while self._pending and not self._peer_closed:
            datagram, descriptors = self._pending[0]
            if not self._try_sendmsg((datagram,), _pack_descriptors(descriptors)):
                return
            self._pending.popleft()
            close_descriptors(descriptors)
        while self.send_queue.entries and not self._peer_closed:
            if not self._try_sendmsg((self.send_queue.first,)):
                return
            self.send_queue.remove_first()
        if self.dropped_count and not self._peer_closed:
            count, self.dropped_count = self.dropped_count, 0
            self._send_or_queue(LogLine(WARNING, f"{count} log messages dropped: sent too fast"))

    def drain(self, timeout: float) -> None:
        """Wait until everything is sent, at most *timeout* seconds. For the end of a process."""
        deadline = time.monotonic() + timeout
        waiter = select.poll()
        waiter.register(self.socket, select.POLLOUT)
        self.flush()
        while self.wants_write and (left := deadline - time.monotonic()) > 0:
            waiter.poll(left * 1000)
            self.flush()

    def receive(self) -> list[Message]:
        """Return the messages that have arrived, at most BATCH_SIZE; sets `eof` and `errors`."""
        received: list[Message] = []
        self.errors = []
        for _ in range(BATCH_SIZE):
            try:
                message = self.receive_one()
            except ProtocolError as error:
                self.errors.append(str(error))
                continue
            if message is None:
                break
            if isinstance(message, RoutedMessage):
                message.content = bytes(message.content)
            received.append(message)
        return received

    def receive_one(self) -> Message | None:
        """Return the next message; None if there is none now, or none will come (`eof`).

        The content of a routed message is in RECEIVE_BUFFER, which the next datagram of any
        channel overwrites. Raises ProtocolError if the datagram is malformed.
        """
        if self.eof:
            return None
        try:
            size, ancillary, flags, _ = self.socket.recvmsg_into(
                (RECEIVE_BUFFER,), self._ancillary_size, RECEIVE_FLAGS
            )
        except BlockingIOError:
            return None
        except ConnectionResetError:
            # The peer ended without reading everything. Reported once; what it sent follows.
            return self.receive_one()
        if not size:
            # An empty datagram looks like the end. Kore sends none, so it may count as the end.
            self.eof = True
            return None
        if not ancillary and not flags & TRUNCATED_FLAGS:
            return datagrams.decode(RECEIVE_BUFFER[:size])
        descriptors = _unpack_descriptors(ancillary)
        try:
            return _decode_complete(RECEIVE_BUFFER[:size], descriptors, flags)
        except ProtocolError:
            close_descriptors(descriptors)
            raise

    def batch_size(self) -> int:
        """Return how many datagrams to receive in this turn.

        Mostly one: the event loop reports at no cost whether there is another, and a receive that
        finds nothing costs as much as one that does. The caller reports with `saw_backlog()` if
        several were there; then the next turn receives BATCH_SIZE.
        """
        self._turn += 1
        return 1 if self._turn % BACKLOG_CHECK_INTERVAL else BATCH_SIZE

    def saw_backlog(self) -> None:
        """Receive up to BATCH_SIZE datagrams in the next turn."""
        self._turn = -1

    def close(self) -> None:
        """Close this end; queued messages are lost."""
        self.eof = self._peer_closed = True
        for _, descriptors in self._pending:
            close_descriptors(descriptors)
        self._pending.clear()
        self.send_queue.clear()
        self.socket.close()

    def _send_or_queue(self, message: Message) -> None:
        """Send *message* if none is queued, else queue it."""
        descriptors: tuple[int, ...] = getattr(message, "descriptors", ())
        datagram = datagrams.encode(message)
        if not self._pending and self._try_sendmsg((datagram,), _pack_descriptors(descriptors)):
            return
        # The caller closes its descriptors now, and the kernel has not taken them yet.
        self._pending.append((datagram, tuple(map(os.dup, descriptors))))

    def _try_sendmsg(self, parts: Sequence[Part], ancillary: Sequence[Ancillary] = ()) -> bool:
        """Pass one datagram to the kernel. Returns True if it is sent, or lost for good."""
        try:
            self.socket.sendmsg(parts, ancillary, SEND_FLAGS)
        except OSError as error:
            if error.errno in RETRY_ERRORS:
                return False
            self._peer_closed = True
        return True


def _decode_complete(datagram: Part, descriptors: tuple[int, ...], flags: int) -> Message:
    """Decode a datagram. Raises ProtocolError also if *flags* say that the kernel has cut it."""
    if flags & TRUNCATED_FLAGS:
        raise ProtocolError("datagram too large, or with unexpected descriptors")
    return datagrams.decode(datagram, descriptors)


def _pack_descriptors(descriptors: tuple[int, ...]) -> Sequence[Ancillary]:
    """Return the ancillary data that transfers descriptors."""
    if not descriptors:
        return ()
    return ((socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors)),)


def _unpack_descriptors(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, ...]:
    """Return the descriptors in received ancillary data."""
    found = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return tuple(found)


def close_descriptors(descriptors: tuple[int, ...]) -> None:
    """Close descriptors that belong to no Python object."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
