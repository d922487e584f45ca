"""Raw cases: Transfer-Encoding and Expect."""

from tests.helpers.build import get, post, request
from tests.helpers.fix_worker import ThreadServer
from tests.helpers.raw_client import GAP, Mark
from tests.helpers.wire import CLOSED, EITHER, Case, answered, both_ways, check, refused

BODY = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"


def coded(coding: str, body: bytes = BODY, version: str = "HTTP/1.1") -> bytes:
    return post(body, None, f"Transfer-Encoding: {coding}", version=version)


def decoded(name: str, body: bytes, decoded: bytes) -> Case:
    return answered(f"te.{name}", coded("chunked", body), decoded)


def malformed(name: str, body: bytes) -> Case:
    return refused(f"te.{name}", 400, coded("chunked", body))


CODINGS = [
    answered("te.chunked", coded("chunked"), b"abcde"),
    answered("te.chunked-upper", coded("CHUNKED"), b"abcde"),
    decoded("chunked-ext", b'3;a=b;c="d"\r\nabc\r\n0\r\n\r\n', b"abc"),
    decoded("chunked-trailer", b"3\r\nabc\r\n0\r\nX-T: v\r\n\r\n", b"abc"),
    answered("te.chunked-then-get", coded("chunked") + get(), status=(200, 200)),
    decoded("size-upper-hex", b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
    decoded("size-zeros", b"00003\r\nabc\r\n0\r\n\r\n", b"abc"),
    malformed("size-prefix-0x", b"0x3\r\nabc\r\n0\r\n\r\n"),
    malformed("size-plus", b"+3\r\nabc\r\n0\r\n\r\n"),
    malformed("size-minus", b"-3\r\nabc\r\n0\r\n\r\n"),
    malformed("size-space", b"3 \r\nabc\r\n0\r\n\r\n"),
    malformed("size-empty", b"\r\nabc\r\n0\r\n\r\n"),
    malformed("size-overflow", b"10000000000000003\r\nabc\r\n0\r\n\r\n"),
    malformed("lf-only", b"3\nabc\n0\n\n"),
    malformed("missing-crlf-after-data", b"3\r\nabcX0\r\n\r\n"),
    malformed("ext-with-lf", b"3;\nabc\r\n0\r\n\r\n"),
    refused("te.identity-cl", 400, post(b"abc", 3, "Transfer-Encoding: identity")),
    refused("te.gzip-cl", 400, post(b"abc", 3, "Transfer-Encoding: gzip")),
    refused("te.gzip", 400, coded("gzip")),
    refused("te.gzip-chunked", 501, coded("gzip, chunked")),
    refused("te.chunked-gzip", 400, coded("chunked, gzip")),
    refused("te.chunked-chunked", 400, coded("chunked, chunked")),
    refused("te.xchunked", 400, coded("xchunked")),
    refused("te.xchunked-cl", 400, post(b"abc", 3, "Transfer-Encoding: xchunked")),
    refused("te.get-bogus", 400, get("/", "Transfer-Encoding: bogus")),
    answered(
        "te.get-chunked-empty",
        request("GET", "/", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    ),
    refused(
        "te.dup-header",
        400,
        post(BODY, None, "Transfer-Encoding: chunked", "Transfer-Encoding: identity"),
    ),
    refused("te.cl-and-chunked", 400, post(BODY, -1, "Transfer-Encoding: chunked")),
    refused("te.http10", 400, coded("chunked", version="HTTP/1.0")),
    refused("te.space-before-colon", 400, post(BODY, None, "Transfer-Encoding : chunked")),
]

EXPECT = "Expect: 100-continue"

EXPECTATIONS = [
    answered(
        "expect.100-then-body",
        [post(b"", 3, EXPECT), Mark.CONTINUE, b"abc"],
        b"abc",
        status=(100, 200),
    ),
    # The interim answer does not wait for a byte of the body: none comes until it is there.
    answered(
        "expect.100-no-body-sent",
        [post(b"", 3, EXPECT), Mark.CONTINUE, GAP, b"xyz"],
        b"xyz",
        status=(100, 200),
    ),
    # RFC 9110 section 10.1.1: 100 may be left out when body bytes are already there.
    Case("expect.100-body-inline", (post(b"abc", 3, EXPECT),), ((200,), (100, 200)), body=b"abc"),
    refused("expect.100-too-large", 413, post(b"", 99_999_999, EXPECT)),
    # Whether the body follows is the client's choice now, so only the end is unambiguous.
    refused("expect.100-404", 404, post(b"", 3, EXPECT, target="/no-such-path")),
    refused("expect.unknown", 417, post(b"abc", 3, "Expect: 200-ok"), end=EITHER),
    answered(
        "expect.100-http10",
        [post(b"", 3, EXPECT, version="HTTP/1.0"), Mark.QUIET, b"abc"],
        b"abc",
        end=CLOSED,
    ),
]


@both_ways(CODINGS + EXPECTATIONS)
def test_a_coded_or_expected_body_is_read_or_refused(plain: ThreadServer, case: Case) -> None:
    check(plain, case)
