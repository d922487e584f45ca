"""What the directives of kore.conf have in common: tables, arguments, places, unknown words."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Generic, Protocol, TypeVar

from kore._conf.builder import Builder
from kore._conf.file.syntax import Block
from kore._conf.schema import Handler
from kore._conf.settings import SETTINGS
from kore._conf.source_location import escaped_lines
from kore._conf.suggestions import meant
from kore.errors import ConfigError

YES_NO: Final = {"yes": True, "no": False}

S = TypeVar("S", bound="Scope")


class ModuleLoader(Protocol):
    """Who reads a file: it imports modules and knows what is in them."""

    def python_path(self, directory: str) -> None:
        """Have modules be found in *directory*, too."""

    def python_configure(self, *, allowed: bool) -> None:
        """Say whether modules may configure, too."""

    def python_import(self, path: str, onload: str) -> None:
        """Import a module; *onload*, if any, names its function for loading and unloading."""

    def located(self, path: str) -> str:
        """Return where a path of the file is."""

    def symbol(self, name: str) -> Handler | None:
        """Return what a module calls *name*."""

    def symbols(self) -> Collection[str]:
        """Return all names that can be meant."""


@dataclass(frozen=True, slots=True)
class Directive(Generic[S]):
    """One row of a table: what a statement does, what it takes, what it is for."""

    run: Callable[[S, Block], None]
    # Words in brackets may be left out, one that ends in … may be repeated.
    takes: str
    doc: str
    block: bool = False
    # Understood and checked, and refused where it would do something.
    later: bool = False
    # A second one in a block would contradict the first, or say nothing.
    once: bool = False
    # A spelling of earlier releases: taken, with a notice that shows today's.
    old: bool = False
    # What it was without a block.
    bare: "Directive[S] | None" = None

    def form(self, block: Block) -> "Directive[S]":
        """Return the row for the form of a statement, today's or the old one."""
        old = self.bare is not None and block.body is None and len(block.arguments) > 1
        return self.bare if old and self.bare else self

    def accept(self, block: Block) -> None:
        """Refuse a statement with other words than those it takes."""
        names = re.findall(r"\S+", self.takes)
        least = sum(not optional(name) for name in names)
        most = 10**6 if self.takes.endswith("…") else len(names)
        usage = f"{block.keyword} {self.takes}".rstrip() + (" {" if self.block else "")
        if not least <= len(block.arguments) <= most:
            given = f"not {counted(len(block.arguments), 'word')}"
            hint = "; quotes hold words together" if len(block.arguments) > most else ""
            raise ConfigError(f"write `{usage}`, {given}{hint}")
        if self.block != (block.body is not None):
            takes_none = f"{block.keyword} takes no block"
            raise ConfigError(f"write `{usage}`, with a block" if self.block else takes_none)


Table = Mapping[str, Directive[Any]]


