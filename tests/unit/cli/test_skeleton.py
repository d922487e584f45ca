"""What `kodev create` writes into requirements.txt: where kore came from, never its bare name."""

import json
import sys
from pathlib import Path

import pytest

from kore._cli.skeleton import format_requirement

COMMENT = "# kore itself: install it as you did here"
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("origin", "line"),
    [
        (None, COMMENT),
        ("not json", COMMENT),
        ("[]", COMMENT),
        ({}, COMMENT),
        ({"url": "file:///srv/kore", "dir_info": {}}, "NAME @ file:///srv/kore"),
        ({"url": "file:///srv/kore", "dir_info": {"editable": True}}, "-e file:///srv/kore"),
        (
            {
                "url": "https://example.org/kore.git",
                "vcs_info": {"vcs": "git", "commit_id": COMMIT, "requested_revision": "main"},
            },
            f"NAME @ git+https://example.org/kore.git@{COMMIT}",
        ),
        ({"url": "https://example.org/kore.git", "vcs_info": {"vcs": "git"}}, COMMENT),
        (
            {"url": "https://example.org/k.whl", "archive_info": {"hash": "sha256=ab"}},
            "NAME @ https://example.org/k.whl#sha256=ab",
        ),
        ({"url": "file:///a\nrequests"}, COMMENT),
    ],
)
def test_requirement_names_the_origin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, origin: object, line: str
) -> None:
    place = tmp_path / "some_server-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: some-server\nVersion: 1.0\n")
    if origin is not None:
        text = origin if isinstance(origin, str) else json.dumps(origin)
        (place / "direct_url.json").write_text(text)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])

    assert format_requirement("some-server") == line.replace("NAME", "some-server")


def test_requirement_of_a_missing_distribution_is_a_comment() -> None:
    assert format_requirement("nobody-has-registered-this") == COMMENT
