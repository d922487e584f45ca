"""A TLS client on a raw socket: records in any pieces, and how the server has ended the session.

It is the client of `raw_client` over Python's ssl module, whose output and input are buffers here:
so a test decides which bytes are in a record, and which records are in a segment.
"""

import contextlib
import re
import select
import ssl
from collections.abc import Iterable

from tests.helpers.procs import PATIENCE
from tests.helpers.raw_client import Client, Mark, SilenceError

RECORD_SIZE = 1 << 14


def trusting(ca_file: str) -> ssl.SSLContext:
    """Return the context of a client that trusts the authorities in this file, and no others."""
    context = ssl.create_default_context(cafile=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


class TlsClient(Client):
    """One TLS connection. `end` may be `truncated`, too: closed without close_notify.

    `server_name` is "" for a client that sends no SNI.
    """

    def __init__(
        self,
        address: tuple[str, int],
        methods: Iterable[str] = (),
        *,
        context: ssl.SSLContext,
        server_name: str = "localhost",
        session: ssl.SSLSession | None = None,
        receive_buffer: int = 0,
    ) -> None:
        super().__init__(address, methods, receive_buffer=receive_buffer)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.received_size = 0  # of plaintext
        self.tls = context.wrap_bio(
            self.incoming, self.outgoing, server_hostname=server_name or None, session=session
        )
        try:
            self.shake_hands()
        except BaseException:
            self.socket.close()
            raise

    def shake_hands(self) -> None:
        """Do the handshake. Raises ssl.SSLError if it fails, with the server's alert."""
        while True:
            try:
                self.tls.do_handshake()
                return self.flush()
            except ssl.SSLWantReadError:
                self.flush()
                self.pull()
            except ssl.SSLError:
                self.flush()  # our alert
                raise

    def flush(self) -> None:
        """Send the records that are ready."""
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):
            self.socket.sendall(self.outgoing.read())

    def pull(self) -> None:
        """Receive records once."""
        data = self.socket.recv(1 << 18)
        self.incoming.write(data) if data else self.incoming.write_eof()

    def seal(self, data: bytes, record_size: int = RECORD_SIZE) -> bytes:
        """Return *data* in records that have not been sent; *record_size* is that of plaintext."""
        for at in range(0, len(data), record_size):
            self.tls.write(data[at : at + record_size])
        return self.outgoing.read()

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are, such as those that `seal()` returns."""
        super()._send(data)

    def close_notify(self) -> None:
        """Say that no more will be sent, without ending our direction of the connection."""
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLError):
            self.tls.unwrap()
        self.flush()

    def close(self) -> None:
        """Go away with close_notify and a FIN."""
        if self.end == "open" and self.socket.fileno() >= 0:
            with contextlib.suppress(OSError):
                self.close_notify()
        super().close()

    def abandon(self) -> None:
        """Go away with a FIN, but without close_notify."""
        super().close()

    def _send(self, data: bytes) -> None:
        self.send_raw(self.seal(data))

    def _do(self, mark: Mark) -> None:
        if mark is Mark.HALF_CLOSE:
            self.close_notify()
        super()._do(mark)

    def hears(self, seconds: float) -> bool:
        """Say whether anything but session tickets comes within that time."""
        before = self.received_size
        while self.end == "open" and select.select([self.socket], [], [], seconds)[0]:
            self.receive()
            if self.received_size > before:
                return True
        return self.end != "open"

    def receive(self, size: int = 1 << 18) -> None:
        """Receive once, and read what has been decrypted."""
        try:
            self.pull()
        except ConnectionResetError:
            return self._ended("reset")
        except TimeoutError:
            raise SilenceError(f"nothing came for {PATIENCE} s") from None
        try:
            while data := self.tls.read(size):
                self.received_size += len(data)
                self.reader.feed(data)
            self._ended("closed")  # the server's close_notify
        except ssl.SSLWantReadError:
            self.flush()  # an answer to a key update
        except ssl.SSLZeroReturnError:
            self._ended("closed")
        except ssl.SSLEOFError:
            self._ended("truncated")

    def peer_serial(self) -> str:
        """Return the serial number of the server's certificate."""
        return str((self.tls.getpeercert() or {})["serialNumber"])


def peer_serial(address: tuple[str, int], context: ssl.SSLContext, name: str = "localhost") -> str:
    """Return the serial number of the certificate that a new connection is shown."""
    with TlsClient(address, context=context, server_name=name) as client:
        return client.peer_serial()


def alert_of(error: ssl.SSLError) -> str:
    """Return the name of the alert that a handshake was ended by, such as `unrecognized_name`.

    Python knows some alerts by a name and others by OpenSSL's text. What is not an alert is
    returned as it is.
    """
    text = (error.reason or str(error)).lower().replace(" ", "_")
    found = re.search(r"(?:tlsv1\d*|sslv3)_(?:alert_)?([a-z_]+)", text)
    return found[1].strip("_") if found else text
