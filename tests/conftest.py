"""The fixtures of all tests."""

import pytest

# Their asserts explain themselves as a test's own do.
pytest.register_assert_rewrite("tests.helpers")

pytest_plugins = ["tests.helpers.fix_serve"]
