"""The asking half of a connection; see intake.pyx."""

from kore._core.responder import Responder

class Intake(Responder):
    """Reads the requests of one connection."""
