"""HTTP/1 on a transport; see http1.pyx."""

from kore._core.http1_reader import Http1Reader

class Http1(Http1Reader):
    """The HTTP/1 of one connection."""
