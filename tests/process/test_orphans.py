"""What children of the server have started ends with them, and nothing else does."""

import os
import signal

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import KORE, Launcher, Server
from tests.process.process_helpers import alive, finished, full, get, replaced, template

SERVED = """
import os, time
domain = kore.domain("*", attach="http")
domain.route("/pid", lambda req: req.response(200, str(os.getpid())), methods=["get"])
"""
# An entry script with job control: what it starts has a group of its own, and the server's parent.
ENTRY = 'set -m; sleep 1000 & echo $! > helper; exec "$@"'


def reload(server: Server) -> None:
    start = server.log.size()
    os.kill(server.process.pid, signal.SIGHUP)
    server.log.search(r"(?s)reloading.*all worker processes started", start)


def test_processes_of_the_entry_script_continue(serve: Launcher) -> None:
    server = serve(SERVED, command=("sh", "-c", ENTRY, "sh", *KORE))
    helper = int(server.log.path.with_name("helper").read_text())
    try:
        reload(server)
        (worker,) = full(server, 1)
        os.kill(worker, signal.SIGKILL)
        replaced(server, [worker], 1)

        assert alive(helper)
    finally:
        os.kill(helper, signal.SIGKILL)


STARTED = {
    "a program": "import subprocess; pid = subprocess.Popen(['sleep', '1000']).pid\n",
    "a group": "import subprocess\n"
    "pid = subprocess.Popen(['sleep', '1000'], process_group=0).pid\n",
    "a child of a program": "import subprocess\n"
    "pid = int(subprocess.check_output('sleep 1000 >/dev/null & echo $!', shell=True))\n",
    "a process": "import multiprocessing, time; it = multiprocessing.Process(target=time.sleep, "
    "args=(1000,), daemon=True); it.start(); pid = it.pid\n",
    "a fork": "pid = os.fork()\nwhile not pid: time.sleep(1)\n",
}


def started(server: Server) -> list[int]:
    """Return what imports have started."""
    return [int(line) for line in server.log.path.with_name("pids").read_text().split()]


@pytest.mark.parametrize("what", STARTED)
def test_processes_of_an_import_end_with_the_template(serve: Launcher, what: str) -> None:
    keep = "with open('pids', 'a') as file: print(pid, file=file)\n"
    server = serve(SERVED + STARTED[what] + keep)
    reload(server)
    old, new = started(server)

    procs.until(lambda: not alive(old), what="the end of what the old code had started")
    assert alive(new)
    assert get(server)
    os.kill(template(server), signal.SIGKILL)
    procs.until(lambda: len(started(server)) == 3, what="another template")
    procs.until(lambda: not alive(new), what="the end of what the dead template had started")
    os.kill(server.process.pid, signal.SIGTERM)
    assert finished(server) == 0
    assert not any(map(alive, started(server)))


def test_a_child_forked_on_import_can_be_terminated(serve: Launcher) -> None:
    server = serve(
        SERVED + "import multiprocessing, signal\n"
        "it = multiprocessing.get_context('fork').Process(target=time.sleep, args=(1000,))\n"
        "it.start()\nit.terminate()\nit.join()\nprint(f'ended by {it.exitcode}', flush=True)\n"
    )
    assert f"ended by -{signal.SIGTERM:d}" in server.log.text()
    assert get(server)


def test_a_session_of_its_own_outlives_the_template(serve: Launcher) -> None:
    server = serve(
        SERVED + "import subprocess\n"
        "pid = subprocess.Popen(['sleep', '1000'], start_new_session=True).pid\n"
        "with open('pids', 'a') as file: print(pid, file=file)\n"
    )
    reload(server)
    server.log.search(r"worker 1 \(pid \d+\) exited with status 0")

    try:
        assert all(map(alive, started(server)))
        assert get(server)
    finally:
        for pid in started(server):
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize(
    "then", ["sys.exit(0)", "pass", "raise ValueError('in the child')"], ids=str.split
)
def test_a_child_forked_on_import_is_no_template(serve: Launcher, then: str) -> None:
    server = serve(
        SERVED + f"import sys\nif os.fork() == 0:\n    time.sleep(0.1)\n    {then}\n"
        "else:\n    os.wait()\n"
    )
    text = server.log.text()
    server.log.accept()

    assert get(server)
    assert ("in the child" in text) == ("ValueError" in then)
    assert "failed to start" not in text
    reload(server)
    server.log.accept()


def test_processes_of_a_worker_end_with_it(serve: Launcher) -> None:
    server = serve(
        SERVED
        + """
import multiprocessing
multiprocessing.set_start_method("fork")
def start(req):
    it = multiprocessing.Process(target=time.sleep, args=(1000,))
    it.start()
    req.response(200, f"{os.getpid()} {it.pid}")
domain.route("/start", start, methods=["get"])
""",
        settings={"workers": 2},
    )
    started: dict[int, int] = {}
    while len(started) < 2:
        worker, pid = map(int, get(server, "/start").split())
        started.setdefault(worker, pid)
    (dead, its), (_, other) = started.items()

    os.kill(dead, signal.SIGKILL)
    replaced(server, [dead], 2)

    procs.until(lambda: not alive(its), what="the end of what the dead worker had forked")
    assert alive(other)


def test_programs_of_a_worker_end_with_it_whatever_their_environment(serve: Launcher) -> None:
    server = serve(
        SERVED
        + """
async def start(req):
    procs = [kore.proc("sleep 1000"), kore.proc("sleep 1000", env=["A=1"])]
    req.response(200, " ".join(str(proc.pid) for proc in procs))
    await kore.suspend(1000_000)
domain.route("/start", start, methods=["get"])
"""
    )
    with server.connect() as client:
        client.send(b"GET /start HTTP/1.1\r\nhost: x\r\n\r\n")
        pids = list(map(int, client.answer().body.split()))
        (worker,) = full(server, 1)
        os.kill(worker, signal.SIGKILL)
        replaced(server, [worker], 1)
    procs.until(lambda: not any(map(alive, pids)), what="the end of its programs")
