"""The fixtures of all tests."""

import hypothesis
import pytest

# Their asserts explain themselves as a test's own do.
pytest.register_assert_rewrite("tests.helpers")

# The same examples on every machine, however long it takes for one.
hypothesis.settings.register_profile(
    "same",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("same")

pytest_plugins = ["tests.helpers.fix_serve", "tests.helpers.fix_postgres"]
