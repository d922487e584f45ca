"""Which bytecode files (`__pycache__/*.pyc`) of an application are read and written.

CPython accepts a .pyc when size and modification time of the source, in whole seconds, are those
it was compiled from (PEP 552): after an edit of the same size within that second it would run the
old code for good. Libraries keep that rule. For the application, bytecode counts as current only
if its source has not changed since it was written, and if no load of this server wrote it.
"""

import importlib.machinery
import os
import sys
import time
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from typing import Any, Final

from kore._conf.diagnostics import PACKAGE_DIRECTORY

PACKAGE_DIRECTORIES: Final = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
SUFFIXES: Final = tuple(importlib.machinery.BYTECODE_SUFFIXES)
# PEP 552: byte 4 of a .pyc has bit 0 set when it is checked by a hash of its source, or not at all.
FLAGS_AT: Final = 4
HASH_BASED: Final = 1
SECOND: Final = 10**9


class StaleBytecodeError(OSError):
    """Bytecode is not used; the import system compiles the source instead."""


class BytecodePolicy:
    """Decides about bytecode in one process.

    *app* is the application as the command line names it, *trusted_before* a time in seconds since
    the epoch: bytecode written then or later is never read. Without *writes* none is written.
    """

    def __init__(self, app: str, *, trusted_before: float, writes: bool) -> None:
        self.name = Path(app).stem.partition(".")[0] if os.sep in app else app.partition(".")[0]
        self.trusted_before = trusted_before
        self.writes = writes
        # Not sysconfig.get_path(): it loads all variables of Python's build, 0.5 MB.
        self.libraries = (str(Path(os.__file__).parent) + os.sep, PACKAGE_DIRECTORY)

    def install(self) -> None:
        """Apply these rules to every source file that this process imports from now on.

        Patches the loader class itself, so that modules loaded by other finders (editable
        installs, `spec_from_file_location()`) obey them, too. Zip files have a loader of their own.
        """
        read, write = SourceFileLoader.get_data, SourceFileLoader.set_data

        def get_data(loader: Any, path: str) -> bytes:
            if path == loader.path:
                loader.kore_seen = _read_times(path)
                return read(loader, path)
            data = read(loader, path)
            if path.endswith(SUFFIXES) and not self.may_read(loader.path, path, data):
                raise StaleBytecodeError(f"{path} may be older than its source")
            return data

        def set_data(loader: Any, path: str, data: bytes, **options: Any) -> None:
            if self.may_write(loader.path, getattr(loader, "kore_seen", None)):
                write(loader, path, data, **options)

        # mypy allows no assignment to a method; the docstring says why the class is patched.
        SourceFileLoader.get_data = get_data  # type: ignore[assignment,method-assign]
        SourceFileLoader.set_data = set_data  # type: ignore[assignment,method-assign]

    def is_library(self, source: str) -> bool:
        """Return whether a source file is of the standard library, of a package, or ours."""
        for directory in PACKAGE_DIRECTORIES:
            _, found, rest = source.rpartition(directory)
            if found:
                return rest.partition(os.sep)[0].removesuffix(".py") != self.name
        return source.startswith(self.libraries)

    def may_read(self, source: str, bytecode: str, data: bytes) -> bool:
        """Return whether *bytecode*, which holds *data*, is certainly of *source* as it is now."""
        hash_based = len(data) > FLAGS_AT and data[FLAGS_AT] & HASH_BASED
        return bool(hash_based) or self.is_library(source) or self.is_current(source, bytecode)

    def is_current(self, source: str, bytecode: str) -> bool:
        """Return whether *bytecode* was written after the last change of *source*.

        The time of the last status change (ctime) is compared as well: it cannot be set, and so
        tells of an edit that keeps size and modification time. Below PYTHONPYCACHEPREFIX a file
        may be of another tree that was at this path before: a rename changes no time of a source.
        """
        changed, written = _read_times(source), _read_times(bytecode)
        if changed is None or written is None or sys.pycache_prefix is not None:
            return False
        return (
            changed.modified // SECOND < written.modified // SECOND < int(self.trusted_before)
            and changed.status < written.status
        )

    def may_write(self, source: str, seen: "FileTimes | None") -> bool:
        """Return whether to write bytecode of *source*, read when its times were *seen*.

        None of a source that changed this very second: whatever else reads the file, a later
        Python for one, goes by whole seconds.
        """
        if self.is_library(source):
            return True
        changed = _read_times(source)
        if changed is None or changed != seen or not self.writes:
            return False
        return max(changed.modified, changed.status) // SECOND < int(time.time())


@dataclass(frozen=True, slots=True)
class FileTimes:
    """When a file was modified, and when it or its name last changed; nanoseconds since 1970."""

    modified: int
    status: int


def _read_times(path: str) -> FileTimes | None:
    """Return the times of a file, or None if there is none."""
    try:
        # A link that leads elsewhere by now is a change, too.
        target, link = os.stat(path), os.lstat(path)  # noqa: PTH116
    except OSError:
        return None
    return FileTimes(target.st_mtime_ns, max(target.st_ctime_ns, link.st_ctime_ns))
