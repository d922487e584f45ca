"""Certificates of a running server: replaced while it serves, refused when they are not good."""

import contextlib
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.certificates import Certificate, CertificateAuthority
from tests.helpers.fix_serve import KORE, Launcher, Server
from tests.helpers.served_certificates import ServedCertificate
from tests.helpers.tls_client import TlsClient, peer_serial, trusting
from tests.process.process_helpers import replaced, status

CA = CertificateAuthority("CA")
FIRST, SECOND, THIRD = (CA.issue("localhost", number=number) for number in range(3))
EXPIRED = CA.issue("localhost", number=3, starts=-9, days=5)
APP = """
kore.domain("*", attach="http").route("/", lambda req: req.response(200, b"hello"), methods=["get"])
"""


class Site:
    """A server with two workers, and the files of its certificate."""

    def __init__(self, serve: Launcher, directory: Path) -> None:
        self.directory = directory
        # As certbot has it: links to files that have other names after each renewal.
        self.certificate, self.key = directory / "live.pem", directory / "live.key"
        self.ca_file = CA.write(directory)
        self.renewals = 0
        self.link(FIRST)
        files = ServedCertificate(str(self.certificate), str(self.key), self.ca_file)
        self.context = trusting(self.ca_file)
        self.server: Server = serve(APP, settings={"workers": 2}, tls=files)

    def link(self, certificate: Certificate) -> None:
        """Write files of other names, and have the links lead to them."""
        self.renewals += 1
        paths = certificate.write(self.directory, f"archive{self.renewals}")
        for link, path in zip((self.certificate, self.key), paths, strict=True):
            new = link.with_name("new link")
            new.symlink_to(path)
            new.replace(link)

    def write(self, certificate: Certificate) -> None:
        """Write both files in place."""
        self.certificate.write_bytes(certificate.chain)
        self.key.write_bytes(certificate.key_pem)

    @property
    def serials(self) -> set[str]:
        """The serial numbers that some new connections are shown, by both workers."""
        return {peer_serial(self.server.address, self.context) for _ in range(8)}

    def until_served(self, certificate: Certificate) -> None:
        """Wait until all workers serve a certificate."""
        procs.until(lambda: self.serials == {certificate.serial}, what="the new certificate")

    def reload_files(self) -> None:
        """Have all files loaded now."""
        os.kill(self.server.process.pid, signal.SIGUSR1)


@pytest.fixture(scope="module")
def shared_site(serve_module: Launcher, tmp_path_factory: pytest.TempPathFactory) -> Site:
    return Site(serve_module, tmp_path_factory.mktemp("site"))


@pytest.fixture
def site(shared_site: Site) -> Iterator[Site]:
    yield shared_site
    if shared_site.serials != {FIRST.serial}:
        shared_site.link(FIRST)
        shared_site.reload_files()
        shared_site.until_served(FIRST)
    shared_site.server.log.accept()


def test_the_start_says_what_is_served_until_when(site: Site) -> None:
    until = f"(expires on {FIRST.x509.not_valid_after_utc:%Y-%m-%d %H:%M} UTC)"
    line = f"domain * of server http: certificate {FIRST.serial} {until}"

    assert f"log=[{line}]" in site.server.log.text()
    assert re.search(rf"status: {re.escape(line)}, \d+ days left", status(site.server))


