"""The tests' own reader of answers: it must refuse what no careful client accepts."""

import pytest

from tests.helpers.response_reader import AnswerError, Reader

FINE = b"HTTP/1.1 200 OK\r\nserver: x\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def read(data: bytes, *methods: str) -> Reader:
    reader = Reader(methods)
    reader.feed(data)
    return reader


@pytest.mark.parametrize(
    ("data", "bodies"),
    [
        (FINE + FINE, [b"ok", b"ok"]),
        (CHUNKED + b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n" + FINE, [b"abcd", b"ok"]),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + FINE, [b"ok"]),
        (b"HTTP/1.1 204 No Content\r\n\r\n" + FINE, [b"", b"ok"]),
    ],
)
def test_an_answer_is_read_however_it_is_cut(data: bytes, bodies: list[bytes]) -> None:
    bytewise = Reader()
    for byte in data:
        bytewise.feed(bytes([byte]))

    assert [answer.body for answer in read(data).final] == bodies
    assert [answer.body for answer in bytewise.final] == bodies
    assert not bytewise.partial


def test_an_answer_to_head_has_no_body() -> None:
    reader = read(FINE[:-2] + FINE, "HEAD", "GET")

    assert [answer.body for answer in reader.final] == [b"", b"ok"]


def test_only_the_end_completes_a_body_without_a_length() -> None:
    reader = read(b"HTTP/1.1 200 OK\r\n\r\nabc")
    assert reader.partial

    reader.finish()

    assert [answer.body for answer in reader.final] == [b"abc"]


@pytest.mark.parametrize("cut", [1, 10, len(FINE) - 1])
def test_a_cut_answer_is_partial(cut: int) -> None:
    reader = read(FINE[:cut])
    reader.finish()

    assert reader.final == []
    assert reader.partial


@pytest.mark.parametrize(
    "data",
    [
        b"hello",
        b"HTTP/1.1 200\r\n\r\n",
        b"HTTP/2.0 200 OK\r\n\r\n",
        b"HTTP/1.1 0200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na b: c\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\n\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\ncontent-length: 0\r\n\r\n",
        CHUNKED + b"x\r\nabc\r\n",
        CHUNKED + b"3\r\nabcd\r\n",
        FINE + b"stray",
    ],
)
def test_response_against_the_rules_is_refused(data: bytes) -> None:
    with pytest.raises(AnswerError):
        read(data)
