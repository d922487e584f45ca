"""The modules of an application: what in them a name means, and which hooks they have."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, ModuleType
from typing import Any, Final

from kore._conf.signatures import locate_function
from kore._conf.suggestions import suggest_name
from kore.errors import ConfigError

# What a function named by `python_import` is told.
MODULE_LOAD: Final = 1
MODULE_UNLOAD: Final = 2

# What an application may define: as a method of its `koreapp`, or as a function of that name.
HOOKS: Final = {
    "configure": "kore_parent_configure",
    "daemonized": "kore_parent_daemonized",
    "cleanup": "kore_parent_teardown",
    "workerstart": "kore_worker_configure",
    "workerstop": "kore_worker_teardown",
    "signal": "kore_worker_signal",
    # Not by its own name: in C Kore's examples that one is for a WebSocket's messages.
    "onmsg": "kore_onmsg",
}

# How much a name has to be like a hook's, from 0 to 1, to be taken for a slip.
NEARLY: Final = 0.9

# What Kore calls, and this version does not.
LATER: Final = ("seccomp",)


class Symbols:
    """Modules in the order in which they were loaded: the first that has a name wins."""

    def __init__(self) -> None:
        self.loaded: list[ModuleType] = []
        # What name_of() finds, once somebody asks.
        self.index: dict[Any, str] | None = None

    def add(self, module: ModuleType) -> None:
        """Take one more."""
        if module not in self.loaded:
            self.loaded.append(module)

    def hooks(self) -> dict[str, Callable[..., Any]]:
        """Return the hooks there are. Of one module the method of `koreapp` wins."""
        found: dict[str, Callable[..., Any]] = {}
        for module in self.loaded:
            app = getattr(module, "koreapp", None)
            for name, old in HOOKS.items():
                hook = getattr(app, name, getattr(module, old, None))
                if callable(hook):
                    found.setdefault(name, hook)
        return found

    def refuse_class(self) -> None:
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

    def misspelled(self) -> list[str]:
        """Return a notice for each function that looks like a hook and is not called."""
        said = []
        for module in self.loaded:
            app = getattr(module, "koreapp", None)
            for name, function in functions_of(type(app)).items():
                said += hint(f"koreapp.{name}", name, function, HOOKS)
            for name, function in functions_of(module).items():
                if name.startswith("kore_"):
                    said += hint(name, name, function, HOOKS.values())
        return said

    def later(self) -> list[str]:
        """Return the hooks there are that nobody calls yet."""
        apps = [getattr(module, "koreapp", None) for module in self.loaded]
        return [f"koreapp.{name}" for app in apps for name in LATER if hasattr(app, name)]

    def symbol(self, name: str) -> Callable[..., Any] | None:
        """Return the function called `name`, `object.method` or `module.name`."""
        first, dot, second = name.partition(".")
        for module in self.loaded:
            found: Any = getattr(module, first, None)
            found = getattr(found, second, None) if dot else found
            if callable(found):
                return as_function(found)
        for module in self.loaded:
            found = getattr(module, second, None) if module.__name__ == first else None
            if callable(found):
                return as_function(found)
        return None

    def named(self, name: str, what: str) -> Callable[..., Any]:
        """Return the function of that name, or raise NameError: there is no such *what*."""
        found = self.symbol(name)
        if found is None:
            guess = suggest_name(name, self.symbols())
            raise NameError(f"{what} '{name}' not found in the application{guess}")
        return found

    def symbols(self) -> list[str]:
        """Return the names that symbol() knows, for guesses at what somebody meant."""
        return [name for module in self.loaded for name in names(module)]

    def name_of(self, function: Callable[..., Any]) -> str:
        """Return a name by which symbol() finds *function*, or nothing."""
        if self.index is None:
            self.index = self.indexed()
        own = getattr(function, "__name__", "")
        if is_hashable(function):
            return self.index.get(function) or self.name_among(function, self.members(own))
        return self.name_among(function, self.symbols())

    def indexed(self) -> dict[Any, str]:
        """Return the names of all functions that can be looked up; the first one of each counts."""
        found: dict[Any, str] = {}
        for module in self.loaded:
            for name in names(module):
                for candidate in (name, f"{module.__name__}.{name}"):
                    function = self.symbol(candidate)
                    if is_hashable(function):
                        found.setdefault(function, candidate)
        return found

    def members(self, own: str) -> Iterator[str]:
        """Yield the functions called *own* of other modules and of objects of theirs."""
        for module in self.loaded:
            for name, value in list(vars(module).items()):
                if own and not name.startswith("__") and hasattr(value, own):
                    yield from (f"{name}.{own}", f"{module.__name__}.{name}.{own}")

    def name_among(self, function: Callable[..., Any], candidates: Iterable[str]) -> str:
        """Return the first of *candidates* by which symbol() finds *function*, or nothing."""
        return next((name for name in candidates if self.symbol(name) == function), "")


def is_hashable(value: object) -> bool:
    """Return whether *value* can be a key."""
    try:
        hash(value)
    except Exception:  # noqa: BLE001 - whatever an application's class raises
        return False
    return True


def functions_of(owner: object) -> dict[str, FunctionType]:
    """Return the functions that a class or a module defines itself."""
    return {name: f for name, f in list(vars(owner).items()) if isinstance(f, FunctionType)}


def hint(label: str, name: str, function: FunctionType, hooks: Iterable[str]) -> list[str]:
    """Return a notice if *name* is nearly that of a hook."""
    plain = name.replace("_", "").lower()
    for hook in hooks:
        if name not in hooks and _is_nearly(plain, hook.replace("_", "")):
            where = locate_function(function)
            return [f"{where}: {label}() is not called: did you mean {hook}?"]
    return []


def _is_nearly(name: str, hook: str) -> bool:
    # No match has more letters than both have: most names need no closer look.
    letters = sum((Counter(name) & Counter(hook)).values())
    if 2 * letters < NEARLY * (len(name) + len(hook)):
        return False
    from difflib import SequenceMatcher

    return SequenceMatcher(None, hook, name).ratio() >= NEARLY


def as_function(found: Callable[..., Any]) -> Callable[..., Any]:
    """Return what has been seen to be callable."""
    return found


def names(module: ModuleType) -> Iterator[str]:
    """Yield the functions of a module and the methods of its objects, as a file names them."""
    for name, value in list(vars(module).items()):
        if name.startswith("__"):
            continue
        if callable(value):
            yield name
        elif type(value).__module__ == module.__name__:
            yield from (f"{name}.{part}" for part in dir(value) if not part.startswith("_"))
