import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kore._process.log.open_file import open_pidfile
from kore._process.parent.pidfile import Pidfile, find_owner, signal_owner

HOLD = """
import signal, sys
from kore._process.parent.pidfile import Pidfile
pidfile = Pidfile()
print(repr(pidfile.write(sys.argv[1])), flush=True)
signal.sigwait([signal.SIGHUP])
print("told", flush=True)
sys.stdin.read()
"""


def test_pid_file_holds_our_pid_and_is_removed(tmp_path: Path) -> None:
    pidfile = Pidfile()
    path = tmp_path / "kore.pid"

    assert pidfile.write(str(path)) == ""
    assert path.read_text() == f"{os.getpid()}\n"
    pidfile.remove()
    assert not path.exists()
    pidfile.remove()


def test_a_pid_file_of_another_server_stays(tmp_path: Path) -> None:
    pidfile = Pidfile()
    pidfile.write(str(tmp_path / "kore.pid"))
    (tmp_path / "kore.pid").write_text("1\n")
    pidfile.remove()

    assert (tmp_path / "kore.pid").read_text() == "1\n"


def test_a_pid_file_moves_with_the_setting(tmp_path: Path) -> None:
    pidfile = Pidfile()
    pidfile.write(str(tmp_path / "old.pid"))
    pidfile.write(str(tmp_path / "new.pid"))

    assert [path.name for path in tmp_path.iterdir()] == ["new.pid"]
    pidfile.write("")
    assert not list(tmp_path.iterdir())


def test_a_pid_file_that_cannot_be_written_is_a_warning() -> None:
    assert Pidfile().write("/no/such/directory/kore.pid") == (
        "couldn't write pid to /no/such/directory/kore.pid (No such file or directory)"
    )


def test_a_path_written_twice_stays_locked(tmp_path: Path) -> None:
    path = tmp_path / "kore.pid"
    pidfile = Pidfile()
    pidfile.write(str(path))
    assert pidfile.write(str(path)) == ""

    asked = f"from kore._process.parent.pidfile import *; print(find_owner(Path({str(path)!r})))"
    run = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert int(run.stdout) == os.getpid()
    pidfile.remove()


def test_only_the_process_that_holds_the_lock_is_signalled(tmp_path: Path) -> None:
    path = tmp_path / "kore.pid"
    command = [sys.executable, "-c", HOLD, str(path)]
    with subprocess.Popen(
        ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "''\n"
        # The number in the file is not what counts.
        path.write_text("1\n")

        assert find_owner(path) == holder.pid
        assert Pidfile().write(str(path)) == (
            f"couldn't write pid to {path} (process {holder.pid} is a server with that file)"
        )
        holder.stdin.close()
        holder.kill()
        holder.wait()

    assert find_owner(path) == 0
    assert signal_owner(path, signal.SIGHUP) == 0


def test_file_without_a_lock_has_no_owner(tmp_path: Path) -> None:
    path = tmp_path / "kore.pid"
    path.write_text(f"{os.getppid()}\n")

    assert signal_owner(path, signal.SIGKILL) == 0
    assert signal_owner(tmp_path / "missing", signal.SIGKILL) == 0
    assert signal_owner(tmp_path, signal.SIGKILL) == 0
    os.mkfifo(tmp_path / "pipe")
    assert signal_owner(tmp_path / "pipe", signal.SIGKILL) == 0
    assert Pidfile().write(str(path)) == ""


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("import kore\n", "does not hold a pid"),
        ("12 monkeys\n", "does not hold a pid"),
        ("1" * 100, "does not hold a pid"),
        ("1\n" * 5000, "does not hold a pid"),
    ],
)
def test_file_with_other_content_is_refused(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "app.py"
    path.write_text(content)
    pidfile = Pidfile()

    assert reason in pidfile.write(str(path))
    pidfile.remove()

    assert path.read_text() == content


@pytest.mark.parametrize("content", ["", "\n", "1234", "99999999\n"])
def test_a_file_with_a_number_or_nothing_is_overwritten(tmp_path: Path, content: str) -> None:
    path = tmp_path / "kore.pid"
    path.write_text(content)
    pidfile = Pidfile()

    assert pidfile.write(str(path)) == ""
    assert path.read_text() == f"{os.getpid()}\n"
    pidfile.remove()


@pytest.mark.parametrize("target", ["1234\n", "precious data\n", None])
def test_a_symbolic_link_is_not_followed(tmp_path: Path, target: str | None) -> None:
    path, precious = tmp_path / "kore.pid", tmp_path / "precious"
    path.symlink_to(precious)
    if target is not None:
        precious.write_text(target)
    pidfile = Pidfile()

    assert pidfile.write(str(path)) == f"couldn't write pid to {path} (it is a symbolic link)"
    pidfile.remove()

    assert path.is_symlink()
    assert precious.exists() == (target is not None)
    assert target is None or precious.read_text() == target


def test_file_that_is_not_regular_or_has_links_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "one").write_text("1\n")
    (tmp_path / "other").hardlink_to(tmp_path / "one")

    assert "it is not a regular file" in Pidfile().write(str(tmp_path / "fifo"))
    assert "Is a directory" in Pidfile().write(str(tmp_path))
    assert "hard links" in Pidfile().write(str(tmp_path / "other"))
    assert (tmp_path / "one").read_text() == "1\n"


def test_file_removed_while_it_is_opened_is_created_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kore.pid"
    opened = []

    def opened_too_early(name: str) -> int:
        fd = open_pidfile(name)
        if len(opened) < 2:
            # What another server does that ends now.
            path.unlink()
        opened.append(fd)
        return fd

    monkeypatch.setattr("kore._process.parent.pidfile.open_pidfile", opened_too_early)
    pidfile = Pidfile()

    assert pidfile.write(str(path)) == ""
    assert path.read_text() == f"{os.getpid()}\n"
    pidfile.remove()
    assert not path.exists()


@pytest.mark.parametrize("before", [None, "4711\n"])
def test_failed_write_leaves_no_empty_file(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "kore.pid"
    if before is not None:
        path.write_text(before)
    code = (
        "import resource, sys; from kore._process.parent.pidfile import Pidfile\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "print(Pidfile().write(sys.argv[1]))"
    )

    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)

    assert run.stdout == f"couldn't write pid to {path} (File too large)\n", run.stderr
    assert not path.exists()


def test_a_relative_path_stays_the_same_file_when_the_directory_is_gone(tmp_path: Path) -> None:
    place = tmp_path / "release"
    place.mkdir()
    code = (
        "import os; from kore._process.parent.pidfile import Pidfile; pidfile = Pidfile()\n"
        "print([pidfile.write('kore.pid')])\n"
        "os.remove('kore.pid'); os.rmdir(os.getcwd())\n"
        "print([pidfile.write('kore.pid')])\n"
        "pidfile.remove()"
    )

    run = subprocess.run([sys.executable, "-c", code], cwd=place, capture_output=True, text=True)

    gone = "couldn't write pid to kore.pid (No such file or directory)"
    assert run.stdout == f"['']\n[\"{gone}\"]\n", run.stderr
