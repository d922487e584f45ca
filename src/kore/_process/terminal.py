"""The terminal a server was started in, if it was."""

import os
from typing import Final

STDIN_AND_STDOUT: Final = (0, 1)


class Terminal:
    """Remembers which standard descriptors were a terminal at the start."""

    def __init__(self) -> None:
        self.descriptors = [fd for fd in STDIN_AND_STDOUT if os.isatty(fd)]

    @property
    def gone(self) -> bool:
        """Whether it has been closed: its descriptors are open still, and of no use."""
        return not all(map(os.isatty, self.descriptors))
