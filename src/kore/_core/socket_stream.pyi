"""A socket with bytes waiting on both sides; see socket_stream.pyx."""

from kore._core.poller import PollSource

class SocketStream(PollSource):
    """A connected socket with an inbox and an outbox."""
