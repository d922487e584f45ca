"""The real command with a configuration file: serving, hooks, modules, mistakes."""

import contextlib
import os
import signal
from http.client import HTTPConnection
from pathlib import Path

import pytest

from tests.helpers.fix_serve import Server
from tests.process.conf_project import CONF, HELLO, PRIVSEP, kore, project, serving
from tests.process.process_helpers import end, get, replaced

__all__ = ["project"]


def test_a_file_is_served(project: Path) -> None:
    with serving(project, "-c", "kore.conf") as server:
        assert get(server, "/") == b"hello world"
        assert get(server, "/user/ada") == b"hi ada"
        assert get(server, "/module") == b"hello world"


def test_include_is_relative_to_its_file(project: Path) -> None:
    conf = project / "conf"
    conf.mkdir()
    (conf / "kore.conf").write_text("workers $N\ninclude parts/rest.conf\n")
    (conf / "parts").mkdir()
    (conf / "parts" / "rest.conf").write_text(CONF.replace("workers 1\n", ""))

    run = kore(project, "--print-config", "-c", "conf/kore.conf", N="3")

    assert run.returncode == 0, run.stderr
    assert "\nworkers 3\n" in f"\n{run.stdout}"


def test_modules_have_hooks_and_onload_callbacks(project: Path) -> None:
    with serving(project, "-c", "kore.conf", "one", "-two") as server:
        text = server.log.text()
        assert "configure ['kore', 'one', '-two']" in text
        assert text.index("worker configure") < text.index("loaded(LOAD)") < text.index("serving")
        start = server.log.size()
        before = server.workers
        os.kill(server.process.pid, signal.SIGHUP)
        replaced(server, before, 1)
        server.log.wait("parent teardown", start)
        text = server.log.text(start)
        assert text.index("loaded(UNLOAD)") < text.index("worker teardown")
        start = server.log.size()
        assert end(server, signal.SIGTERM) == 0
        text = server.log.text(start)
        assert "worker teardown" in text
        assert "parent teardown" in text
        assert "UNLOAD" not in text


PROTECTED = """
validator v_id regex ^[0-9]+$
validator v_name function known
authentication key {
    authentication_type header
    authentication_value x-key
    authentication_validator secret
}
authentication session {
    authentication_type cookie
    authentication_value session
    authentication_validator v_session
}
authentication named {
    authentication_type request
    authentication_validator v_request
}
validator v_session regex ^[a-f0-9]{4}$
validator v_request function koreapp.asked
domain 127.0.0.1 {
    attach plain
    route / {
        handler shown
        methods get post
        validate get id v_id
        validate qs:post name v_name
    }
    route /in {
        handler shown
        authenticate key
    }
    route /session {
        handler shown
        authenticate session
    }
    route /request {
        handler shown
        authenticate named
    }
}
"""
SHOWN = """
def asked(req):
    return req.request_header("x-key") == "sesame"

App.asked = staticmethod(asked)

def known(req, value):
    return value == "ada"

def secret(req, value):
    return value == "sesame"

def shown(req):
    req.populate_get()
    req.response(200, f"{req.argument('id')} {req.argument('name')}")
"""


@pytest.fixture
def protected(project: Path) -> Path:
    """Return the project with validators and authentication."""
    (project / "src" / "hello.py").write_text(HELLO + SHOWN)
    (project / "kore.conf").write_text(CONF.partition("domain")[0] + PROTECTED)
    return project


def asked(server: Server, path: str, method: str = "GET", **fields: str) -> tuple[int, bytes]:
    client = HTTPConnection(*server.address, timeout=30)
    with contextlib.closing(client):
        headers = {name.replace("_", "-"): value for name, value in fields.items()}
        client.request(method, path, headers=headers)
        answer = client.getresponse()
        return answer.status, answer.read()


def test_a_file_validates_and_authenticates(protected: Path) -> None:
    with serving(protected, "-c", "kore.conf") as server:
        assert asked(server, "/?id=12&name=ada") == (200, b"12 None")
        assert asked(server, "/?id=12x") == (200, b"None None")
        assert asked(server, "/?id=12&name=ada", "POST") == (200, b"None ada")
        assert asked(server, "/?name=eve", "POST") == (200, b"None None")
        assert asked(server, "/in")[0] == 403
        assert asked(server, "/in", x_key="open")[0] == 403
        assert asked(server, "/in", x_key="sesame") == (200, b"None None")
        assert asked(server, "/request")[0] == 403
        assert asked(server, "/request", x_key="sesame")[0] == 200


