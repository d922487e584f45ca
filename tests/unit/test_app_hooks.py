"""Hooks of an application: which are accepted, which are refused, which names look like one."""

import importlib
import sys
import textwrap
from pathlib import Path

import pytest

from kore import _app
from kore._conf.schema import Config
from kore.errors import StartError

HEAD = """\
import kore
kore.server("plain", ip="127.0.0.1", port=0, tls=False)
kore.domain("*", attach="plain")
"""
ROUTE = '@kore.route("/")\ndef index(req): ...\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty directory, whose modules no earlier test has seen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.invalidate_caches()


def load(source: str) -> Config:
    Path("app.py").write_text(HEAD + textwrap.dedent(source))
    return _app.load("app.py")


def refused(source: str) -> str:
    with pytest.raises(StartError) as raised:
        load(source)
    return str(raised.value)


@pytest.mark.parametrize(
    "source",
    [
        "def kore_parent_configure(): kore.config.workers = 3",
        "def kore_parent_configure(args): kore.config.workers = 3",
        "def kore_parent_configure(*args): kore.config.workers = 3",
        "class App:\n    def configure(self): kore.config.workers = 3\nkoreapp = App()",
        "class App:\n    def configure(self, args): kore.config.workers = 3\nkoreapp = App()",
        "class koreapp:\n    @staticmethod\n    def configure(args): kore.config.workers = 3",
        "class koreapp:\n    @classmethod\n    def configure(cls, a): kore.config.workers = 3",
    ],
)
def test_configure_may_take_arguments_or_none(source: str) -> None:
    assert load(f"{source}\n{ROUTE}").settings.workers == 3


@pytest.mark.parametrize(
    ("hook", "wanted"),
    [
        ("workerstart(self, args)", "is called without arguments"),
        ("workerstop(self, args)", "is called without arguments"),
        ("cleanup(self, x)", "is called without arguments"),
        ("daemonized(self, x)", "is called without arguments"),
        ("signal(self)", "must accept (number)"),
        ("onmsg(self)", "must accept (obj)"),
        ("onmsg(self, sender, obj)", "must accept (obj)"),
    ],
)
def test_hook_with_a_wrong_signature_is_refused(hook: str, wanted: str) -> None:
    said = refused(f"class App:\n    async def {hook}: ...\nkoreapp = App()\n{ROUTE}")

    name = hook.partition("(")[0]
    assert said.startswith(f"fatal: app.py:5: the hook App.{name}(")
    assert said.endswith(wanted)


def test_onmsg_may_be_a_websocket_callback() -> None:
    source = "class App:\n    def onmsg(self, conn, op, data): ...\nkoreapp = App()\n"

    assert "onmsg" not in load(source + ROUTE).hooks
    assert "onmsg" in load(source.replace("conn, op, data", "*any") + ROUTE).hooks


def test_all_hooks_are_checked_at_once() -> None:
    said = refused("def kore_worker_configure(args): ...\ndef kore_onmsg(): ...\n" + ROUTE)

    assert said.splitlines() == [
        "fatal: 2 errors in the configuration:",
        "app.py:4: the hook kore_worker_configure(args) is called without arguments",
        "app.py:5: the hook kore_onmsg() must accept (obj)",
    ]


@pytest.mark.parametrize("arguments", ["self, args, more", "self, *, args"])
def test_configure_is_checked_before_it_is_called(arguments: str) -> None:
    said = refused(f"class App:\n    def configure({arguments}): ...\nkoreapp = App()")

    assert said.startswith("fatal: app.py:5: the hook App.configure(")
    assert said.endswith(" must accept (args)")


@pytest.mark.parametrize("name", ["workerstart", "workerstop", "cleanup"])
def test_generator_hook_is_refused(name: str) -> None:
    said = refused(f"class App:\n    def {name}(self): yield\nkoreapp = App()\n{ROUTE}")

    assert f"the hook App.{name}() is a generator: nothing would run it" in said


@pytest.mark.parametrize("hook", ["configure(self, args)", "workerstart(self)"])
def test_class_as_koreapp_is_refused(hook: str) -> None:
    said = refused(f"class Shop:\n    def {hook}: ...\nkoreapp = Shop\n{ROUTE}")

    assert said == (
        "fatal: app.py:5: koreapp is the class Shop, not an object of it: write `koreapp = Shop()`"
    )


