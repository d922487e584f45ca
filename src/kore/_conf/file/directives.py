"""Directives of kore.conf in general: tables, arguments, places of errors, unknown words.

A table has the directives of one type of block. Their functions add to a Scope while the
statements of a block are run, and pass it to the Builder at its end.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from kore._conf.builder import Builder
from kore._conf.diagnostics import escape_lines
from kore._conf.file.syntax import Block
from kore._conf.schema import Handler
from kore._conf.settings import SETTINGS
from kore._conf.suggestions import suggest_name
from kore.errors import ConfigError

YES_NO: Final = {"yes": True, "no": False}

S = TypeVar("S", bound="Scope")


class ModuleLoader(Protocol):
    """Imports modules of the application, and finds functions in them."""

    def python_path(self, directory: str) -> None:
        """Add a directory to the module search path."""

    def python_configure(self, *, allowed: bool) -> None:
        """Set whether modules may configure, too."""

    def python_import(self, path: str, onload: str) -> None:
        """Import a module. *onload*, if not empty, names its function for loading and unloading."""

    def resolve_path(self, path: str) -> str:
        """Return a path of the file as an absolute one."""

    def find_symbol(self, name: str) -> Handler | None:
        """Return the function of a name; None if there is none."""

    def list_symbols(self) -> Collection[str]:
        """Return the names of all functions."""


@dataclass(frozen=True, slots=True)
class Directive(Generic[S]):
    """A row of a table: the function of a statement, its arguments, its documentation."""

    run: Callable[[S, Block], None]
    # The arguments: those in brackets are optional, one that ends in … may be repeated.
    usage: str
    doc: str
    block: bool = False
    # Parsed and checked, but this version does not have the feature.
    unsupported: bool = False
    # Only one in a block.
    once: bool = False
    # A spelling of earlier releases, accepted with a notice that shows the current one.
    deprecated: bool = False
    # The directive of earlier releases that has no block.
    inline_form: "Directive[S] | None" = None

    def select_form(self, block: Block) -> "Directive[S]":
        """Return the directive for a statement: this one, or the old one without a block."""
        old = self.inline_form is not None and block.body is None and len(block.arguments) > 1
        return self.inline_form if old and self.inline_form else self

    def check_arguments(self, block: Block) -> None:
        """Raise ConfigError if a statement has too few or too many words, or a wrong block."""
        names = re.findall(r"\S+", self.usage)
        minimum = sum(not _is_optional(name) for name in names)
        maximum = 10**6 if self.usage.endswith("…") else len(names)
        usage = f"{block.keyword} {self.usage}".rstrip() + (" {" if self.block else "")
        if not minimum <= len(block.arguments) <= maximum:
            given = f"not {_format_count(len(block.arguments), 'word')}"
            hint = "; quotes hold words together" if len(block.arguments) > maximum else ""
            raise ConfigError(f"write `{usage}`, {given}{hint}")
        if self.block != (block.body is not None):
            takes_none = f"{block.keyword} takes no block"
            raise ConfigError(f"write `{usage}`, with a block" if self.block else takes_none)


Table = Mapping[str, Directive[Any]]


@dataclass(slots=True)
class Scope:
    """The data that the statements of a block add up to."""

    context: "ParseContext"
    where: str = ""
    # For messages: "route '/x'"; empty for the file itself.
    label: str = ""
    # One of its statements has an error, which has been reported.
    broken: bool = False
    # Places of the statements that may occur once, by keyword.
    seen: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ParseContext:
    """The state of reading a file."""

    builder: Builder
    loader: ModuleLoader
    tables: Mapping[str, Table]
    # Directives that no longer exist, or are those of other programs, with hints.
    removed: Mapping[str, str]
    # Returns the place of a call that a module makes while it is imported.
    locate_import: Callable[[], str]
    validators: dict[str, str | Handler] = field(default_factory=dict)
    authentications: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Type and name of definitions with errors. Statements that refer to them are not reported, too.
    broken: set[tuple[str, str]] = field(default_factory=set)
    # The server that `bind` outside of server blocks, an old spelling, has created.
    implicit_server: str = ""
    # The current spelling of such statements, and whether the server has TLS.
    old_server: str = ""
    old_tls: bool = False

    @contextmanager
    def locate_errors(
        self, where: str, label: str = "", words: Iterable[str] = ()
    ) -> Iterator[None]:
        """Give errors in the block, and places that the builder keeps, a place in the file."""
        outer, self.builder.locate = self.builder.locate, lambda: where
        try:
            with self.builder.problems.collect_errors(where, label, words):
                yield
        finally:
            self.builder.locate = outer

    def run_statements(self, scope: Scope, block_type: str, blocks: Iterable[Block]) -> None:
        """Run the statements of a block."""
        for block in blocks:
            if not block.broken:
                with self.locate_errors(block.where, scope.label, block.words):
                    self.run_statement(scope, block_type, block)

    def run_statement(self, scope: Scope, block_type: str, block: Block) -> None:
        """Run one statement."""
        if directive := self.tables[block_type].get(block.keyword):
            directive = directive.select_form(block)
            directive.check_arguments(block)
            if directive.once and scope.seen.setdefault(block.keyword, block.where) != block.where:
                first = scope.seen[block.keyword]
                raise ConfigError(f"{block.keyword} is given a second time, after {first}")
            directive.run(scope, block)
        elif block.keyword in SETTINGS:
            self.change_setting(scope, block)
        else:
            raise ConfigError(self.describe_unknown(block_type, block.keyword))

    def change_setting(self, scope: Scope, block: Block) -> None:
        """Change a setting. Its value is the rest of the line."""
        if block.body is not None or not block.arguments:
            raise ConfigError(
                f"write `{block.keyword} VALUE`: {SETTINGS[block.keyword].value_type}"
            )
        if block.keyword == "file":
            self.add_notice(block, "file has no effect in a file: write `include PATH`")
            return
        if scope.label:
            self.add_notice(
                block, f"{block.keyword} is for all servers: write it outside of any block"
            )
        self.builder.set(block.keyword, " ".join(block.arguments))

    def add_notice(self, block: Block, text: str) -> None:
        """Add a notice about a statement for the log."""
        self.builder.notices.append(escape_lines(f"{block.where}: {text}"))

    def describe_unknown(self, block_type: str, keyword: str) -> str:
        """Return the error message for an unknown keyword."""
        if keyword in self.removed:
            return f"{keyword}: {self.removed[keyword]}"
        block_types = [
            _describe_block_type(name)
            for name, table in self.tables.items()
            if keyword in table and not table[keyword].deprecated
        ]
        if block_types:
            return f"{keyword} belongs {' or '.join(block_types)}"
        known = [*self.tables[block_type], *SETTINGS]
        return f"unknown directive or setting '{keyword}'{suggest_name(keyword, known)}"

    def warn_old_spelling(self, block: Block, *lines: str) -> None:
        """Add a notice with the current spelling of a statement."""
        today = ", ".join(f"`{line}`" for line in lines)
        self.add_notice(block, f"{block.keyword} is an old spelling, write {today}")

    def find_callback(self, name: str, what: str, others: Iterable[str] = ()) -> Handler | None:
        """Return the function of a name; None if it may be in a module that could not be imported.

        *others* are further names to suggest. Raises ConfigError if there is no such function.
        """
        found = self.loader.find_symbol(name)
        if found is None and ("module", "") not in self.broken:
            suggestion = suggest_name(name, [*others, *self.loader.list_symbols()])
            raise ConfigError(f"{what} '{name}' not found{suggestion}")
        return found

    def find_definition(self, kind: str, name: str, known: Mapping[str, Any]) -> Any:
        """Return the definition of a name; None if it had an error, which has been reported."""
        if name not in known and (kind, name) not in self.broken:
            raise ConfigError(f"unknown {kind} '{name}'{suggest_name(name, known)}")
        return known.get(name)


def _is_optional(name: str) -> bool:
    """Return whether an argument is optional."""
    return name.strip("…").startswith("[") and name.strip("…").endswith("]")


def _format_count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural if need be."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _describe_block_type(block_type: str) -> str:
    """Return where the statements of a block_type are written."""
    return f"inside of a {block_type} block" if block_type else "outside of any block"


def read_flag(block: Block) -> bool:
    """Return the first argument, `yes` or `no`, as a bool."""
    return parse_yes_no(block.arguments[0], block.keyword)


def parse_yes_no(word: str, option: str) -> bool:
    """Return `yes` or `no` as a bool."""
    if word not in YES_NO:
        raise ConfigError(f"invalid '{word}' for yes|no {option} option")
    return YES_NO[word]


def read_number(block: Block, at: int, low: int, high: int) -> int:
    """Return an argument as a number. Raises ConfigError if it is not in the range."""
    word = block.arguments[at]
    if not re.fullmatch(r"\d{1,10}", word, re.ASCII) or not low <= int(word) <= high:
        raise ConfigError(f"bad value '{word}' for {block.keyword}: {low}..{high}")
    return int(word)


def make_block_runner(
    start: Callable[[Any, Block], S], block_type: str, finish: Callable[[S, Block], None]
) -> Callable[[Scope, Block], None]:
    """Return the function of a directive with a block.

    *start* makes the scope, the statements of the block add to it, *finish* gets the result.
    """
    return partial(_run_block, start, block_type, finish)


def _run_block(
    start: Callable[[Any, Block], S],
    block_type: str,
    finish: Callable[[S, Block], None],
    outer: Scope,
    block: Block,
) -> None:
    """Run the statements of a block between *start* and *finish*."""
    scope = start(outer, block)
    scope.where = block.where
    problems = outer.context.builder.problems
    before = len(problems.found)
    outer.context.run_statements(scope, block_type, block.body or ())
    scope.broken = len(problems.found) > before
    with outer.context.locate_errors(block.where, scope.label, block.words):
        finish(scope, block)
    if len(problems.found) > before:
        outer.context.broken.add((block_type, block.arguments[0]))
