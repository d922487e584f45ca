"""The toolkit within a server: what ends with a client, with a task, with a worker."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import procs
from tests.helpers.build import get
from tests.helpers.fix_serve import Launcher, Server
from tests.process.process_helpers import finished

APP = Path(__file__).with_name("toolkit_app.py")


@pytest.fixture(scope="module")
def server(serve_module: Launcher, loop: str) -> Server:
    return serve_module(APP, loop=loop)


def ask(server: Server, path: str) -> Any:
    with server.connect() as client:
        answer = client.ask(get(path))
    assert answer.status == 200
    return answer.body


def seen(server: Server) -> list[Any]:
    return list(json.loads(ask(server, "/seen")))


def pids_of(server: Server, key: str, count: int) -> list[int]:
    """Return the processes that the application has noted, when there are so many."""

    def found() -> list[int]:
        return [pid for each in seen(server) if key in each for pid in each[key]]

    procs.until(lambda: len(found()) >= count, what=f"{count} {key}")
    return found()[-count:]


def running(pid: int) -> bool:
    return bool(stat := procs.stat(pid)) and stat[0] != "Z"


def test_when_a_client_leaves_all_that_its_handler_had_is_given_up(server: Server) -> None:
    before = len(seen(server))
    client = server.connect()
    client.send(get("/chain"))
    pids = pids_of(server, "pids", 2)
    for what in ("locked", "connected", "waits for the queue"):
        procs.until(lambda what=what: what in seen(server)[before:], what=what)
    waiting = server.connect()
    waiting.send(get("/next"))
    assert all(map(running, pids))

    client.close()

    # The lock went to the next one, which finds nobody before it in the queue.
    assert waiting.answer().body == b"['x', 0]"
    waiting.close()
    procs.until(lambda: not any(map(running, pids)), what="process and grandchild killed")
    told = seen(server)[before:]
    for what in ("socket ended", "process given up", "queue place given up", "handler ended"):
        assert what in told


def test_asyncio_primitives_work_in_handlers(server: Server) -> None:
    assert ask(server, "/foreign") == b"asyncio kore\n"


def test_a_task_that_exits_ends_itself_only(server: Server) -> None:
    worker = server.worker
    with server.expecting("SystemExit('on purpose') in task", "in <kore.timer", errors=2):
        ask(server, "/exits")
    assert server.worker == worker


def test_handlers_are_listed_with_tasks(server: Server) -> None:
    client = server.connect()
    client.send(get("/chain"))

    def waiting() -> list[Any]:
        return [each for each in json.loads(ask(server, "/tasks")) if "/chain" in each[1]]

    procs.until(waiting, what="the handler in the list")
    ((number, name, where),) = waiting()
    assert number > 0
    assert name == "route '/chain'"
    assert where.startswith(f"{server.log.path.parent}/app.py:")
    client.close()
    procs.until(lambda: not waiting(), what="the handler gone from the list")


def test_a_handler_has_one_id_from_its_first_line_on(server: Server) -> None:
    assert ask(server, "/ids") == b"True"


def test_a_worker_that_stops_leaves_no_process(serve: Launcher, loop: str) -> None:
    server = serve(APP, loop=loop)
    ask(server, "/sleeper")
    pids = pids_of(server, "task pids", 4)
    assert all(map(running, pids))

    server.stop()  # it fails unless all processes are gone

    assert not any(map(running, pids))


def test_a_worker_that_is_killed_leaves_no_process(serve: Launcher) -> None:
    server = serve(APP)
    ask(server, "/sleeper")
    pids = pids_of(server, "task pids", 4)
    with server.connect() as client, server.expecting("killed by SIGKILL", errors=None):
        client.send(get("/die"))
        client.until_ended()

    procs.until(lambda: not any(map(running, pids)), what="orphans killed")
    assert seen(server) == [], "a new worker serves"


@pytest.mark.parametrize("stuck", [False, True], ids=["idle", "stopped"])
def test_a_parent_that_is_killed_takes_all_processes_along(serve: Launcher, *, stuck: bool) -> None:
    """Whatever its workers are doing: the kernel does it."""
    server = serve(APP)
    ask(server, "/sleeper")
    pids = pids_of(server, "task pids", 4)
    if stuck:
        os.kill(server.worker, signal.SIGSTOP)

    os.kill(server.process.pid, signal.SIGKILL)

    assert finished(server) == -signal.SIGKILL
    procs.until(lambda: not any(map(running, pids)), what="processes of workers killed")
