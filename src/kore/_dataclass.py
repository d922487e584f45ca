"""`dataclasses` for a quick start: no code generated before it is needed, no import of `inspect`.

The decorator of the standard library compiles up to six functions for each class. A server makes
some 80 of these classes in its parent and in its template before it serves, which took a seventh of
the time to its first response. Here the functions are shared by all classes. Only `__init__` is
compiled, at its first call.

What is here is what this package uses: `frozen`, `slots` and `eq`, fields with defaults, inherited
fields, `__post_init__`. `dataclasses.fields()`, `replace()` and `asdict()` know these classes, too.
To type checkers they are those of the standard library.
"""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, Final, NoReturn

if TYPE_CHECKING:
    from dataclasses import MISSING as MISSING
    from dataclasses import asdict as asdict
    from dataclasses import dataclass as dataclass
    from dataclasses import field as field
    from dataclasses import fields as fields
    from dataclasses import replace as replace

# In place of a default that there is not.
NO_DEFAULT: Final = object()
# The default of a parameter whose value a function makes.
FACTORY: Final = object()
OPTIONS: Final = ("default", "default_factory", "init", "repr", "compare", "hash", "metadata")


class DataclassField:
    """A field of a dataclass, with the attributes of `dataclasses.Field`."""

    __slots__ = (*OPTIONS, "name", "type")

    def __init__(self, options: Mapping[str, Any]) -> None:
        self.name = ""
        self.type: Any = None
        self.default = options.get("default", NO_DEFAULT)
        self.default_factory = options.get("default_factory", NO_DEFAULT)
        self.init = options.get("init", True)
        self.repr = options.get("repr", True)
        self.compare = options.get("compare", True)
        self.hash = options.get("hash")
        self.metadata = options.get("metadata", {})

    @property
    def is_hashed(self) -> bool:
        """Whether the hash of an object depends on it."""
        return bool(self.compare if self.hash is None else self.hash)


class StandardFields:
    """The attribute by which the standard library knows a dataclass; made when it is asked for."""

    def __get__(self, instance: object, owner: Any) -> dict[str, Any]:
        import dataclasses

        found: dict[str, Any] = {}
        for each in owner.__fields__:
            given = {name: getattr(each, name) for name in OPTIONS}
            chosen = {name: value for name, value in given.items() if value is not NO_DEFAULT}
            standard: Any = dataclasses.field(**chosen)
            standard.name, standard.type = each.name, each.type
            standard._field_type = dataclasses._FIELD  # type: ignore[attr-defined]  # noqa: SLF001
            found[each.name] = standard
        return found


def _make_field(**options: Any) -> Any:
    """Describe a field, as `dataclasses.field` does."""
    return DataclassField(options)


def _list_fields(kind: Any) -> tuple[DataclassField, ...]:
    """Return the fields of a dataclass, or of an object of one."""
    found: tuple[DataclassField, ...] = kind.__fields__
    return found


def _replace_fields(instance: Any, /, **changes: Any) -> Any:
    """Return an object like *instance* but for some fields."""
    for each in instance.__fields__:
        if each.init:
            changes.setdefault(each.name, getattr(instance, each.name))
        elif each.name in changes:
            raise ValueError(
                f"field {each.name} is declared with init=False, it cannot be replaced"
            )
    return instance.__class__(**changes)


def _make_dict(instance: Any) -> dict[str, Any]:
    """Return the fields of an object by their names, those of objects in it likewise."""
    return {each.name: _make_plain(getattr(instance, each.name)) for each in instance.__fields__}


def _make_dataclass(
    kind: type | None = None, /, *, frozen: bool = False, slots: bool = False, eq: bool = True
) -> Any:
    """Decorate a class, as `dataclasses.dataclass` does."""
    if kind is None:
        return lambda kind: _build_class(kind, frozen=frozen, slots=slots, eq=eq)
    return _build_class(kind, frozen=frozen, slots=slots, eq=eq)


if not TYPE_CHECKING:
    MISSING = NO_DEFAULT
    dataclass, field, fields = _make_dataclass, _make_field, _list_fields
    asdict, replace = _make_dict, _replace_fields


