"""The asking half of a connection; see intake.pyx."""

from kore._core.receiver import BodyReceiver

class Intake(BodyReceiver):
    """Reads the requests of one connection."""

    def check_end(self) -> None: ...
