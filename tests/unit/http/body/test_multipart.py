"""Multipart forms: what clients write, what the standard library reads, what is refused."""

import contextlib
import email
import time
from email.policy import HTTP
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kore._http.body import multipart
from kore._http.body.body_storage import MemoryBody
from kore._http.body.multipart import FIELDS_MAX, SLICE_SIZE, FormLimits
from kore._http.field_parameters import parse_parameters
from kore.errors import RefusedError


class Part(NamedTuple):
    """A part as a handler gets to see it."""

    name: str
    filename: str | None
    content_type: str
    data: bytes


class Everything(set[str]):
    """The fields of a form of which all are declared."""

    def __contains__(self, _: object) -> bool:
        return True


LIMITS = FormLimits(parts=100, header=4096)
TYPE = "multipart/form-data; boundary=XX"


def part(disposition: str, data: bytes = b"data", *lines: str) -> bytes:
    head = "\r\n".join([f"Content-Disposition: {disposition}", *lines])
    return b"--XX\r\n" + head.encode() + b"\r\n\r\n" + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--XX--\r\n"


def only(body: bytes, content_type: str = TYPE) -> Part:
    (found,) = read(body, content_type, LIMITS)
    return found


def refused(body: bytes, content_type: str = TYPE, limits: FormLimits = LIMITS) -> int:
    with pytest.raises(RefusedError) as error:
        read(body, content_type, limits)
    return error.value.status


def read(body: bytes, content_type: str, limits: FormLimits) -> list[Part]:
    """Return the parts; of a field its data and the place it is said to be at are the same."""
    found = []
    for part in multipart.read(MemoryBody(body), content_type, limits, Everything()):
        if part is not None:
            data = body[part.start : part.start + part.length]
            assert part.data == (data if part.filename is None else b"")
            found.append(Part(part.name, part.filename, part.content_type, data))
    return found


FIELD = part('form-data; name="a"')


def test_fields_and_files_come_in_order() -> None:
    body = form(
        part('form-data; name="a"', b"1"),
        part('form-data; name="f"; filename="x.txt"', b"2", "Content-Type: text/plain"),
        part('form-data; name="a"', b""),
    )

    assert read(body, TYPE, LIMITS) == [
        Part("a", None, "", b"1"),
        Part("f", "x.txt", "text/plain", b"2"),
        Part("a", None, "", b""),
    ]


@pytest.mark.parametrize(
    "content_type",
    [
        'multipart/form-data; boundary="XX"',
        "multipart/form-data; charset=utf-8; boundary=XX",
        "multipart/form-data; boundary=XX; charset=utf-8",
        "Multipart/Form-Data;Boundary=XX",
    ],
)
def test_a_boundary_is_found_where_it_may_stand(content_type: str) -> None:
    assert only(form(FIELD), content_type).data == b"data"


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data",
        "multipart/form-data; foo=XX",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        f"multipart/form-data; boundary={'X' * 71}",
    ],
)
def test_a_form_without_a_proper_boundary_is_refused(content_type: str) -> None:
    assert refused(form(FIELD), content_type) == 400


@pytest.mark.parametrize(
    "parameters",
    [
        ";\tboundary=XX", '; boundary="XX"', "; charset=utf-8 ;boundary=XX ; x=y", ";BOUNDARY = XX",
        '; x="a;boundary=YY"; boundary=XX', ";\r\n boundary=XX;", '; boundary="X\\X"',
    ],
)  # fmt: skip
def test_the_boundary_is_found_among_other_parameters(parameters: str) -> None:
    assert only(form(FIELD), f"multipart/form-data{parameters}").name == "a"


@pytest.mark.parametrize("body", [b"--XX--", b"--XX--\r\n", b"preamble\r\n--XX--\r\nepilogue"])
def test_a_form_without_parts_is_empty(body: bytes) -> None:
    assert read(body, TYPE, LIMITS) == []


def test_parameters_are_read_in_linear_time() -> None:
    """Were they not, this would take for minutes."""
    for text in (';a="', '\\"', "; ", ";a" + " ", ';a="\\"x', ";a=", '";'):
        parse_parameters(text * 30_000)
        parse_parameters(f';a="{text * 30_000}')
        parse_parameters(";a" + " " * 30_000)


