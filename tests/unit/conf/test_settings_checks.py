"""Checks of settings beside one another, and values that follow from others."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kore._conf import settings_checks
from kore._conf.diagnostics import Diagnostics
from kore._conf.settings import SETTINGS, SPARE_DESCRIPTORS, Settings
from kore._conf.value_types import S32


def collect_errors(given: Settings, places: Mapping[str, str]) -> list[str]:
    """Return the errors of settings."""
    problems = Diagnostics()
    settings_checks.resolve_settings(given, places, problems)
    return problems.found


def test_valid_settings_take_effect_unchanged() -> None:
    given = Settings(workers=3, worker_no_accept=(1, 2), http_media_type=("a/b x y", "a/c z"))

    places = dict.fromkeys(SETTINGS, "app.py:3")
    assert settings_checks.resolve_settings(given, places, Diagnostics()) == given


def test_hsts_is_not_sent_in_development_unless_it_is_set() -> None:
    def resolve(given: Settings, *places: str) -> int:
        found = settings_checks.resolve_settings(given, dict.fromkeys(places, "x"), Diagnostics())
        return found.http_hsts_enable

    assert resolve(Settings()) == 0
    assert resolve(Settings(deployment="development"), "deployment") == 0
    assert resolve(Settings(http_hsts_enable=5), "http_hsts_enable") == 5
    assert resolve(Settings(deployment="production"), "deployment") == 31536000


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (
            {"workers": 2, "worker_no_accept": (1, 5)},
            "app.py:3: bad value '5' for worker_no_accept: 1..2",
        ),
        (
            {"workers": 2, "worker_no_accept": (1, 2, 1)},
            "app.py:3: worker_no_accept names every worker: none is left to accept",
        ),
        (
            {"http_media_type": ("text/html html htm", "text/x html")},
            "app.py:3: duplicate extension found 'html' in http_media_type",
        ),
    ],
)
def test_settings_that_contradict_are_refused_where_they_were_set(
    settings: dict[str, Any], words: str
) -> None:
    assert [words] == collect_errors(
        Settings(**settings),
        dict.fromkeys(list(settings)[-1:], "app.py:3"),
    )


def test_setting_a_default_is_allowed() -> None:
    assert collect_errors(Settings(), {"http_body_disk_offload": "app.py:3"}) == []


def test_more_connections_raise_the_limit_of_descriptors() -> None:
    many = Settings(worker_max_connections=10_000)

    assert settings_checks.resolve_settings(many, {}, Diagnostics()).worker_rlimit_nofiles == 10_256
    assert (
        settings_checks.resolve_settings(Settings(), {}, Diagnostics()).worker_rlimit_nofiles == 768
    )


def test_the_most_connections_need_an_allowed_number_of_descriptors() -> None:
    most = Settings(worker_max_connections=S32 - SPARE_DESCRIPTORS)
    wanted = settings_checks.resolve_settings(most, {}, Diagnostics()).worker_rlimit_nofiles

    assert SETTINGS["worker_rlimit_nofiles"].parse(wanted) == wanted


def test_a_configured_limit_of_descriptors_is_kept() -> None:
    given = Settings(worker_max_connections=10_000, worker_rlimit_nofiles=900)

    places = dict.fromkeys(["worker_rlimit_nofiles", "http_hsts_enable"], "app.py:3")
    assert given == settings_checks.resolve_settings(given, places, Diagnostics())


def test_the_body_directory_is_resolved_only_with_bodies_in_files() -> None:
    given = Settings(http_body_disk_path="/missing/bodies")

    places = {"http_hsts_enable": "app.py:3"}
    assert settings_checks.resolve_settings(given, places, Diagnostics()) == given


def test_the_body_directory_is_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = Settings(http_body_disk_offload=1, http_body_disk_path="made/later")
    Path("made").mkdir()

    assert settings_checks.resolve_settings(given, {}, Diagnostics()).http_body_disk_path == str(
        tmp_path / "made" / "later"
    )


def test_bodies_in_files_raise_the_limit_of_descriptors(tmp_path: Path) -> None:
    given = Settings(
        worker_max_connections=1000, http_body_disk_offload=1, http_body_disk_path=str(tmp_path)
    )

    assert settings_checks.resolve_settings(given, {}, Diagnostics()).worker_rlimit_nofiles == 2256
    most = replace(given, worker_max_connections=S32 - 256)
    assert settings_checks.resolve_settings(most, {}, Diagnostics()).worker_rlimit_nofiles == S32