def test_changed_files_are_served_without_a_signal_and_connections_stay(site: Site) -> None:
    with TlsClient(site.server.address, ["GET"] * 2, context=site.context) as client:
        assert client.ask(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").status == 200
        start = site.server.log.size()
        site.write(SECOND)

        site.until_served(SECOND)

        assert client.ask(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").status == 200
    site.server.log.wait(f"certificate {SECOND.serial} (expires on", start)
    site.server.log.wait("is served from now on", start)


def test_changed_links_are_served_on_request(site: Site) -> None:
    site.link(THIRD)
    site.reload_files()

    site.until_served(THIRD)


def empty(site: Site) -> None:
    site.certificate.write_bytes(b"")


def cut(site: Site) -> None:
    site.certificate.write_bytes(SECOND.chain[:300])


def cut_key(site: Site) -> None:
    site.key.write_bytes(SECOND.key_pem[:100])


def remove(site: Site) -> None:
    site.key.unlink()


def replace_only_one(site: Site) -> None:
    site.certificate.write_bytes(SECOND.chain)


def expire(site: Site) -> None:
    site.write(EXPIRED)


def make_directory(site: Site) -> None:
    site.key.unlink()
    site.key.mkdir()


@pytest.mark.parametrize(
    ("spoil", "cause"),
    [
        (empty, "the file is empty"),
        (cut, "damaged or incomplete"),
        (cut_key, "the key is incomplete"),
        (remove, "No such file or directory"),
        (replace_only_one, "it is not the key of certificate"),
        (expire, "expired on"),
        (make_directory, "it is not a regular file"),
    ],
)
def test_bad_files_leave_what_is_served(
    site: Site, spoil: Callable[[Site], None], cause: str
) -> None:
    with site.server.expecting(cause, "is served further", errors=0):
        spoil(site)
        site.reload_files()

    assert site.serials == {FIRST.serial}
    with contextlib.suppress(OSError):
        site.key.rmdir()
    site.link(FIRST)
    site.reload_files()
    site.server.log.wait("again")


def test_a_reload_of_the_application_goes_on_with_what_is_served(site: Site) -> None:
    old = site.server.workers
    with site.server.expecting("the file is empty", errors=0):
        empty(site)
        os.kill(site.server.process.pid, signal.SIGHUP)
        replaced(site.server, old, 2)

    assert site.serials == {FIRST.serial}


def test_a_worker_that_is_restarted_serves_what_the_others_serve(site: Site) -> None:
    site.link(SECOND)
    site.reload_files()
    site.until_served(SECOND)
    with site.server.expecting("restarting worker", errors=0):
        old = site.server.workers[:1]
        os.kill(old[0], signal.SIGKILL)
        replaced(site.server, old, 2)

    assert site.serials == {SECOND.serial}


def start(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start a server with the certificate in a directory, or check it."""
    app = directory / "app.py"
    app.write_text(
        "import kore\n"
        "kore.config.workers = 1\n"
        'kore.server("tls", ip="127.0.0.1", port=0)\n'
        'kore.domain("localhost", attach="tls", cert="c.pem", key="c.key").route(\n'
        '    "/", lambda req: req.response(200, b""), methods=["get"])\n'
    )
    command = [*KORE, *arguments, "app.py"]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=60)


def no_key(directory: Path) -> None:
    (directory / "c.key").unlink()


def other_key(directory: Path) -> None:
    (directory / "c.key").write_bytes(SECOND.key_pem)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (no_key, "key {0}/c.key: No such file or directory"),
        (other_key, "key {0}/c.key: it is not the key of certificate {0}/c.pem"),
    ],
)
def test_a_start_with_bad_files_is_refused_as_the_check_refuses_it(
    tmp_path: Path, spoil: Callable[[Path], None], problem: str
) -> None:
    FIRST.write(tmp_path, "c")
    spoil(tmp_path)

    for run in (start(tmp_path, "-t"), start(tmp_path)):
        assert run.returncode == 1
        line = run.stderr.splitlines()[-1]
        assert line.startswith(f"fatal: app.py:4: domain localhost: {problem.format(tmp_path)}")


def test_the_check_warns_and_succeeds(tmp_path: Path) -> None:
    CA.issue("other.test").write(tmp_path, "c")

    run = start(tmp_path, "-t")

    assert (run.returncode, run.stdout) == (0, "configuration ok\n")
    assert "c.pem: it is not for localhost; the names in it" in run.stderr
