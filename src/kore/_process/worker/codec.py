"""Objects as bytes and back: the same values, of the same types. Pure.

MessagePack, with two additions. What it has no type for is an extension; a tuple, a set or a
frozenset is an array that begins with an extension of no bytes, which says so. The last byte of
the whole tells what else is in it.
"""

import pickle
import struct
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from typing import Any, Final, NoReturn

from msgpack import ExtType, Packer, Unpacker, unpackb

from kore.errors import KoreError, TooLargeError

# What the last byte is made of: marked arrays are in it; keys other than str and bytes are.
MARKED: Final = 1
KEYED: Final = 2
PICKLED: Final = 0x80

SIZED: Final = frozenset({str, bytes})
LEAVES: Final = frozenset({type(None), bool, int, float, str, bytes})
CONTAINERS: Final = frozenset({list, tuple, dict, set, frozenset})
KNOWN: Final = LEAVES | CONTAINERS | {datetime, date, time, timedelta}
# Keys whose hashes nobody can predict.
SAFE_KEYS: Final = SIZED
# The library itself gives up at 511, and has no name for a number.
DEPTH: Final = 200
# Larger payloads are looked through before room is made for what they announce.
SMALL: Final = 4096
# More keys of one hash than chance would bring.
ALIKE: Final = 16
# The library's buffer keeps its size; beyond so many bytes it is not worth it.
KEPT: Final = 1 << 20

TUPLE, SET, FROZENSET, INT, DATETIME, DATE, TIME, TIMEDELTA = range(1, 9)
SPAN: Final = struct.Struct("!iII")
SURROGATES: Final = "surrogatepass"


class NotDataError(TypeError):
    """An object of a class that cannot be sent as data."""


class UnreadableError(KoreError):
    """Bytes that no encode() has made."""


# ---- there


def encode(value: object, limit: int, *, any_class: bool = False) -> bytes:
    """Return *value* as bytes; about *limit* of them are enough to refuse it.

    *any_class*: what is not data is pickled. NotDataError, ValueError: nested too deep, or in
    itself; and what pickle raises.
    """
    try:
        keyed = survey(value, limit)
        return ENCODER.encode(value, keyed)
    except (NotDataError, ValueError):
        if any_class:
            return pickle.dumps(value, pickle.HIGHEST_PROTOCOL) + bytes([PICKLED])
        raise


def survey(value: object, limit: int) -> int:
    """Look at every container in *value* for what cannot be sent; return KEYED or nothing."""
    level: list[Collection[Any]] = [(value,)]
    keyed = seen = 0
    for _ in range(DEPTH):
        deeper: list[Collection[Any]] = []
        for parts in level:
            kinds = set(map(type, parts))
            if type(parts) is dict:
                if not kinds <= SAFE_KEYS:
                    keyed = KEYED
                    deeper += (key for key in parts if type(key) in CONTAINERS)
                    refuse(kinds - KNOWN)
                parts = parts.values()
                kinds = set(map(type, parts))
            seen += len(parts)
            if kinds & SIZED:
                seen += sum(len(part) for part in parts if type(part) in SIZED)
            if not kinds <= LEAVES:
                refuse(kinds - KNOWN)
                deeper += (part for part in parts if type(part) in CONTAINERS)
        if seen > limit:
            raise TooLargeError(
                f"an object of more than {limit} bytes, as worker_message_max allows; or it "
                "contains itself"
            )
        if not deeper:
            return keyed
        level = deeper
    raise ValueError(f"nested more than {DEPTH} deep, or it contains itself")


def refuse(kinds: Iterable[type]) -> None:
    """Raise NotDataError if there are any."""
    for kind in kinds:
        no_data(kind.__qualname__ if kind.__module__ == "builtins" else shown(kind))


