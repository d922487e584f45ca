"""`kore -t` and `kore --print-config`: everything is loaded, nothing is started."""

from pathlib import Path

import pytest

from tests.process.conf_house import CONF, PRIVSEP, kore, project, serving

__all__ = ["project"]


def test_a_check_starts_nothing(project: Path) -> None:
    (project / "kore.conf").write_text(CONF + "logfile ./log\npidfile ./pid\nssl_cipher X\n")

    run = kore(project, "-t", "-c", "kore.conf", "x")

    assert (run.returncode, run.stdout) == (0, "configure ['kore', 'x']\nconfiguration ok\n")
    assert run.stderr.splitlines() == [
        "kore.conf:24: ssl_cipher is an old spelling, write `tls_cipher X`",
        "kore.conf:24: tls_cipher has no effect in this version",
    ]
    assert not (project / "log").exists()
    assert not (project / "pid").exists()


def test_a_check_works_while_the_server_runs(project: Path) -> None:
    with serving(project, "-c", "kore.conf") as server:
        port = str(server.address[1])
        (project / "kore.conf").write_text(CONF.replace("127.0.0.1 0", f"127.0.0.1 {port}"))

        assert kore(project, "-t", "-c", "kore.conf").returncode == 0


SERVER = "import kore\nkore.server(ip='::1', port=1, tls=False)\n"
THREAD = "import threading, time\nthreading.Thread(target=time.sleep, args=(60,)).start()\n"
TASK = "async def task(): ...\nkore.task_create(task())\n"


@pytest.mark.parametrize("source", [SERVER, SERVER + THREAD, SERVER + TASK])
def test_an_application_is_checked(tmp_path: Path, source: str) -> None:
    (tmp_path / "app.py").write_text(source)

    run = kore(tmp_path, "-t", "app.py", PYTHONWARNINGS="error")

    assert (run.returncode, run.stdout, run.stderr) == (0, "configuration ok\n", "")


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (SERVER.replace("False", "True"), "fatal: app.py:2: server 'default': TLS is not part of"),
        ("import kore\nkore.log(kore.LOG_INFO, 'x')\n", "x\nfatal: no server configured"),
        ("1 / 0\n", "Traceback"),
        ("import sys\nsys.exit(3)\n", "the application ended itself while it was loaded"),
        (SERVER + "kore.config.deployment = 'docker'\n", "fatal: deployment 'docker' needs chroot"),
    ],
)
def test_an_application_that_cannot_be_served_is_refused(
    tmp_path: Path, source: str, said: str
) -> None:
    (tmp_path / "app.py").write_text(source)

    run = kore(tmp_path, "-t", "app.py")

    assert run.returncode == 1
    assert run.stderr.startswith(said)
    assert run.stdout == ""


def test_what_is_printed_makes_the_same_configuration(project: Path) -> None:
    (project / "kore.conf").write_text(
        CONF.replace("tls no", "tls no\n    bind ::1 0\n    unix '@a b'")
        + "http_body_max 2m\nworkers 4\nworker_no_accept 1\nworker_no_accept 2\n"
        + 'http_server_version "my $$own"\nhttp_media_type text/x x\n'
        + PRIVSEP.replace("}", "    skip chroot\n}")
    )
    first = kore(project, "-nr", "--print-config", "-c", "kore.conf")
    assert first.returncode == 0, first.stderr
    printed = first.stdout.removeprefix("configure ['kore']\n")
    (project / "printed.conf").write_text(printed)

    second = kore(project, "-nr", "--print-config", "-c", "printed.conf")

    assert second.stdout == first.stdout
    assert "http_body_max 2097152\n" in printed
    assert 'http_server_version "my $$own"\n' in printed
    assert "worker_no_accept 1\nworker_no_accept 2\n" in printed
    assert "http_keepalive_time 20\n" in printed
    assert kore(project, "-nr", "-t", "-c", "printed.conf").returncode == 0


def test_functions_without_a_name_are_shown_in_a_comment(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        'import kore\nkore.server("x", ip="::1", port=1, tls=False)\n'
        'kore.domain("*", attach="x").route("/", lambda req: None)\n'
    )

    run = kore(tmp_path, "--print-config", "app.py")

    assert run.returncode == 0
    assert "        # handler <function <lambda> at " in run.stdout
