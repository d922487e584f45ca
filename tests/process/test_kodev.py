"""`kodev`, as somebody meets it in the first five minutes, and as somebody attacks it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from kore._cli.kodev import NATIVE, main
from kore._cli.skeleton import FILES
from kore._conf.settings import VERSION
from kore._process.parent.pidfile import find_owner
from tests.helpers import procs
from tests.helpers.fix_serve import RUNNING, Server
from tests.process.process_helpers import alive, get

KODEV = [sys.executable, "-c", "from kore._cli.kodev import run_command; run_command()"]
APP = """
import kore
kore.config.workers = 1
kore.server(ip="127.0.0.1", port=0, tls=False)

@kore.route("/", domain=kore.domain("*"), methods=["get"])
def index(req):
    req.response(200, "ANSWER")
"""


def kodev(place: Path, *arguments: str, seconds: float = 30) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KODEV, *arguments], cwd=place, capture_output=True, text=True, timeout=seconds
    )


def save(place: Path, answer: str, name: str = "app.py") -> None:
    """Write the application as careful editors do: a new file in the place of the old one."""
    (place / f"{name}.tmp~").write_text(APP.replace("ANSWER", answer))
    (place / f"{name}.tmp~").replace(place / name)


def answers(server: Server, expected: bytes) -> bool:
    with contextlib.suppress(OSError):
        return get(server, "/") == expected
    return False


@pytest.fixture
def place(tmp_path: Path) -> Path:
    directory = tmp_path / "shop"
    directory.mkdir()
    save(directory, "first")
    return directory


@contextlib.contextmanager
def run(place: Path, *arguments: str) -> Iterator[Server]:
    """Run `kodev run`; its log is beside the project, as its session is all of it."""
    server = Server([*KODEV, "run", *arguments], place, {"XDG_DATA_HOME": str(place.parent)})
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.terminate()
            server.process.wait(30)
        server.kill()


def stopped(server: Server) -> int:
    """Wait for the end of everything, and return the status."""
    status = server.process.wait(30)
    procs.until(lambda: not procs.session(server.process.pid), what="all processes gone")
    return status


Said = Callable[..., str]


@pytest.fixture
def said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Said:
    """Return what runs the command to its failure, and says what that told."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> str:
        assert main(arguments) == 1
        out, err = capsys.readouterr()
        assert out == ""
        return err

    return run


# Create


def test_created_project_is_clean_and_passes_its_tests(tmp_path: Path) -> None:
    made = kodev(tmp_path, "create", "-p", "shop")
    project = tmp_path / "shop"
    names = {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()}

    assert (made.returncode, made.stderr) == (0, "")
    assert "kodev run" in made.stdout
    assert names == set(FILES)
    for path in names:
        assert "NAME" not in (project / path).read_text()
    check = [sys.executable, "-m", "kore", "-t", "app.py"]
    run = subprocess.run(check, cwd=project, capture_output=True, text=True, timeout=30)
    assert (run.returncode, run.stdout, run.stderr) == (0, "configuration ok\n", "")
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    run = subprocess.run(tests, cwd=project, capture_output=True, text=True, timeout=60)
    assert "3 passed" in run.stdout, run.stdout
    if find_spec("ruff"):  # it comes with what `make check` needs
        style = [sys.executable, "-m", "ruff", "check", "--isolated", "."]
        assert subprocess.run(style, cwd=project, timeout=30).returncode == 0


@pytest.mark.parametrize(
    "name",
    ["../x", "a b", "é", "", ".", "a/b", "/tmp/x", "1st", "x" * 65, "class", "a\nb", "a.py", "a$b"],
)
def test_invalid_project_name_creates_nothing(said: Said, tmp_path: Path, name: str) -> None:
    err = said("create", name)

    assert "is not a name for a project" in err
    assert len(err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments", [[], ["a", "b"], ["-p"], ["-p", "-p", "a"], ["--", "a"], ["-x"]]
)
def test_wrong_arguments_of_create_create_nothing(
    said: Said, tmp_path: Path, arguments: list[str]
) -> None:
    err = said("create", *arguments)

    assert re.search("write `kodev create NAME`|unknown option", err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["directory", "file", "link"])
def test_existing_directory_is_left_alone(said: Said, tmp_path: Path, kind: str) -> None:
    shop = tmp_path / "shop"
    (tmp_path / "other").mkdir()
    {
        "directory": shop.mkdir,
        "file": shop.touch,
        "link": lambda: shop.symlink_to(tmp_path / "other"),
    }[kind]()

    assert said("create", "shop") == "kodev: shop exists already, and is left as it is\n"
    assert list((tmp_path / "other").iterdir()) == []
    assert not shop.is_dir() or list(shop.iterdir()) == []


# Run


