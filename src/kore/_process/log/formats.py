"""Formats of log records: text lines, JSON objects, syslog datagrams.

A record is one line, whatever was logged. Only its detail, such as a traceback, has lines of its
own, and these begin with a mark that no record begins with.
"""

import json
import time
from dataclasses import dataclass, replace
from typing import Final

from kore._values.dates import MONTHS

# All that could end a line, or move a terminal's cursor; tabs stay. A table for str.translate():
# re.sub() with a function takes 30 times as long. Surrogates are not in it, since they would take
# 0.5 MB of each process.
CONTROL: Final = (
    *(code for code in (*range(0x20), *range(0x7F, 0xA0)) if code != ord("\t")),
    *(0x2028, 0x2029),
)
ESCAPES: Final = {code: chr(code).encode("unicode_escape").decode() for code in CONTROL}
JSON_ESCAPES: Final = {code: f"\\u{code:04x}" for code in CONTROL}
CONTINUATION_MARK: Final = "| "
LEVELS: Final = (
    "emergency",
    "alert",
    "critical",
    "error",
    "warning",
    "notice",
    "info",
    "debug",
)
FACILITIES: Final = {"user": 1, "daemon": 3, **{f"local{n}": 16 + n for n in range(8)}}
# Lines of a record's detail; of more the middle is left out.
DETAIL_LINES_MAX: Final = 2000
# Bytes of a datagram with a JSON object, which cannot be split.
JSON_DATAGRAM_MAX: Final = 60 * 1024
# Characters of a datagram: as UTF-8 they are less than the 8 KiB that every syslogd accepts.
DATAGRAM_CHARS_MAX: Final = 2000


@dataclass(frozen=True, slots=True)
class Record:
    """A log record."""

    time: float
    # Name of the process in brackets, such as `[wrk 1]`.
    who: str
    # Syslog priority, 0 to 7.
    priority: int
    text: str
    # Further lines: a traceback, a list of errors.
    detail: str = ""


def format_text(record: Record) -> bytes:
    """Return a record as the text lines that C Kore writes."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(record.time))
    start = f"{stamp}.{int(record.time * 1000) % 1000:03d} UTC "
    return "".join(f"{start}{line}\n" for line in _format_lines(record)).encode()


def _format_lines(record: Record, size: int = 0) -> list[str]:
    """Return the lines of a record without time; those over *size* characters are wrapped."""
    detail = _split_detail(record.detail)
    lines = [
        _escape_first_line(record.text),
        *(CONTINUATION_MARK + escape_line(line) for line in detail),
    ]
    if size:
        lines = [part for line in lines for part in _wrap_line(line, size)]
    return [f"proc={record.who} log=[{line}]" for line in lines]


def _escape_first_line(text: str) -> str:
    """Return the text of a record as a line that cannot pass for a continuation line."""
    line = escape_line(text.rstrip("\n"))
    return f"\\x7c{line[1:]}" if line.startswith("|") else line


def _split_detail(detail: str) -> list[str]:
    """Return the lines of a record's detail; of too many the middle is left out."""
    lines = detail.rstrip("\n").split("\n") if detail else []
    if len(lines) <= DETAIL_LINES_MAX:
        return lines
    kept = DETAIL_LINES_MAX // 2
    return [*lines[:kept], f"[{len(lines) - 2 * kept} lines left out]", *lines[-kept:]]


def _wrap_line(line: str, size: int) -> list[str]:
    """Return a line in parts of at most *size* characters, all but the first marked."""
    parts = [line[at : at + size] for at in range(0, len(line), size)] or [""]
    return [parts[0], *(CONTINUATION_MARK + part for part in parts[1:])]


def format_json(record: Record) -> bytes:
    """Return a record as a JSON object on one line."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.time))
    content = {
        "time": f"{stamp}.{int(record.time * 1000) % 1000:03d}Z",
        "level": LEVELS[record.priority & 7],
        "process": record.who.strip("[]"),
        "message": _replace_surrogates(record.text.rstrip("\n")),
    }
    if record.detail:
        kind = "traceback" if "Traceback (" in record.detail else "detail"
        content[kind] = _replace_surrogates(record.detail.rstrip("\n"))
    line = json.dumps(content, ensure_ascii=False)
    # JSON allows some characters that end a line for programs that read lines.
    return (line.translate(JSON_ESCAPES) + "\n").encode()


def format_short_json(record: Record, size: int) -> bytes:
    """Return a record as a JSON object of at most *size* bytes; texts are cut to fit."""
    line, kept = format_json(record), len(record.text) + len(record.detail)
    while len(line) > size:
        # How many bytes the escapes take is known only afterwards.
        kept = kept * size // len(line) * 9 // 10
        half = kept // 2 if record.detail else kept
        text, detail = _cut_middle(record.text, half), _cut_middle(record.detail, half)
        line = format_json(replace(record, text=text, detail=detail))
    return line


def _cut_middle(text: str, size: int) -> str:
    """Return a text of about *size* characters, with a note where its middle was left out."""
    if len(text) <= size:
        return text
    start = max(0, size // 2)
    return f"{text[:start]}[{len(text) - 2 * start} characters left out]{text[len(text) - start :]}"


def _replace_surrogates(text: str) -> str:
    """Return text that can be encoded as UTF-8, with surrogates as escapes."""
    return text.encode("utf-8", "backslashreplace").decode()


def format_syslog(record: Record, sender: str, facility: str) -> list[bytes]:
    """Return the datagrams for a record (RFC 3164), as the C library sends them."""
    now = time.localtime(record.time)
    # Not strftime(): RFC 3164 section 4.1.2 wants English names in any locale.
    stamp = f"{MONTHS[now.tm_mon - 1]} {now.tm_mday:2} {time.strftime('%H:%M:%S', now)}"
    start = f"<{FACILITIES[facility] * 8 + (record.priority & 7)}>{stamp} {sender}: "
    return [(start + line).encode() for line in _format_lines(record, DATAGRAM_CHARS_MAX)]


def escape_line(line: str) -> str:
    """Return *line* without anything that could pass for another line."""
    return _replace_surrogates(line).translate(ESCAPES)
