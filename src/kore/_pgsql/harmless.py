"""Which queries are known to leave nothing on their connection, by their text alone. Pure.

What is not known here is followed by DISCARD ALL. The text is not parsed: it is cut into words, and
whatever is not plainly one of a few forms counts as unknown. What runs without being named in the
text is out of its sight: triggers, rules, views, operators and casts of an application's own.
"""

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final

from kore._pgsql.functions import FUNCTIONS, WORDS

# Longer texts are looked at each time: keeping them would cost more than it saves.
KEPT_MAX: Final = 4096

# What is set aside before words are looked at.
LITERALS: Final = re.compile(r"""'[^']*'|"[^"]*"|--[^\n\r]*|/\*.*?\*/""", re.DOTALL)
QUOTED: Final = "quoted_name"
# A word or a sign. All that is not ASCII is part of a word, as it is for PostgreSQL.
TOKEN: Final = re.compile(r"[A-Za-z_0-9$\x80-\U0010ffff]+|[^ \t\n\r\f\v]")
SPECIAL: Final = re.compile(r"""['"]|--|/\*""")
# A dollar sign that is no parameter may begin a literal, and UESCAPE spell a name, in ways that
# are not followed here.
DOLLAR: Final = re.compile(r"\$(?!\d)", re.ASCII)
FIRST: Final = re.compile(r"[ \t\n\r\f\v(]*([a-z]+)(?![a-z_0-9$\x80-\U0010ffff])")
CAPITALS: Final = re.compile(r"[A-Z]+")

# How a statement may begin: those that read and write rows ...
ROWS: Final = frozenset(
    {"select", "insert", "update", "delete", "merge", "values", "table", "with"}
)
# ... and those that end with the transaction, or change no session.
PASSING: Final = frozenset(
    {"begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "show",
     "notify", "truncate", "lock"}
)  # fmt: skip
PASSING_SETS: Final = frozenset({"local", "transaction", "constraints"})
# Not even in a transaction: what was read before would be read otherwise.
ENCODINGS: Final = frozenset({"client_encoding", "names", QUOTED})
# A name after one of these is no function: of a table or of a result, and columns follow.
NAMING: Final = frozenset({"into", "as", "with", "recursive", "grouping", "update"})
KNOWN: Final = WORDS | FUNCTIONS
# Keywords that an application may have functions of, unless they follow these.
PAIRS: Final = frozenset(
    {("group", "by"), ("order", "by"), ("partition", "by"), ("on", "conflict"),
     ("bit", "varying"), ("char", "varying"), ("character", "varying"), ("nchar", "varying")}
)  # fmt: skip
# What DISCARD ALL does not undo: only another connection is free of it. An application's own
# variables are empty from then on, but there.
INDELIBLE: Final = re.compile(
    r"\b(?:set_config|setseed|seed|load|dblink_\w+|pg_(?:create|copy)_\w+_slot|pg_backup_start"
    r"|pg_start_backup|pg_replication_origin_session_setup)\b"
    r"|\bset\s+(?:session\s+)?[\w\"]+\s*\.",
    re.ASCII | re.IGNORECASE,
)


def is_harmless(query: str) -> bool:
    """Return whether a query is known to leave nothing on its connection, however it ends."""
    return _kept(query) if len(query) <= KEPT_MAX else _looked_at(query)


def is_about_rows(query: str) -> bool:
    """Return whether a query that is harmless reads or writes rows."""
    words = TOKEN.findall(LITERALS.sub(" ", query))
    return next((each.lower() for each in words if each != "("), "") in ROWS


def is_indelible(query: str) -> bool:
    """Return whether a query may leave what DISCARD ALL does not undo."""
    return not is_harmless(query) and INDELIBLE.search(query) is not None


def _looked_at(query: str) -> bool:
    """Look at the text of a query."""
    text = query
    if SPECIAL.search(query):
        # Whether a backslash is part of the literal depends on a setting; see ENCODINGS, too.
        if "\\'" in query or "client_encoding" in query.lower():
            return False
        try:
            text = LITERALS.sub(_set_aside, query)
        except ValueError:
            return False
    # Not lower(): a letter like K, the sign for kelvin, would become one of ASCII.
    text = text.lower() if text.isascii() else CAPITALS.sub(lambda it: it.group().lower(), text)
    if "uescape" in text or ("$" in text and DOLLAR.search(text)):
        return False
    if ";" not in text:
        return _is_harmless_statement(text)
    return all(_is_harmless_statement(each) for each in text.split(";"))