def test_changed_source_is_served_without_failed_requests(place: Path) -> None:
    (place / ".venv").mkdir()
    (place / "env").mkdir()
    (place / "env" / "pyvenv.cfg").touch()
    with run(place) as server:
        server.learn_port()
        assert get(server, "/") == b"first"
        pid = find_owner(place / "kore.pid")
        (place / ".venv" / "x.py").write_text("x")
        (place / "env" / "x.py").write_text("x")
        (place / "data.db").write_text("x")
        save(place, "second")
        procs.until(lambda: answers(server, b"second"), what="the new code")

        assert find_owner(place / "kore.pid") == pid
        assert server.log.text().count("log=[reloading]") == 1

        (place / "app.py").write_text("x = = 1\n")
        server.log.wait("SyntaxError: invalid syntax")
        assert get(server, "/") == b"second"
        save(place, "third")
        procs.until(lambda: answers(server, b"third"), what="the mended code")
        assert find_owner(place / "kore.pid") == pid

        start = server.log.size()
        (place / "lib").mkdir()
        (place / "lib" / "words.py").write_text("")
        server.log.wait("log=[reloading]", start)
        os.killpg(server.process.pid, signal.SIGINT)
        assert stopped(server) == 0
    assert not (place / "kore.pid").exists()


def test_a_start_that_fails_is_tried_again_with_the_next_change(place: Path) -> None:
    (place / "app.py").write_text("import nowhere_to_be_found\n")
    with run(place) as server:
        server.log.wait("No module named 'nowhere_to_be_found'")
        server.log.wait("kodev: not serving: it starts again with the next change")
        save(place, "mended")
        server.learn_port()
        assert get(server, "/") == b"mended"
        server.process.send_signal(signal.SIGINT)
        assert stopped(server) == 0


def test_a_change_during_the_start_is_served(place: Path) -> None:
    (place / "app.py").write_text("import time\nprint('slow', flush=True)\ntime.sleep(60)\n")
    with run(place) as server:
        server.log.wait("slow")
        save(place, "second")
        server.learn_port()
        assert get(server, "/") == b"second"


def test_a_configuration_file_counts_and_its_arguments_are_the_applications(place: Path) -> None:
    save(place, "page", "pages.py")
    text = (place / "pages.py").read_text() + "def kore_parent_configure(args): print(args)\n"
    (place / "pages.py").write_text(text)
    (place / "app.py").unlink()
    (place / "kore.conf").write_text("python_import ./pages.py\n")
    with run(place, "x", "--y") as server:
        server.learn_port()
        server.log.wait("['kore', 'x', '--y']")
        (place / "kore.conf").write_text("python_import ./pages.py\nhttp_server_version changed\n")
        server.log.wait("log=[reloading]")
        procs.until(lambda: served_by(server) == "changed", what="the new configuration")


