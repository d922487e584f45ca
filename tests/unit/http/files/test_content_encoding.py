"""Accept-Encoding: which of our codings a client takes, and which it likes best."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._http.files.content_encoding import SUFFIXES, list_accepted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("gzip", ("gzip",)),
        ("GZIP", ("gzip",)),
        ("x-gzip", ("gzip",)),
        ("gzip, deflate, br, zstd", ("br", "zstd", "gzip")),
        ("gzip;q=1.0, br;q=0.5", ("gzip", "br")),
        ("br ; q=0.5,gzip", ("gzip", "br")),
        ("br;q=0, gzip", ("gzip",)),
        ("br;q=0.000", ()),
        ("*", ("br", "zstd", "gzip")),
        ("*;q=0.5, gzip", ("gzip", "br", "zstd")),
        ("*, br;q=0", ("zstd", "gzip")),
        ("*;q=0", ()),
        ("identity", ()),
        ("identity;q=0.5, gzip;q=0.4", ()),
        ("identity;q=0.4, gzip;q=0.5", ("gzip",)),
        ("identity;q=0, gzip", ("gzip",)),
        ("deflate", ()),
        ("gzipped", ()),
        ("gzip;level=9", ()),
        ("gzip;q=2", ()),
        ("gzip;q=-1", ()),
        ("gzip;q=nan", ()),
        (",, gzip ,", ("gzip",)),
        ("br gzip", ()),
        ("", ()),
        ("gzip," * 100, ()),
    ],
)
def test_codings_are_sorted_by_weight(text: str, expected: tuple[str, ...]) -> None:
    assert list_accepted([text]) == expected


def test_several_fields_are_one_list() -> None:
    assert list_accepted(["br", "gzip"]) == ("br", "gzip")
    assert list_accepted([]) == ()


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    assert set(list_accepted([text])) <= SUFFIXES.keys()
