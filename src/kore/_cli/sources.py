"""The source files of a project: find them, and find which have changed.

Contents are compared: a file that is written again without a change has not changed. Symbolic links
to files and directories are followed, also out of the project.
"""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

SUFFIXES: Final = frozenset(
    {
        *(".py", ".pyx", ".so"),
        *(".conf", ".toml", ".ini", ".yaml", ".yml", ".env"),
        *(".html", ".htm", ".j2", ".jinja", ".jinja2", ".mako"),
    }
)
DOTENV: Final = ".env"
# `.env.local` is a source, what editors leave beside `.env` is not.
BACKUPS: Final = ("~", ".swp", ".swo", ".swx", ".tmp", ".bak", ".orig", ".new")
# Directories that hold no source of the project; those that begin with a dot neither.
IGNORED: Final = frozenset({"__pycache__", "node_modules", "site-packages", "build", "dist"})
VENV: Final = "pyvenv.cfg"
# Of larger files size and times are compared, not the content.
CONTENT_MAX: Final = 4 * 1024 * 1024
# As in Linux: more links in a row are an error (ELOOP).
LINKS_MAX: Final = 40
# Directories followed beyond one link: a link may lead to a large file system.
LINKED_DIRECTORIES_MAX: Final = 2000
# Two writes closer together may leave the same times (a tick of the kernel's coarse clock).
SAME_TIME_NS: Final = 50_000_000

Follow = Callable[[str, str], object]


def is_source(name: str) -> bool:
    """Return whether a file of that name is a source; backups of editors are not."""
    if name.startswith((".#", ".~")):
        return False
    if name == DOTENV or (name.startswith(f"{DOTENV}.") and not name.endswith(BACKUPS)):
        return True
    return os.path.splitext(name)[1] in SUFFIXES  # noqa: PTH122


def is_source_directory(parent: str, name: str) -> bool:
    """Return whether a directory may hold sources of the project."""
    if name.startswith(".") or name in IGNORED:
        return False
    return not os.path.exists(os.path.join(parent, name, VENV))  # noqa: PTH110, PTH118


def _follow_links(path: str) -> Iterator[tuple[str, str]]:
    """Yield directory and name of each symbolic link on a path, and of its target."""
    done, waiting, links = os.sep, path.split(os.sep)[::-1], 0  # noqa: PTH206 - `..` counts
    while waiting:
        part = waiting.pop()
        if part in ("", "."):
            continue
        if part == "..":
            done = os.path.dirname(done)  # noqa: PTH120
            continue
        here = os.path.join(done, part)  # noqa: PTH118
        try:
            target = os.readlink(here)  # noqa: PTH115
        except OSError:
            done = here
            continue
        yield done, part
        links += 1
        if links > LINKS_MAX:
            return
        done = os.sep if target.startswith(os.sep) else done
        waiting += target.split(os.sep)[::-1]  # noqa: PTH206
    yield os.path.dirname(done), os.path.basename(done)  # noqa: PTH119, PTH120


@dataclass(frozen=True, slots=True)
class SourceState:
    """State of a source when it was last read."""

    # Inode, size and times; None if it was read so shortly after a change that these may stay
    # the same in the next one.
    stamp: tuple[int, ...] | None
    content: bytes