def served_by(server: Server) -> str | None:
    """Return the name that comes with the page."""
    with server.connect() as client:
        answer = client.ask(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    assert answer.body == b"page"
    return answer.get("server")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_run_leaves_no_files_behind(place: Path, number: int) -> None:
    with run(place) as server:
        server.learn_port()
        server.process.send_signal(number)
        server.process.wait(30)
        procs.until(lambda: not procs.session(server.process.pid), what="all processes gone")


def test_second_run_of_a_project_is_refused(place: Path) -> None:
    with run(place) as server:
        server.learn_port()
        second = kodev(place, "run")

        assert second.returncode == 1
        assert (
            f"its server runs already, as process {find_owner(place / 'kore.pid')}" in second.stderr
        )


def test_a_large_project_is_watched(place: Path) -> None:
    for number in range(100):
        directory = place / f"part{number}"
        directory.mkdir()
        for file in range(100):
            (directory / f"m{file}.py").touch()
    with run(place) as server:
        server.learn_port()
        (place / "part99" / "m99.py").write_text("x = 1\n")
        server.log.wait("log=[reloading]")
        save(place, "second")
        procs.until(lambda: answers(server, b"second"), what="the new code")


# Reload, info, clean


def test_a_running_server_is_told_to_reload(place: Path) -> None:
    with run(place) as server:
        server.learn_port()
        pid = find_owner(place / "kore.pid")
        told = kodev(place, "reload")
        server.log.wait("log=[reloading]")

        assert (told.returncode, told.stderr) == (0, "")
        assert told.stdout.startswith(f"reloading application, process {pid}; ")
        said = kodev(place, "info").stdout
        assert re.search(rf"^running +yes, process {pid}$", said, re.M)
        assert re.search(r"^application +app\.py$", said, re.M)
        assert re.search(r"^addresses +http://127\.0\.0\.1:\(any free port\)$", said, re.M)
        assert f"kore          {VERSION}\n" in said
        assert kodev(place, "clean").returncode == 0
        assert (place / "kore.pid").exists()


def test_stale_pidfile_is_ignored(place: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as bystander:
        (place / "kore.pid").write_text(f"{bystander.pid}\n")
        told = kodev(place, "reload")
        assert "running       no\n" in kodev(place, "info").stdout

        assert told.returncode == 1
        assert "shop is not running (its kore.pid was left behind" in told.stderr
        assert bystander.poll() is None
        assert alive(bystander.pid)
        bystander.kill()
    (place / "__pycache__").mkdir()
    (place / ".venv" / "__pycache__").mkdir(parents=True)
    assert kodev(place, "clean").stdout == "removed 2 things\n"
    assert not (place / "kore.pid").exists()
    assert not (place / "__pycache__").exists()
    assert (place / ".venv" / "__pycache__").exists()
    assert kodev(place, "clean").stdout == "nothing to remove\n"


def test_a_pid_file_with_another_name_is_found(place: Path) -> None:
    with (place / "app.py").open("a") as file:
        file.write('kore.config.pidfile = "mine.pid"\n')
    server = Server([sys.executable, "-m", "kore", "app.py"], place, {})
    try:
        server.learn_port()
        RUNNING.append(server)
        told = kodev(place, "reload")
        assert told.stdout.startswith(f"reloading application, process {server.process.pid};")
        server.log.wait("log=[reloading]")
        server.stop()
    finally:
        server.kill()


def test_info_reports_errors(place: Path) -> None:
    (place / "app.py").write_text("1 / 0\n")
    said = kodev(place, "info")

    assert said.returncode == 1
    assert "project       shop\n" in said.stdout
    assert "ZeroDivisionError" in said.stderr


@pytest.mark.parametrize("command", ["run", "reload", "info", "clean"])
def test_commands_outside_of_a_project_are_refused(
    said: Said, tmp_path: Path, command: str
) -> None:
    err = said(command)

    assert "is not a project" in err
    assert "kodev create NAME" in err
    assert list(tmp_path.iterdir()) == []


# The command itself


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("help", "-h", "--help"):
        assert main([word]) == 0
        out = capsys.readouterr().out
        for command in ("create", "run", "reload", "info", "clean", "Exit status:", "Environment:"):
            assert command in out
    for word in ("version", "-v", "--version"):
        assert main([word]) == 0
        assert capsys.readouterr().out == f"{VERSION} python-{sys.version.split()[0]}\n"


@pytest.mark.parametrize(
    ("arguments", "begin"),
    [
        ([], "kodev: which command?"),
        (["rum"], "kodev: unknown command 'rum': did you mean 'run'?"),
        (["buidl"], "kodev: unknown command 'buidl': did you mean 'build'?"),
        (["xyzzy"], "kodev: unknown command 'xyzzy': `kodev help` lists them"),
        (["reload", "now"], "kodev: reload takes no arguments, not 'now'"),
        *(
            ([name], f"kodev: {name} belongs to C Kore, for modules in C. Here ")
            for name in (*NATIVE, "cross-x")
        ),
    ],
)
def test_unknown_commands_are_explained(said: Said, arguments: list[str], begin: str) -> None:
    assert said(*arguments).startswith(begin)


def test_the_command_passes_its_status_on(tmp_path: Path) -> None:
    assert kodev(tmp_path, "xyzzy").returncode == 1
    assert kodev(tmp_path, "help").returncode == 0


# TLS


def curl(port: int, *options: str, host: str = "localhost") -> str:
    """Return what curl gets from the server, or the beginning of its error."""
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", *options, f"https://{host}:{port}/"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout or done.stderr[:9]


def test_run_with_tls_has_a_certificate_for_localhost(place: Path) -> None:
    ca = place.parent / "kore" / "local-ca" / "ca.pem"

    with run(place, "--tls", "--", "argument") as server:
        server.learn_port()
        port = server.address[1]
        trust = ("--cacert", str(ca))
        trusting = [curl(port, *trust, host=host) for host in ("localhost", "127.0.0.1")]
        untrusting = curl(port)
        text = server.log.text()
        server.process.terminate()
        assert stopped(server) == 0

    assert trusting == ["first", "first"]
    assert untrusting == "curl: (60"
    assert f"kodev: {ca} is a certificate authority of your own" in text
    assert f"curl --cacert {ca} https://" in text
    with run(place, "--tls") as server:
        server.learn_port()
        assert curl(server.address[1], "--cacert", str(ca)) == "first"
        assert "certificate authority of your own" not in server.log.text()


def test_run_with_tls_reloads_and_keeps_it(place: Path) -> None:
    with run(place, "--tls") as server:
        server.learn_port()
        port = server.address[1]
        save(place, "second")
        procs.until(lambda: curl(port, "-k") == "second", what="the new code over TLS")
