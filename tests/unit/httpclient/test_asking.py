"""Asking: methods, bodies, fields, what comes back."""

import asyncio
import json
from decimal import Decimal
from typing import Any

import pytest

import kore
from kore.errors import ClientTypeError, KoreError
from tests.helpers.http_peer import Peer, ReceivedRequest
from tests.helpers.loops import on_both, until

VERSION = "kore/0.1.0"


@on_both
async def test_get_returns_status_and_body() -> None:
    async with Peer() as peer:
        assert await kore.httpclient(peer.url).get() == (200, b"hello")

        (asked,) = peer.asked
        assert (asked.method, asked.target, asked.body) == ("GET", "/", b"")
        assert asked.fields == [
            ("host", f"127.0.0.1:{peer.port}"),
            ("user-agent", VERSION),
            ("accept", "*/*"),
        ]


@on_both
async def test_each_method_is_sent() -> None:
    async with Peer() as peer:
        client = kore.httpclient(peer.url)
        for name in ("get", "head", "options", "delete"):
            status, body = await getattr(client, name)()
            assert (status, body) == (200, b"" if name == "head" else b"hello")
        for name in ("put", "post", "patch", "delete"):
            assert await getattr(client, name)(body=b"mine") == (200, b"hello")

        said = [(asked.method, asked.body) for asked in peer.asked]
        assert said == [
            ("GET", b""),
            ("HEAD", b""),
            ("OPTIONS", b""),
            ("DELETE", b""),
            ("PUT", b"mine"),
            ("POST", b"mine"),
            ("PATCH", b"mine"),
            ("DELETE", b"mine"),
        ]
        assert peer.connections == 1


@on_both
async def test_bodies_are_forms_by_default() -> None:
    async with Peer() as peer:
        client = kore.httpclient(peer.url)
        await client.post(body=b"a=1")
        await client.put(body=b"a=1")
        await client.patch(body=b"a=1", headers={"Content-Type": "text/plain"})
        await client.post(json={"a": [1, None]})

        types = [asked.get("content-type") for asked in peer.asked]
        form = "application/x-www-form-urlencoded"
        assert types == [form, None, "text/plain", "application/json"]
        assert json.loads(peer.asked[3].body) == {"a": [1, None]}


@on_both
async def test_empty_body_is_sent_and_received() -> None:
    async def nothing(asked: ReceivedRequest) -> None:
        asked.answer(b"", 204) if asked.method == "GET" else asked.answer(b"")

    async with Peer(nothing) as peer:
        client = kore.httpclient(peer.url)
        assert await client.get() == (204, b"")
        assert await client.post(body=b"") == (200, b"")
        assert await client.put(body=b"") == (200, b"")
        assert [asked.get("content-length") for asked in peer.asked] == [None, "0", "0"]


@on_both
async def test_large_body_is_sent_without_delay() -> None:
    body = bytes(range(256)) * 16384
    async with Peer() as peer:
        await kore.httpclient(peer.url).post(body=memoryview(body))

        assert peer.asked[0].body == body
        assert peer.asked[0].get("expect") is None