def shown(kind: type) -> str:
    """Return the full name of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def no_data(what: str) -> NoReturn:
    """Say what can be sent."""
    raise NotDataError(
        f"cannot send {what}: it takes None, bool, int, float, str, bytes, list, tuple, dict, set, "
        "frozenset, datetime, date, time and timedelta themselves; any other class needs "
        "worker_message_pickle"
    )


class Encoder:
    """The library's packer, with our additions."""

    def __init__(self) -> None:
        self.marked = 0
        self.renew()

    def renew(self) -> None:
        """Begin with a small buffer again."""
        self.packer = self.new_packer()

    def new_packer(self, errors: str | None = None) -> Packer:
        """Return what packs; *errors* is what to do about surrogates."""
        return Packer(
            default=self.special, strict_types=True, autoreset=False, unicode_errors=errors
        )

    def encode(self, value: object, keyed: int) -> bytes:
        """Return what survey() has not refused as bytes."""
        try:
            packed = self.packed(self.packer, value, keyed)
        except UnicodeEncodeError:
            # A lone surrogate. This takes longer for every text, so it is not the first try.
            packed = self.packed(self.new_packer(SURROGATES), value, keyed)
        if len(packed) > KEPT:
            self.renew()
        return packed

    def packed(self, packer: Packer, value: object, keyed: int) -> bytes:
        """Return *value* as bytes, and behind it what is in it, a small number being one byte."""
        self.marked = 0
        packer.reset()
        packer.pack(value)
        packer.pack(self.marked | keyed)
        found: bytes = packer.bytes()
        return found

    def special(self, value: Any) -> Any:
        """Return what stands for a value that the library has no type for."""
        mark = MARKS.get(type(value))
        if mark is not None:
            self.marked = MARKED
            return [mark, *value]
        code, write = WRITERS[type(value)]
        return ExtType(code, write(value))


def write_int(value: int) -> bytes:
    """Return a number of more than 64 bits."""
    return value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True)


def write_moment(value: datetime | time) -> bytes:
    """Return a moment: which of two it is where a clock was put back, its text, its zone."""
    # Not with its offset: Python 3.11 reads none of less than a second.
    text = value.replace(tzinfo=None).isoformat()
    zone = "" if value.tzinfo is None else write_zone(value.tzinfo)
    return f"{value.fold}{text}{zone}".encode("utf-8", SURROGATES)


