"""Write the reference from the code: `python docs/generate.py`. A test keeps it in step."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import kore
from kore._api.lazy import LAZY, OPTION
from kore._conf.domain_handle import DomainHandle
from kore._conf.file.directives import Directive, Table
from kore._conf.file.legacy import REMOVED
from kore._conf.file.loader import ALL_TABLES, DOCUMENTED_TABLES
from kore._conf.settings import SETTINGS, Settings
from kore._httpclient.options import OPTIONS, REFUSED, Option

HERE = Path(__file__).parent / "reference"
SETTINGS_STUB = Path(__file__).parents[1] / "src" / "kore" / "_types" / "settings.pyi"

NOTE = "<!-- Written by docs/generate.py: change the code, then run it. -->\n"

TYPES = {
    "Connection": "The type of a request's `connection`: for annotations, as `pyconnection`.",
    "Request": "The type of a request: for annotations, as `pyhttp_request`.",
    "Upload": "The type of an uploaded file: for annotations, as `pyhttp_file`.",
    "pycurlhandle": "The type of what `kore.curl()` returns.",
    "pyhttpclient": "The type of what `kore.httpclient()` returns.",
    "pyhttp_file": "The type of an uploaded file.",
    "pylock": "Another name of `kore.lock`.",
    "pyproc": "Another name of `kore.proc`.",
    "pyqueue": "Another name of `kore.queue`.",
    "pysocket": "The type of what `kore.socket_wrap()` returns.",
    "pytimer": "Another name of `kore.timer`.",
    "pyhttp_request": "The type of a request.",
    "pyconnection": "The type of a request's `connection`, which callbacks of WebSockets get, too.",
    "pydomain": "The type of what `kore.domain()` returns.",
}
# What a connection has for applications, in the order in which they need it.
CONNECTION = (
    "addr",
    "fd",
    "state",
    "proto",
    "subprotocol",
    "websocket_send",
    "buffered",
    "drained",
    "join",
    "leave",
    "rooms",
    "disconnect",
    "close_code",
    "close_reason",
    "x509",
    "x509dict",
)


# The types of what some functions return.
MADE = {"curl": "pycurlhandle", "httpclient": "pyhttpclient", "socket_wrap": "pysocket"}


def main() -> None:
    """Write all pages."""
    HERE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (HERE / name).write_text(page())
    SETTINGS_STUB.write_text(settings_stub())


def settings_stub() -> str:
    """Return the stub that tells type checkers which settings there are."""
    lines = [
        '"""The settings, for type checkers and editors. Written by docs/generate.py."""\n',
        "from typing import Any, Generic, TypeVar\n",
        '_T = TypeVar("_T")\n',
        "class Setting(Generic[_T]):",
        '    """A setting: has its plain value, and takes that or text as a file has it."""\n',
        "    def __get__(self, instance: Any, owner: Any = None) -> _T: ...",
        "    def __set__(self, instance: Any, value: _T | int | str | list[Any]) -> None: ...\n",
        "class Configuration:",
        '    """All settings by name."""\n',
        *(f"    {each.name}: Setting[{type_name(each.type)}]" for each in fields(Settings)),
    ]
    return "\n".join(lines) + "\n"


def type_name(kind: Any) -> str:
    """Return a type as it is written."""
    return kind.__name__ if kind in {bool, int, str} else str(kind)


def api() -> str:
    """Return the page of the public names."""
    known = {name for name in vars(kore) if not name.startswith("_")}
    names = sorted(known | TYPES.keys() | LAZY.keys())
    functions = [name for name in names if inspect.isfunction(getattr(kore, name))]
    classes = [name for name in names if inspect.isclass(getattr(kore, name)) and name not in TYPES]
    constants = [name for name in names if name.isupper()]
    lines = [
        NOTE,
        "# `import kore`\n",
        "## Functions\n",
        *(line for name in functions for line in function(name)),
        "\n## Awaitables and what makes them\n",
        *(line for name in classes for line in described(name)),
        "\n## Settings and errors\n",
        f"- `kore.config`: {summary(type(kore.config))} See [settings](settings.md).",
        f"- `kore.errors`: {summary(kore.errors)}",
        *(f"  - `kore.errors.{error.__name__}`: {summary(error)}" for error in errors()),
        "\n## Types\n",
        *(line for name in names if name in TYPES for line in of_type(name)),
        "\n## Constants\n",
        *(f"- `kore.{name}` = {getattr(kore, name)}" for name in constants),
        "- [Options of libcurl](curlopts.md): `kore.CURLOPT_...`",
    ]
    return "\n".join(lines) + "\n"


def settings() -> str:
    """Return the page of the settings."""
    lines = [
        NOTE,
        "# Settings\n",
        "Set on import or in `koreapp.configure()`: `kore.config.workers = 4`, or in a",
        "[file](../guide/configuration.md): `workers 4`. Numbers may be text, bytes with a suffix",
        "`k`, `m` or `g`, seconds with `s`, `m`, `h` or `d`. Yes and no are `True` and `False`,",
        "1 and 0, or words.\n",
        "| Setting | Takes | Default | Meaning |",
        "|---|---|---|---|",
        *(
            f"| `{name}` | {cell(row.value_type)} | {cell(row.default)} | {cell(row.doc)} |"
            for name, row in SETTINGS.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def directives() -> str:
    """Return the page of the directives."""
    old = sorted(
        (keyword, context, usage(keyword, form), cell(form.doc))
        for context, table in ALL_TABLES.items()
        for keyword, row in table.items()
        for form in (row, row.inline_form)
        if form is not None and form.deprecated
    )
    lines = [
        NOTE,
        "# Directives\n",
        "The statements of a [configuration file](../guide/configuration.md), beside the",
        "[settings](settings.md). Words in brackets may be left out, `…` repeats one, `{` begins a",
        "block. What is not there yet is checked, and refused where it would do something.",
        *(line for context, table in DOCUMENTED_TABLES.items() for line in block(context, table)),
        "\n## Old spellings\n",
        "Read as what stands beside them, with a notice in the log.\n",
        "| Until Kore 4.1 | inside of | today |",
        "|---|---|---|",
        *(f"| {written} | {context or '-'} | {today} |" for _, context, written, today in old),
        "\n## Gone\n",
        *(f"- `{keyword}`: {why}" for keyword, why in REMOVED.items()),
    ]
    return "\n".join(lines) + "\n"


def curlopts() -> str:
    """Return the page of libcurl's options."""
    lines = [
        NOTE,
        "# Options of libcurl\n",
        "For `curlopt=` of a [client](../guide/client.md) and `setopt()` of `kore.curl()`. The",
        "numbers are Kore's: libcurl's without the offset for its types. What each does is in",
        "[its documentation](https://curl.se/libcurl/c/curl_easy_setopt.html); whether it can be",
        "done depends on the libcurl that pycurl brings.\n",
        "| Option | Number | Takes |",
        "|---|---|---|",
        *(
            f"| `kore.{option.name}` | {number} | {takes(option)} |"
            for number, option in OPTIONS.items()
            if option.type or option.name.removeprefix(OPTION) in REFUSED
        ),
        "\nNot implemented, as they take callbacks, pointers or what pycurl cannot set:",
        ", ".join(
            f"`{option.name}`"
            for option in OPTIONS.values()
            if not option.type and option.name.removeprefix(OPTION) not in REFUSED
        )
        + ".",
    ]
    return "\n".join(lines) + "\n"


