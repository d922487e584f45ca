"""Parse kore.conf to a tree of statements: words, quotes, variables, braces, included files.

Pure: a function that is passed in reads the files. Errors are collected and parsing continues, so
that all are reported at once.
"""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from kore._conf.diagnostics import Diagnostics, escape_text
from kore.errors import ConfigError

# More than any real configuration has, and less than the limit of recursion.
INCLUDE_DEPTH: Final = 32

BLANKS: Final = " \t"
# A token begins at a word, and ends before a blank.
TOKEN: Final = re.compile(
    r"""
      (?P<comment> \#.* )
    | (?P<mark> [{}] ) (?![^ \t])
    | " (?P<double> (?: [^"\\] | \\. )* ) " (?![^ \t])
    | ' (?P<single> [^']* ) ' (?![^ \t])
    | (?P<bare> [^ \t"'] [^ \t]* )
    """,
    re.VERBOSE,
)
ESCAPED: Final = re.compile(r'\\(["\\])')
# Not $1, a capture of a redirect, $qs, its query, and $ at the end of a word.
VARIABLE: Final = re.compile(
    r"\$ (?: (?P<dollar>\$) | \{ (?P<braced>\w*) \} | (?!qs\b) (?P<name>[A-Za-z_]\w*) )", re.VERBOSE
)
# In braces, the code of a character that a line cannot have: `${0x0A}` for a line break.
CHARACTER_CODE: Final = re.compile(r"0x([0-9A-Fa-f]{1,6})")
# Tabs are blanks. Characters that some programs take for line breaks could forge lines of the log.
CONTROL: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
PLAIN_WORD: Final = re.compile(r"""(?![{}]\Z)[^\s"'#$\x00-\x1f][^\s$\x00-\x1f]*\$?""")

FileReader = Callable[[str], bytes]


class Brace(Enum):
    """A brace as a token."""

    OPEN = "{"
    CLOSE = "}"


Token = str | Brace


@dataclass(frozen=True, slots=True)
class Block:
    """A statement: its words, and the statements between its braces; None without braces."""

    words: tuple[str, ...]
    where: str
    body: tuple["Block", ...] | None = None
    # It has an error, which has been reported.
    broken: bool = False

    @property
    def keyword(self) -> str:
        """The first word."""
        return self.words[0]

    @property
    def arguments(self) -> tuple[str, ...]:
        """All words but the first."""
        return self.words[1:]

    def has(self, *keywords: str) -> bool:
        """Return whether it contains one of these statements, also with errors."""
        return any(block.keyword in keywords for block in self.body or ())


@dataclass(slots=True)
class OpenBlock:
    """A block without its closing brace so far."""

    words: list[str] = field(default_factory=list)
    where: str = ""
    broken: bool = False
    body: list[Block] = field(default_factory=list)

    def close(self) -> Block:
        """Return the block."""
        return Block(tuple(self.words), self.where, tuple(self.body), self.broken)


def parse(
    path: str, read: FileReader, environment: Mapping[str, str], problems: Diagnostics
) -> tuple[Block, ...]:
    """Return the statements of the file at *path*, with those of included files."""
    parser = ConfParser(read, environment, problems)
    try:
        return parser.parse_file(path)
    except OSError as error:
        problems.add("", f"configuration given cannot be opened: {path}: {error.strerror}")
        return ()


