import subprocess
import sys
from pathlib import Path

import pytest

from kore._conf.settings import VERSION
from tests.helpers.fix_serve import Launcher
from tests.process.process_helpers import APP, get


def kore(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "kore", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=30,
    )


def test_help_exits_with_0(tmp_path: Path) -> None:
    run = kore("-h", cwd=tmp_path)

    assert run.returncode == 0
    assert run.stdout.startswith("usage: kore ")
    for option in ("-c", "-d", "-f", "-h, --help", "-n", "-q", "-r", "-t", "-v, --version"):
        assert f"\n  {option}" in run.stdout
    for word in ("Exit status:", "Environment:", "Examples:", "--print-config", "--pidfile"):
        assert word in run.stdout
    assert kore("--help", cwd=tmp_path).stdout == run.stdout
    assert max(map(len, run.stdout.splitlines())) < 100


def test_version_is_printed(tmp_path: Path) -> None:
    run = kore("-v", cwd=tmp_path)

    assert run.returncode == 0
    assert kore("--version", cwd=tmp_path).stdout == run.stdout
    assert run.stdout == f"{VERSION} python-{sys.version.split()[0]}\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "kore: no application given"),
        (["-q"], "kore: no application given"),
        (["-x", "app.py"], "kore: option -x not recognized"),
        (["-c"], "kore: option -c requires argument"),
        (["--print-conf1g", "app.py"], "kore: option --print-conf1g not recognized (did you mean"),
        (["-d", "-f", "app.py"], "kore: -d and -f exclude each other"),
    ],
)
def test_impossible_command_is_an_error(tmp_path: Path, arguments: list[str], reason: str) -> None:
    run = kore(*arguments, cwd=tmp_path)

    assert run.returncode == 1
    assert run.stderr.startswith(reason)
    assert run.stdout == ""


def test_arguments_after_the_application_are_passed_on(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import sys\n"
        "def kore_parent_configure(args):\n"
        "    sys.exit(f'args={args} argv={sys.argv}')\n"
    )
    expected = "args=['kore', '-x', '--', 'y'] argv=['app.py', '-x', '--', 'y']\n"

    for before in ([], ["-nr"], ["-n", "-r", "-q"], ["-q", "--"]):
        assert kore(*before, "app.py", "-x", "--", "y", cwd=tmp_path).stderr == expected


@pytest.mark.parametrize("options", [["-q"], ["-nrq"]])
def test_quiet_logs_only_warnings(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "app.py").write_text(
        "import kore\n"
        'kore.server("http", ip="127.0.0.1", port="0", tls=False)\n'
        'kore.domain("*", attach="http").route("/", lambda req: req.response(200))\n'
        "class App:\n"
        "    def workerstart(self):\n"
        "        kore.log(kore.LOG_INFO, 'from the application')\n"
        "        kore.shutdown()\n"
        "koreapp = App()\n"
        "kore.config.workers = 1\n"
    )

    run = kore(*options, "app.py", cwd=tmp_path)

    assert run.returncode == 0
    (line,) = run.stdout.splitlines()
    assert line.endswith("proc=[wrk 1] log=[from the application]")
    assert run.stderr == ""

    (tmp_path / "app.py").write_text("raise ValueError('bad')\n")
    assert "ValueError: bad" in kore(*options, "app.py", cwd=tmp_path).stderr


def test_a_package_is_served_from_its_directory(serve: Launcher, tmp_path: Path) -> None:
    server = serve(APP)
    assert get(server)
    package = tmp_path / "shop"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import os, sys\nfrom . import goods\nsys.exit(f'{goods.__name__} {os.getcwd()}')\n"
    )
    (package / "goods.py").write_text("")

    assert kore("shop/", cwd=tmp_path).stderr.startswith("shop.goods ")
