"""A record of the log as bytes: a line of text, an object of JSON, datagrams for syslog.

One record is one line, whatever was logged. Only what belongs to it, such as a traceback, has lines
of its own, and these begin with a mark that no record begins with.
"""

import json
import re
import time
from dataclasses import dataclass
from typing import Final

# Whatever could end a line, or move a terminal's cursor. Tabs stay.
CONTROL: Final = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
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
    return detail.rstrip("\n").split("\n") if detail else []


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
    return (CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", line) + "\n").encode()


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
    return CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), line)
