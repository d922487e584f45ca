"""Routers, handlers and listeners of a worker, without clients."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kore._conf.builder import Builder
from kore._conf.server_schema import Address
from kore._http.router import RouteEntry
from kore._process.worker.routing import Routing


class FakeContext:
    """Notes what the core is asked to accept."""

    any_method = False

    def accept_any_method(self) -> None:
        self.any_method = True


class FakeSlowHandlers:
    """Notes which handlers are measured."""

    def __init__(self) -> None:
        self.wrapped: list[str] = []

    def wrap(self, path: str, handler: object, run: object) -> object:
        self.wrapped.append(path)
        return run


def index(req: Any) -> None:
    pass


def other(req: Any) -> None:
    pass


def make(builder: Builder, slow: Any = None, **parts: Any) -> Routing:
    params: Any = SimpleNamespace(config=builder.build(), sockets=(), **parts)
    accesslogs: Any = SimpleNamespace(find=lambda _: None, find_first=lambda _: None)
    return Routing(params, parts.get("tasks"), accesslogs, slow)


@pytest.fixture
def builder() -> Builder:
    builder = Builder()
    builder.server("http", Address(ip="127.0.0.1", port=0), tls=False)
    return builder


def test_the_place_of_a_handler_is_known_unless_its_route_has_several(builder: Builder) -> None:
    domain = builder.domain("*", "http")
    domain.route("/one", index, methods=["get"])
    domain.route("/two", index, methods=["get"])
    domain.route("/two", other, methods=["post"])
    routing = make(builder)
    for route in routing.config.domains[0].routes:
        routing.make_handler(route)

    assert routing.handler_places["/one"].rpartition("/")[2].startswith("test_routing.py:")
    assert routing.handler_places["/two"] == ""


def test_handlers_are_measured_in_development(builder: Builder, tmp_path: Path) -> None:
    domain = builder.domain("*", "http")
    domain.route("/one", index, methods=["get"])
    domain.filemaps({"/files/": str(tmp_path)})
    slow = FakeSlowHandlers()
    routing = make(builder, slow)
    for route in routing.config.domains[0].routes:
        routing.make_handler(route)

    assert slow.wrapped == ["/one"]


def test_filemaps_of_one_directory_share_it(builder: Builder, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    domain = builder.domain("*", "http")
    paths = {"/a/": "", "/b/": "", "/c/": "sub"}
    domain.filemaps({path: str(tmp_path / directory) for path, directory in paths.items()})
    filemaps = make(builder).filemaps

    assert filemaps is not None
    assert sorted(filemaps.directories) == [str(tmp_path), str(tmp_path / "sub")]


def test_without_filemaps_their_code_is_not_loaded(builder: Builder) -> None:
    builder.domain("*", "http").route("/", index)
    routing = make(builder)
    routing.expire_files()

    assert routing.filemaps is None


def test_parameters_are_those_of_the_method(builder: Builder) -> None:
    domain = builder.domain("*", "http")
    domain.route("/", index, methods=["get", "lock"], get={"a": "."}, qs={"q": "."})
    routing = make(builder)
    (route,) = routing.config.domains[0].routes
    entry = RouteEntry(index, b"/", route)

    def names(method: int) -> list[str]:
        request: Any = SimpleNamespace(method=method)
        return sorted(routing.make_request_data(request, entry)._declared.query)

    assert (names(1), names(0), names(2)) == (["a", "q"], ["q"], [])


@pytest.mark.parametrize(("methods", "any_method"), [(["get"], False), (["get", "lock"], True)])
def test_other_methods_are_accepted_if_a_route_names_one(
    builder: Builder, methods: list[str], any_method: bool
) -> None:
    builder.domain("*", "http").route("/", index, methods=methods)
    context: Any = FakeContext()
    poller: Any = None
    make(builder).listen(poller, context, {})

    assert context.any_method == any_method
