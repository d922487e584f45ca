"""Load the application, let it configure itself, and return the configuration.

Whatever goes wrong comes out as one `StartError`, ready to be printed. Code is loaded once in
the life of a process: new code means a new process.
"""

import importlib
import os
import sys
from collections.abc import Callable, Coroutine, Sequence
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from traceback import TracebackException
from types import ModuleType
from typing import Any, Final

from kore import _context
from kore._conf.builder import OURS, Builder
from kore._conf.schema import Config
from kore.errors import Fatal, KoreError, StartError

# What an application may define: as a method of its `koreapp`, or as a function of that name.
HOOKS: Final = {
    "configure": "kore_parent_configure",
    "daemonized": "kore_parent_daemonized",
    "cleanup": "kore_parent_teardown",
    "workerstart": "kore_worker_configure",
    "workerstop": "kore_worker_teardown",
    "signal": "kore_worker_signal",
}


def load(path: str, arguments: Sequence[str] = ()) -> Config:
    """Return what the application at *path* asks for: a .py file, a directory or a module name.

    Whoever calls this becomes the application: its directory, for one, may change.
    """
    builder = _context.current.builder = Builder()
    try:
        builder.hooks = hooks(imported(path))
        configure(builder.hooks.get("configure"), ["kore", *arguments])
        return builder.build()
    except StartError:
        raise
    except (KoreError, Fatal) as error:
        raise StartError(str(error) if isinstance(error, Fatal) else f"fatal: {error}") from None
    finally:
        if not builder.frozen:
            builder.discard()


def imported(path: str) -> ModuleType:
    """Import the application."""
    run = importer(path)
    try:
        return run()
    except Exception as error:
        text = traceback_text(error)
        raise StartError(f"{text}fatal: {path}: failed to import module") from error


def importer(path: str) -> Callable[[], ModuleType]:
    """Return what will import the application at *path*."""
    # Not resolve(): a symbolic link has the name its owner gave it.
    place = Path(os.path.abspath(path))  # noqa: PTH100 - pathlib has no other way to drop `..`
    if place.suffix.lower() == ".py":
        if not place.is_file():
            raise StartError(f"fatal: {path}: no such file")
        return lambda: import_file(place)
    if place.is_dir():
        if not (place / "__init__.py").is_file():
            raise StartError(f"fatal: {path}: an application's directory needs an __init__.py")
        return lambda: import_directory(place)
    if place.exists():
        raise StartError(f"fatal: {path}: the name of an application's file ends in .py")
    searchable(Path.cwd())
    if not all(map(str.isidentifier, path.split("."))) or not find_spec(path.split(".")[0]):
        raise StartError(f"fatal: {path}: no such file, directory or module")
    return lambda: importlib.import_module(path)


def import_file(file: Path) -> ModuleType:
    """Import a file under its own name; what lies beside it can be imported too."""
    name = free_name(file.stem, file)
    searchable(file.parent)
    return executed(name, file, [])


def import_directory(directory: Path) -> ModuleType:
    """Import a directory as a package, and go there."""
    file = directory / "__init__.py"
    name = free_name(directory.name, file)
    searchable(directory.parent, directory)
    module = executed(name, file, [str(directory)])
    os.chdir(directory)
    return module


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


def configure(hook: Callable[..., Any] | None, arguments: list[str]) -> None:
    """Let the application configure itself, if it wants to."""
    if hook is None:
        return
    try:
        pending = hook(arguments)
    except Exception as error:
        text = traceback_text(error)
        raise StartError(f"{text}fatal: failed to configure your application") from error
    if isinstance(pending, Coroutine):
        pending.close()
        raise StartError("fatal: configure() must not be async: no event loop runs it")


def hooks(module: ModuleType) -> dict[str, Callable[..., Any]]:
    """Return what *module* defines of HOOKS. A method of `koreapp` wins."""
    app = getattr(module, "koreapp", None)
    found = {name: getattr(app, name, getattr(module, old, None)) for name, old in HOOKS.items()}
    return {name: hook for name, hook in found.items() if callable(hook)}


def traceback_text(error: BaseException) -> str:
    """Return a traceback without the frames that led into the application, or out of it."""
    report = TracebackException.from_exception(error)
    parts = [report]
    for part in parts:
        own = [frame for frame in part.stack if not internal(frame.filename, frame.name)]
        # Where none is the application's, ours are better than nothing; but a syntax error says
        # itself where it is.
        part.stack[:] = own or ([] if isinstance(error, SyntaxError) else part.stack)
        parts += filter(None, [part.__cause__, part.__context__, *(part.exceptions or ())])
    return "".join(report.format())


def internal(filename: str, function: str) -> bool:
    """Return whether a frame is this package's, the import system's or the event loop's."""
    # Compiled modules know where they were built from, not where they are; the constructor of a
    # dataclass has no file.
    return (
        filename.startswith((OURS, "<frozen importlib", "uvloop/"))
        or "kore/_core/" in filename
        or (filename, function) == ("<string>", "__init__")
    )
