"""`kore -t` and `kore --print-config`: everything is loaded, nothing is started."""

import shutil
from pathlib import Path

import pytest

from tests.helpers.served_certificates import SessionCertificates
from tests.process.conf_project import CONF, PRIVSEP, kore, project, serving

__all__ = ["project"]


def test_check_starts_no_process(project: Path) -> None:
    (project / "kore.conf").write_text(CONF + "logfile ./log\npidfile ./pid\nssl_dhparam X\n")

    run = kore(project, "-t", "-c", "kore.conf", "x")

    assert (run.returncode, run.stdout) == (0, "configure ['kore', 'x']\nconfiguration ok\n")
    assert run.stderr.splitlines() == [
        "kore.conf:24: ssl_dhparam is an old spelling, write `tls_dhparam X`",
        "kore.conf:24: tls_dhparam has no effect: key exchange is by elliptic curves only",
    ]
    assert not (project / "log").exists()
    assert not (project / "pid").exists()


def test_a_check_works_while_the_server_runs(project: Path) -> None:
    with serving(project, "-c", "kore.conf") as server:
        port = str(server.address[1])
        (project / "kore.conf").write_text(CONF.replace("127.0.0.1 0", f"127.0.0.1 {port}"))

        assert kore(project, "-t", "-c", "kore.conf").returncode == 0


SERVER = (
    "import kore\nkore.server(ip='::1', port=0, tls=False)\n"
    "kore.domain('*').route('/', lambda req: None)\n"
)
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
        (SERVER.replace("False", "True"), "fatal: app.py:3: no keywords for TLS enabled domain *"),
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


LOGGED = SERVER + "kore.domain('*', 'default', accesslog=PATH)\n"


@pytest.mark.parametrize("path", ["nowhere/log", ".", "app.py/log"])
def test_unopenable_log_is_refused_by_check_and_start(
    tmp_path: Path, path: str
) -> None:
    for source in (LOGGED.replace("PATH", repr(path)), f"{SERVER}kore.config.logfile = '{path}'\n"):
        (tmp_path / "app.py").write_text(source)

        tried, started = kore(tmp_path, "-t", "app.py"), kore(tmp_path, "app.py")

        assert (tried.returncode, started.returncode) == (1, 1)
        reason = tried.stderr.strip().removeprefix("fatal: ")
        assert path in reason
        assert reason in started.stdout + started.stderr


def test_printed_configuration_is_equivalent(project: Path) -> None:
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


UNNAMED = """
import kore
kore.server("x", ip="::1", port=1, tls=False)
def named(req, value=""): ...
site = kore.domain("*", attach="x")
site.route("/a", ROUTE)
site.route("/b", named)
"""


@pytest.mark.parametrize(
    ("route", "line", "refused"),
    [
        ("lambda req: None", "# handler: ", "route '/a': no handler"),
        (
            'named, auth={"type": "header", "value": "x", "verify": lambda *_: True}',
            'authenticate "',
            "route '/a': unknown authentication 'not expressible in a file: <lambda> at app.py:6'",
        ),
        ('named, methods=["get"], get={"p": lambda *_: True}', 'validate get p "', "validator"),
        (
            'named, methods=["get"], get={"p": __import__("re").compile("x$")}',
            'validate get p "not expressible in a file: a compiled regular expression, \'x$$\'"',
            "validator",
        ),
        ('named, methods=["get"], get={"p": "x"}, head={}', 'validate head ? "', "validator"),
    ],
)
def test_nameless_handlers_are_printed_with_a_warning(
    tmp_path: Path, route: str, line: str, refused: str
) -> None:
    (tmp_path / "app.py").write_text(UNNAMED.replace("ROUTE", route))

    run = kore(tmp_path, "--print-config", "app.py")

    assert run.returncode == 0
    assert run.stderr.startswith("route '/a': ")
    assert "the printed file will be refused" in run.stderr
    assert line in run.stdout
    assert "    route /b {\n        handler named\n    }\n" in run.stdout
    (tmp_path / "printed.conf").write_text(run.stdout)
    again = kore(tmp_path, "-t", "-c", "printed.conf")
    assert again.returncode == 1
    assert refused in again.stderr