def test_validator_function_can_authenticate(protected: Path) -> None:
    with serving(protected, "-c", "kore.conf") as server:
        assert asked(server, "/session")[0] == 403
        assert asked(server, "/session", Cookie="session=beef5")[0] == 403
        assert asked(server, "/session", Cookie="session=beef")[0] == 200


def test_printed_authentication_works_the_same(protected: Path) -> None:
    first = kore(protected, "--print-config", "-c", "kore.conf")
    printed = first.stdout.removeprefix("configure ['kore']\n")
    (protected / "printed.conf").write_text(printed)

    assert (first.returncode, first.stderr) == (0, "")
    assert kore(protected, "--print-config", "-c", "printed.conf").stdout == first.stdout
    with serving(protected, "-c", "printed.conf") as server:
        assert asked(server, "/?id=12&name=ada") == (200, b"12 None")
        assert asked(server, "/?id=12&name=ada", "POST") == (200, b"None ada")
        assert asked(server, "/in", x_key="open")[0] == 403
        assert asked(server, "/in", x_key="sesame") == (200, b"None None")
        assert asked(server, "/session", Cookie="session=beef5")[0] == 403
        assert asked(server, "/session", Cookie="session=beef")[0] == 200


def test_file_can_require_parameters_and_report_errors(protected: Path) -> None:
    conf = (protected / "kore.conf").read_text()
    line = "validate get id v_id"
    assert line in conf
    (protected / "kore.conf").write_text(conf.replace(line, f"{line} required\n strict yes"))

    with serving(protected, "-c", "kore.conf") as server:
        assert asked(server, "/?id=12") == (200, b"12 None")
        status, body = asked(server, "/")
        assert status == 400
        assert b'"id"' in body


KOREAPP = """
class App:
    def configure(self, args):
        print(f"koreapp.configure {args[1:]}", flush=True)
    def cleanup(self):
        print("koreapp.cleanup", flush=True)
    async def workerstart(self):
        print("koreapp.workerstart", flush=True)
    def workerstop(self):
        print("koreapp.workerstop", flush=True)

koreapp = App()

def kore_worker_configure():
    raise NotImplementedError("the method of koreapp wins")

def index(req):
    req.response(200, b"hello world")
"""
SMALL = """
server plain {
    bind 127.0.0.1 0
    tls no
}
domain * {
    attach plain
    route / {
        handler index
    }
}
workers 1
"""
IN_ORDER = [
    "koreapp.configure ['x']",
    "koreapp.workerstart",
    "koreapp.workerstop",
    "koreapp.cleanup",
]


@pytest.mark.parametrize(
    ("conf", "arguments"),
    [
        (f"python_import app.py\n{SMALL}", ["-c", "kore.conf", "x"]),
        (SMALL, ["-c", "kore.conf", "app.py", "x"]),
    ],
    ids=["imported", "script"],
)
def test_the_methods_of_koreapp_are_hooks_in_both_ways_to_start(
    tmp_path: Path, conf: str, arguments: list[str]
) -> None:
    (tmp_path / "app.py").write_text(KOREAPP)
    (tmp_path / "kore.conf").write_text(conf)

    with serving(tmp_path, *arguments) as server:
        assert get(server, "/") == b"hello world"
        assert end(server, signal.SIGTERM) == 0
        text = server.log.text()

    places = [text.index(line) for line in IN_ORDER]
    assert places == sorted(places)


def test_the_older_names_are_hooks_of_a_script_too(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import kore\nkore.config.file = 'kore.conf'\n" + HELLO.replace("import words", "")
    )
    (tmp_path / "kore.conf").write_text(SMALL)

    with serving(tmp_path, "app.py", "x") as server:
        assert end(server, signal.SIGTERM) == 0
        text = server.log.text()

    assert "configure ['kore', 'x']" in text
    assert "worker configure" in text
    assert "worker teardown" in text
    assert "parent teardown" in text


