"""The public functions: where they may be called, what they take, whom they ask."""

import asyncio
import logging
import syslog
import time
from dataclasses import dataclass, field
from typing import Any

import pytest

import kore
from kore import _context
from kore._aio.tasks import TaskRegistry
from kore._conf.builder import Builder
from kore._conf.schema import Config
from kore._conf.settings import SETTINGS, Settings


class Ended(BaseException):
    """The stand-in's end."""


@dataclass
class StandIn:
    """What the functions ask of a worker, without a server around it."""

    number: int = 3
    config: Config = field(default_factory=lambda: Config(Settings(workers=7), (), ()))
    tracer: Any = None
    seen: list[Any] = field(default_factory=list)
    tasks: TaskRegistry = field(default_factory=TaskRegistry)

    def fatal(self, text: str) -> None:
        raise Ended("fatal", text)

    def fatalx(self, text: str) -> None:
        raise Ended("fatalx", text)

    def shutdown(self) -> None:
        self.seen.append("shutdown")


@pytest.fixture
def worker(context: _context.Context) -> StandIn:
    """Be a worker: as in a real one, the configuration that was written is still there."""
    context.builder = Builder()
    context.builder.frozen = True
    context.worker = worker = StandIn()  # type: ignore[assignment]
    return worker


def handler(request: object, *_: object) -> None:
    raise NotImplementedError


async def task() -> None:
    raise NotImplementedError


# kore.config


def test_setting_is_written_and_read(builder: Builder) -> None:
    kore.config.workers = "4"
    kore.config.http_body_max = "16k"

    assert kore.config.workers == 4
    assert kore.config.http_body_max == 16384
    assert kore.config.http_keepalive_time == 20


def test_setting_can_be_set_with_setattr(builder: Builder) -> None:
    setattr(kore.config, "workers", 4)  # noqa: B010 - what a program with a name in hand does

    assert getattr(kore.config, "workers") == 4  # noqa: B009


def test_worker_reads_the_effective_settings(worker: StandIn) -> None:
    assert kore.config.workers == 7


def test_worker_cannot_change_settings(worker: StandIn) -> None:
    with pytest.raises(RuntimeError, match="configured cannot be changed at runtime"):
        kore.config.workers = 4


def test_unknown_setting_is_refused_on_read_and_write(builder: Builder) -> None:
    with pytest.raises(kore.errors.ConfigError, match="did you mean workers"):
        kore.config.wokers = 4
    with pytest.raises(AttributeError, match="did you mean workers"):
        kore.config.wokers  # noqa: B018 - reading it is the test
    assert not hasattr(kore.config, "wokers")


def test_setting_cannot_be_deleted(builder: Builder) -> None:
    with pytest.raises(AttributeError, match=r"kore\.config\.workers cannot be deleted, only set"):
        del kore.config.workers


def test_all_settings_are_listed() -> None:
    assert dir(kore.config) == sorted(SETTINGS)
    assert repr(kore.config) == "<kore.config>"


def test_plain_interpreter_cannot_configure() -> None:
    with pytest.raises(kore.errors.KoreError, match="nothing is being configured"):
        kore.config.workers = 4


# Servers, domains, routes


@pytest.mark.parametrize("port", ["8888", 8888])
def test_server_listens_on_ip_and_port(builder: Builder, port: str | int) -> None:
    kore.server("notls", ip="127.0.0.1", port=port, tls=False)

    assert str(builder.servers["notls"].address) == "127.0.0.1:8888"
    assert not builder.servers["notls"].tls


def test_server_defaults_to_the_name_default_and_tls(builder: Builder) -> None:
    kore.server(ip="::1", port=0)
    kore.server(name="unix", path="@kore")

    assert builder.servers["default"].tls
    assert builder.servers["unix"].address.path == "@kore"


