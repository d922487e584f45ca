"""The rules for bodies in files: a directory that can be written to, descriptors enough."""

import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from kore._conf import settings_checks
from kore._conf.diagnostics import Diagnostics
from kore._conf.settings import Settings
from kore._conf.value_types import S32

NOBODY = 65534


def found(given: Settings, place: str = "http_body_disk_offload") -> tuple[Settings, list[str]]:
    """Return the settings in force, and what is wrong with them."""
    problems = Diagnostics()
    made = settings_checks.in_force(given, {place: "app.py:3"}, problems)
    return made, problems.found


def refused(path: object) -> list[str]:
    return found(Settings(http_body_disk_offload=1, http_body_disk_path=str(path)))[1]


def test_a_directory_that_cannot_be_made_is_refused_where_it_was_set() -> None:
    given = Settings(http_body_disk_offload=1, http_body_disk_path="/missing/bodies")
    words = (
        "app.py:3: http_body_disk_path /missing/bodies: there is no directory /missing: make it, "
        "or name another one"
    )

    assert found(given, "http_body_disk_path")[1] == refused("/missing/bodies") == [words]


def test_a_file_is_no_directory() -> None:
    assert refused("/dev/null") == ["app.py:3: http_body_disk_path /dev/null is no directory"]


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
def test_a_file_system_that_lets_nobody_write_is_refused_for_root_too(path: str) -> None:
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


def test_roots_directory_with_the_sticky_bit_is_taken_by_others() -> None:
    assert refused("/tmp") == []


def test_trying_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused(tmp_path) == refused(tmp_path / "bodies") == []
    # A file system that has no files without names.
    monkeypatch.setattr(os, "O_TMPFILE", os.O_DIRECTORY)
    assert refused(tmp_path) == refused(tmp_path / "bodies") == []

    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_cannot_be_looked_at_is_refused(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root has directories that this user may not look into")
    tmp_path.chmod(0o700)
    os.seteuid(NOBODY)
    try:
        (said,) = refused(tmp_path / "x" / "y")
    finally:
        os.seteuid(0)

    assert "Permission denied" in said


def test_a_directory_for_bodies_counts_only_when_there_are_some() -> None:
    given = Settings(http_body_disk_path="/missing/bodies")

    assert found(given, "http_body_disk_path") == (given, [])


def test_the_directory_for_bodies_is_found_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    given = Settings(http_body_disk_offload=1, http_body_disk_path="made/later")
    Path("made").mkdir()

    assert found(given)[0].http_body_disk_path == str(tmp_path / "made" / "later")


def test_bodies_in_files_bring_a_descriptor_for_each_connection(tmp_path: Path) -> None:
    given = Settings(
        worker_max_connections=1000, http_body_disk_offload=1, http_body_disk_path=str(tmp_path)
    )

    assert found(given)[0].worker_rlimit_nofiles == 2256
    most = replace(given, worker_max_connections=S32 - 256)
    assert found(most)[0].worker_rlimit_nofiles == S32