class ConfParser:
    """Parses a file and the files it includes."""

    def __init__(
        self, read: FileReader, environment: Mapping[str, str], problems: Diagnostics
    ) -> None:
        self.read = read
        self.environment = environment
        self.problems = problems
        # The current file, behind the files that include it.
        self.chain: list[str] = []

    def parse_file(self, path: str) -> tuple[Block, ...]:
        """Return the statements of a file."""
        data = self.read(path)
        self.chain.append(path)
        stack = [OpenBlock()]
        shown = escape_text(path)
        for number, line in enumerate(self._decode(path, data), 1):
            self._parse_line(f"{shown}:{number}", line.removesuffix("\r"), stack)
        while len(stack) > 1:
            block = stack.pop().close()
            self.problems.add(block.where, f"'{' '.join(block.words)} {{' is not closed")
            stack[-1].body.append(block)
        self.chain.pop()
        return tuple(stack[0].body)

    def _decode(self, path: str, data: bytes) -> list[str]:
        """Return the lines of a file; none if it is not UTF-8."""
        try:
            return data.decode("utf-8-sig").split("\n")
        except UnicodeDecodeError as error:
            number = data.count(b"\n", 0, error.start) + 1
            self.problems.add(f"{path}:{number}", "not UTF-8")
            return []

    def _parse_line(self, where: str, line: str, stack: list[OpenBlock]) -> None:
        """Add the statements of a line to the innermost open block, or close it."""
        before = len(self.problems.found)
        tokens = list(self._split_tokens(where, line))
        broken = len(self.problems.found) > before
        words: list[str] = []
        for token in tokens:
            if isinstance(token, str):
                words.append(token)
                continue
            if token is Brace.OPEN:
                if not words:
                    self.problems.add(where, "'{' belongs on the line of the words it is for")
                stack.append(OpenBlock(words or [""], where, broken or not words))
            else:
                self._add_statement(words, where, stack, broken=broken)
                self._close_block(where, stack)
            words = []
        self._add_statement(words, where, stack, broken=broken)

    def _close_block(self, where: str, stack: list[OpenBlock]) -> None:
        """End the innermost block."""
        if len(stack) == 1:
            self.problems.add(where, "'}' closes nothing")
            return
        block = stack.pop().close()
        if block.keyword == "include":
            self.problems.add(block.where, "include takes no block")
        else:
            stack[-1].body.append(block)

    def _add_statement(
        self, words: list[str], where: str, stack: list[OpenBlock], *, broken: bool
    ) -> None:
        """Add a statement without braces."""
        if words and words[0] == "include" and not broken:
            with self.problems.collect_errors(where, words=words):
                stack[-1].body += self._include(words[1:])
        elif words:
            stack[-1].body.append(Block(tuple(words), where, None, broken))

    def _include(self, arguments: list[str]) -> tuple[Block, ...]:
        """Return the statements of an included file; its path is relative to the including one."""
        if len(arguments) != 1:
            raise ConfigError("include takes one PATH")
        here = self.chain[-1]
        path = os.path.normpath(os.path.join(os.path.dirname(here), arguments[0]))  # noqa: PTH118, PTH120 - text only
        if path in map(os.path.normpath, self.chain):
            raise ConfigError(f"include '{arguments[0]}': {path} is what includes this file")
        if len(self.chain) > INCLUDE_DEPTH:
            raise ConfigError(f"include '{arguments[0]}': more than {INCLUDE_DEPTH} files deep")
        try:
            return self.parse_file(path)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigError(f"failed to open include '{path}': {reason}") from None

    def _split_tokens(self, where: str, line: str) -> Iterator[Token]:
        """Yield the words and braces of a line, variables replaced."""
        if found := CONTROL.search(line):
            self.problems.add(where, f"control character {found[0]!r}")
            line = CONTROL.sub(" ", line)
        rest = line.lstrip(BLANKS)
        while rest:
            token = TOKEN.match(rest)
            if token is None:
                yield from self._report_unfinished(where, rest)
                return
            if token["mark"]:
                yield Brace(token["mark"])
            elif not token["comment"]:
                yield from self._expand_word(where, token)
            rest = rest[token.end() :].lstrip(BLANKS)

    def _report_unfinished(self, where: str, text: str) -> Iterator[Token]:
        """Report an error of a quoted word; a brace at the end of the line still counts."""
        closed = text.find(text[0], 1) > 0
        wrong = "a blank is missing after the closing quote" if closed else "a quote is not closed"
        self.problems.add(where, f"{wrong}: {text}")
        yield text
        if text.rstrip(BLANKS).endswith((" {", "\t{")):
            yield Brace.OPEN

    def _expand_word(self, where: str, token: re.Match[str]) -> Iterator[str]:
        """Yield the words of a token. A variable alone, without quotes, may be several."""
        if token["single"] is not None:
            yield token["single"]
        elif token["double"] is not None:
            # Backslashes in the values of variables are no escapes. No word contains NUL.
            parts = ESCAPED.sub(lambda e: "\0" + e[1], token["double"]).split("\0")
            yield self._expand_variables(where, parts[0]) + "".join(
                part[0] + self._expand_variables(where, part[1:]) for part in parts[1:]
            )
        elif VARIABLE.fullmatch(token["bare"]) and token["bare"] != "$$":
            yield from self._expand_variables(where, token["bare"]).split()
        else:
            yield self._expand_variables(where, token["bare"])

    def _expand_variables(self, where: str, text: str) -> str:
        """Return *text* with variables replaced by their values."""

        def get_value(variable: re.Match[str]) -> str:
            if variable["dollar"]:
                return "$"
            name = variable["braced"] if variable["name"] is None else variable["name"]
            if (code := CHARACTER_CODE.fullmatch(name)) and 0 < int(code[1], 16) <= sys.maxunicode:
                return chr(int(code[1], 16))
            if name not in self.environment:
                hint = "set it in the environment, or write $$ for a dollar sign"
                self.problems.add(where, f"variable ${name} does not exist: {hint}")
            return self.environment.get(name, variable[0])

        return VARIABLE.sub(get_value, text)


def quote_word(word: str) -> str:
    """Return *word* as it is written in a file, with quotes if it needs them."""
    if PLAIN_WORD.fullmatch(word) and word.isprintable():
        return word
    text = re.sub(r'["\\]', r"\\\g<0>", word).replace("$", "$$")
    return '"' + "".join(c if c.isprintable() else f"${{0x{ord(c):02X}}}" for c in text) + '"'
