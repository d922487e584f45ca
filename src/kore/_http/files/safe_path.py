"""The path of a request to the name of a file: one spelling for each file, none outside the map."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

# Decoded, `%2f` would be a slash, and `%5c` is one on some systems.
ESCAPED_SLASH: Final = re.compile("%2[fF]|%5[cC]")
# Empty names, `.` and `..`, control characters. A second spelling of a path could evade the
# authentication of another filemap.
FORBIDDEN: Final = re.compile(r"(?:^|/)(?:/|\.\.?(?:/|$))|[\x00-\x1f\x7f]")
# The same, and every name that begins with a dot.
FORBIDDEN_OR_HIDDEN: Final = re.compile(r"(?:^|/)[/.]|[\x00-\x1f\x7f]")
# Public: RFC 8615.
WELL_KNOWN: Final = ".well-known/"


def decode_name(path: str, *, hidden: bool = False) -> str | None:
    """Return the file name for a path without the prefix of its filemap.

    It may be empty and may end in a slash. None if no file can have that path. With *hidden* names
    may begin with a dot.
    """
    if "%" in path:
        if ESCAPED_SLASH.search(path):
            return None
        try:
            path = unquote_to_bytes(path).decode()
        except UnicodeDecodeError:
            return None
    checked = path.removeprefix(WELL_KNOWN)
    return None if (FORBIDDEN if hidden else FORBIDDEN_OR_HIDDEN).search(checked) else path


def get_extension(name: str) -> str:
    """Return the extension of a file name in lower case; "" without one."""
    dot = name.rfind(".")
    return name[dot + 1 :].lower() if dot > name.rfind("/") else ""
