"""Handshakes in memory before a TLS context is used."""

import pytest

from kore._core.testing_tls import LocalKey
from kore._core.tls_context import TlsContext, TlsServer
from kore._core.tls_self_test import start_self_test
from tests.helpers.memory_connection import CIPHERS, NAME
from tests.helpers.remote_keys import KeyPair, authority, certificate


@pytest.mark.parametrize(
    "kinds", [("p256",), ("p384",), ("rsa2048",), ("p256", "rsa2048"), ("rsa2048", "p256")], ids=str
)
def test_each_kind_of_key_signs_a_handshake(kinds: tuple[str, ...]) -> None:
    outcomes: list[str] = []
    with KeyPair(*kinds) as keys:
        start_self_test(keys.context, outcomes.append)
        for _ in kinds:
            assert outcomes == []
            assert keys.channel.waiting_count == 1
            keys.sign()

        assert outcomes == [""]
        assert keys.requests.signed_count == len(kinds)


def test_a_key_that_is_not_allowed_is_reported() -> None:
    outcomes: list[str] = []
    with KeyPair("p256", "rsa2048") as keys:
        keys.requests.key_ids = frozenset({1})
        start_self_test(keys.context, outcomes.append)
        keys.sign()
        keys.sign()

    assert outcomes == ["a handshake with the RSA key fails: the key process has refused to sign"]


def test_the_key_of_another_certificate_is_reported() -> None:
    outcomes: list[str] = []
    with KeyPair("p256") as keys:
        keys.signer.set_key(1, certificate("p256", number=1).key)  # type: ignore[arg-type]
        start_self_test(keys.context, outcomes.append)
        keys.sign()

    assert outcomes == ["a handshake with the ECDSA key fails: bad signature"]


def test_a_key_process_that_does_not_respond_is_reported() -> None:
    outcomes: list[str] = []
    with KeyPair("p256", timeout_ms=1) as keys:
        start_self_test(keys.context, outcomes.append)
        keys.wait()

    assert outcomes == [
        "a handshake with the ECDSA key fails: the key process has not signed in time"
    ]


def test_the_end_of_the_worker_ends_the_test() -> None:
    outcomes: list[str] = []
    with KeyPair("p256") as keys:
        start_self_test(keys.context, outcomes.append)

    assert outcomes == ["a handshake with the ECDSA key fails: the worker is ending"]


def test_an_error_of_the_callback_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def fail(_: str) -> None:
        raise LookupError("the callback")

    with KeyPair("p256") as keys:
        start_self_test(keys.context, fail)
        keys.sign()

    assert "LookupError: the callback" in caplog.text


@pytest.mark.parametrize("client_ca", [b"", authority().pem])
@pytest.mark.parametrize("versions", [("1.2", "1.2"), ("1.3", "1.3")])
def test_the_settings_of_a_domain_pass(versions: tuple[str, str], client_ca: bytes) -> None:
    outcomes: list[str] = []
    server = TlsServer(min_version=versions[0], max_version=versions[1], ciphers=CIPHERS)
    local = certificate("p256")
    keys = [(local.chain, LocalKey(local.key_pem))]
    start_self_test(TlsContext(server, NAME, keys, client_ca=client_ca), outcomes.append)

    assert outcomes == [""]


def test_a_context_without_a_certificate_is_an_error() -> None:
    server = TlsServer(min_version="1.2", max_version="1.3", ciphers=CIPHERS)

    with pytest.raises(ValueError, match="without a certificate"):
        start_self_test(TlsContext(server, NAME, []), print)
