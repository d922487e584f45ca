"""Applications loaded from files, directories and modules, and the messages when that fails."""

import importlib
import os
import sys
import textwrap
from pathlib import Path

import pytest

from kore import _app, _context
from kore.errors import StartError

SERVER = 'import kore\nkore.server("plain", ip="127.0.0.1", port=0, tls=False)\n'


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory, whose modules no earlier test has seen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.invalidate_caches()
    return tmp_path


def write(path: str, source: str) -> None:
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(textwrap.dedent(source))


def complaint(path: str, *arguments: str) -> str:
    """Return why the application cannot be started."""
    with pytest.raises(StartError) as raised:
        _app.load(path, arguments)
    return str(raised.value)


# What is loaded


def test_file_may_configure_on_import() -> None:
    write("app.py", SERVER + 'kore.config.workers = "2"\n@kore.route("/")\n'
          'def index(req): ...\nkore.domain("*", attach="plain")\n')  # fmt: skip

    config = _app.load("app.py")

    assert config.settings.workers == 2
    assert [server.name for server in config.servers] == ["plain"]
    assert [route.path for route in config.domains[0].routes] == ["/"]


def test_koreapp_configure_gets_the_arguments() -> None:
    write(
        "app.py",
        """
        import kore

        class App:
            def configure(self, args):
                kore.server(args[1], ip="127.0.0.1", port="8888", tls=False)
                domain = kore.domain("*", attach=args[1])
                domain.route("/", self.index, methods=["get"])

            def index(self, req):
                req.response(200, b"hello world")

        koreapp = App()
    """,
    )

    config = _app.load("app.py", ["plain"])

    assert str(config.servers[0].address) == "127.0.0.1:8888"
    assert config.domains[0].routes[0].methods == ("GET", "HEAD")
    assert config.domains[0].routes[0].handler.__name__ == "index"


def test_arguments_begin_with_the_program_name() -> None:
    write("app.py", SERVER + "def kore_parent_configure(args):\n    kore.app(args)\n")

    _app.load("app.py", ["a", "-b"])

    assert _context.current.app == ["kore", "a", "-b"]


def test_method_of_koreapp_wins_over_the_old_name() -> None:
    write(
        "app.py",
        SERVER
        + textwrap.dedent("""
        class App:
            def workerstart(self): ...
            cleanup = "not callable"

        koreapp = App()

        def kore_worker_configure(): ...
        def kore_worker_teardown(): ...
    """),
    )

    hooks = _app.load("app.py").hooks

    assert {name: hook.__qualname__ for name, hook in hooks.items()} == {
        "workerstart": "App.workerstart",
        "workerstop": "kore_worker_teardown",
    }


def test_file_can_import_modules_beside_it() -> None:
    write("site/app.py", SERVER + "import beside_it\nkore.app(beside_it.VALUE)\n")
    write("site/beside_it.py", "VALUE = 7\n")

    _app.load("site/app.py")

    assert _context.current.app == 7
    assert sys.path[-1] == str(Path("site").absolute())


def test_file_is_imported_under_its_name() -> None:
    write("my_shop.py", SERVER + "import my_shop\nkore.app(my_shop.kore is kore)\n")

    _app.load("my_shop.py")

    assert _context.current.app is True
    assert sys.modules["my_shop"].__file__ == str(Path("my_shop.py").absolute())


@pytest.mark.parametrize("name", ["json", "this"])
def test_file_does_not_replace_another_module(name: str) -> None:
    write(f"{name}.py", SERVER + "kore.app(__name__)\n")

    _app.load(f"{name}.py")

    assert _context.current.app == f"kore_app_{name}"
    assert sys.modules[f"kore_app_{name}"]
    assert importlib.util.find_spec(name).origin != str(Path(f"{name}.py").absolute())  # type: ignore[union-attr]


def test_file_on_the_search_path_keeps_its_name(here: Path) -> None:
    sys.path.insert(0, str(here))
    write("searched_app.py", SERVER + "kore.app(__name__)\n")

    _app.load("searched_app.py")

    assert _context.current.app == "searched_app"


def test_file_name_may_have_capitals_and_dots() -> None:
    write("my.app.PY", SERVER + "kore.app(__name__)\n")

    _app.load("my.app.PY")

    assert _context.current.app == "my_app"


@pytest.mark.parametrize("path", ["shop", "shop/", "./shop", "../{here}/shop"])
def test_directory_is_a_package_and_the_working_directory(here: Path, path: str) -> None:
    write("shop/__init__.py", SERVER + "from . import goods\nimport goods as again\n"
          "from shop.goods import LIST\nkore.app((__name__, LIST))\n")  # fmt: skip
    write("shop/goods.py", "LIST = [1]\n")

    _app.load(path.format(here=here.name))

    assert _context.current.app == ("shop", [1])
    assert Path.cwd() == here / "shop"
    assert sys.path[-2:] == [str(here), str(here / "shop")]


def test_current_directory_can_be_an_application(here: Path) -> None:
    write("shop/__init__.py", SERVER + "kore.app(__name__)\n")
    os.chdir("shop")

    _app.load(".")

    assert _context.current.app == "shop"


def test_module_is_found_by_its_name() -> None:
    write("shop_package/__init__.py", "")
    write("shop_package/front.py", SERVER + "kore.app(__name__)\n")

    _app.load("shop_package.front")

    assert _context.current.app == "shop_package.front"


