"""Child processes that a task starts, talks to and waits for: `kore.proc`."""

import asyncio
import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from functools import partial
from sys import _getframe
from typing import IO, Any, Final

from kore._aio.affinity import use_server_cpus
from kore._aio.child import ChildWatcher
from kore._aio.nonblocking_io import (
    ClosedError,
    IoDirection,
    PartialSend,
    check_maxlen,
    parse_timeout,
    to_bytes,
)
from kore._aio.plain_reap import is_awaited, wait_for_end
from kore._aio.status import ExitStatus, PendingStatus
from kore._aio.task_utils import get_running_task
from kore.errors import KoreError, SocketError

# Bytes that are read before a receiver asks for them.
READ_AHEAD_MAX: Final = 1 << 20


class Process:
    """A process that a task has started.

    *command* is split as a shell would split it, or is a list of words; no shell runs it, and its
    program is looked for in PATH. *env* is its whole environment, a list of `NAME=value` or a
    mapping; without it, it gets this process's. Its standard error comes with its output; with
    *stderr=True* it is read separately, by `recv_stderr`. Raises KoreError if no task runs,
    SocketError if the process cannot be started.

    If it still runs after *timeout_ms* milliseconds, TimeoutError is raised, once, in the task
    that waits for it then or next. The process runs on.

    It belongs to the task that made it: when that ends, or the last reference to this object is
    dropped, the process and all of its group are killed. It is reaped in any case.
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
        seconds = parse_timeout(timeout_ms)
        owner = get_running_task("kore.proc only available in coroutines")
        words, variables = _split_command(command), _parse_environment(env)
        with use_server_cpus(asyncio.get_running_loop()):
            popen = _start_process(words, variables, cwd, separate_stderr=stderr)
        self._stdin = Pipe(popen.stdin, writing=True)
        self._stdout = Pipe(popen.stdout, writing=False)
        self._stderr = Pipe(popen.stderr, writing=False) if stderr else None
        pipes = (self._stdin, self._stdout, self._stderr)
        self._child = ChildWatcher(popen, owner, [pipe for pipe in pipes if pipe is not None])
        if seconds:
            self._child.set_timeout(seconds)

    @property
    def pid(self) -> int:
        """The process id; no other process has it before this one is reaped."""
        return self._child.popen.pid

    @property
    def signal(self) -> int | None:
        """The signal that ended it, None while it runs and when it ended by itself."""
        code = self._child.popen.returncode
        return -code if code is not None and code < 0 else None

    async def recv(self, maxlen: int, timeout_ms: float | None = None) -> bytes | None:
        """Return at most *maxlen* bytes of its output, None at the end. A timeout loses no data."""
        self._child.raise_if_timed_out()
        return await self._stdout.recv(maxlen, timeout_ms)

    async def recv_stderr(self, maxlen: int, timeout_ms: float | None = None) -> bytes | None:
        """Return at most *maxlen* bytes of its standard error, with *stderr=True*."""
        if self._stderr is None:
            raise KoreError("stderr comes with the output, without kore.proc(..., stderr=True)")
        self._child.raise_if_timed_out()
        return await self._stderr.recv(maxlen, timeout_ms)

    async def send(self, data: object, timeout_ms: float | None = None) -> None:
        """Write all of *data*, bytes or str, to its input. Raises SocketError if it is closed."""
        self._child.raise_if_timed_out()
        await self._stdin.send(to_bytes(data), timeout_ms)

    def close_stdin(self) -> bool:
        """Close its input: it reads the end of file."""
        self._stdin.close()
        return True

    def kill(self) -> bool:
        """Kill it, and the processes it has started, with SIGKILL."""
        self._child.kill()
        return True

    def reap(self) -> "ExitStatus | PendingStatus":
        """Return its exit status, to be awaited; after its end, it is an int directly.

        For a process that a signal ended it is the number of that signal. In a statement without
        `await` this waits for the end itself, half a second at most, and blocks the event loop.
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
    """Our end of a pipe to or from the process."""

    __slots__ = ("_direction", "_file", "_read")

    def __init__(self, file: IO[bytes] | None, *, writing: bool) -> None:
        assert file is not None  # noqa: S101 - Popen was told to make it
        fd = file.fileno()
        os.set_blocking(fd, False)
        self._file = file
        self._read = partial(os.read, fd)
        self._direction = IoDirection(fd, "send" if writing else "recv", writing=writing)

    @property
    def is_waiting(self) -> bool:
        """Whether a task waits for this pipe."""
        return self._direction.is_waiting

    def interrupt(self, error: BaseException) -> None:
        """Raise *error* in the task that waits."""
        self._direction.interrupt(error)

    def fileno(self) -> int:
        """Return its descriptor, -1 if it is closed or a task waits for its output."""
        return -1 if self._file.closed or self.is_waiting else self._file.fileno()

    def read_ahead(self) -> bool:
        """Read what is there and save it for `recv`. Return whether more may come."""
        saved = self._direction.take_saved() or b""
        try:
            data = self._read(max(0, READ_AHEAD_MAX - len(saved)))
        except BlockingIOError:
            return True
        finally:
            if saved:
                self._direction.save_result(saved)
        if data:
            self._direction.save_result((self._direction.take_saved() or b"") + data)
        return bool(data)

    def close(self) -> None:
        """Close it. A task that waits for it gets ClosedError."""
        self._direction.close()
        self._file.close()

    async def recv(self, maxlen: int, timeout_ms: float | None) -> bytes | None:
        """Return at most *maxlen* bytes, None at the end."""
        check_maxlen(maxlen)
        if self._file.closed:
            return None
        try:
            data = await self._direction.perform(self._read, maxlen, timeout_ms)
        except ClosedError:
            return None
        if len(data) > maxlen:
            self._direction.save_result(data[maxlen:])
        return data[:maxlen] or None

    async def send(self, data: bytes | memoryview, timeout_ms: float | None) -> None:
        """Write all of *data*."""
        if self._file.closed:
            raise KoreError("stdin closed")
        if data:
            sending = PartialSend(partial(os.write, self._file.fileno()), data)
            await self._direction.perform(PartialSend.advance, sending, timeout_ms)


