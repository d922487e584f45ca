"""A socket with bytes waiting on both sides; see stream.pyx."""

from kore._core.poller import Source

class Stream(Source):
    """A connected socket."""
