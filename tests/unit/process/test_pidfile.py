import os
import signal
import subprocess
import sys
from pathlib import Path

from kore._process.pidfile import Pidfile, owner, tell

HOLD = """
import signal, sys
from kore._process.pidfile import Pidfile
pidfile = Pidfile()
print(repr(pidfile.write(sys.argv[1])), flush=True)
signal.sigwait([signal.SIGHUP])
print("told", flush=True)
sys.stdin.read()
"""


def test_a_pid_file_holds_our_pid_and_goes_with_us(tmp_path: Path) -> None:
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

    asked = f"from kore._process.pidfile import *; print(owner(Path({str(path)!r})))"
    run = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    assert int(run.stdout) == os.getpid()
    pidfile.remove()


def test_the_holder_of_a_file_is_told_and_nobody_else(tmp_path: Path) -> None:
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

        assert owner(path) == holder.pid
        assert Pidfile().write(str(path)) == (
            f"couldn't write pid to {path} (process {holder.pid} is a server with that file)"
        )
        holder.stdin.close()
        holder.kill()
        holder.wait()

    assert owner(path) == 0
    assert tell(path, signal.SIGHUP) == 0


def test_a_file_left_behind_is_about_nobody(tmp_path: Path) -> None:
    path = tmp_path / "kore.pid"
    path.write_text(f"{os.getppid()}\n")

    assert tell(path, signal.SIGKILL) == 0
    assert tell(tmp_path / "missing", signal.SIGKILL) == 0
    assert tell(tmp_path, signal.SIGKILL) == 0
    os.mkfifo(tmp_path / "pipe")
    assert tell(tmp_path / "pipe", signal.SIGKILL) == 0
    assert Pidfile().write(str(path)) == ""
