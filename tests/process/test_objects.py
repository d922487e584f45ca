"""kore.sendobj() between real workers: whole, in order, bounded; and what happens to the dead."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.fix_serve import Launcher, Server
from tests.process.objects_client import APP, pid_of, tell
from tests.process.process_helpers import answer, ask, end, full, replaced, until_status

MIB = 1 << 20


@pytest.fixture(scope="module")
def three(serve_module: Launcher) -> Server:
    """Return a server of three workers that nothing breaks for good; nobody waits for 2."""
    return serve_module(APP, settings={"workers": 3, "worker_no_accept": 2})


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Path]:
    """Return a file that is not there yet; it opens what still waits for it at the end."""
    yield tmp_path / "gate"
    (tmp_path / "gate").touch()


@pytest.mark.parametrize("name", ["uvloop", "asyncio"])
def test_an_object_reaches_every_worker_as_it_was(serve: Launcher, name: str) -> None:
    server = serve(APP, loop=name, settings={"workers": 3})
    full(server, 3)
    value = "(1, {'k': [b'x', None, (2.5, {3})], 4: True}, 2**100)"
    start = tell(server, 1, "send", value)
    for number in (1, 2, 3):
        server.log.wait(f"proc=[wrk {number}] log=[got {eval(value)!r}]", start)

    assert server.log.text(start).count("log=[got ") == 3


def test_the_order_of_each_sender_is_kept_under_load(three: Server) -> None:
    full(three, 3)
    starts = [tell(three, number, "load", "0,1500,300") for number in (1, 2, 3)]
    tell(three, 2, "load", "3,40,300000")
    for number in (1, 2, 3):
        three.log.search(rf"proc=\[wrk {number}\] log=\[loaded 0,1500,300\]", min(starts))
    three.log.search(r"proc=\[wrk 2\] log=\[loaded 3,40,300000\]", min(starts))
    for number in (1, 2, 3):
        start = tell(three, number, "seen", "0,1500,300")
        assert "300 [(1, 1499, 1500), (2, 1499, 1500), (3, 1499, 1500)]" in three.log.text(start)
    start = tell(three, 3, "seen", "3,40,300000")

    assert "seen 3,40,300000 [(2, 39, 40)]" in three.log.text(start)
    assert "after" not in three.log.text(min(starts))


def test_blocking_worker_delays_only_its_senders(three: Server, gate: Path) -> None:
    full(three, 3)
    before = procs.resident(three.process.pid), procs.resident(pid_of(three, 1))
    start = tell(three, 2, "block", gate, wait=False)
    three.log.wait(f"blocked until {gate}", start)
    tell(three, 1, "fill", "2,1000")
    count = int(three.log.search(r"filled 2 with (\d+): worker 2 has not handled", start)[1])
    assert 500 < count < 3000
    # Over and over: it is told each time, and nothing piles up.
    for _ in range(5):
        tell(three, 1, "fill", "2,1000")
    tell(three, 3, "fill", "2,500000")
    assert three.log.text(start).count("filled 2 with 0: worker 2 has not") == 5
    assert "filled 2 with 2: worker 2 has not" in three.log.text(start)
    tell(three, 1, "load", "3,100,100000")
    three.log.wait("loaded 3,100,100000", start)
    assert procs.resident(three.process.pid) - before[0] < 25 * MIB
    assert procs.resident(pid_of(three, 1)) - before[1] < 25 * MIB

    tell(three, 1, "drained", 2, wait=False)
    assert "drained 2" not in three.log.text(start)
    gate.touch()
    three.log.wait("drained 2", start)
    assert "after" not in three.log.text(start)


def test_server_stops_in_time_while_a_worker_is_busy(serve: Launcher, gate: Path) -> None:
    server = serve(APP, settings={"workers": 2, "worker_no_accept": 2, "drain_timeout": 1})
    full(server, 2)
    start = tell(server, 2, "block", gate, wait=False)
    server.log.wait("blocked until", start)
    tell(server, 1, "fill", "2,100000")

    # The one that blocks has to be killed: that is said, and nobody waits for it longer.
    assert end(server, signal.SIGTERM) == 0
    assert "worker 2 (pid" in server.log.text(start)


def test_objects_for_a_dead_worker_are_reported_and_its_successor_works(
    serve: Launcher, gate: Path
) -> None:
    server = serve(APP, settings={"workers": 3, "worker_no_accept": 2})
    full(server, 3)
    victim = pid_of(server, 2)
    start = tell(server, 2, "block", gate, wait=False)
    server.log.wait("blocked until", start)
    tell(server, 1, "fill", "2,300000")
    tell(server, 1, "drained", 2, wait=False)
    os.kill(victim, signal.SIGKILL)
    server.log.wait("drained 2", start)
    lost = server.log.search(r"\[wrk 1\] log=\[worker 2 has ended: up to (\d+) messages", start)
    assert 1 <= int(lost[1]) <= 5
    replaced(server, [victim], 3)
    tell(server, 1, "load", "2,20,300000")
    server.log.wait("loaded 2,20,300000", start)
    tell(server, 2, "seen", "2,20,300000")

    assert "seen 2,20,300000 [(1, 19, 20)]" in server.log.text(start)


def test_partial_object_is_discarded_with_its_sender(three: Server) -> None:
    full(three, 3)
    victim = pid_of(three, 3)
    start = tell(three, 3, "half", 1, wait=False)
    replaced(three, [victim], 3)
    tell(three, 3, "send", "'whole'")

    three.log.wait("proc=[wrk 1] log=[got 'whole']", start)
    assert "malformed message" not in three.log.text(start)


def test_sends_to_a_worker_that_is_not_restarted_end(serve: Launcher, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    hook = f"""
def start():
    if kore.worker() == 2 and Path({str(broken)!r}).exists():
        raise RuntimeError("as it should")
