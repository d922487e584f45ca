"""Character classes, hosts and list elements, tested through the heads that use them."""

import string

import pytest

from kore._core.refusals import ParseError
from kore._core.testing import ParsedHead, parse

TOKEN = set((string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~").encode())
TEXT = {9, *range(0x20, 0x7F), *range(0x80, 0x100)}
VISIBLE = set(range(0x21, 0x7F))

LABEL = "a" * 63
LONGEST = ".".join([LABEL, LABEL, LABEL, "a" * 61])

HOSTS = [
    "h",
    "H",
    "h:80",
    "h:",
    "h:0",
    "h:65535",
    "h:00080",
    "a.b.c",
    "a-b_c~d",
    "127.0.0.1:8888",
    "[::1]",
    "[::1]:80",
    "[::ffff:1.2.3.4]",
    "[v1.a:b,c]",
    "sub!$&'()*+;=delims",
    LONGEST,
    f"{LONGEST}:65535",
    f"[{':' * 251}]",
]
NO_HOSTS = [
    "",
    ":80",
    "h:65536",
    "h:000080",
    "h:99999999999999999999",
    "h:-1",
    "h:+1",
    "h:8a",
    "h:80:80",
    "a,b",
    "a b",
    "u@h",
    "h/",
    "h?",
    "h#",
    "h\\",
    "h%41",
    "caf\xe9",
    "::1",
    "[",
    "[]",
    "[:",
    "[::1",
    "[::1]x",
    "[::1]:x",
    "[::g]",
    "[::1%25eth0]",
    "[[::1]]",
    f"{LONGEST}a",
    f"[{':' * 252}]",
]


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"GET / HTTP/1.1", *lines, b"", b""])


def accepts(data: bytes) -> bool:
    try:
        return parse(data) is not None
    except ParseError:
        return False


@pytest.mark.parametrize("host", HOSTS)
def test_valid_host_is_accepted_unchanged(host: str) -> None:
    found = parse(head(b"Host: " + host.encode()))

    assert isinstance(found, ParsedHead)
    assert found.host == host.encode()
    assert accepts(f"GET http://{host}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode())


@pytest.mark.parametrize("host", NO_HOSTS)
def test_invalid_host_is_refused(host: str) -> None:
    assert not accepts(head(b"Host: " + host.encode("latin-1")))


@pytest.mark.parametrize("host", [h for h in NO_HOSTS if not set(h) & set("/?")])
def test_invalid_host_in_target_is_refused(host: str) -> None:
    assert not accepts(f"GET http://{host}/ HTTP/1.1\r\nHost: x\r\n\r\n".encode("latin-1"))


def test_field_name_is_a_token() -> None:
    named = {c for c in range(256) if accepts(head(b"Host: h", b"a%cb: v" % c))}

    assert named == TOKEN | {ord(":")}, "a colon ends the name sooner"


def test_method_is_a_token() -> None:
    def status(c: int) -> int:
        with pytest.raises(ParseError) as refusal:
            parse(b"X%cX / HTTP/1.1\r\nHost: h\r\n\r\n" % c)
        return refusal.value.status

    assert {c for c in range(256) if status(c) == 501} == TOKEN


def test_field_value_excludes_controls() -> None:
    assert {c for c in range(256) if accepts(head(b"Host: h", b"n: a%cb" % c))} == TEXT


def test_target_excludes_blanks_and_fragment() -> None:
    path = {c for c in range(256) if accepts(b"GET /a%cb HTTP/1.1\r\nHost: h\r\n\r\n" % c)}
    query = {c for c in range(256) if accepts(b"GET /?a%cb HTTP/1.1\r\nHost: h\r\n\r\n" % c)}

    assert query == VISIBLE - set(b"#")
    assert path == VISIBLE - set(b"#%\\"), "a percent sign alone is no escape"


@pytest.mark.parametrize(
    "value",
    [
        "close",
        "Close",
        "CLOSE",
        "a, close",
        "close, a",
        ",close",
        "close,",
        "a,\tclose\t,b",
        ",,close",
    ],
)
def test_list_element_is_found(value: str) -> None:
    found = parse(head(b"Host: h", b"Connection: " + value.encode()))

    assert found is not None
    assert found.close


@pytest.mark.parametrize(
    "value", ["", "closed", "xclose", "clo se", "close;q=1", "c,lose", "clos\xe5"]
)
def test_list_element_is_compared_whole(value: str) -> None:
    found = parse(head(b"Host: h", b"Connection: " + value.encode("latin-1")))

    assert found is not None
    assert not found.close


def test_names_are_compared_without_case() -> None:
    found = parse(head(b"hOsT: h", b"cOnTeNt-LeNgTh: 3", b"CONNECTION: cLoSe"))

    assert found is not None
    assert (found.host, found.length, found.close) == (b"h", 3, True)


@pytest.mark.parametrize("name", [b"HOS\x14", b"CONTENT\x0dLENGTH", b"hos4", b"ho5t"])
def test_case_applies_to_letters_only(name: bytes) -> None:
    assert not accepts(head(name + b": h"))
