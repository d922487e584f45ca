"""Host names in other scripts, and what could make another request line of a request."""

import re
from typing import Any

import pytest

import kore
from kore._httpclient.urls import encode_host, encode_url
from tests.helpers.http_peer import Peer, ReceivedRequest
from tests.helpers.loops import on_both


@pytest.mark.parametrize(
    ("name", "ascii_name"),
    [
        ("bücher.test", "xn--bcher-kva.test"),
        ("BÜCHER.Test", "xn--bcher-kva.test"),
        ("bu\u0308cher.test", "xn--bcher-kva.test"),
        ("例え。テスト", "xn--r8jz45g.xn--zckzah"),
        ("straße.test", "xn--strae-oqa.test"),
        ("faß.test", "xn--fa-hia.test"),
        ("βόλος.test", "xn--nxasmm1c.test"),
        ("\uff45\uff58\uff41mple.test", "example.test"),
        ("пример.test.", "xn--e1afmkfd.test."),
    ],
)
def test_international_name_is_encoded(name: str, ascii_name: str) -> None:
    assert encode_host(name) == ascii_name
    assert encode_url(f"http://user@{name}:81/ü?a@b:c") == (
        f"http://user@{ascii_name}:81/ü?a@b:c".encode()
    )
    assert encode_url(f"{name}/x") == f"{ascii_name}/x".encode()


@pytest.mark.parametrize("url", ["http://a/ü", "http://[::1]:80/ü", "http://ü:ü@a/", "a:80?ü"])
def test_other_parts_of_a_url_are_unchanged(url: str) -> None:
    assert encode_url(url) == url.encode()


@pytest.mark.parametrize("host", ["ü b", "ü\u2100", "ü" * 64, "ü\u200e%00", "\ufdd0"])
def test_invalid_name_is_refused(host: str) -> None:
    with pytest.raises(ValueError, match="is not a host name"):
        kore.httpclient(f"http://{host}/")
    with pytest.raises(ValueError, match="is not a host name"):
        kore.curl(f"http://{host}/")


@on_both
async def test_international_name_is_requested() -> None:
    async with Peer() as peer:
        resolve = {kore.CURLOPT_RESOLVE: [f"xn--bcher-kva.test:{peer.port}:127.0.0.1"]}
        url = f"http://bücher.test:{peer.port}/"
        assert await kore.httpclient(url, curlopt=resolve).get() == (200, b"hello")
        handle = kore.curl("http://127.0.0.1:1/")
        handle.setopt(kore.CURLOPT_URL, url)
        handle.setopt(kore.CURLOPT_RESOLVE, resolve[kore.CURLOPT_RESOLVE])
        assert await handle.run() == b"hello"
        assert {asked.get("host") for asked in peer.asked} == {f"xn--bcher-kva.test:{peer.port}"}


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1\\@example.com/", "http://\\/", "127.0.0.1\\x", "http:\\\\host/"]
)
def test_backslash_in_a_host_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="backslash"):
        kore.httpclient(url)


@on_both
async def test_backslash_in_a_path_is_allowed() -> None:
    async with Peer() as peer:
        assert (await kore.httpclient(f"{peer.url}a\\b?\\").get())[0] == 200
        assert peer.asked[0].target == "/a\\b?\\"


@pytest.mark.parametrize("method", ["GET /x HTTP/1.1", "GET\t/x", " GET", "GET ", "", "GÄT", "G(T"])
def test_method_must_be_a_token(method: str) -> None:
    options = {kore.CURLOPT_CUSTOMREQUEST: method}
    with pytest.raises(ValueError, match="is not a method"):
        kore.httpclient("http://127.0.0.1:1/").get(curlopt=options)
    with pytest.raises(ValueError, match="is not a method"):
        kore.httpclient("http://127.0.0.1:1/", curlopt=options).stream()
    handle = kore.curl("http://127.0.0.1:1/")
    handle.setopt(kore.CURLOPT_CUSTOMREQUEST, method)
    with pytest.raises(ValueError, match="is not a method"):
        handle.run()


@pytest.mark.parametrize("target", ["/a b", "/ HTTP/1.1", " /", "/\t", ""])
def test_target_must_not_have_blanks(target: str) -> None:
    options = {kore.CURLOPT_REQUEST_TARGET: target}
    with pytest.raises(ValueError, match=re.escape("REQUEST_TARGET")):
        kore.httpclient("http://127.0.0.1:1/").get(curlopt=options)


@pytest.mark.parametrize("line", ["X Y: z", "X : z", ": z", "GET / HTTP/1.1", "", "X\u00e9: z"])
@pytest.mark.parametrize("option", [kore.CURLOPT_HTTPHEADER, kore.CURLOPT_PROXYHEADER])
def test_header_option_must_have_fields(option: int, line: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a header field"):
        kore.httpclient("http://127.0.0.1:1/", curlopt={option: [line]})


@on_both
async def test_other_methods_are_sent_as_they_are() -> None:
    async def echo(asked: ReceivedRequest) -> None:
        asked.answer(f"{asked.method} {asked.target}".encode())

    async with Peer(echo) as peer:
        options: dict[int, Any] = {
            kore.CURLOPT_CUSTOMREQUEST: "PROPFIND",
            kore.CURLOPT_REQUEST_TARGET: "*",
            kore.CURLOPT_HTTPHEADER: ["X-One:", "x-two;", "x-three: 3"],
        }
        assert await kore.httpclient(peer.url).get(curlopt=options) == (200, b"PROPFIND *")
