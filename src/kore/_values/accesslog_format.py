"""Formats of access logs: text with the variables of nginx, parsed into parts for the core."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

# A variable and "", "http" and the name of a header field, or None and literal text.
FormatPart = tuple[str | None, str]

FIELDS_MAX: Final = 16
FIELD_PREFIX: Final = "http_"
VARIABLE: Final = re.compile(r"\$(?:\{(?P<braced>\w*)\}|(?P<name>\w+))", re.ASCII)
FIELD_NAME: Final = re.compile(r"[a-z0-9_]+")

# What each variable is, for the guide and for errors. The core computes those of the first table.
VARIABLES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "remote_addr": "the client's address; `-` on a Unix socket",
        "remote_port": "the client's port",
        "time_local": "when the line was written, `22/Nov/2026:19:07:03 +0000`",
        "time_iso8601": "likewise, `2026-11-22T19:07:03+00:00`",
        "msec": "likewise, in seconds since 1970 with milliseconds",
        "request": "method, target and protocol; of a malformed request its first line",
        "request_no_args": "likewise, without the query",
        "request_method": "the method",
        "request_uri": "the target as it was sent, with the query",
        "uri": "the path as it was sent, without the query",
        "args": "the query, without the question mark",
        "query_string": "the query, too",
        "server_protocol": "the protocol, `HTTP/1.1`",
        "host": "the host that was asked for, with its port if it was sent",
        "status": "the status of the response",
        "body_bytes_sent": "bytes of the response behind its header fields",
        "bytes_sent": "bytes of the response",
        "request_length": "bytes of the request",
        "request_time": "seconds from the end of the request's fields to the end of the response",
        "refusal": "why the request was refused; only what breaks a rule of HTTP, or a limit",
        "request_completion": "`OK` when all of the response was sent",
        "scheme": "`https` over TLS, else `http`",
        "ssl_protocol": "the version of TLS, `TLSv1.3`",
        "ssl_cipher": "OpenSSL's name of the cipher",
        "ssl_server_name": "the host that the client named in the handshake",
        "ssl_client_cn": "the common name of the client's certificate",
    }
)
CONSTANTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "server_name": "the domain's name",
        "worker": "the worker's number",
        "pid": "the worker's process id",
    }
)
NUMERIC_VARIABLES: Final = frozenset(
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
            '$remote_addr - $ssl_client_cn [$time_local] "$request_no_args" $status '
            '$body_bytes_sent "$http_referer" "$http_user_agent"'
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
    """A format, parsed."""

    parts: tuple[FormatPart, ...]
    # Values are escaped for JSON strings, and missing ones are empty.
    json: bool

    def fill_constants(self, constants: Mapping[str, str]) -> list[tuple[str | None, bytes]]:
        """Return the parts as the core takes them, with the values of *constants* as text."""
        filled: list[tuple[str | None, bytes]] = []
        for variable, text in self.parts:
            if variable is not None and variable in constants:
                filled.append((None, _escape_value(constants[variable], json=self.json).encode()))
            else:
                filled.append((variable, text.encode()))
        return filled


def compile_format(text: str) -> AccessLogFormat:
    """Return the format for a name in `FORMATS`, or for text with variables.

    Text that begins with a brace is JSON. Raises ValueError if there is no such variable, if the
    text has control characters, or if its lines would not be JSON.
    """
    source = FORMATS.get(text, text)
    if not source.isprintable():
        raise ValueError("a format is one line, of printable characters")
    parts = tuple(_split_format(source))
    if all(variable is None for variable, _ in parts):
        raise ValueError(f"'{text}' is neither {' nor '.join(FORMATS)}, and has no variable")
    if len({name for variable, name in parts if variable == "http"}) > FIELDS_MAX:
        raise ValueError(f"more than {FIELDS_MAX} header fields")
    is_json = source.startswith("{")
    if is_json:
        _check_json(parts)
    return AccessLogFormat(parts, is_json)


def _split_format(source: str) -> Iterator[FormatPart]:
    """Yield the variables of a format and the text between them."""
    at = 0
    for found in VARIABLE.finditer(source):
        if found.start() > at:
            yield None, source[at : found.start()]
        yield _parse_variable(found["name"] if found["braced"] is None else found["braced"])
        at = found.end()
    if at < len(source):
        yield None, source[at:]


def _parse_variable(name: str) -> FormatPart:
    """Return the part for a variable. Raises ValueError if there is no such variable."""
    if name in VARIABLES or name in CONSTANTS:
        return name, ""
    field = name.removeprefix(FIELD_PREFIX)
    if field == name or not FIELD_NAME.fullmatch(field.lower()):
        known = ", ".join(f"${known}" for known in (*VARIABLES, *CONSTANTS))
        raise ValueError(f"unknown variable ${name}: there are {known} and $http_FIELD")
    return "http", field.lower().replace("_", "-")


def _check_json(parts: Sequence[FormatPart]) -> None:
    """Raise ValueError if a format could produce lines that are not JSON."""

    def sample(number: str, text: str) -> str:
        return "".join(
            literal if variable is None else number if variable in NUMERIC_VARIABLES else text
            for variable, literal in parts
        )

    for line in (sample("0", ""), sample("1.5", "x")):
        try:
            json.loads(line)
        except ValueError as error:
            hint = "text belongs in quotes"
            raise ValueError(f"lines of this format are not JSON ({error}): {hint}") from None


def _escape_value(text: str, *, json: bool) -> str:
    """Escape *text* for a quoted string, as the core escapes values from clients."""
    form = "\\u{:04X}" if json else "\\x{:02X}"
    return "".join(
        chr(byte) if 0x20 <= byte < 0x7F and byte not in b'"\\' else form.format(byte)
        for byte in text.encode()
    )
