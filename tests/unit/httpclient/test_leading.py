"""Where a request may lead: protocols, redirects, cookies, passwords."""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import pytest

import kore
from tests.helpers.http_peer import Peer, ReceivedRequest, hello
from tests.helpers.loops import on_both
from tests.unit.httpclient.test_failing import fails


def to(location: str, status: int = 302) -> Any:
    """Return an answer that leads from / elsewhere."""

    async def answer(asked: ReceivedRequest) -> None:
        if asked.target == "/":
            asked.answer(b"moved", status, f"location: {location}")
        else:
            asked.answer(f"{asked.method} {asked.body.decode()}".encode())

    return answer


@pytest.mark.parametrize("scheme", ["file", "ftp", "gopher", "dict", "ldap", "scp", "smtp", "ws"])
@on_both
async def test_only_http_and_https_are_allowed(scheme: str) -> None:
    error = await fails(kore.httpclient(f"{scheme}://127.0.0.1/etc/passwd").get())
    assert error.code == 1
    assert (await fails(kore.curl(f"{scheme}://127.0.0.1/etc/passwd").run())).code == 1


@on_both
async def test_curl_handle_may_allow_files(tmp_path: Any) -> None:
    (tmp_path / "note").write_bytes(b"a note")
    handle = kore.curl(f"file://{tmp_path}/note")
    handle.setopt(kore.CURLOPT_PROTOCOLS, 1 << 10)
    assert await handle.run() == b"a note"


@on_both
async def test_redirects_are_followed_with_follow() -> None:
    async with Peer(to("/there")) as peer:
        client = kore.httpclient(peer.url)
        assert await client.get() == (302, b"moved")
        assert await client.get(follow=True) == (200, b"GET ")
        assert await client.get(follow=False) == (302, b"moved")
        options = {kore.CURLOPT_FOLLOWLOCATION: 1}
        assert await client.get(curlopt=options) == (200, b"GET ")
        status, headers, _ = await client.get(follow=1, return_headers=True)
        assert (status, headers.get("location")) == (200, None)


async def pieces() -> AsyncIterator[bytes]:
    yield b"bo"
    yield b"dy"


BODIES: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "bytes": lambda: {"body": b"body"},
    "stream": lambda: {"body": pieces()},
    "sized stream": lambda: {"body": pieces(), "headers": {"content-length": "4"}},
}
FOLLOWS: Final[dict[str, dict[str, Any]]] = {
    "keyword": {"follow": True},
    "option": {"curlopt": {kore.CURLOPT_FOLLOWLOCATION: 1}},
}


