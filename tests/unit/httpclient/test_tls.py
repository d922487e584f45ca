"""TLS: whom a client believes, and what it shows."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

import kore
from tests.helpers import nginx
from tests.helpers.authority import Authority
from tests.helpers.http_peer import Peer, ReceivedRequest
from tests.helpers.loops import on_both
from tests.unit.httpclient.test_failing import fails


@on_both
async def test_untrusted_certificate_is_refused(authority: Authority) -> None:
    async with Peer(context=authority.context()) as peer:
        error = await fails(kore.httpclient(peer.url).get())

        assert error.code == 60
        assert "unable to get local issuer certificate" in str(error)
        assert peer.asked == []


@on_both
async def test_cabundle_is_trusted(authority: Authority) -> None:
    async with Peer(context=authority.context()) as peer:
        client = kore.httpclient(peer.url, cabundle=authority.bundle)
        for _ in range(3):
            assert await client.get() == (200, b"hello")
        assert peer.connections == 1


@on_both
async def test_certificate_of_another_name_is_refused(authority: Authority) -> None:
    async with Peer(context=authority.context(name="other.example")) as peer:
        error = await fails(kore.httpclient(peer.url, cabundle=authority.bundle).get())

        assert error.code == 60
        assert "127.0.0.1" in str(error)


@on_both
async def test_missing_cabundle_is_named(authority: Authority) -> None:
    async with Peer(context=authority.context()) as peer:
        error = await fails(kore.httpclient(peer.url, cabundle="/no/bundle").get())

        assert error.code == 77
        assert "/no/bundle" in str(error)


@on_both
async def test_unverified_connection_is_not_shared(authority: Authority) -> None:
    async with Peer(context=authority.context(name="other.example")) as peer:
        careless = kore.httpclient(peer.url, tlsverify=False)
        careful = kore.httpclient(peer.url, cabundle=authority.bundle)
        assert await careless.get() == (200, b"hello")
        assert (await fails(careful.get())).code == 60
        assert (await fails(kore.httpclient(peer.url).get())).code == 60
        assert await careless.get() == (200, b"hello")
        assert len(peer.asked) == 2


async def subject(asked: ReceivedRequest) -> None:
    found = asked.writer.get_extra_info("peercert")
    asked.answer(str(found["subjectAltName"][0][1]).encode())


@on_both
async def test_client_certificate_is_sent(authority: Authority) -> None:
    async with Peer(subject, context=authority.context(clients=True)) as peer:
        client = kore.httpclient(
            peer.url, cabundle=authority.bundle, tlscert=authority.cert, tlskey=Path(authority.key)
        )
        assert await client.get() == (200, b"client@test.example")


@on_both
async def test_missing_client_certificate_is_an_error(authority: Authority) -> None:
    async with Peer(subject, context=authority.context(clients=True)) as peer:
        shown = kore.httpclient(
            peer.url, cabundle=authority.bundle, tlscert=authority.cert, tlskey=authority.key
        )
        assert (await shown.get())[0] == 200
        error = await fails(kore.httpclient(peer.url, cabundle=authority.bundle).get())
        assert error.code in {35, 52, 55, 56}
        assert len(peer.asked) == 1, "it has not been lent the other's connection"


@on_both
async def test_missing_key_is_named(authority: Authority) -> None:
    async with Peer(context=authority.context()) as peer:
        client = kore.httpclient(
            peer.url, cabundle=authority.bundle, tlscert=authority.cert, tlskey="/no/key"
        )
        error = await fails(client.get())
        assert error.code in {43, 58}
        assert "/no/key" in str(error)


@on_both
async def test_large_response_over_tls(authority: Authority) -> None:
    async def large(asked: ReceivedRequest) -> None:
        asked.answer(b"x" * 2_000_000)

    async with Peer(large, context=authority.context()) as peer:
        client = kore.httpclient(peer.url, cabundle=authority.bundle)
        results = await asyncio.gather(*[client.get() for _ in range(10)])
        assert {len(body) for _, body in results} == {2_000_000}


@on_both
async def test_failed_handshake_is_named() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    error = await fails(kore.httpclient(f"https://127.0.0.1:{port}/").get())
    assert error.code == 35
    server.close()


@pytest.mark.skipif(nginx.PROGRAM is None, reason="nginx is not installed")
@on_both
async def test_http2_is_used_if_the_server_supports_it(authority: Authority, tmp_path: Any) -> None:
    root, home = tmp_path / "root", tmp_path / "home"
    shutil.rmtree(home, ignore_errors=True)
    root.mkdir(exist_ok=True)
    home.mkdir()
    (root / "kib").write_bytes(b"x" * 1024)
    tls = f"ssl http2; ssl_certificate {authority.server_cert}; "
    tls += f"ssl_certificate_key {authority.server_cert}"
    with nginx.serving(root, home, tls) as server:
        url = f"https://127.0.0.1:{server.address[1]}/kib"
        client = kore.httpclient(url, cabundle=authority.bundle)
        lines: list[bytes] = []
        async with client.stream() as stream:
            lines = stream._sink.lines
            assert stream.status == 200
            assert b"".join([piece async for piece in stream]) == b"x" * 1024
        assert lines[0].startswith(b"HTTP/2 200")
        results = await asyncio.gather(*[client.get() for _ in range(100)])
        assert {(status, len(body)) for status, body in results} == {(200, 1024)}
