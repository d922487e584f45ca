"""Checks of settings beside one another, and the values that follow from others."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from kore._conf.diagnostics import Diagnostics, make_absolute
from kore._conf.settings import SPARE_DESCRIPTORS, Settings
from kore.errors import ConfigError

DESCRIPTORS_MAX: Final = 2**31 - 1
DEVELOPMENT: Final = ("dev", "development")


def resolve_settings(
    given: Settings, places: Mapping[str, str], problems: Diagnostics, *, files: bool = False
) -> Settings:
    """Return the settings as they take effect, and report those that contradict others.

    *places* has the place of each setting that was changed. With *files* every connection may hold
    a file open while it is sent.
    """
    for name, where in places.items():
        with problems.collect_errors(where):
            if name in CHECKS:
                CHECKS[name](given)
    if given.http_body_disk_offload:
        # Absolute: workers may have another working directory.
        given = replace(given, http_body_disk_path=make_absolute(given.http_body_disk_path))
    if given.deployment in DEVELOPMENT and "http_hsts_enable" not in places:
        # A browser that has seen the field once would insist on TLS for a year.
        given = replace(given, http_hsts_enable=0)
    if "worker_rlimit_nofiles" in places:
        return given
    wanted = max(given.worker_rlimit_nofiles, _count_descriptors(given, files=files))
    return replace(given, worker_rlimit_nofiles=wanted)


def _count_descriptors(given: Settings, *, files: bool) -> int:
    """Return the number of descriptors that a worker needs.

    Every connection may have its body in a file, and every response may be a file.
    """
    each = 1 + bool(given.http_body_disk_offload) + files
    return min(given.worker_max_connections * each + SPARE_DESCRIPTORS, DESCRIPTORS_MAX)


def _check_no_accept(given: Settings) -> None:
    """Raise ConfigError for numbers without a worker, or if no worker is left to accept."""
    for number in given.worker_no_accept:
        if number > given.workers:
            raise ConfigError(f"bad value '{number}' for worker_no_accept: 1..{given.workers}")
    if len(set(given.worker_no_accept)) == given.workers:
        raise ConfigError("worker_no_accept names every worker: none is left to accept")


def _check_media_types(given: Settings) -> None:
    """Raise ConfigError for an extension with two types."""
    seen: set[str] = set()
    for extension in (ext for row in given.http_media_type for ext in row.split()[1:]):
        if extension in seen:
            raise ConfigError(f"duplicate extension found '{extension}' in http_media_type")
        seen.add(extension)


def _check_filemap_names(given: Settings) -> None:
    """Raise ConfigError for names that would lead out of a directory."""
    for name in ("filemap_index", "filemap_ext"):
        value = getattr(given, name)
        if "/" in value or value in {".", ".."}:
            raise ConfigError(f"bad value '{value}' for {name}: a name without slashes")


def _check_filemap_charset(given: Settings) -> None:
    """Raise ConfigError if the setting is not the name of a charset."""
    if given.filemap_charset and not re.fullmatch(r"[A-Za-z0-9._:+-]+", given.filemap_charset):
        raise ConfigError(f"bad value '{given.filemap_charset}' for filemap_charset: a name")


CHECKS: Final[Mapping[str, Callable[[Settings], None]]] = {
    "worker_no_accept": _check_no_accept,
    "http_media_type": _check_media_types,
    "filemap_index": _check_filemap_names,
    "filemap_ext": _check_filemap_names,
    "filemap_charset": _check_filemap_charset,
}
