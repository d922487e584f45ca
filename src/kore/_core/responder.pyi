"""The answering half of a connection; see responder.pyx."""

from kore._core.recorder import Recorder

class Responder(Recorder):
    """Writes the answers of one connection."""
