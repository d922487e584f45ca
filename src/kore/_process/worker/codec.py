"""Encode objects as bytes and decode them to equal values of the same types. Pure.

The format is MessagePack with two additions. Types that it lacks are extensions; a tuple, a set or
a frozenset is an array whose first element, the marker, is an empty extension of its code. The last
byte of the message is the form: flags for what the message contains.
"""

import pickle
import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Any, Final, NoReturn

from msgpack import ExtType, Packer, Unpacker, unpackb

from kore.errors import KoreError, TooLargeError

# Flags of the form: arrays with markers, keys other than str and bytes; or a pickle instead.
HAS_MARKERS: Final = 1
HAS_OTHER_KEYS: Final = 2
IS_PICKLE: Final = 0x80

SIZED_TYPES: Final = frozenset({str, bytes})
LEAF_TYPES: Final = frozenset({type(None), bool, int, float, str, bytes})
CONTAINER_TYPES: Final = frozenset({list, tuple, dict, set, frozenset})
KNOWN_TYPES: Final = LEAF_TYPES | CONTAINER_TYPES | {datetime, date, time, timedelta}
# Types of keys with randomised hashes.
SAFE_KEY_TYPES: Final = SIZED_TYPES
# msgpack itself stops at 511.
DEPTH_MAX: Final = 200
# Larger messages are checked for completeness before memory is allocated for what they announce.
UNCHECKED_SIZE_MAX: Final = 4096
# More keys with the same hash are no coincidence.
COLLISIONS_MAX: Final = 16
# The packer's buffer never shrinks; after a larger message it is replaced.
BUFFER_SIZE_MAX: Final = 1 << 20

TUPLE, SET, FROZENSET, INT, DATETIME, DATE, TIME, TIMEDELTA = range(1, 9)
TIMEDELTA_STRUCT: Final = struct.Struct("!iII")
SURROGATES: Final = "surrogatepass"


class NotDataError(TypeError):
    """An object of a class that cannot be encoded."""


class UnreadableError(KoreError):
    """Bytes that encode() has not made."""


# ---- encoding


def encode(value: object, limit: int, *, any_class: bool = False) -> bytes:
    """Return *value* as bytes.

    Raises TooLargeError above about *limit* bytes, NotDataError for a class that cannot be encoded,
    ValueError if it is nested too deep or contains itself. With *any_class* such objects are
    pickled; raises what pickle raises.
    """
    try:
        key_flag = _check_value(value, limit)
        return ENCODER.encode(value, key_flag)
    except (NotDataError, ValueError):
        if any_class:
            return pickle.dumps(value, pickle.HIGHEST_PROTOCOL) + bytes([IS_PICKLE])
        raise


def _check_value(value: object, limit: int) -> int:
    """Check every container in *value*; return HAS_OTHER_KEYS or 0.

    Level by level, not recursively. Raises as `encode()` does.
    """
    level: list[Collection[Any]] = [(value,)]
    key_flag = seen = 0
    for _ in range(DEPTH_MAX):
        deeper: list[Collection[Any]] = []
        for parts in level:
            kinds = set(map(type, parts))
            if type(parts) is dict:
                if not kinds <= SAFE_KEY_TYPES:
                    key_flag = HAS_OTHER_KEYS
                    deeper += (key for key in parts if type(key) in CONTAINER_TYPES)
                    _refuse_types(kinds - KNOWN_TYPES)
                parts = parts.values()
                kinds = set(map(type, parts))
            seen += len(parts)
            if kinds & SIZED_TYPES:
                seen += sum(len(part) for part in parts if type(part) in SIZED_TYPES)
            if not kinds <= LEAF_TYPES:
                _refuse_types(kinds - KNOWN_TYPES)
                deeper += (part for part in parts if type(part) in CONTAINER_TYPES)
        if seen > limit:
            raise TooLargeError(
                f"an object of more than {limit} bytes, as worker_message_max allows; or it "
                "contains itself"
            )
        if not deeper:
            return key_flag
        level = deeper
    raise ValueError(f"nested more than {DEPTH_MAX} deep, or it contains itself")


def _refuse_types(kinds: Iterable[type]) -> None:
    """Raise NotDataError for the first of *kinds*, if any."""
    for kind in kinds:
        _raise_not_data(kind.__qualname__ if kind.__module__ == "builtins" else _format_type(kind))


