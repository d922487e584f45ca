"""A kore.conf in memory, and an application for its names: no files, no imports."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from kore._conf.builder import Builder
from kore._conf.file.loader import load
from kore._conf.file.syntax import parse
from kore._conf.schema import Config
from kore._process.template.directory_checks import check_directories
from kore.errors import ConfigError

# A server, in a file of its own, so that the rest can be about something else.
PLAIN = "server plain {\n bind 127.0.0.1 0\n tls no\n}\n"


def index(req: Any, *_: Any) -> None:
    raise NotImplementedError


def allowed(req: Any, value: str = "") -> bool:
    raise NotImplementedError


@dataclass
class App:
    """Who stands for the modules."""

    known: Mapping[str, Any] = field(
        default_factory=lambda: {"index": index, "koreapp.page": index, "allowed": allowed}
    )
    did: list[tuple[str, ...]] = field(default_factory=list)

    def python_path(self, directory: str) -> None:
        self.did.append(("python_path", directory))

    def python_configure(self, *, allowed: bool) -> None:
        self.did.append(("python_configure", "yes" if allowed else "no"))

    def python_import(self, path: str, onload: str) -> None:
        self.did.append(("python_import", path, onload))
        if path == "broken.py":
            raise ConfigError("broken.py: failed to import module")

    def resolve_path(self, path: str) -> str:
        return path

    def find_symbol(self, name: str) -> Any:
        return self.known.get(name)

    def list_symbols(self) -> Collection[str]:
        return self.known


def built(text: str, app: App | None = None, *, server: bool = True) -> Builder:
    """Return a builder that has been told what a file says."""
    builder = Builder()
    contents = {"kore.conf": text, "server.conf": PLAIN if server else ""}
    blocks = [
        block
        for path in ("server.conf", "kore.conf")
        for block in parse(path, lambda path: contents[path].encode(), {}, builder.problems)
    ]
    load(blocks, builder, app or App())
    return builder


def config(text: str, app: App | None = None, *, server: bool = True) -> Config:
    """Return what a file makes, with a server named plain beside it."""
    return built(text, app, server=server).build()


def complaints(text: str, app: App | None = None, *, server: bool = True) -> list[str]:
    """Return what is wrong with a file."""
    try:
        check_directories(built(text, app, server=server).build())
    except ConfigError as error:
        lines = str(error).splitlines()
        return lines[1:] if lines[0].endswith("errors in the configuration:") else lines
    return []


def domain(text: str) -> str:
    """Return a domain around *text*, which begins on line 2."""
    return f"domain * {{ attach plain\n{text}\n}}\n"


def route(text: str) -> str:
    """Return a route around *text*, which begins on line 3."""
    return domain(f"route /x {{ handler index\n{text}\n}}")


def get_error(
    function: Callable[..., object], *arguments: object, error: type[Exception] = ConfigError
) -> str:
    """Return the message of the error that a call raises."""
    with pytest.raises(error) as raised:
        function(*arguments)
    return str(raised.value)
