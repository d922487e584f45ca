"""The files of a domain with TLS: opened for the key process, and watched for changes.

The parent may be root, so it does not read them. It sees a change by what stat(2) says of the file
that a path leads to: a renewal may write in place, rename, or change a symbolic link.
"""

import os
import stat
from collections.abc import Iterator
from typing import Final, TypeAlias

from kore._conf.server_schema import DomainTls
from kore._process.ipc.channel import close_descriptors
from kore._process.ipc.tls_messages import CERTIFICATE, CLIENT_CA, CRL, KEY

# Bytes of one file: revocation lists may be long.
SIZE_MAX: Final = 16 * 1024 * 1024
# Never wait for the writer of a FIFO, never acquire a controlling terminal.
FLAGS: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY

# What a change of a file changes, or the errno of a file that is not there.
Stamp: TypeAlias = tuple[int, ...]


class DomainFiles:
    """The files of one domain."""

    def __init__(self, domain: DomainTls) -> None:
        self.files = tuple(_list_files(domain))
        # As they were when they were opened last, and when they were looked at last.
        self._opened: list[Stamp] = []
        self._seen: list[Stamp] = []

    @property
    def kinds(self) -> tuple[str, ...]:
        """What each file is, in the order of their descriptors."""
        return tuple(kind for kind, _ in self.files)

    @property
    def paths(self) -> tuple[str, ...]:
        """The path of each file."""
        return tuple(path for _, path in self.files)

    def open_all(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        """Return descriptors of all files, or a line for each file that cannot be opened."""
        descriptors: list[int] = []
        problems = []
        self._opened = []
        for kind, path in self.files:
            try:
                fd = os.open(path, FLAGS)
            except OSError as error:
                problems.append(f"{kind} {path}: {error.strerror}")
                self._opened.append(_read_stamp(path))
                continue
            descriptors.append(fd)
            status = os.fstat(fd)
            self._opened.append(_make_stamp(status))
            if not stat.S_ISREG(status.st_mode):
                problems.append(f"{kind} {path}: it is not a regular file")
            elif status.st_size > SIZE_MAX:
                problems.append(f"{kind} {path}: larger than {SIZE_MAX // 1024**2} MiB")
        self._seen = self._opened
        if problems:
            close_descriptors(tuple(descriptors))
            return (), tuple(problems)
        return tuple(descriptors), ()

    def find_problems(self) -> tuple[str, ...]:
        """Return a line for each file that cannot be opened."""
        descriptors, problems = self.open_all()
        close_descriptors(descriptors)
        return problems

    def is_changed(self) -> bool:
        """Return whether a file has changed since they were opened, and none since the last look.

        Certificate and key are written one after the other, and each perhaps in several steps.
        """
        before, self._seen = self._seen, [_read_stamp(path) for path in self.paths]
        return self._seen != self._opened and self._seen == before


def _list_files(domain: DomainTls) -> Iterator[tuple[str, str]]:
    """Yield kind and path of each file of a domain."""
    for files in domain.certificates:
        yield CERTIFICATE, files.certificate
        yield KEY, files.key
    if domain.client_verify:
        yield CLIENT_CA, domain.client_verify
    if domain.crl:
        yield CRL, domain.crl


def _read_stamp(path: str) -> Stamp:
    """Return the stamp of the file that *path* leads to."""
    try:
        return _make_stamp(os.stat(path))  # noqa: PTH116 - the path as the system reads it
    except OSError as error:
        return (error.errno or 0,)


def _make_stamp(status: os.stat_result) -> Stamp:
    return (
        status.st_dev,
        status.st_ino,
        status.st_mode,
        status.st_size,
        status.st_mtime_ns,
        # Of programs that set the time of modification.
        status.st_ctime_ns,
    )
