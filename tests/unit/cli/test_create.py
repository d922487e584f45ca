"""`kodev create` writes all files of a project, or none."""

from pathlib import Path

import pytest

from kore._cli.create import create_project
from kore._cli.project import NoProjectError
from kore._cli.skeleton import render_files


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["shop", "a", "Web-Shop_2", "x" * 64])
def test_a_project_has_all_files(here: Path, name: str) -> None:
    made = create_project(name)

    assert made == [Path(name) / path for path in render_files(name)]
    assert all(path.read_text() for path in made)


@pytest.mark.parametrize("name", ["", "2shop", "-x", "a b", "a/b", "..", "ä", "class", "x" * 65])
def test_an_invalid_name_is_refused(here: Path, name: str) -> None:
    with pytest.raises(NoProjectError, match="is not a name for a project"):
        create_project(name)
    assert list(here.iterdir()) == []


def test_what_exists_is_left_as_it_is(here: Path) -> None:
    (here / "shop").mkdir()

    with pytest.raises(NoProjectError, match="shop exists already"):
        create_project("shop")
    assert list((here / "shop").iterdir()) == []


def test_a_directory_that_cannot_be_made_is_told(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = here / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    with pytest.raises(NoProjectError, match="cannot make shop: No such file or directory"):
        create_project("shop")


def test_half_a_project_is_removed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"one.py": "1", "below/two.py": "2", "x" * 300: "3"}
    monkeypatch.setattr("kore._cli.create.render_files", lambda _: files)

    with pytest.raises(NoProjectError, match=r"cannot write shop/x+: File name too long"):
        create_project("shop")
    assert not (here / "shop").exists()
