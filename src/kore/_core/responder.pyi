"""The answering half of a connection; see responder.pyx."""

from kore._core.request import Peer

class Responder(Peer):
    """Writes the answers of one connection."""
