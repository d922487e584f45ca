"""Decide by its text whether a query may leave anything in its session: settings, locks. Pure.

After a query that is not known to be harmless, the session is reset by DISCARD ALL. The text is
not parsed: it is split into tokens, and only a few plain forms count as harmless. The effects of
what the text does not name are not seen: triggers, rules, views, and an application's own
operators and casts.
"""

import re
from functools import lru_cache
from itertools import pairwise
from typing import Final

from kore._pgsql.functions import FUNCTIONS, WORDS

# The result for a longer text is not cached: its memory would cost more than the time saved.
CACHED_SIZE_MAX: Final = 4096

# Replaced before the text is split into tokens.
LITERALS: Final = re.compile(r"""'[^']*'|"[^"]*"|--[^\n\r]*|/\*.*?\*/""", re.DOTALL)
QUOTED: Final = "quoted_name"
# A word or a sign. As in PostgreSQL, all characters beyond ASCII are part of a word.
TOKEN: Final = re.compile(r"[A-Za-z_0-9$\x80-\U0010ffff]+|[^ \t\n\r\f\v]")
SPECIAL: Final = re.compile(r"""['"]|--|/\*""")
# A dollar sign that is not a parameter may begin a dollar-quoted literal, which is not parsed here;
# neither are names with UESCAPE.
DOLLAR: Final = re.compile(r"\$(?!\d)", re.ASCII)
FIRST: Final = re.compile(r"[ \t\n\r\f\v(]*([a-z]+)(?![a-z_0-9$\x80-\U0010ffff])")
CAPITALS: Final = re.compile(r"[A-Z]+")

# First words of harmless statements: those that read and write rows ...
ROW_STATEMENTS: Final = frozenset(
    {"select", "insert", "update", "delete", "merge", "values", "table", "with"}
)
# ... and those whose effect ends with the transaction, or that do not change the session.
TRANSIENT: Final = frozenset(
    {"begin", "start", "commit", "end", "rollback", "abort", "savepoint", "release", "show",
     "notify", "truncate", "lock"}
)  # fmt: skip
TRANSIENT_SETS: Final = frozenset({"local", "transaction", "constraints"})
# Not harmless even if local to the transaction: they change how the text of the query is read.
ENCODINGS: Final = frozenset({"client_encoding", "names", QUOTED})
# A name after one of these is a table's or a result's, not a function's; columns follow it.
BEFORE_TABLE_NAMES: Final = frozenset({"into", "as", "with", "recursive", "grouping", "update"})
KNOWN: Final = WORDS | FUNCTIONS
# Keywords that may also be names of an application's functions, except in these pairs.
KEYWORD_PAIRS: Final = frozenset(
    {("group", "by"), ("order", "by"), ("partition", "by"), ("on", "conflict"),
     ("bit", "varying"), ("char", "varying"), ("character", "varying"), ("nchar", "varying")}
)  # fmt: skip
# Effects that outlast DISCARD ALL, so that the connection has to be closed. Custom variables
# (`a.b`) become empty by it, but continue to exist.
INDELIBLE: Final = re.compile(
    r"\b(?:set_config|setseed|seed|load|dblink_\w+|pg_(?:create|copy)_\w+_slot|pg_backup_start"
    r"|pg_start_backup|pg_replication_origin_session_setup)\b"
    r"|\bset\s+(?:session\s+)?[\w\"]+\s*\.",
    re.ASCII | re.IGNORECASE,
)


def is_harmless(query: str) -> bool:
    """Return whether a query is known to leave nothing in its session, even if it is cancelled."""
    return _check_cached(query) if len(query) <= CACHED_SIZE_MAX else _check_query(query)


def is_about_rows(query: str) -> bool:
    """Return whether a harmless query reads or writes rows."""
    words = TOKEN.findall(LITERALS.sub(" ", query))
    return next((each.lower() for each in words if each != "("), "") in ROW_STATEMENTS


def is_indelible(query: str) -> bool:
    """Return whether a query may have an effect that outlasts DISCARD ALL."""
    return not is_harmless(query) and INDELIBLE.search(query) is not None


