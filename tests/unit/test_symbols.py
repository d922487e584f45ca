"""What a name in a configuration file means, and which hooks there are."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from kore._symbols import Symbols

FIRST = """
class App:
    def page(self): ...
    def configure(self, args): ...
    def workerstart(self): ...
koreapp = App()
def index(): ...
def kore_worker_configure(): ...
text = "a"
"""
SECOND = """
def index(): ...
def other(): ...
def kore_parent_configure(args): ...
def kore_worker_teardown(): ...
"""


def module(name: str, source: str) -> ModuleType:
    made = ModuleType(name)
    exec(source.replace("class App", f"__name__ = {name!r}\nclass App"), vars(made))
    return made


@pytest.fixture
def modules() -> Symbols:
    made = Symbols()
    made.add(module("first", FIRST))
    made.add(module("second", SECOND))
    return made


@pytest.mark.parametrize(
    ("name", "qualified"),
    [
        ("index", "index"),
        ("other", "other"),
        ("koreapp.page", "App.page"),
        ("first.index", "index"),
        ("second.other", "other"),
    ],
)
def test_name_is_resolved_to_a_function(modules: Symbols, name: str, qualified: str) -> None:
    found = modules.find_symbol(name)

    assert found is not None
    assert found.__qualname__ == qualified


@pytest.mark.parametrize(
    "name", ["", "nobody", "text", "koreapp", "koreapp.nobody", "third.index", "a.b.c", "first."]
)
def test_other_names_are_not_resolved(modules: Symbols, name: str) -> None:
    assert modules.find_symbol(name) is None


def test_first_module_with_a_name_wins(modules: Symbols) -> None:
    first, second = modules.loaded

    assert modules.find_symbol("index") is first.index
    assert modules.find_symbol("second.index") is second.index


def test_get_name_returns_a_name_that_resolves_to_the_function(modules: Symbols) -> None:
    first, second = modules.loaded

    assert modules.get_name(first.index) == "index"
    assert modules.get_name(second.index) == "second.index"
    assert modules.get_name(first.koreapp.page) == "koreapp.page"
    assert modules.get_name(lambda: None) == ""


def test_get_name_does_not_search_everything_each_time(modules: Symbols) -> None:
    source = "".join(f"def f{number}(req): ...\n" for number in range(300))
    modules.add(module("many", source + "handlers = [lambda req: None for _ in range(300)]\n"))
    many = modules.loaded[-1]
    asked: list[str] = []

    class Counting(Symbols):
        def find_symbol(self, name: str) -> Callable[..., Any] | None:
            asked.append(name)
            return super().find_symbol(name)

    counting = Counting()
    counting.loaded = modules.loaded

    assert [counting.get_name(getattr(many, f"f{n}")) for n in (0, 299)] == ["f0", "f299"]
    assert {counting.get_name(handler) for handler in many.handlers} == {""}
    assert len(asked) < 3000


def test_unhashable_function_has_a_name(modules: Symbols) -> None:
    source = (
        "class Page:\n    def __call__(self, req): ...\n"
        "    def __eq__(self, other): return self is other\n"
        "page = Page()\n"
    )
    modules.add(module("pages", source))

    assert modules.get_name(modules.loaded[-1].page) == "page"


def test_list_symbols_has_functions_and_methods(modules: Symbols) -> None:
    assert {"index", "other", "koreapp.page"} <= set(modules.list_symbols())
    assert "text" not in modules.list_symbols()


def test_first_module_with_a_hook_wins_and_in_it_the_method(modules: Symbols) -> None:
    first, second = modules.loaded

    assert modules.find_hooks() == {
        "configure": first.koreapp.configure,
        "workerstart": first.koreapp.workerstart,
        "workerstop": second.kore_worker_teardown,
    }


def test_module_is_added_once(modules: Symbols) -> None:
    modules.add(modules.loaded[0])

    assert len(modules.loaded) == 2