def _build_class(kind: type, *, frozen: bool, slots: bool, eq: bool) -> type:
    own = _find_fields(kind)
    inherited = {each.name: each for base in kind.__bases__ for each in _fields_of(base)}
    found = tuple((inherited | own).values())
    content = {
        name: value
        for name, value in vars(kind).items()
        if name not in own and name not in {"__dict__", "__weakref__"}
    }
    content["__fields__"] = found
    content["__dataclass_fields__"] = StandardFields()
    content.setdefault("__match_args__", tuple(each.name for each in found if each.init))
    content.setdefault("__repr__", _show_fields)
    if eq:
        content.setdefault("__eq__", _make_eq(found))
        # As in every class: who compares by content and may change cannot be a key.
        content.setdefault("__hash__", _make_hash(found) if frozen else None)
    if frozen:
        content.update(__setattr__=_refuse_to_set, __delattr__=_refuse_to_delete)
    if slots:
        content["__slots__"] = tuple(own)
        if frozen:
            content.update(__getstate__=_get_state, __setstate__=_set_state)
    else:
        defaults = {name: each.default for name, each in own.items()}
        content.update({name: value for name, value in defaults.items() if value is not NO_DEFAULT})
    made = type(kind)(kind.__name__, kind.__bases__, content)
    made.__qualname__ = kind.__qualname__
    if "__init__" not in content:
        _set_init(made, found, frozen=frozen)
    return made


def _make_plain(value: Any) -> Any:
    if hasattr(type(value), "__fields__"):
        return _make_dict(value)
    if type(value) in {list, tuple}:
        return type(value)(map(_make_plain, value))
    if type(value) is dict:
        return {key: _make_plain(each) for key, each in value.items()}
    return value


def _fields_of(kind: Any) -> tuple[DataclassField, ...]:
    return getattr(kind, "__fields__", ())


def _find_fields(kind: type) -> dict[str, DataclassField]:
    found = {}
    # Before Python 3.14 the attribute of a class without annotations is that of its base.
    annotations = vars(kind).get("__annotations__")
    if annotations is None and "__annotate_func__" in vars(kind):
        annotations = kind.__annotations__
    for name, annotation in (annotations or {}).items():
        if getattr(annotation, "__origin__", annotation) is ClassVar:
            continue
        default = vars(kind).get(name, NO_DEFAULT)
        each = default if isinstance(default, DataclassField) else _make_field(default=default)
        each.name, each.type = name, annotation
        found[name] = each
    return found


# ---- functions of the classes


def _set_init(kind: Any, found: tuple[DataclassField, ...], *, frozen: bool) -> None:
    def init(self: object, *arguments: Any, **named: Any) -> None:
        kind.__init__ = _compile_init(kind, found, frozen=frozen)
        kind.__init__(self, *arguments, **named)

    kind.__init__ = init


def _compile_init(
    kind: Any, found: tuple[DataclassField, ...], *, frozen: bool
) -> Callable[..., None]:
    names: dict[str, Any] = {"_set": object.__setattr__, "_FACTORY": FACTORY}
    parameters, body = ["_self"], []
    for each in found:
        name, value = each.name, each.name
        if each.default_factory is not NO_DEFAULT:
            names[f"_make_{name}"] = each.default_factory
            value = f"_make_{name}()"
            if each.init:
                parameters.append(f"{name}=_FACTORY")
                value = f"{value} if {name} is _FACTORY else {name}"
        elif each.default is not NO_DEFAULT:
            names[f"_default_{name}"] = each.default
            value = name if each.init else f"_default_{name}"
            parameters += [f"{name}=_default_{name}"] if each.init else []
        elif each.init:
            parameters.append(name)
        else:
            continue
        body.append(f"_set(_self, {name!r}, {value})" if frozen else f"_self.{name} = {value}")
    if hasattr(kind, "__post_init__"):
        body.append("_self.__post_init__()")
    lines = "\n ".join(body or ["pass"])
    exec(f"def __init__({', '.join(parameters)}):\n {lines}", names)  # noqa: S102 - of names in classes of ours
    init: Any = names["__init__"]
    init.__qualname__ = f"{kind.__qualname__}.__init__"
    return init  # type: ignore[no-any-return]


def _get_values(names: list[str]) -> Callable[[Any], Any]:
    return attrgetter(*names) if names else lambda _: ()


def _make_eq(found: tuple[DataclassField, ...]) -> Callable[[Any, object], Any]:
    values = _get_values([each.name for each in found if each.compare])

    def equals(self: object, other: object) -> Any:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return bool(values(self) == values(other))

    return equals


def _make_hash(found: tuple[DataclassField, ...]) -> Callable[[Any], int]:
    values = _get_values([each.name for each in found if each.is_hashed])

    def hash_values(self: object) -> int:
        return hash(values(self))

    return hash_values


def _show_fields(self: Any) -> str:
    shown = (f"{each.name}={getattr(self, each.name)!r}" for each in self.__fields__ if each.repr)
    return f"{self.__class__.__qualname__}({', '.join(shown)})"


def _refuse_to_set(_self: object, name: str, _value: object) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: object, name: str) -> NoReturn:
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _get_state(self: Any) -> list[Any]:
    return [getattr(self, each.name) for each in self.__fields__]


def _set_state(self: Any, state: list[Any]) -> None:
    for each, value in zip(self.__fields__, state, strict=True):
        object.__setattr__(self, each.name, value)
