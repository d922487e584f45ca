"""A record of the log as bytes: a line of text, an object of JSON, datagrams for syslog.

One record is one line, whatever was logged. Only what belongs to it, such as a traceback, has lines
of its own, and these begin with a mark that no record begins with.
"""

import json
import time
from dataclasses import dataclass, replace
from typing import Final

# Whatever could end a line, or move a terminal's cursor. Tabs stay. A table, and str.translate():
# a function called for each of them by re.sub() takes 30 times as long.
CONTROL: Final = (
    *(code for code in (*range(0x20), *range(0x7F, 0xA0)) if code != ord("\t")),
    *(0x2028, 0x2029),
    *range(0xD800, 0xE000),
)
ESCAPES: Final = {code: chr(code).encode("unicode_escape").decode() for code in CONTROL}
JSON_ESCAPES: Final = {code: f"\\u{code:04x}" for code in CONTROL}
MARK: Final = "| "
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
# In C's words: a locale has no business here.
MONTHS: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
FACILITIES: Final = {"user": 1, "daemon": 3, **{f"local{n}": 16 + n for n in range(8)}}
# Lines of what belongs to a record; more of them are left out in the middle.
DETAIL_LINES_MAX: Final = 2000
# Bytes of a datagram with an object of JSON, which cannot go in pieces.
JSON_DATAGRAM_MAX: Final = 60 * 1024
# Characters of a datagram: as UTF-8 they are less than the 8 KiB that every syslogd takes.
DATAGRAM: Final = 2000


@dataclass(frozen=True, slots=True)
class Record:
    """One thing that was logged."""

    time: float
    who: str
    priority: int
    text: str
    # What belongs to it and has lines of its own: a traceback, a list of errors.
    detail: str = ""


def as_text(record: Record) -> bytes:
    """Return a record as C Kore writes it, and its further lines."""
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(record.time))
    start = f"{stamp}.{int(record.time * 1000) % 1000:03d} UTC "
    return "".join(f"{start}{line}\n" for line in untimed(record)).encode()


def untimed(record: Record, size: int = 0) -> list[str]:
    """Return the lines of a record without the time; those over *size* characters in pieces."""
    lines = [first(record.text), *(MARK + escaped(line) for line in parts(record.detail))]
    if size:
        lines = [piece for line in lines for piece in pieces(line, size)]
    return [f"proc={record.who} log=[{line}]" for line in lines]


def first(text: str) -> str:
    """Return the text of a record as a line that cannot pass for the rest of another."""
    line = escaped(text.rstrip("\n"))
    return f"\\x7c{line[1:]}" if line.startswith("|") else line


def parts(detail: str) -> list[str]:
    """Return the lines of what belongs to a record."""
    lines = detail.rstrip("\n").split("\n") if detail else []
    if len(lines) <= DETAIL_LINES_MAX:
        return lines
    kept = DETAIL_LINES_MAX // 2
    return [*lines[:kept], f"[{len(lines) - 2 * kept} lines left out]", *lines[-kept:]]


def pieces(line: str, size: int) -> list[str]:
    """Return a line in pieces, all but the first with the mark."""
    cut = [line[at : at + size] for at in range(0, len(line), size)] or [""]
    return [cut[0], *(MARK + piece for piece in cut[1:])]


def as_json(record: Record) -> bytes:
    """Return a record as an object of JSON on one line."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.time))
    content = {
        "time": f"{stamp}.{int(record.time * 1000) % 1000:03d}Z",
        "level": LEVELS[record.priority & 7],
        "process": record.who.strip("[]"),
        "message": whole(record.text.rstrip("\n")),
    }
    if record.detail:
        kind = "traceback" if "Traceback (" in record.detail else "detail"
        content[kind] = whole(record.detail.rstrip("\n"))
    line = json.dumps(content, ensure_ascii=False)
    # What JSON leaves as it is and a reader of lines may not.
    return (line.translate(JSON_ESCAPES) + "\n").encode()


def as_short_json(record: Record, size: int) -> bytes:
    """Return a record as an object of JSON of at most *size* bytes; texts are cut for it."""
    line, kept = as_json(record), len(record.text) + len(record.detail)
    while len(line) > size:
        # What an escape takes is known only behind it.
        kept = kept * size // len(line) * 9 // 10
        half = kept // 2 if record.detail else kept
        short = replace(record, text=cut(record.text, half), detail=cut(record.detail, half))
        line = as_json(short)
    return line


def cut(text: str, size: int) -> str:
    """Return a text of about *size* characters, with a note where its middle was left out."""
    if len(text) <= size:
        return text
    start = max(0, size // 2)
    return f"{text[:start]}[{len(text) - 2 * start} characters left out]{text[len(text) - start :]}"


def whole(text: str) -> str:
    """Return text that has a form in UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def for_syslog(record: Record, sender: str, facility: str) -> list[bytes]:
    """Return the datagrams for a record: as RFC 3164 has them, and the C library."""
    now = time.localtime(record.time)
    stamp = f"{MONTHS[now.tm_mon - 1]} {now.tm_mday:2} {time.strftime('%H:%M:%S', now)}"
    start = f"<{FACILITIES[facility] * 8 + (record.priority & 7)}>{stamp} {sender}: "
    return [(start + line).encode() for line in untimed(record, DATAGRAM)]


def escaped(line: str) -> str:
    """Return *line* without anything that could pass for another line."""
    return line.translate(ESCAPES)
