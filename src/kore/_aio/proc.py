"""Processes that tasks talk to and wait for."""

import asyncio
import os
import shlex
import subprocess
from asyncio import Task
from collections.abc import Mapping, Sequence
from functools import partial
from sys import _getframe
from typing import IO, Any, Final

from kore._aio.affinity import unpinned
from kore._aio.child import ChildWatcher
from kore._aio.nonblocking_io import (
    ClosedError,
    IoDirection,
    PartialSend,
    as_bytes,
    positive,
    seconds_of,
)
from kore._aio.plain_reap import is_awaited, wait_for_end
from kore._aio.status import ExitStatus, PendingStatus
from kore.errors import KoreError, SocketError

# Bytes that are read before they are asked for.
READ_AHEAD_MAX: Final = 1 << 20


class Process:
    """A process that a task has started.

    *command* is split as a shell would split it, or is a list of words; no shell runs it, and its
    program is looked for in PATH. *env* is its whole environment, a list of `NAME=value` or a
    mapping; without it, it gets this process's. Its errors come with its output; with
    *stderr=True* they are read apart, by `recv_stderr`. KoreError: the caller is no task.
    SocketError: it cannot be started.

    When *timeout_ms* milliseconds have passed and it still runs, TimeoutError is raised, once,
    where a task waits for it or does so next. The process runs on.

    It belongs to the task that made it: when that ends, or this object is forgotten, the process
    and all of its group are killed. It is reaped in any case.
    """

    __slots__ = ("__weakref__", "_child", "_stderr", "_stdin", "_stdout")

    def __init__(
        self,
        command: str | Sequence[str],
        timeout_ms: float | None = None,
        *,
        env: Sequence[str] | Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        stderr: bool = False,
    ) -> None:
        seconds = seconds_of(timeout_ms)
        owner = running_task()
        with unpinned(asyncio.get_running_loop()):
            popen = spawned(words(command), environment(env), cwd, apart=stderr)
        self._stdin = Pipe(popen.stdin, writing=True)
        self._stdout = Pipe(popen.stdout, writing=False)
        self._stderr = Pipe(popen.stderr, writing=False) if stderr else None
        pipes = (self._stdin, self._stdout, self._stderr)
        self._child = ChildWatcher(popen, owner, [pipe for pipe in pipes if pipe is not None])
        if seconds:
            self._child.expire_in(seconds)

    @property
    def pid(self) -> int:
        """Its number; nobody else's for as long as it runs."""
        return self._child.popen.pid

    @property
    def signal(self) -> int | None:
        """The signal that ended it, None while it runs and when it ended by itself."""
        code = self._child.popen.returncode
        return -code if code is not None and code < 0 else None

    async def recv(self, maxlen: int, timeout_ms: float | None = None) -> bytes | None:
        """Return at most *maxlen* bytes of its output, None at the end. TimeoutError loses none."""
        self._child.punctual()
        return await self._stdout.recv(maxlen, timeout_ms)

    async def recv_stderr(self, maxlen: int, timeout_ms: float | None = None) -> bytes | None:
        """Return at most *maxlen* bytes of its errors, if they were wanted apart."""
        if self._stderr is None:
            raise KoreError("stderr comes with the output, without kore.proc(..., stderr=True)")
        self._child.punctual()
        return await self._stderr.recv(maxlen, timeout_ms)

    async def send(self, data: object, timeout_ms: float | None = None) -> None:
        """Write all of *data*, bytes or str, to its input. SocketError: it does not read it."""
        self._child.punctual()
        await self._stdin.send(as_bytes(data), timeout_ms)

    def close_stdin(self) -> bool:
        """Let it see the end of its input."""
        self._stdin.close()
        return True

    def kill(self) -> bool:
        """Kill it, and the processes it has started, with SIGKILL."""
        self._child.kill()
        return True

    def reap(self) -> "ExitStatus | PendingStatus":
        """Return its exit status, to be awaited; once it has ended, an int as it stands.

        For a process that a signal ended it is the number of that signal. In a statement without
        `await` the end is waited for here, half a second at most, in which nothing else runs.
        """
        status = self._child.status
        if status is None and not is_awaited(_getframe(1)):
            outputs = [pipe for pipe in (self._stdout, self._stderr) if pipe is not None]
            status = wait_for_end(self._child, outputs)
        return PendingStatus(self._child, self) if status is None else ExitStatus(status)

    def __del__(self) -> None:
        if hasattr(self, "_child"):
            self._child.abandon()

    def __repr__(self) -> str:
        status = self._child.status
        return f"<kore.proc pid={self.pid} {'running' if status is None else f'ended {status}'}>"


