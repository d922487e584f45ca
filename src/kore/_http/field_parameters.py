"""Parameters of a field, as in `form-data; name="a"; filename="b;c"`: RFC 9110 section 5.6.6."""

import re
from typing import Final

# Old browsers send file names without escapes: a backslash before the closing quote escapes it only
# if another quote ends the value. An unquoted value ends at a semicolon.
PARAMETER: Final = re.compile(
    r""";\s*(?P<name>[^\s;="]+)\s*=\s*
        (?: (?P<quoted> "(?:[^\\"]|\\.)*" (?=\s*(?:;|$)) | "[^"]*" ) | (?P<plain> [^;]* ) )""",
    re.VERBOSE | re.DOTALL,
)
ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


def parse_parameters(text: str) -> dict[str, str]:
    """Return the values by lower-case name, with their quotes; the last of a repeated name."""
    return {
        found["name"].lower(): found["quoted"] or found["plain"].strip()
        for found in PARAMETER.finditer(text)
    }


def unquote_value(value: str) -> str:
    """Return a value without quotes and escapes."""
    return ESCAPED.sub(r"\1", value[1:-1]) if value[:1] == '"' else value