def takes(option: Option) -> str:
    """Return what an option is given."""
    kinds = {"string": "str", "long": "int", "list": "list of str"}
    name = option.name.removeprefix(OPTION)
    return kinds[option.type] if option.type else f"refused: {REFUSED[name]}"


PAGES: dict[str, Callable[[], str]] = {
    "api.md": api,
    "curlopts.md": curlopts,
    "directives.md": directives,
    "settings.md": settings,
}


def block(context: str, table: Table) -> Iterator[str]:
    """Yield the lines about the directives of a block."""
    yield f"\n## Inside of `{context}`\n" if context else "\n## Outside of blocks\n"
    yield "| Directive | Meaning | |"
    yield "|---|---|---|"
    if not context:
        yield "| `include PATH` | The statements of another file. In blocks, too. | |"
    for keyword, row in table.items():
        when = "not yet" if row.unsupported else ""
        yield f"| {usage(keyword, row)} | {cell(row.doc)} | {when} |"


def usage(keyword: str, row: Directive[Any]) -> str:
    """Return how a directive is written."""
    return cell(f"`{keyword} {row.usage}{' {' if row.block else ''}`")


def function(name: str) -> Iterator[str]:
    """Yield the lines about a function."""
    yield f"- `kore.{name}{signature(getattr(kore, name))}`: {summary(getattr(kore, name))}"
    if name in MADE:
        yield from list(described(MADE[name]))[1:]
    if name == "domain":
        route = DomainHandle.route
        yield f"  - its `route{signature(route)}`: {summary(route)}"
        maps = DomainHandle.filemaps
        yield f"  - its `filemaps{signature(maps)}`: {summary(maps)}"


def described(name: str) -> Iterator[str]:
    """Yield the lines about a class that is called like a function, and its methods."""
    kind = getattr(kore, name)
    yield f"- `kore.{name}{signature(kind)}`: {summary(kind)}"
    for method, value in vars(kind).items():
        if inspect.isfunction(value) and not method.startswith("_"):
            waits = "await " * inspect.iscoroutinefunction(value)
            yield f"  - `{waits}{method}{signature(value)}`: {summary(value)}"
        elif isinstance(value, property):
            yield f"  - `{method}`: {summary(value)}"


def of_type(name: str) -> Iterator[str]:
    """Yield the lines about a type that applications do not make."""
    yield f"- `kore.{name}`: {TYPES[name]}"
    for member in CONNECTION if name == "pyconnection" else ():
        value = getattr(kore.pyconnection, member)
        called = callable(value)
        yield f"  - `{member}{signature(value) if called else ''}`: {summary(value)}"


def errors() -> list[type[BaseException]]:
    """Return the errors in the order of their file."""
    return [error for error in vars(kore.errors).values() if inspect.isclass(error)]


def signature(function: Callable[..., Any]) -> str:
    """Return a signature as a reader needs it: without types and without what is refused."""
    full = inspect.signature(function)
    kept = [
        parameter.replace(annotation=parameter.empty)
        for parameter in full.parameters.values()
        if parameter.name not in {"self", "later"}
    ]
    return str(full.replace(parameters=kept, return_annotation=full.empty))


def summary(thing: object) -> str:
    """Return the first sentence or so of a docstring."""
    paragraph = (inspect.getdoc(thing) or "").split("\n\n")[0]
    return " ".join(paragraph.split())


def cell(value: object) -> str:
    """Return text for a table."""
    return str(value).replace("|", "\\|")


if __name__ == "__main__":
    main()
