"""The fixture of the core's tests."""

from tests.helpers.fix_core import pair

__all__ = ["pair"]