@pytest.mark.parametrize(
    ("keywords", "error", "words"),
    [
        ({}, RuntimeError, "missing keyword args"),
        ({"tls": False, "port": 80}, RuntimeError, "missing ip or path keywords"),
        ({"ip": "::1", "path": "/x"}, RuntimeError, "ip/path are exclusive"),
        ({"ip": "::1"}, RuntimeError, "missing or invalid 'port' keyword"),
        ({"ip": "::1", "port": 80, "tls": "no"}, TypeError, "tls must be bool, not str"),
        ({"ip": "::1", "port": 80, "name": 5}, TypeError, "name must be str, not int"),
        ({"address": "::1"}, TypeError, "unexpected keyword argument 'address'"),
    ],
)
def test_invalid_server_is_refused_by_the_call(
    builder: Builder, keywords: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        kore.server(**keywords)
    assert not builder.servers


def test_routes_are_added_to_a_domain(builder: Builder) -> None:
    kore.bind("::1", 0)
    domain = kore.domain("a.test")

    domain.route("/", handler, methods=["get"])

    assert type(domain) is kore.pydomain
    assert builder.build().domains[0].routes[0].handler is handler


def test_decorators_return_the_function_itself(builder: Builder) -> None:
    kore.server("one", ip="::1", port=0, tls=False)
    decorated = kore.route("/", methods=["post"], domain="a.test")(handler)
    kore.domain("a.test", "one")

    (route,) = builder.build().domains[0].routes

    assert decorated is handler
    assert (route.path, route.handler, route.methods) == ("/", handler, ("POST",))


def test_decorator_without_parentheses_is_refused(builder: Builder) -> None:
    with pytest.raises(TypeError, match=r"path must be str, not a function: write @kore.route"):

        @kore.route
        def index(request: object) -> None: ...


def test_tls_keywords_are_refused_without_tls(builder: Builder) -> None:
    kore.server(ip="127.0.0.1", port=1, tls=False)
    kore.domain("a", acme=True)

    with pytest.raises(kore.errors.ConfigError, match="domain 'a': acme needs a server with TLS"):
        builder.build()


# Tasks


def test_task_created_before_the_start_is_kept_for_workers(builder: Builder) -> None:
    coroutine = task()

    assert kore.task_create(coroutine) == 1
    assert builder.tasks == [coroutine]
    builder.discard()


def test_task_created_in_a_worker_runs_there(worker: StandIn) -> None:
    async def main() -> tuple[int, list[int]]:
        number = kore.task_create(asyncio.sleep(0))
        return number, list(worker.tasks.entries)

    assert asyncio.run(main()) == (1, [1])


@pytest.mark.parametrize("thing", [task, None, 5])
def test_task_create_needs_a_coroutine(builder: Builder, thing: Any) -> None:
    with pytest.raises(TypeError, match="object is not a coroutine"):
        kore.task_create(thing)


@pytest.mark.parametrize("number", [0, -1, 65, 9, 19, 11, 10**9])
def test_uncatchable_signals_cannot_be_trapped(builder: Builder, number: int) -> None:
    with pytest.raises(ValueError, match=f"signal {number} cannot be trapped"):
        kore.sigtrap(number)


def test_signals_are_trapped_in_all_workers(builder: Builder) -> None:
    kore.server(ip="127.0.0.1", port=1, tls=False)
    kore.sigtrap(28)

    assert builder.build().traps == (28,)
    with pytest.raises(kore.errors.KoreError, match="configuration is final"):
        kore.sigtrap(28)


# The tracer


def test_tracer_set_before_the_start_is_in_the_configuration(builder: Builder) -> None:
    assert kore.tracer(handler) is True
    assert builder.tracer is handler


def test_tracer_set_in_a_worker_is_its_own(worker: StandIn) -> None:
    kore.tracer(handler)

    assert worker.tracer is handler


def test_tracer_can_be_set_once(worker: StandIn) -> None:
    worker.tracer = handler

    with pytest.raises(RuntimeError, match="tracer already set"):
        kore.tracer(print)


def test_tracer_must_be_callable(builder: Builder) -> None:
    with pytest.raises(RuntimeError, match="object not callable"):
        kore.tracer("print")  # type: ignore[arg-type]


# The process


def test_worker_returns_none_outside_of_workers(builder: Builder) -> None:
    assert kore.worker() is None


def test_worker_returns_its_number(worker: StandIn) -> None:
    assert kore.worker() == 3


def test_time_is_monotonic_in_milliseconds() -> None:
    before = time.monotonic_ns() // 1_000_000

    assert before <= kore.time() <= time.monotonic_ns() // 1_000_000
    assert type(kore.time()) is int


@pytest.mark.parametrize(
    ("name", "level"),
    [
        ("LOG_EMERG", logging.CRITICAL),
        ("LOG_ALERT", logging.CRITICAL),
        ("LOG_CRIT", logging.CRITICAL),
        ("LOG_ERR", logging.ERROR),
        ("LOG_WARNING", logging.WARNING),
        ("LOG_NOTICE", 25),
        ("LOG_INFO", logging.INFO),
        ("LOG_DEBUG", logging.DEBUG),
    ],
)
def test_log_keeps_the_priority(
    caplog: pytest.LogCaptureFixture, name: str, level: int
) -> None:
    priority = getattr(kore, name)
    caplog.set_level(logging.DEBUG, "kore")

    assert kore.log(priority, "100% of %s") is True
    assert kore.log(priority | syslog.LOG_USER, "again") is True
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (level, "100% of %s"),
        (level, "again"),
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((kore.LOG_INFO, b"bytes"), "message must be str, not bytes"),
        (("info", "text"), "'str' object cannot be interpreted as an integer"),
    ],
)
def test_log_checks_its_arguments(arguments: tuple[Any, Any], words: str) -> None:
    with pytest.raises(TypeError, match=words):
        kore.log(*arguments)


@pytest.mark.parametrize("name", ["fatal", "fatalx"])
def test_fatal_before_the_start_exits_with_one_line(builder: Builder, name: str) -> None:
    with pytest.raises(kore.errors.Fatal, match=r"^fatal: no database$"):
        getattr(kore, name)("no database")


@pytest.mark.parametrize("name", ["fatal", "fatalx"])
def test_fatal_in_a_worker_is_delegated_to_it(worker: StandIn, name: str) -> None:
    with pytest.raises(Ended) as ended:
        getattr(kore, name)("no database")
    assert ended.value.args == (name, "no database")


@pytest.mark.parametrize("name", ["fatal", "fatalx"])
def test_fatal_needs_a_str(worker: StandIn, name: str) -> None:
    with pytest.raises(TypeError, match="reason must be str, not int"):
        getattr(kore, name)(5)


def test_shutdown_in_a_worker_is_delegated_to_it(worker: StandIn) -> None:
    assert kore.shutdown() is True
    assert worker.seen == ["shutdown"]


def test_shutdown_before_the_start_is_fatal(builder: Builder) -> None:
    with pytest.raises(kore.errors.Fatal, match="kore_shutdown: called from parent"):
        kore.shutdown()


def test_app_keeps_one_object() -> None:
    assert kore.app() is None
    assert kore.app(kore) is True
    assert kore.app() is kore
    assert kore.app(None) is True
    assert kore.app() is None


def test_setname_names_the_processes(builder: Builder) -> None:
    assert kore.setname("shop") is None  # type: ignore[func-returns-value]
    assert builder.name == "shop"
    with pytest.raises(TypeError, match="name must be str, not int"):
        kore.setname(5)  # type: ignore[arg-type]
