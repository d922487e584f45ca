import os
import re
import resource
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher
from tests.process.process_helpers import APP, answer, end, full, get, template

SERVER = 'import kore\nkore.server("http", ip="127.0.0.1", port="{port}", tls=False)\n'
DOMAIN = 'kore.domain("*", attach="http")\n'
INHERITS = """
import os, resource, sys

domain = kore.domain("*", attach="http")
SHOW = '''
import os, resource
hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
print(f"{sorted(os.sched_getaffinity(0))} {hard}")
'''

@kore.route("/proc")
async def proc(req):
    process = kore.proc([sys.executable, "-c", SHOW])
    text = await process.recv(1000)
    req.response(200, text.strip() if await process.reap() == 0 else b"failed")

@kore.route("/fork")
def fork(req):
    out, into = os.pipe()
    if os.fork() == 0:
        os.dup2(into, 1)
        exec(SHOW)
        sys.stdout.flush()
        os._exit(0)
    os.close(into)
    text = os.read(out, 1000)
    os.close(out)
    os.wait()
    req.response(200, text.strip())
"""
STARTING = "kore 0.1.0 starting"


def kore(*arguments: str, cwd: Path, module: bool = True) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "kore"] if module else ["kore"]
    return subprocess.run(
        [*command, *arguments], cwd=cwd, capture_output=True, text=True, timeout=30
    )


def failed(source: str, cwd: Path) -> str:
    """Start an application that cannot be started; return what was said."""
    (cwd / "app.py").write_text(textwrap.dedent(source))
    run = kore("app.py", cwd=cwd)
    said = run.stdout + run.stderr
    assert run.returncode == 1, said
    assert "_process" not in said, f"frames of ours in\n{said}"
    assert "all worker processes started" not in said
    return said


@pytest.mark.parametrize(
    ("source", "reasons"),
    [
        ("x = (\n", ["SyntaxError: ", "fatal: app.py: failed to import module"]),
        ("import no_such_module\n", ["ModuleNotFoundError: No module named 'no_such_module'"]),
        ("def f():\n    1 / 0\nf()\n", ["line 2, in f", "ZeroDivisionError"]),
        (
            "def kore_parent_configure(args):\n    raise OSError('no disk')\n",
            [
                "in kore_parent_configure",
                "OSError: no disk",
                "fatal: failed to configure your application",
            ],
        ),
        ("import kore\nkore.config.workers = 0\n", ["bad value '0' for workers: 1..255"]),
        ("import kore\nkore.fatal('no licence')\n", ["no licence"]),
        ("import sys\nsys.exit(3)\n", ["ended itself while it was loaded, with status 3"]),
        ("import sys\nsys.exit('not today')\n", ["not today"]),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", ["killed by SIGSEGV"]),
        ("import os\nos._exit(9)\n", ["exited with status 9"]),
    ],
)
def test_failing_application_ends_the_start(
    tmp_path: Path, source: str, reasons: list[str]
) -> None:
    said = failed(source, tmp_path)

    for reason in reasons:
        assert said.count(reason) == 1, said


def test_missing_application_ends_the_start(tmp_path: Path) -> None:
    run = kore("missing.py", cwd=tmp_path)

    assert run.returncode == 1
    assert run.stderr == "fatal: missing.py: no such file\n"


def test_used_port_ends_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = failed(SERVER.format(port=port) + DOMAIN, tmp_path)

    assert f"failed to bind to '127.0.0.1:{port}': Address already in use" in said


def test_port_of_another_kore_ends_the_start(serve: Launcher, tmp_path: Path) -> None:
    """Of the same user, and sharing its port among its workers: the kernel would allow it."""
    server = serve(APP)
    said = failed(SERVER.format(port=server.address[1]) + DOMAIN, tmp_path)

    assert "Address already in use" in said
    assert get(server)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("raise ValueError('no database')", "ValueError: no database"),
        ("import os; os._exit(5)", "exited with status 5"),
        ("kore.fatal('no database')", "fatal: no database"),
        ("kore.fatalx('no database')", "fatal: no database"),
    ],
)
def test_a_worker_that_fails_to_start_ends_the_start(
    tmp_path: Path, body: str, reason: str
) -> None:
    source = SERVER.format(port=0) + (
        "class App:\n"
        "    def configure(self, args):\n"
        '        kore.domain("*", attach="http")\n'
        "        kore.config.workers = 2\n"
        "    def workerstart(self):\n"
        f"        {body}\n"
        "koreapp = App()\n"
    )
    said = failed(source, tmp_path)

    assert reason in said
    assert re.search(r"^worker [12] failed to start: exited with status", said, re.MULTILINE)