def _format_type(kind: type) -> str:
    """Return the full name of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def _raise_not_data(what: str) -> NoReturn:
    """Raise NotDataError with the types that can be sent."""
    raise NotDataError(
        f"cannot send {what}: it takes None, bool, int, float, str, bytes, list, tuple, dict, set, "
        "frozenset, datetime, date, time and timedelta themselves; any other class needs "
        "worker_message_pickle"
    )


class Encoder:
    """A packer of msgpack with the additions of this format."""

    def __init__(self) -> None:
        self.marker_flag = 0
        self.reset_packer()

    def reset_packer(self) -> None:
        """Start with a small buffer again."""
        self.packer = self.make_packer()

    def make_packer(self, errors: str | None = None) -> Packer:
        """Return a new packer; *errors* is the error handler for str."""
        return Packer(
            default=self.convert, strict_types=True, autoreset=False, unicode_errors=errors
        )

    def encode(self, value: object, key_flag: int) -> bytes:
        """Return a value that `_check_value()` has accepted as bytes."""
        try:
            packed = self.pack(self.packer, value, key_flag)
        except UnicodeEncodeError:
            # A lone surrogate. That handler takes longer for every str, so it is not tried first.
            packed = self.pack(self.make_packer(SURROGATES), value, key_flag)
        if len(packed) > BUFFER_SIZE_MAX:
            self.reset_packer()
        return packed

    def pack(self, packer: Packer, value: object, key_flag: int) -> bytes:
        """Return *value* as bytes, followed by the form: a small int, which is one byte."""
        self.marker_flag = 0
        packer.reset()
        packer.pack(value)
        packer.pack(self.marker_flag | key_flag)
        found: bytes = packer.bytes()
        return found

    def convert(self, value: Any) -> Any:
        """Return the array with a marker, or the extension, for a value that MessagePack lacks."""
        marker = MARKERS.get(type(value))
        if marker is not None:
            self.marker_flag = HAS_MARKERS
            return [marker, *value]
        code, write = WRITERS[type(value)]
        return ExtType(code, write(value))


def _write_int(value: int) -> bytes:
    """Return an int of more than 64 bits as bytes."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def _write_datetime(value: datetime | time) -> bytes:
    """Return a datetime or time as bytes: its fold, its ISO format, its zone."""
    # Without the offset: Python 3.11 does not parse one with a fraction of a second.
    text = value.replace(tzinfo=None).isoformat()
    zone = "" if value.tzinfo is None else _write_zone(value.tzinfo)
    return f"{value.fold}{text}{zone}".encode("utf-8", SURROGATES)


