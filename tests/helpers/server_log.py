"""The log of a server under test: what is in it, and what has no business there."""

import re
from pathlib import Path

from tests.helpers.procs import until

TRACEBACK = "Traceback (most recent call last)"
CHAINED = re.compile(r"(?:During handling of the above|The above exception was the direct cause)")
SUSPICIOUS = (TRACEBACK, "Warning: ", "Exception ignored", "was never ", "Segmentation fault")


class Log:
    """A growing file, and how far it has been accepted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.accepted = 0

    def text(self, start: int = 0) -> str:
        """Return the log from an offset on."""
        with self.path.open("rb") as file:
            file.seek(start)
            return file.read().decode("utf-8", "replace")

    def size(self) -> int:
        """Return the offset of its end."""
        return self.path.stat().st_size

    def wait(self, text: str, start: int = 0) -> str:
        """Wait for *text*, and return the log from *start* on."""
        until(lambda: text in self.text(start), what=f"{text!r} in the log")
        return self.text(start)

    def search(self, pattern: str, start: int = 0) -> re.Match[str]:
        """Wait for a match of *pattern*."""
        until(lambda: re.search(pattern, self.text(start)), what=f"{pattern!r} in the log")
        match = re.search(pattern, self.text(start))
        assert match is not None
        return match

    def check(self) -> None:
        """Fail when something suspicious was logged that no test has accepted."""
        fresh = self.text(self.accepted)
        if any(sign in fresh for sign in SUSPICIOUS):
            self.accept()
            raise AssertionError(f"unexpected in the server's log:\n{fresh}")

    def accept(self) -> None:
        """Take everything up to now as seen."""
        self.accepted = self.size()


def tracebacks(text: str) -> int:
    """Count the tracebacks; a chained one counts once."""
    return text.count(TRACEBACK) - len(CHAINED.findall(text))
