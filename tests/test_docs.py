"""The reference says what the code does."""

from pathlib import Path
from runpy import run_path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("name", ["api.md", "settings.md"])
def test_a_page_of_the_reference_is_in_step(name: str) -> None:
    pages = run_path(str(DOCS / "generate.py"))["PAGES"]

    assert (DOCS / "reference" / name).read_text() == pages[name](), "run docs/generate.py"


def test_every_page_of_the_reference_is_checked() -> None:
    assert {page.name for page in (DOCS / "reference").iterdir()} == {"api.md", "settings.md"}
