"""The reference says what the code does."""

from pathlib import Path
from runpy import run_path

import pytest

PAGES = ["api.md", "curlopts.md", "directives.md", "settings.md"]
DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_reference_is_in_step(name: str) -> None:
    pages = run_path(str(DOCS / "generate.py"))["PAGES"]

    assert (DOCS / "reference" / name).read_text() == pages[name](), "run docs/generate.py"


def test_the_stub_of_the_settings_is_in_step() -> None:
    found = run_path(str(DOCS / "generate.py"))

    assert found["SETTINGS_STUB"].read_text() == found["settings_stub"](), "run docs/generate.py"


def test_every_page_of_the_reference_is_checked() -> None:
    assert {page.name for page in (DOCS / "reference").iterdir()} == set(PAGES)
