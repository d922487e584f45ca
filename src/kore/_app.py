"""Load the application, let it and its file configure, and return the configuration.

Whatever goes wrong comes out as one `StartError`, ready to be printed. Code is loaded once in
the life of a process: new code means a new process.
"""

import errno
import importlib
import os
import stat
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from kore import _context
from kore._conf import notices
from kore._conf.builder import Builder
from kore._conf.diagnostics import get_working_directory, make_absolute
from kore._conf.file import loader
from kore._conf.file.syntax import parse
from kore._conf.schema import Config
from kore._conf.signatures import (
    check_callable,
    check_hook,
    is_websocket_callback,
    locate_function,
    select_hook_arguments,
)
from kore._maybe_async import is_awaitable
from kore._symbols import Symbols
from kore._tracebacks import format_traceback
from kore.errors import ConfigError, Fatal, KoreError, StartError

FAILED: Final = {"configure": "failed to configure your application"}


def load(
    path: str,
    arguments: Sequence[str] = (),
    conf: str = "",
    told: Mapping[str, Callable[[Any], object]] | None = None,
) -> Config:
    """Return what an application asks for; *told*: who hears of a setting at once."""
    application = Application(path, arguments, conf)
    application.builder.on_change.update(told or {})
    return application.load()


class Application:
    """An application, a configuration file, or both, on the way to a configuration.

    *path* is a .py file, a directory or a module name. Whoever loads it becomes the application:
    its directory, for one, may change.
    """

    def __init__(self, path: str, arguments: Sequence[str] = (), conf: str = "") -> None:
        self.path = path
        self.conf = conf
        self.arguments = ["kore", *arguments]
        self.modules = Symbols()
        self.builder = Builder()
        self.builder.find_function = self.modules.named
        # What takes the place of that while modules may not configure.
        self.aside: Builder | None = None
        # The statements of the file that load code, to be printed again.
        self.imports: list[tuple[str, ...]] = []
        # What paths in the file are relative to, but for those of modules: a package is entered.
        self.start = get_working_directory()

    def load(self) -> Config:
        """Return the configuration."""
        _context.current.builder = self.builder
        try:
            self.configure()
            return self.builder.build()
        except StartError:
            raise
        except (KoreError, Fatal) as error:
            reason = str(error) if isinstance(error, Fatal) else f"fatal: {error}"
            raise StartError(reason) from None
        finally:
            if not self.builder.frozen:
                self.builder.discard()

    def configure(self) -> None:
        """Have everybody say what they want: the application first, then the file."""
        if self.path:
            self.modules.add(imported(self.path))
        self.modules.refuse_class()
        hook = self.modules.hooks().get("configure")
        call(hook, "configure", self.arguments)
        self.read(self.conf or self.builder.settings.file)
        self.modules.refuse_class()
        self.builder.hooks = self.modules.hooks()
        self.check_hooks()
        later = self.modules.later()
        self.builder.notices += [f"{hook} has no effect in this version" for hook in later]
        if hook is None and not self.builder.problems.found:
            with self.listening():
                call(self.builder.hooks.get("configure"), "configure", self.arguments)
        routes = [pending.route for pending in self.builder.pending_routes]
        needs_routes = self.builder.servers and not any(d.rules for d in self.builder.domains)
        self.builder.notices += notices.find_route_notices(routes, needs_routes=bool(needs_routes))

    def check_hooks(self) -> None:
        """Take note of hooks that cannot be called, and of names that look like hooks."""
        hooks = self.builder.hooks
        if is_websocket_callback(hooks.get("onmsg")):
            del hooks["onmsg"]
        for name, hook in hooks.items():
            with self.builder.problems.collect_errors(locate_function(hook)):
                check_hook(name, hook)
        self.builder.notices += self.modules.misspelled()

    def read(self, file: str) -> None:
        """Read a configuration file."""
        if file:
            blocks = parse(file, self.contents, os.environ, self.builder.problems)
            loader.load(blocks, self.builder, self)

    def itself(self) -> list[tuple[str, ...]]:
        """Return the statement that imports the application, for a file that does all it did."""
        if not self.path or not self.modules.loaded:
            return []
        place = Path(self.modules.loaded[0].__file__ or "")
        place = place.parent if place.name == "__init__.py" else place
        with suppress(ValueError):
            place = place.relative_to(self.start)
        return [("python_import", f"./{place}" if not place.is_absolute() else str(place))]

    # What the file needs while it is read.

    def contents(self, path: str) -> bytes:
        """Return what is in a file; OSError if that is not a regular one.

        A pipe or a device might never end, and has nothing left for the next load.
        """
        fd = os.open(self.start / path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with open(fd, "rb") as file:  # noqa: PTH123 - of a descriptor
            kind = os.fstat(fd).st_mode
            if stat.S_ISDIR(kind):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not stat.S_ISREG(kind):
                raise OSError(errno.EINVAL, "it is not a regular file, to be read at each load")
            return file.read()

    def resolve_path(self, path: str) -> str:
        """Return where a path of the file is, however the working directory has changed."""
        return str(self.start / path)

    def python_path(self, directory: str) -> None:
        """Have modules be found in *directory*, too."""
        searchable(get_working_directory() / directory)
        self.imports.append(("python_path", directory))

    def python_configure(self, *, allowed: bool) -> None:
        """Have the file say alone what is served, or modules as well."""
        self.aside = None if allowed else Builder()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take what modules say in the block; all of it, or only what a file has no words for."""
        aside = self.aside
        _context.current.builder = aside or self.builder
        try:
            yield
        finally:
            _context.current.builder = self.builder
            if aside is not None:
                self.builder.take_over(aside)

    def python_import(self, path: str, onload: str) -> None:
        """Import a file or a package; workers call its function *onload*."""
        with self.listening():
            module = module_at(path)
        self.modules.add(module)
        self.imports.append(("python_import", path, *filter(None, [onload])))
        if onload:
            function = getattr(module, onload, None)
            if not callable(function):
                raise ConfigError(f"{path}: onload '{onload}' not present")
            check_callable(function, "(action)", f"{path}: onload")
            self.builder.onloads.append(function)

    def find_symbol(self, name: str) -> Callable[..., Any] | None:
        """Return what a module calls *name*."""
        return self.modules.symbol(name)

    def list_symbols(self) -> list[str]:
        """Return all names that can be meant."""
        return self.modules.symbols()


def module_at(path: str) -> ModuleType:
    """Return the module that is the file or package at *path*; one imported before stays it."""
    place = Path(make_absolute(path))
    file = place / "__init__.py" if place.is_dir() else place
    if not file.is_file() or file.suffix.lower() != ".py":
        kinds = "a .py file, or a directory with an __init__.py"
        raise ConfigError(f"python_import: '{path}' is not a file or directory: it takes {kinds}")
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == str(file):
            return module
    try:
        return import_package(place) if place.is_dir() else import_file(place)
    except Exception as error:
        raise ConfigError(f"{path}: failed to import module\n{format_traceback(error)}") from error


def imported(path: str) -> ModuleType:
    """Import the application."""
    run = importer(path)
    try:
        return run()
    except Exception as error:
        text = format_traceback(error)
        raise StartError(f"{text}fatal: {path}: failed to import module") from error


def importer(path: str) -> Callable[[], ModuleType]:
    """Return what will import the application at *path*."""
    # Not resolve(): a symbolic link has the name its owner gave it.
    place = Path(make_absolute(path))
    if place.suffix.lower() == ".py":
        if not place.is_file():
            raise StartError(f"fatal: {path}: no such file")
        return lambda: import_file(place)
    if place.is_dir():
        if not (place / "__init__.py").is_file():
            raise StartError(f"fatal: {path}: an application's directory needs an __init__.py")
        return lambda: import_directory(place)
    if place.exists():
        conf = f", a configuration file is given by `kore -c {path}`" * (place.suffix == ".conf")
        raise StartError(f"fatal: {path}: the name of an application's file ends in .py{conf}")
    if place.suffix == ".conf":
        raise StartError(f"fatal: {path}: no such file; one is given by `kore -c {path}`")
    if ":" in path:
        raise StartError(f"fatal: {path}: {_without_object(path)}")
    searchable(get_working_directory())
    if not all(map(str.isidentifier, path.split("."))) or not find_spec(path.split(".")[0]):
        raise StartError(f"fatal: {path}: no such file, directory or module")
    return lambda: importlib.import_module(path)


def _without_object(path: str) -> str:
    """Return what to write instead of `module:object`, as other servers take it."""
    module = path.partition(":")[0]
    file = f"{module.removesuffix('.py').replace('.', os.sep)}.py"
    name = file if Path(file).is_file() else module
    return f"kore finds `koreapp` by itself, write `kore {name}`"


def import_file(file: Path) -> ModuleType:
    """Import a file under its own name; what lies beside it can be imported too."""
    name = free_name(file.stem, file)
    # Beside a link, and beside what it leads to, as for a script.
    searchable(file.parent, file.resolve().parent)
    return executed(name, file, [])


def import_directory(directory: Path) -> ModuleType:
    """Import a directory as a package, and go there."""
    module = import_package(directory)
    os.chdir(directory)
    return module


def import_package(directory: Path) -> ModuleType:
    """Import a directory as a package."""
    file = directory / "__init__.py"
    name = free_name(directory.name, file)
    searchable(directory.parent, directory)
    return executed(name, file, [str(directory)])


def executed(name: str, file: Path, package: list[str]) -> ModuleType:
    """Run a file as the module *name*: a package if there is where to find its parts."""
    loader = SourceFileLoader(name, str(file))
    spec = ModuleSpec(name, loader, origin=str(file), is_package=bool(package))
    spec.submodule_search_locations = package or None
    spec.has_location = True
    module = sys.modules[name] = module_from_spec(spec)
    loader.exec_module(module)
    return module


def free_name(name: str, place: Path) -> str:
    """Return a name for the application that takes no other module's: calendar.py is allowed."""
    name = name.replace(".", "_")
    if name not in sys.modules:
        other = find_spec(name)
        if other is None or other.origin == str(place):
            return name
    return f"kore_app_{name}"


def searchable(*directories: Path) -> None:
    """Let modules be imported from *directories*, after all others, as in C Kore."""
    sys.path += [str(place) for place in directories if str(place) not in sys.path]


def call(hook: Callable[..., Any] | None, name: str, *arguments: object) -> None:
    """Call a hook that runs before any event loop, if the application has it."""
    if hook is None:
        return
    try:
        check_hook(name, hook)
    except ConfigError as error:
        raise StartError(f"fatal: {locate_function(hook)}: {error}") from None
    try:
        pending = hook(*select_hook_arguments(name, hook, arguments))
    except Exception as error:
        text = format_traceback(error)
        raise StartError(f"{text}fatal: {FAILED.get(name, f'{name}() failed')}") from error
    if is_awaitable(pending):
        if close := getattr(pending, "close", None):
            close()  # a coroutine that will not run
        raise StartError(f"fatal: {name}() must not be async: no event loop runs it")


def reason(error: BaseException) -> str:
    """Return why an application could not be loaded, ready to be printed."""
    if isinstance(error, SystemExit) and not isinstance(error.code, str):
        return f"the application ended itself while it was loaded, with status {error.code or 0}"
    if isinstance(error, (KoreError, SystemExit)):
        return str(error)
    return format_traceback(error)
