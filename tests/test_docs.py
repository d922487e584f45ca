"""The pages are in step with the code: the reference, and the tables of the design page."""

import re
from pathlib import Path
from runpy import run_path

import pytest

PAGES = ["api.md", "curlopts.md", "directives.md", "settings.md"]
ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


@pytest.mark.parametrize("name", PAGES)
def test_a_page_of_the_reference_is_in_step(name: str) -> None:
    pages = run_path(str(DOCS / "generate.py"))["PAGES"]

    assert (DOCS / "reference" / name).read_text() == pages[name](), "run docs/generate.py"


def test_the_stub_of_the_settings_is_in_step() -> None:
    found = run_path(str(DOCS / "generate.py"))

    assert found["SETTINGS_STUB"].read_text() == found["settings_stub"](), "run docs/generate.py"


def test_every_page_of_the_reference_is_checked() -> None:
    assert {page.name for page in (DOCS / "reference").iterdir()} == set(PAGES)


def section(page: str, title: str) -> str:
    """Return the text of a page from a headline to the next one of its level."""
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def first_column(text: str) -> list[str]:
    """Return the names in the first column of the tables in a text."""
    rows = [line.split("|")[1] for line in text.splitlines() if line.startswith("| ")]
    return [name for row in rows for name in re.findall(r"`(\w+)`", row)]


def test_design_page_names_each_module_of_the_core() -> None:
    files = (ROOT / "src" / "kore" / "_core").iterdir()
    modules = {path.stem for path in files if path.suffix in {".pyx", ".pxd"}}
    named = first_column(section((DOCS / "design.md").read_text(), "The core"))

    assert sorted(named) == sorted(modules)


def test_glossary_defines_each_term_once() -> None:
    glossary = section((DOCS / "design.md").read_text(), "Glossary")
    rows = [line.split("|")[1].strip() for line in glossary.splitlines() if line.startswith("| ")]
    terms = [term for row in rows if row != "term" for term in row.split(", ")]

    assert len(terms) == len(set(terms))
    assert len(terms) >= 60


def test_classes_of_the_glossary_exist() -> None:
    glossary = section((DOCS / "design.md").read_text(), "Glossary")
    files = (ROOT / "src" / "kore").rglob("*.py*")
    source = "".join(path.read_text() for path in files if path.suffix in {".py", ".pyx"})
    classes = set(re.findall(r"\bclass (\w+)", source))

    assert set(re.findall(r"\(`([A-Z]\w+)`\)", glossary)) - classes == set()


def test_functions_of_the_walks_exist() -> None:
    page = (DOCS / "map.md").read_text()
    walks = section(page, "How a request travels") + section(page, "How a worker is born")
    rows = re.findall(r"\| \d+ \| `([\w/.]+)` \| ([^|]*) \|", walks)
    source = {file: (ROOT / "src" / "kore" / file).read_text() for file, _ in rows}
    missing = [
        (file, name)
        for file, names in rows
        for name in re.findall(r"`(\w+)`", names)
        if not re.search(rf"\b{name}\(", source[file])
    ]

    assert len(rows) >= 18
    assert missing == []
