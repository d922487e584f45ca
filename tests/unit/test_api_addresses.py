"""What is listened on: the older spellings of `kore.server()`."""

from typing import Any

import pytest

import kore
from kore._conf.builder import Builder


def test_bind_listens_without_tls(builder: Builder) -> None:
    assert kore.bind("127.0.0.1", "8888") is True
    assert str(builder.servers["default"].address) == "127.0.0.1:8888"

    assert kore.bind("::1", 8888) is True
    assert kore.bind_unix("/run/kore.sock") is True
    assert kore.bind_unix("@kore") is True
    kore.domain("*")
    assert [(str(each.address), each.name, each.tls) for each in builder.build().servers] == [
        ("127.0.0.1:8888", "default", False),
        ("[::1]:8888", "default", False),
        ("/run/kore.sock", "default", False),
        ("@kore", "default", False),
    ]


def test_bind_adds_an_address_to_a_server_without_tls(builder: Builder) -> None:
    kore.server(ip="127.0.0.1", port=1, tls=False)
    kore.bind("127.0.0.1", "2")
    assert [each.address.port for each in builder.list_addresses()] == [1, 2]
    with pytest.raises(kore.errors.ConfigError, match="is already the address of server 'default'"):
        kore.bind("127.0.0.1", 2)


def test_bind_does_not_add_to_a_server_with_tls(builder: Builder) -> None:
    kore.server(ip="127.0.0.1", port=1)
    with pytest.raises(kore.errors.ConfigError, match=r"TLS, and kore.bind\(\) listens without"):
        kore.bind("127.0.0.1", 2)


def test_listen_of_kore_3_is_explained(builder: Builder) -> None:
    for arguments in (("127.0.0.1", "8888", ""), ("::1", 80, None), ("0.0.0.0", "1", "callback")):
        with pytest.raises(kore.errors.KoreError, match=r"write kore.bind\(.*tls=False"):
            kore.listen(*arguments)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="callback must be callable"):
        kore.listen("db", "channel", None)  # type: ignore[arg-type]
    assert builder.servers == {}


@pytest.mark.parametrize("nothing", [None, False, ""])
def test_empty_keyword_counts_as_not_given(builder: Builder, nothing: Any) -> None:
    kore.server("ip", ip="127.0.0.1", port="8888", path=nothing, tls=False)
    kore.server("path", ip=nothing, path="/run/kore.sock", tls=False)
    assert [str(each.address) for each in builder.list_addresses()] == [
        "127.0.0.1:8888", "/run/kore.sock",
    ]


def test_bind_unix_listens_on_a_path(builder: Builder) -> None:
    assert kore.bind_unix("/run/kore.sock") is True
    assert not builder.servers["default"].tls
