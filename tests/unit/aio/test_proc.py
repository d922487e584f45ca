"""Processes: what they are given, what they say, how they end."""

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import pytest

import kore
from kore.errors import KoreError, SocketError
from tests.helpers.loops import on_both, until
from tests.helpers.spawned_processes import alive, gone, output

MB = 2**20


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("printf %s| a b", "a|b|"),
        ("printf  %s|   a   b ", "a|b|"),
        ('printf %s| "a b" c', "a b|c|"),
        ("printf %s| 'a b' c", "a b|c|"),
        ('printf %s| x="a b" "c d""e"', "x=a b|c de|"),
        (r"printf %s| a\ b '$HOME' *", "a b|$HOME|*|"),
        (["printf", "%s|", "a b", '"', "'"], "a b|\"|'|"),
        (("printf", "%s|", ""), "|"),
    ],
)
@on_both
async def test_command_is_split_like_a_shell_does(command: Any, words: str) -> None:
    proc = kore.proc(command)

    assert await output(proc) == words.encode()
    assert await proc.reap() == 0


@pytest.mark.parametrize(
    ("command", "error", "text"),
    [
        ("", ValueError, "the command is empty"),
        ([], ValueError, "the command is empty"),
        ('echo "x', ValueError, "No closing quotation"),
        (b"ls", TypeError, "a command must be str or a list of str"),
        (["ls", 5], TypeError, "a command must be str or a list of str"),
        (["ls", "a\0b"], ValueError, "null"),
        ("/no/such/program x", SocketError, "failed to execute /no/such/program .No such file"),
        ("no-such-program-anywhere", SocketError, "no-such-program-anywhere .No such file"),
        ("/etc/passwd", SocketError, "failed to execute /etc/passwd .Permission denied"),
    ],
)
@on_both
async def test_command_that_cannot_run_raises_with_the_reason(
    command: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        kore.proc(command)


@pytest.mark.parametrize("env", [["A=1", "B=x=y", "C="], {"A": "1", "B": "x=y", "C": ""}])
@on_both
async def test_process_gets_the_given_environment(env: Any) -> None:
    assert await output(kore.proc("/usr/bin/env", env=env)) == b"A=1\nB=x=y\nC=\n"


@on_both
async def test_process_inherits_the_environment_by_default() -> None:
    said = await output(kore.proc("env"))

    assert f"PATH={os.environ['PATH']}\n".encode() in said


@pytest.mark.parametrize(
    ("env", "text"), [("A=1", "env is not of type 'list'"), (["A"], "must be 'NAME=value'")]
)
@on_both
async def test_invalid_environment_is_refused(env: Any, text: str) -> None:
    with pytest.raises(KoreError, match=text):
        kore.proc("true", env=env)


@on_both
async def test_process_runs_in_the_given_directory(tmp_path: Path) -> None:
    assert await output(kore.proc("pwd", cwd=tmp_path)) == f"{tmp_path}\n".encode()
    with pytest.raises(SocketError, match=f"{tmp_path}/nowhere .No such file"):
        kore.proc("pwd", cwd=tmp_path / "nowhere")


BOTH = ["sh", "-c", "echo out; echo err >&2"]


@on_both
async def test_stderr_comes_with_stdout_or_separately() -> None:
    together = kore.proc(BOTH)
    apart = kore.proc(BOTH, stderr=True)

    assert await output(together) == b"out\nerr\n"
    assert await output(apart) == b"out\n"
    assert [await apart.recv_stderr(100), await apart.recv_stderr(100)] == [b"err\n", None]
    with pytest.raises(KoreError, match="stderr comes with the output"):
        await together.recv_stderr(100)


@on_both
async def test_process_reads_input_and_writes_output() -> None:
    proc = kore.proc("cat")
    await proc.send(b"bytes ")
    await proc.send("text")
    await proc.send(b"")
    assert await proc.recv(3) == b"byt"
    assert (await proc.recv(100) or b"").startswith(b"es ")
    assert proc.close_stdin()
    assert proc.close_stdin()
    with pytest.raises(KoreError, match="stdin closed"):
        await proc.send(b"x")
    await output(proc)
    assert await proc.reap() == 0


@on_both
async def test_large_input_and_output_at_the_same_time() -> None:
    proc, data = kore.proc("cat"), bytes(range(256)) * (3 * MB // 256)

    async def feed() -> None:
        await proc.send(data)
        proc.close_stdin()

    _, got = await kore.gather(feed(), output(proc))
    assert got == data


@on_both
async def test_send_to_a_process_that_closed_its_input_raises() -> None:
    proc = kore.proc("true")
    await proc.reap()
    with pytest.raises(SocketError, match=r"^Broken pipe$"):
        await proc.send(b"x")
    proc = kore.proc("sh -c 'read x; exec 0<&-; echo'")
    sending = asyncio.create_task(proc.send(b"x\n" * MB))
    await proc.recv(1)
    with pytest.raises(SocketError, match=r"^Broken pipe$"):
        await sending


@pytest.mark.usefixtures("kernel")
@on_both
async def test_status_can_be_awaited_and_is_an_int_after_the_end() -> None:
    proc = kore.proc("sh -c 'read x; exit 3'")
    status = proc.reap()
    with pytest.raises(KoreError, match="the process has not ended yet"):
        int(status)
    assert (repr(status), repr(proc)) == (
        "<kore.proc status: running>",
        f"<kore.proc pid={proc.pid} running>",
    )
    proc.close_stdin()
    assert await status == 3
    assert await proc.reap() == 3
    assert (proc.reap(), status, proc.signal) == (3, 3, None)
    assert isinstance(proc.reap(), int)
    assert (proc.reap() + 1, f"{proc.reap()} {status}", repr(status)) == (4, "3 3", "3")
    assert repr(proc) == f"<kore.proc pid={proc.pid} ended 3>"
    assert gone(proc.pid)


@on_both
async def test_pending_status_is_usable_as_an_int_after_the_end() -> None:
    proc = kore.proc("sh -c 'read x; exit 3'")
    status: Any = proc.reap()
    proc.close_stdin()
    await status

    assert [status == 3, status != 3, status < 4, status <= 3, status > 3, status >= 3] == [
        True, False, True, True, False, True,
    ]  # fmt: skip
    assert (bool(status), hash(status), [0, 1, 2, "x"][status], f"{status:d}") == (
        True,
        hash(3),
        "x",
        "3",
    )


@on_both
async def test_killed_process_has_the_signal_number_as_status() -> None:
    proc = kore.proc("sleep 100")
    assert proc.kill()
    assert (await proc.reap(), proc.signal) == (9, 9)
    assert proc.kill()
    proc = kore.proc("sh -c 'kill -TERM $$'")
    assert (await proc.reap(), proc.signal) == (signal.SIGTERM, signal.SIGTERM)


@on_both
async def test_kill_kills_the_process_group() -> None:
    proc = kore.proc(["sh", "-c", "sleep 100 & echo $!; wait"])
    grandchild = int(await proc.recv(100) or 0)
    assert alive(grandchild)
    proc.kill()
    await proc.reap()
    await until(lambda: not alive(grandchild))


LATE = "timeout before process exited"


@pytest.mark.usefixtures("kernel")
@on_both
async def test_timeout_is_raised_in_the_waiting_task() -> None:
    for wait in ("recv", "reap"):
        proc = kore.proc("sleep 100", 20)
        with pytest.raises(TimeoutError, match=LATE):
            await (proc.recv(10) if wait == "recv" else proc.reap())
        assert alive(proc.pid)
        proc.kill()
        assert await proc.reap() == 9
    proc = kore.proc("sleep 100", 20)
    with pytest.raises(TimeoutError, match=LATE):
        await proc.send(b"x" * MB)
    proc = kore.proc("sleep 100", 20, stderr=True)
    with pytest.raises(TimeoutError, match=LATE):
        await proc.recv_stderr(10)


@pytest.mark.parametrize("wait", ["recv", "reap", "send"])
@on_both
async def test_timeout_without_a_waiting_task_is_raised_by_the_next_wait_once(wait: str) -> None:
    proc = kore.proc("cat", 10)
    await kore.suspend(50)
    operations = {
        "recv": lambda: proc.recv(10),
        "reap": proc.reap,
        "send": lambda: proc.send(b"x"),
    }
    with pytest.raises(TimeoutError, match=LATE):
        await operations[wait]()
    await proc.send(b"x")
    assert await proc.recv(10) == b"x"
    proc.close_stdin()
    assert await proc.reap() == 0


@on_both
async def test_process_that_ends_in_time_raises_no_timeout() -> None:
    proc = kore.proc("echo x", 60_000)

    assert (await output(proc), await proc.reap()) == (b"x\n", 0)


@on_both
async def test_timeout_of_recv_loses_no_output() -> None:
    proc = kore.proc("sh -c 'read x; echo here'")
    with pytest.raises(TimeoutError, match="timeout before operation completed"):
        await proc.recv(100, 5)
    await proc.send(b"\n")
    assert await proc.recv(100, 60_000) == b"here\n"
    with pytest.raises(ValueError, match="maxlen must be 1 or more"):
        await proc.recv(0)
