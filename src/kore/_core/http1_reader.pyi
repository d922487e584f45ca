"""Requests of an HTTP/1 connection; see http1_reader.pyx."""

from kore._core.exchange import HttpProtocol

class Http1Reader(HttpProtocol):
    """Reads the requests of one connection."""
