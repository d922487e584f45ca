"""Notices about configuration that has no effect."""

from kore._conf import notices
from kore._conf.settings import Settings


def test_a_changed_setting_without_effect_is_noticed() -> None:
    places = {"acme_email": "app.py:3", "acme_provider": "app.py:4"}

    assert notices.find_settings_notices(Settings(acme_email="a@b.test"), places) == (
        "app.py:3: acme_email has no effect in this version",
    )
