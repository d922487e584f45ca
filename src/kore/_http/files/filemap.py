"""A path of a domain and the directory whose files are served there."""

import errno
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from kore._http.auth import authenticate
from kore._http.files.content_encoding import SUFFIXES, list_accepted
from kore._http.files.file_response import FileVariant, ResponseFile, send_file
from kore._http.files.media import MediaTypes, build_table
from kore._http.files.safe_path import decode_name, get_extension
from kore._http.redirects import redirect_to_directory
from kore._http.sync_or_async import Work, run_maybe_async
from kore._values.paths import UNESCAPED

if TYPE_CHECKING:
    from kore._conf.schema import Guard, Route
    from kore._conf.settings import Settings

log = logging.getLogger("kore")

# Seconds for which is believed: which directory has a name, that a file has no smaller version.
LOOK_INTERVAL: Final = 1.0
# Files of a map for which a compressed version is not looked for again within that time.
UNCOMPRESSED_MAX: Final = 1024
# What a map with authentication says, whatever is said of others: caches that many share keep none.
PRIVATE: Final = "private"

# What somebody else has too much of for now.
EXHAUSTION_ERRORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})

# Called with a directory's descriptor and a name: the file, or None when there is none. Raises
# OSError for one that cannot be opened.
OpenFile = Callable[[int, str], ResponseFile | None]