def _check_query(query: str) -> bool:
    """Return whether the text of a query is one of the harmless forms."""
    text = query
    if SPECIAL.search(query):
        # Whether a backslash escapes the quote depends on a setting; for client_encoding, see
        # ENCODINGS.
        if "\\'" in query or "client_encoding" in query.lower():
            return False
        try:
            text = LITERALS.sub(_replace_literal, query)
        except ValueError:
            return False
    # Not lower() for all: it maps some letters beyond ASCII, like the kelvin sign, to ASCII.
    text = text.lower() if text.isascii() else CAPITALS.sub(lambda it: it.group().lower(), text)
    if "uescape" in text or ("$" in text and DOLLAR.search(text)):
        return False
    if ";" not in text:
        return _is_harmless_statement(text)
    return all(_is_harmless_statement(each) for each in text.split(";"))


_check_cached = lru_cache(maxsize=1024)(_check_query)


def _replace_literal(found: re.Match[str]) -> str:
    """Return the replacement of a literal, a quoted name or a comment.

    Raises ValueError for a comment within a comment.
    """
    literal = found.group()
    if literal[0] == "'":
        return "'"
    if literal[0] == '"':
        return f" {QUOTED} "
    if literal[0] == "/" and "/*" in literal[2:]:
        raise ValueError("a comment in a comment")
    return " "


def _is_harmless_statement(statement: str) -> bool:
    """Return whether one statement, or an empty one, is harmless."""
    first = FIRST.match(statement)
    if first is None or first.group(1) not in ROW_STATEMENTS:
        tokens = TOKEN.findall(statement)
        return not tokens or _is_transient(tokens)
    if "(" not in statement and "into" not in statement:
        return True
    tokens = TOKEN.findall(statement)
    for index, each in enumerate(tokens):
        if each == "(":
            if index and not _is_known(tokens, index - 1):
                return False
        elif each.endswith("into") and not _is_row_target(tokens, index):
            # SELECT INTO creates a table, possibly a temporary one.
            return False
    return True


def _is_row_target(tokens: list[str], index: int) -> bool:
    """Return whether a word that ends in `into` is the INTO of INSERT or MERGE, or a name.

    INSERT and MERGE may be names, too: `SELECT 1 AS insert INTO t`.
    """
    if tokens[index] != "into":
        # Before PostgreSQL 15 a word may follow a number without a blank.
        return tokens[index][0] not in "0123456789$"
    if tokens[index - 1] not in {"insert", "merge"}:
        return False
    before = tokens[index - 2] if index > 1 else "("
    if before == ")":
        # Only a parenthesis of WITH is followed by a statement.
        return tokens[_find_opening(tokens, index - 2) - 1] in {"as", "materialized"}
    return before == "("


def _find_opening(tokens: list[str], closing: int) -> int:
    """Return the index of the parenthesis that matches the one at *closing*; 0 if none does."""
    depth = 0
    for index in range(closing, 0, -1):
        depth += (tokens[index] == ")") - (tokens[index] == "(")
        if depth == 0:
            return index
    return 0


def _is_transient(tokens: list[str]) -> bool:
    """Return whether a statement that is not about rows is harmless."""
    if tokens[0] == "set":
        return tokens[1:2] != [] and tokens[1] in TRANSIENT_SETS and ENCODINGS.isdisjoint(tokens)
    return tokens[0] in TRANSIENT


def _is_known(tokens: list[str], last: int) -> bool:
    """Return whether the token before a parenthesis is not a function, or a harmless one."""
    name = tokens[last]
    if not name[0].isalnum() and name[0] not in "_$" and name.isascii():
        return True  # a sign: an operator, a comma, another parenthesis
    if name == "operator":
        return False  # OPERATOR(schema.+) may name an application's, and a function may follow
    first = last
    while first >= 2 and tokens[first - 1] == ".":
        first -= 2
    before = tokens[first - 1] if first else ""
    if first < last:
        is_own = last - first == 2 and tokens[first] == "pg_catalog" and name in FUNCTIONS
        return is_own or before in BEFORE_TABLE_NAMES
    if name in KNOWN or before in BEFORE_TABLE_NAMES or (before, name) in KEYWORD_PAIRS:
        return True
    if name == "set_config":
        return _is_local(tokens, last + 1)
    # The columns of a subquery, unless it is `DISTINCT ON (...) f(...)`.
    return before == ")" and ("distinct", "on") not in pairwise(tokens)


def _is_local(tokens: list[str], opening: int) -> bool:
    """Return whether the last argument after an *opening* parenthesis is `true`."""
    depth = 0
    for index in range(opening, len(tokens)):
        depth += (tokens[index] == "(") - (tokens[index] == ")")
        if depth == 0:
            return tokens[index - 2 : index] == [",", "true"]
    return False