EXAMPLES = sorted((Path(__file__).parents[2] / "examples").iterdir())


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_printed_example_is_equivalent(
    tmp_path: Path, example: Path, certificates: SessionCertificates
) -> None:
    tls = certificates.server()
    files = {"CERT": tls.certificate, "KEY": tls.key}  # of the example with TLS
    shutil.copytree(example, tmp_path / "x")
    conf = (tmp_path / "x" / "kore.conf").exists()
    what = ["-c", "kore.conf"] if conf else ["app.py"]
    first = kore(tmp_path / "x", "--print-config", *what, **files)
    (tmp_path / "x" / "printed.conf").write_text(first.stdout)

    second = kore(tmp_path / "x", "--print-config", "-c", "printed.conf")

    assert first.returncode == 0
    assert "refused" not in first.stderr
    assert "route " in first.stdout
    assert second.stdout == first.stdout
    assert (second.returncode, second.stderr) == (0, first.stderr)


FULL = """
import kore
import views
kore.config.workers = 3
kore.setname("shop")
kore.tracer(views.tracer)

@kore.prerequest
def everybody(req): ...

async def task(): ...
kore.task_create(task())

class App:
    def configure(self, args):
        kore.server("http", ip="127.0.0.1", port=0, tls=False)
        kore.privsep("worker", skip=["chroot"])
        site = kore.domain("*", attach="http")
        auth = {"type": "cookie", "value": "session", "verify": self.who, "redirect": "/login"}
        site.route("/", views.page, methods=["get"], auth=auth, strict=True, required=["id"],
            get={"id": "^[0-9]+$", "q": views.valid})
        site.route("/login", self.page, methods=["post"], post={"id": "^[0-9]+$"}, qs={"id": "x y"})
    def who(self, req, value): ...
    def page(self, req): ...

koreapp = App()
"""
VIEWS = "def page(req): ...\ndef valid(req, value): ...\ndef tracer(*error): ...\n"


def test_python_application_is_printed_completely(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(FULL)
    (tmp_path / "views.py").write_text(VIEWS)
    first = kore(tmp_path, "-nr", "--print-config", "app.py")
    (tmp_path / "printed.conf").write_text(first.stdout)

    second = kore(tmp_path, "-nr", "--print-config", "-c", "printed.conf")

    assert (first.returncode, first.stderr) == (0, "")
    assert second.stdout == first.stdout
    assert first.stdout.partition("python_configure no\n")[2] == PRINTED


PRINTED = """\
python_import ./app.py
# prerequest everybody: set by its module
# tracer views.tracer: the same
# task task: the same

privsep worker {
    skip chroot
}

server http {
    bind 127.0.0.1 0
    tls no
}

validator session function koreapp.who
validator id regex ^[0-9]+$
validator q function views.valid
validator id_2 regex "x y"

authentication session {
    authentication_type cookie
    authentication_value session
    authentication_validator session
    authentication_uri /login
}

domain * {
    attach http
    route / {
        handler views.page
        methods get head
        strict yes
        authenticate session
        validate get id id required
        validate get q q
    }
    route /login {
        handler koreapp.page
        methods post
        validate qs:post id id_2
        validate post id id
    }
}
"""


def test_modules_that_may_not_configure_keep_other_functions(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(FULL)
    (tmp_path / "views.py").write_text(VIEWS)
    (tmp_path / "kore.conf").write_text(
        "python_configure no\npython_import app.py\nworkers 1\nserver a {\nbind ::1 0\ntls no\n}\n"
    )

    run = kore(tmp_path, "--print-config", "-c", "kore.conf")

    assert run.returncode == 0
    assert run.stdout.startswith("workers 1\n")
    assert "# prerequest everybody" in run.stdout
    assert "# task task" in run.stdout
    assert "\ndomain" not in run.stdout
    assert "server http" not in run.stdout


def test_python_configure_value_is_checked(tmp_path: Path) -> None:
    (tmp_path / "kore.conf").write_text("python_configure perhaps\n")

    run = kore(tmp_path, "-t", "-c", "kore.conf")

    assert "kore.conf:1: invalid 'perhaps' for yes|no python_configure option" in run.stderr
