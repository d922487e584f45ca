"""An installation that was built without the headers of OpenSSL: HTTP works, TLS has a sentence."""

import importlib.machinery
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.helpers.house import ROOT, SOURCE
from tests.helpers.served_certificates import SessionCertificates

SUFFIXES = importlib.machinery.EXTENSION_SUFFIXES
APP = """
import kore
kore.server(name="http", ip="127.0.0.1", port="0", tls={tls})
kore.domain("*", attach="http"{keywords}).route("/", lambda req: req.response(200), methods=["get"])
"""


def optional_modules() -> set[str]:
    """Return the extension modules that a build may leave out."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extensions = project["tool"]["setuptools"]["ext-modules"]
    return {one["name"].rpartition(".")[2] for one in extensions if one.get("optional")}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where the package is without these modules."""
    place = tmp_path_factory.mktemp("package")
    left_out = {f"{name}{suffix}" for name in optional_modules() for suffix in SUFFIXES}

    def ignore(_: str, names: list[str]) -> set[str]:
        return left_out & set(names)

    shutil.copytree(SOURCE, place / "kore", copy_function=os.symlink, ignore=ignore)
    return place


def check(package: Path, source: str) -> subprocess.CompletedProcess[str]:
    """Return what `kore -t` says of an application."""
    (package / "app.py").write_text(source)
    return subprocess.run(
        [sys.executable, "-m", "kore", "-t", "app.py"], cwd=package, check=False,
        env={**os.environ, "PYTHONPATH": str(package)}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_modules_that_use_openssl_are_optional() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extensions = project["tool"]["setuptools"]["ext-modules"]

    linked = {one["name"].rpartition(".")[2] for one in extensions if one.get("libraries")}

    assert "tls_context" in linked
    assert linked == optional_modules()


def test_servers_without_tls_are_served(package: Path) -> None:
    done = check(package, APP.format(tls=False, keywords=""))

    assert done.returncode == 0, done.stderr


def test_a_server_with_tls_is_refused_with_what_to_do(
    package: Path, certificates: SessionCertificates
) -> None:
    served = certificates.server()
    keywords = f", cert={served.certificate!r}, key={served.key!r}"

    done = check(package, APP.format(tls=True, keywords=keywords))

    assert done.returncode == 1
    assert "server 'http' has TLS, and this kore was built without OpenSSL" in done.stderr
    assert "install libssl-dev, then reinstall kore" in done.stderr
