"""TLS in the parent, with a real key process: loads, swaps, refusals, restarts."""

import errno
import logging
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from kore._process.ipc.tls_messages import KeysReplaced, TicketKeys
from kore._process.log.handlers import log
from kore._process.parent import tls, tls_rollout
from tests.helpers.certificates import CertificateAuthority
from tests.helpers.tls_family import DomainPlace, TlsFamily, tls_family

CA = CertificateAuthority("CA")
FIRST, SECOND, THIRD = (CA.issue("a.test", number=number) for number in range(3))


@pytest.fixture(scope="module")
def shared_family() -> Iterator[TlsFamily]:
    with tls_family() as made:
        yield made


@pytest.fixture
def family(shared_family: TlsFamily) -> Iterator[TlsFamily]:
    yield shared_family
    shared_family.end_generations()


@pytest.fixture
def place(tmp_path: Path) -> DomainPlace:
    return DomainPlace(tmp_path, FIRST)


def lines(caplog: pytest.LogCaptureFixture, word: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if word in record.getMessage()]


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.DEBUG, log.name)


def test_a_worker_gets_material_and_ticket_keys_before_it_serves(
    family: TlsFamily, place: DomainPlace, caplog: pytest.LogCaptureFixture
) -> None:
    family.start(place.domain)
    worker = family.worker()

    (material,) = worker.materials
    assert material.serial == FIRST.serial
    assert [one.chain_pem.encode() for one in material.certificates] == [FIRST.chain]
    (tickets,) = worker.receive(TicketKeys)
    assert [len(bytes.fromhex(key)) for key in tickets.keys] == [80]
    (line,) = lines(caplog, FIRST.serial)
    assert line.startswith("domain a.test of server tls: certificate")
    assert f"expires on {FIRST.x509.not_valid_after_utc:%Y-%m-%d %H:%M} UTC" in line


def test_changed_files_are_tested_by_one_worker_and_then_served_by_all(
    family: TlsFamily, place: DomainPlace, caplog: pytest.LogCaptureFixture
) -> None:
    family.start(place.domain)
    one, two = family.worker(), family.worker()

    place.replace(SECOND)
    family.run_until(lambda: one.serials == [FIRST.serial, SECOND.serial])
    assert two.serials == [FIRST.serial]
    assert lines(caplog, "is served from now on") == []
    one.confirm()
    family.run_until(lambda: two.serials == [FIRST.serial, SECOND.serial])

    (line,) = lines(caplog, "is served from now on")
    assert SECOND.serial in line
    assert family.worker().serials == [SECOND.serial]


def test_a_failed_test_leaves_what_is_served(
    family: TlsFamily, place: DomainPlace, caplog: pytest.LogCaptureFixture
) -> None:
    family.start(place.domain)
    one, two = family.worker(), family.worker()
    place.replace(SECOND)
    family.run_until(lambda: len(one.serials) == 2)

    one.confirm("no common cipher")

    (line,) = lines(caplog, "test handshake")
    assert line.startswith("app.py:3: domain a.test: a test handshake failed: no common cipher; ")
    assert FIRST.serial in line
    assert two.serials == family.worker().serials == [FIRST.serial]
    place.replace(THIRD)
    family.run_until(lambda: len(one.serials) == 3)
    one.confirm()
    family.run_until(lambda: two.serials == [FIRST.serial, THIRD.serial])


def test_files_are_tested_again_soon_after_a_failed_test(
    family: TlsFamily, place: DomainPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "TEST_RETRY_INTERVAL", 0.05)
    family.start(place.domain)
    worker = family.worker()
    place.replace(SECOND)
    family.run_until(lambda: len(worker.serials) == 2)

    worker.confirm("the key process has not signed in time")
    family.run_until(lambda: len(worker.serials) == 3)
    worker.confirm()

    assert worker.serials == [FIRST.serial, SECOND.serial, SECOND.serial]
    family.run_until(lambda: family.worker().serials == [SECOND.serial])


def test_another_worker_tests_if_the_first_ends(family: TlsFamily, place: DomainPlace) -> None:
    family.start(place.domain)
    one, two = family.worker(), family.worker()
    place.replace(SECOND)
    family.run_until(lambda: len(one.serials) == 2)

    one.end()

    family.run_until(lambda: len(two.serials) == 2)
    two.confirm()
    assert family.worker().serials == [SECOND.serial]


def test_another_worker_tests_if_the_first_does_not_reply(
    family: TlsFamily, place: DomainPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls_rollout, "TEST_TIMEOUT", 0.05)
    family.start(place.domain)
    one, two = family.worker(), family.worker()
    place.replace(SECOND)

    family.run_until(lambda: len(one.serials) == 2)
    family.run_until(lambda: len(two.serials) == 2)
    two.confirm()
    one.confirm()

    assert family.worker().serials == [SECOND.serial]


