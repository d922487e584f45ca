"""Messages over a socketpair, descriptors too.

SOCK_SEQPACKET keeps the boundaries and tells of the end of the other side. Neither side ever
blocks on the other: what does not fit waits in a bounded queue.
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

from kore._process.ipc import messages
from kore._process.ipc.messages import LogLine, Message, ProtocolError, RoutedMessage
from kore._process.ipc.send_queue import SendQueue

Part: TypeAlias = bytes | memoryview
Ancillary: TypeAlias = tuple[int, int, "array.array[int]"]
# What waits for a receiver that does not keep up; log lines beyond it are counted, not kept.
QUEUE_MAX: Final = 256
# Datagrams taken per call: a sender that floods gets its turn, not all of them.
BATCH: Final = 64
# While they come one at a time, in every so many turns it is looked for a second one.
PROBE: Final = 8
# The kernel's own limit for one datagram (SCM_MAX_FD).
DESCRIPTORS_MAX: Final = 253
# Descriptors in flight are counted per user: too many is a reason to wait, as a full buffer is.
TRY_LATER: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ETOOMANYREFS})
WARNING: Final = 4  # as syslog counts
# Where all channels of a process read to. Room for the largest datagram anew for each of them
# would cost more than what most of them say.
BUFFER: Final = memoryview(bytearray(messages.SIZE_MAX))
# Numbers, not members of an enumeration: to combine those takes longer than to receive something.
RECEIVED: Final = int(socket.MSG_CMSG_CLOEXEC)
CUT: Final = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)
SENT: Final = int(socket.MSG_NOSIGNAL)


def pair() -> tuple[socket.socket, socket.socket]:
    """Return both ends of a new channel, closed on exec and non-blocking."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setblocking(False)
        # Room for the largest datagram, also where the system's default is small.
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * messages.SIZE_MAX)
    return ends


