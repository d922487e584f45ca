"""What the commands show: all of it, readable again in any locale, or an error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONF = """
python_import ./pages.py
server plain {
    bind 127.0.0.1 0
    tls no
}
domain * {
    attach plain
    route ^/user$ {
        handler index
    }
}
"""
KORE = [sys.executable, "-m", "kore"]
KODEV = [sys.executable, "-c", "from kore._cli.kodev import run_command; run_command()"]
COMMANDS = [
    [*KORE, "-h"],
    [*KORE, "-v"],
    [*KORE, "-t", "-c", "kore.conf"],
    [*KORE, "--print-config", "-c", "kore.conf"],
    [*KODEV, "help"],
    [*KODEV, "info"],
]


def project_at(place: Path) -> Path:
    """Write a project, and return where it is."""
    (place / "kore.conf").write_text(CONF)
    (place / "pages.py").write_text("def index(req): ...\n")
    return place


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with a configuration and a module."""
    return project_at(tmp_path)


named = pytest.mark.parametrize("command", COMMANDS, ids=lambda words: " ".join(words[-3:]))


def run(command: list[str], place: Path, redirection: str) -> subprocess.CompletedProcess[str]:
    """Run a command with its standard output somewhere else, and buffered."""
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirection}', "sh", *command],
        cwd=place,
        env={**os.environ, "PYTHONUNBUFFERED": ""},
        stderr=subprocess.PIPE,
        text=True,
        timeout=30,
    )


@named
@pytest.mark.parametrize(
    ("redirection", "reason"), [(">/dev/full", "No space left on device"), (">&-", "it is closed")]
)
def test_unwritable_output_is_an_error(
    project: Path, command: list[str], redirection: str, reason: str
) -> None:
    done = run(command, project, redirection)

    program = "kodev" if command[0] == KODEV[0] and "kodev" in command[2] else "kore"
    assert done.returncode == 1
    assert done.stderr.splitlines() == [f"{program}: cannot write to standard output: {reason}"]


@named
def test_closed_reader_is_an_error(project: Path, command: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as out:
        done = subprocess.run(
            command, cwd=project, stdout=out, stderr=subprocess.PIPE, text=True, timeout=30
        )

    assert done.returncode == 1
    assert "cannot write to standard output: Broken pipe" in done.stderr
    assert "Traceback" not in done.stderr


@named
def test_closed_standard_error_does_not_change_the_status(
    project: Path, command: list[str]
) -> None:
    assert run(command, project, ">/dev/null 2>&-").returncode == 0
    assert run([*KORE, "--nonsense"], project, "2>&-").returncode == 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_configuration_is_printed_as_utf8(project: Path, encoding: str) -> None:
    (project / "kore.conf").write_text(
        CONF.replace("plain", "café") + 'pidfile "${0xDCE9}${0x0A}pid"\n'
    )
    command = [*KORE, "--print-config", "-c"]
    env = {**os.environ, "PYTHONIOENCODING": encoding, "LC_ALL": "C", "PYTHONUTF8": "0"}
    first = subprocess.run([*command, "kore.conf"], cwd=project, env=env, capture_output=True)
    printed = first.stdout.decode()
    (project / "printed.conf").write_text(printed, encoding="utf-8")

    second = subprocess.run([*command, "printed.conf"], cwd=project, env=env, capture_output=True)

    assert "café" in printed
    assert 'pidfile "${0xDCE9}${0x0A}pid"\n' in printed
    assert second.stdout == first.stdout


@pytest.mark.parametrize("kind", ["fifo", "device", "directory"])
@pytest.mark.parametrize("how", ["include", "-c"])
def test_only_regular_files_are_configurations(project: Path, kind: str, how: str) -> None:
    path = project / "other"
    {"fifo": os.mkfifo, "device": lambda p: p.symlink_to("/dev/zero"), "directory": Path.mkdir}[
        kind
    ](path)
    (project / "kore.conf").write_text(CONF + "include other\n")
    name = "kore.conf" if how == "include" else "other"

    done = run([*KORE, "-t", "-c", name], project, ">/dev/null")

    reason = "Is a directory" if kind == "directory" else "it is not a regular file"
    assert done.returncode == 1
    assert reason in done.stderr
    assert "other" in done.stderr


def test_values_of_variables_are_escaped_in_messages(project: Path) -> None:
    (project / "kore.conf").write_text(
        CONF + 'workers "$BAD"\nhttp_server_version "$BAD"\ninclude "$BAD"\n$BAD\n'
    )
    value = "a\nother.conf:1: forged \x1b[31m\u2028"
    done = subprocess.run(
        [*KORE, "-t", "-c", "kore.conf"],
        cwd=project,
        env={**os.environ, "BAD": value},
        capture_output=True,
        text=True,
        timeout=30,
    )

    lines = done.stderr.splitlines()
    assert done.returncode == 1
    assert lines[0] == "fatal: 4 errors in the configuration:"
    assert len(lines) == 5
    assert all(line.startswith("kore.conf:1") for line in lines[1:])
    assert "forged \\x1b[31m\\u2028" in done.stderr
