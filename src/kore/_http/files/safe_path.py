"""The path of a request -> the name of a file. Each file has one spelling, and none leads out."""

import re
from typing import Final
from urllib.parse import unquote_to_bytes

# The name would not be split where the path is: `%2f` is a slash, `%5c` is one to some systems.
ESCAPED_SLASH: Final = re.compile("%2[fF]|%5[cC]")
# Empty names, `.` and `..`, control characters. The second spelling of a path could pass by the
# authentication of another map.
FORBIDDEN: Final = re.compile(r"(?:^|/)(?:/|\.\.?(?:/|$))|[\x00-\x1f\x7f]")
# The same, and every name that begins with a dot.
FORBIDDEN_OR_HIDDEN: Final = re.compile(r"(?:^|/)[/.]|[\x00-\x1f\x7f]")
# Made to be seen: RFC 8615.
WELL_KNOWN: Final = ".well-known/"


def decode_name(path: str, *, hidden: bool = False) -> str | None:
    """Return the name of what a path means, given without the prefix of its map.

    It may be empty and may end in a slash. None: there cannot be such a file. *hidden*: names may
    begin with a dot.
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
    """Return what stands behind the last dot of a file's name, in lower case; "" without one."""
    dot = name.rfind(".")
    return name[dot + 1 :].lower() if dot > name.rfind("/") else ""