class Channel:
    """One end: what is sent here is received there, in order, whole or not at all."""

    def __init__(self, end: socket.socket, *, takes_descriptors: bool = False) -> None:
        end.setblocking(False)
        self.socket = end
        # Nothing more will arrive. What the other side sent before its end is still read first,
        # which is why a failed send sets only `_deaf`.
        self.eof = False
        self._deaf = False
        # What was wrong with datagrams of the latest receive().
        self.faults: list[str] = []
        self.dropped = 0
        self.sequence = 0
        # Turns since more than one was there at once.
        self._turn = -1
        self._waiting: deque[tuple[bytes, tuple[int, ...]]] = deque()
        # What goes when nothing of the above is left to go.
        self.mail = SendQueue()
        # Without room for them the kernel never installs descriptors that a sender attached.
        room = DESCRIPTORS_MAX * array.array("i").itemsize if takes_descriptors else 0
        self._ancillary = socket.CMSG_SPACE(room) if room else 0

    def fileno(self) -> int:
        """Return the descriptor."""
        return self.socket.fileno()

    @property
    def wants_write(self) -> bool:
        """Whether flush() is due when the socket becomes writable."""
        return bool(self._waiting or self.mail.queue) and not self._deaf

    def send(self, message: Message) -> bool:
        """Send, or queue, *message*. False: it is lost, and counted if it may be."""
        if self._deaf:
            return False
        if message.may_drop and len(self._waiting) >= QUEUE_MAX:
            self.dropped += 1
            return False
        self._post(message)
        return not self._deaf

    def post(self, message: Message, owner: int = 0) -> None:
        """Send *message* after all that others send, or queue it, on the account of *owner*.

        For whoever keeps an eye on `mail`: nothing else bounds it.
        """
        parts = messages.parts(message)
        if not self.post_now(parts):
            self.mail.add(owner, b"".join(parts))

    def post_now(self, parts: Sequence[Part]) -> bool:
        """Send a datagram if nothing waits before it. False: it has not gone, and waits nowhere."""
        if self._deaf:
            return True
        return not self._waiting and not self.mail.queue and self._push(parts)

    def flush(self) -> None:
        """Send what waits, as far as it goes."""
        while self._waiting and not self._deaf:
            datagram, descriptors = self._waiting[0]
            if not self._push((datagram,), rights(descriptors)):
                return
            self._waiting.popleft()
            close_all(descriptors)
        while self.mail.queue and not self._deaf:
            if not self._push((self.mail.first,)):
                return
            self.mail.remove_first()
        if self.dropped and not self._deaf:
            count, self.dropped = self.dropped, 0
            self._post(LogLine(WARNING, f"{count} log messages lost: they came too fast"))

    def drain(self, seconds: float) -> None:
        """Wait until everything is sent, at most so long. For the end of a process."""
        until = time.monotonic() + seconds
        waiter = select.poll()
        waiter.register(self.socket, select.POLLOUT)
        self.flush()
        while self.wants_write and (left := until - time.monotonic()) > 0:
            waiter.poll(left * 1000)
            self.flush()

    def receive(self) -> list[Message]:
        """Return what has arrived, at most a batch; `eof` and `faults` say the rest."""
        received: list[Message] = []
        self.faults = []
        for _ in range(BATCH):
            try:
                message = self.take()
            except ProtocolError as fault:
                self.faults.append(str(fault))
                continue
            if message is None:
                break
            if isinstance(message, RoutedMessage):
                message.content = bytes(message.content)
            received.append(message)
        return received

    def take(self) -> Message | None:
        """Return what has arrived next; None: nothing is there now, or nothing more (`eof`).

        ProtocolError: it is no message. The content of a parcel is where the next datagram goes,
        of whatever channel: it is to be used or copied before.
        """
        if self.eof:
            return None
        try:
            size, ancillary, flags, _ = self.socket.recvmsg_into(
                (BUFFER,), self._ancillary, RECEIVED
            )
        except BlockingIOError:
            return None
        except ConnectionResetError:
            # It ended without reading all; what it sent itself comes next. Told only once.
            return self.take()
        if not size:
            # An empty datagram looks like the end. Nobody of ours sends one: it may count as it.
            self.eof = True
            return None
        if not ancillary and not flags & CUT:
            return messages.decode(BUFFER[:size])
        descriptors = attached(ancillary)
        try:
            return read(BUFFER[:size], descriptors, flags)
        except ProtocolError:
            close_all(descriptors)
            raise

    def batch(self) -> int:
        """Return how many to take in a turn; `crowded()` is to be called if there were several.

        While one at a time comes it is mostly one: the loop finds out at no cost whether there is
        another one, and to look here for what is not there takes as long as to receive it.
        """
        self._turn += 1
        return 1 if self._turn % PROBE else BATCH

    def crowded(self) -> None:
        """Look for more than one in the next turn."""
        self._turn = -1

    def close(self) -> None:
        """Close this end; what waits is lost."""
        self.eof = self._deaf = True
        for _, descriptors in self._waiting:
            close_all(descriptors)
        self._waiting.clear()
        self.mail.clear()
        self.socket.close()

    def _post(self, message: Message) -> None:
        """Send now if nothing is before it, else queue."""
        descriptors: tuple[int, ...] = getattr(message, "descriptors", ())
        datagram = messages.encode(message, self.sequence)
        self.sequence += 1
        if not self._waiting and self._push((datagram,), rights(descriptors)):
            return
        # The caller closes its descriptors now, the kernel has not taken them yet.
        self._waiting.append((datagram, tuple(map(os.dup, descriptors))))

    def _push(self, parts: Sequence[Part], ancillary: Sequence[Ancillary] = ()) -> bool:
        """Hand one datagram to the kernel. True: it is gone, delivered or for ever."""
        try:
            self.socket.sendmsg(parts, ancillary, SENT)
        except OSError as error:
            if error.errno in TRY_LATER:
                return False
            self._deaf = True
        return True


def read(datagram: Part, descriptors: tuple[int, ...], flags: int) -> Message:
    """Decode what recvmsg returned, if it is all that was sent."""
    if flags & CUT:
        raise ProtocolError("too large, or with descriptors nobody takes")
    return messages.decode(datagram, descriptors)


def rights(descriptors: tuple[int, ...]) -> Sequence[Ancillary]:
    """Return what goes beside a datagram that hands over descriptors."""
    if not descriptors:
        return ()
    return ((socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors)),)


def attached(ancillary: list[tuple[int, int, bytes]]) -> tuple[int, ...]:
    """Return the descriptors in what came beside a datagram."""
    found = array.array("i")
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(data[: len(data) - len(data) % found.itemsize])
    return tuple(found)


def close_all(descriptors: tuple[int, ...]) -> None:
    """Close descriptors that belong to no object."""
    for descriptor in descriptors:
        with contextlib.suppress(OSError):
            os.close(descriptor)
