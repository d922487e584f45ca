"""The parent's end of the pipe by which processes of the application die with the parent.

Workers use the other end, see `kore._aio.parent_death`.
"""

import os


class ParentDeathPipe:
    """A pipe that the parent keeps open and never writes to.

    As long as it has a reader, its only event is the end of the parent. *fd* is the end to read.
    """

    def __init__(self) -> None:
        self.fd, self._write_fd = os.pipe()
        # Workers may run as another user and reopen it through /proc. Only a process that has
        # been given the descriptor can do that.
        os.fchmod(self.fd, 0o444)

    def close(self) -> None:
        """Close both ends, when every process that has the pipe has ended."""
        os.close(self._write_fd)
        os.close(self.fd)
