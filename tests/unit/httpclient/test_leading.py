"""Where a request may lead: protocols, redirects, cookies, passwords."""

from typing import Any

import pytest

import kore
from tests.helpers.loops import on_both
from tests.helpers.peer import Asked, Peer, hello
from tests.unit.httpclient.test_failing import fails


def to(location: str, status: int = 302) -> Any:
    """Return an answer that leads from / elsewhere."""

    async def answer(asked: Asked) -> None:
        if asked.target == "/":
            asked.answer(b"moved", status, f"location: {location}")
        else:
            asked.answer(f"{asked.method} {asked.body.decode()}".encode())

    return answer


@pytest.mark.parametrize("scheme", ["file", "ftp", "gopher", "dict", "ldap", "scp", "smtp", "ws"])
@on_both
async def test_only_the_web_is_asked(scheme: str) -> None:
    error = await fails(kore.httpclient(f"{scheme}://127.0.0.1/etc/passwd").get())
    assert error.code == 1
    assert (await fails(kore.curl(f"{scheme}://127.0.0.1/etc/passwd").run())).code == 1


@on_both
async def test_a_handle_may_be_allowed_files(tmp_path: Any) -> None:
    (tmp_path / "note").write_bytes(b"a note")
    handle = kore.curl(f"file://{tmp_path}/note")
    handle.setopt(kore.CURLOPT_PROTOCOLS, 1 << 10)
    assert await handle.run() == b"a note"


@on_both
async def test_redirects_are_followed_when_asked_for() -> None:
    async with Peer(to("/there")) as peer:
        client = kore.httpclient(peer.url)
        assert await client.get() == (302, b"moved")
        assert await client.get(follow=True) == (200, b"GET ")
        assert await client.get(follow=False) == (302, b"moved")
        options = {kore.CURLOPT_FOLLOWLOCATION: 1}
        assert await client.get(curlopt=options) == (200, b"GET ")
        status, headers, _ = await client.get(follow=1, return_headers=True)
        assert (status, headers.get("location")) == (200, None)


@pytest.mark.parametrize(
    ("status", "method", "follows"),
    [
        (303, "post", b"GET "), (303, "put", b"GET "), (302, "post", b"GET "),
        (307, "post", b"POST body"), (308, "put", b"PUT body"), (307, "patch", b"PATCH body"),
    ],
)
@on_both
async def test_a_redirect_says_what_becomes_of_the_method(
    status: int, method: str, follows: bytes
) -> None:
    async with Peer(to("/there", status)) as peer:
        asking = getattr(kore.httpclient(peer.url), method)(body=b"body", follow=True)
        assert await asking == (200, follows)


@on_both
async def test_a_ring_of_redirects_ends() -> None:
    async def ring(asked: Asked) -> None:
        asked.answer(b"", 302, "location: /")

    async with Peer(ring) as peer:
        client = kore.httpclient(peer.url)
        error = await fails(client.get(follow=True))
        assert error.code == 47
        assert "Maximum (10) redirects followed" in str(error)
        assert len(peer.asked) == 11
        assert (await fails(client.get(follow=3))).code == 47
        assert len(peer.asked) == 15


@pytest.mark.parametrize("where", ["file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/"])
@on_both
async def test_a_redirect_does_not_leave_the_web(where: str) -> None:
    async with Peer(to(where)) as peer:
        error = await fails(kore.httpclient(peer.url).get(follow=True))
        assert error.code == 1
        error = await fails(
            kore.httpclient(peer.url).get(curlopt={kore.CURLOPT_FOLLOWLOCATION: 1})
        )
        assert error.code == 1


@on_both
async def test_passwords_do_not_go_to_another_host() -> None:
    async with Peer() as other:
        there = other.url.replace("127.0.0.1", "localhost")
        async with Peer(to(there)) as peer:
            client = kore.httpclient(peer.url.replace("http://", "http://me:secret@"))
            fields = {"authorization": "Bearer secret", "cookie": "secret=1"}
            plain = kore.httpclient(peer.url)
            assert await client.get(follow=True) == (200, b"hello")
            assert await plain.get(follow=True, headers=fields) == (200, b"hello")

            assert peer.asked[0].get("authorization") == "Basic bWU6c2VjcmV0"
            assert peer.asked[1].get("authorization") == "Bearer secret"
            assert [a.get("authorization") for a in other.asked] == [None, None]
            assert [a.get("cookie") for a in other.asked] == [None, None]


async def baker(asked: Asked) -> None:
    """Set a cookie, and say which ones came."""
    asked.answer((asked.get("cookie") or "").encode(), 200, f"set-cookie: seen={asked.target[1:]}")


@on_both
async def test_cookies_are_kept_when_asked_for() -> None:
    async with Peer(baker) as peer:
        client = kore.httpclient(f"{peer.url}one", cookies=True)
        assert [await client.get() for _ in range(2)] == [(200, b""), (200, b"seen=one")]


@on_both
async def test_cookies_are_a_clients_own() -> None:
    async with Peer(baker) as peer:
        with_jar = kore.httpclient(f"{peer.url}one", cookies=True)
        other_jar = kore.httpclient(f"{peer.url}two", cookies=True)
        without = kore.httpclient(f"{peer.url}three")
        for client in (with_jar, other_jar, without):
            await client.get()
        answers = [await client.get() for client in (with_jar, other_jar, without)]
        assert answers == [(200, b"seen=one"), (200, b"seen=two"), (200, b"")]
        assert peer.connections == 1


@on_both
async def test_nothing_of_a_request_is_left_for_the_next() -> None:
    async with Peer() as peer:
        client = kore.httpclient(peer.url)
        await client.post(
            body=b"secret",
            headers={"x-secret": "1"},
            curlopt={kore.CURLOPT_USERPWD: "a:b", kore.CURLOPT_COOKIE: "c=d"},
        )
        await client.get()
        assert {name for name, _ in peer.asked[1].fields} == {"host", "user-agent", "accept"}


@on_both
async def test_a_name_is_looked_up_beside_the_loop() -> None:
    async with Peer(hello) as peer:
        assert await kore.httpclient(f"http://localhost:{peer.port}/").get() == (200, b"hello")
