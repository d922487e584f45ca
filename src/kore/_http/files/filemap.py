"""A filemap: a path of a domain, and the directory whose files are served there."""

import errno
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from kore._http.auth import authenticate_request
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

# Seconds between two looks: at the directory of a path, for a compressed version of a file.
LOOK_INTERVAL: Final = 1.0
# Files of a filemap that are remembered as having no compressed version.
UNCOMPRESSED_MAX: Final = 1024
# The cache-control of filemaps with authentication: shared caches must not store their files.
PRIVATE: Final = "private"

# Errors of exhausted resources, which may pass.
EXHAUSTION_ERRORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})

# Called with a directory's descriptor and a name. Returns the file, or None if there is none.
# Raises OSError if it cannot be opened.
OpenFile = Callable[[int, str], ResponseFile | None]


class Directory:
    """A directory, opened when the worker starts: later the path may be out of reach.

    If the path, or a symbolic link in it, leads to another directory, that one is opened.
    """

    def __init__(self, path: str, on_change: Callable[[], None]) -> None:
        self.path = path
        # Called before another directory is opened, which may get the same descriptor number.
        self.on_change = on_change
        self.fd = -1
        self.identity: tuple[int, int] | None = None
        self.next_check = 0.0
        self.check()
        if self.fd < 0:
            log.error("filemap: cannot open %s; its files are missing until it is there", path)

    def get_descriptor(self) -> int:
        """Return the descriptor; -1 while there is no such directory."""
        if monotonic() >= self.next_check:
            self.check()
        return self.fd

    def check(self) -> None:
        """Open the directory that the path leads to now, if it is another one."""
        self.next_check = monotonic() + LOOK_INTERVAL
        try:
            found = Path(self.path).stat()
            if (found.st_dev, found.st_ino) != self.identity:
                self.on_change()
                self._use(os.open(self.path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
        except OSError:
            # The open one is kept: a new one may be about to appear.
            return

    def _use(self, fd: int) -> None:
        """Use another descriptor."""
        found = os.fstat(fd)
        self.close()
        self.fd, self.identity = fd, (found.st_dev, found.st_ino)

    def close(self) -> None:
        """Close the descriptor."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd, self.identity = -1, None


@dataclass(frozen=True, slots=True)
class FilemapPolicy:
    """The settings of all filemaps of a worker."""

    types: MediaTypes
    open: OpenFile
    index: str
    suffix: str
    hidden: bool
    precompressed: bool
    cache_control: str


def build_policy(settings: "Settings", open_: OpenFile) -> FilemapPolicy:
    """Return the policy of the settings."""
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
    """The result of a look-up: directory, name of the file there, and the file if it exists."""

    fd: int
    name: str
    file: ResponseFile | None


class Filemap:
    """Responds to the requests below one path."""

    def __init__(self, route: "Route", directory: Directory, policy: FilemapPolicy) -> None:
        self.prefix = len(route.path)
        self.directory = directory
        self.policy = policy
        # Paths of other filemaps below this one, without the slash at their ends.
        self.nested_maps = route.nested_maps
        protected = route.requirements.auth is not None
        self.cache_control = PRIVATE if protected else policy.cache_control
        # Rules and routes that restrict files by their own paths.
        self.guards = route.guards
        # By extension, coding and cache-control: a few combinations.
        self.variants: dict[tuple[str, str, str], FileVariant] = {}
        # By name and codings: until when not to look for a compressed version.
        self.no_precompressed_until: dict[tuple[str, tuple[str, ...]], float] = {}

    def serve(self, request: Any) -> Any:
        """Respond with the file that a request names, or return a coroutine that does."""
        name = decode_name(request.path[self.prefix :], hidden=self.policy.hidden)
        if name is None:
            request.refuse(404)
            return None
        try:
            found = self.find(name)
            guard = self.find_guard(request, name, found) if self.guards else None
            if guard is not None:
                return run_maybe_async(self.check_guard(guard, request, name))
            self.respond(request, name, found)
        except OSError as error:
            self.fail(request, name, error)
        return None

    def find(self, name: str) -> FoundFile:
        """Look up *name*: a file, a file with the configured suffix, the index of a directory."""
        fd = self.directory.get_descriptor()
        inside = not name or name.endswith("/")
        full = name + self.policy.index if inside else name
        file = self.policy.open(fd, full)
        if file is None and self.policy.suffix and not inside:
            full = name + self.policy.suffix
            file = self.policy.open(fd, full)
        return FoundFile(fd, full, file)

    def find_guard(self, request: Any, name: str, found: FoundFile) -> "Guard | None":
        """Return the guard of a file's own path, for a request that left out index or suffix."""
        if found.file is None or found.name == name:
            return None
        path = request.path + quote(found.name[len(name) :], UNESCAPED)
        for guard in self.guards:
            if request.method in guard.methods and guard.matches(path):
                return guard if guard.status or guard.auth else None
        return None

    def check_guard(self, guard: "Guard", request: Any, name: str) -> Work[None]:
        """Apply the guard of the file's own path to a request, then respond."""
        if guard.auth is None:
            request.refuse(guard.status)
        elif (yield from authenticate_request(guard.auth, request)):
            try:
                self.respond(request, name, self.find(name), PRIVATE)
            except OSError as error:
                self.fail(request, name, error)

    def respond(self, request: Any, name: str, found: FoundFile, cache_control: str = "") -> None:
        """Respond with the result of the look-up of *name*."""
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
        """Respond with a file, or with its compressed version."""
        name = found.name
        suffix = get_extension(name)
        media = self.policy.types.get(suffix)
        if media is None:
            suffix, media = "", self.policy.types[""]
        coding = ""
        if self.policy.precompressed and not media.is_compressed:
            codings = list_accepted(request.header_values("accept-encoding"))
            if codings and self.no_precompressed_until.get((name, codings), 0.0) <= monotonic():
                file, coding = self._find_precompressed(found.fd, name, file, codings)
        key = suffix, coding, cache_control
        kind = self.variants.get(key) or self._add_variant(*key)
        send_file(request, file, kind)

    def _find_precompressed(
        self, fd: int, name: str, file: ResponseFile, codings: tuple[str, ...]
    ) -> tuple[ResponseFile, str]:
        """Return the compressed version in the first available coding, or the file itself."""
        for coding in codings:
            beside = self.policy.open(fd, name + SUFFIXES[coding])
            # An older one was made from an earlier version.
            if beside is not None and beside.is_regular and beside.mtime_ns >= file.mtime_ns:
                return beside, coding
        if len(self.no_precompressed_until) >= UNCOMPRESSED_MAX:
            self.no_precompressed_until.clear()
        self.no_precompressed_until[name, codings] = monotonic() + LOOK_INTERVAL
        return file, ""

    def _add_variant(self, suffix: str, coding: str, cache_control: str) -> FileVariant:
        """Return a new variant for an extension in the table, and keep it."""
        media = self.policy.types[suffix]
        varies = self.policy.precompressed and not media.is_compressed
        kind = FileVariant(media.type, coding, varies, cache_control)
        self.variants[suffix, coding, cache_control] = kind
        return kind

    def fail(self, request: Any, name: str, error: OSError) -> None:
        """Respond for a file that exists and cannot be opened."""
        if isinstance(error, PermissionError):
            request.refuse(403)
            return
        log.error("filemap: %s in %s: %s", name.encode(), self.directory.path, error.strerror)
        request.refuse(503 if error.errno in EXHAUSTION_ERRORS else 500)
