"""Expected lines of an access log, made by a simple oracle, and an access log for tests."""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kore._core.accesslog import AccessLog
from kore._core.log_file import LogFile
from kore._core.refusals import ParseError
from kore._core.testing import ParsedHead, parse, write_log_line
from kore._values.accesslog_format import FORMATS, compile_format


class Lines:
    """An access log on a file."""

    def __init__(self, path: Path, form: str = "combined") -> None:
        self.path = path
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.sink = LogFile(fd)
        self.format = compile_format(form)
        pieces = self.format.fill_constants({"worker": "1", "pid": "7", "server_name": "*"})
        self.access_log = AccessLog(self.sink, pieces, json=self.format.json)

    def line(self, raw: bytes, *, address: bytes = b"\0\0", **values: object) -> bytes:
        """Return the line of one exchange."""
        before = self.path.stat().st_size
        write_log_line(self.access_log, raw, values, address=address)
        self.sink.flush()
        with self.path.open("rb") as file:
            file.seek(before)
            return file.read()


@contextmanager
def lines(path: Path, form: str = "combined") -> Iterator[Lines]:
    """Return an access log on a file."""
    made = Lines(path, form)
    try:
        yield made
    finally:
        made.sink.close()


def escaped(value: bytes, *, json: bool) -> str:
    """Return what is written for a value."""
    form = "\\u{:04X}" if json else "\\x{:02X}"
    return "".join(
        chr(byte) if 0x20 <= byte <= 0x7E and chr(byte) not in '"\\' else form.format(byte)
        for byte in value
    )


def known(raw: bytes) -> ParsedHead | None:
    """Return the head, if it is one."""
    try:
        return parse(raw, head_max=1 << 20, line_max=1 << 20, fields_max=1000)
    except ParseError:
        return None


def question(raw: bytes) -> Mapping[str, bytes | None]:
    """Return the variables of a request that was accepted; None for what it does not have."""
    head = known(raw)
    if head is None:
        raise ValueError("nothing that was accepted")
    fields = {name.lower(): value for name, value in reversed(head.fields)}
    protocol = re.search(rb" (HTTP/\d\.\d)\r\n", raw)
    assert protocol is not None
    path = b"*" if head.target == b"*" else head.path
    return {
        "request": b" ".join((head.method, head.target, protocol[1])),
        "request_no_args": b" ".join((head.method, path, protocol[1])),
        "request_method": head.method,
        "request_uri": head.target,
        "uri": path,
        "args": head.query,
        "server_protocol": protocol[1],
        "host": head.host or None,
        "http_user_agent": fields.get(b"user-agent"),
        "http_referer": fields.get(b"referer"),
        "http_x": fields.get(b"x"),
    }


def expected(raw: bytes, form: str, *, json: bool) -> str:
    """Return the line of a request with a format that asks about nothing else."""
    values = question(raw)

    def value(found: re.Match[str]) -> str:
        given = values[found[1]]
        return ("" if json else "-") if given is None else escaped(given, json=json)

    return re.sub(r"\$(\w+)", value, FORMATS.get(form, form)) + "\n"