class Directory:
    """A directory by its name, open from the start: what the name means may be out of reach later.

    A release that replaces the directory, or the link that leads to it, is noticed.
    """

    def __init__(self, path: str, changed: Callable[[], None]) -> None:
        self.path = path
        # Called when the descriptor, which may have the same number, is about to be another's.
        self.changed = changed
        self.fd = -1
        self.known: tuple[int, int] | None = None
        self.next_look = 0.0
        self.look()
        if self.fd < 0:
            log.error("filemap: cannot open %s; its files are missing until it is there", path)

    def descriptor(self) -> int:
        """Return its descriptor, -1 as long as there is no such directory."""
        if monotonic() >= self.next_look:
            self.look()
        return self.fd

    def look(self) -> None:
        """OpenFile the directory that has the name now, unless that is the one that is open."""
        self.next_look = monotonic() + LOOK_INTERVAL
        try:
            found = Path(self.path).stat()
            if (found.st_dev, found.st_ino) != self.known:
                self.changed()
                self.take(os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError:
            # What is open stays: the new one may be on its way.
            return

    def take(self, fd: int) -> None:
        """Have another descriptor."""
        about = os.fstat(fd)
        self.close()
        self.fd, self.known = fd, (about.st_dev, about.st_ino)

    def close(self) -> None:
        """Let go of it."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd, self.known = -1, None


@dataclass(frozen=True, slots=True)
class FilemapPolicy:
    """What all maps of a worker have in common."""

    types: MediaTypes
    open: OpenFile
    index: str
    suffix: str
    hidden: bool
    precompressed: bool
    cache_control: str


def build_policy(settings: "Settings", open_: OpenFile) -> FilemapPolicy:
    """Return what the settings say."""
    return FilemapPolicy(
        types=build_table(settings.http_media_type, settings.filemap_charset),
        open=open_,
        index=settings.filemap_index,
        suffix=settings.filemap_ext,
        hidden=settings.filemap_hidden,
        precompressed=settings.filemap_precompressed,
        cache_control=settings.filemap_cache_control,
    )


@dataclass(frozen=True, slots=True)
class FoundFile:
    """What a name leads to: the name of the file in its directory, and the file if there is one."""

    fd: int
    name: str
    file: ResponseFile | None


class Filemap:
    """Answers the requests below one path."""

    def __init__(self, route: "Route", directory: Directory, policy: FilemapPolicy) -> None:
        self.prefix = len(route.path)
        self.directory = directory
        self.policy = policy
        # Paths of other filemaps below this one, without the slash at their ends.
        self.nested_maps = route.nested_maps
        protected = route.requirements.auth is not None
        self.cache_control = PRIVATE if protected else policy.cache_control
        # What decides on files by their own paths.
        self.guards = route.guards
        # By extension, coding and cache-control, of which there are few.
        self.kinds: dict[tuple[str, str, str], FileVariant] = {}
        # Files that have no compressed version, and until when that is believed.
        self.alone: dict[tuple[str, tuple[str, ...]], float] = {}

    def serve(self, request: Any) -> Any:
        """Answer with the file a request names, or return what does so when awaited."""
        name = decode_name(request.path[self.prefix :], hidden=self.policy.hidden)
        if name is None:
            request.refuse(404)
            return None
        try:
            found = self.find(name)
            guard = self.find_guard(request, name, found) if self.guards else None
            if guard is not None:
                return run_maybe_async(self.check_guard(guard, request, name))
            self.answer(request, name, found)
        except OSError as error:
            self.fail(request, name, error)
        return None

    def find(self, name: str) -> FoundFile:
        """Return what *name* is: a file by its own name or a longer one, a directory, nothing."""
        fd = self.directory.descriptor()
        inside = not name or name.endswith("/")
        full = name + self.policy.index if inside else name
        file = self.policy.open(fd, full)
        if file is None and self.policy.suffix and not inside:
            full = name + self.policy.suffix
            file = self.policy.open(fd, full)
        return FoundFile(fd, full, file)

    def find_guard(self, request: Any, name: str, found: FoundFile) -> "Guard | None":
        """Return what protects a file by its own path, for a request that left out its end."""
        if found.file is None or found.name == name:
            return None
        path = request.path + quote(found.name[len(name) :], UNESCAPED)
        for guard in self.guards:
            if request.method in guard.methods and guard.matches(path):
                return guard if guard.status or guard.auth else None
        return None

    def check_guard(self, guard: "Guard", request: Any, name: str) -> Work[None]:
        """Ask of a request what is asked of those for the file's own path, then answer."""
        if guard.auth is None:
            request.refuse(guard.status)
        elif (yield from authenticate(guard.auth, request)):
            try:
                self.answer(request, name, self.find(name), PRIVATE)
            except OSError as error:
                self.fail(request, name, error)

    def answer(self, request: Any, name: str, found: FoundFile, cache_control: str = "") -> None:
        """Answer with what was found for *name*."""
        file = found.file
        if file is None and request.path in self.nested_maps:
            redirect_to_directory(request)
        elif file is None or not (file.is_regular or file.is_directory):
            request.refuse(404)
        elif file.is_regular:
            self.send(request, found, file, cache_control or self.cache_control)
        elif found.name != name or name.endswith("/"):
            request.refuse(404)
        else:
            redirect_to_directory(request)

    def send(self, request: Any, found: FoundFile, file: ResponseFile, cache_control: str) -> None:
        """Answer with a file, or with the smaller one beside it that has the same in it."""
        name = found.name
        suffix = get_extension(name)
        media = self.policy.types.get(suffix)
        if media is None:
            suffix, media = "", self.policy.types[""]
        coding = ""
        if self.policy.precompressed and not media.packed:
            codings = list_accepted(request.header_values("accept-encoding"))
            if codings and self.alone.get((name, codings), 0.0) <= monotonic():
                file, coding = self.smaller(found.fd, name, file, codings)
        key = suffix, coding, cache_control
        kind = self.kinds.get(key) or self.learn(*key)
        send_file(request, file, kind)

    def smaller(
        self, fd: int, name: str, file: ResponseFile, codings: tuple[str, ...]
    ) -> tuple[ResponseFile, str]:
        """Return the file in the first of *codings* that it is there in, or as it is."""
        for coding in codings:
            beside = self.policy.open(fd, name + SUFFIXES[coding])
            # An older one is of an earlier version.
            if beside is not None and beside.is_regular and beside.mtime_ns >= file.mtime_ns:
                return beside, coding
        if len(self.alone) >= UNCOMPRESSED_MAX:
            self.alone.clear()
        self.alone[name, codings] = monotonic() + LOOK_INTERVAL
        return file, ""

    def learn(self, suffix: str, coding: str, cache_control: str) -> FileVariant:
        """Remember what is said of files with an extension that the table has."""
        media = self.policy.types[suffix]
        varies = self.policy.precompressed and not media.packed
        kind = FileVariant(media.type, coding, varies, cache_control)
        self.kinds[suffix, coding, cache_control] = kind
        return kind

    def fail(self, request: Any, name: str, error: OSError) -> None:
        """Answer for a file that is there and cannot be had."""
        if isinstance(error, PermissionError):
            request.refuse(403)
            return
        log.error("filemap: %s in %s: %s", name.encode(), self.directory.path, error.strerror)
        request.refuse(503 if error.errno in EXHAUSTION_ERRORS else 500)