@dataclass(slots=True)
class Scope:
    """A block while it is read: what its statements add up to."""

    reading: "ParseContext"
    where: str = ""
    # For messages: "route '/x'"; nothing for the file itself.
    label: str = ""
    # One of its statements is wrong, which has been said.
    broken: bool = False
    # Where it has those statements that it can have once.
    has: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class ParseContext:
    """All there is to know while a file is read."""

    builder: Builder
    host: ModuleLoader
    contexts: Mapping[str, Table]
    # Words that are understood no more, with what to do about it.
    gone: Mapping[str, str]
    # Who is to blame for what modules do on import.
    outside: Callable[[], str]
    validators: dict[str, str | Handler] = field(default_factory=dict)
    authentications: dict[str, dict[str, Any]] = field(default_factory=dict)
    # Defined, and wrong: said once, and not again for each who refers to them.
    broken: set[tuple[str, str]] = field(default_factory=set)
    # What addresses outside of any server, an old spelling, add up to.
    implicit: str = ""
    # How they are written today, and whether they have TLS.
    old_server: str = ""
    old_tls: bool = False

    @contextmanager
    def at(self, where: str, label: str = "", words: Iterable[str] = ()) -> Iterator[None]:
        """Have what goes wrong, and what the builder takes note of, be at a place in the file."""
        elsewhere, self.builder.locate = self.builder.locate, lambda: where
        try:
            with self.builder.problems.noted(where, label, words):
                yield
        finally:
            self.builder.locate = elsewhere

    def statements(self, scope: Scope, context: str, blocks: Iterable[Block]) -> None:
        """Do what the statements of a block say."""
        for block in blocks:
            if not block.broken:
                with self.at(block.where, scope.label, block.words):
                    self.statement(scope, context, block)

    def statement(self, scope: Scope, context: str, block: Block) -> None:
        """Do what one statement says."""
        if directive := self.contexts[context].get(block.keyword):
            directive = directive.form(block)
            directive.accept(block)
            if directive.once and scope.has.setdefault(block.keyword, block.where) != block.where:
                first = scope.has[block.keyword]
                raise ConfigError(f"{block.keyword} is given a second time, after {first}")
            directive.run(scope, block)
        elif block.keyword in SETTINGS:
            self.setting(scope, block)
        else:
            raise ConfigError(self.unknown(context, block.keyword))

    def setting(self, scope: Scope, block: Block) -> None:
        """Change a setting: it takes the rest of the line."""
        if block.body is not None or not block.arguments:
            raise ConfigError(f"write `{block.keyword} VALUE`: {SETTINGS[block.keyword].kind}")
        if block.keyword == "file":
            self.notice(block, "file has no effect in a file: write `include PATH`")
            return
        if scope.label:
            self.notice(block, f"{block.keyword} is for all servers: write it outside of any block")
        self.builder.set(block.keyword, " ".join(block.arguments))

    def notice(self, block: Block, text: str) -> None:
        """Have the log say something about a statement."""
        self.builder.notices.append(escaped_lines(f"{block.where}: {text}"))

    def unknown(self, context: str, keyword: str) -> str:
        """Return why a keyword is none."""
        if keyword in self.gone:
            return f"{keyword}: {self.gone[keyword]}"
        homes = [
            inside(name)
            for name, table in self.contexts.items()
            if keyword in table and not table[keyword].old
        ]
        if homes:
            return f"{keyword} belongs {' or '.join(homes)}"
        known = [*self.contexts[context], *SETTINGS]
        return f"unknown directive or setting '{keyword}'{meant(keyword, known)}"

    def spelled(self, block: Block, *lines: str) -> None:
        """Have the log say how a statement is written today."""
        today = ", ".join(f"`{line}`" for line in lines)
        self.notice(block, f"{block.keyword} is an old spelling, write {today}")

    def callback(self, name: str, what: str, others: Iterable[str] = ()) -> Handler | None:
        """Return the function a file calls *name*; None: a module is broken, and may have it.

        *others* are names that could have stood there, too.
        """
        found = self.host.symbol(name)
        if found is None and ("module", "") not in self.broken:
            guess = meant(name, [*others, *self.host.symbols()])
            raise ConfigError(f"{what} '{name}' not found{guess}")
        return found

    def defined(self, kind: str, name: str, known: Mapping[str, Any]) -> Any:
        """Return what was defined as *name*; None: that was wrong, and has been said."""
        if name not in known and (kind, name) not in self.broken:
            raise ConfigError(f"unknown {kind} '{name}'{meant(name, known)}")
        return known.get(name)


def optional(name: str) -> bool:
    """Return whether an argument may be left out."""
    return name.strip("…").startswith("[") and name.strip("…").endswith("]")


def counted(number: int, noun: str) -> str:
    """Return a number of things."""
    return f"{number} {noun}" + ("" if number == 1 else "s")


def inside(context: str) -> str:
    """Return where the statements of a context are written."""
    return f"inside of a {context} block" if context else "outside of any block"


def flag(block: Block) -> bool:
    """Return the yes or no of a statement."""
    return yes_or_no(block.arguments[0], block.keyword)


def yes_or_no(word: str, option: str) -> bool:
    """Return what a word says."""
    if word not in YES_NO:
        raise ConfigError(f"invalid '{word}' for yes|no {option} option")
    return YES_NO[word]


def number(block: Block, at: int, low: int, high: int) -> int:
    """Return one of a statement's words, a number in a range."""
    word = block.arguments[at]
    if not re.fullmatch(r"\d{1,10}", word, re.ASCII) or not low <= int(word) <= high:
        raise ConfigError(f"bad value '{word}' for {block.keyword}: {low}..{high}")
    return int(word)


def opened(
    start: Callable[[Any, Block], S], context: str, finish: Callable[[S, Block], None]
) -> Callable[[Scope, Block], None]:
    """Return what runs a block: begin it, do its statements, and see what they add up to."""
    return partial(run_block, start, context, finish)


def run_block(
    start: Callable[[Any, Block], S],
    context: str,
    finish: Callable[[S, Block], None],
    outer: Scope,
    block: Block,
) -> None:
    """Read a block."""
    scope = start(outer, block)
    scope.where = block.where
    problems = outer.reading.builder.problems
    before = len(problems.found)
    outer.reading.statements(scope, context, block.body or ())
    scope.broken = len(problems.found) > before
    with outer.reading.at(block.where, scope.label, block.words):
        finish(scope, block)
    if len(problems.found) > before:
        outer.reading.broken.add((context, block.arguments[0]))
