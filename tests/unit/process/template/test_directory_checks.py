"""Checks of directories: of filemaps, and for request bodies."""

import os
import stat
from pathlib import Path

import pytest

from kore._conf.schema import Config
from kore._conf.settings import Settings
from kore._process.template.directory_checks import check_directories
from kore.errors import ConfigError
from tests.helpers.conf import config, domain, get_error

NOBODY = 65534


def check(settings: Settings, place: str = "http_body_disk_offload") -> list[str]:
    """Return the errors of directories that settings name."""
    try:
        check_directories(
            Config(settings=settings, servers=(), domains=(), setting_places={place: "app.py:3"})
        )
    except ConfigError as error:
        return [str(error)]
    return []


def refused(path: object) -> list[str]:
    return check(Settings(http_body_disk_offload=1, http_body_disk_path=str(path)))


def test_a_directory_that_cannot_be_made_is_refused_where_it_was_set() -> None:
    given = Settings(http_body_disk_offload=1, http_body_disk_path="/missing/bodies")
    words = (
        "app.py:3: http_body_disk_path /missing/bodies: there is no directory /missing: make it, "
        "or name another one"
    )

    assert check(given, "http_body_disk_path") == refused("/missing/bodies") == [words]


def test_a_file_is_no_directory() -> None:
    assert refused("/dev/null") == ["app.py:3: http_body_disk_path /dev/null is not a directory"]


@pytest.mark.parametrize("name", ["", "made-later"])
def test_a_directory_that_is_not_writable_is_refused(name: str) -> None:
    user = os.geteuid()
    place = "/usr"
    if user == 0:  # who may write everywhere
        os.seteuid(NOBODY)
    try:
        said = refused(os.path.join(place, name) if name else place)  # noqa: PTH118
    finally:
        os.seteuid(user)

    shown = f"{place}/{name}" if name else place
    (why,) = said
    words = f"app.py:3: http_body_disk_path {shown}: {place} is not writable (Permission denied): "
    assert why == words + "name a directory in which workers may make files"


@pytest.mark.parametrize("path", ["/proc", "/proc/nope"])
def test_a_read_only_file_system_is_refused_for_root_too(path: str) -> None:
    (said,) = refused(path)

    assert said.startswith(f"app.py:3: http_body_disk_path {path}: /proc is not writable (")


@pytest.mark.parametrize("mode", [0o777, 0o775, 0o733, 0o770])
def test_a_directory_that_others_can_write_to_is_refused(tmp_path: Path, mode: int) -> None:
    tmp_path.chmod(mode)
    (said,) = refused(tmp_path)
    assert said == (
        f"app.py:3: http_body_disk_path {tmp_path}: other users may write to it (mode {mode:o}), "
        "and it has no sticky bit: name a directory that only this user can write to (mode 700)"
    )
    tmp_path.chmod(mode | stat.S_ISVTX)
    assert refused(tmp_path) == []


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o1777])
def test_a_directory_of_another_user_is_refused(tmp_path: Path, mode: int) -> None:
    if os.geteuid():
        pytest.skip("only root can give a directory away")
    directory = tmp_path / "theirs"
    directory.mkdir()
    directory.chmod(mode)
    os.chown(directory, NOBODY, NOBODY)
    (tmp_path / "link").symlink_to(directory)
    for path in (directory, tmp_path / "link"):
        (said,) = refused(path)
        assert said == (
            f"app.py:3: http_body_disk_path {path}: it belongs to another user ({NOBODY}): name a "
            "directory that only this user can write to (mode 700)"
        )


def test_a_directory_of_root_with_the_sticky_bit_is_accepted() -> None:
    assert refused("/tmp") == []


def test_the_check_leaves_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(tmp_path) == refused(tmp_path / "bodies") == []
    # A file system that has no files without names.
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)
    assert refused(tmp_path) == refused(tmp_path / "bodies") == []

    assert list(tmp_path.iterdir()) == []


def test_an_inaccessible_directory_is_refused(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root has directories that this user may not look into")
    tmp_path.chmod(0o700)
    os.seteuid(NOBODY)
    try:
        (said,) = refused(tmp_path / "x" / "y")
    finally:
        os.seteuid(0)

    assert "Permission denied" in said


def test_a_directory_for_bodies_is_not_checked_without_bodies_in_files() -> None:
    given = Settings(http_body_disk_path="/missing/bodies")

    assert check(given, "http_body_disk_path") == []


# Filemaps


def refused_map(directory: object) -> str:
    """Return the error of a filemap of a directory."""
    return get_error(check_directories, config(domain(f"filemap /css/ {directory}")))


def test_the_directory_of_a_filemap_exists(tmp_path: Path) -> None:
    check_directories(config(domain(f"filemap /css/ {tmp_path}")))


def test_a_missing_directory_of_a_filemap_is_refused_where_it_was_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    label = "failed to create filemap /css/->{} for *: "

    missing = refused_map("none")
    assert label.format("none") in missing
    assert missing.startswith("kore.conf:")
    assert missing.endswith(f"there is no {tmp_path / 'none'}")
    assert refused_map("file").endswith(label.format("file") + "it is not a directory")
    assert refused_map("x" * 300).endswith("File name too long")


def test_all_missing_directories_are_reported() -> None:
    found = config(domain("filemap /a/ /missing/a\nfilemap /b/ /missing/b"))

    message = get_error(check_directories, found)

    assert message.startswith("2 errors in the configuration:\n")
    assert message.count("failed to create filemap") == 2