@pytest.mark.parametrize(
    ("disposition", "name", "filename"),
    [
        ("form-data; name=a", "a", None),
        ('form-data; filename="f"; name="a"', "a", "f"),
        ('form-data; name="a"; filename=""', "a", ""),
        ('form-data; name="a"; filename="x;y:z.txt"', "a", "x;y:z.txt"),
        ('form-data; name="a"; filename="say \\"hi\\".txt"', "a", 'say "hi".txt'),
        ('form-data; name="a"; filename="say %22hi%22.txt"', "a", 'say "hi".txt'),
        ('form-data; name="ä"; filename="€.txt"', "ä", "€.txt"),
        ("form-data; name=\"a\"; filename*=UTF-8''%e2%82%ac.txt", "a", "€.txt"),
        ("form-data; name='a'", "'a'", None),
        ('form-data; name="a";\tfilename="f"', "a", "f"),
        ('form-data;\tname="a"', "a", None),
        ('form-data;\r\n\tname="a";\r\n filename="f"', "a", "f"),
        ('form-data;name="a"\t;filename\t=\t"f"', "a", "f"),
        ("form-data; filename=my file.txt; name=a b", "a b", "my file.txt"),
        ("form-data; name=a; filename=café.txt ", "a", "café.txt"),
        ("form-data; name=\"x; filename*=utf-8''evil\"", "x; filename*=utf-8''evil", None),
        ('form-data; name="x; filename=evil"; size=3', "x; filename=evil", None),
        ('form-data; name="a"; filename="x; name=b"', "a", "x; name=b"),
        ('form-data; name="a"; filename*="UTF-8\'\'q.txt"', "a", "q.txt"),
        ('form-data; name="a"; filename="C:\\dir\\"', "a", ""),
        ('form-data; name="a"; filename="x\\"; size=3', "a", "x\\"),
        ('form-data; name="a"; filename="unterminated; x', "a", "unterminated"),
        ('form-data; NAME="a"; FileName="f"', "a", "f"),
        ('form-data; name="a"; filename', "a", None),
        ("form-data", "", None),
    ],
)
def test_names_are_read_as_clients_write_them(
    disposition: str, name: str, filename: str | None
) -> None:
    found = only(form(part(disposition)))

    assert (found.name, found.filename) == (name, filename)


def test_a_file_name_that_is_not_utf8_is_replaced() -> None:
    body = form(FIELD).replace(b'name="a"', b'name="a"; filename="\xff.txt"')

    assert only(body).filename == "\N{REPLACEMENT CHARACTER}.txt"


def test_what_looks_like_a_delimiter_inside_a_line_is_data() -> None:
    data = b"text --XX text\r\n--X\r\n-XX--\n--XX\r"

    assert only(form(part('form-data; name="a"', data))).data == data


def test_what_stands_before_the_first_and_after_the_last_delimiter_is_ignored() -> None:
    hidden = part('form-data; name="b"')

    assert only(b"preamble\r\n" + form(FIELD) + hidden + b"--XX--").name == "a"


def test_a_form_in_a_form_is_one_opaque_field() -> None:
    inner = b"--YY\r\nContent-Disposition: file\r\n\r\nx\r\n--YY--"
    body = form(part('form-data; name="a"', inner, "Content-Type: multipart/mixed; boundary=YY"))

    assert only(body).data == inner


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"hello", id="no delimiter"),
        pytest.param(FIELD, id="no last delimiter"),
        pytest.param(b"--XX\r\n", id="no part"),
        pytest.param(form(FIELD).replace(b"\r\n", b"\n"), id="bare line feeds"),
        pytest.param(b"--XX\r\n\r\ndata\r\n--XX--\r\n", id="no disposition"),
        pytest.param(b"x--XX--\r\n", id="no line of its own"),
        pytest.param(b"a\n--XX--\r\n", id="no line of its own, again"),
        pytest.param(form(part("attachment")), id="wrong disposition"),
        pytest.param(form(part("form-data", b"", "no colon")), id="no field line"),
    ],
)
def test_a_malformed_form_is_refused(body: bytes) -> None:
    assert refused(body) == 400


