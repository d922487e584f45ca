"""What the settings must fulfil beside one another, and which of them nobody reads yet."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from kore._conf.diagnostics import Diagnostics
from kore._conf.settings import SPARE_DESCRIPTORS, Settings
from kore._conf.source_location import absolute
from kore._http.body.spool_directory import distrust, try_out
from kore.errors import ConfigError

# Settings of what is still to come, and of what only C Kore has: nobody reads them.
NO_EFFECT: Final = frozenset(
    {
        "acme_email",
        "acme_provider",
        "http_hsts_enable",
        "pledge",
        "rand_file",
        "seccomp_tracing",
        "task_threads",
        "tls_cipher",
        "tls_dhparam",
        "tls_version",
    }
)
DEFAULTS: Final = Settings()
DESCRIPTORS_MAX: Final = 2**31 - 1


def in_force(
    given: Settings, places: Mapping[str, str], problems: Diagnostics, *, files: bool = False
) -> Settings:
    """Return the settings in force; *places* says of each that was set where.

    *files*: every connection may hold a file open while it is sent.
    """
    for name, where in places.items():
        with problems.noted(where):
            if name in RULES:
                RULES[name](given)
    if given.http_body_disk_offload:
        where = places.get("http_body_disk_path", places.get("http_body_disk_offload", ""))
        with problems.noted(where):
            body_directory(given.http_body_disk_path)
        # For processes that may be somewhere else.
        given = replace(given, http_body_disk_path=absolute(given.http_body_disk_path))
    if "worker_rlimit_nofiles" in places:
        return given
    wanted = max(given.worker_rlimit_nofiles, enough(given, files=files))
    return replace(given, worker_rlimit_nofiles=wanted)


def enough(given: Settings, *, files: bool) -> int:
    """Return how many descriptors a worker needs.

    Every connection may have its body in a file, and every answer may be a file.
    """
    each = 1 + bool(given.http_body_disk_offload) + files
    return min(given.worker_max_connections * each + SPARE_DESCRIPTORS, DESCRIPTORS_MAX)


def body_directory(path: str) -> None:
    """Refuse a directory that bodies cannot be written to. One that is not there will be made."""
    place = Path(path)
    try:
        there = place.exists()
        if there and not place.is_dir():
            raise ConfigError(f"http_body_disk_path {path} is no directory")
        place = place if there else place.parent
        if not place.is_dir():
            raise ConfigError(
                f"http_body_disk_path {path}: there is no directory {place}: make it, or name "
                "another one"
            )
        reason = distrust(place.stat()) if there else ""
    except OSError as error:
        raise ConfigError(f"http_body_disk_path {path}: {error.strerror}") from None
    if reason:
        raise ConfigError(
            f"http_body_disk_path {path}: {reason}: name a directory that only this user "
            "can write to (mode 700)"
        )
    try:
        try_out(place)
    except OSError as error:
        raise ConfigError(
            f"http_body_disk_path {path}: {place} is not writable ({error.strerror}): name a "
            "directory in which workers may make files"
        ) from None


def notices(given: Settings, places: Mapping[str, str]) -> tuple[str, ...]:
    """Return a line for each setting that was changed in vain."""
    return tuple(
        f"{where}: {name} has no effect in this version"
        for name, where in places.items()
        if name in NO_EFFECT and getattr(given, name) != getattr(DEFAULTS, name)
    )


def no_accept(given: Settings) -> None:
    """Refuse workers that are not there, and nobody left to accept."""
    for number in given.worker_no_accept:
        if number > given.workers:
            raise ConfigError(f"bad value '{number}' for worker_no_accept: 1..{given.workers}")
    if len(set(given.worker_no_accept)) == given.workers:
        raise ConfigError("worker_no_accept names every worker: none is left to accept")


def media_types(given: Settings) -> None:
    """Refuse an extension with two types."""
    seen: set[str] = set()
    for extension in (ext for row in given.http_media_type for ext in row.split()[1:]):
        if extension in seen:
            raise ConfigError(f"duplicate extension found '{extension}' in http_media_type")
        seen.add(extension)


def filemap_names(given: Settings) -> None:
    """Refuse what would lead out of a directory."""
    for name in ("filemap_index", "filemap_ext"):
        value = getattr(given, name)
        if "/" in value or value in {".", ".."}:
            raise ConfigError(f"bad value '{value}' for {name}: a name without slashes")


def filemap_charset(given: Settings) -> None:
    """Refuse what is no name of a charset."""
    if given.filemap_charset and not re.fullmatch(r"[A-Za-z0-9._:+-]+", given.filemap_charset):
        raise ConfigError(f"bad value '{given.filemap_charset}' for filemap_charset: a name")


RULES: Final[Mapping[str, Callable[[Settings], None]]] = {
    "worker_no_accept": no_accept,
    "http_media_type": media_types,
    "filemap_index": filemap_names,
    "filemap_ext": filemap_names,
    "filemap_charset": filemap_charset,
}
