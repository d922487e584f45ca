"""The commands of `kodev`, without a server."""

from pathlib import Path
from typing import Any

import pytest

from kore._cli.kodev import _describe_config, _find_leftovers, _format_url, main


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def server(*, ip: str = "", port: int = 80, path: str = "", tls: bool = False) -> dict[str, Any]:
    return {"address": {"ip": ip, "port": port, "path": path}, "tls": tls}


@pytest.mark.parametrize(
    ("configured", "url"),
    [
        (server(ip="127.0.0.1", port=8888), "http://127.0.0.1:8888"),
        (server(ip="::1", port=443, tls=True), "https://[::1]:443"),
        (server(ip="127.0.0.1", port=0), "http://127.0.0.1:(any free port)"),
        (server(path="/run/x"), "/run/x"),
    ],
)
def test_addresses_are_shown_as_urls(configured: dict[str, Any], url: str) -> None:
    assert _format_url(configured) == url


def test_what_is_not_configured_is_said() -> None:
    settings = {"workers": 2, "logfile": "", "deployment": "production"}

    assert _describe_config({"servers": [], "settings": settings}) == {
        "addresses": "none",
        "workers": "2",
        "log": "standard output, in the background syslog",
        "deployment": "production",
    }


def test_leftovers_are_found_but_not_those_of_an_environment(here: Path) -> None:
    for path in ("__pycache__", "a/__pycache__", "a/.pytest_cache", ".venv/__pycache__", "env/lib"):
        (here / path).mkdir(parents=True)
    (here / "env" / "pyvenv.cfg").touch()
    (here / "env" / "lib" / "__pycache__").mkdir()
    (here / "link").symlink_to(here / "a")

    assert sorted(_find_leftovers(here)) == sorted(
        here / path for path in ("__pycache__", "a/__pycache__", "a/.pytest_cache")
    )


def test_clean_removes_them_and_counts(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "app.py").touch()
    assert main(["clean"]) == 0
    (here / "__pycache__").mkdir()
    assert main(["clean"]) == 0
    (here / "a" / "__pycache__").mkdir(parents=True)
    (here / "__pycache__").mkdir()
    (here / "kore.pid").write_text("1\n")
    assert main(["clean"]) == 0

    assert capsys.readouterr().out == "nothing to remove\nremoved 1 thing\nremoved 3 things\n"
    assert sorted(path.name for path in here.iterdir()) == ["a", "app.py"]


@pytest.mark.parametrize("command", ["reload", "info", "clean"])
def test_a_command_without_arguments_is_given_none(
    capsys: pytest.CaptureFixture[str], command: str
) -> None:
    assert main([command, "now"]) == 1
    assert capsys.readouterr().err == f"kodev: {command} takes no arguments, not 'now'\n"


def test_a_server_that_does_not_run_is_not_reloaded(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "app.py").write_text("1 / 0\n")
    assert main(["reload"]) == 1
    (here / "kore.pid").write_text("1\n")
    assert main(["reload"]) == 1
    first, second = capsys.readouterr().err.splitlines()

    assert first == f"kodev: {here.name} is not running"
    assert second == f"{first} (its kore.pid was left behind by one that has ended)"