_kept = lru_cache(maxsize=1024)(_looked_at)


def _set_aside(found: re.Match[str]) -> str:
    """Return what stands for a literal, a quoted name or a comment."""
    literal = found.group()
    if literal[0] == "'":
        return "'"
    if literal[0] == '"':
        return f" {QUOTED} "
    if literal[0] == "/" and "/*" in literal[2:]:
        raise ValueError("a comment in a comment")
    return " "


def _is_harmless_statement(statement: str) -> bool:
    """Return whether one statement, or none at all, leaves nothing."""
    first = FIRST.match(statement)
    if first is None or first.group(1) not in ROWS:
        tokens = TOKEN.findall(statement)
        return not tokens or _is_passing(tokens)
    if "(" not in statement and "into" not in statement:
        return True
    tokens = TOKEN.findall(statement)
    for index, each in enumerate(tokens):
        if each == "(":
            if index and not _is_known(tokens, index - 1):
                return False
        elif each.endswith("into") and not _is_row_target(tokens, index):
            # SELECT INTO makes a table, temporary or not.
            return False
    return True


def _is_row_target(tokens: list[str], index: int) -> bool:
    """Return whether a word that ends in `into` is the INTO of an INSERT or MERGE, or a name.

    INSERT and MERGE may be names, too: `SELECT 1 AS insert INTO t`.
    """
    if tokens[index] != "into":
        # To servers before PostgreSQL 15 a number may be followed by a word without a blank.
        return tokens[index][0] not in "0123456789$"
    if tokens[index - 1] not in {"insert", "merge"}:
        return False
    before = tokens[index - 2] if index > 1 else "("
    if before == ")":
        # Only a WITH query is followed by a statement.
        return tokens[_opening(tokens, index - 2) - 1] in {"as", "materialized"}
    return before == "("


def _opening(tokens: list[str], closing: int) -> int:
    """Return where the parenthesis is opened that is closed at *closing*; 0 if nowhere."""
    depth = 0
    for index in range(closing, 0, -1):
        depth += (tokens[index] == ")") - (tokens[index] == "(")
        if depth == 0:
            return index
    return 0


def _is_passing(tokens: list[str]) -> bool:
    """Return whether a statement that is not about rows leaves nothing."""
    if tokens[0] == "set":
        return tokens[1:2] != [] and tokens[1] in PASSING_SETS and ENCODINGS.isdisjoint(tokens)
    return tokens[0] in PASSING


def _is_known(tokens: list[str], last: int) -> bool:
    """Return whether what ends at *last*, before a parenthesis, is no function, or a known one."""
    name = tokens[last]
    if not name[0].isalnum() and name[0] not in "_$" and name.isascii():
        return True  # a sign: an operator, a comma, another parenthesis
    if name == "operator":
        return False  # of a schema that may be an application's; a function may follow
    first = last
    while first >= 2 and tokens[first - 1] == ".":
        first -= 2
    before = tokens[first - 1] if first else ""
    if first < last:
        is_own = last - first == 2 and tokens[first] == "pg_catalog" and name in FUNCTIONS
        return is_own or before in NAMING
    if name in KNOWN or before in NAMING or (before, name) in PAIRS:
        return True
    if name == "set_config":
        return _is_local(tokens, last + 1)
    # The columns of a result in parentheses, unless it is `DISTINCT ON (...) f(...)`.
    return before == ")" and ("distinct", "on") not in pairwise(tokens)


def _is_local(tokens: list[str], opening: int) -> bool:
    """Return whether the last argument after an *opening* parenthesis is `true`."""
    depth = 0
    for index in range(opening, len(tokens)):
        depth += (tokens[index] == "(") - (tokens[index] == ")")
        if depth == 0:
            return tokens[index - 2 : index] == [",", "true"]
    return False
