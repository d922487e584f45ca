"""Header fields of responses, from the lines that libcurl passes on."""

import pytest

from kore._httpclient.fields import is_head_complete


@pytest.mark.parametrize(
    ("lines", "complete"),
    [
        ([], True),
        ([b"HTTP/1.1 200 OK\r\n"], False),
        ([b"HTTP/1.1 200 OK\r\n", b"a: b\r\n"], False),
        ([b"HTTP/1.1 200 OK\r\n", b"a: b\r\n", b"\r\n"], True),
        ([b"HTTP/1.1 100 Continue\r\n", b"\r\n", b"HTTP/1.1 200 OK\r\n"], False),
        # Trailers, behind the head.
        ([b"HTTP/1.1 200 OK\r\n", b"\r\n", b"sum: 1\r\n"], True),
        # A response of HTTP/0.9 has no head.
        ([b"a: b\r\n"], True),
    ],
)
def test_a_head_is_complete_with_its_empty_line(lines: list[bytes], complete: bool) -> None:
    assert is_head_complete(lines) == complete
