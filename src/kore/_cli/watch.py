"""Notice when files of a project change: by inotify, or by looking where there is none.

What is watched are sources, not all files: an application that writes a database or a log beside
its code must not be loaded anew for it.
"""

import ctypes
import errno
import os
import select
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kore._process.privsep import libc

SUFFIXES: Final = frozenset(
    {
        *(".py", ".pyx", ".so"),
        *(".conf", ".toml", ".ini", ".yaml", ".yml", ".env"),
        *(".html", ".htm", ".j2", ".jinja", ".jinja2", ".mako"),
    }
)
# Directories that hold no source of the project; those that begin with a dot neither.
IGNORED: Final = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist"})
VENV: Final = "pyvenv.cfg"
# Between two looks without inotify; more for a large project.
LOOK: Final = 0.2
LOOKING_SHARE: Final = 10

IN_ATTRIB, IN_CLOSE_WRITE, IN_MOVED, IN_CREATE, IN_DELETE = 0x4, 0x8, 0xC0, 0x100, 0x200
IN_DELETE_SELF, IN_MOVE_SELF, IN_Q_OVERFLOW, IN_IGNORED = 0x400, 0x800, 0x4000, 0x8000
IN_ONLYDIR, IN_ISDIR = 0x1000000, 0x40000000
IN_NONBLOCK_CLOEXEC: Final = os.O_NONBLOCK | os.O_CLOEXEC
WATCHED: Final = (
    IN_CLOSE_WRITE | IN_MOVED | IN_CREATE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR
)
EVENT: Final = struct.Struct("iIII")


def matters(name: str) -> bool:
    """Whether a file of that name is a source; what editors leave beside one is not."""
    return not name.startswith((".#", ".~")) and os.path.splitext(name)[1] in SUFFIXES  # noqa: PTH122


def enters(parent: str, name: str) -> bool:
    """Whether a directory may hold sources of the project."""
    if name.startswith(".") or name in IGNORED:
        return False
    return not os.path.exists(os.path.join(parent, name, VENV))  # noqa: PTH110, PTH118


def walk(top: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each directory that matters, and its sources."""
    for directory, below, files in os.walk(top):
        below[:] = [name for name in below if enters(directory, name)]
        yield directory, [name for name in files if matters(name)]


class Inotify:
    """Asks the kernel. OSError: it has no inotify, or no more of it for us."""

    def __init__(self, top: Path) -> None:
        self.libc = libc()
        self.fd = self.libc.inotify_init1(IN_NONBLOCK_CLOEXEC)
        if self.fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self.directories: dict[int, str] = {}
        self.top = str(top)
        try:
            self.add(self.top)
        except OSError:
            os.close(self.fd)
            raise

    def add(self, top: str) -> bool:
        """Watch a directory and those below it. Returns whether there are sources in them."""
        seen = False
        for directory, files in walk(top):
            # The watch first: a file written after it is an event, one before is listed.
            number = self.libc.inotify_add_watch(self.fd, os.fsencode(directory), WATCHED)
            if number >= 0:
                self.directories[number] = directory
            elif ctypes.get_errno() not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                raise OSError(ctypes.get_errno(), "inotify_add_watch")
            seen = seen or bool(files)
        return seen

    def changed(self, seconds: float) -> bool:
        """Wait so long at most; return whether a source has changed."""
        waiter = select.poll()
        waiter.register(self.fd, select.POLLIN)
        if not waiter.poll(seconds * 1000):
            return False
        changes = [self.noted(*event) for event in self.events()]
        return any(changes)

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

    def noted(self, number: int, mask: int, name: str) -> bool:
        """Take one event; return whether it is about a source."""
        if mask & IN_Q_OVERFLOW:
            return True
        directory = self.directories.get(number, "")
        if mask & IN_IGNORED:
            self.directories.pop(number, None)
            return False
        if mask & IN_ISDIR:
            fresh = mask & (IN_CREATE | IN_MOVED) and enters(directory, name)
            # One that goes takes its sources along, and says so only when it is moved away.
            return bool(fresh) and self.add(os.path.join(directory, name))  # noqa: PTH118
        # A file that is created is told again when it has been written.
        return bool(name) and matters(name) and bool(mask & ~IN_CREATE)

    def close(self) -> None:
        """Watch no more."""
        os.close(self.fd)


class Looking:
    """Looks at all files now and then."""

    def __init__(self, top: Path) -> None:
        self.top = str(top)
        self.took = 0.0
        self.seen = self.look()

    def look(self) -> dict[str, tuple[int, int, int]]:
        """Return what there is."""
        start, found = time.monotonic(), {}
        for directory, files in walk(self.top):
            for name in files:
                path = os.path.join(directory, name)  # noqa: PTH118
                try:
                    stat = os.stat(path)  # noqa: PTH116
                except OSError:
                    continue
                found[path] = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
        self.took = time.monotonic() - start
        return found

    def changed(self, seconds: float) -> bool:
        """Wait so long at most; return whether a source has changed."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            time.sleep(max(0.0, min(left, max(LOOK, self.took * LOOKING_SHARE))))
            before, self.seen = self.seen, self.look()
            if before != self.seen:
                return True
            if time.monotonic() >= until:
                return False

    def close(self) -> None:
        """Look no more."""


def watcher(top: Path) -> Inotify | Looking:
    """Return what notices changes below a directory."""
    try:
        return Inotify(top)
    except (OSError, AttributeError):
        return Looking(top)