@on_both
async def test_fields_are_sent_and_empty_ones_removed() -> None:
    async with Peer() as peer:
        fields = {"X-Header": "from-client; ä", "accept": "", "User-Agent": "other"}
        await kore.httpclient(peer.url).get(headers=fields)

        sent = dict(peer.asked[0].fields)
        assert sent["x-header"].encode("latin-1").decode() == "from-client; ä"
        assert "accept" not in sent
        assert sent["user-agent"] == "other"


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"x": "a\r\nevil: yes"}, "control characters"),
        ({"x": "a\nevil: yes"}, "control characters"),
        ({"x": "a\x00"}, "control characters"),
        ({"x\r\nevil": "yes"}, "not the name of a header field"),
        ({"x y": "z"}, "not the name of a header field"),
        ({"x:": "z"}, "not the name of a header field"),
        ({"": "z"}, "not the name of a header field"),
        ({"Transfer-Encoding": "chunked"}, "frames"),
        ({"content-length": "5"}, "without a body"),
    ],
)
def test_invalid_field_is_refused(headers: dict[str, str], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        kore.httpclient("http://127.0.0.1:1/").get(headers=headers)


@pytest.mark.parametrize("length", ["4", "+5", "five", ""])
def test_wrong_content_length_is_refused(length: str) -> None:
    client = kore.httpclient("http://127.0.0.1:1/")
    with pytest.raises(ValueError, match="content-length"):
        client.post(body=b"12345", headers={"Content-Length": length})


@on_both
async def test_right_content_length_is_sent_once() -> None:
    async with Peer() as peer:
        await kore.httpclient(peer.url).post(body=b"12345", headers={"Content-Length": "5"})

        assert (peer.asked[0].get("content-length"), peer.asked[0].body) == ("5", b"12345")


@on_both
async def test_headers_are_returned_when_asked_for() -> None:
    async def answer(asked: ReceivedRequest) -> None:
        asked.answer(b"x", 200, "X-One: 1", "set-cookie: a=1", "Set-Cookie: b=2", "x-empty:")

    async with Peer(answer) as peer:
        status, headers, body = await kore.httpclient(peer.url).get(return_headers=True)

        assert (status, body) == (200, b"x")
        assert headers["x-one"] == "1"
        assert headers["x-empty"] == ""
        assert headers["set-cookie"] == "b=2"
        assert headers.all("Set-Cookie") == ["a=1", "b=2"]
        assert isinstance(headers, dict)


@on_both
async def test_interim_responses_and_trailers_are_not_headers() -> None:
    async def answer(asked: ReceivedRequest) -> None:
        asked.send(b"HTTP/1.1 103 Early Hints\r\nlink: early\r\n\r\n")
        asked.send(b"HTTP/1.1 200 OK\r\nx: head\r\ntransfer-encoding: chunked\r\n\r\n")
        asked.send(b"2\r\nhi\r\n0\r\nx: trailer\r\ny: trailer\r\n\r\n")

    async with Peer(answer) as peer:
        status, headers, body = await kore.httpclient(peer.url).get(return_headers=True)

        assert (status, body) == (200, b"hi")
        assert headers["x"] == "head"
        assert headers.keys().isdisjoint({"link", "y"})


@on_both
async def test_any_status_is_a_result() -> None:
    async def answer(asked: ReceivedRequest) -> None:
        asked.answer(b"", int(asked.target[1:]), "location: /elsewhere")

    async with Peer(answer) as peer:
        for status in (201, 204, 302, 304, 404, 500, 599):
            assert await kore.httpclient(f"{peer.url}{status}").get() == (status, b"")


@on_both
async def test_response_to_head_may_announce_a_length() -> None:
    async def answer(asked: ReceivedRequest) -> None:
        asked.send(b"HTTP/1.1 200 OK\r\ncontent-length: 123456789\r\n\r\n")

    async with Peer(answer) as peer:
        client = kore.httpclient(peer.url)
        status, headers, body = await client.head(return_headers=True)
        assert (status, headers["content-length"], body) == (200, "123456789", b"")
        assert (await client.head())[0] == 200
        assert (await client.get(curlopt={kore.CURLOPT_NOBODY: 1}))[0] == 200
        assert peer.connections == 1


@on_both
async def test_response_304_may_announce_a_length() -> None:
    async def answer(asked: ReceivedRequest) -> None:
        asked.send(b"HTTP/1.1 304 Not Modified\r\ncontent-length: 123456789\r\n\r\n")

    async with Peer(answer) as peer:
        for _ in range(2):
            assert await kore.httpclient(peer.url).get() == (304, b"")
        assert peer.connections == 1


@on_both
async def test_awaiting_again_has_the_same_result() -> None:
    async with Peer() as peer:
        asking = kore.httpclient(peer.url).get()
        await asyncio.sleep(0.01)
        assert peer.asked == [], "it begins when it is awaited"

        assert await asking == await asking == (200, b"hello")
        assert len(peer.asked) == 1


@on_both
async def test_request_can_be_gathered_and_made_a_task() -> None:
    async with Peer() as peer:
        client = kore.httpclient(peer.url)
        task = asyncio.create_task(client.get())
        results = await kore.gather(client.get(), client.head())
        kore.task_create(client.get())

        assert await task == (200, b"hello")
        assert results == [(200, b"hello"), (200, b"")]
        await until(lambda: len(peer.asked) == 4)


@on_both
async def test_request_cannot_be_awaited_twice_at_a_time() -> None:
    release = asyncio.Event()

    async def answer(asked: ReceivedRequest) -> None:
        await release.wait()
        asked.answer(b"late")

    async with Peer(answer) as peer:
        asking = kore.httpclient(peer.url).get()
        first = asyncio.create_task(asking)
        await until(lambda: peer.asked)
        with pytest.raises(KoreError, match="awaited already"):
            await asking
        release.set()
        assert await first == (200, b"late")


CALLS: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("post", {}, RuntimeError, "no keyword arguments given, but body expected"),
    ("put", {"headers": {}}, RuntimeError, "body expected"),
    ("patch", {"return_headers": True}, RuntimeError, "body expected"),
    ("post", {"body": "text"}, TypeError, "expected bytes, str found"),
    ("post", {"body": 5}, TypeError, "expected bytes, int found"),
    ("post", {"body": b"", "json": 1}, TypeError, "cannot both"),
    ("post", {"json": float("nan")}, ValueError, "not JSON compliant"),
    ("get", {"body": b""}, TypeError, r"get\(\) sends no body"),
    ("get", {"headers": []}, RuntimeError, "headers keyword must be a dict"),
    ("get", {"headers": {"a": 1}}, TypeError, "headers must be str: 'a': 1"),
    ("get", {"headers": {1: "a"}}, TypeError, "headers must be str: 1: 'a'"),
    ("get", {"return_headers": 1}, RuntimeError, "return_headers not True or False"),
    ("get", {"curlopt": []}, RuntimeError, "curlopt must be a dictionary"),
    ("get", {"curlopt": {"a": 1}}, RuntimeError, "invalid key in curlopt keyword"),
    ("get", {"curlopt": {True: 1}}, RuntimeError, "invalid key in curlopt keyword"),
    ("get", {"timeout": "1"}, TypeError, "timeout must be milliseconds"),
    ("get", {"timeout": True}, TypeError, "timeout must be milliseconds"),
    ("get", {"timeout": -1}, ValueError, "timeout must be 0"),
    ("get", {"timeout": float("nan")}, ValueError, "timeout must be 0"),
    ("get", {"timeout": Decimal("NaN")}, ValueError, "timeout must be 0"),
    ("get", {"timeout": Decimal("sNaN")}, ValueError, "timeout must be 0"),
    ("get", {"timeout": Decimal("-0.1")}, ValueError, "timeout must be 0"),
    ("get", {"timeout": 10**400}, ValueError, "timeout must be 0"),
    ("get", {"timeout": 1j}, TypeError, "timeout must be milliseconds"),
    ("get", {"follow": "yes"}, TypeError, "follow must be"),
    ("get", {"follow": -1}, TypeError, "follow must be"),
    ("get", {"folow": True}, TypeError, r"get\(\) got an unexpected keyword argument 'folow'"),
]


