"""Raw cases: Content-Length, and the shapes of request smuggling."""

from tests.helpers.build import get, post, request
from tests.helpers.fix_worker import ThreadServer
from tests.helpers.raw_client import GAP, Mark
from tests.helpers.wire import CLOSED, EITHER, Case, answered, both_ways, check, refused

ECHO = "/echo"
CHUNKED = "Transfer-Encoding: chunked"
INNER = post(b"SMUGGLED")
LENGTH = f"Content-Length: {len(INNER)}"


def length(value: str) -> bytes:
    """Return a POST of `abc` that announces *value*."""
    return post(b"abc", value)


def bad(name: str, value: str) -> Case:
    return refused(f"cl.{name}", 400, length(value))


def too_large(name: str, value: str) -> Case:
    return refused(f"cl.{name}", 413, length(value))


LENGTHS = [
    answered("cl.none", post(b"", None), b""),
    # What follows an empty body is the next request; the empty line completes its first line.
    refused("cl.none-with-body", (200, 400), [post(b"abc", None), GAP, b"\r\n\r\n"]),
    answered("cl.zero", post(b"", "0"), b""),
    bad("plus", "+3"),
    answered("cl.leading-zero", length("0003"), b"abc"),
    answered("cl.trailing-sp", length("3 "), b"abc"),
    answered("cl.trailing-tab", length("3\t"), b"abc"),
    bad("hex", "0x3"),
    bad("list-same", "3, 3"),
    bad("list-diff", "3, 4"),
    bad("alpha", "abc"),
    bad("suffix", "3a"),
    bad("minus", "-3"),
    bad("minus-zero", "-0"),
    bad("float", "3.0"),
    bad("exp", "3e0"),
    bad("semicolon", "3;a"),
    bad("empty", ""),
    bad("quote", '"3"'),
    bad("underscore", "0_3"),
    too_large("2^31", str(1 << 31)),
    too_large("2^63", str(1 << 63)),
    # A number is not wrong for being large: 413 says what is the matter.
    too_large("2^64-1", str((1 << 64) - 1)),
    too_large("2^64+3", str((1 << 64) + 3)),
    too_large("40-digits", "3" * 40),
    bad("minus-wrap", str(3 - (1 << 64))),
    bad("vtab", "\x0b3"),
    refused("cl.get-garbage", 400, get("/", "Content-Length: abc")),
    refused("cl.get-dup-diff", 400, get("/", "Content-Length: 0", "Content-Length: 9")),
    refused("cl.dup-same", 400, post(b"abc", 3, "Content-Length: 3")),
    refused("cl.dup-3-5", 400, post(b"abcde", 3, "Content-Length: 5")),
    refused("cl.dup-5-3", 400, post(b"abcde", 5, "Content-Length: 3")),
    refused("cl.space-before-colon", 400, post(b"abc", None, "Content-Length : 3")),
    refused("cl.nul-hides", 400, post(b"abc", None, "X: a\0", "Content-Length: 3")),
    refused("cl.bare-cr-injects", 400, post(b"abc", None, "X: a\rContent-Length: 3")),
    answered("cl.short-body", [post(b"ab", 5), Mark.QUIET, b"cde"], b"abcde"),
    answered("cl.two-segments", [post(b"ab", 5), GAP, b"cde"], b"abcde"),
    refused("cl.excess-same-segment", (200, 400), [post(b"abcdef", 3), GAP, b"\r\n\r\n"]),
    refused("cl.excess-next-segment", (200, 400), [post(b"abc", 3), GAP, b"junk\r\n\r\n"]),
    answered("cl.body-1000000", post(b"q" * 1_000_000), b"q" * 1_000_000),
    refused("cl.over-1024000", 413, post(b"", 1_024_001)),
    answered("cl.put-echo", post(b"abc", method="PUT"), b"abc"),
    answered("cl.delete-echo-none", request("DELETE", ECHO), b""),
    answered("cl.http10-post", post(b"abc", version="HTTP/1.0"), b"abc", end=CLOSED),
]

SMUGGLING = [
    answered("smug.get-cl-body-same-seg", request("GET", "/", "Content-Length: 5", body=b"hello")),
    # One framing for all methods: the body is read before the handler runs, so all of these
    # keep the connection, in step.
    answered("smug.get-cl-body-next-seg", [get("/", LENGTH), GAP, INNER]),
    answered(
        "smug.head-cl-body-next-seg",
        [request("HEAD", "/", LENGTH), GAP, INNER],
        b"",
        methods=("HEAD",),
    ),
    answered(
        "smug.get-te-body-next-seg",
        [get("/", CHUNKED), GAP, b"%x\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER)],
    ),
    refused("smug.get-te-raw-next-seg", 400, [get("/", CHUNKED), GAP, INNER]),
    # These are answered from the head alone: read on and drop the body, or close.
    answered(
        "smug.options-cl-body-next-seg",
        [request("OPTIONS", "/", LENGTH), GAP, INNER],
        b"",
        status=204,
        end=EITHER,
    ),
    refused("smug.delete-te-next-seg", 400, [request("DELETE", ECHO, CHUNKED), GAP, INNER]),
    refused(
        "smug.404-cl-next-seg",
        404,
        [post(b"", len(INNER), target="/no-such-path"), GAP, INNER],
        end=EITHER,
    ),
    refused("smug.cl-te-conflict", 400, post(b"0\r\n\r\n" + INNER, -1, CHUNKED)),
    refused(
        "smug.te-cl-conflict",
        400,
        [post(b"", 4, CHUNKED), GAP, b"%x\r\n" % len(INNER), GAP, INNER + b"\r\n0\r\n\r\n"],
    ),
    refused(
        "smug.cl-dup-next-seg",
        400,
        [post(b"", 3, f"Content-Length: {3 + len(INNER)}"), GAP, b"abc", GAP, INNER],
    ),
]


@both_ways(LENGTHS + SMUGGLING)
def test_a_body_ends_where_its_head_says_or_is_refused(plain: ThreadServer, case: Case) -> None:
    check(plain, case)