def test_a_pair_that_does_not_match_is_one_line_until_it_does(
    family: TlsFamily, place: DomainPlace, caplog: pytest.LogCaptureFixture
) -> None:
    family.start(place.domain)
    worker = family.worker()

    place.certificate.write_bytes(SECOND.chain)
    family.run_until(lambda: lines(caplog, "it is not the key of"))
    place.certificate.write_bytes(THIRD.chain)
    place.certificate.touch()
    state = family.state(place.domain)
    family.run_until(lambda: not state.loading and not state.files.is_changed())
    place.certificate.write_bytes(SECOND.chain)
    place.key.write_bytes(SECOND.key_pem)
    family.run_until(lambda: len(worker.serials) == 2)
    worker.confirm()

    assert len(lines(caplog, "it is not the key of")) == 1
    assert worker.serials == [FIRST.serial, SECOND.serial]


@pytest.mark.parametrize("content", [b"", FIRST.chain[:400], b"hello"])
def test_bad_content_is_one_line_and_good_content_ends_it(
    family: TlsFamily, place: DomainPlace, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    family.start(place.domain)
    worker = family.worker()
    place.certificate.write_bytes(content)
    family.run_until(lambda: lines(caplog, "is served further"))

    place.certificate.write_bytes(FIRST.chain)
    family.run_until(lambda: lines(caplog, "again"))

    (line,) = lines(caplog, "is served further")
    assert line.startswith(f"app.py:3: domain a.test: certificate {place.certificate}: ")
    assert worker.serials == [FIRST.serial]


def test_a_removed_file_is_one_line(
    family: TlsFamily, place: DomainPlace, caplog: pytest.LogCaptureFixture
) -> None:
    family.start(place.domain)
    worker = family.worker()
    place.key.unlink()
    family.run_until(lambda: lines(caplog, "No such file"))

    place.replace(SECOND)
    family.run_until(lambda: len(worker.serials) == 2)

    assert len(lines(caplog, "No such file")) == 1


def test_an_expired_certificate_does_not_replace_an_expired_one(
    family: TlsFamily, place: DomainPlace, caplog: pytest.LogCaptureFixture
) -> None:
    family.start(place.domain)
    worker = family.worker()
    place.replace(CA.issue("a.test", starts=-10, days=5))
    family.run_until(lambda: lines(caplog, "expired on"))

    assert worker.serials == [FIRST.serial]


def test_all_files_are_loaded_on_request_and_what_is_wrong_is_logged_again(
    family: TlsFamily, place: DomainPlace, caplog: pytest.LogCaptureFixture
) -> None:
    family.start(place.domain)
    worker = family.worker()
    place.certificate.write_bytes(b"")
    for count in (1, 2):
        family.tls.loader.load_all()
        family.run_until(lambda count=count: len(lines(caplog, "the file is empty")) == count)

    place.certificate.write_bytes(FIRST.chain)
    family.tls.loader.load_all()
    family.run_until(lambda: lines(caplog, "again"))
    assert worker.serials == [FIRST.serial]


def test_each_bad_domain_of_a_start_gets_a_line(family: TlsFamily, tmp_path: Path) -> None:
    places = []
    for name, bad in (("a.test", FIRST.chain), ("b.test", b""), ("c.test", b"")):
        (tmp_path / name).mkdir()
        places.append(DomainPlace(tmp_path / name, FIRST, name))
        places[-1].certificate.write_bytes(bad)

    assert family.load(*(place.domain for place in places)) == ""
    family.run_until(lambda: family.failures)

    (failure,) = family.failures
    assert failure.splitlines() == [
        f"fatal: app.py:3: domain b.test: certificate {places[1].certificate}: the file is empty",
        f"app.py:3: domain c.test: certificate {places[2].certificate}: the file is empty",
    ]


def test_a_missing_file_of_a_start_gets_a_line(family: TlsFamily, place: DomainPlace) -> None:
    place.key.unlink()

    assert family.load(place.domain) == (
        f"app.py:3: domain a.test: key {place.key}: No such file or directory"
    )


def test_a_reload_keeps_what_is_served_though_its_files_are_bad(
    family: TlsFamily, place: DomainPlace
) -> None:
    family.start(place.domain)
    worker = family.worker()
    place.certificate.write_bytes(b"")

    family.start(place.domain)

    assert family.worker().serials == worker.serials == [FIRST.serial]


def test_a_reload_with_other_files_that_are_bad_is_given_up(
    family: TlsFamily, place: DomainPlace, tmp_path: Path
) -> None:
    family.start(place.domain)
    (tmp_path / "other").mkdir()
    other = DomainPlace(tmp_path / "other", SECOND)
    other.key.write_bytes(b"")
    assert family.load(other.domain) == ""
    family.run_until(lambda: family.failures)

    assert "the file is empty" in family.failures[0]
    assert family.worker().serials == [FIRST.serial]


def test_generations_have_their_own_files_and_old_ones_are_forgotten(
    family: TlsFamily, place: DomainPlace, tmp_path: Path
) -> None:
    family.start(place.domain)
    old = family.worker()
    (tmp_path / "other").mkdir()
    other = DomainPlace(tmp_path / "other", SECOND)
    family.start(other.domain)
    new = family.worker()
    place.replace(THIRD)
    family.run_until(lambda: len(old.serials) == 2)

    assert old.serials == [FIRST.serial, THIRD.serial]
    assert new.serials == [SECOND.serial]
    old.end()
    family.run_until(lambda: place.domain not in family.tls.domains.states)


def test_a_generation_does_not_wait_for_ever(
    family: TlsFamily, place: DomainPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family.tls.loader, "load_waiting", lambda: None)
    assert family.load(place.domain) == ""
    family.run_until(lambda: family.tls.keys.is_ready)
    for _ in range(3):
        assert family.failures == []
        family.kill_key_process()

    assert [text.partition(" (")[0] for text in family.failures] == ["fatal: key process"]
    assert family.failures[0].endswith("killed by SIGKILL")


def test_files_that_end_the_key_process_are_refused(
    family: TlsFamily, place: DomainPlace, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    family.start(place.domain)
    worker = family.worker()
    place.replace(SECOND)
    state = family.state(place.domain)
    for _ in range(2):
        # Stopped, it does not get to read them before it is killed.
        os.kill(family.key_process.pid, signal.SIGSTOP)
        family.run_until(lambda: state.loading)
        family.kill_key_process()

    (line,) = lines(caplog, "has ended while it read the files")
    assert line.startswith("app.py:3: domain a.test: ")
    assert worker.serials == [FIRST.serial]
    state.retry_at = 0
    family.run_until(lambda: len(worker.serials) == 2)


def test_more_domains_than_descriptors_are_refused(
    family: TlsFamily, place: DomainPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (200, 200))

    assert family.load(place.domain) == (
        "1 domains with TLS need 204 descriptors, the system allows 200 (ulimit -n)"
    )


def test_a_worker_gets_its_channel_when_there_are_descriptors_again(
    family: TlsFamily,
    place: DomainPlace,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(tls, "CHANNEL_RETRY_INTERVAL", 0.05)
    family.start(place.domain)
    worker = family.worker()
    with monkeypatch.context() as without:
        without.setattr(family.tls.keys, "open_channel", refuse)
        family.kill_key_process()
        family.run_until(lambda: lines(caplog, "gets no channel to the key process"))

    family.run_until(lambda: worker.receive(KeysReplaced))


def refuse(*_: object) -> None:
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


def count_descriptors(pid: int) -> int:
    """Return how many a process has; those of the key process are hidden from its user."""
    try:
        return len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except PermissionError:
        assert os.getuid()
        return 0


def test_a_new_key_process_gets_everything_back(family: TlsFamily, place: DomainPlace) -> None:
    family.start(place.domain)
    worker = family.worker()
    place.certificate.write_bytes(b"")

    family.kill_key_process()
    family.run_until(lambda: worker.receive(KeysReplaced))

    late = family.worker()
    assert late.materials == worker.materials, "the same numbers of keys"
    assert late.receive(TicketKeys) == worker.receive(TicketKeys)
    assert family.failures == []


def test_a_load_that_a_dying_key_process_had_is_repeated(
    family: TlsFamily, place: DomainPlace
) -> None:
    family.start(place.domain)
    worker = family.worker()
    place.replace(SECOND)
    family.run_until(lambda: family.state(place.domain).loading)

    family.kill_key_process()
    # It may have replied before, and the new one be asked for the test's signature.
    family.run_until(lambda: len(worker.serials) >= 2)

    worker.confirm()
    assert family.worker().serials == [SECOND.serial]


def test_a_generation_waits_while_there_is_no_key_process(
    family: TlsFamily, place: DomainPlace, tmp_path: Path
) -> None:
    family.start(place.domain)
    family.kill_key_process()
    (tmp_path / "other").mkdir()
    family.start(DomainPlace(tmp_path / "other", SECOND).domain)

    assert family.worker().serials == [SECOND.serial]


def test_descriptors_do_not_add_up(family: TlsFamily, place: DomainPlace) -> None:
    family.start(place.domain)
    worker = family.worker()
    ours, theirs = os.getpid(), family.key_process.pid
    before = 0, 0
    for count in range(1, 8):
        place.replace((FIRST, SECOND)[count % 2])
        family.run_until(lambda count=count: len(worker.serials) > count)
        worker.confirm()
        if count == 1:
            before = count_descriptors(ours), count_descriptors(theirs)

    # The test holds each material, the parent two files of each load that is not dropped yet.
    assert count_descriptors(ours) <= before[0] + 6 * 3
    family.run_until(lambda: count_descriptors(theirs) <= before[1])


def test_status_tells_what_is_served_and_for_how_long(
    family: TlsFamily, place: DomainPlace
) -> None:
    family.start(place.domain)

    (line,) = family.tls.list_status()

    assert line.startswith(f"domain a.test of server tls: certificate {FIRST.serial} (expires")
    assert line.endswith("days left")
