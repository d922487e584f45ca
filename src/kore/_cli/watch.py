"""Watch the sources of a project for changes: with inotify, or by polling.

Only sources are watched: an application that writes a database or a log beside its code is not
reloaded. Events only tell when to scan; `sources.py` decides whether something has changed.
"""

import ctypes
import errno
import os
import select
import stat
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kore._cli.sources import Sources, is_source, is_source_directory
from kore._process.privsep import load_libc

# Seconds between two scans without inotify; more if a scan takes long.
POLL_INTERVAL: Final = 0.2
SCAN_SHARE: Final = 10

IN_CLOSE_WRITE, IN_MOVED, IN_CREATE, IN_DELETE = 0x8, 0xC0, 0x100, 0x200
IN_DELETE_SELF, IN_MOVE_SELF, IN_UNMOUNT = 0x400, 0x800, 0x2000
IN_Q_OVERFLOW, IN_IGNORED = 0x4000, 0x8000
IN_ONLYDIR, IN_ISDIR = 0x1000000, 0x40000000
IN_NONBLOCK_CLOEXEC: Final = os.O_NONBLOCK | os.O_CLOEXEC
WATCHED: Final = (
    IN_CLOSE_WRITE | IN_MOVED | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
)
EVENT: Final = struct.Struct("iIII")
# Errors of directories that cannot be watched; their files are scanned all the same.
IGNORED_ERRORS: Final = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG)


class PollingWatcher:
    """Scans all sources at intervals."""

    def __init__(self, top: Path) -> None:
        self.sources = Sources(str(top), self.enter, self.follow)
        self.scan_time = 0.0
        self.scan()
        self.sources.take_changes()

    def enter(self, directory: str) -> None:
        """Watch a directory of the project: not needed here."""

    def follow(self, directory: str, name: str) -> None:
        """Watch a link or its target: not needed here."""

    def scan(self) -> bool:
        """Scan all sources; return whether one has changed."""
        start = time.monotonic()
        try:
            return self.sources.scan()
        finally:
            self.scan_time = time.monotonic() - start

    def wait_for_change(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds; return whether a source has changed."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            time.sleep(max(0.0, min(left, max(POLL_INTERVAL, self.scan_time * SCAN_SHARE))))
            if self.scan():
                return True
            if time.monotonic() >= deadline:
                return False

    def take_changes(self) -> list[str]:
        """Return the names of the sources that changed since the last call."""
        return self.sources.take_changes()

    def take_polling_reason(self) -> str:
        """Return, once, why it has begun to poll; nothing if it has not."""
        return ""

    def close(self) -> None:
        """Stop watching."""


class InotifyWatcher(PollingWatcher):
    """Watches with inotify; polls as soon as the kernel allows no further watches.

    Raises OSError if inotify is not available.
    """

    def __init__(self, top: Path) -> None:
        self.libc = load_libc()
        self.fd = self.libc.inotify_init1(IN_NONBLOCK_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        # Watched directories of the project, and the names of links and targets in any.
        self.directories: dict[int, str] = {}
        self.links: dict[int, set[str]] = {}
        self.polling_reason = ""
        try:
            super().__init__(top)
        except OSError:
            self.close()
            raise
        if self.fd < 0:
            raise OSError(errno.ENOSPC, "inotify_add_watch")

    def scan(self) -> bool:
        """Scan all sources; watch new directories and links, and forget removed ones."""
        before = self.directories.keys() | self.links.keys()
        self.directories, self.links = {}, {}
        changed = super().scan()
        for number in before - (self.directories.keys() | self.links.keys()):
            if self.fd >= 0:
                self.libc.inotify_rm_watch(self.fd, number)
        return changed

    def enter(self, directory: str) -> None:
        """Watch a directory of the project."""
        number = self.watch(directory)
        if number >= 0:
            self.directories[number] = directory

    def follow(self, directory: str, name: str) -> None:
        """Watch a link, or what it leads to, by the directory it is in."""
        number = self.watch(directory)
        if number >= 0:
            self.links.setdefault(number, set()).add(name)

    def watch(self, directory: str) -> int:
        """Watch a directory; return the watch descriptor, or -1 if that fails."""
        if self.fd < 0:
            return -1
        number: int = self.libc.inotify_add_watch(self.fd, os.fsencode(directory), WATCHED)
        if number < 0 and ctypes.get_errno() not in IGNORED_ERRORS:
            self.polling_reason = os.strerror(ctypes.get_errno())
            self.close()
        return number

    def wait_for_change(self, timeout: float) -> bool:
        """Wait at most *timeout* seconds; return whether a source has changed."""
        if self.fd < 0:
            return super().wait_for_change(timeout)
        waiter = select.poll()
        waiter.register(self.fd, select.POLLIN)
        if not waiter.poll(timeout * 1000):
            return False
        relevant = [self.is_relevant(*event) for event in self._read_events()]
        return any(relevant) and self.scan()

    def _read_events(self) -> Iterator[tuple[int, int, str]]:
        """Yield watch descriptor, mask and name of each event."""
        try:
            data = os.read(self.fd, 1 << 16)
        except BlockingIOError:
            return
        at = 0
        while at < len(data):
            number, mask, _, length = EVENT.unpack_from(data, at)
            at += EVENT.size
            yield number, mask, os.fsdecode(data[at : at + length].rstrip(b"\0"))
            at += length

    def is_relevant(self, number: int, mask: int, name: str) -> bool:
        """Return whether an event may be about a source."""
        if mask & (IN_Q_OVERFLOW | IN_UNMOUNT):
            return True
        if mask & IN_IGNORED:
            return False
        if name in self.links.get(number, ()) or not name:
            return True
        directory = self.directories.get(number)
        if directory is None:
            return False
        if mask & IN_ISDIR:
            return is_source_directory(directory, name)
        path = os.path.join(directory, name)  # noqa: PTH118
        if mask & IN_CREATE:
            # For a regular file another event follows when it has been written.
            return _is_link(path)
        return is_source(name) or _is_link(path)

    def take_polling_reason(self) -> str:
        """Return, once, why it has begun to poll; nothing if it has not."""
        reason, self.polling_reason = self.polling_reason, ""
        return reason

    def close(self) -> None:
        """Stop watching."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def _is_link(path: str) -> bool:
    """Return whether a path is a symbolic link, or has several hard links."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISLNK(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink > 1)


def open_watcher(top: Path) -> PollingWatcher:
    """Return a watcher of the sources below a directory."""
    try:
        return InotifyWatcher(top)
    except (OSError, AttributeError):
        return PollingWatcher(top)
