"""Load an application and its configuration file, and return the configuration.

Every failure is raised as a `StartError` whose text is ready to be printed. Code is loaded once in
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
from kore._conf.schema import Config
from kore._conf.server_schema import CertificateFiles
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

HOOK_FAILURES: Final = {"configure": "failed to configure your application"}


def load(
    path: str,
    arguments: Sequence[str] = (),
    conf: str = "",
    on_change: Mapping[str, Callable[[Any], object]] | None = None,
    local_certificate: CertificateFiles | None = None,
) -> Config:
    """Load an application and return its configuration.

    *on_change* has functions by setting, called as soon as it is set. With *local_certificate*,
    servers without TLS get it. Raises StartError.
    """
    application = Application(path, arguments, conf)
    application.builder.local_certificate = local_certificate
    application.builder.on_change.update(on_change or {})
    return application.load()


class Application:
    """An application, a configuration file, or both, while they are loaded.

    *path* is a .py file, a directory or a module name. Loading it changes this process: its import
    path, perhaps its working directory.
    """

    def __init__(self, path: str, arguments: Sequence[str] = (), conf: str = "") -> None:
        self.path = path
        self.conf = conf
        self.arguments = ["kore", *arguments]
        self.modules = Symbols()
        self.builder = Builder()
        self.builder.find_function = self.modules.require_symbol
        # The builder for calls of modules while those may not configure what is served.
        self.restricted_builder: Builder | None = None
        # Statements of the file that load code, for printing the configuration.
        self.imports: list[tuple[str, ...]] = []
        # Base of relative paths in the file. Those of modules are relative to the current working
        # directory, since a package may change that.
        self.start_directory = get_working_directory()

    def load(self) -> Config:
        """Load everything and return the configuration. Raises StartError."""
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
        """Run the application's code and read the file, in that order, into the builder."""
        if self.path:
            self.modules.add(_import_application(self.path))
        self.modules.check_class()
        hook = self.modules.find_hooks().get("configure")
        call_hook(hook, "configure", self.arguments)
        self.read_file(self.conf or self.builder.settings.file)
        self.modules.check_class()
        self.builder.hooks = self.modules.find_hooks()
        self.check_hooks()
        unsupported = self.modules.find_unsupported_hooks()
        self.builder.notices += [f"{hook} has no effect in this version" for hook in unsupported]
        if hook is None and not self.builder.problems.found:
            with self.collect_calls():
                call_hook(self.builder.hooks.get("configure"), "configure", self.arguments)
        routes = [pending.route for pending in self.builder.pending_routes]
        needs_routes = self.builder.servers and not any(d.rules for d in self.builder.domains)
        self.builder.notices += notices.find_route_notices(routes, needs_routes=bool(needs_routes))

    def check_hooks(self) -> None:
        """Collect errors of hooks that cannot be called, and notices about misspelled ones."""
        hooks = self.builder.hooks
        if is_websocket_callback(hooks.get("onmsg")):
            del hooks["onmsg"]
        for name, hook in hooks.items():
            with self.builder.problems.collect_errors(locate_function(hook)):
                check_hook(name, hook)
        self.builder.notices += self.modules.find_misspelled_hooks()

    def read_file(self, file: str) -> None:
        """Read a configuration file, if there is one."""
        if file:
            # Only with a file: 0.5 MB that all workers would carry.
            from kore._conf.file import loader
            from kore._conf.file.syntax import parse

            blocks = parse(file, self.read_contents, os.environ, self.builder.problems)
            loader.load(blocks, self.builder, self)

    def get_import_statement(self) -> list[tuple[str, ...]]:
        """Return the statement that imports the application, for a printed configuration."""
        if not self.path or not self.modules.loaded:
            return []
        place = Path(self.modules.loaded[0].__file__ or "")
        place = place.parent if place.name == "__init__.py" else place
        with suppress(ValueError):
            place = place.relative_to(self.start_directory)
        return [("python_import", f"./{place}" if not place.is_absolute() else str(place))]

    # Called while the file is read, see ModuleLoader.

    def read_contents(self, path: str) -> bytes:
        """Return the contents of a file. Raises OSError if it is not a regular file.

        A pipe or a device might block, and could not be read again by the next load.
        """
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        fd = os.open(self.start_directory / path, flags)
        with open(fd, "rb") as file:  # noqa: PTH123 - of a descriptor
            kind = os.fstat(fd).st_mode
            if stat.S_ISDIR(kind):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not stat.S_ISREG(kind):
                raise OSError(errno.EINVAL, "it is not a regular file, to be read at each load")
            return file.read()

    def resolve_path(self, path: str) -> str:
        """Return a path of the file as an absolute one."""
        return str(self.start_directory / path)

    def python_path(self, directory: str) -> None:
        """Add a directory to the module search path."""
        _extend_search_path(get_working_directory() / directory)
        self.imports.append(("python_path", directory))

    def python_configure(self, *, allowed: bool) -> None:
        """Set whether modules may configure what is served, or only the file."""
        self.restricted_builder = None if allowed else Builder()

    @contextmanager
    def collect_calls(self) -> Iterator[None]:
        """Return a context manager for code of modules that configures.

        Unless modules may configure everything, only what a file cannot express is kept.
        """
        restricted = self.restricted_builder
        _context.current.builder = restricted or self.builder
        try:
            yield
        finally:
            _context.current.builder = self.builder
            if restricted is not None:
                self.builder.take_over(restricted)

    def python_import(self, path: str, onload: str) -> None:
        """Import a file or a package. Workers call its function *onload*, if that is not empty."""
        with self.collect_calls():
            module = _import_at(path)
        self.modules.add(module)
        self.imports.append(("python_import", path, *filter(None, [onload])))
        if onload:
            function = getattr(module, onload, None)
            if not callable(function):
                raise ConfigError(f"{path}: onload '{onload}' not present")
            check_callable(function, "(action)", f"{path}: onload")
            self.builder.onloads.append(function)

    def find_symbol(self, name: str) -> Callable[..., Any] | None:
        """Return the function of that name, None if there is none."""
        return self.modules.find_symbol(name)

    def list_symbols(self) -> list[str]:
        """Return the names of all functions."""
        return self.modules.list_symbols()


