"""Compressed answers: decoded when asked for, and refused when they are truncated."""

import gzip
import zlib
from collections.abc import Callable
from typing import Any

import pytest

import kore
from kore._httpclient.codings import DECODED_SIZE_MAX, DECODED_TOO_LARGE
from tests.helpers.http_peer import Peer, ReceivedRequest
from tests.helpers.loops import on_both
from tests.unit.httpclient.test_failing import MIB, fails

ASKED = {kore.CURLOPT_ACCEPT_ENCODING: ""}
TEXT = b"unpacked, " * 5000


def bare_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


CODINGS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "x-gzip": gzip.compress,
    "GZip": gzip.compress,
    "deflate": zlib.compress,
    " deflate ": bare_deflate,
    "gzip, deflate": lambda data: zlib.compress(gzip.compress(data)),
    "identity, gzip": gzip.compress,
}


def answering(body: bytes, coding: str, *, chunk: int = 0) -> Any:
    """Return an answer of that body, in chunks of that size or with a length."""

    async def answer(asked: ReceivedRequest) -> None:
        if not chunk:
            asked.answer(body, 200, f"content-encoding: {coding}")
            return
        fields = (f"content-encoding: {coding}", "transfer-encoding: chunked")
        head = "\r\n".join(["HTTP/1.1 200 OK", *fields, "", ""])
        pieces = [body[at : at + chunk] for at in range(0, len(body), chunk)]
        asked.send(head.encode() + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces))
        asked.send(b"0\r\n\r\n")

    return answer


async def both_ways(url: str) -> tuple[Any, Any]:
    """Ask for an answer as a whole and as a stream; return the body, or the error's code."""
    results: list[Any] = []
    try:
        results.append((await kore.httpclient(url).get(curlopt=ASKED))[1])
    except kore.errors.ClientError as error:
        results.append(error)
    try:
        async with kore.httpclient(url, curlopt=ASKED).stream() as stream:
            results.append(b"".join([piece async for piece in stream]))
    except kore.errors.ClientError as error:
        results.append(error)
    return results[0], results[1]


@pytest.mark.parametrize("chunk", [0, 1, 1000])
@pytest.mark.parametrize("coding", CODINGS)
@on_both
async def test_compressed_response_is_decoded(coding: str, chunk: int) -> None:
    packed = CODINGS[coding](TEXT)
    async with Peer(answering(packed, coding, chunk=chunk)) as peer:
        assert await both_ways(peer.url) == (TEXT, TEXT)
        assert peer.asked[0].get("accept-encoding") == "gzip, deflate"


@pytest.mark.parametrize("missing", [1, 4, 8, 12, 50])
@pytest.mark.parametrize("coding", CODINGS)
@on_both
async def test_truncated_response_is_an_error(coding: str, missing: int) -> None:
    packed = CODINGS[coding](TEXT)[:-missing]
    async with Peer(answering(packed, coding)) as peer:
        for error in await both_ways(peer.url):
            assert isinstance(error, kore.errors.ClientError)
            assert error.code == 61
            assert "truncated" in str(error)


@on_both
async def test_gzip_members_are_joined() -> None:
    packed = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two")
    async with Peer(answering(packed, "gzip", chunk=7)) as peer:
        assert await both_ways(peer.url) == (b"one two", b"one two")


@pytest.mark.parametrize(
    ("body", "coding", "reason"),
    [
        (b"plain text", "gzip", "incorrect header check"),
        (gzip.compress(TEXT, mtime=0)[:-8] + b"\0" * 8, "gzip", "incorrect data check"),
        (b"text", "br", "unknown content-encoding 'br'"),
        (gzip.compress(b"x", mtime=0) + b"rubbish", "gzip", "incorrect header check"),
        (zlib.compress(TEXT) + b"rubbish", "deflate", "data follow the end"),
        (zlib.compress(TEXT) + zlib.compress(TEXT), "deflate", "data follow the end"),
        (bare_deflate(TEXT) + b"\0", "deflate", "data follow the end"),
        (gzip.compress(b"x", mtime=0), "gzip;q=1", "unknown content-encoding 'gzip;q=1'"),
    ],
)
@on_both
async def test_undecodable_body_is_an_error(body: bytes, coding: str, reason: str) -> None:
    async with Peer(answering(body, coding)) as peer:
        for error in await both_ways(peer.url):
            assert isinstance(error, kore.errors.ClientError)
            assert (error.code, reason in str(error)) == (61, True)


@on_both
async def test_nested_codings_do_not_fill_the_memory() -> None:
    packed = gzip.compress(gzip.compress(bytes(2 * DECODED_SIZE_MAX)))
    async with Peer(answering(packed, "gzip, gzip")) as peer:
        whole, streamed = await both_ways(peer.url)
        assert "more than curl_recv_max" in str(whole)
        assert isinstance(streamed, kore.errors.ClientError)
        assert (streamed.code, DECODED_TOO_LARGE in str(streamed)) == (61, True)


@on_both
async def test_partial_response_is_not_truncated() -> None:
    packed = gzip.compress(TEXT)[:100]

    async def part(asked: ReceivedRequest) -> None:
        asked.answer(packed, 206, "content-encoding: gzip", "content-range: bytes 0-99/200")

    async with Peer(part) as peer:
        whole, streamed = await both_ways(peer.url)
        assert whole == streamed
        assert TEXT.startswith(whole)


@on_both
async def test_response_without_body_is_not_truncated() -> None:
    async with Peer(answering(b"", "gzip")) as peer:
        assert await both_ways(peer.url) == (b"", b"")
        assert await kore.httpclient(peer.url).head(curlopt=ASKED) == (200, b"")


@pytest.mark.parametrize(
    ("given", "sent"),
    [("gzip", "gzip"), ("br, gzip;q=0.5", "gzip;q=0.5"), ("zstd,deflate,*;q=0", "deflate,*;q=0")],
)
@on_both
async def test_only_decodable_codings_are_requested(given: str, sent: str) -> None:
    async with Peer(answering(zlib.compress(TEXT), "deflate")) as peer:
        options = {kore.CURLOPT_ACCEPT_ENCODING: given}
        assert await kore.httpclient(peer.url).get(curlopt=options) == (200, TEXT)
        assert peer.asked[0].get("accept-encoding") == sent


@pytest.mark.parametrize("option", [kore.CURLOPT_HTTP_CONTENT_DECODING, None])
@on_both
async def test_raw_body_is_not_decoded(option: int | None) -> None:
    packed = gzip.compress(TEXT)[:-4]
    async with Peer(answering(packed, "gzip")) as peer:
        options = {} if option is None else {**ASKED, option: 0}
        assert await kore.httpclient(peer.url).get(curlopt=options) == (200, packed)


@on_both
async def test_curl_handle_decodes() -> None:
    async with Peer(answering(gzip.compress(TEXT), "gzip")) as peer:
        handle = kore.curl(peer.url)
        handle.setopt(kore.CURLOPT_ACCEPT_ENCODING, "")
        assert await handle.run() == TEXT
        peer.reply = answering(gzip.compress(TEXT)[:-1], "gzip")
        assert (await fails(handle.run())).code == 61


@pytest.mark.parametrize("coding", ["gzip", "deflate", "gzip, deflate"])
@on_both
async def test_limit_counts_decoded_bytes(coding: str) -> None:
    packed = CODINGS[coding](bytes(64 * MIB))
    async with Peer(answering(packed, coding)) as peer:
        error = await fails(kore.httpclient(peer.url).get(curlopt=ASKED))
        assert (error.code, "curl_recv_max" in str(error)) == (23, True)
