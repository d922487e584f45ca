import contextlib
import json
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._conf.schema import Config
from kore._conf.server_schema import Address, CertificateFiles, DomainTls, Privsep, Server
from kore._conf.settings import Settings
from kore._process.ipc.messages import ProtocolError
from kore._process.parent_config import ParentConfig
from kore.errors import ConfigError

GOOD = json.loads(json.dumps(Config(Settings(), (), ()).plain()))
SERVER = {"name": "http", "address": {"ip": "127.0.0.1", "port": 80, "path": ""}, "tls": False}
SERVER["redirect_https"] = False
DOMAIN_TLS = DomainTls(
    "a.example",
    "http",
    (CertificateFiles("/etc/a.pem", "/etc/a.key"), CertificateFiles("/etc/b.pem", "/etc/b.key")),
    client_verify="/etc/ca.pem",
    verify_depth=3,
    crl="/etc/crl.pem",
    where="app.py:3",
)
TLS = json.loads(json.dumps(asdict(DOMAIN_TLS)))


def plain(servers: object = (), **settings: object) -> dict[str, Any]:
    return {**GOOD, "servers": servers, "settings": {**GOOD["settings"], **settings}}


def test_configuration_survives_json() -> None:
    plan = ParentConfig.read(plain([SERVER], workers=3, worker_no_accept=[2]))

    assert plan.servers == (Server("http", Address(ip="127.0.0.1", port=80), tls=False),)
    assert plan == ParentConfig.read(plain([SERVER], workers=3, worker_no_accept=[2]))
    assert list(plan.numbers) == [1, 2, 3]
    assert plan.accepting == [1, 3]


def test_the_tls_part_of_domains_survives_json() -> None:
    read = ParentConfig.read(
        json.loads(json.dumps(Config(Settings(), (), (), tls=(DOMAIN_TLS,)).plain()))
    )

    assert read.tls == (DOMAIN_TLS,)
    assert read.tls[0].where == "app.py:3"


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {**GOOD, "name": 5},
        {**GOOD, "settings": []},
        {**GOOD, "settings": {}},
        plain(workers=0),
        plain(workers=100_000),
        plain(workers="many"),
        plain(drain_timeout=-1),
        plain(logfile="no\0file"),
        plain(pidfile=7),
        plain(5),
        plain([5]),
        plain([{**SERVER, "tls": "no"}]),
        plain([{**SERVER, "redirect_https": 1}]),
        plain([{**SERVER, "name": None}]),
        plain([{**SERVER, "address": {"ip": "::", "port": 65536, "path": ""}}]),
        plain([{**SERVER, "address": {"ip": "::", "port": True, "path": ""}}]),
        plain([{**SERVER, "address": {"ip": "::", "port": 80}}]),
        {**GOOD, "tls": [{}]},
        {**GOOD, "tls": [{**TLS, "verify_depth": -1}]},
        {**GOOD, "tls": [{**TLS, "verify_depth": True}]},
        {**GOOD, "tls": [{**TLS, "acme": 0}]},
        {**GOOD, "tls": [{**TLS, "domain": "a\n"}]},
        {**GOOD, "tls": [{**TLS, "crl": "a\0"}]},
        {**GOOD, "tls": [{**TLS, "certificates": ["/etc/a.pem"]}]},
        {**GOOD, "tls": [{**TLS, "certificates": TLS["certificates"] * 5}]},
    ],
)
def test_invalid_configuration_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ProtocolError, match="invalid configuration message"):
        ParentConfig.read(bad)


@given(st.sampled_from(sorted(GOOD["settings"])), st.none() | st.integers() | st.text())
def test_any_value_of_a_setting_is_accepted_or_a_protocol_error(name: str, value: object) -> None:
    with contextlib.suppress(ProtocolError):
        assert ParentConfig.read(plain(**{name: value})).numbers


@pytest.mark.parametrize("deployment", ["docker", "production"])
def test_deployment_that_switches_users_is_refused(
    deployment: str,
) -> None:
    plan = ParentConfig.read(plain(deployment=deployment))

    with pytest.raises(ConfigError, match=f"'{deployment}' needs chroot"):
        plan.refuse_unsupported(same_user=False)
    plan.refuse_unsupported(same_user=True)


def test_tls_needs_no_switch_of_user() -> None:
    ParentConfig.read(plain([{**SERVER, "tls": True}])).refuse_unsupported(same_user=False)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ""),
        ({"deployment": "development"}, ""),
        ({"pidfile": "mine.pid"}, "mine.pid"),
        ({"deployment": "production"}, "kore.pid"),
    ],
)
def test_pid_file_depends_on_deployment_and_setting(
    settings: dict[str, str], expected: str
) -> None:
    assert ParentConfig.read(plain(**settings)).choose_pidfile() == expected
    assert ParentConfig.read(plain(**settings)).choose_pidfile(background=True) == (
        expected or "kore.pid"
    )


WORKER = {
    "process": "worker",
    "root": "/x",
    "runas": "",
    "skip": ["chroot"],
    "where": "kore.conf:3",
}


def test_privsep_is_read_and_refused() -> None:
    plan = ParentConfig.read({**plain([SERVER]), "privsep": [WORKER]})

    assert plan.privsep == (Privsep("worker", root="/x", skip=("chroot",)),)
    plan.refuse_unsupported(same_user=True)
    with pytest.raises(ConfigError, match=r"^kore\.conf:3: privsep worker: root is not part of"):
        plan.refuse_unsupported(same_user=False)


def test_skipping_the_chroot_is_accepted() -> None:
    skipping = {**WORKER, "root": ""}

    ParentConfig.read({**plain([SERVER]), "privsep": [skipping]}).refuse_unsupported(
        same_user=False
    )


@pytest.mark.parametrize("bad", [5, [5], [{}], [{**WORKER, "root": 5}], [{**WORKER, "skip": 5}]])
def test_invalid_privsep_is_refused(bad: object) -> None:
    with pytest.raises(ProtocolError, match="invalid configuration message"):
        ParentConfig.read({**plain([SERVER]), "privsep": bad})
