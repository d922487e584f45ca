"""The quick dataclasses are those of the standard library, as far as they go."""

import copy
import dataclasses
import pickle
import subprocess
import sys
from typing import Any, ClassVar

import pytest

from kore import _dataclass


def make_classes(module: Any) -> Any:
    """Return the same classes as *module* makes them."""

    class Classes:
        @module.dataclass
        class Plain:
            first: int
            second: str = "b"
            shared: ClassVar[int] = 3

            def total(self) -> int:
                return self.first + self.shared

        @module.dataclass(frozen=True, slots=True)
        class Frozen:
            first: int
            second: list[int] = module.field(default_factory=list)
            hidden: str = module.field(default="h", repr=False, compare=False)
            unhashed: int = module.field(default=1, hash=False)

        @module.dataclass(slots=True, eq=False)
        class Identity:
            value: int

        @module.dataclass(slots=True)
        class Derived:
            first: int
            made: int = module.field(init=False)

            def __post_init__(self) -> None:
                self.made = self.first * 2

        @module.dataclass(frozen=True)
        class Base:
            first: int = 1

        @module.dataclass(frozen=True)
        class Below(Base):
            second: int = 2

        @module.dataclass(frozen=True, slots=True)
        class Empty:
            pass

    return Classes


OURS, THEIRS = make_classes(_dataclass), make_classes(dataclasses)
CASES = [
    lambda c: c.Plain(1),
    lambda c: c.Plain(1, "x"),
    lambda c: c.Plain(second="y", first=4),
    lambda c: c.Plain(1) == c.Plain(1),
    lambda c: c.Plain(1) == c.Plain(2),
    lambda c: c.Plain(1) == 1,
    lambda c: c.Plain(1).total(),
    lambda c: c.Plain.second,
    lambda c: hash(c.Plain(1)),
    lambda c: c.Plain(),
    lambda c: c.Plain(1, 2, 3),
    lambda c: c.Plain(1, third=3),
    lambda c: c.Frozen(1),
    lambda c: c.Frozen(1).second is c.Frozen(1).second,
    lambda c: c.Frozen(1, [2], "x") == c.Frozen(1, [2], "y"),
    lambda c: c.Frozen(1, (2,)) == c.Frozen(1, (2,), unhashed=5),
    lambda c: hash(c.Frozen(1, (2,), "x")) == hash(c.Frozen(1, (2,), "y", 7)),
    lambda c: hash(c.Frozen(1, [])),
    lambda c: setattr(c.Frozen(1), "first", 2),
    lambda c: delattr(c.Frozen(1), "first"),
    lambda c: c.Frozen.__slots__,
    lambda c: c.Frozen.__match_args__,
    lambda c: c.Frozen.__qualname__.split(".")[-1],
    lambda c: copy.deepcopy(c.Frozen(1, [2])),
    lambda c: dataclasses.replace(c.Frozen(1), first=2),
    lambda c: dataclasses.asdict(c.Frozen(1, [2])),
    lambda c: [each.name for each in dataclasses.fields(c.Frozen)],
    lambda c: dataclasses.is_dataclass(c.Frozen),
    lambda c: c.Identity(1) == c.Identity(1),
    lambda c: len({c.Identity(1), c.Identity(1)}),
    lambda c: setattr(c.Identity(1), "other", 2),
    lambda c: c.Derived(2),
    lambda c: c.Derived(2, 3),
    lambda c: dataclasses.replace(c.Derived(2), first=3),
    lambda c: c.Derived.__match_args__,
    lambda c: c.Below(),
    lambda c: c.Below(3, 4),
    lambda c: c.Below(3) == c.Base(3),
    lambda c: c.Below(3).first,
    lambda c: (c.Empty(), c.Empty() == c.Empty(), hash(c.Empty()) == hash(c.Empty())),
]


def outcome(case: Any, classes: Any) -> object:
    """Return what a case gives, or which exception it raises."""
    try:
        return repr(case(classes)).replace("0x", "")
    except Exception as error:  # noqa: BLE001 - whatever it is
        return type(error), str(error).split(".")[-1].split(", it cannot")[0]


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_class_behaves_as_a_standard_one(number: int) -> None:
    assert outcome(CASES[number], OURS) == outcome(CASES[number], THEIRS)


@pytest.mark.parametrize("change", [{"first": 3}, {"made": 3}])
def test_replace_makes_another_object(change: dict[str, int]) -> None:
    results = [
        outcome(lambda c, m=module: m.replace(c.Derived(2), **change), classes)
        for module, classes in ((_dataclass, OURS), (dataclasses, THEIRS))
    ]

    assert str(results[0]) == str(results[1])


def test_fields_have_the_attributes_of_standard_ones() -> None:
    names = (*_dataclass.OPTIONS, "name", "type")
    for ours, theirs in zip(
        _dataclass.fields(OURS.Frozen), dataclasses.fields(THEIRS.Frozen), strict=True
    ):
        found = [
            (getattr(ours, name), getattr(theirs, name)) for name in names if "default" not in name
        ]
        assert [our for our, _ in found] == [their for _, their in found]
    assert _dataclass.fields(OURS.Frozen(1)) == _dataclass.fields(OURS.Frozen)


def test_objects_within_objects_become_dicts() -> None:
    inner = OURS.Plain(1)

    assert _dataclass.asdict(OURS.Frozen([inner], {"a": (inner,)})) == {
        "first": [{"first": 1, "second": "b"}],
        "second": {"a": ({"first": 1, "second": "b"},)},
        "hidden": "h",
        "unhashed": 1,
    }


def test_classes_may_be_matched() -> None:
    match OURS.Frozen(5):
        case OURS.Frozen(first):
            assert first == 5
        case _:
            raise AssertionError("no match")


@_dataclass.dataclass(frozen=True, slots=True)
class Pickled:
    """One that pickle finds by its name."""

    value: int


def test_objects_may_be_pickled() -> None:
    assert pickle.loads(pickle.dumps(Pickled(3))) == Pickled(3)


def test_it_does_not_bring_what_it_saves() -> None:
    code = "import sys, kore._dataclass; print('inspect' in sys.modules, 'ast' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)

    assert done.stdout == "False False\n"
