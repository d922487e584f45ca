import json
import re

import pytest

from kore._process.log.formats import (
    DETAIL_LINES_MAX,
    JSON_DATAGRAM_MAX,
    Record,
    escape_line,
    format_json,
    format_short_json,
    format_text,
)

DANGEROUS = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def test_every_character_that_could_end_a_line_is_escaped_and_no_other() -> None:
    for code in (*range(0x3000), *range(0xD7F0, 0xE010), 0xFFFF, 0x10000, 0x10FFFF):
        character = chr(code)
        expected = character
        if DANGEROUS.match(character):
            expected = character.encode("unicode_escape").decode()
        assert escape_line(f"a{character}b") == f"a{expected}b"


def test_json_keeps_them_as_escapes_that_mean_the_same() -> None:
    text = "".join(map(chr, (*range(0xA1), 0x2028, 0x2029, 0x1F600)))
    line = format_json(Record(0.0, "[wrk 1]", 6, text)).decode().removesuffix("\n")

    assert not DANGEROUS.search(line)
    assert json.loads(line)["message"] == text.rstrip("\n")


@pytest.mark.parametrize("character", ["x", "\x01", "\U0001f600", "\x7f", "\u2028"])
@pytest.mark.parametrize(("text", "detail"), [(130_000, 0), (60_000, 60_000), (10, 130_000)])
def test_an_object_for_a_datagram_fits_and_says_what_was_cut(
    character: str, text: int, detail: int
) -> None:
    record = Record(0.0, "[wrk 1]", 3, "BEGIN" + character * text, character * detail)
    line = format_short_json(record, JSON_DATAGRAM_MAX)

    assert len(line) <= JSON_DATAGRAM_MAX
    assert len(line) > JSON_DATAGRAM_MAX // 4
    found = json.loads(line)
    assert found["message"].startswith("BEGIN")
    assert "characters left out]" in found["message"] + found.get("detail", "")


def test_an_object_that_fits_is_not_cut() -> None:
    record = Record(0.0, "[wrk 1]", 3, "text", "detail\nof it")

    assert format_short_json(record, JSON_DATAGRAM_MAX) == format_json(record)


def test_of_very_many_lines_the_middle_is_left_out_and_counted() -> None:
    detail = "\n".join(map(str, range(100_000)))
    lines = format_text(Record(0.0, "[wrk 1]", 3, "text", detail)).decode().splitlines()

    assert len(lines) == DETAIL_LINES_MAX + 2
    assert f"[{100_000 - DETAIL_LINES_MAX} lines left out]" in lines[DETAIL_LINES_MAX // 2 + 1]
    assert lines[1].endswith("log=[| 0]")
    assert lines[-1].endswith("log=[| 99999]")