def test_the_application_configures_first_and_the_file_has_the_last_word(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import kore\n"
        "class App:\n"
        "    def configure(self, args):\n"
        "        kore.config.workers = 5\n"
        '        kore.server("plain", ip="127.0.0.1", port=0, tls=False)\n'
        "    def page(self, req): ...\n"
        "koreapp = App()\n"
    )
    (tmp_path / "kore.conf").write_text(
        "workers 2\ndomain * {\n attach plain\n route / {\n handler koreapp.page\n }\n}\n"
    )

    run = kore(tmp_path, "--print-config", "-c", "kore.conf", "app.py")

    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("workers 2\n")
    assert "        handler koreapp.page\n" in run.stdout


def test_a_reload_reads_the_file_anew_and_survives_a_mistake(project: Path) -> None:
    conf = project / "kore.conf"
    with serving(project, "-c", "kore.conf") as server:
        conf.write_text(CONF + "wrokers 2\n")
        with server.expecting("reload failed, the old code goes on serving", errors=None):
            os.kill(server.process.pid, signal.SIGHUP)
            server.log.wait("unknown directive or setting 'wrokers' (did you mean 'workers'?)")
        assert get(server, "/") == b"hello world"
        conf.write_text(CONF.replace("route /module", "route /renamed"))
        before = server.workers
        os.kill(server.process.pid, signal.SIGHUP)
        replaced(server, before, 1)
        assert get(server, "/renamed") == b"hello world"


def test_a_server_with_several_addresses_serves_on_all(project: Path) -> None:
    path = project / "kore.conf"
    path.write_text(CONF.replace("tls no", "tls no\n    bind ::1 0\n    unix ./sock"))

    with serving(project, "-c", "kore.conf") as server:
        assert server.log.text().count("plain serving http on") == 3
        assert (project / "sock").is_socket()


# Mistakes


def test_all_configuration_errors_are_reported_at_once(project: Path) -> None:
    (project / "kore.conf").write_text(CONF + "wrokers 2\nvalidator v regex (\n")

    run = kore(project, "-c", "kore.conf")

    assert run.returncode == 1
    lines = run.stderr.splitlines()
    assert lines[0] == "fatal: 2 errors in the configuration:"
    assert lines[1].startswith("kore.conf:22: unknown directive or setting 'wrokers'")
    assert lines[2].startswith("kore.conf:23: validator 'v': failed to compile regex for '('")


@pytest.mark.parametrize(
    ("source", "conf", "reason"),
    [
        ("1 / 0\n", "python_import m.py\n", "kore.conf:1: m.py: failed to import module\nTrace"),
        ("", "python_import m.py f\n", "kore.conf:1: m.py: onload 'f' not present"),
        ("", "python_import n.py\n", "kore.conf:1: python_import: 'n.py' is not a file"),
        ("import sys\nsys.exit('bye')\n", "python_import m.py\n", "bye"),
        ("import kore\nkore.fatal('no')\n", "python_import m.py\n", "fatal: no"),
        ("", "include nothing.conf\n", "kore.conf:1: failed to open include 'nothing.conf'"),
        (
            "import kore\nkore.server(ip='::1', port=1)\nkore.domain('*')\n",
            "python_import m.py\n",
            "m.py:3: no keywords for TLS enabled domain *: pass cert and key, or tls=False",
        ),
    ],
)
def test_configuration_error_has_file_and_line(
    tmp_path: Path, source: str, conf: str, reason: str
) -> None:
    (tmp_path / "m.py").write_text(source)
    (tmp_path / "kore.conf").write_text(conf)

    run = kore(tmp_path, "-c", "kore.conf")

    assert run.returncode == 1
    assert run.stderr.removeprefix("fatal: ").startswith(reason.removeprefix("fatal: "))


def test_missing_configuration_file_is_named(tmp_path: Path) -> None:
    run = kore(tmp_path, "-c", "kore.conf")

    assert run.returncode == 1
    assert run.stderr == (
        "fatal: configuration given cannot be opened: kore.conf: No such file or directory\n"
    )


def test_unsupported_privsep_is_refused(project: Path) -> None:
    (project / "kore.conf").write_text(CONF + PRIVSEP)

    run = kore(project, "-c", "kore.conf")

    assert run.returncode == 1
    assert "kore.conf:22: privsep worker: root is not part of this version yet" in run.stderr
    assert kore(project, "-t", "-c", "kore.conf").returncode == 1
    with serving(project, "-nrc", "kore.conf") as server:
        server.log.wait("kore.conf:22: privsep worker: root has no effect in this version")
