"""Objects are decoded to equal values of the same types; malformed bytes are refused."""

import math
import pickle
import time as clock
from collections import OrderedDict
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from enum import IntEnum
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgpack import ExtType, Timestamp, packb

from kore._process.worker import codec
from kore._process.worker.codec import (
    DEPTH_MAX,
    HAS_MARKERS,
    HAS_OTHER_KEYS,
    INT,
    IS_PICKLE,
    TUPLE,
    UNCHECKED_SIZE_MAX,
    UnreadableError,
    decode,
    encode,
)
from kore.errors import TooLargeError

LIMIT = 1 << 20
ZONES = st.none() | st.builds(
    timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)), st.text()
)
FOLDS = st.integers(0, 1)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.dates()
    | st.timedeltas()
    | st.builds(lambda v, z, f: v.replace(tzinfo=z, fold=f), st.datetimes(), ZONES, FOLDS)
    | st.builds(lambda v, z, f: v.replace(tzinfo=z, fold=f), st.times(), ZONES, FOLDS)
)
KEYS = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner).map(tuple) | st.frozensets(inner, max_size=4),
    max_leaves=5,
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(KEYS, inner, max_size=4)
        | st.sets(KEYS, max_size=4)
        | st.frozensets(KEYS, max_size=4)
    ),
    max_leaves=15,
)


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, and of the same types all the way down."""
    if type(one) is not type(other) or one != other:
        return False
    if isinstance(one, list | tuple):
        return all(map(same, one, other))
    if isinstance(one, dict):
        # Equal keys of other types have other places: 1, 1.0 and True are one key.
        pairs = zip(one.items(), other.items(), strict=True)
        return all(same(a, b) and same(x, y) for (a, x), (b, y) in pairs)
    if isinstance(one, set | frozenset):
        return sorted(map(typed, one)) == sorted(map(typed, other))
    if isinstance(one, datetime | time):
        return (one.fold, one.tzname(), one.isoformat()) == (
            other.fold,
            other.tzname(),
            other.isoformat(),
        )
    if isinstance(one, float):
        return math.copysign(1, one) == math.copysign(1, other)
    return True


def typed(value: Any) -> str:
    """Return a text that is the same for the same value of the same types."""
    if isinstance(value, frozenset):
        return f"frozenset{sorted(map(typed, value))}"
    if isinstance(value, tuple):
        return f"tuple{list(map(typed, value))}"
    return f"{value!r} {getattr(value, 'fold', 0)}"


@given(VALUES)
def test_objects_are_decoded_to_equal_values(value: Any) -> None:
    assert same(decode(encode(value, LIMIT)), value)


@pytest.mark.parametrize(
    "value",
    [
        float("inf"),
        -0.0,
        5e-324,
        2**63 - 1,
        2**64,
        -(2**63) - 1,
        10**5000,
        "\ud800 alone",
        b"\xff" * 100_000,
        (),
        {(): {frozenset(): ((), [], {}, set())}},
        {1: "int", "1": "text", b"1": "bytes", (1,): "tuple", None: 0, 1.5: 0, False: 0},
        list(range(70_000)),
        datetime.max.replace(tzinfo=UTC),
        datetime(2026, 1, 1, tzinfo=timezone(-timedelta(microseconds=1))),
        time(12, 30, tzinfo=timezone(timedelta(microseconds=1), "a\nb")),
        timedelta.max,
        timedelta.min,
    ],
    ids=lambda value: type(value).__name__,
)
def test_edge_cases_are_decoded_to_equal_values(value: Any) -> None:
    assert same(decode(encode(value, LIMIT)), value)


def test_nan_stays_nan() -> None:
    assert math.isnan(decode(encode(float("nan"), LIMIT)))


class Number(IntEnum):
    ONE = 1


class Point(NamedTuple):
    x: int


class Text(str):
    __slots__ = ()


class Odd(tzinfo):
    def utcoffset(self, _: datetime | None) -> timedelta:
        return timedelta(0)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (object(), "object"),
        (3j, "complex"),
        (bytearray(b"x"), "bytearray"),
        (memoryview(b"x"), "memoryview"),
        (Number.ONE, "Number"),
        (Point(1), "Point"),
        (Text("x"), "Text"),
        (OrderedDict(), "OrderedDict"),
        (ExtType(TUPLE, b""), "ExtType"),
        (Timestamp(1), "Timestamp"),
        (int, "type"),
        (print, "builtin_function"),
        (datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC")), "ZoneInfo"),
        (time(1, tzinfo=Odd()), "Odd"),
    ],
)
def test_unsupported_class_is_named_in_the_error(value: Any, name: str) -> None:
    for place in (value, [value], (1, [value]), {"key": value}, {"deep": [{"er": (value,)}]}):
        with pytest.raises(TypeError, match=name):
            encode(place, LIMIT)


def test_key_of_an_unsupported_class_is_refused() -> None:
    with pytest.raises(TypeError, match=r"cannot send complex: .* worker_message_pickle"):
        encode({3j: 1}, LIMIT)
    with pytest.raises(TypeError, match="complex"):
        encode({("in a tuple", 3j): 1}, LIMIT)


def nested(depth: int, wrap: Any) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = wrap(value)
    return value


WRAPS = [lambda v: [v], lambda v: (v,), lambda v: {"k": v}, lambda v: {1: v}, lambda v: {(v,): 1}]


@pytest.mark.parametrize("wrap", WRAPS)
def test_nesting_depth_is_limited(wrap: Any) -> None:
    depth = DEPTH_MAX - 1
    if isinstance(wrap(1), dict) and (1,) in wrap(1):
        wrap = lambda v: (v,)  # noqa: E731 - dicts are no keys
        value: Any = {nested(depth - 1, wrap): 1}
    else:
        value = nested(depth, wrap)

    assert same(decode(encode(value, LIMIT)), value)
    with pytest.raises(ValueError, match="nested more than"):
        encode([[value]], LIMIT)


def test_cyclic_object_is_refused() -> None:
    value: list[Any] = []
    value.append((value,))
    with pytest.raises(ValueError, match="contains itself"):
        encode(value, LIMIT)
    value.append(value)
    with pytest.raises(ValueError, match="contains itself"):
        encode(value, 10_000)


def test_too_large_object_is_refused_before_encoding() -> None:
    text = "x" * 10_000
    for value in ([text] * 11, (b"x" * 100_001,), [[text] * 5, {text: [text] * 6}]):
        with pytest.raises(TooLargeError, match="worker_message_max"):
            encode(value, 100_000)


def test_error_does_not_affect_the_next_object() -> None:
    with pytest.raises(TypeError):
        encode(["much", "before", datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))], LIMIT)

    assert decode(encode(["next"], LIMIT)) == ["next"]


def test_buffer_of_a_large_object_is_released() -> None:
    before = codec.ENCODER.packer
    encode(bytes(2 * codec.BUFFER_SIZE_MAX), 3 * codec.BUFFER_SIZE_MAX)

    assert codec.ENCODER.packer is not before


# Pickle


def test_other_classes_are_pickled_if_allowed() -> None:
    data = encode([Point(1)], LIMIT, any_class=True)

    assert data[-1] == IS_PICKLE
    assert same(decode(data, any_class=True), [Point(1)])


def test_plain_data_is_not_pickled_even_if_allowed() -> None:
    assert encode((1, {2}), LIMIT, any_class=True) == encode((1, {2}), LIMIT)


def test_cycle_can_be_pickled() -> None:
    value: list[Any] = []
    value.append(value)
    arrived = decode(encode(value, LIMIT, any_class=True), any_class=True)

    assert arrived[0] is arrived


class Bomb:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return pytest.fail, ("it was unpickled",)


def test_pickle_is_not_loaded_if_not_allowed() -> None:
    with pytest.raises(UnreadableError, match="worker_message_pickle is off"):
        decode(pickle.dumps(Bomb()) + bytes([IS_PICKLE]))


def test_error_of_pickle_is_passed_on() -> None:
    with pytest.raises((AttributeError, pickle.PicklingError, TypeError)):
        encode(lambda: None, LIMIT, any_class=True)


# Bytes of an enemy


@given(st.binary(max_size=200), st.integers(0, 3))
def test_random_bytes_raise_only_unreadable_error(data: bytes, form: int) -> None:
    try:
        value = decode(data + bytes([form]))
    except UnreadableError:
        return
    assert "Marker object" not in ascii(value)


@given(VALUES, st.data())
def test_corrupted_message_raises_only_unreadable_error(value: Any, data: st.DataObject) -> None:
    encoded = bytearray(encode(value, LIMIT))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(encoded) - 1))
        encoded[at] = data.draw(st.integers(0, 255))
    if encoded[-1] == IS_PICKLE:
        return
    try:
        arrived = decode(bytes(encoded))
    except UnreadableError:
        return
    assert "Marker object" not in ascii(arrived)


@given(VALUES, st.data())
def test_truncated_message_is_refused(value: Any, data: st.DataObject) -> None:
    encoded = encode(value, LIMIT)
    with pytest.raises(UnreadableError):
        decode(encoded[: data.draw(st.integers(0, len(encoded) - 2))] + encoded[-1:])
    with pytest.raises(UnreadableError):
        decode(encoded[:-1] + b"\xc0" + encoded[-1:])


MARK = b"\xc7\0" + bytes([TUPLE])


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\x04\xc0",
        b"\0\xc1",
        # Marks where none belongs.
        b"\0" + MARK,
        b"\0\x91" + MARK,
        b"\1" + MARK,
        b"\1\x92\1" + MARK,
        b"\1\x92" + MARK + MARK,
        b"\1\x81\xa1k" + MARK,
        b"\3\x81" + MARK + b"\1",
        # A list, a dict as a key.
        b"\3\x81\x90\1",
        b"\3\x81\x80\1",
        b"\0\x81\1\1",
        b"\1\x92\xc7\0\2\x90",
        # Extensions.
        b"\0\xd4\x63\0",
        b"\0\xd7\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        *(b"\0" + packb(ExtType(code, text)) for code in (5, 6, 7) for text in (b"", b"2", b"0\n")),
        *(
            b"\0" + packb(ExtType(5, b"02026-01-01T00:00:00" + zone))
            for zone in (b"\nname", b"+01:00", b"\n", b"\n86400000000", b"\n" + b"9" * 30)
        ),
        b"\0" + packb(ExtType(8, b"short")),
        b"\0" + packb(ExtType(8, b"\x7f" + bytes(11))),
        b"\0" + b"\x91" * 200_000 + b"\xc0",
        b"\1" + (b"\x92" + MARK) * 20_000 + b"\xc0",
        b"\0\xc6\xff\xff\xff\xff",
        b"\0\xdf\xff\xff\xff\xff",
    ],
    ids=lambda data: repr(data[:20]),
)
def test_non_canonical_message_is_refused(data: bytes) -> None:
    # The form first is easier to read.
    with pytest.raises(UnreadableError):
        decode(data[1:] + data[:1])


def test_msgpack_timestamp_is_decoded_as_datetime() -> None:
    assert same(decode(b"\xd6\xff\0\0\0\0\0"), datetime(1970, 1, 1, tzinfo=UTC))


def test_announced_sizes_are_checked_before_allocation() -> None:
    size = 4 << 20
    announced = (b"\xdd" + (size - 8).to_bytes(4, "big")) * 1000
    began = clock.process_time()
    with pytest.raises(UnreadableError):
        decode(announced + b"\xc0" * (size - len(announced)) + b"\0")

    # Otherwise several seconds, and 8 bytes for each of 4 billion.
    assert clock.process_time() - began < 2
    assert len(announced) > UNCHECKED_SIZE_MAX


@pytest.mark.parametrize("kind", ["dict", "set", "tuples"])
def test_crafted_colliding_keys_are_refused(kind: str) -> None:
    step = 2**61 - 1
    keys: list[Any] = [ExtType(INT, (n * step).to_bytes(16, "big")) for n in range(20_000)]
    if kind == "dict":
        items = b"".join(packb(key) + b"\xc0" for key in keys)
        data = b"\xdf" + (20_000).to_bytes(4, "big") + items + bytes([HAS_OTHER_KEYS])
    else:
        mark = ExtType(codec.SET, b"")
        if kind == "tuples":
            keys = [[ExtType(TUPLE, b""), key] for key in keys]
        data = packb([mark, *keys]) + bytes([HAS_MARKERS])

    with pytest.raises(UnreadableError, match="too many colliding keys"):
        decode(data)


def test_few_colliding_keys_are_accepted() -> None:
    value = {(n, -n): {-1, -2, 0, 2**61 - 1} for n in range(-500, 500)}

    assert same(decode(encode(value, LIMIT)), value)
