"""Formats of access logs: text with nginx's variables becomes pieces, or an error says why not."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from kore._dataclass import dataclass

# A variable with its name, and "http" with that of a header field; text with None.
Piece = tuple[str | None, str]

FIELDS_MAX: Final = 16
FIELD: Final = "http_"
VARIABLE: Final = re.compile(r"\$(?:\{(?P<braced>\w*)\}|(?P<name>\w+))", re.ASCII)
FIELD_NAME: Final = re.compile(r"[a-z0-9_]+")

# What each variable is, for the guide and for errors. The core knows those of the first table.
VARIABLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "remote_addr": "the client's address; `-` on a Unix socket",
        "remote_port": "the client's port",
        "time_local": "when the line was written, `22/Nov/2026:19:07:03 +0000`",
        "time_iso8601": "likewise, `2026-11-22T19:07:03+00:00`",
        "msec": "likewise, in seconds since 1970 with milliseconds",
        "request": "method, target and protocol; the first line of what was no request",
        "request_no_args": "likewise, without the query",
        "request_method": "the method",
        "request_uri": "the target as it was sent, with the query",
        "uri": "the path as it was sent, without the query",
        "args": "the query, without the question mark",
        "query_string": "the query, too",
        "server_protocol": "the protocol, `HTTP/1.1`",
        "host": "the host that was asked for, with its port if it was sent",
        "status": "the status of the answer",
        "body_bytes_sent": "bytes of the answer behind its header fields",
        "bytes_sent": "bytes of the answer",
        "request_length": "bytes of the request",
        "request_time": "seconds from the end of the request's fields to the end of the answer",
        "refusal": "why the request was refused; only what breaks a rule of HTTP, or a limit",
        "request_completion": "`OK` when all of the answer was sent",
    }
)
CONSTANTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "server_name": "the domain's name",
        "worker": "the worker's number",
        "pid": "the worker's process id",
    }
)
NUMBERS: Final = frozenset(
    [
        "body_bytes_sent",
        "bytes_sent",
        "msec",
        "pid",
        "request_length",
        "request_time",
        "status",
        "worker",
    ]
)
FORMATS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "combined": (
            '$remote_addr - - [$time_local] "$request_no_args" $status $body_bytes_sent '
            '"$http_referer" "$http_user_agent"'
        ),
        "json": (
            '{"time":"$time_iso8601","remote_addr":"$remote_addr","host":"$host",'
            '"request":"$request","method":"$request_method","target":"$request_uri",'
            '"protocol":"$server_protocol","status":$status,"body_bytes_sent":$body_bytes_sent,'
            '"request_length":$request_length,"request_time":$request_time,'
            '"completion":"$request_completion","refusal":"$refusal","referer":"$http_referer",'
            '"user_agent":"$http_user_agent","worker":$worker,"pid":$pid}'
        ),
    }
)


@dataclass(frozen=True, slots=True)
class AccessLogFormat:
    """What the lines of a log look like."""

    pieces: tuple[Piece, ...]
    # Values are escaped for JSON strings, and what is missing is empty.
    json: bool

    def filled(self, constants: Mapping[str, str]) -> list[tuple[str | None, bytes]]:
        """Return the pieces as the core takes them, with *constants* for what never changes."""
        filled: list[tuple[str | None, bytes]] = []
        for variable, text in self.pieces:
            if variable is not None and variable in constants:
                filled.append((None, escaped(constants[variable], json=self.json).encode()))
            else:
                filled.append((variable, text.encode()))
        return filled


def compiled(text: str) -> AccessLogFormat:
    """Return the format *text* means: a name of `FORMATS`, or text with variables.

    One that begins with a brace is JSON. ValueError: there is no such variable, the lines would
    not be lines, or not JSON.
    """
    source = FORMATS.get(text, text)
    if not source.isprintable():
        raise ValueError("a format is one line, of printable characters")
    found = tuple(pieces(source))
    if all(variable is None for variable, _ in found):
        raise ValueError(f"'{text}' is neither {' nor '.join(FORMATS)}, and has no variable")
    if len({name for variable, name in found if variable == "http"}) > FIELDS_MAX:
        raise ValueError(f"more than {FIELDS_MAX} header fields")
    is_json = source.startswith("{")
    if is_json:
        refuse_broken_json(found)
    return AccessLogFormat(found, is_json)


def pieces(source: str) -> Iterator[Piece]:
    """Yield what a format consists of."""
    at = 0
    for found in VARIABLE.finditer(source):
        if found.start() > at:
            yield None, source[at : found.start()]
        yield variable(found["name"] if found["braced"] is None else found["braced"])
        at = found.end()
    if at < len(source):
        yield None, source[at:]


def variable(name: str) -> Piece:
    """Return the piece of a variable."""
    if name in VARIABLES or name in CONSTANTS:
        return name, ""
    field = name.removeprefix(FIELD)
    if field == name or not FIELD_NAME.fullmatch(field.lower()):
        known = ", ".join(f"${known}" for known in (*VARIABLES, *CONSTANTS))
        raise ValueError(f"unknown variable ${name}: there are {known} and $http_FIELD")
    return "http", field.lower().replace("_", "-")


def refuse_broken_json(found: Sequence[Piece]) -> None:
    """Raise ValueError for a format that could make lines that are no JSON."""

    def sample(number: str, text: str) -> str:
        return "".join(
            literal if variable is None else number if variable in NUMBERS else text
            for variable, literal in found
        )

    for line in (sample("0", ""), sample("1.5", "x")):
        try:
            json.loads(line)
        except ValueError as error:
            hint = "text belongs in quotes"
            raise ValueError(f"lines of this format are no JSON ({error}): {hint}") from None


def escaped(text: str, *, json: bool) -> str:
    """Return *text* fit for a quoted string, as the core escapes what clients send."""
    form = "\\u{:04X}" if json else "\\x{:02X}"
    return "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else form.format(byte)
        for byte in text.encode()
    )
