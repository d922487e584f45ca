"""Which directory is a project, what its application is, and whether its server runs."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kore._cli.project import CONF, NoProjectError, Project, find_current_project

APP = "import kore\nkore.server(path='@x', tls=False)\nkore.config.pidfile = 'own.pid'\n"
# Holds the lock of a pid file, as a server does.
HOLD = """
import sys
from kore._process.parent.pidfile import Pidfile
pidfile = Pidfile()
assert pidfile.write(sys.argv[1]) == ""
print("locked", flush=True)
sys.stdin.read()
"""


def write(directory: Path, **files: str) -> None:
    for name, text in files.items():
        (directory / name.replace("_py", ".py").replace("kore_conf", CONF)).write_text(text)


@pytest.mark.parametrize(
    ("files", "app", "conf"),
    [
        ({"app_py": ""}, "app.py", ""),
        ({"__init___py": ""}, "HERE", ""),
        ({"app_py": "", "__init___py": ""}, "HERE", ""),
        ({"kore_conf": ""}, "", "kore.conf"),
        ({"app_py": "", "kore_conf": "workers 1\n"}, "app.py", "kore.conf"),
        ({"app_py": "", "kore_conf": "python_import ./app.py\n"}, "", "kore.conf"),
    ],
)
def test_a_project_is_an_application_or_a_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], app: str, conf: str
) -> None:
    write(tmp_path, **files)
    monkeypatch.chdir(tmp_path)
    found = find_current_project()

    assert (found.directory, found.conf) == (tmp_path, conf)
    assert found.app == app.replace("HERE", str(tmp_path))
    assert found.name == tmp_path.name


def test_another_directory_is_no_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(NoProjectError, match=f"{tmp_path} is not a project: it has no app.py"):
        find_current_project()


def test_a_working_directory_that_is_gone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    with pytest.raises(NoProjectError, match="the working directory is gone"):
        find_current_project()


@pytest.mark.parametrize(
    ("app", "conf", "arguments"),
    [
        ("app.py", "", ["--", "app.py"]),
        ("", "kore.conf", ["-c", "kore.conf", "--"]),
        ("app.py", "kore.conf", ["-c", "kore.conf", "--", "app.py"]),
    ],
)
def test_arguments_for_kore(tmp_path: Path, app: str, conf: str, arguments: list[str]) -> None:
    assert Project(tmp_path, app, conf).kore_arguments == arguments


def test_a_configuration_is_loaded_as_plain_values(tmp_path: Path) -> None:
    write(tmp_path, app_py="print('hello')\n" + APP)
    plain = Project(tmp_path, "app.py", "").load_plain()

    assert plain["servers"][0]["address"]["path"] == "@x"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("1 / 0\n", "ZeroDivisionError"),
        (APP + "print('hello', end='')\n", "prints while it is loaded"),
    ],
)
def test_a_configuration_that_cannot_be_loaded_is_told(
    tmp_path: Path, source: str, words: str
) -> None:
    write(tmp_path, app_py=source)

    with pytest.raises(NoProjectError, match=words):
        Project(tmp_path, "app.py", "").load_plain()


def test_a_configuration_that_takes_too_long_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def expire(*arguments: Any, **options: Any) -> None:
        raise subprocess.TimeoutExpired("check", 30)

    monkeypatch.setattr(subprocess, "run", expire)

    with pytest.raises(NoProjectError, match="not loaded within 30 s"):
        Project(tmp_path, "app.py", "").load_plain()


def test_the_pid_file_may_be_configured(tmp_path: Path) -> None:
    write(tmp_path, app_py=APP)
    project = Project(tmp_path, "app.py", "")

    assert project.find_pidfiles() == [tmp_path / "kore.pid", tmp_path / "own.pid"]
    write(tmp_path, app_py="1 / 0\n")
    assert project.find_pidfiles() == [tmp_path / "kore.pid"]


def test_a_server_is_found_by_the_lock_of_its_pid_file(tmp_path: Path) -> None:
    write(tmp_path, app_py=APP)
    project = Project(tmp_path, "app.py", "")
    assert project.find_server() == (0, tmp_path / "kore.pid")
    for name in ("own.pid", "kore.pid"):
        with subprocess.Popen(
            [sys.executable, "-c", HOLD, tmp_path / name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as server:
            assert server.stdout is not None
            assert server.stdin is not None
            assert server.stdout.readline() == b"locked\n"
            assert project.find_server() == (server.pid, tmp_path / name)
            server.stdin.close()
