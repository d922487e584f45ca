"""One client, from accept to close; see lifecycle.pyx."""

from kore._core.intake import Intake

class Lifecycle(Intake):
    """Drives one connection by events and deadlines."""