@pytest.mark.parametrize(
    ("name", "hook"),
    [
        ("worker_start", "workerstart"), ("workerStop", "workerstop"), ("clean_up", "cleanup"),
        ("configured", "configure"), ("worker_started", "workerstart"),
    ],
)  # fmt: skip
def test_misspelled_hook_gets_a_notice(name: str, hook: str) -> None:
    config = load(f"class App:\n    async def {name}(self): ...\nkoreapp = App()\n{ROUTE}")

    assert config.notices == (f"app.py:5: koreapp.{name}() is not called: did you mean {hook}?",)


@pytest.mark.parametrize("name", ["kore_worker_configured", "kore_parent_tear_down"])
def test_misspelled_hook_function_gets_a_notice(name: str) -> None:
    (notice,) = load(f"def {name}(): ...\n{ROUTE}").notices

    assert notice.startswith(f"app.py:4: {name}() is not called: did you mean kore_")


def test_other_names_get_no_notice() -> None:
    methods = ["start", "stop", "run", "index", "config", "on_signal", "cleanup_old"]
    source = "class App:\n    def workerstart(self): ...\n"
    source += "".join(f"    def {name}(self, req): ...\n" for name in methods)

    assert load(f"{source}koreapp = App()\n{ROUTE}").notices == ()


def test_application_without_routes_gets_a_notice() -> None:
    (notice,) = load("").notices

    assert notice.startswith("the application has no routes: every request will be answered")


@pytest.mark.parametrize(
    "source",
    [ROUTE, "kore.domain('x', attach='plain').filemaps({'/': '/usr/share/doc/'})",
     "kore.domain('x', attach='plain').redirect('^/', 301, 'https://example.com/')"],
)  # fmt: skip
def test_application_with_redirects_gets_no_notice(source: str) -> None:
    if "domain" in source:
        Path("app.py").write_text(HEAD.replace('"*"', '"y"') + source)
        assert _app.load("app.py").notices == ()
    else:
        assert load(source).notices == ()


@pytest.mark.parametrize("path", ["/u/{n}", "/u/<n>", "^/u/{n}$", "^/u/<int:n>$"])
def test_route_syntax_of_other_frameworks_gets_a_notice(path: str) -> None:
    (notice,) = load(f"@kore.route({path!r})\ndef user(req): ...\n").notices

    assert notice.startswith("app.py:4: route '")
    assert "captures nothing here" in notice
    assert notice.endswith("write '^/u/([^/]+)$', and the handler gets each group")


def test_group_that_matches_no_path_is_refused_with_a_hint() -> None:
    with pytest.raises(StartError, match="captures nothing here, write"):
        load(r"@kore.route(r'/u/(\d+)')" + "\ndef user(req, n): ...\n")


@pytest.mark.parametrize("path", ["/u/([0-9]+)", "/u/([a-z]*)$", "/s/(.*)"])
@pytest.mark.parametrize("arguments", ["req", "req, n"])
def test_groups_in_a_literal_path_get_a_notice(path: str, arguments: str) -> None:
    (notice,) = load(f"@kore.route({path!r})\ndef user({arguments}): ...\n").notices

    assert "captures nothing here" in notice
    assert f"write '^{path.removesuffix('$')}$', and the handler gets each group" in notice


@pytest.mark.parametrize("path", ["/Kore_(software)", "/a(b)c", "/x(1.0)"])
def test_brackets_in_a_literal_path_get_no_notice(path: str) -> None:
    assert load(f"@kore.route({path!r})\ndef page(req): ...\n").notices == ()


@pytest.mark.parametrize("path", ["^/u/(?P<n>[0-9]{1,3})$", "^/[0-9]{4}$", "/u/n"])
def test_regular_expressions_get_no_notice(path: str) -> None:
    assert load(f"@kore.route({path!r})\ndef user(req, n=None): ...\n").notices == ()


@pytest.mark.parametrize(
    "result", ["wait()", "type('Later', (), {'__await__': lambda self: iter(())})()"]
)
def test_a_hook_that_returns_an_awaitable_is_refused(result: str) -> None:
    source = f"async def wait(): pass\ndef kore_parent_configure(): return {result}\n"

    assert refused(source).endswith("configure() must not be async: no event loop runs it")
