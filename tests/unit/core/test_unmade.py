"""Extension objects that were never set up: made by __new__, copied, or of a client that is gone.

Whatever is asked of them is an ordinary exception or a harmless answer, never a crash.
"""

import copy
import gc
import importlib
import pickle
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import kore._core
from kore._core.request import Request
from tests.helpers.core_client import get, post
from tests.helpers.fix_core import Pair

Make = Callable[..., Pair]
ARGUMENTS: list[tuple[object, ...]] = [
    (), (1,), (None,), ("x",), (b"x",), (200, b"x"), ("x", "y"), (1, b"x"), (None, None, None),
    (200, {}, ()), (200, iter([b"x"])), (None, (None, None, None), None), (1, 2, 3, 4),
]  # fmt: skip


def kinds() -> Iterator[type[Any]]:
    """Yield all extension types of the core."""
    for module in pkgutil.iter_modules(kore._core.__path__):
        for found in vars(importlib.import_module(f"kore._core.{module.name}")).values():
            own = isinstance(found, type) and found.__module__ == f"kore._core.{module.name}"
            if own and not issubclass(found, BaseException):
                yield found


KINDS = {f"{kind.__module__}.{kind.__name__}": kind for kind in kinds()}


def names_of(kind: type[Any]) -> list[str]:
    special = {"__len__", "__iter__", "__repr__", "__str__", "__call__", "__next__", "__bytes__"}
    return [name for name in dir(kind) if not name.startswith("__") or name in special]


def unmade(kind: type[Any]) -> Any:
    try:
        return kind.__new__(kind)
    except TypeError:  # it cannot be made without what it needs
        return None


def try_all(thing: Any) -> None:
    """Ask for every attribute, and call what can be called, with all kinds of arguments."""
    for name in names_of(type(thing)):
        for arguments in ARGUMENTS:
            try:
                attribute = getattr(thing, name)
                if callable(attribute):
                    attribute(*arguments)
            except Exception:  # noqa: BLE001 - any ordinary one is right
                continue
        for value in (None, 1, "x", b"x"):
            try:
                setattr(thing, name, value)
            except Exception:  # noqa: BLE001
                continue
    try_all_operators(thing)


def try_all_operators(thing: Any) -> None:
    operators: list[Callable[[Any], object]] = [repr, str, len, iter, bool, hash, dir, list, bytes]
    for operator in operators:
        try:
            operator(thing)
        except Exception:  # noqa: BLE001
            continue


def copies(thing: Any) -> Iterator[Any]:
    makers: list[Callable[[Any], Any]] = [
        copy.copy,
        copy.deepcopy,
        lambda it: pickle.loads(pickle.dumps(it)),
        lambda it: pickle.loads(pickle.dumps(it, protocol=0)),
    ]
    for maker in makers:
        try:
            yield maker(thing)
        except Exception:  # noqa: BLE001
            continue


def test_there_are_kinds() -> None:
    assert {"kore._core.connection.Connection", "kore._core.websocket.WebSocket"} <= set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_what_was_never_set_up_raises(name: str) -> None:
    kind = KINDS[name]
    thing = unmade(kind)
    if thing is not None:
        for copied in copies(thing):
            try_all(copied)
        try_all(thing)
    other = unmade(kind)
    with suppress(Exception):
        kind.__init__(other, *[None] * 5)
    gc.collect()


@pytest.mark.parametrize("name", KINDS)
def test_what_was_never_set_up_is_no_argument_of_the_core(pair: Make, name: str) -> None:
    things = [unmade(KINDS[name])]

    def run(request: Request) -> None:
        thing = things[0]
        for method in names_of(Request):
            for arguments in ((thing,), (200, thing), (thing, (None, None, None), thing)):
                try:
                    getattr(request, method)(*arguments)
                except Exception:  # noqa: BLE001
                    continue

    house = pair(run)
    house.ask(get())
    things.clear()
    house.failures.clear()
    house.logged()


@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize("data", [get(), post(b"x" * 10)])
def test_a_request_and_its_connection_answer_after_the_client_has_left(
    pair: Make, data: bytes, *, held: bool
) -> None:
    house = pair(None)
    house.ask(data)
    request = house.held.pop()
    connection = request.connection
    if not held:
        request.response(200, b"")
    house.client.close(reset=True)
    house.turn(lambda: connection.fd == -1)
    for thing in (connection, request):
        for copied in copies(thing):
            try_all(copied)
        try_all(thing)
    house.turn()

    assert (house.service.requests, house.service.connections) == (0, 0)
    house.failures.clear()
    house.logged()
