"""TLS of a worker: what it serves of the materials that the parent sends, and what it reports."""

import datetime as dt
import os
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from kore._conf.schema import Config
from kore._conf.server_schema import CertificateFiles, DomainTls
from kore._conf.settings import Settings
from kore._core.poller import Poller
from kore._core.signing_service import WorkerRequests
from kore._process.ipc.messages import Message
from kore._process.ipc.sealed_file import create_sealed_file
from kore._process.ipc.tls_messages import (
    CERTIFICATE,
    KEY,
    KeysReplaced,
    TicketKeys,
    TlsMaterial,
    TlsServed,
)
from kore._process.keymgr.certificates import check_domain
from kore._process.keymgr.loaded_domain import LoadedDomain
from kore._process.keymgr.pem_files import DomainFile
from kore._process.keymgr.signer import Signer
from kore._process.worker.tls import WorkerTls, load_core_modules
from kore.errors import ConfigError
from tests.helpers.certificates import Certificate, CertificateAuthority
from tests.helpers.procs import until

CA = CertificateAuthority("CA")
FIRST, SECOND = (CA.issue("a.test", number=number) for number in range(2))
TICKETS = TicketKeys("tls", 0.0, ("00" * 80,))


def configure(*names: str) -> Config:
    """Return a configuration with these domains on a server with TLS."""
    files = (CertificateFiles("/c.pem", "/c.key"),)
    tls = tuple(DomainTls(name, "tls", files) for name in names)
    return Config(Settings(), (), (), tls=tls)


class EndedError(Exception):
    """The worker has ended its process."""


