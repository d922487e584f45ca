import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher, Server
from tests.process.process_helpers import APP, full, get, replaced, template, until_children

STANDARD = {"0", "1", "2"}


def others(pid: int) -> dict[str, str]:
    """Return what a process has open beside the standard three."""
    found = {}
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found[entry.name] = str(entry.readlink())
        except FileNotFoundError:
            continue
    return {number: target for number, target in found.items() if number not in STANDARD}


def sockets(pid: int) -> set[str]:
    return {target for target in others(pid).values() if target.startswith("socket:")}


def listening() -> set[str]:
    """Return all sockets of this machine that listen on TCP."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[3] == "0A"}


def kinds(pid: int) -> Counter[str]:
    """Count what is open, without the numbers that tell one from another."""
    return Counter(
        target.partition("[")[0] if "anon_inode" not in target else target
        for target in others(pid).values()
    )


def check(server: Server, count: int) -> list[Counter[str]]:
    """Hold every child to its list; return what the workers have."""
    workers = full(server, count)
    ours = sockets(server.process.pid) & listening()
    assert len(ours) == count, "one listening socket per worker"
    seen: set[str] = set()
    for pid in workers:
        mine = sockets(pid) & listening()
        assert len(mine) == 1
        assert mine <= ours
        assert not mine & seen, "each worker has its own"
        seen |= mine
        boards = {t for t in others(pid).values() if t.startswith("/memfd:kore-scoreboard")}
        assert len(boards) == 1
        # Nothing of another child: what two have in common is on the list of both.
        for other in (*workers, template(server)):
            if other != pid:
                assert not sockets(pid) & sockets(other)
        assert not {t for t in others(pid).values() if t.startswith("/") and t not in boards}
    # As soon as it has closed what it handed to the last worker.
    procs.until(
        lambda: list(kinds(template(server)).items()) == [("socket:", 1)],
        what="its channel, nothing else",
    )
    return [kinds(pid) for pid in workers]


@pytest.mark.parametrize("count", [1, 3])
def test_child_has_only_its_listed_descriptors(serve: Launcher, loop: str, count: int) -> None:
    server = serve(APP, settings={"workers": count}, loop=loop)
    found = check(server, count)

    assert all(kind == found[0] for kind in found)
    assert found[0]["socket:"] >= 2, "its channel and a listening socket"


def test_descriptors_of_children_do_not_accumulate(serve: Launcher) -> None:
    server = serve(APP, settings={"workers": 2})
    expected = check(server, 2)[0]
    for _ in range(3):
        before = full(server, 2)
        os.kill(before[0], signal.SIGKILL)
        replaced(server, before[:1], 2)
        assert check(server, 2) == [expected, expected]
    for _ in range(3):
        before = full(server, 2)
        os.kill(server.process.pid, signal.SIGHUP)
        replaced(server, before, 2)
        until_children(server, 3)
        assert check(server, 2) == [expected, expected]
    parent = kinds(server.process.pid)
    os.kill(template(server), signal.SIGKILL)
    server.log.wait("the workers go on")
    until_children(server, 3)
    before = full(server, 2)
    os.kill(before[0], signal.SIGKILL)
    replaced(server, before[:1], 2)
    assert check(server, 2) == [expected, expected]
    procs.until(lambda: kinds(server.process.pid) == parent, what="the parent has what it had")


def test_inherited_descriptors_are_closed_in_children(
    serve: Launcher, tmp_path: Path
) -> None:
    secret = os.open(tmp_path, os.O_RDONLY)
    app = APP + "import pathlib\nkore.log(6, str(list(pathlib.Path('/proc/self/fd').iterdir())))\n"
    try:
        os.set_inheritable(secret, True)
        server = serve(app)
    finally:
        os.close(secret)

    for pid in procs.children(server.process.pid):
        assert str(tmp_path) not in others(pid).values()


def test_a_file_that_was_opened_on_import_stays_open(serve: Launcher) -> None:
    server = serve(
        """
        mine = open("mine", "w+", buffering=1)
        domain = kore.domain("*", attach="http")
        def write(req):
            mine.write("written\\n")
            req.response(200, b"ok")
        domain.route("/write", write, methods=["get"])
        """,
        settings={"workers": 2},
    )
    for _ in range(10):
        assert get(server, "/write") == b"ok"

    assert (server.log.path.parent / "mine").read_text() == "written\n" * 10


def test_a_program_that_a_worker_starts_gets_the_standard_three(serve: Launcher) -> None:
    server = serve(
        """
        import subprocess
        domain = kore.domain("*", attach="http")
        def run(req):
            shell = "ls /proc/self/fd | wc -l; kill -INT $$; echo survived"
            out = subprocess.run(["sh", "-c", shell], close_fds=False, capture_output=True).stdout
            req.response(200, out)
        domain.route("/run", run, methods=["get"])
        """
    )

    # Four: `ls` itself opens the directory. And ctrl-C ends it, as anywhere.
    assert get(server, "/run").split() == [b"4"]
