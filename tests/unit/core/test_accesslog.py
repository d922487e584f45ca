import json
import re
import socket
import struct
import time
from pathlib import Path

import pytest

from kore._core.accesslog import AccessLog
from kore._core.log_file import LogFile
from kore._core.testing import write_log_line
from tests.helpers.expected_accesslog import lines

GET = b"GET /a?b=c HTTP/1.1\r\nHost: a.test:80\r\n"
V4 = struct.pack("=H", socket.AF_INET) + struct.pack("!H", 8080) + bytes([192, 0, 2, 255])
V6 = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", 80, 0) + bytes([0x20, 1, *[0] * 13, 1])


def test_combined_format_is_that_of_kore(tmp_path: Path) -> None:
    with lines(tmp_path / "log") as log:
        fields = b"User-Agent: curl/8\r\nReferer: http://r/\r\n\r\n"
        line = log.line(GET + fields, status=404, body_sent=9, address=V4)

    assert re.fullmatch(
        rb"192\.0\.2\.255 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "
        rb'"GET /a HTTP/1\.1" 404 9 "http://r/" "curl/8"\n',
        line,
    )


@pytest.mark.parametrize(
    ("form", "line"),
    [
        ("$remote_addr:$remote_port $status", b"192.0.2.255:8080 200\n"),
        ("$bytes_sent $body_bytes_sent $request_length", b"30 20 10\n"),
        ("$request_time $request_completion", b"12.003 OK\n"),
        ("$request", b"GET /a?b=c HTTP/1.1\n"),
        ("$request_method $uri $args $query_string", b"GET /a b=c b=c\n"),
        ("$request_uri $server_protocol", b"/a?b=c HTTP/1.1\n"),
        ("$host $http_host", b"a.test:80 a.test:80\n"),
        ("$http_nothing", b"-\n"),
        ("$http_empty;$status", b";200\n"),
        ("$http_twice", b"one\n"),
        ("$http_odd", b"\\x22\\x5C\\x09\\xFF~\n"),
        ("$worker $pid $server_name $status", b"1 7 * 200\n"),
    ],
)
def test_variable_has_its_value(tmp_path: Path, form: str, line: bytes) -> None:
    fields = b'Empty:\r\nTwice: one\r\ntwice: two\r\nOdd: "\\\t\xff~\r\n\r\n'
    with lines(tmp_path / "log", form) as log:
        given = {"sent": 30, "body_sent": 20, "received": 10, "duration_ms": 12003}

        assert log.line(GET + fields, address=V4, **given) == line


def test_tls_has_variables(tmp_path: Path) -> None:
    form = "$scheme $ssl_protocol $ssl_cipher $ssl_server_name $ssl_client_cn"

    with lines(tmp_path / "log", form) as log:
        assert log.line(GET + b"\r\n") == b"http - - - -\n"
        assert log.line(GET + b"\r\n", tls=("", None)) == (
            b"https TLSv1.3 TLS_AES_128_GCM_SHA256 - -\n"
        )
        assert log.line(GET + b"\r\n", tls=("a.test", b' Jo "n\xc3\xa9 ')) == (
            b"https TLSv1.3 TLS_AES_128_GCM_SHA256 a.test \\x20Jo\\x20\\x22n\\xC3\\xA9\\x20\n"
        )


def test_json_keeps_the_blanks_of_a_name(tmp_path: Path) -> None:
    with lines(tmp_path / "log", '{"name":"$ssl_client_cn","host":"$ssl_server_name"}') as log:
        assert log.line(GET + b"\r\n", tls=("", b'A "B"')) == (
            b'{"name":"A \\u0022B\\u0022","host":""}\n'
        )


def test_combined_has_the_name_of_the_client_in_the_third_column(tmp_path: Path) -> None:
    with lines(tmp_path / "log") as log:
        assert log.line(GET + b"\r\n", address=V4, tls=("a.test", b"Ann Lee")).startswith(
            b"192.0.2.255 - Ann\\x20Lee ["
        )


def test_ipv6_address_and_missing_address(tmp_path: Path) -> None:
    with lines(tmp_path / "log", "$remote_addr $remote_port") as log:
        assert log.line(GET + b"\r\n", address=V6) == b"2001::1 80\n"
        assert log.line(GET + b"\r\n") == b"- -\n"


def test_times_are_those_of_the_clock(tmp_path: Path) -> None:
    with lines(tmp_path / "log", "$msec $time_iso8601 $time_local") as log:
        # The core's clock is the coarse one, some milliseconds behind this one.
        before = int(time.time() - 0.1)
        msec, iso, *local = log.line(GET + b"\r\n").decode().split()

    assert before <= float(msec) + 1
    assert float(msec) <= time.time()
    written = time.mktime(time.strptime(iso[:19], "%Y-%m-%dT%H:%M:%S"))
    assert before <= written <= time.time()
    assert local == [
        time.strftime("%d/%b/%Y:%H:%M:%S", time.localtime(written)),
        iso[19:].replace(":", ""),
    ]


def test_malformed_request_is_logged_as_far_as_it_goes(tmp_path: Path) -> None:
    form = "$request|$request_no_args|$request_method|$uri|$host|$http_x"
    with lines(tmp_path / "log", form) as log:
        assert log.line(b"\r\n\x16\x03\x01 /?a\r\nx: y\r\n\r\n") == (
            b"\\x16\\x03\\x01 /?a|\\x16\\x03\\x01 /|-|-|-|-\n"
        )
        assert log.line(b"") == b"-|-|-|-|-|-\n"
        assert len(log.line(b"a" * 100_000)) == 2 * 1024 + 10
        # Refused for what follows its request line, which is known.
        assert log.line(GET + b"x y: z\r\n\r\n") == (
            b"GET /a?b=c HTTP/1.1|GET /a HTTP/1.1|GET|/a|-|-\n"
        )


def test_json_has_empty_strings_for_missing_values(tmp_path: Path) -> None:
    with lines(tmp_path / "log", "json") as log:
        raw = GET + b'Referer: "\\\xc3\xbc\r\n\r\n'
        told = json.loads(log.line(raw, duration_ms=1500, complete=False))

    assert told["user_agent"] == told["completion"] == told["remote_addr"] == ""
    assert told["referer"] == '"\\\xc3\xbc'
    assert (told["request_time"], told["status"], told["pid"]) == (1.5, 200, 7)


def test_long_field_is_logged_completely(tmp_path: Path) -> None:
    with lines(tmp_path / "log", "$http_user_agent") as log:
        line = log.line(GET + b"User-Agent: " + b"\xff" * 60_000 + b"\r\n\r\n")

    assert line == b"\\xFF" * 60_000 + b"\n"


def test_wrong_argument_types_raise(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        AccessLog(None, [])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        AccessLog(LogFile(-1), [(None, "text")])  # type: ignore[list-item]
    with lines(tmp_path / "log") as log, pytest.raises(TypeError):
        write_log_line(log.access_log, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("pieces", [[("nothing", b"")], [("http", b"%d" % n) for n in range(17)]])
def test_unknown_variable_or_too_many_fields_raise(pieces: list[tuple[str, bytes]]) -> None:
    with pytest.raises((KeyError, ValueError)):
        AccessLog(LogFile(-1), pieces)