def _write_zone(zone: tzinfo) -> str:
    """Return lines for a fixed offset: microseconds, and its name if one was given."""
    if type(zone) is not timezone:
        kind = _format_type(type(zone))
        _raise_not_data(f"a time zone of class {kind}, only fixed offsets (astimezone())")
    # tzname() does not tell a given name from a generated one; the stubs lack this method.
    offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]
    return "\n".join(["", str(offset // timedelta(microseconds=1)), *name])


MARKERS: Final[Mapping[type, Any]] = {
    tuple: ExtType(TUPLE, b""),
    set: ExtType(SET, b""),
    frozenset: ExtType(FROZENSET, b""),
}
WRITERS: Final[Mapping[type, tuple[int, Callable[[Any], bytes]]]] = {
    int: (INT, _write_int),
    datetime: (DATETIME, _write_datetime),
    date: (DATE, lambda value: value.isoformat().encode()),
    time: (TIME, _write_datetime),
    timedelta: (
        TIMEDELTA,
        lambda value: TIMEDELTA_STRUCT.pack(value.days, value.seconds, value.microseconds),
    ),
}
ENCODER: Final = Encoder()


# ---- decoding


def decode(data: bytes, *, any_class: bool = False) -> Any:
    """Return the object that encode() was given. Raises UnreadableError for other bytes.

    With *any_class* a pickle is loaded, which may run any code and raise anything.
    """
    if data[-1:] == bytes([IS_PICKLE]):
        if any_class:
            return pickle.loads(memoryview(data)[:-1])  # noqa: S301 - the setting allows it
        raise UnreadableError("it is pickled, and worker_message_pickle is off in this worker")
    try:
        return _decode_msgpack(data)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise UnreadableError(f"cannot decode: {error!r}") from None


def _decode_msgpack(data: bytes) -> Any:
    """Return the value in *data*. Raises ValueError and others if it is malformed."""
    if not data or data[-1] & ~(HAS_MARKERS | HAS_OTHER_KEYS):
        raise ValueError("unknown form")
    packed, form = memoryview(data)[:-1], data[-1]
    if len(packed) > UNCHECKED_SIZE_MAX:
        _check_complete(packed)
    decoder = ExtensionDecoder()
    value = unpackb(
        packed,
        ext_hook=decoder.decode_extension,
        list_hook=decoder.decode_array if form & HAS_MARKERS else None,
        object_pairs_hook=_build_dict if form & HAS_OTHER_KEYS else None,
        strict_map_key=not form & HAS_OTHER_KEYS,
        unicode_errors=SURROGATES,
        # MessagePack's own timestamp, which encode() does not use: as a datetime.
        timestamp=3,
    )
    if decoder.open_markers:
        raise ValueError("misplaced marker")
    return value


def _check_complete(packed: memoryview) -> None:
    """Raise ValueError unless all announced elements are there."""
    unpacker = Unpacker(max_buffer_size=len(packed))
    unpacker.feed(packed)
    try:
        unpacker.skip()
    except Exception as error:  # noqa: BLE001 - one of its exceptions is a plain Exception
        raise ValueError(f"{type(error).__name__}") from None


class Marker:
    """The first element of an array that stands for another type."""

    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        self.code = code


class ExtensionDecoder:
    """Decodes extensions, and arrays with markers."""

    def __init__(self) -> None:
        # Markers that were read and not found at the start of an array yet.
        self.open_markers = 0

    def decode_extension(self, code: int, content: bytes) -> Any:
        """Return the value of an extension, or a marker."""
        if code in BUILDERS:
            self.open_markers += 1
            return Marker(code)
        if code not in READERS:
            raise ValueError(f"unknown extension {code}")
        return READERS[code](content)

    def decode_array(self, items: list[Any]) -> Any:
        """Return the value of an array: a list, or the type of its marker."""
        if not items or type(items[0]) is not Marker:
            return items
        self.open_markers -= 1
        return BUILDERS[items[0].code](items[1:])


def _build_dict(items: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return a dict with keys of any type."""
    keys = [key for key, _ in items]
    _check_collisions(keys)
    return dict(items)


def _check_collisions(keys: list[Any]) -> list[Any]:
    """Return *keys*. Raises ValueError for keys crafted to collide (hash flooding).

    Only the hashes of str and bytes are randomised. Equal hashes are what counts: hashes that
    differ in any bit are soon separated by the probing of a hash table.
    """
    if len(keys) > COLLISIONS_MAX and max(Counter(map(hash, keys)).values()) > COLLISIONS_MAX:
        raise ValueError("too many colliding keys")
    return keys


def _make_datetime_reader(
    kind: type[datetime] | type[time],
) -> Callable[[bytes], datetime | time]:
    """Return a function that reads what `_write_datetime()` has written."""

    def read(content: bytes) -> datetime | time:
        text, *zone = content.decode("utf-8", SURROGATES).split("\n", 2)
        if text[:1] not in {"0", "1"}:
            raise ValueError("malformed datetime")
        value = kind.fromisoformat(text[1:])
        if value.tzinfo is not None:
            raise ValueError("misplaced time zone")
        return value.replace(tzinfo=_read_zone(*zone) if zone else None, fold=int(text[0]))

    return read


def _read_zone(microseconds: str, *name: str) -> timezone:
    """Return a fixed offset, with its name if there is one."""
    return timezone(timedelta(microseconds=int(microseconds)), *name)


def _read_timedelta(content: bytes) -> timedelta:
    """Return a timedelta."""
    if len(content) != TIMEDELTA_STRUCT.size:
        raise ValueError("malformed timedelta")
    days, seconds, microseconds = TIMEDELTA_STRUCT.unpack(content)
    return timedelta(days, seconds, microseconds)


BUILDERS: Final[Mapping[int, Callable[[list[Any]], Any]]] = {
    TUPLE: tuple,
    SET: lambda items: set(_check_collisions(items)),
    FROZENSET: lambda items: frozenset(_check_collisions(items)),
}
READERS: Final[Mapping[int, Callable[[bytes], Any]]] = {
    INT: lambda content: int.from_bytes(content, "big", signed=True),
    DATETIME: _make_datetime_reader(datetime),
    DATE: lambda content: date.fromisoformat(content.decode("ascii")),
    TIME: _make_datetime_reader(time),
    TIMEDELTA: _read_timedelta,
}