class Place:
    """A worker's part of TLS, and the key process at the other end of its channel."""

    def __init__(self, *names: str) -> None:
        self.poller = Poller()
        self.sent: list[Message] = []
        self.signer = Signer()
        self.loads = iter(range(1, 100))
        ours, self.keys = self.open_channel()
        self.tls = WorkerTls(
            configure(*names), self.poller, ours, self.sent.append, self.exit_process
        )

    def open_channel(self) -> tuple[int, WorkerRequests]:
        """Return both ends of a channel for signatures."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        return ours.detach(), WorkerRequests(theirs, self.signer, ())

    def exit_process(self) -> None:
        raise EndedError

    def load(self, certificate: Certificate, name: str = "a.test") -> LoadedDomain:
        """Return what the key process makes of a certificate; it signs for it from now on."""
        files = (
            DomainFile(CERTIFICATE, "/c.pem", certificate.chain),
            DomainFile(KEY, "/c.key", certificate.key_pem),
        )
        checked = check_domain(name, files, dt.datetime.now(dt.UTC))
        loaded = LoadedDomain(1, next(self.loads), "tls", name, 1, files, checked)
        for key_id, key in loaded.list_keys():
            self.signer.set_key(key_id, key)
            self.keys.key_ids |= {key_id}
        return loaded

    def send(self, loaded: LoadedDomain, content: bytes | None = None) -> None:
        """Send a material to the worker."""
        content = loaded.make_material().encode() if content is None else content
        fd = create_sealed_file("test", content)
        self.tls.receive_material(TlsMaterial(loaded.load, "tls", loaded.domain, (fd,)))

    def sign(self) -> None:
        """Let the key process reply, and the worker receive it."""
        self.keys.serve()
        self.poller.dispatch()

    def close(self) -> None:
        """Close everything."""
        self.poller.close()
        self.keys.close()


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place("a.test")
    yield made
    made.close()


def test_without_tls_there_is_nothing_to_wait_for() -> None:
    poller = Poller()
    tls = WorkerTls(configure(), poller, -1, print, sys.exit)

    assert tls.is_complete.is_set()
    assert tls.servers == {}
    poller.close()


def test_a_worker_serves_when_it_has_all_materials_and_ticket_keys() -> None:
    place = Place("a.test", "b.test")
    seen = []
    for step in (
        lambda: place.send(place.load(FIRST)),
        lambda: place.tls.receive_tickets(TICKETS),
        lambda: place.send(place.load(CA.issue("b.test"), "b.test")),
    ):
        step()
        seen.append(place.tls.is_complete.is_set())

    assert seen == [False, False, True]
    assert place.sent == [TlsServed(1, ""), TlsServed(2, "")]
    assert list(place.tls.servers) == ["tls"]
    place.close()


def test_a_later_material_is_served_after_a_test(place: Place) -> None:
    place.send(place.load(FIRST))
    place.send(place.load(SECOND))
    assert place.sent == [TlsServed(1, "")]

    until(lambda: place.sign() or len(place.sent) == 2)

    assert place.sent == [TlsServed(1, ""), TlsServed(2, "")]


def test_a_failed_test_is_reported(place: Place) -> None:
    place.send(place.load(FIRST))
    second = place.load(SECOND)
    place.keys.key_ids = frozenset()
    place.send(second)

    until(lambda: place.sign() or len(place.sent) == 2)

    report = place.sent[1]
    assert isinstance(report, TlsServed)
    assert report.load == 2
    assert "refused" in report.problem
    assert place.tls.domains["tls", "a.test"].served == 1


@pytest.mark.parametrize("content", [b"", b"{}", b"hello"])
def test_a_malformed_material_is_reported(place: Place, content: bytes) -> None:
    place.send(place.load(FIRST))
    place.send(place.load(SECOND), content)

    assert place.sent[1] == TlsServed(2, "malformed TLS material")


def test_a_worker_that_cannot_serve_at_all_ends(place: Place) -> None:
    with pytest.raises(EndedError):
        place.send(place.load(FIRST), b"hello")

    assert place.sent == [TlsServed(1, "malformed TLS material")]


def test_a_material_that_openssl_refuses_is_reported(place: Place) -> None:
    place.send(place.load(FIRST))
    second = place.load(SECOND)
    broken = second.make_material().encode().replace(b"BEGIN CERTIFICATE", b"BEGIN SOMETHING")
    place.send(second, broken)

    report = place.sent[1]
    assert isinstance(report, TlsServed)
    assert report.problem


def test_a_file_that_is_not_sealed_is_refused(place: Place) -> None:
    place.send(place.load(FIRST))
    place.tls.receive_material(
        TlsMaterial(9, "tls", "a.test", (os.memfd_create("test", os.MFD_CLOEXEC),))
    )

    assert place.sent[1] == TlsServed(9, "a file that is not sealed")


def test_descriptors_of_unknown_domains_are_closed(place: Place) -> None:
    fd = create_sealed_file("test", b"")
    place.tls.receive_material(TlsMaterial(1, "tls", "unknown.test", (fd,)))

    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_another_key_process_signs_after_a_restart(place: Place) -> None:
    place.send(place.load(FIRST))
    place.keys.close()
    fd, place.keys = place.open_channel()
    place.tls.replace_keys(KeysReplaced((fd,)))
    place.send(place.load(SECOND))

    until(lambda: place.sign() or len(place.sent) == 2)

    assert place.sent[1] == TlsServed(2, "")


def test_cipher_suites_that_openssl_does_not_know_are_an_error_of_the_configuration() -> None:
    config = replace(configure("a.test"), settings=Settings(tls_cipher="UNKNOWN-SUITE"))

    with pytest.raises(ConfigError, match="tls_cipher: OpenSSL does not know 'UNKNOWN-SUITE'"):
        load_core_modules(config)


def test_the_modules_of_the_core_are_loaded_or_missed_with_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    load_core_modules(configure("a.test"))
    monkeypatch.delitem(sys.modules, "kore._process.worker.tls_contexts")
    monkeypatch.setitem(sys.modules, "kore._core.tls_context", None)

    load_core_modules(configure())
    with pytest.raises(ConfigError, match="install libssl-dev, then reinstall kore"):
        load_core_modules(configure("a.test"))