App.workerstart = staticmethod(start)
"""
    settings = {"workers": 2, "worker_no_accept": 2}
    server = serve(APP.read_text() + hook, settings=settings)
    full(server, 2)
    with server.expecting("restarting worker 2", errors=None):
        broken.touch()
        start = tell(server, 2, "kill", wait=False)
        server.log.wait("restarting worker 2", start)
        tell(server, 1, "send", "'into the void'")
        tell(server, 1, "drained", 0)
        server.log.wait("drained 0", start)
        broken.unlink()
        full(server, 2)
    tell(server, 2, "send", "'back'")
    server.log.wait("proc=[wrk 1] log=[got 'back']", start)


def test_async_hooks_run_in_order_and_continue_after_errors(three: Server) -> None:
    full(three, 3)
    with three.expecting("uncaught exception SystemExit('failed 1') in koreapp.onmsg", errors=3):
        start = tell(three, 1, "send", "('async', 0, False)")
        tell(three, 1, "send", "('async', 1, True)")
        tell(three, 1, "send", "('async', 2, False)")
        for number in (1, 2, 3):
            three.log.wait(f"[wrk {number}] log=[ended 2]", start)
    text = three.log.text(start)
    for number in (1, 2, 3):
        said = re.findall(rf"\[wrk {number}\] log=\[(began|ended) (\d)\]", text)
        assert said == [
            ("began", "0"),
            ("ended", "0"),
            ("began", "1"),
            ("began", "2"),
            ("ended", "2"),
        ]


def test_an_error_in_the_hook_is_logged_and_the_next_object_comes(three: Server) -> None:
    full(three, 3)
    with three.expecting("in koreapp.onmsg", errors=3):
        start = tell(three, 1, "send", "('do', 'nonsense', '', 0)")
        tell(three, 1, "send", "'next'")
        for number in (1, 2, 3):
            three.log.wait(f"[wrk {number}] log=[got 'next']", start)


# Hostile workers


def test_exceeding_the_window_fills_no_queue(serve: Launcher, gate: Path) -> None:
    settings = {"workers": 3, "worker_no_accept": 2, "worker_message_max": "256k"}
    server = serve(APP, settings=settings)
    full(server, 3)
    start = tell(server, 2, "block", gate, wait=False)
    server.log.wait("blocked until", start)
    before = procs.resident(server.process.pid)
    # 250 MB, while the parent goes on for everybody else.
    tell(server, 1, "flood", 2, wait=False)
    server.log.search(r"worker 1 \(pid \d+\): queue to worker 2 \(pid \d+\) is full", start)
    tell(server, 3, "send", "'still here'")
    server.log.wait("[wrk 1] log=[got 'still here']", start)
    assert procs.resident(server.process.pid) - before < 20 * MIB

    gate.touch()

    def arrives() -> bool:
        # Of its own lines about the flood, and this one among them, some may be left out.
        tell(server, 3, "send", "'afterwards'")
        return "[wrk 2] log=[got 'afterwards']" in server.log.text(start)

    procs.until(arrives, what="an object behind the flood")
    assert server.log.text(start).count("is full, messages dropped") == 1


def test_malformed_objects_are_dropped_and_logged_once(three: Server) -> None:
    full(three, 3)
    start = tell(three, 1, "junk", 2)
    tell(three, 1, "junk", 2)
    tell(three, 1, "send", "'after junk'")
    three.log.wait("[wrk 2] log=[got 'after junk']", start)
    text = three.log.text(start)

    assert text.count("worker 1: malformed message") == 1
    assert text.count("discarding object from worker 1: it is pickled") == 2
    assert "discarding object from worker 1: cannot decode" in text


def test_worker_sends_only_to_allowed_roles(serve: Launcher) -> None:
    server = serve(APP, settings={"workers": 2})
    full(server, 2)
    start = tell(server, 1, "forge")
    tell(server, 2, "send", "'on'")
    server.log.wait("broke the protocol: message to unknown worker 9", start)
    tell(server, 1, "forge", wait=False)
    server.log.wait("goes on breaking the protocol, killed", start)

    assert server.log.text(start).count("broke the protocol") == 1
    full(server, 2)


# Reloads


def test_generations_do_not_write_to_one_another(serve: Launcher, gate: Path) -> None:
    server = serve(APP, settings={"workers": 2})
    old = full(server, 2)
    client = ask(server, f"/wait/{gate}", 0)
    sender = server.log.search(r"waiting in (\d+)")[1]
    start = server.log.size()
    server.process.send_signal(signal.SIGHUP)
    server.log.wait("all worker processes started", start)
    until_status(server, r"status: [45] children")
    gate.touch()
    assert b"200 OK" in answer(client)
    fresh = replaced(server, old, 2)
    for number in (1, 2):
        tell(server, number, "send", "{'from': kore.worker()}")
    text = server.log.search(rf"(?s)in {fresh[0]} from 2.*\Z", start).string
    heard = {int(pid) for pid in re.findall(rf"in (\d+) from {sender}\b", text)}

    # Its neighbour may have ended before.
    assert {int(sender)} <= heard <= set(old)
    for number in (1, 2):
        assert set(re.findall(rf"in (\d+) from {number}\b", text)) == set(map(str, fresh))
