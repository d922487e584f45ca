import contextlib
import os
import random
import re
import shutil
import signal
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.ports import free_port
from tests.process.process_helpers import (
    APP,
    alive,
    answer,
    ask,
    end,
    finished,
    full,
    get,
    port_is_free,
    replaced,
    rewrite,
    status,
    template,
    took,
    try_get,
)

FATES = {
    "/kill": "killed by SIGKILL",
    "/segv": "killed by SIGSEGV",
    "/exit0": "exited with status 0",
    "/exit3": "exited with status 3",
}


@pytest.mark.parametrize("count", [1, 2, 4])
def test_workers_are_replaced_however_they_end(serve: Launcher, count: int) -> None:
    server = serve(APP, settings={"workers": count})
    parent = server.process.pid
    for path, fate in FATES.items():
        before = full(server, count)
        start = server.log.size()

        assert try_get(server, path) == b""

        said = server.log.search(r"worker (\d) \(pid (\d+)\) (.*) while in route '(.*)'\]", start)
        assert int(said[2]) in before
        assert said[3] == fate
        assert said[4] == path
        server.log.wait(f"restarting worker {said[1]}]", start)
        after = replaced(server, [int(said[2])], count)
        assert set(before) - set(after) == {int(said[2])}, "the others are undisturbed"
        assert int(get(server)) in after
    assert server.process.pid == parent
    assert server.process.poll() is None


@pytest.mark.parametrize("count", [1, 2, 4])
def test_all_workers_may_die_at_once(serve: Launcher, count: int) -> None:
    server = serve(APP, settings={"workers": count})
    before = full(server, count)
    for pid in before:
        os.kill(pid, signal.SIGKILL)

    assert len(replaced(server, before, count)) == count
    assert get(server)


def test_a_replacement_costs_less_than_a_fifth_of_a_second(serve: Launcher) -> None:
    server = serve("print('imported', flush=True)\n" + APP)
    (worker,) = full(server, 1)
    family = (server.process.pid, template(server))
    before = sum(map(procs.cpu, family))
    os.kill(worker, signal.SIGKILL)
    (successor,) = replaced(server, [worker], 1)
    assert get(server) == str(successor).encode()

    # Of processor time: what else the machine has to do is not our subject. That it starts at
    # once the first time is Backoff's.
    assert sum(map(procs.cpu, (*family, successor))) - before < 0.2
    assert server.log.text().count("imported") == 1


def test_waiting_connections_are_answered_by_the_successor(serve: Launcher) -> None:
    server = serve(APP)
    (worker,) = full(server, 1)
    busy = ask(server, "/sleep", 60)
    server.log.wait("asleep in")
    queued = [ask(server, "/pid", 0) for _ in range(5)]
    os.kill(worker, signal.SIGKILL)
    (successor,) = replaced(server, [worker], 1)

    assert answer(busy) == b""
    for client in queued:
        assert answer(client).endswith(f"\r\n\r\n{successor}".encode())


def test_log_names_the_waiting_route_of_a_dead_worker(serve: Launcher) -> None:
    server = serve(APP)
    (worker,) = full(server, 1)
    clients = [ask(server, "/wait", 60) for _ in range(2)]
    procs.until(lambda: server.log.text().count("waiting in") == 2)
    assert get(server), "both handlers have given way"
    os.kill(worker, signal.SIGKILL)

    server.log.wait(
        f"worker 1 (pid {worker}) killed by SIGKILL with 2 requests waiting, latest in '/wait'"
    )
    for client in clients:
        assert answer(client) == b""


def test_log_says_that_a_dead_worker_was_in_no_route(serve: Launcher) -> None:
    server = serve(APP)
    (worker,) = full(server, 1)
    assert get(server)
    os.kill(worker, signal.SIGKILL)

    server.log.wait(f"worker 1 (pid {worker}) killed by SIGKILL in no route")


def test_terminate_policy_stops_the_server(serve: Launcher) -> None:
    server = serve(APP, settings={"workers": 2, "worker_death_policy": "terminate"})
    assert try_get(server, "/exit0") == b""

    assert finished(server) == 1
    assert "worker policy is 'terminate', stopping" in server.log.text()
    assert "restarting" not in server.log.text()
    assert port_is_free(server.address[1])


def test_a_crash_loop_is_slowed_down(serve: Launcher) -> None:
    server = serve(
        """
        import os, pathlib
        class App:
            def configure(self, args):
                domain = kore.domain("*", attach="http")
                domain.route("/end", lambda req: os._exit(1), methods=["get"])
            def workerstart(self):
                if pathlib.Path("broken").exists():
                    os._exit(4)
        koreapp = App()
        """
    )
    (server.log.path.parent / "broken").touch()
    since = time.monotonic()
    assert try_get(server, "/end") == b""
    procs.until(lambda: server.log.text().count("exited with status 4") >= 4, what="four deaths")

    # The first starts at once, the others 0.1, 0.2 and 0.4 s after the one before.
    assert took(since) > 0.7
    (server.log.path.parent / "broken").unlink()
    full(server, 1)


def test_dead_template_is_restarted_without_affecting_workers(serve: Launcher) -> None:
    server = serve(APP, settings={"workers": 2})
    workers = full(server, 2)
    first = template(server)
    os.kill(first, signal.SIGKILL)
    server.log.wait(f"template (pid {first}) killed by SIGKILL; the workers go on")

    assert full(server, 2) == workers
    assert get(server)
    second = template(server)
    assert second != first
    os.kill(workers[0], signal.SIGKILL)
    assert workers[1] in replaced(server, workers[:1], 2)