def test_with_a_log_file_the_reason_is_told_in_both_places(tmp_path: Path) -> None:
    source = SERVER.format(port=0) + (
        'kore.config.logfile = "kore.log"\n'
        "class App:\n"
        "    def configure(self, args):\n"
        '        kore.domain("*", attach="http")\n'
        "    def workerstart(self):\n"
        "        raise ValueError('no database')\n"
        "koreapp = App()\n"
    )
    said = failed(source, tmp_path)
    log = (tmp_path / "kore.log").read_text()

    for text in (said, log):
        assert "ValueError: no database" in text
        assert "failed to start" in text


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ('logfile = "missing/kore.log"', "logfile missing/kore.log: No such file or directory"),
        ('deployment = "production"', "needs chroot and a switch of user"),
    ],
)
def test_impossible_setting_ends_the_start(tmp_path: Path, setting: str, reason: str) -> None:
    said = failed(SERVER.format(port=0) + DOMAIN + f"kore.config.{setting}\n", tmp_path)

    assert f"fatal: {reason}" in said or reason in said


def test_low_descriptor_limit_is_reported(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(SERVER.format(port=0) + DOMAIN)
    run = subprocess.run(
        ["sh", "-c", f"ulimit -n 10; exec {sys.executable} -m kore app.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert run.returncode == 1
    assert "Too many open files" in run.stderr
    assert "Traceback" not in run.stdout + run.stderr


def test_a_failed_start_leaves_no_process_and_no_pid_file(tmp_path: Path) -> None:
    source = SERVER.format(port=0) + (
        'kore.config.pidfile = "kore.pid"\n'
        "import os\n"
        "class App:\n"
        "    def configure(self, args):\n"
        '        kore.domain("*", attach="http")\n'
        "        kore.config.workers = 4\n"
        "    def workerstart(self):\n"
        "        if kore.worker() == 3: raise ValueError('three')\n"
        "koreapp = App()\n"
    )
    (tmp_path / "app.py").write_text(source)
    with subprocess.Popen(
        [sys.executable, "-m", "kore", "app.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        said, _ = process.communicate(timeout=30)

    assert process.returncode == 1, said
    procs.until(lambda: not procs.session(process.pid), what="all processes gone")
    assert not (tmp_path / "kore.pid").exists()


def test_stop_during_loading_ends_the_server(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("import time\nprint('loading', flush=True)\ntime.sleep(100)\n")
    with subprocess.Popen(
        [sys.executable, "-m", "kore", "app.py"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        while "loading" not in process.stdout.readline():
            pass
        process.terminate()

        assert process.wait(30) == 0
    procs.until(lambda: not procs.session(process.pid), what="all processes gone")


def test_startup_log_has_its_lines_in_order(serve: Launcher) -> None:
    server = serve(APP, settings={"workers": 2})
    lines = [line.partition(" UTC ")[2] for line in server.log.text().splitlines()]
    first, second = server.workers

    assert re.fullmatch(rf"proc=\[parent\] log=\[{STARTING}, process \d+\]", lines[0])
    assert sorted(lines[1:3]) == sorted(
        f"proc=[wrk {number}] log=[started (#{pid})]" for number, pid in ((1, first), (2, second))
    )
    assert lines[3:] == [
        f"proc=[parent] log=[http serving http on 127.0.0.1:{server.address[1]}]",
        "proc=[parent] log=[all worker processes started]",
    ]


def test_processes_have_titles(serve: Launcher) -> None:
    server = serve("kore.setname('shop')\n" + APP)

    assert procs.title(server.worker) == "shop [wrk 1]"
    assert "template" in procs.title(template(server))
    assert Path(f"/proc/{server.process.pid}/comm").read_text() == "kore [parent]\n"


def test_workers_are_spread_over_the_processors(serve: Launcher) -> None:
    allowed = sorted(os.sched_getaffinity(0))
    server = serve(APP, settings={"workers": 3})
    expected = sorted(allowed[number % len(allowed)] for number in (1, 2, 3))

    assert sorted(min(os.sched_getaffinity(pid)) for pid in server.workers) == expected
    assert all(len(os.sched_getaffinity(pid)) == 1 for pid in server.workers)


def test_workers_are_not_pinned_without_affinity(serve: Launcher) -> None:
    server = serve(APP, settings={"worker_set_affinity": 0})

    assert os.sched_getaffinity(server.worker) == os.sched_getaffinity(0)


def test_worker_limits_are_set(serve: Launcher) -> None:
    server = serve(APP, settings={"worker_rlimit_nofiles": 300, "worker_max_connections": 100})
    limits = Path(f"/proc/{server.worker}/limits").read_text()
    files = re.search(r"Max open files +(\d+) +(\d+)", limits)

    assert re.search(r"Max core file size +0 +0 ", limits)
    assert files is not None
    assert 300 < int(files[1]) < 320
    assert int(files[2]) == resource.getrlimit(resource.RLIMIT_NOFILE)[1]


def test_child_of_a_worker_has_the_servers_cpus_and_limits(serve: Launcher) -> None:
    server = serve(INHERITS, settings={"worker_rlimit_nofiles": 300, "worker_max_connections": 100})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    wanted = f"{sorted(os.sched_getaffinity(0))} {hard}".encode()

    assert get(server, "/proc") == get(server, "/fork") == wanted
    assert len(os.sched_getaffinity(server.worker)) == 1


def test_parent_loads_only_the_standard_library(serve: Launcher) -> None:
    server = serve(APP)
    maps = Path(f"/proc/{server.process.pid}/maps").read_text()
    loaded = set(re.findall(r"\S+/(\S+?)\.\S*so", maps))

    assert loaded, "an interpreter has extension modules"
    assert not loaded & {"setproctitle", "_setproctitle", "loop", "_asyncio"}
    assert "/kore/_core/" not in maps


def test_a_worker_that_accepts_nothing_has_no_listening_socket(serve: Launcher) -> None:
    server = serve(APP, settings={"workers": 2, "worker_no_accept": 1})
    one, two = sorted(full(server, 2), key=lambda pid: procs.title(pid))

    assert {int(get(server)) for _ in range(10)} == {two}
    assert one != two


def test_a_thread_started_on_import_is_worth_a_warning(serve: Launcher) -> None:
    server = serve(
        """
        import threading, time
        threading.Thread(target=time.sleep, args=(60,), daemon=True, name="poller").start()
        kore.domain("*", attach="http")
        """
    )

    server.log.wait("importing the application started a thread (poller)")


def test_server_runs_with_closed_standard_streams(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import kore\n"
        'kore.server("http", path="kore.sock", tls=False)\n'
        'domain = kore.domain("*", attach="http")\n'
        'domain.route("/", lambda req: req.response(200, b"fine"), methods=["get"])\n'
        "kore.config.workers = 1\n"
    )
    command = f"exec {sys.executable} -m kore app.py <&- >&- 2>&-"
    with subprocess.Popen(["sh", "-c", command], cwd=tmp_path) as process:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(30)
        procs.until(lambda: connected(client, tmp_path / "kore.sock"), what="a socket")
        client.sendall(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")

        assert answer(client).endswith(b"fine")
        for pid in (process.pid, *procs.children(process.pid)):
            assert procs.descriptors(pid).count("/dev/null") == 3
        process.terminate()
        assert process.wait(30) == 0


def connected(client: socket.socket, path: Path) -> bool:
    """Try to connect; the path is there before anybody listens."""
    try:
        client.connect(str(path))
    except (FileNotFoundError, ConnectionRefusedError):
        return False
    return True


def test_prints_of_an_application_appear_once(serve: Launcher) -> None:
    server = serve(
        "print('imported', end=' ')\n" + APP, settings={"workers": 3}, PYTHONUNBUFFERED=""
    )
    assert end(server, signal.SIGTERM) == 0

    assert server.log.text().count("imported") == 1
