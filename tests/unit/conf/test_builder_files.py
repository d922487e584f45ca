"""What files bring to a configuration: several addresses, privileges, all errors at once."""

from collections.abc import Callable

import pytest

from kore._conf.builder import Builder
from kore._conf.server_schema import Address, Privsep
from kore.errors import ConfigError

LOCAL = Address("127.0.0.1", 0)


def handler(request: object) -> None:
    raise NotImplementedError


def numbered() -> Callable[[], str]:
    """Return places like app.py:1, app.py:2, one per call."""
    lines = iter(range(1, 1000))
    return lambda: f"app.py:{next(lines)}"


@pytest.fixture
def builder() -> Builder:
    """Return a configuration with one server named default, made in app.py:1."""
    made = Builder(numbered())
    made.server("default", LOCAL, tls=False)
    return made


def complaint(builder: Builder) -> str:
    with pytest.raises(ConfigError) as raised:
        builder.build()
    return str(raised.value)


def test_all_errors_are_raised_at_once(builder: Builder) -> None:
    builder.server("secure", Address("::1", 443), tls=True)
    builder.domain("s.test", "secure")
    builder.domain("a.test", "nowhere")
    builder.domain("b.test", "default")
    builder.route("/", handler, domain="c.test")
    builder.problems.add("kore.conf:7", "unknown directive 'x'")

    lines = complaint(builder).splitlines()

    assert lines[0] == "4 errors in the configuration:"
    assert [line.split(": ")[0] for line in lines[1:]] == [
        "kore.conf:7",
        "app.py:3",
        "app.py:4",
        "app.py:6",
    ]


def test_a_server_may_have_several_addresses(builder: Builder) -> None:
    builder.add_address("default", Address("::1", 0))
    builder.add_address("default", Address("::1", 80))

    assert [str(server.address) for server in builder.build().servers] == [
        "127.0.0.1:0",
        "[::1]:0",
        "[::1]:80",
    ]


def test_a_server_has_an_address_once(builder: Builder) -> None:
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:0 is already the address of server 'd"):
        builder.add_address("default", LOCAL)


def test_privileges_add_up(builder: Builder) -> None:
    builder.privsep(Privsep("worker", root="/var/www"))
    builder.privsep(Privsep("worker", runas="www", skip=("chroot",)))

    config = builder.build()

    (worker,) = config.privsep
    assert worker == Privsep("worker", "/var/www", "www", ("chroot",))
    assert worker.where == "app.py:3"
    assert config.notices == ("app.py:3: privsep worker: root has no effect in this version",)
