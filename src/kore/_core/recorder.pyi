"""Access log records of one connection; see recorder.pyx."""

from kore._core.request import Peer

class Recorder(Peer):
    """Logs the exchanges of one connection."""