@pytest.mark.parametrize("rounds", [3])
def test_template_and_workers_may_die_together(serve: Launcher, rounds: int) -> None:
    server = serve(APP, settings={"workers": 2})
    for _ in range(rounds):
        before = full(server, 2)
        for pid in (template(server), *before):
            os.kill(pid, signal.SIGKILL)
        replaced(server, before, 2)

        assert get(server)


def test_failing_template_is_retried(serve: Launcher) -> None:
    server = serve(APP)
    (worker,) = full(server, 1)
    app = server.log.path.parent / "app.py"
    good = app.read_text()
    rewrite(app, "raise ValueError('half written')\n")
    # It may be tried more than once before the file is mended.
    with server.expecting("ValueError: half written", errors=None):
        os.kill(template(server), signal.SIGKILL)
        server.log.search(r"exited with status 1: Traceback")
        assert full(server, 1) == [worker]
        rewrite(app, good)
        os.kill(worker, signal.SIGKILL)
        replaced(server, [worker], 1)
    assert get(server)


def test_without_workers_and_without_a_template_clients_are_refused(serve: Launcher) -> None:
    server = serve(APP, port=free_port())
    workers = full(server, 1)
    app = server.log.path.parent / "app.py"
    good = app.read_text()
    rewrite(app, "raise ValueError('half written')\n")
    with server.expecting("no worker is left: not listening any more", errors=None):
        os.kill(template(server), signal.SIGKILL)
        server.log.search(r"exited with status 1: Traceback")
        os.kill(workers[0], signal.SIGKILL)
        server.log.wait("no worker is left")
        procs.until(lambda: port_is_free(server.address[1]), what="a closed port")
        with pytest.raises(ConnectionRefusedError):
            server.connect()
        # A reload is no way out as long as the file is not mended, and says so.
        os.kill(server.process.pid, signal.SIGHUP)
        server.log.wait("reload failed, no worker is left: ")
        rewrite(app, good)
        replaced(server, workers, 1)
    assert get(server)


def test_template_is_retried_without_an_interpreter(
    serve: Launcher, tmp_path: Path
) -> None:
    python = interpreter(tmp_path / "env")
    server = serve(APP, command=(str(python), "-m", "kore"))
    (worker,) = full(server, 1)
    missing = f"cannot start {python}: No such file or directory; the workers go on"
    python.rename(tmp_path / "kept")

    os.kill(template(server), signal.SIGKILL)
    procs.until(lambda: server.log.text().count(missing) >= 5, what="a few attempts")
    assert get(server)
    (tmp_path / "kept").rename(python)
    os.kill(worker, signal.SIGKILL)
    replaced(server, [worker], 1)
    assert get(server)
    times = re.findall(rf"^(\S+ \S+) UTC .*{re.escape(missing)}", server.log.text(), re.MULTILINE)
    first, last = (datetime.fromisoformat(times[at]) for at in (0, 4))
    assert last - first > timedelta(seconds=0.6), "it tries ever less often"


def interpreter(place: Path) -> Path:
    """Return an interpreter that can be taken away, with all that this one knows."""
    (place / "bin").mkdir(parents=True)
    (place / "lib").symlink_to(Path(sys.prefix) / "lib")
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", place)
    python = place / "bin" / "python"
    python.symlink_to(Path(sys.executable).resolve())
    return python


@pytest.mark.parametrize("path", ["/pid", "/sleep", "/wait"])
def test_all_children_end_with_the_parent(serve: Launcher, path: str) -> None:
    server = serve(APP, settings={"workers": 2})
    full(server, 2)
    client = ask(server, path, 60)
    if path != "/pid":
        server.log.wait(" in ")
    family = procs.session(server.process.pid)
    assert len(family) == 4
    os.kill(server.process.pid, signal.SIGKILL)
    procs.until(lambda: not any(map(alive, family)), what="everybody gone")

    assert port_is_free(server.address[1])
    client.close()
    assert finished(server) == -signal.SIGKILL


@pytest.mark.parametrize(
    ("count", "rounds"),
    [(4, 12), *(pytest.param(count, 200, marks=pytest.mark.slow) for count in (1, 2, 4))],
)
def test_server_recovers_from_random_kills(serve: Launcher, count: int, rounds: int) -> None:
    """Requests go on meanwhile, from several clients; workers and template are hit."""
    server = serve(APP, settings={"workers": count})
    full(server, count)
    over = threading.Event()
    answered: list[bytes] = []

    def client() -> None:
        while not over.is_set():
            answered.append(try_get(server, timeout=60))

    clients = [threading.Thread(target=client) for _ in range(4)]
    for thread in clients:
        thread.start()
    rng = random.Random(rounds)
    for _ in range(rounds):
        number = rng.choice([signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT])
        if victims := procs.children(server.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(rng.choice(victims), number)
        time.sleep(0.1)
    # The longest wait between two starts is over by then.
    full(server, count, seconds=40)
    over.set()
    for thread in clients:
        thread.join()

    assert get(server)
    assert any(answered)
    assert server.process.poll() is None
    assert end(server, signal.SIGTERM) == 0


def test_orphans_of_a_worker_do_not_confuse_the_parent(serve: Launcher) -> None:
    server = serve(
        """
        import os, subprocess
        domain = kore.domain("*", attach="http")
        def leave(req):
            subprocess.Popen(["sleep", "0.3"])
            os._exit(0)
        domain.route("/leave", leave, methods=["get"])
        """
    )
    before = full(server, 1)
    assert try_get(server, "/leave") == b""
    replaced(server, before, 1)
    # Handed to the parent when the worker ended, and reaped by it.
    procs.until(lambda: len(everybody(server)) == 2, what="the program is reaped")
    status(server)

    assert len(re.findall("restarting worker", server.log.text())) == 1


def everybody(server: Server) -> list[int]:
    """Return the parent's children, dead ones included."""
    return [pid for pid, stat in procs.stats() if int(stat[1]) == server.process.pid]
