"""The options of libcurl: Kore's numbers, what each takes, which are refused."""

import warnings
from typing import Any

import pycurl
import pytest

import kore
from kore._httpclient import curlopts
from kore._httpclient.options import IGNORED, OPTIONS, POINTER, REFUSED, check_option
from kore._httpclient.prepared import ABSTRACT_UNIX_SOCKET
from kore.errors import ClientError, KoreError
from tests.helpers.http_peer import Peer, ReceivedRequest
from tests.helpers.loops import on_both

# What this libcurl was built without, or the machine has not; it says so when it is asked.
ABSENT = {
    "CURLOPT_SSLENGINE",
    "CURLOPT_DNS_SERVERS",
    "CURLOPT_OBSOLETE72",
    "CURLOPT_SSL_FALSESTART",
}
# pycurl calls the larger form by the smaller one's name.
LARGER = {
    f"CURLOPT_{name}" for name in ("INFILESIZE", "RESUME_FROM", "POSTFIELDSIZE", "MAXFILESIZE")
}
VALUES: dict[str, Any] = {"string": "x", "long": 1, "list": ["a: b"]}
SETTABLE = {number: option for number, option in OPTIONS.items() if option.type}


def test_number_of_options_is_kores() -> None:
    assert len(OPTIONS) == 279
    assert kore.CURLOPT_URL == 2
    assert kore.CURLOPT_PROXY_ISSUERCERT == 296
    with pytest.raises(AttributeError, match="CURLOPT_NOTHING"):
        kore.CURLOPT_NOTHING  # noqa: B018


@pytest.mark.parametrize("name", sorted(name for name in vars(curlopts) if name[:8] == "CURLOPT_"))
def test_number_is_libcurls_without_offset(name: str) -> None:
    theirs = getattr(pycurl, name.removeprefix("CURLOPT_"), None)

    number = getattr(kore, name)
    assert OPTIONS[number].name == name
    if theirs is not None and name not in LARGER:
        assert theirs % POINTER == number
        if OPTIONS[number].type:
            assert theirs == number + (0 if OPTIONS[number].type == "long" else POINTER)


@pytest.mark.parametrize("number", SETTABLE, ids=lambda number: OPTIONS[number].name)
def test_option_can_be_set(number: int) -> None:
    option = OPTIONS[number]
    setting, value = check_option(number, VALUES[option.type])
    if number in IGNORED or setting == ABSTRACT_UNIX_SOCKET:
        return
    handle = pycurl.Curl()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if option.name in ABSENT:
            with pytest.raises(pycurl.error):
                handle.setopt(setting, value)
        else:
            handle.setopt(setting, value)


@pytest.mark.parametrize("number", SETTABLE, ids=lambda number: OPTIONS[number].name)
def test_value_of_wrong_type_is_refused_by_name(number: int) -> None:
    option = OPTIONS[number]
    for kind, value in {**VALUES, "nothing": None, "bytes": b"x", "bool": True}.items():
        if kind != option.type:
            article = f"option '{option.name}' requires a {option.type} as argument"
            with pytest.raises(TypeError, match=article):
                kore.curl("http://127.0.0.1/").setopt(number, value)
            with pytest.raises(RuntimeError, match=article):
                kore.httpclient("http://127.0.0.1/", curlopt={number: value})


@pytest.mark.parametrize("number", OPTIONS.keys() - SETTABLE.keys())
def test_other_options_are_not_implemented(number: int) -> None:
    name = OPTIONS[number].name
    with pytest.raises(RuntimeError, match=f"option '{name}' (not implemented|refused)"):
        kore.curl("http://127.0.0.1/").setopt(number, lambda: None)


def test_harmful_option_is_refused_with_the_reason() -> None:
    for name, reason in REFUSED.items():
        number = getattr(kore, f"CURLOPT_{name}")
        with pytest.raises(KoreError, match=reason):
            kore.httpclient("http://127.0.0.1/").get(curlopt={number: 1})


@pytest.mark.parametrize("number", [0, -1, 1, 298, 10002, 99999])
def test_unknown_number_is_refused(number: int) -> None:
    with pytest.raises(RuntimeError, match=f"invalid option '{number}'|not implemented"):
        kore.curl("http://127.0.0.1/").setopt(number, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("USERAGENT", "a\r\nx: y"),
        ("REFERER", "a\nx: y"),
        ("COOKIE", "a\0b"),
        ("CUSTOMREQUEST", "GET / HTTP/1.1\r\nx: y\r\n\r\n"),
        ("URL", "http://a/\r\n"),
        ("HTTPHEADER", ["a: b", "c: d\r\nx: y"]),
        ("REQUEST_TARGET", "/ HTTP/1.1\r\nx: y"),
        ("XOAUTH2_BEARER", "a\nb"),
        ("RANGE", "0-1\r\nx: y"),
        ("PROXYHEADER", ["a\n"]),
    ],
)
def test_option_cannot_add_a_line_to_a_request(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"CURLOPT_{name}': control characters"):
        kore.curl("http://127.0.0.1/").setopt(getattr(kore, f"CURLOPT_{name}"), value)


