"""Media types: a table with a row for each kind, and none twice."""

import re
from collections import Counter

import pytest

from kore._http.files.media import (
    DOCUMENTS,
    PICTURES,
    SOUNDS,
    TEXTS,
    UNKNOWN_TYPE,
    FileMediaType,
    build_table,
)

ROWS = [
    row.split() for part in (TEXTS, DOCUMENTS, PICTURES, SOUNDS) for row in part.split("\n") if row
]


@pytest.mark.parametrize(
    ("extension", "expected"),
    [
        ("html", "text/html; charset=utf-8"), ("js", "text/javascript; charset=utf-8"),
        ("mjs", "text/javascript; charset=utf-8"), ("css", "text/css; charset=utf-8"),
        ("json", "application/json"), ("svg", "image/svg+xml"), ("wasm", "application/wasm"),
        ("woff2", "font/woff2"), ("webp", "image/webp"), ("avif", "image/avif"),
        ("mp4", "video/mp4"), ("ico", "image/vnd.microsoft.icon"), ("pdf", "application/pdf"),
        ("webmanifest", "application/manifest+json"), ("gz", "application/gzip"),
        ("", UNKNOWN_TYPE),
        ("txt", "text/plain; charset=utf-8"), ("xml", "application/xml"),
    ],
)  # fmt: skip
def test_common_extensions_have_their_types(extension: str, expected: str) -> None:
    assert build_table(charset="utf-8")[extension].type == expected


def test_the_table_is_well_formed() -> None:
    for name, *extensions in ROWS:
        assert re.fullmatch(r"(text|application|font|image|model|audio|video)/[a-z0-9.+-]+", name)
        assert extensions
        assert all(re.fullmatch(r"[a-z0-9]+", extension) for extension in extensions), extensions


def test_no_extension_has_two_types() -> None:
    counted = Counter(extension for _, *extensions in ROWS for extension in extensions)

    assert [extension for extension, times in counted.items() if times > 1] == []


def test_added_types_win_whatever_their_case() -> None:
    found = build_table(["application/x-thing html .Thing", "text/x-log log"], "latin1")

    assert found["html"].type == found["thing"].type == "application/x-thing"
    assert found["log"].type == "text/x-log; charset=latin1"


def test_only_text_types_have_a_charset() -> None:
    found = build_table(charset="utf-8")

    assert found["png"].type == "image/png"
    assert build_table()["html"].type == "text/html"


def test_compressed_formats_are_marked() -> None:
    found = build_table()

    packed = ("png", "jpg", "mp4", "mp3", "woff2", "zip", "gz", "br")
    assert [e for e in packed if not found[e].is_compressed] == ["br"]
    plain = ("html", "css", "js", "json", "svg", "wasm", "ttf", "")
    assert not any(found[e].is_compressed for e in plain)
    assert found[""] == FileMediaType(UNKNOWN_TYPE, is_compressed=False)