class Pipe:
    """Our end of one of its pipes."""

    __slots__ = ("_direction", "_file", "_read")

    def __init__(self, file: IO[bytes] | None, *, writing: bool) -> None:
        assert file is not None  # noqa: S101 - it was asked for
        fd = file.fileno()
        os.set_blocking(fd, False)
        self._file = file
        self._read = partial(os.read, fd)
        self._direction = IoDirection(fd, "send" if writing else "recv", writing=writing)

    @property
    def waits(self) -> bool:
        """Whether a task waits here."""
        return self._direction.waits

    def interrupt(self, error: BaseException) -> None:
        """End the wait with *error*."""
        self._direction.interrupt(error)

    def fileno(self) -> int:
        """Return its descriptor, -1 if it is closed or a task waits for what comes."""
        return -1 if self._file.closed or self.waits else self._file.fileno()

    def read_ahead(self) -> bool:
        """Keep what can be read for the next `recv`. Return whether to go on with more."""
        kept = self._direction.take_kept() or b""
        try:
            data = self._read(max(0, READ_AHEAD_MAX - len(kept)))
        except BlockingIOError:
            return True
        finally:
            if kept:
                self._direction.keep(kept)
        if data:
            self._direction.keep((self._direction.take_kept() or b"") + data)
        return bool(data)

    def close(self) -> None:
        """Close it. A task that waits here hears of it."""
        self._direction.hang_up()
        self._file.close()

    async def recv(self, maxlen: int, timeout_ms: float | None) -> bytes | None:
        """Return at most *maxlen* bytes, None at the end."""
        positive(maxlen)
        if self._file.closed:
            return None
        try:
            data = await self._direction.perform(self._read, maxlen, timeout_ms)
        except ClosedError:
            return None
        if len(data) > maxlen:
            self._direction.keep(data[maxlen:])
        return data[:maxlen] or None

    async def send(self, data: bytes | memoryview, timeout_ms: float | None) -> None:
        """Write all of *data*."""
        if self._file.closed:
            raise KoreError("stdin closed")
        if data:
            sending = PartialSend(partial(os.write, self._file.fileno()), data)
            await self._direction.perform(PartialSend.go_on, sending, timeout_ms)


def running_task() -> Task[Any]:
    """Return the running task; KoreError where none runs."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    if task is None:
        raise KoreError("kore.proc only available in coroutines")
    return task


def words(command: object) -> list[str]:
    """Return a command as the list of its words."""
    found = shlex.split(command) if isinstance(command, str) else command
    if not isinstance(found, (list, tuple)) or not all(isinstance(word, str) for word in found):
        raise TypeError(f"a command must be str or a list of str, not {command!r}")
    if not found:
        raise ValueError("the command is empty")
    return list(found)


def environment(given: object) -> dict[str, str] | None:
    """Return an environment as a mapping."""
    if given is None or isinstance(given, Mapping):
        return None if given is None else dict(given)
    if not isinstance(given, (list, tuple)):
        raise KoreError("kore.proc: env is not of type 'list'")
    pairs = {}
    for entry in given:
        if not isinstance(entry, str) or "=" not in entry:
            raise KoreError(f"kore.proc: an entry of env must be 'NAME=value', not {entry!r}")
        name, _, value = entry.partition("=")
        pairs[name] = value
    return pairs


def mark() -> dict[str, str]:
    """Return what tells the parent of the workers whose process this is."""
    return {name: os.environ[name] for name in ("KORE_PROCESS",) if name in os.environ}


class Spawned(subprocess.Popen[bytes]):
    """A process that is reaped by the one who watches it, and by nobody else."""

    def __del__(self) -> None:
        """Leave it to `Child`, which may be forgotten in the same moment, and not to a warning."""


def spawned(
    command: list[str], env: dict[str, str] | None, cwd: Any, *, apart: bool
) -> "subprocess.Popen[bytes]":
    """Start a process in a group of its own, with pipes for its input and output."""
    try:
        return Spawned(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if apart else subprocess.STDOUT,
            env=env if env is None else {**mark(), **env},
            cwd=cwd,
            process_group=0,
        )
    except OSError as error:
        which = command[0] if error.filename is None else error.filename
        reason = f"kore.proc failed to execute {which} ({error.strerror or error})"
        raise SocketError(reason, error.errno) from None
