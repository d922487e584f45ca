"""The modules of an application: functions by name, and the hooks they define."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any, Final

from kore._conf.signatures import locate_function
from kore._conf.suggestions import suggest_name
from kore.errors import ConfigError

# The argument of an `onload` function that `python_import` names.
MODULE_LOAD: Final = 1
MODULE_UNLOAD: Final = 2

# Hooks: a method of the application's `koreapp`, or a function of the name on the right.
HOOKS: Final = {
    "configure": "kore_parent_configure",
    "daemonized": "kore_parent_daemonized",
    "cleanup": "kore_parent_teardown",
    "workerstart": "kore_worker_configure",
    "workerstop": "kore_worker_teardown",
    "signal": "kore_worker_signal",
    # Not `onmsg`: in C Kore's examples, a function of that name is a WebSocket callback.
    "onmsg": "kore_onmsg",
}

# From this similarity on, 0 to 1, a name counts as a misspelled hook.
SIMILARITY_MIN: Final = 0.9

# Hooks of C Kore that this version does not call.
UNSUPPORTED_HOOKS: Final = ("seccomp",)


class Symbols:
    """Modules in the order of their loading; the first that has a name wins."""

    def __init__(self) -> None:
        self.loaded: list[ModuleType] = []
        # Names by function, made on first use.
        self.names_by_function: dict[Any, str] | None = None

    def add(self, module: ModuleType) -> None:
        """Add a module, once."""
        if module not in self.loaded:
            self.loaded.append(module)

    def find_hooks(self) -> dict[str, Callable[..., Any]]:
        """Return the hooks of all modules. Within a module, the method of `koreapp` wins."""
        found: dict[str, Callable[..., Any]] = {}
        for module in self.loaded:
            app = getattr(module, "koreapp", None)
            for name, old in HOOKS.items():
                hook = getattr(app, name, getattr(module, old, None))
                if callable(hook):
                    found.setdefault(name, hook)
        return found

    def check_class(self) -> None:
        """Raise ConfigError if `koreapp` is a class whose hooks need an object."""
        for module in self.loaded:
            app: Any = getattr(module, "koreapp", None)
            methods = [vars(app).get(name) for name in HOOKS] if isinstance(app, type) else []
            method = next((m for m in methods if isinstance(m, FunctionType)), None)
            if method is not None:
                raise ConfigError(
                    f"{locate_function(method)}: koreapp is the class {app.__name__}, not an "
                    f"object of it: write `koreapp = {app.__name__}()`"
                )

    def find_misspelled_hooks(self) -> list[str]:
        """Return a notice for each function whose name is similar to a hook's."""
        notices = []
        for module in self.loaded:
            app = getattr(module, "koreapp", None)
            for name, function in _get_functions(type(app)).items():
                notices += _make_notice(f"koreapp.{name}", name, function, HOOKS)
            for name, function in _get_functions(module).items():
                if name.startswith("kore_"):
                    notices += _make_notice(name, name, function, HOOKS.values())
        return notices

    def find_unsupported_hooks(self) -> list[str]:
        """Return the names of hooks that this version does not call."""
        apps = [getattr(module, "koreapp", None) for module in self.loaded]
        names = UNSUPPORTED_HOOKS
        return [f"koreapp.{name}" for app in apps for name in names if hasattr(app, name)]

    def find_symbol(self, name: str) -> Callable[..., Any] | None:
        """Return the function called `name`, `object.method` or `module.name`; None without one."""
        first, dot, second = name.partition(".")
        for module in self.loaded:
            found: Any = getattr(module, first, None)
            found = getattr(found, second, None) if dot else found
            if callable(found):
                return _as_callable(found)
        for module in self.loaded:
            found = getattr(module, second, None) if module.__name__ == first else None
            if callable(found):
                return _as_callable(found)
        return None

    def require_symbol(self, name: str, what: str) -> Callable[..., Any]:
        """Return the function of that name. Raises NameError if there is no such *what*."""
        found = self.find_symbol(name)
        if found is None:
            guess = suggest_name(name, self.list_symbols())
            raise NameError(f"{what} '{name}' not found in the application{guess}")
        return found

    def list_symbols(self) -> list[str]:
        """Return the names of all functions, without those of modules in front."""
        return [name for module in self.loaded for name in _iter_names(module)]

    def get_name(self, function: Callable[..., Any]) -> str:
        """Return a name by which `find_symbol()` finds *function*, or an empty str."""
        if self.names_by_function is None:
            self.names_by_function = self.index_names()
        own = getattr(function, "__name__", "")
        if _is_hashable(function):
            known = self.names_by_function.get(function)
            return known or self.find_name(function, self.iter_members(own))
        return self.find_name(function, self.list_symbols())

    def index_names(self) -> dict[Any, str]:
        """Return the first name of each hashable function."""
        found: dict[Any, str] = {}
        for module in self.loaded:
            for name in _iter_names(module):
                for candidate in (name, f"{module.__name__}.{name}"):
                    function = self.find_symbol(candidate)
                    if _is_hashable(function):
                        found.setdefault(function, candidate)
        return found

    def iter_members(self, own: str) -> Iterator[str]:
        """Yield the names of functions called *own* in objects and modules of the modules."""
        for module in self.loaded:
            for name, value in list(vars(module).items()):
                if own and not name.startswith("__") and hasattr(value, own):
                    yield from (f"{name}.{own}", f"{module.__name__}.{name}.{own}")

    def find_name(self, function: Callable[..., Any], candidates: Iterable[str]) -> str:
        """Return the first of *candidates* that is a name of *function*, or an empty str."""
        return next((name for name in candidates if self.find_symbol(name) == function), "")


def _is_hashable(value: object) -> bool:
    """Return whether *value* can be a key of a dict."""
    try:
        hash(value)
    except Exception:  # noqa: BLE001 - whatever an application's class raises
        return False
    return True


def _get_functions(owner: object) -> dict[str, FunctionType]:
    """Return the functions that a class or a module defines itself."""
    return {name: f for name, f in list(vars(owner).items()) if isinstance(f, FunctionType)}


def _make_notice(label: str, name: str, function: FunctionType, hooks: Iterable[str]) -> list[str]:
    """Return a notice, in a list, if *name* is similar to that of a hook."""
    plain = name.replace("_", "").lower()
    for hook in hooks:
        if name not in hooks and _is_similar(plain, hook.replace("_", "")):
            where = locate_function(function)
            return [f"{where}: {label}() is not called: did you mean {hook}?"]
    return []


def _is_similar(name: str, hook: str) -> bool:
    # The common letters bound the ratio: most names need no SequenceMatcher.
    letters = sum((Counter(name) & Counter(hook)).values())
    if 2 * letters < SIMILARITY_MIN * (len(name) + len(hook)):
        return False
    from difflib import SequenceMatcher

    return SequenceMatcher(None, hook, name).ratio() >= SIMILARITY_MIN


def _as_callable(found: Callable[..., Any]) -> Callable[..., Any]:
    """Return a value that is known to be callable, for mypy."""
    return found


def _iter_names(module: ModuleType) -> Iterator[str]:
    """Yield the names of the functions of a module and of the methods of its objects."""
    for name, value in list(vars(module).items()):
        if name.startswith("__"):
            continue
        if callable(value):
            yield name
        elif type(value).__module__ == module.__name__:
            yield from (f"{name}.{part}" for part in dir(value) if not part.startswith("_"))
