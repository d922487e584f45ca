"""Notice when sources of a project change: by inotify, or by looking where there is none.

What is watched are sources, not all files: an application that writes a database or a log beside
its code must not be loaded anew for it. Events only say when to look; what `sources.py` finds
then decides.
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

from kore._cli.sources import Sources, enters, matters
from kore._process.privsep import load_libc

# Between two looks without inotify; more for a large project.
LOOK: Final = 0.2
LOOKING_SHARE: Final = 10

IN_CLOSE_WRITE, IN_MOVED, IN_CREATE, IN_DELETE = 0x8, 0xC0, 0x100, 0x200
IN_DELETE_SELF, IN_MOVE_SELF, IN_UNMOUNT = 0x400, 0x800, 0x2000
IN_Q_OVERFLOW, IN_IGNORED = 0x4000, 0x8000
IN_ONLYDIR, IN_ISDIR = 0x1000000, 0x40000000
IN_NONBLOCK_CLOEXEC: Final = os.O_NONBLOCK | os.O_CLOEXEC
WATCHED: Final = (
    IN_CLOSE_WRITE | IN_MOVED | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
)
EVENT: Final = struct.Struct("iIII")
# What a directory may be that there is no watching of; its files are looked at all the same.
PASSED_OVER: Final = (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP, errno.ENAMETOOLONG)


class Looking:
    """Looks at all files now and then."""

    def __init__(self, top: Path) -> None:
        self.sources = Sources(str(top), self.enter, self.follow)
        self.took = 0.0
        self.look()
        self.sources.take()

    def enter(self, directory: str) -> None:
        """Watch a directory of the project: not needed here."""

    def follow(self, directory: str, name: str) -> None:
        """Watch a link or its target: not needed here."""

    def look(self) -> bool:
        """Look at all files once; return whether a source has changed."""
        start = time.monotonic()
        try:
            return self.sources.scan()
        finally:
            self.took = time.monotonic() - start

    def changed(self, seconds: float) -> bool:
        """Wait so long at most; return whether a source has changed."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            time.sleep(max(0.0, min(left, max(LOOK, self.took * LOOKING_SHARE))))
            if self.look():
                return True
            if time.monotonic() >= until:
                return False

    def take(self) -> list[str]:
        """Return the names of the sources that changed since the last call."""
        return self.sources.take()

    def why_looking(self) -> str:
        """Return why it began to look only now, once; nothing if it did not."""
        return ""

    def close(self) -> None:
        """Look no more."""


class Inotify(Looking):
    """Asks the kernel, and only looks when it has no more watches for us.

    OSError: it has no inotify, or no more of it from the start.
    """

    def __init__(self, top: Path) -> None:
        self.libc = load_libc()
        self.fd = self.libc.inotify_init1(IN_NONBLOCK_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        # Watched directories of the project, and the names of links and targets in any.
        self.directories: dict[int, str] = {}
        self.links: dict[int, set[str]] = {}
        self.why = ""
        try:
            super().__init__(top)
        except OSError:
            self.close()
            raise
        if self.fd < 0:
            raise OSError(errno.ENOSPC, "inotify_add_watch")

    def look(self) -> bool:
        """Look at all files, watch what came and forget what went."""
        before = self.directories.keys() | self.links.keys()
        self.directories, self.links = {}, {}
        changed = super().look()
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
        """Return the number of the watch of a directory; -1: it is not watched."""
        if self.fd < 0:
            return -1
        number: int = self.libc.inotify_add_watch(self.fd, os.fsencode(directory), WATCHED)
        if number < 0 and ctypes.get_errno() not in PASSED_OVER:
            self.why = os.strerror(ctypes.get_errno())
            self.close()
        return number

    def changed(self, seconds: float) -> bool:
        """Wait so long at most; return whether a source has changed."""
        if self.fd < 0:
            return super().changed(seconds)
        waiter = select.poll()
        waiter.register(self.fd, select.POLLIN)
        if not waiter.poll(seconds * 1000):
            return False
        relevant = [self.is_relevant(*event) for event in self.events()]
        return any(relevant) and self.look()

    def events(self) -> Iterator[tuple[int, int, str]]:
        """Yield what has happened."""
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
            return enters(directory, name)
        path = os.path.join(directory, name)  # noqa: PTH118
        if mask & IN_CREATE:
            # Anything else that is created is told again when it has been written.
            return is_link(path)
        return matters(name) or is_link(path)

    def why_looking(self) -> str:
        """Return why it began to look only now, once; nothing if it did not."""
        why, self.why = self.why, ""
        return why

    def close(self) -> None:
        """Watch no more."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def is_link(path: str) -> bool:
    """Return whether there is a symbolic link, or another hard link to a file."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISLNK(status.st_mode) or (stat.S_ISREG(status.st_mode) and status.st_nlink > 1)


def watcher(top: Path) -> Looking:
    """Return what notices changes below a directory."""
    try:
        return Inotify(top)
    except (OSError, AttributeError):
        return Looking(top)
