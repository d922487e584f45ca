"""Settings: what they take, what they refuse, and what they say about it."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from kore._conf.cpus import count_usable_cpus
from kore._conf.settings import SETTINGS, VERSION, Settings
from kore.errors import ConfigError

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("workers", 16, 16),
        ("workers", "16", 16),
        ("workers", " 16 ", 16),
        ("workers", 254, 254),
        ("workers", 255, 255),
        ("http_body_max", "16k", 16384),
        ("http_body_max", "2M", 2 << 20),
        ("http_body_max", "1 g", 1 << 30),
        ("http_keepalive_time", "10s", 10),
        ("http_keepalive_time", "2m", 120),
        ("http_keepalive_time", "1h", 3600),
        ("http_hsts_enable", "1d", 86400),
        ("http_request_ms", "5ms", 5),
        ("http_request_ms", "1s", 1000),
        ("worker_set_affinity", 0, False),
        ("worker_set_affinity", "1", True),
        ("worker_set_affinity", False, False),
        ("http_pretty_error", "yes", True),
        ("http_pretty_error", "No", False),
        ("http_pretty_error", "True", True),
        ("worker_death_policy", "terminate", "terminate"),
        ("tls_version", 1.3, "1.3"),
        ("pidfile", Path("/run/kore.pid"), "/run/kore.pid"),
        ("http_server_version", "", ""),
        ("worker_no_accept", "3", (3,)),
        ("worker_no_accept", [1, "2"], (1, 2)),
        ("http_media_type", "text/x-log   log  txt", ("text/x-log log txt",)),
    ],
)
def test_a_setting_parses_text_and_plain_values(name: str, value: object, result: object) -> None:
    assert result == SETTINGS[name].parse(value)
    assert type(result) is type(SETTINGS[name].parse(value))


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("workers", 0, "1..255"),
        ("workers", 256, "1..255"),
        ("workers", "-1", "1..255"),
        ("workers", "", "1..255"),
        ("start_timeout", -1, "0..65535 seconds"),
        ("start_timeout", "soon", "0..65535 seconds"),
        ("workers", "four", "1..255"),
        ("workers", "4k", "1..255"),
        ("workers", "٤", "1..255"),
        ("workers", 4.0, "1..255"),
        ("workers", True, "1..255"),
        ("workers", None, "1..255"),
        ("socket_backlog", 2**31, "0..2147483647"),
        ("worker_accept_threshold", 2**31, "1..2147483647"),
        ("worker_max_connections", 2**31 - 256, "1..2147483391"),
        ("worker_rlimit_nofiles", 1, "32..2147483647 (a worker needs a dozen for itself)"),
        ("http_header_max", 65536, "1..65535 bytes"),
        ("http_header_max", "10s", "1..65535 bytes"),
        ("http_keepalive_time", "1k", "0..65535 seconds"),
        ("worker_set_affinity", 2, "yes or no"),
        ("worker_set_affinity", "maybe", "yes or no"),
        ("worker_set_affinity", 1.0, "yes or no"),
        ("worker_death_policy", "revive", "restart or terminate"),
        ("worker_no_accept", 256, "1..255, or a list"),
        ("worker_no_accept", [1, 0], "1..255, or a list"),
        ("pidfile", 3, "a path, at most 4096 bytes"),
        ("pidfile", "a\0b", "a path, at most 4096 bytes"),
        ("http_server_version", "x" * 54, "text, at most 53 printable characters"),
        ("http_server_version", "kore\r\nx: y", "text, at most 53 printable characters"),
        ("http_server_version", "kör", "text, at most 53 printable characters"),
        ("http_media_type", "text/html", '"TYPE/SUBTYPE EXTENSION EXTENSION…", or a list'),
        ("http_media_type", "html htm", '"TYPE/SUBTYPE EXTENSION EXTENSION…", or a list'),
        ("http_media_type", 3, '"TYPE/SUBTYPE EXTENSION EXTENSION…", or a list'),
    ],
)
def test_a_bad_value_is_refused_with_what_is_allowed(
    name: str, value: object, allowed: str
) -> None:
    with pytest.raises(ConfigError) as raised:
        SETTINGS[name].parse(value)
    assert f"bad value '{value}' for {name}: {allowed}" == str(raised.value)


@pytest.mark.parametrize("name", ["http_request_ms", "http_request_limit"])
def test_zero_is_refused_with_a_reason_where_no_request_would_be_served(name: str) -> None:
    with pytest.raises(ConfigError, match=r"\(with 0 no request would ever be answered\)"):
        SETTINGS[name].parse(0)


def test_assigning_to_a_repeatable_setting_adds_and_a_list_replaces() -> None:
    row = SETTINGS["worker_no_accept"]

    assert row.assign((1,), 2) == (1, 2)
    assert row.assign((1,), [3, 4]) == (3, 4)
    assert row.assign((1,), []) == ()


def test_assigning_to_another_setting_replaces() -> None:
    assert SETTINGS["workers"].assign(3, 7) == 7


def test_there_are_as_many_workers_as_this_process_has_cpus() -> None:
    assert Settings().workers == count_usable_cpus() <= len(os.sched_getaffinity(0))


@pytest.mark.parametrize("row", SETTINGS.values(), ids=SETTINGS)
def test_every_default_is_a_value_the_setting_takes(row: Any) -> None:
    default = getattr(Settings(), row.name)

    assert default == row.parse(default)


@pytest.mark.parametrize("row", SETTINGS.values(), ids=SETTINGS)
def test_every_setting_has_a_one_sentence_description(row: Any) -> None:
    assert re.fullmatch(r"[A-Zdm].+\.", row.doc)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("workers", "one for each CPU"),
        ("http_header_max", "16384"),
        ("worker_set_affinity", "yes"),
        ("seccomp_tracing", "no"),
        ("http_media_type", "none"),
        ("logfile", "none"),
        ("http_body_disk_offload", "0"),
    ],
)
def test_a_default_is_formatted_as_in_a_file(name: str, shown: str) -> None:
    assert shown == SETTINGS[name].default


def test_the_version_is_the_one_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == VERSION