def _split_command(command: object) -> list[str]:
    """Return the words of a command. Raises TypeError or ValueError if it is invalid or empty."""
    found = shlex.split(command) if isinstance(command, str) else command
    if not isinstance(found, (list, tuple)) or not all(isinstance(word, str) for word in found):
        raise TypeError(f"a command must be str or a list of str, not {command!r}")
    if not found:
        raise ValueError("the command is empty")
    return list(found)


def _parse_environment(given: object) -> dict[str, str] | None:
    """Return an environment as a dict, None for this process's. Raises KoreError if invalid."""
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


def _get_worker_mark() -> dict[str, str]:
    """Return the variable by which the parent of the workers finds processes of a dead worker."""
    return {name: os.environ[name] for name in ("KORE_PROCESS",) if name in os.environ}


class WatchedPopen(subprocess.Popen[bytes]):
    """A process that only its ChildWatcher reaps."""

    def __del__(self) -> None:
        """Do not warn or reap: the watcher, which may be dropped in the same moment, does."""


def _start_process(
    command: list[str], env: dict[str, str] | None, cwd: Any, *, separate_stderr: bool
) -> "subprocess.Popen[bytes]":
    """Start a process in a new group, with pipes. Raises SocketError if it cannot be started."""
    try:
        return WatchedPopen(
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if separate_stderr else subprocess.STDOUT,
            env=env if env is None else {**_get_worker_mark(), **env},
            cwd=cwd,
            process_group=0,
        )
    except OSError as error:
        which = command[0] if error.filename is None else error.filename
        reason = f"kore.proc failed to execute {which} ({error.strerror or error})"
        raise SocketError(reason, error.errno) from None
