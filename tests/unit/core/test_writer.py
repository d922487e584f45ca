"""Response heads: valid for h11, with the given fields and nothing injected."""

import calendar
from email.utils import formatdate
from http import HTTPStatus
from itertools import product

import h11
import pytest

from kore._core.testing import write_head
from kore._core.writer import reason_phrase

FIELDS = [None, [], [("x-a", "1")], [("X-A", "1"), ("set-cookie", "a=b; c"), ("empty", "")]]


def parsed(head: bytes) -> h11.Response | h11.InformationalResponse:
    """Return h11's reading of a complete head."""
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("host", "h")]))
    client.receive_data(head)
    event = client.next_event()
    assert isinstance(event, (h11.Response, h11.InformationalResponse))
    assert client.trailing_data[0] == b"" or event.status_code in (204, 304)
    return event


def field(head: bytes, name: str) -> list[bytes]:
    return [value for key, value in parsed(head).headers if key == name.encode()]


@pytest.mark.parametrize("status", range(200, 600))
def test_head_of_every_status_is_valid(status: int) -> None:
    event = parsed(write_head(status, length=None if status in (204, 304) else 0))

    assert event.status_code == status
    assert event.reason == reason_phrase(status).encode()
    assert event.http_version == b"1.1"


@pytest.mark.parametrize(
    ("fields", "keep", "length"),
    list(product(FIELDS, [True, False], [None, 0, 1, 10, (1 << 63) - 1])),
)
def test_head_has_the_given_fields(
    fields: list[tuple[str, str]] | None, *, keep: bool, length: int | None
) -> None:
    head = write_head(200, fields, keep=keep, length=length)

    for name, value in fields or []:
        assert field(head, name.lower()) == [value.encode()]
    assert field(head, "connection") == [b"keep-alive" if keep else b"close"]
    assert field(head, "keep-alive") == ([b"timeout=20"] if keep else [])
    assert field(head, "content-length") == ([] if length is None else [b"%d" % length])
    assert (field(head, "server"), len(field(head, "date"))) == ([b"kore"], 1)


def test_chunked_head_has_no_content_length() -> None:
    head = write_head(200, chunked=True, length=3)

    assert field(head, "transfer-encoding") == [b"chunked"]
    assert field(head, "content-length") == []


def test_reason_phrases_are_those_of_rfc_9110() -> None:
    assert reason_phrase(200) == "OK"
    assert reason_phrase(413) == "Content Too Large"
    assert reason_phrase(422) == "Unprocessable Content"
    assert reason_phrase(299) == ""
    assert {status.value for status in HTTPStatus if not reason_phrase(status.value)} == set()


# RFC 9110 5.6.7, in all its days and months.
SECONDS = [
    0,
    784111777,  # the RFC's own example
    951782400,  # 29 February 2000
    *range(86399, 86400 * 800, 86400 * 3 + 3607),
    *(
        calendar.timegm((year, month, 1, 0, 0, 0))
        for year in (1999, 2024, 2038)
        for month in range(1, 13)
    ),
    2147483647,
    2147483648,
    4294967296,
    253402300799,  # the last second of four digits
]


def test_date_is_imf_fixdate() -> None:
    for second in SECONDS:
        assert field(write_head(200, second=second), "date") == [
            formatdate(second, usegmt=True).encode()
        ]


def test_server_and_date_of_the_application_replace_ours() -> None:
    for fields in ([("Server", "mine")], [("Date", "now")], [("server", "mine"), ("DATE", "now")]):
        head = write_head(200, fields, server=b"ours", second=86400)
        given = {name.lower(): value.encode() for name, value in fields}

        assert field(head, "server") == [given.get("server", b"ours")]
        assert field(head, "date") == [given.get("date", b"Fri, 02 Jan 1970 00:00:00 GMT")]
        assert field(head, "connection") == [b"keep-alive"]


def test_head_has_room_for_many_fields() -> None:
    fields = [(f"x-{n}", "v" * 100) for n in range(1000)]

    assert len(parse_lines(write_head(200, fields))) == 1000 + 4


def parse_lines(head: bytes) -> list[bytes]:
    assert head.endswith(b"\r\n\r\n")
    return head.split(b"\r\n")[1:-2]


INJECTIONS = ["a\r\nb: c", "a\nb", "a\rb", "a\0b", "a\x7fb", "\x0b", "a\x1b", "a\r", "\n"]
# What would be a line break if only the low byte of each character were kept.
DISGUISED = ["\u010d\u010a", "\u560a\u560d", "a\ud80d\ud80ab", "\u2028"]


@pytest.mark.parametrize("text", INJECTIONS)
def test_value_with_line_break_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="cannot hold line breaks or controls"):
        write_head(200, [("x", text)])


@pytest.mark.parametrize(
    "text", [*INJECTIONS, *DISGUISED, "", "a b", "a:", "caf\xe9", "a\t", "(a)"]
)
def test_name_that_is_not_a_token_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a token"):
        write_head(200, [(text, "v")])


@pytest.mark.parametrize("text", DISGUISED)
def test_no_character_is_encoded_as_a_line_break(text: str) -> None:
    try:
        head = write_head(200, [("x", text)])
    except ValueError:
        return
    assert len(parse_lines(head)) == 5
    assert all(byte >= 0x20 for line in parse_lines(head) for byte in line)


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (" \tv\t ", b"v"),
        ("", b""),
        ("a\tb", b"a\tb"),
        ("caf\xe9", b"caf\xe9"),
        ("\u20ac", b"\xe2\x82\xac"),
        ("caf\xe9 \u20ac", b"caf\xc3\xa9 \xe2\x82\xac"),
        ("\udce9\u20ac", b"\xe9\xe2\x82\xac"),
    ],
)
def test_value_is_sent_without_outer_blanks(value: str, sent: bytes) -> None:
    assert field(write_head(200, [("x", value)]), "x") == [sent]


@pytest.mark.parametrize("fields", [None, [], [("x", "y")]])
def test_hsts_is_sent_if_it_is_wanted(fields: list[tuple[str, str]] | None) -> None:
    name = "strict-transport-security"

    assert field(write_head(200, fields, length=0), name) == []
    assert field(write_head(200, fields, length=0, hsts=b""), name) == []
    assert field(write_head(200, fields, length=0, hsts=b"max-age=7"), name) == [b"max-age=7"]


def test_hsts_of_the_application_replaces_ours() -> None:
    head = write_head(200, [("Strict-Transport-Security", "max-age=1")], length=0, hsts=b"x")

    assert field(head, "strict-transport-security") == [b"max-age=1"]


@pytest.mark.parametrize("fields", [None, [("x", "y")], [("date", "now")]])
def test_empty_server_name_sends_no_server_field(fields: list[tuple[str, str]] | None) -> None:
    assert field(write_head(200, fields, length=0, server=b""), "server") == []
