"""Processes that tasks talk to and wait for."""

import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
import weakref
from asyncio import AbstractEventLoop, Future, Task
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from kore._aio.readiness import Direction, as_bytes
from kore._aio.status import Ended, Running
from kore.errors import KoreError, SocketError


class Process:
    """A process that a task has started. `kore.proc` in Kore's words.

    *command* is split as a shell would split it, or is a list of words; no shell runs it, and its
    program is looked for in PATH. *env* is its whole environment, a list of `NAME=value` or a
    mapping; without it, it gets this process's. Its errors come with its output; with
    *stderr=True* they are read apart, by `recv_stderr`.

    When *timeout_ms* milliseconds have passed and it still runs, TimeoutError is raised, once, where
    a task waits for it or does so next. The process runs on.

    It belongs to the task that made it: when that ends, or this object is forgotten, the process and
    all of its group are killed. It is reaped in any case.
    """

    __slots__ = ("__weakref__", "_child", "_stderr", "_stdin", "_stdout")

    def __init__(
        self,
        command: str | Sequence[str],
        timeout_ms: int | None = None,
        *,
        env: Sequence[str] | Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        stderr: bool = False,
    ) -> None:
        owner = running_task()
        popen = spawned(words(command), environment(env), cwd, apart=stderr)
        self._child = Child(popen, asyncio.get_running_loop())
        self._stdin = Pipe(popen.stdin, "send", writing=True)
        self._stdout = Pipe(popen.stdout, "recv", writing=False)
        self._stderr = Pipe(popen.stderr, "recv", writing=False) if stderr else None
        self._child.watch(owner, [pipe for pipe in (self._stdin, self._stdout, self._stderr) if pipe])
        if timeout_ms is not None and timeout_ms > 0:
            self._child.expire_in(timeout_ms / 1000)

    @property
    def pid(self) -> int:
        """Its number; nobody else's for as long as it was not reaped."""
        return self._child.popen.pid

    @property
    def signal(self) -> int | None:
        """The signal that ended it, None while it runs and when it ended by itself."""
        code = self._child.popen.returncode
        return -code if code is not None and code < 0 else None

    async def recv(self, maxlen: int, timeout_ms: int | None = None) -> bytes | None:
        """Return at most *maxlen* bytes of its output, None at the end. TimeoutError loses none."""
        return await self._read(self._stdout, maxlen, timeout_ms)

    async def recv_stderr(self, maxlen: int, timeout_ms: int | None = None) -> bytes | None:
        """Return at most *maxlen* bytes of its errors, if they were wanted apart."""
        if self._stderr is None:
            raise KoreError("stderr comes with the output: start it with kore.proc(..., stderr=True)")
        return await self._read(self._stderr, maxlen, timeout_ms)

    async def send(self, data: object, timeout_ms: int | None = None) -> None:
        """Write all of *data*, bytes or str, to its input. SocketError: it does not read it."""
        self._child.punctual()
        if self._stdin.closed:
            raise KoreError("stdin closed")
        attempt = Writing(self._stdin.fd, as_bytes(data))
        await self._stdin.direction.perform("send", attempt, timeout_ms)

    def close_stdin(self) -> bool:
        """Let it see the end of its input."""
        self._stdin.close(KoreError("stdin closed"))
        return True

    def kill(self) -> bool:
        """Kill it, and the processes it has started, with SIGKILL."""
        self._child.kill()
        return True

    def reap(self) -> "Ended | Running":
        """Return its exit status, to be awaited; once it has ended, an int as it stands.

        For a process that a signal ended it is the number of that signal.
        """
        status = self._child.status
        return Running(self._child) if status is None else Ended(status)

    def __del__(self) -> None:
        if hasattr(self, "_child"):
            self._child.abandon()

    def __repr__(self) -> str:
        status = self._child.status
        return f"<kore.proc pid={self.pid} {'running' if status is None else f'ended {status}'}>"

    async def _read(self, pipe: "Pipe", maxlen: int, timeout_ms: int | None) -> bytes | None:
        if maxlen < 1:
            raise ValueError(f"maxlen must be 1 or more, not {maxlen}")
        self._child.punctual()
        if pipe.closed:
            return None
        data = await pipe.direction.perform("recv", partial(os.read, pipe.fd, maxlen), timeout_ms)
        if len(data) > maxlen:
            pipe.direction.keep("recv", data[maxlen:])
        return data[:maxlen] or None