# What goes wrong


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("app.py", "no such file"),
        ("missing/app.py", "no such file"),
        ("missing", "no such file, directory or module"),
        ("missing/app", "no such file, directory or module"),
        ("..", "an application's directory needs an __init__.py"),
        ("empty", "an application's directory needs an __init__.py"),
        ("notes.txt", "the name of an application's file ends in .py"),
    ],
)
def test_missing_application_is_a_one_line_error(path: str, reason: str) -> None:
    Path("empty").mkdir()
    Path("notes.txt").touch()

    assert complaint(path) == f"fatal: {path}: {reason}"


def test_failing_import_shows_application_frames_only() -> None:
    write("app.py", "import helper\n")
    write("helper.py", "def work():\n    return 1 / 0\n\nwork()\n")

    # Which part of a line is underlined depends on the version of Python.
    lines = [line for line in complaint("./app.py").splitlines() if line.strip(" ~^")]
    assert lines == [
        "Traceback (most recent call last):",
        f'  File "{Path("app.py").absolute()}", line 1, in <module>',
        "    import helper",
        f'  File "{Path("helper.py").absolute()}", line 4, in <module>',
        "    work()",
        f'  File "{Path("helper.py").absolute()}", line 2, in work',
        "    return 1 / 0",
        "ZeroDivisionError: division by zero",
        "fatal: ./app.py: failed to import module",
    ]


def test_failing_import_shows_its_cause_without_our_frames() -> None:
    write(
        "app.py",
        """
        import kore
        try:
            kore.config.workers = 0
        except Exception as error:
            raise ValueError("mine") from error
    """,
    )

    text = complaint("app.py")

    assert "ConfigError: bad value '0' for workers: 1..255" in text
    assert "ValueError: mine" in text
    assert str(Path(_app.__file__).parent) not in text
    assert "importlib" not in text


def test_syntax_error_is_shown_with_its_place() -> None:
    write("app.py", "a = 1\nb = = 2\n")

    text = complaint("app.py")

    assert f'File "{Path("app.py").absolute()}", line 2' in text
    assert "SyntaxError: invalid syntax" in text
    assert str(Path(_app.__file__).parent) not in text


def test_missing_module_is_named() -> None:
    write("shop_without/__init__.py", "")

    text = complaint("shop_without.front")

    assert "ModuleNotFoundError: No module named 'shop_without.front'" in text
    assert text.endswith("fatal: shop_without.front: failed to import module")


def test_failing_configure_shows_application_frames_only() -> None:
    write(
        "app.py",
        """
        import kore

        def kore_parent_configure(args):
            kore.server("plain", ip="127.0.0.1", port=99999, tls=False)
    """,
    )

    lines = complaint("app.py").splitlines()

    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith(", line 5, in kore_parent_configure")
    assert lines[-2].startswith("kore.errors.ConfigError: missing or invalid 'port' keyword: 99999")
    assert lines[-1] == "fatal: failed to configure your application"
    assert sum("File " in line for line in lines) == 1


def test_invalid_route_shows_application_frames_only() -> None:
    write("app.py", SERVER + "d = kore.domain('*', attach='plain')\n"
          "d.route('/x', print, hooks=1)\n")  # fmt: skip

    lines = complaint("app.py").splitlines()

    assert sum("File " in line for line in lines) == 1
    assert lines[-2].startswith("kore.errors.ConfigError: route '/x': hooks must be a dict")


def test_late_configuration_error_is_one_line_with_its_place() -> None:
    write("app.py", SERVER + "d = kore.domain('*', attach='plain')\n"
          "d.route('/x', print)\nd.route('/x', print)\n")  # fmt: skip

    assert complaint("app.py") == (
        "fatal: app.py:5: duplicate route for '/x': GET is taken at app.py:4"
    )


def test_decorated_route_is_located_at_its_decorator() -> None:
    write("app.py", SERVER + "@kore.route('/')\ndef index(req):\n    pass\n")

    assert complaint("app.py") == (
        'fatal: app.py:3: no domains configured, please configure one: call kore.domain("*")'
    )


@pytest.mark.parametrize("where", ["", "def kore_parent_configure(args): "])
def test_fatal_during_load_is_one_line(where: str) -> None:
    write("app.py", f"import kore\n{where}kore.fatal('no database')\n")

    assert complaint("app.py") == "fatal: no database"


def test_application_may_exit_during_load() -> None:
    write("app.py", "import sys\ndef kore_parent_configure(args): sys.exit(3)\n")

    with pytest.raises(SystemExit) as ended:
        _app.load("app.py")
    assert ended.value.code == 3


def test_async_configure_is_refused() -> None:
    write("app.py", SERVER + "async def kore_parent_configure(args): ...\n")

    assert complaint("app.py").startswith("fatal: app.py:3: configure() must not be async")


@pytest.mark.parametrize("end", ["1 / 0", "exit(1)", "kore.config.worker_no_accept = 250"])
def test_tasks_of_a_failed_load_are_closed(end: str) -> None:
    write("app.py", SERVER + "kore.config.workers = 2\nasync def task(): ...\n"
          f"coro = task()\nkore.task_create(coro)\nkore.app(coro)\n{end}\n")  # fmt: skip

    with pytest.raises((StartError, SystemExit)):
        _app.load("app.py")

    assert _context.current.app.cr_frame is None  # type: ignore[attr-defined]


def test_configuration_is_frozen_after_load() -> None:
    write("app.py", SERVER)

    config = _app.load("app.py")

    assert _context.require_builder().frozen
    assert _context.require_builder().settings is config.settings
