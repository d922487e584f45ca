"""Raw cases: field lines, line ends, and how much a head may hold."""

from tests.helpers.build import CRLF, HOST_LINE, get, request
from tests.helpers.fix_worker import ThreadServer
from tests.helpers.wire import Case, answered, both_ways, check, refused

FIRST = b"GET / HTTP/1.1\r\n" + HOST_LINE


def raw(line: bytes) -> bytes:
    return FIRST + line + CRLF + CRLF


def taken(name: str, line: bytes) -> Case:
    return answered(f"field.{name}", raw(line))


def bad(name: str, line: bytes) -> Case:
    return refused(f"field.{name}", 400, raw(line))


FIELDS = [
    taken("no-space-after-colon", b"A:b"),
    taken("tab-after-colon", b"A:\tb"),
    bad("vtab-after-colon", b"A:\x0bb"),
    taken("trailing-ws", b"A: b \t "),
    bad("space-before-colon", b"A : b"),
    bad("tab-before-colon", b"A\t: b"),
    bad("no-colon", b"Abc"),
    bad("empty-name", b": b"),
    taken("empty-value", b"A:"),
    taken("blank-value", b"A:   "),
    bad("obs-fold-sp", b"A: b\r\n c"),
    bad("obs-fold-tab", b"A: b\r\n\tc"),
    taken("tab-in-value", b"A: b\tc"),
    bad("ctl-in-value", b"A: b\x01c"),
    bad("del-in-value", b"A: b\x7fc"),
    bad("nul-in-value", b"A: b\0c"),
    taken("8bit-in-value", b"A: caf\xe9"),
    taken("utf8-in-value", "A: café".encode()),
    bad("paren-in-name", b"A(b): c"),
    bad("slash-in-name", b"A/b: c"),
    bad("8bit-in-name", b"A\xe9: c"),
    bad("nul-in-name", b"A\0b: c"),
    taken("underscore-name", b"a_b: c"),
    taken("name-300", b"N" * 300 + b": c"),
    bad("bare-cr-in-value", b"A: b\rc: d"),
    bad("bare-lf-in-value", b"A: b\nc: d"),
    bad("bare-cr-junk", b"A: b\rjunk junk"),
    taken("connection-header-name", b"Connection: A\r\nA: b"),
    refused("field.fold-first", 400, b"GET / HTTP/1.1\r\n A: b\r\n" + HOST_LINE + CRLF),
    bad("fold-after-host", b" A: b"),
]

LINE_ENDS = [
    refused(f"eol.{name}", 400, sent)
    for name, sent in [
        ("bare-lf-all", raw(b"A: b").replace(CRLF, b"\n")),
        ("lf-lines-crlf-end", b"GET / HTTP/1.1\nHost: localhost\nA: b\r\n\r\n"),
        ("crlf-lines-lflf-end", FIRST + b"A: b\n\n"),
        ("lf-then-crlf-end", FIRST + b"A: b\n\r\n"),
        ("crlf-then-lf-end", FIRST + b"A: b\r\n\n"),
        ("cr-only-lines", b"GET / HTTP/1.1\rHost: localhost\rA: b\r\n\r\n"),
        ("crcr", b"GET / HTTP/1.1\r\nHost: localhost\r\r\r\n\r\n"),
        ("lflf-then-crlfcrlf", b"GET / HTTP/1.1\nHost: localhost\n\nX-Late: y\r\n\r\n"),
        ("lflf-then-request", b"GET / HTTP/1.1\nHost: localhost\n\n" + get()),
    ]
]


def fields(count: int) -> bytes:
    """Return a request with that many fields, Host among them."""
    return get("/", *(f"x{n}: v" for n in range(count - 1)))


def block(size: int) -> bytes:
    """Return a request whose head is exactly that long."""
    return get("/", "A: " + "a" * (size - len(get()) - len("A: \r\n")))


LIMITS = [
    answered("limit.headers-22", fields(22)),
    answered("limit.headers-23", fields(23)),
    answered("limit.headers-24", fields(24)),
    answered("limit.headers-64", fields(64)),
    answered("limit.headers-100", fields(100)),
    refused("limit.headers-101", 431, fields(101)),
    refused("limit.headers-250", 431, fields(250)),
    refused("limit.headers-1000", 431, fields(1000)),
    refused(
        "limit.bad-header-24th", 400, get("/", *(f"x{n}: v" for n in range(22)), "bad header: v")
    ),
    answered(
        "limit.cl-24th",
        request(
            "POST", "/echo", *(f"x{n}: v" for n in range(22)), "Content-Length: 3", body=b"abc"
        ),
        b"abc",
    ),
    # The default limit is 16 KiB, so these are above upstream's and not above ours.
    answered("limit.block-4096", block(4096)),
    answered("limit.block-4097", block(4097)),
    answered("limit.block-8192", block(8192)),
    answered("limit.block-16384", block(16384)),
    refused("limit.block-16385", 431, block(16385)),
    refused("limit.block-32768", 431, block(32768)),
    refused("limit.block-70000", 431, block(70000)),
    refused("limit.block-200000", 431, block(200000)),
]


@both_ways(FIELDS + LINE_ENDS + LIMITS)
def test_a_field_is_taken_or_the_head_is_refused(plain: ThreadServer, case: Case) -> None:
    check(plain, case)


def test_a_block_is_as_long_as_it_says() -> None:
    assert [len(block(4096)), fields(24).count(b": ")] == [4096, 24]