@pytest.mark.parametrize(("method", "keywords", "kind", "text"), CALLS)
def test_wrong_call_raises_at_once(
    method: str, keywords: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        getattr(kore.httpclient("http://127.0.0.1:1/"), method)(**keywords)


CLIENTS: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    (5, {}, TypeError, "url must be str, not int"),
    ("", {}, ValueError, "url is empty"),
    ("http://a/\r\nx: y", {}, ValueError, "control characters"),
    ("http://a/", {"tlscert": "a"}, RuntimeError, "invalid TLS client configuration"),
    ("http://a/", {"tlskey": "a"}, RuntimeError, "invalid TLS client configuration"),
    ("http://a/", {"tlscert": 1, "tlskey": 2}, TypeError, "tlscert must be a path"),
    ("http://a/", {"tlsverify": 0}, TypeError, "tlsverify not True or False"),
    ("http://a/", {"cabundle": b"x"}, TypeError, "cabundle must be a path"),
    ("http://a/", {"unix": ""}, ValueError, "unix is not a path"),
    ("http://a/", {"unix": "/a\0b"}, ValueError, "unix is not a path"),
    ("http://a/", {"cookies": "yes"}, TypeError, "cookies not True or False"),
    ("http://a/", {"tls_verify": False}, TypeError, "unexpected keyword argument 'tls_verify'"),
]


@pytest.mark.parametrize(("url", "keywords", "kind", "text"), CLIENTS)
def test_wrong_client_raises_at_once(
    url: Any, keywords: dict[str, Any], kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        kore.httpclient(url, **keywords)


def test_client_type_error_is_a_runtime_error() -> None:
    assert issubclass(ClientTypeError, RuntimeError)
    assert issubclass(ClientTypeError, TypeError)


@on_both
async def test_unix_socket_is_used_by_its_path(tmp_path: Any) -> None:
    async with Peer(path=str(tmp_path / "sock")) as peer:
        client = kore.httpclient("http://some.host/there", unix=tmp_path / "sock")
        assert await client.get() == (200, b"hello")
        assert (peer.asked[0].get("host"), peer.asked[0].target) == ("some.host", "/there")


@on_both
async def test_abstract_socket_is_used_by_its_name(tmp_path: Any) -> None:
    name = f"@kore-test-{tmp_path}"
    async with Peer(path=name) as peer:
        for client in (
            kore.httpclient("http://some.host/", unix=name),
            kore.httpclient(
                "http://some.host/", curlopt={kore.CURLOPT_ABSTRACT_UNIX_SOCKET: name[1:]}
            ),
        ):
            assert await client.get() == (200, b"hello")
            assert await client.post(body=b"x") == (200, b"hello")
        assert peer.connections == 1
        with pytest.raises(kore.errors.ClientError, match="connect"):
            await kore.httpclient("http://some.host/", unix=name + "-not").get()


@on_both
async def test_connections_to_different_sockets_are_not_shared(tmp_path: Any) -> None:
    async def other(asked: ReceivedRequest) -> None:
        asked.answer(b"other")

    async with Peer() as peer, Peer(other, path=str(tmp_path / "sock")) as unix:
        plain = kore.httpclient(peer.url)
        through = kore.httpclient(peer.url, unix=unix.path)
        for _ in range(2):
            assert await plain.get() == (200, b"hello")
            assert await through.get() == (200, b"other")


@on_both
async def test_all_clients_share_connections() -> None:
    async with Peer() as peer:
        for _ in range(10):
            await kore.httpclient(f"{peer.url}{_}").get()
        assert peer.connections == 1


@on_both
async def test_many_requests_run_at_a_time() -> None:
    async def answer(asked: ReceivedRequest) -> None:
        await asyncio.sleep(0.001)
        asked.answer(asked.target.encode())

    async with Peer(answer) as peer:
        asking = [kore.httpclient(f"{peer.url}{number}").get() for number in range(100)]
        results = await asyncio.gather(*asking)

        assert results == [(200, f"/{number}".encode()) for number in range(100)]
