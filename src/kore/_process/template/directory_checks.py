"""Checks of the directories that a configuration names: of filemaps, and for request bodies.

They look at the disk, so the template makes them, after the application is loaded.
"""

from pathlib import Path

from kore._conf.diagnostics import Diagnostics, shorten_path
from kore._conf.schema import Config, Route
from kore._http.body.spool_directory import check_writable, describe_distrust
from kore.errors import ConfigError


def check_directories(config: Config) -> None:
    """Raise ConfigError, with all errors, if a directory is missing or not fit for its purpose."""
    problems = Diagnostics()
    if config.settings.http_body_disk_offload:
        places = config.setting_places
        where = places.get("http_body_disk_path", places.get("http_body_disk_offload", ""))
        with problems.collect_errors(where):
            _check_body_directory(config.settings.http_body_disk_path)
    for domain in config.domains:
        for route in domain.routes:
            if route.files:
                with problems.collect_errors(route.where):
                    _check_filemap(route, domain.name)
    problems.raise_if_any()


def _check_filemap(route: Route, domain: str) -> None:
    """Raise ConfigError if the directory of a filemap does not exist."""
    try:
        reason = "" if Path(route.files).is_dir() else _describe_missing(Path(route.files))
    except OSError as error:
        reason = str(error.strerror)
    if reason:
        label = f"{route.path}->{shorten_path(route.files)} for {domain}"
        raise ConfigError(f"failed to create filemap {label}: {reason}")


def _describe_missing(directory: Path) -> str:
    """Return why a path is not a directory."""
    return "it is not a directory" if directory.exists() else f"there is no {directory}"


def _check_body_directory(path: str) -> None:
    """Raise ConfigError if request bodies cannot be stored in a directory, or not safely.

    A directory that does not exist is made later; then its parent must be writable.
    """
    shown, place = shorten_path(path), Path(path)
    try:
        there = place.exists()
        if there and not place.is_dir():
            raise ConfigError(f"http_body_disk_path {shown} is not a directory")
        place = place if there else place.parent
        if not place.is_dir():
            raise ConfigError(
                f"http_body_disk_path {shown}: there is no directory {place}: make it, or name "
                "another one"
            )
        reason = describe_distrust(place.stat()) if there else ""
    except OSError as error:
        raise ConfigError(f"http_body_disk_path {shown}: {error.strerror}") from None
    if reason:
        raise ConfigError(
            f"http_body_disk_path {shown}: {reason}: name a directory that only this user "
            "can write to (mode 700)"
        )
    try:
        check_writable(place)
    except OSError as error:
        raise ConfigError(
            f"http_body_disk_path {shown}: {place} is not writable ({error.strerror}): name a "
            "directory in which workers may make files"
        ) from None
