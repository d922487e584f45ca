"""Sealed files in memory: content that goes from process to process and cannot be changed."""

import fcntl
import os
from typing import Final

from kore._process.ipc.messages import ProtocolError

SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE


def create_sealed_file(name: str, content: bytes) -> int:
    """Return the descriptor of a file with this content. *name* is for /proc only."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, SEALS)
    except OSError:
        os.close(fd)
        raise
    return fd


def read_sealed_file(fd: int, size_max: int) -> bytes:
    """Return the content of a sealed file.

    Raises ProtocolError if the file is not sealed, or larger than *size_max* bytes.
    """
    try:
        sealed = fcntl.fcntl(fd, fcntl.F_GET_SEALS) & SEALS == SEALS
    except OSError:  # it is no file in memory
        sealed = False
    if not sealed:
        raise ProtocolError("a file that is not sealed")
    size = os.fstat(fd).st_size
    if size > size_max:
        raise ProtocolError(f"a file of {size} bytes, more than {size_max}")
    return os.pread(fd, size, 0)
