"""kore.sendobj() and its hook as an application sees them: what is taken, and what is said."""

import os
import re
import signal

import pytest

from tests.helpers.fix_serve import Launcher
from tests.process.objects_client import APP, pid_of, tell
from tests.process.process_helpers import full, get, replaced

CALLS = """
import datetime
from kore import errors

class Own:
    def __eq__(self, other): return type(other) is Own

def refused(obj, **keywords):
    try:
        kore.sendobj(obj=obj, **keywords)
    except Exception as error:
        return f"{[kind.__name__ for kind in type(error).__mro__[:-1]]} {error}"
    return "taken"

def calls(req):
    cycle = []
    cycle.append(cycle)
    req.response(200, "\\n".join([
        refused(Own()),
        refused([bytearray()]),
        refused(cycle),
        refused(bytes(5000)),
        refused(1, worker=0),
        refused(1, worker=2),
        refused(1, worker="1"),
        refused(1, worker=True),
        refused(("fine", 1), worker=1),
        refused("fine, too"),
    ]))

class App:
    def onmsg(self, obj):
        kore.log(6, f"got {obj!r:.40} {obj == Own()}")

try:
    kore.sendobj(1)
except errors.KoreError as error:
    kore.log(6, f"not yet: {error}")
koreapp = App()
kore.domain("*", attach="http").route("/calls", calls, methods=["get"])
"""


@pytest.mark.parametrize("pickled", [False, True])
def test_unsendable_object_is_an_error_with_the_reason(serve: Launcher, pickled: bool) -> None:
    settings = {"worker_message_max": 4096, "worker_message_pickle": pickled}
    server = serve(CALLS, settings=settings)
    own, part, cycle, large, *numbers = get(server, "/calls").decode().splitlines()
    server.log.wait("not yet: no worker runs here")
    server.log.wait("got 'fine, too'")

    if pickled:
        assert own == part == cycle == "taken"
        assert " True]" in server.log.text()
        assert "got [bytearray(b'')]" in server.log.text()
        assert "got [[...]]" in server.log.text()
    else:
        assert "TypeError" in own
        assert re.search(r"cannot send kore_app_app.Own|cannot send app.Own", own)
        assert "worker_message_pickle" in own
        assert "cannot send bytearray" in part
        assert "ValueError" in cycle
        assert "contains itself" in cycle
    assert large.startswith("['TooLargeError', 'KoreError', 'RuntimeError'")
    assert "worker_message_max" in large
    for line, number in zip(numbers, (0, 2), strict=False):
        assert "ValueError" in line
        assert "RuntimeError" in line
        assert f"worker {number} invalid: there are 1..1" in line
    assert "TypeError" in numbers[2]
    assert "not str" in numbers[2]
    assert "not bool" in numbers[3]
    assert numbers[4:] == ["taken", "taken"]
    assert "got ('fine', 1)" in server.log.text()


def test_missing_object_hook_is_logged_once(serve: Launcher) -> None:
    server = serve(
        """
        async def send(req):
            for number in range(3):
                kore.sendobj(number)
            await kore.sendobj_drained()
            kore.log(6, "sent")
            req.response(200, b"")

        kore.domain("*", attach="http").route("/", send, methods=["get"])
        """,
    )
    get(server, "/")
    server.log.wait("log=[sent]")

    assert server.log.text().count("the application has no koreapp.onmsg") == 1


def test_a_function_can_be_the_hook(serve: Launcher) -> None:
    server = serve(
        """
        def onmsg(obj):
            kore.log(6, "this is for WebSockets")

        async def kore_onmsg(obj):
            kore.log(6, f"got {obj}")

        def kore_worker_configure():
            kore.sendobj("from the start")

        def kore_worker_teardown():
            kore.sendobj("from the end", worker=2)
        """,
        settings={"workers": 2},
    )
    for sender in (1, 2):
        server.log.search(rf"(?s)(proc=\[wrk {sender}\] log=\[got from the start\].*){{2}}")
    full(server, 2)
    victim, start = pid_of(server, 1), server.log.size()
    os.kill(victim, signal.SIGTERM)
    server.log.wait("proc=[wrk 2] log=[got from the end]", start)
    replaced(server, [victim], 2)

    assert "WebSockets" not in server.log.text()


def test_stopping_worker_handles_received_objects(serve: Launcher) -> None:
    server = serve(APP, settings={"workers": 3, "worker_no_accept": 2})
    full(server, 3)
    victim = pid_of(server, 2)
    start = tell(server, 1, "load", "2,100,10")
    server.log.wait("loaded", start)
    for number in range(20):
        tell(server, 2, "send", f"('async', {number}, False)")
    os.kill(victim, signal.SIGTERM)
    replaced(server, [victim], 3)
    text = server.log.text(start)

    assert text.count("[wrk 2] log=[began") == text.count("[wrk 2] log=[ended") == 20
    assert "lost" not in text


@pytest.mark.parametrize("seed", range(2))
def test_random_messages_do_no_harm(serve: Launcher, seed: int) -> None:
    server = serve(APP, settings={"workers": 3, "worker_no_accept": 2})
    full(server, 3)
    start = tell(server, 1, "fuzz", seed)
    for number in (1, 2, 3):
        tell(server, number, "send", f"'still {number}'")
    for number in (1, 2, 3):
        for sender in (1, 2, 3):
            server.log.wait(f"[wrk {number}] log=[got 'still {sender}']", start)
    tell(server, 3, "load", "0,200,1000")
    server.log.wait("loaded 0,200,1000", start)

    assert "protocol" not in server.log.text(start)
    assert "[wrk 1] log=[worker 2 has ended" not in server.log.text(start)


def test_awaiting_a_starting_worker_is_an_error(serve: Launcher) -> None:
    server = serve(
        """
        class App:
            def onmsg(self, obj):
                kore.log(6, f"got {obj}")

            async def workerstart(self):
                kore.sendobj("early")
                try:
                    await kore.sendobj_drained()
                except kore.errors.KoreError as error:
                    kore.log(6, f"refused: {error}")

        koreapp = App()
        """,
    )
    server.log.wait("refused: sendobj_drained() cannot be awaited before workerstart has returned")
    server.log.wait("got early")
