"""The Range field: what is followed, what is ignored, and that no byte is sent twice."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._http.files.ranges import RANGES_MAX, parse_range


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-", [(0, 10)]),
        ("bytes=3-5", [(3, 3)]),
        ("bytes=3-99", [(3, 7)]),
        ("bytes=9-", [(9, 1)]),
        ("bytes=-3", [(7, 3)]),
        ("bytes=-99", [(0, 10)]),
        ("bytes=-0", []),
        ("bytes=10-", []),
        ("bytes=10-12,-0", []),
        ("bytes=5-,99-", [(5, 5)]),
        ("BYTES=0-1", [(0, 2)]),
        (" bytes =\t0-1 , 4-5\t", [(0, 2), (4, 2)]),
        ("bytes=,,0-1,,", [(0, 2)]),
        ("bytes=7-8,0-1", [(7, 2), (0, 2)]),
        ("bytes=0-3,4-6", [(0, 4), (4, 3)]),
        ("bytes=0-3,2-6", [(0, 7)]),
        ("bytes=8-9,0-3,2-6", [(0, 7), (8, 2)]),
        ("bytes=0-,0-,0-", [(0, 10)]),
        ("bytes=-1,-1", [(9, 1)]),
        ("bytes=99999999999999999999-", []),
        ("bytes=0-99999999999999999999", [(0, 10)]),
        (f"bytes=0-{'9' * 6000}", [(0, 10)]),
        (f"bytes=-{'9' * 6000}", [(0, 10)]),
        (f"bytes={'0' * 6000}1-1", [(1, 1)]),
    ],
)
def test_valid_ranges_are_parsed(text: str, parts: object) -> None:
    assert parse_range(text, 10) == parts


@pytest.mark.parametrize(
    "text",
    [
        "", "bytes", "bytes=", "bytes=,", "bytes 0-1", "lines=0-1", "bytes=a-b", "bytes=1",
        "bytes=-", "bytes=--1", "bytes=5-3", "bytes=0-1,5-3", "bytes=0-1,x", "bytes=0-1;2-3",
        "bytes=+0-1", "bytes=0x0-1", "bytes=0 - 1", "bytes=0-1-2", "bytes=\u0661-2", "bytes==0-1",
        "bytes=-1.5", "bytes=0-1\n", "none", f"bytes={','.join(['0-'] * (RANGES_MAX + 1))}",
        f"bytes={',' * 5000}",
    ],
)  # fmt: skip
def test_invalid_ranges_are_ignored(text: str) -> None:
    assert parse_range(text, 10) is None


def test_an_empty_file_has_no_parts() -> None:
    assert parse_range("bytes=0-", 0) is None
    assert parse_range("bytes=-1", 0) is None


PART = st.one_of(
    st.builds("{}-{}".format, st.integers(0, 30), st.integers(0, 40)),
    st.builds("{}-".format, st.integers(0, 30)),
    st.builds("-{}".format, st.integers(0, 40)),
)


@given(st.lists(PART, min_size=1, max_size=40), st.integers(1, 25))
def test_overlapping_ranges_are_merged_and_no_byte_is_lost(texts: list[str], size: int) -> None:
    """Whatever is asked for: parts lie inside, do not overlap, and are what was wanted."""
    parts = parse_range("bytes=" + ",".join(texts), size)
    if parts is None:
        pairs = [text.split("-") for text in texts]
        assert len(texts) > RANGES_MAX or any(a and b and int(b) < int(a) for a, b in pairs)
        return
    bytes_sent = [at for first, length in parts for at in range(first, first + length)]
    assert len(bytes_sent) == len(set(bytes_sent)) <= size
    asked: set[int] = set()
    for text in texts:
        first, _, last = text.partition("-")
        if first:
            asked.update(range(int(first), min(size, int(last) + 1 if last else size)))
        else:
            asked.update(range(max(0, size - int(last)), size))
    assert set(bytes_sent) == asked


@given(st.text())
def test_no_text_is_an_error(text: str) -> None:
    for field in (text, f"bytes={text}"):
        parts = parse_range(field, 10)
        assert parts is None or all(0 <= a < a + n <= 10 for a, n in parts)