def test_what_is_over_a_limit_is_too_large() -> None:
    assert len(read(form(*[FIELD] * 100), TYPE, LIMITS)) == 100
    assert refused(form(*[FIELD] * 101)) == 413
    assert refused(form(part("form-data; name=a", b"", "x-a: " + "y" * 4096))) == 413
    assert refused(form(part("form-data; name=a", b"", *["x-a: y"] * 8))) == 413
    assert refused(b"--XX\r\n" + b"x" * 80_000) == 413


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(form(*[part("form-data; name=a", b"")] * 20_000), id="tiny parts"),
        pytest.param(form(part("form-data; name=a", b"-" * 1_000_000)), id="dashes"),
        pytest.param(form(part("form-data; name=a", b"\r\n--X" * 200_000)), id="near misses"),
        pytest.param(form(part("form-data; name=a", b"\r" * 1_000_000)), id="returns"),
        pytest.param(b"\r\n--X" * 200_000, id="preamble"),
        pytest.param(b"--XX\r\n" + b"a:b\r\n" * 200_000, id="field lines"),
        pytest.param(form(part("form-data" + ";a=b" * 250_000)), id="parameters"),
    ],
)
def test_a_hostile_megabyte_costs_little_time(body: bytes) -> None:
    start = time.process_time()
    with contextlib.suppress(RefusedError):
        read(body, TYPE, LIMITS)
    assert time.process_time() - start < 0.25


@pytest.mark.parametrize("shift", range(-90, 10))
def test_a_boundary_may_lie_across_two_slices(shift: int) -> None:
    first = part('form-data; name="a"; filename="x"', b"x" * (SLICE_SIZE - 60 + shift))
    second = part('form-data; name="b"', b"y" * 10)

    assert [len(p.data) for p in read(form(first, second), TYPE, LIMITS)] == [
        SLICE_SIZE - 60 + shift,
        10,
    ]


def test_a_head_may_be_as_long_as_its_limits_allow() -> None:
    lines = [f"x-{n}: " + "y" * 4000 for n in range(7)]

    assert only(form(part('form-data; name="a"', b"data", *lines))).data == b"data"


def test_a_form_whose_boundary_does_not_come_is_not_searched_to_its_end() -> None:
    assert refused(b"x" * SLICE_SIZE + form(FIELD)) == 400
    assert only(b"x" * (SLICE_SIZE - 200) + b"\r\n" + form(FIELD)).data == b"data"


def test_undeclared_fields_are_not_kept() -> None:
    body = form(FIELD, part('form-data; name="b"', b"other"))
    found = [p for p in multipart.read(MemoryBody(body), TYPE, LIMITS, {"b"}) if p is not None]

    assert [(p.name, p.data, p.length) for p in found] == [("a", b"", 4), ("b", b"other", 5)]


def test_fields_are_limited_and_files_are_not() -> None:
    large = b"x" * (FIELDS_MAX + 1)

    assert len(only(form(part('form-data; name="a"; filename="f"', large))).data) == len(large)
    assert refused(form(part('form-data; name="a"', large))) == 413


def test_a_large_form_is_read_with_pauses() -> None:
    body = form(part('form-data; name="a"; filename="f"', bytes(5 << 20)))

    assert list(multipart.read(MemoryBody(body), TYPE, LIMITS, set())).count(None) == 5


@given(st.lists(st.tuples(st.text("abc", min_size=1), st.binary(max_size=50)), min_size=1))
def test_the_standard_library_reads_the_same_form(fields: list[tuple[str, bytes]]) -> None:
    # As hexadecimal digits, because e-mail rewrites line ends.
    body = form(*(part(f'form-data; name="{name}"', data.hex().encode()) for name, data in fields))
    head = f"Content-Type: {TYPE}\r\n\r\n".encode()
    oracle = email.message_from_bytes(head + body, policy=HTTP)

    assert [(p.name, p.data.decode()) for p in read(body, TYPE, LIMITS)] == [
        (p["content-disposition"].params["name"], p.get_payload()) for p in oracle.iter_parts()
    ]


PIECES = [
    *(b"--XX", b"\r\n", b"--", b"\n", b"\r", b"--XX--", b"--XX\r\n", b"\r\n\r\n", b"\xff"),
    *(b" ", b"Content-Disposition: form-data", b"; name=a", b'; filename="', b'"'),
    b"; filename*=utf-8''%",
    *(b"Content-Type: text/plain; charset=\xff", b"Content-Length: 3", b"abc", b"=", b":", b"\0"),
]


@given(st.lists(st.sampled_from(PIECES), max_size=25))
def test_any_bytes_are_a_form_or_refused(pieces: list[bytes]) -> None:
    with contextlib.suppress(RefusedError):
        for found in read(b"".join(pieces), TYPE, LIMITS):
            assert isinstance(found.name, str)
