"""Notices about configuration that has no effect."""

from kore._conf import notices
from kore._conf.settings import Settings


def test_a_changed_setting_without_effect_is_noticed() -> None:
    places = {"tls_version": "app.py:3", "tls_cipher": "app.py:4"}

    assert notices.find_settings_notices(Settings(tls_version="1.3"), places) == (
        "app.py:3: tls_version has no effect in this version",
    )