@pytest.mark.parametrize("how", FOLLOWS)
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("method", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@on_both
async def test_redirect_status_decides_the_method(
    status: int, method: str, body: str, how: str
) -> None:
    """RFC 9110 section 15.4: with 301 and 302 a POST becomes a GET, with 303 every method."""
    turned = status == 303 or (status in {301, 302} and method == "post")
    async with Peer(to("/there", status)) as peer:
        ask = getattr(kore.httpclient(peer.url), method)
        follows = b"GET " if turned else f"{method.upper()} body".encode()
        assert await ask(**BODIES[body](), **FOLLOWS[how]) == (200, follows)
        assert peer.asked[0].body == b"body"
        assert [asked.get("content-type") for asked in peer.asked[1:] if turned] in ([], [None])


@pytest.mark.parametrize(
    ("method", "status", "then"),
    [
        ("delete", 301, "DELETE"),
        ("options", 302, "OPTIONS"),
        ("head", 301, "HEAD"),
        ("head", 303, "HEAD"),
        ("delete", 303, "GET"),
        ("delete", 308, "DELETE"),
    ],
)
@on_both
async def test_redirect_status_decides_the_method_without_body(
    method: str, status: int, then: str
) -> None:
    async with Peer(to("/there", status)) as peer:
        await getattr(kore.httpclient(peer.url), method)(follow=True)
        assert [asked.method for asked in peer.asked] == [method.upper(), then]


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("method", ["post", "put"])
@pytest.mark.parametrize(
    ("status", "then"),
    [
        (301, b"REPORT body"),
        (302, b"REPORT body"),
        (303, b"GET "),
        (307, b"REPORT body"),
        (308, b"REPORT body"),
    ],
)
@on_both
async def test_custom_method_is_not_a_post(
    status: int, then: bytes, method: str, body: str
) -> None:
    async with Peer(to("/there", status)) as peer:
        ask = getattr(kore.httpclient(peer.url), method)
        options = {kore.CURLOPT_CUSTOMREQUEST: "REPORT"}
        assert await ask(**BODIES[body](), follow=True, curlopt=options) == (200, then)


@pytest.mark.parametrize("option", [kore.CURLOPT_POST, kore.CURLOPT_UPLOAD])
@pytest.mark.parametrize(("status", "then"), [(302, b"PUT body"), (303, b"GET ")])
@on_both
async def test_curl_handle_follows_in_the_same_way(status: int, then: bytes, option: int) -> None:
    async with Peer(to("/there", status)) as peer:
        handle = kore.curl(peer.url)
        handle.setbody(b"body")
        handle.setopt(option, 1)
        handle.setopt(kore.CURLOPT_CUSTOMREQUEST, "PUT")
        handle.setopt(kore.CURLOPT_FOLLOWLOCATION, 1)
        assert await handle.run() == then


@on_both
async def test_long_streamed_body_cannot_be_repeated() -> None:
    async def long() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"x" * 65536

    async with Peer(to("/there", 307)) as peer:
        error = await fails(kore.httpclient(peer.url).put(body=long(), follow=True))
        assert error.code == 65
        assert "give the body as bytes" in str(error)


@on_both
async def test_redirect_loop_ends() -> None:
    async def ring(asked: ReceivedRequest) -> None:
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
async def test_redirect_is_limited_to_http(where: str) -> None:
    async with Peer(to(where)) as peer:
        error = await fails(kore.httpclient(peer.url).get(follow=True))
        assert error.code == 1
        error = await fails(kore.httpclient(peer.url).get(curlopt={kore.CURLOPT_FOLLOWLOCATION: 1}))
        assert error.code == 1


@on_both
async def test_passwords_are_not_sent_to_another_host() -> None:
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


SECRETS: Final[dict[str, dict[str, Any]]] = {
    "headers": {
        "headers": {"Proxy-Authorization": "P", "Authorization": "A", "Cookie": "secret=1"}
    },
    "lines": {"curlopt": {kore.CURLOPT_HTTPHEADER: ["PROXY-authorization: P", "cookie: c"]}},
    "options": {
        "curlopt": {
            kore.CURLOPT_COOKIE: "secret=1",
            kore.CURLOPT_USERPWD: "me:secret",
            kore.CURLOPT_PROXYUSERPWD: "me:secret",
        }
    },
}


@pytest.mark.parametrize("secrets", SECRETS)
@pytest.mark.parametrize("follow", FOLLOWS)
@on_both
async def test_secret_fields_are_not_sent_to_another_host(secrets: str, follow: str) -> None:
    async with Peer() as other:
        there = other.url.replace("127.0.0.1", "localhost")
        async with Peer(to(there)) as peer:
            given, how = SECRETS[secrets], FOLLOWS[follow]
            options = {**given.get("curlopt", {}), **how.get("curlopt", {})}
            keywords = {**given, **how, "curlopt": options}
            assert await kore.httpclient(peer.url).get(**keywords) == (200, b"hello")
            client = kore.httpclient(peer.url, curlopt=options)
            assert await client.get(**{**keywords, "curlopt": {}}) == (200, b"hello")
            names = {name for asked in other.asked for name, _ in asked.fields}
            assert names == {"host", "user-agent", "accept"}
            assert "cookie" in {name for name, _ in peer.asked[0].fields}


@on_both
async def test_secret_fields_of_a_handle_are_not_sent_to_another_host() -> None:
    async with Peer() as other, Peer(to(other.url.replace("127.0.0.1", "localhost"))) as peer:
        handle = kore.curl(peer.url)
        handle.setopt(kore.CURLOPT_FOLLOWLOCATION, 1)
        for own in ([], ["x-own: 1"]):
            handle.setopt(kore.CURLOPT_HTTPHEADER, ["proxy-authorization: P", *own])
            assert await handle.run() == b"hello"
            assert other.asked[-1].get("x-own") == ("1" if own else None)
            assert other.asked[-1].get("proxy-authorization") is None


@on_both
async def test_proxy_gets_proxy_authorization() -> None:
    async with Peer() as proxy:
        client = kore.httpclient("http://nowhere.test/", curlopt={kore.CURLOPT_PROXY: proxy.url})
        fields = {"proxy-authorization": "P"}
        for follow in (False, True):
            assert await client.get(headers=fields, follow=follow) == (200, b"hello")
        assert [asked.get("proxy-authorization") for asked in proxy.asked] == ["P", "P"]


async def baker(asked: ReceivedRequest) -> None:
    """Set a cookie, and say which ones came."""
    asked.answer((asked.get("cookie") or "").encode(), 200, f"set-cookie: seen={asked.target[1:]}")


@on_both
async def test_cookies_are_kept_with_cookies() -> None:
    async with Peer(baker) as peer:
        client = kore.httpclient(f"{peer.url}one", cookies=True)
        assert [await client.get() for _ in range(2)] == [(200, b""), (200, b"seen=one")]


@on_both
async def test_cookies_are_not_shared_between_clients() -> None:
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
async def test_request_carries_nothing_over_to_the_next() -> None:
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
async def test_lookup_does_not_block_the_loop() -> None:
    async with Peer(hello) as peer:
        assert await kore.httpclient(f"http://localhost:{peer.port}/").get() == (200, b"hello")
