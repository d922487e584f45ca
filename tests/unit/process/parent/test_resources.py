"""Resources of the parent: opened for a generation, kept over a reload, released at the end."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kore._conf.server_schema import AccessLogConfig, Address, Server
from kore._conf.settings import Settings
from kore._process.eventloop import CallbackLoop
from kore._process.parent.generation import Generation
from kore._process.parent.launcher import LaunchOptions
from kore._process.parent.resources import ParentResources
from kore._process.parent_config import ParentConfig
from kore._process.privsep import open_descriptors
from kore.errors import ConfigError

SERVER = Server("http", Address(ip="127.0.0.1"), tls=False)
OPTIONS = LaunchOptions(app="app.py")


@pytest.fixture
def resources() -> Iterator[ParentResources]:
    ours = ParentResources()
    yield ours
    ours.log_writer.open("")
    ours.release(0)


@pytest.fixture
def generations() -> Iterator[list[Generation]]:
    made = [Generation(), Generation()]
    yield made
    for generation in made:
        generation.close()


def configure(directory: Path, **settings: object) -> ParentConfig:
    """Return a configuration with one server, one access log and a log file."""
    values = {"workers": 2, "logfile": str(directory / "kore.log"), **settings}
    return ParentConfig(
        "kore",
        Settings(**values),  # type: ignore[arg-type]
        (SERVER,),
        accesslogs=(AccessLogConfig(str(directory / "access.log"), where="app.py:1"),),
    )


def test_generation_gets_sockets_access_logs_and_slots(
    resources: ParentResources, generations: list[Generation], tmp_path: Path
) -> None:
    generation = generations[0]
    assert resources.prepare(generation, configure(tmp_path), OPTIONS, first=True) == ""

    assert {number: len(named) for number, named in generation.sockets.items()} == {1: 1, 2: 1}
    assert len(generation.get_accesslogs()) == 1
    assert list(generation.slots) == [1, 2]
    assert generation.death_pipe == resources.death_pipe.fd
    assert (tmp_path / "kore.log").exists()
    assert resources.log_writer.is_redirected


def test_reload_does_not_touch_log_and_pidfile_before_it_succeeds(
    resources: ParentResources, generations: list[Generation], tmp_path: Path
) -> None:
    first, second = generations
    resources.prepare(first, configure(tmp_path), OPTIONS, first=True)
    other = configure(tmp_path, logfile=str(tmp_path / "other.log"))
    assert resources.prepare(second, other, OPTIONS, first=False) == ""

    assert not (tmp_path / "other.log").exists()


def test_reload_keeps_the_sockets_it_uses_again(
    resources: ParentResources, generations: list[Generation], tmp_path: Path
) -> None:
    first, second = generations
    resources.prepare(first, configure(tmp_path), OPTIONS, first=True)
    resources.prepare(second, configure(tmp_path), OPTIONS, first=False)
    resources.close_unused(second)

    assert second.sockets == first.sockets
    assert all(sock.fileno() >= 0 for _, sock in second.sockets[1])


def test_reason_is_returned_if_a_socket_cannot_be_opened(
    resources: ParentResources, generations: list[Generation], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = replace(SERVER, address=Address("127.0.0.1", other.getsockname()[1]))
        config = replace(configure(tmp_path), servers=(taken,))
        reason = resources.prepare(generations[0], config, OPTIONS, first=True)

    assert reason.startswith("failed to bind to '127.0.0.1:")


def test_reason_is_returned_if_the_log_cannot_be_opened(
    resources: ParentResources, generations: list[Generation], tmp_path: Path
) -> None:
    config = configure(tmp_path, logfile=str(tmp_path / "missing" / "kore.log"))
    reason = resources.prepare(generations[0], config, OPTIONS, first=True)

    assert reason == f"logfile {tmp_path}/missing/kore.log: No such file or directory"


def test_listeners_without_workers_are_closed_and_opened_again_on_their_port(
    resources: ParentResources, generations: list[Generation], tmp_path: Path
) -> None:
    generation = generations[0]
    resources.prepare(generation, configure(tmp_path), OPTIONS, first=True)
    address = generation.sockets[1][0][1].getsockname()
    resources.close_listeners(generation, None)
    assert resources.listeners.open == {}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)
    resources.reopen_listeners(generation)

    assert generation.sockets[1][0][1].getsockname() == address


def test_listeners_of_a_pending_generation_stay_open(
    resources: ParentResources, generations: list[Generation], tmp_path: Path
) -> None:
    active, pending = generations
    resources.prepare(active, configure(tmp_path), OPTIONS, first=True)
    resources.prepare(pending, configure(tmp_path), OPTIONS, first=False)
    resources.close_listeners(active, pending)

    assert active.sockets == {}
    assert pending.sockets[1][0][1].fileno() >= 0


def test_listeners_that_cannot_be_opened_again_are_an_error(
    resources: ParentResources, generations: list[Generation], tmp_path: Path
) -> None:
    generation = generations[0]
    resources.prepare(generation, configure(tmp_path), OPTIONS, first=True)
    resources.close_listeners(generation, None)
    other = replace(SERVER, address=Address(path=str(tmp_path / "none" / "socket")))
    generation.config = replace(configure(tmp_path), servers=(other,))

    with pytest.raises(ConfigError):
        resources.reopen_listeners(generation)


def test_log_that_waits_is_tried_again_by_one_timer(resources: ParentResources) -> None:
    reader, writer = os.pipe()
    loop = CallbackLoop()
    try:
        resources.log_writer._output.fd = writer  # type: ignore[union-attr]
        while not resources.log_writer.pending:
            resources.log_writer.write("[parent]", "x" * 4000)
        for _ in range(3):
            resources.flush_log(loop)
        assert len(loop._deadlines) == 1
        while resources.log_writer.pending:
            os.read(reader, 1 << 16)
            loop.turn()
            resources.flush_log(loop)
    finally:
        resources.log_writer._output.fd = 1  # type: ignore[union-attr]
        loop.close()
        os.close(reader)
        os.close(writer)


def test_everything_is_closed_at_the_end(generations: list[Generation], tmp_path: Path) -> None:
    before = open_descriptors()
    resources = ParentResources()
    options = LaunchOptions(app=str(tmp_path), pidfile=str(tmp_path / "kore.pid"))
    resources.prepare(generations[0], configure(tmp_path), options, first=True)
    assert (tmp_path / "kore.pid").read_text() == f"{os.getpid()}\n"
    generations[0].close()
    resources.log_writer.open("")
    resources.release(0)

    assert open_descriptors() == before
    assert not (tmp_path / "kore.pid").exists()


def test_a_log_that_cannot_be_opened_again_is_kept(
    resources: ParentResources,
    generations: list[Generation],
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    path = tmp_path / "kore.log"
    resources.prepare(generations[0], configure(tmp_path, logfile=str(path)), OPTIONS, first=True)
    moved = path.rename(tmp_path / "moved.log")
    path.mkdir()
    children: Any = SimpleNamespace(all=[])
    resources.reopen_logs(children)
    resources.log_writer.write("[parent]", "still here")

    assert f"logfile {path}: Is a directory, going on with the old one" in caplog.text
    assert "still here" in moved.read_text()
