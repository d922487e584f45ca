"""The tables agree with what the standard library and Kore say."""

from http import HTTPStatus

from kore._http.tables import METHODS, STATUS


def test_statuses_have_the_texts_of_the_standard_library() -> None:
    # Texts that RFC 9110 changed, and Python 3.13 with it.
    renamed = {413, 414, 416, 422}
    same = {status: text for status, text in STATUS.items() if status not in renamed}
    known = {status.value: status.phrase for status in HTTPStatus}

    assert same == {status: known.get(status, "?") for status in same} | {305: "Use Proxy"}
    assert STATUS.keys() >= known.keys()


def test_methods_are_distinct_bits() -> None:
    assert sum(METHODS.values()) == 1 + 2 + 4 + 16 + 32 + 64 + 128
    assert {method.bit_count() for method in METHODS.values()} == {1}
    assert len(METHODS) == 7
