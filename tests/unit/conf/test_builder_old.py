"""What programs say that were written for other servers: with TLS, with none, for older Kores."""

from collections.abc import Callable

import pytest

from kore._conf.builder import Builder
from kore._conf.server_schema import Address, Privsep
from kore.errors import ConfigError


def numbered() -> Callable[[], str]:
    """Return places like app.py:1, app.py:2, one per call."""
    lines = iter(range(1, 1000))
    return lambda: f"app.py:{next(lines)}"


def complaint(builder: Builder) -> str:
    with pytest.raises(ConfigError) as raised:
        builder.build()
    assert not builder.frozen
    return str(raised.value)


def handler(request: object) -> None:
    raise NotImplementedError


@pytest.fixture
def builder() -> Builder:
    """Return a configuration with one server named default, made in app.py:1."""
    made = Builder(numbered())
    made.server("default", Address(ip="127.0.0.1", port=8888), tls=False)
    return made


def test_tls_keywords_without_effect_are_noticed_on_a_server_without_tls(builder: Builder) -> None:
    builder.domain("*", "default", cert="a.pem", key="b.pem", verify_depth=1, acme=False)

    assert builder.build().notices == tuple(
        f"app.py:2: domain '*': {keyword} has no effect: server 'default' is without TLS"
        for keyword in ("cert", "key", "verify_depth")
    )


@pytest.mark.parametrize("keyword", ["acme", "client_verify", "crl"])
def test_tls_keywords_that_restrict_access_are_refused_without_tls(
    builder: Builder, keyword: str
) -> None:
    builder.domain("*", "default", **{keyword: True if keyword == "acme" else "x"})

    assert complaint(builder) == (
        f"app.py:2: domain '*': {keyword} needs a server with TLS, and server 'default' is without"
    )


def test_old_names_of_privsep_settings_still_work(builder: Builder) -> None:
    builder.set("chroot", "/var/www")
    builder.set("runas", "www")
    builder.set("keymgr_runas", "keys")

    made = builder.build()
    assert made.privsep == (Privsep("worker", "/var/www", "www"), Privsep("keymgr", runas="keys"))
    call = "kore.privsep('worker', root='/var/www')"
    assert f"app.py:3: kore.config.chroot is an old spelling, call {call}" in made.notices


async def forever() -> None:
    raise NotImplementedError


def test_an_application_with_tasks_or_hooks_needs_no_server() -> None:
    busy, started, told = Builder(), Builder(), Builder()
    busy.create_task(forever())
    started.hooks["workerstart"] = handler
    told.onloads.append(handler)

    for builder in (busy, started, told):
        assert builder.build().servers == ()
    busy.discard()


def test_a_route_or_a_domain_needs_a_server_beside_tasks() -> None:
    builder = Builder()
    builder.create_task(forever())
    builder.domain("*", "default")

    assert complaint(builder).startswith("no server configured: call kore.server(")
    builder.discard()