class Child:
    """The process behind it: what the event loop knows, and keeps until it is reaped."""

    def __init__(self, popen: "subprocess.Popen[bytes]", loop: AbstractEventLoop) -> None:
        self.popen = popen
        self.loop = loop
        self.pipes: list[Pipe] = []
        self.pidfd = -1
        self.alarm: asyncio.TimerHandle | None = None
        self.late: TimeoutError | None = None
        self.waiters: set[Future[None]] = set()
        self.owner: weakref.ref[Task[Any]] | None = None

    @property
    def status(self) -> int | None:
        """The exit status, the number of a signal, or None."""
        self.look()
        return None if self.popen.returncode is None else abs(self.popen.returncode)

    def watch(self, owner: Task[Any], pipes: "list[Pipe]") -> None:
        """Hear of its end, and of that of the task that owns it."""
        self.pipes = pipes
        self.owner = weakref.ref(owner)
        owner.add_done_callback(self.abandon)
        try:
            self.pidfd = os.pidfd_open(self.popen.pid)
        except OSError:  # an old kernel, or no descriptor left: a thread waits
            waiting = self.loop.run_in_executor(None, self.popen.wait)
            waiting.add_done_callback(lambda _: self.ended())
        else:
            self.loop.add_reader(self.pidfd, self.look)

    def look(self) -> None:
        """Reap it if it has ended."""
        if self.popen.returncode is None and self.popen.poll() is not None:
            self.ended()

    def ended(self) -> None:
        """It is reaped: tell who waits, and let go of what was for its sake."""
        if self.pidfd >= 0:
            if not self.loop.is_closed():
                self.loop.remove_reader(self.pidfd)
            os.close(self.pidfd)
        if self.alarm is not None:
            self.alarm.cancel()
        owner = self.owner() if self.owner else None
        if owner is not None:
            owner.remove_done_callback(self.abandon)
        for waiter in self.waiters:
            if not waiter.done():
                waiter.set_result(None)

    def expire_in(self, seconds: float) -> None:
        """Raise TimeoutError where somebody waits when it still runs then."""
        self.alarm = self.loop.call_later(seconds, self.expire)

    def expire(self) -> None:
        """Its time is up."""
        late = TimeoutError("timeout before process exited")
        waiting = [pipe.direction for pipe in self.pipes if pipe.direction.waits]
        sleeping = [waiter for waiter in self.waiters if not waiter.done()]
        self.late = None if waiting or sleeping else late
        for direction in waiting:
            direction.interrupt(TimeoutError(*late.args))
        for waiter in sleeping:
            waiter.set_exception(TimeoutError(*late.args))

    def punctual(self) -> None:
        """Raise the TimeoutError that nobody was there to hear."""
        late, self.late = self.late, None
        if late is not None:
            raise late

    async def wait(self) -> int:
        """Wait for its end and return the status."""
        self.punctual()
        if self.status is None:
            waiter = self.loop.create_future()
            self.waiters.add(waiter)
            try:
                await waiter
            finally:
                self.waiters.discard(waiter)
        return self.status or 0

    def kill(self) -> None:
        """Kill it and its group. Not reaped yet, its number is nobody else's."""
        if self.status is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.popen.pid, signal.SIGKILL)

    def abandon(self, _: object = None) -> None:
        """Nobody wants it any more."""
        self.kill()
        for pipe in self.pipes:
            pipe.close(SocketError("the process was given up"))
        if self.loop.is_closed():  # nobody else will reap it
            self.popen.wait()


class Pipe:
    """Our end of one of its pipes."""

    __slots__ = ("_file", "direction", "fd")

    def __init__(self, file: Any, what: str, *, writing: bool) -> None:
        os.set_blocking(file.fileno(), False)
        self._file = file
        self.fd: int = file.fileno()
        self.direction = Direction(self.fd, what, writing=writing)

    @property
    def closed(self) -> bool:
        """Whether nothing passes it any more."""
        return bool(self._file.closed)

    def close(self, error: BaseException) -> None:
        """Close it; who waits there gets *error*."""
        self.direction.hang_up(error)
        self._file.close()


class Writing:
    """What a process is to read, and how much of it went."""

    __slots__ = ("data", "fd", "sent")

    def __init__(self, fd: int, data: memoryview) -> None:
        self.fd = fd
        self.data = data
        self.sent = 0

    def __call__(self) -> None:
        while self.sent < len(self.data):
            self.sent += os.write(self.fd, self.data[self.sent :])


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


def spawned(
    command: list[str], env: dict[str, str] | None, cwd: Any, *, apart: bool
) -> "subprocess.Popen[bytes]":
    """Start a process in a group of its own, with pipes for its input and output."""
    try:
        return subprocess.Popen(  # noqa: S603 - the application's command, and no shell
            command,
            bufsize=0,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if apart else subprocess.STDOUT,
            env=env,
            cwd=cwd,
            process_group=0,
        )
    except OSError as error:
        reason = f"kore.proc failed to execute {command[0]} ({error.strerror or error})"
        raise SocketError(reason, error.errno) from None
