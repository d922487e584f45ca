"""The numbers of the methods are Kore's."""

from kore._values.methods import METHODS


def test_methods_are_distinct_bits() -> None:
    assert sum(METHODS.values()) == 1 + 2 + 4 + 16 + 32 + 64 + 128
    assert {method.bit_count() for method in METHODS.values()} == {1}
    assert len(METHODS) == 7