def _import_at(path: str) -> ModuleType:
    """Import the file or package at *path*, unless it has been imported before.

    Raises ConfigError if it cannot be imported.
    """
    place = Path(make_absolute(path))
    file = place / "__init__.py" if place.is_dir() else place
    if not file.is_file() or file.suffix.lower() != ".py":
        kinds = "a .py file, or a directory with an __init__.py"
        raise ConfigError(f"python_import: '{path}' is not a file or directory: it takes {kinds}")
    for module in list(sys.modules.values()):
        if getattr(module, "__file__", None) == str(file):
            return module
    try:
        return _import_package(place) if place.is_dir() else _import_file(place)
    except Exception as error:
        raise ConfigError(f"{path}: failed to import module\n{format_traceback(error)}") from error


def _import_application(path: str) -> ModuleType:
    """Import the application. Raises StartError if that fails."""
    import_it = _find_importer(path)
    try:
        return import_it()
    except Exception as error:
        text = format_traceback(error)
        raise StartError(f"{text}fatal: {path}: failed to import module") from error


def _find_importer(path: str) -> Callable[[], ModuleType]:
    """Return a function that imports the application at *path*. Raises StartError for none."""
    # Not resolve(): the module gets the name of a symbolic link, not of its target.
    place = Path(make_absolute(path))
    if place.suffix.lower() == ".py":
        if not place.is_file():
            raise StartError(f"fatal: {path}: no such file")
        return lambda: _import_file(place)
    if place.is_dir():
        if not (place / "__init__.py").is_file():
            raise StartError(f"fatal: {path}: an application's directory needs an __init__.py")
        return lambda: _import_directory(place)
    if place.exists():
        conf = f", a configuration file is given by `kore -c {path}`" * (place.suffix == ".conf")
        raise StartError(f"fatal: {path}: the name of an application's file ends in .py{conf}")
    if place.suffix == ".conf":
        raise StartError(f"fatal: {path}: no such file; one is given by `kore -c {path}`")
    if ":" in path:
        raise StartError(f"fatal: {path}: {_without_object(path)}")
    _extend_search_path(get_working_directory())
    if not all(map(str.isidentifier, path.split("."))) or not find_spec(path.split(".")[0]):
        raise StartError(f"fatal: {path}: no such file, directory or module")
    return lambda: importlib.import_module(path)


def _without_object(path: str) -> str:
    """Return a hint for `module:object`, as other servers take it."""
    module = path.partition(":")[0]
    file = f"{module.removesuffix('.py').replace('.', os.sep)}.py"
    name = file if Path(file).is_file() else module
    return f"kore finds `koreapp` by itself, write `kore {name}`"


def _import_file(file: Path) -> ModuleType:
    """Import a file as a module of its name, and add its directory to the search path."""
    name = _choose_module_name(file.stem, file)
    # For a symbolic link also the directory of its target, as for a script.
    _extend_search_path(file.parent, file.resolve().parent)
    return _execute_module(name, file, [])


def _import_directory(directory: Path) -> ModuleType:
    """Import a directory as a package, and make it the working directory."""
    module = _import_package(directory)
    os.chdir(directory)
    return module


def _import_package(directory: Path) -> ModuleType:
    """Import a directory as a package."""
    file = directory / "__init__.py"
    name = _choose_module_name(directory.name, file)
    _extend_search_path(directory.parent, directory)
    return _execute_module(name, file, [str(directory)])


def _execute_module(name: str, file: Path, package_path: list[str]) -> ModuleType:
    """Run a file as the module *name*; with a *package_path* it is a package."""
    loader = SourceFileLoader(name, str(file))
    spec = ModuleSpec(name, loader, origin=str(file), is_package=bool(package_path))
    spec.submodule_search_locations = package_path or None
    spec.has_location = True
    module = sys.modules[name] = module_from_spec(spec)
    loader.exec_module(module)
    return module


def _choose_module_name(name: str, place: Path) -> str:
    """Return a module name for the application that no other module has, as for calendar.py."""
    name = name.replace(".", "_")
    if name not in sys.modules:
        other = find_spec(name)
        if other is None or other.origin == str(place):
            return name
    return f"kore_app_{name}"


def _extend_search_path(*directories: Path) -> None:
    """Append *directories* to the module search path, as C Kore does."""
    sys.path += [str(place) for place in directories if str(place) not in sys.path]


def call_hook(hook: Callable[..., Any] | None, name: str, *arguments: object) -> None:
    """Call a hook that runs before any event loop, if the application has it.

    Raises StartError if it cannot be called, fails, or is async.
    """
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
        raise StartError(f"{text}fatal: {HOOK_FAILURES.get(name, f'{name}() failed')}") from error
    if is_awaitable(pending):
        if close := getattr(pending, "close", None):
            close()  # a coroutine: no warning that it was never awaited
        raise StartError(f"fatal: {name}() must not be async: no event loop runs it")


def format_reason(error: BaseException) -> str:
    """Return why an application could not be loaded, as text to be printed."""
    if isinstance(error, SystemExit) and not isinstance(error.code, str):
        return f"the application ended itself while it was loaded, with status {error.code or 0}"
    if isinstance(error, (KoreError, SystemExit)):
        return str(error)
    return format_traceback(error)
