"""Request bodies of one connection; see receiver.pyx."""

from kore._core.responder import Responder

class BodyReceiver(Responder):
    """Reads the body of the current request."""
