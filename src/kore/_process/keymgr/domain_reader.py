"""Read the files of a domain from the descriptors that the parent has opened."""

import os
from collections.abc import Iterable

from kore._process.keymgr.pem_files import DomainFile


def read_domain_files(
    kinds: Iterable[str], paths: Iterable[str], descriptors: Iterable[int]
) -> tuple[DomainFile, ...]:
    """Return the files with their content. Raises OSError if one cannot be read."""
    found = []
    for kind, path, fd in zip(kinds, paths, descriptors, strict=True):
        status = os.fstat(fd)
        # Not by the position in the file: a descriptor may be read again.
        found.append(DomainFile(kind, path, os.pread(fd, status.st_size, 0), status.st_mode))
    return tuple(found)