def write_zone(zone: tzinfo) -> str:
    """Return a fixed offset in microseconds, and the name if it was given one, in lines."""
    if type(zone) is not timezone:
        no_data(f"a time zone of class {shown(type(zone))}, only fixed offsets (astimezone())")
    # tzname() would not tell a given name from a made one; pickle's method is in no stub.
    offset, *name = zone.__getinitargs__()  # type: ignore[attr-defined]
    return "\n".join(["", str(offset // timedelta(microseconds=1)), *name])


MARKS: Final[Mapping[type, Any]] = {
    tuple: ExtType(TUPLE, b""),
    set: ExtType(SET, b""),
    frozenset: ExtType(FROZENSET, b""),
}
WRITERS: Final[Mapping[type, tuple[int, Callable[[Any], bytes]]]] = {
    int: (INT, write_int),
    datetime: (DATETIME, write_moment),
    date: (DATE, lambda value: value.isoformat().encode()),
    time: (TIME, write_moment),
    timedelta: (
        TIMEDELTA,
        lambda value: SPAN.pack(value.days, value.seconds, value.microseconds),
    ),
}
ENCODER: Final = Encoder()


# ---- and back


def decode(data: bytes, *, any_class: bool = False) -> Any:
    """Return what encode() was given; UnreadableError: it was not encode().

    *any_class*: unpickle what was pickled, which may run any code and raise anything.
    """
    if data[-1:] == bytes([PICKLED]):
        if any_class:
            return pickle.loads(memoryview(data)[:-1])  # noqa: S301 - it was asked for
        raise UnreadableError("it is pickled, and worker_message_pickle is off in this worker")
    try:
        return unpacked(data)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise UnreadableError(f"it is no data: {error!r}") from None


def unpacked(data: bytes) -> Any:
    """Return the value in *data*; ValueError and others: there is none."""
    if not data or data[-1] & ~(MARKED | KEYED):
        raise ValueError("an unknown form")
    packed, form = memoryview(data)[:-1], data[-1]
    if len(packed) > SMALL:
        look_through(packed)
    reader = ExtensionDecoder()
    value = unpackb(
        packed,
        ext_hook=reader.extension,
        list_hook=reader.array if form & MARKED else None,
        object_pairs_hook=pairs if form & KEYED else None,
        strict_map_key=not form & KEYED,
        unicode_errors=SURROGATES,
        # Its own extension, which nobody here writes: as a datetime, not as a class of its own.
        timestamp=3,
    )
    if reader.open:
        raise ValueError("a mark in a wrong place")
    return value


def look_through(packed: memoryview) -> None:
    """Raise ValueError or OutOfData unless all that is announced is there."""
    unpacker = Unpacker(max_buffer_size=len(packed))
    unpacker.feed(packed)
    try:
        unpacker.skip()
    except Exception as error:  # noqa: BLE001 - one of its exceptions has no useful base
        raise ValueError(f"{type(error).__name__}") from None


class Marker:
    """What an array begins with that is none."""

    __slots__ = ("code",)

    def __init__(self, code: int) -> None:
        self.code = code


class ExtensionDecoder:
    """Turns extensions into what they stand for."""

    def __init__(self) -> None:
        # Marks that were read and have not been the first of an array.
        self.open = 0

    def extension(self, code: int, content: bytes) -> Any:
        """Return what an extension stands for."""
        if code in BUILDERS:
            self.open += 1
            return Marker(code)
        if code not in READERS:
            raise ValueError(f"an unknown extension {code}")
        return READERS[code](content)

    def array(self, items: list[Any]) -> Any:
        """Return what an array stands for."""
        if not items or type(items[0]) is not Marker:
            return items
        self.open -= 1
        return BUILDERS[items[0].code](items[1:])


def pairs(items: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return a dict that has any keys."""
    keys = [key for key, _ in items]
    unlike(keys)
    return dict(items)


def unlike(keys: list[Any]) -> list[Any]:
    """Refuse keys that were made to meet in one place of a table: that would take for ever.

    Only hashes of text and bytes are secret. The same hash is what counts: a table finds another
    place soon for those that differ somewhere.
    """
    if len(keys) > ALIKE and max(Counter(map(hash, keys)).values()) > ALIKE:
        raise ValueError("keys that were made to be alike")
    return keys


def read_moment(kind: type[datetime] | type[time]) -> Callable[[bytes], datetime | time]:
    """Return what reads a moment of that class."""

    def read(content: bytes) -> datetime | time:
        text, *zone = content.decode("utf-8", SURROGATES).split("\n", 2)
        if text[:1] not in {"0", "1"}:
            raise ValueError("no moment")
        value = kind.fromisoformat(text[1:])
        if value.tzinfo is not None:
            raise ValueError("a zone in the wrong place")
        return value.replace(tzinfo=read_zone(*zone) if zone else None, fold=int(text[0]))

    return read


def read_zone(microseconds: str, *name: str) -> timezone:
    """Return a fixed offset, with the name that it was given."""
    return timezone(timedelta(microseconds=int(microseconds)), *name)


def read_span(content: bytes) -> timedelta:
    """Return a span of time."""
    if len(content) != SPAN.size:
        raise ValueError("no span of time")
    days, seconds, microseconds = SPAN.unpack(content)
    return timedelta(days, seconds, microseconds)


BUILDERS: Final[Mapping[int, Callable[[list[Any]], Any]]] = {
    TUPLE: tuple,
    SET: lambda items: set(unlike(items)),
    FROZENSET: lambda items: frozenset(unlike(items)),
}
READERS: Final[Mapping[int, Callable[[bytes], Any]]] = {
    INT: lambda content: int.from_bytes(content, "big", signed=True),
    DATETIME: read_moment(datetime),
    DATE: lambda content: date.fromisoformat(content.decode("ascii")),
    TIME: read_moment(time),
    TIMEDELTA: read_span,
}