def test_number_beyond_a_long_is_refused() -> None:
    for value in (2**63, -(2**63) - 1, 2**70):
        with pytest.raises(ValueError, match=r"CURLOPT_PORT': .* does not fit a long"):
            kore.curl("http://127.0.0.1/").setopt(kore.CURLOPT_PORT, value)


@on_both
async def test_error_for_a_refused_value_names_the_option() -> None:
    for name, value in {"SSLENGINE": "none", "PORT": -5, "HTTP_VERSION": 12345}.items():
        option = getattr(kore, f"CURLOPT_{name}")
        with pytest.raises(ClientError, match=f"failed: option 'CURLOPT_{name}': "):
            await kore.httpclient("http://127.0.0.1:1/").get(curlopt={option: value})


@on_both
async def test_options_of_a_client_apply_to_all_its_requests() -> None:
    async with Peer() as peer:
        client = kore.httpclient(
            peer.url,
            curlopt={
                kore.CURLOPT_USERAGENT: "mine",
                kore.CURLOPT_HTTPHEADER: ["x-all: 1"],
                kore.CURLOPT_EGDSOCKET: "nobody reads this",
            },
        )
        await client.get(
            curlopt={kore.CURLOPT_REFERER: "there", kore.CURLOPT_HTTPHEADER: ["x-one: 2"]},
            headers={"x-two": "3"},
        )
        await client.get()

        first, second = (dict(asked.fields) for asked in peer.asked)
        assert first["user-agent"] == second["user-agent"] == "mine"
        assert (first["referer"], first["x-one"], first["x-two"]) == ("there", "2", "3")
        assert first["x-all"] == second["x-all"] == "1"
        assert second.keys().isdisjoint({"referer", "x-one", "x-two"})


@pytest.mark.parametrize("name", ["POST", "UPLOAD", "PUT"])
@on_both
async def test_option_cannot_read_a_body_from_standard_input(name: str) -> None:
    async with Peer() as peer:
        option = getattr(kore, f"CURLOPT_{name}")
        status, _ = await kore.httpclient(peer.url).get(curlopt={option: 1}, timeout=10_000)

        assert (status, peer.asked[0].body) == (200, b"")


# Handles of their own


@on_both
async def test_curl_handle_runs_several_times() -> None:
    async def answer(asked: ReceivedRequest) -> None:
        asked.answer(b"" if len(peer.asked) == 3 else b"hello", 404)

    async with Peer(answer) as peer:
        handle = kore.curl(peer.url)
        assert handle.setopt(kore.CURLOPT_USERAGENT, "mine") is True
        assert [await handle.run() for _ in range(3)] == [b"hello", b"hello", b""]
        assert {asked.get("user-agent") for asked in peer.asked} == {"mine"}


@on_both
async def test_curl_handle_sends_its_body_with_each_run() -> None:
    async with Peer() as peer:
        handle = kore.curl(peer.url)
        assert handle.setbody(b"body") is True
        with pytest.raises(RuntimeError, match="already has body attached"):
            handle.setbody(b"other")
        await handle.run()
        handle.setopt(kore.CURLOPT_POST, 1)
        await handle.run()
        handle.setopt(kore.CURLOPT_CUSTOMREQUEST, "PATCH")
        await handle.run()

        assert [(a.method, a.body) for a in peer.asked] == [
            ("PUT", b"body"),
            ("POST", b"body"),
            ("PATCH", b"body"),
        ]
        assert {asked.get("content-length") for asked in peer.asked} == {"4"}


@on_both
async def test_body_is_sent_again_after_a_redirect() -> None:
    async def answer(asked: ReceivedRequest) -> None:
        if asked.target == "/":
            asked.answer(b"", 307, "location: /there")
        else:
            asked.answer(b"hello")

    async with Peer(answer) as peer:
        handle = kore.curl(peer.url)
        handle.setbody(b"x" * 100_000)
        handle.setopt(kore.CURLOPT_FOLLOWLOCATION, 1)
        assert await handle.run() == b"hello"
        assert len(peer.asked[1].body) == 100_000


@on_both
async def test_error_of_a_handle_does_not_contain_the_url() -> None:
    with pytest.raises(ClientError, match=r"^request failed: .*connect") as caught:
        await kore.curl("http://127.0.0.1:1/").run()
    assert caught.value.code == 7


def test_body_of_a_handle_must_be_bytes() -> None:
    with pytest.raises(TypeError, match="setbody expects bytes"):
        kore.curl("http://127.0.0.1/").setbody("text")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="option must be one of CURLOPT_"):
        kore.curl("http://127.0.0.1/").setopt("URL", "x")  # type: ignore[arg-type]