def _read_state(path: str, before: SourceState | None) -> SourceState | None:
    """Return the state of a file, read only if it changed since *before*; None if it is missing."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except OSError:
        return None
    stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    if before is not None and before.stamp == stamp:
        return before
    recent = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) < SAME_TIME_NS
    return SourceState(None if recent else stamp, _hash_content(path, status))


def _hash_content(path: str, status: os.stat_result) -> bytes:
    """Return the hash of a file; size and times if it is large or cannot be read."""
    plain = f"{stat.S_IFMT(status.st_mode)} {status.st_size} {status.st_mtime_ns}".encode()
    if not stat.S_ISREG(status.st_mode) or status.st_size > CONTENT_MAX:
        return plain
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return hashlib.blake2b(file.read(CONTENT_MAX), digest_size=16).digest()
    except OSError:
        return plain


class LinkBudget:
    """How many directories may still be entered beyond one link."""

    def __init__(self) -> None:
        self.left = LINKED_DIRECTORIES_MAX

    def is_spent(self) -> bool:
        """Count a directory; return whether that is too many."""
        self.left -= 1
        return self.left < 0


class Sources:
    """The sources below a directory, compared with those of the last take_changes().

    *enter* is called with each directory before it is listed, *follow* with directory and name of
    each link and its target before that is read, so that a watch of them misses no change.
    """

    def __init__(self, top: str, enter: Callable[[str], object], follow: Follow) -> None:
        self.top = top
        self.enter = enter
        self.follow = follow
        self.now: dict[str, SourceState] = {}
        self.reported: dict[str, SourceState] = {}

    def scan(self) -> bool:
        """Read all sources again; return whether one changed since the last scan."""
        before, self.now = self.now, {}
        for path in self.walk():
            state = _read_state(path, before.get(path))
            if state is not None:
                self.now[path] = state
        return bool(_find_differences(before, self.now))

    def take_changes(self) -> list[str]:
        """Return the sources that changed since the last call, relative to the project."""
        changed = _find_differences(self.reported, self.now)
        self.reported = self.now
        return [os.path.relpath(path, self.top) for path in changed]

    def walk(self) -> Iterator[str]:
        """Yield the path of each source."""
        # The directories above, so that a link to one of them is not followed.
        seen = set(_list_parents(self.top))
        # Links come last, so that a file that is also reached without them is found by its name.
        waiting: list[tuple[str, LinkBudget | None]] = [(self.top, None)]
        links: list[tuple[str, LinkBudget | None]] = []
        while waiting or links:
            directory, budget = waiting.pop() if waiting else links.pop()
            if not _is_new(directory, seen) or (budget is not None and budget.is_spent()):
                continue
            self.enter(directory)
            for entry in _list_entries(directory):
                if entry.is_symlink() and (is_source(entry.name) or _is_directory(entry)):
                    self._report_links(entry.path)
                if not _is_directory(entry):
                    if is_source(entry.name):
                        yield entry.path
                elif is_source_directory(directory, entry.name):
                    if entry.is_symlink():
                        links.append((entry.path, budget or LinkBudget()))
                    else:
                        waiting.append((entry.path, budget))

    def _report_links(self, path: str) -> None:
        """Call *follow* for all links that a path leads through."""
        for directory, name in _follow_links(path):
            self.follow(directory, name)


def _find_differences(before: dict[str, SourceState], now: dict[str, SourceState]) -> list[str]:
    """Return the files that were added, removed or changed."""
    return sorted(
        path
        for path in before.keys() | now.keys()
        if path not in before or path not in now or before[path].content != now[path].content
    )


def _list_parents(top: str) -> Iterator[tuple[int, int]]:
    """Yield device and inode of the directories that contain *top*."""
    here = os.path.realpath(top)
    while here != os.path.dirname(here):  # noqa: PTH120
        here = os.path.dirname(here)  # noqa: PTH120
        status = os.stat(here)  # noqa: PTH116
        yield status.st_dev, status.st_ino


def _is_new(directory: str, seen: set[tuple[int, int]]) -> bool:
    """Return whether a directory exists and has not been *seen*, and add it."""
    try:
        status = os.stat(directory)  # noqa: PTH116
    except OSError:
        return False
    key = (status.st_dev, status.st_ino)
    fresh = key not in seen
    seen.add(key)
    return fresh


def _list_entries(directory: str) -> list["os.DirEntry[str]"]:
    """Return the entries of a directory; none if it cannot be read."""
    try:
        with os.scandir(directory) as entries:
            return list(entries)
    except OSError:
        return []


def _is_directory(entry: "os.DirEntry[str]") -> bool:
    """Return whether an entry is a directory or a link to one."""
    try:
        return entry.is_dir()
    except OSError:
        return False
