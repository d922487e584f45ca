"""Restrict a new process before it reads input: signals, descriptors, limits, parent-death signal.

The order of the steps matters; see `RESTRICTION_STEPS`.
"""

import contextlib
import ctypes
import faulthandler
import os
import resource
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import get_ident
from typing import Any, Final, NamedTuple

PR_SET_PDEATHSIG: Final = 1
PR_SET_DUMPABLE: Final = 4
PR_SET_NAME: Final = 15
PR_SET_CHILD_SUBREAPER: Final = 36

# A terminal sends these to all processes of its group at once. The parent decides what they mean,
# and tells its children over their channels.
TERMINAL_SIGNALS: Final = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
# `pkill -USR1 kore` and `systemctl kill` send signals for the parent to its children as well; a
# service manager sends TERM to all of them. The parent tells its children what to do.
PARENT_SIGNALS: Final = (
    *TERMINAL_SIGNALS,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
)
# Python itself ignores these from its start on, and a process that writes to sockets has to.
IGNORED_SIGNALS: Final = (signal.SIGPIPE, signal.SIGXFSZ)
STANDARD_FDS: Final = frozenset({0, 1, 2})
STDERR: Final = 2
# The parent sends it to a child to have it write the stacks of its threads. Not used elsewhere.
STACK_DUMP_SIGNAL: Final = signal.SIGRTMIN + 8


@dataclass(frozen=True, slots=True)
class ProcessRestrictions:
    """What a process of one kind may keep."""

    title: str
    # Pid of the parent, with which the process ends.
    parent: int
    descriptors: frozenset[int]
    # How many descriptors it may open beside those; None: the limits stay as they are.
    files: int | None = None
    # It holds private keys: other processes of its user may not read its memory.
    has_secrets: bool = False
    # Index of the processor it runs on; None: all.
    processor: int | None = None


class RestrictionStep(NamedTuple):
    """A step of `apply_restrictions()`; *apply* returns a warning, or nothing."""

    name: str
    apply: Callable[[ProcessRestrictions], str | None]


def apply_restrictions(restrictions: ProcessRestrictions) -> str:
    """Take all steps of `RESTRICTION_STEPS` in this process. Returns warnings, or nothing.

    To be called as a child of `restrictions.parent`.
    """
    return "\n".join(filter(None, [step.apply(restrictions) for step in RESTRICTION_STEPS]))


def _reset_signals() -> None:
    """Remove the signal handlers and the mask of the process that started this one.

    Signals for the parent get a handler that does nothing. They are not ignored: programs that this
    process starts must get the default action, and exec resets handlers only.
    """
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        # None: not set by Python, so not an inherited Python handler either.
        if number not in IGNORED_SIGNALS and signal.getsignal(number) not in (signal.SIG_DFL, None):
            signal.signal(number, signal.SIG_DFL)
    for number in PARENT_SIGNALS:
        signal.signal(number, _ignore_signal)
    unblock_signals()


def restore_default_signals() -> None:
    """Set the default action for the signals that `_reset_signals()` has given handlers."""
    for number in PARENT_SIGNALS:
        if signal.getsignal(number) is _ignore_signal:
            signal.signal(number, signal.SIG_DFL)


def call_after_fork(in_child: Callable[[], None]) -> None:
    """Call *in_child* in every process forked from this one, before a signal is delivered to it.

    A signal that comes immediately, perhaps from `Process.terminate()`, would otherwise run a
    handler of this process in the child, and be lost.
    """
    masks: dict[int, set[int]] = {}

    def block() -> None:
        masks[get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())

    def restore() -> None:
        if (mask := masks.pop(get_ident(), None)) is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def begin() -> None:
        try:
            in_child()
        finally:
            restore()

    os.register_at_fork(before=block, after_in_parent=restore, after_in_child=begin)


def _ignore_signal(_number: int, _frame: object) -> None:
    """Do nothing."""


def unblock_signals() -> None:
    """Unblock all signals: a signal mask survives exec."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def enable_stack_dumps() -> None:
    """Write the stacks of all threads to standard error at STACK_DUMP_SIGNAL. Workers inherit it.

    faulthandler is written in C: it works while C code of an extension blocks the interpreter.
    """
    faulthandler.register(STACK_DUMP_SIGNAL, file=STDERR)


def close_all_except(keep: Iterable[int]) -> None:
    """Close every descriptor but the standard ones and *keep*. None may belong to an object."""
    for fd in open_descriptors() - STANDARD_FDS - set(keep):
        with contextlib.suppress(OSError):
            os.close(fd)


def open_descriptors() -> set[int]:
    """Return the descriptors this process has open."""
    try:
        listed = set(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208 - names, not paths
    except FileNotFoundError:  # /proc is not mounted
        listed = set(range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
    return {fd for fd in listed if _is_open(fd)}


def _is_open(fd: int) -> bool:
    """Return whether a descriptor is open; the one that listed the others is closed again."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def _pin_to_processor(index: int) -> None:
    """Run on one processor only: the one at *index*, modulo their number, of those allowed."""
    allowed = sorted(os.sched_getaffinity(0))
    # Some containers refuse; it is only an optimisation.
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {allowed[index % len(allowed)]})


def _set_resource_limits(files: int) -> str:
    """Limit descriptors to *files* beside those open already, and forbid core files.

    Returns a warning if the system allows fewer. A core file would contain data of requests.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    wanted = files + len(open_descriptors())
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The hard limit stays, for programs that the application starts and that need more.
    suffices = hard == resource.RLIM_INFINITY or hard >= wanted
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard if suffices else wanted))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return f"worker_rlimit_nofiles: {wanted} descriptors wanted, the system allows {hard}"
    return ""


def open_standard_fds() -> None:
    """Open /dev/null where standard input, output or error is closed.

    Otherwise the next socket would get that number, and receive output for the log.
    """
    for fd in sorted(STANDARD_FDS):
        if not _is_open(fd):
            # open() takes the lowest free number.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def redirect_to_null(descriptors: Iterable[int] = STANDARD_FDS) -> None:
    """Replace standard descriptors by /dev/null, to detach from the terminal."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in descriptors:
        os.dup2(null, fd)
    os.close(null)


def raise_fd_limit() -> None:
    """Raise the soft limit of descriptors: the parent holds all listening sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def hide_process() -> None:
    """Have the kernel refuse debuggers, core files and readers of /proc/PID/mem and /proc/PID/fd.

    Other processes of the same user are readers, too.
    """
    call_prctl(PR_SET_DUMPABLE, 0)


def set_parent_death_signal(parent: int, number: int = signal.SIGKILL) -> None:
    """Have the kernel send signal *number* when *parent* ends; exit if it has ended already."""
    call_prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of processes whose own parent ends, as init is (a subreaper)."""
    call_prctl(PR_SET_CHILD_SUBREAPER, 1)


def set_comm(name: str) -> None:
    """Set the name that the kernel knows (`comm`). Needs no extension module."""
    call_prctl(PR_SET_NAME, ctypes.create_string_buffer(name.encode()[:15]))


def set_proctitle(name: str) -> None:
    """Set the title that ps shows. Not for the parent: it loads only the standard library."""
    set_comm(name)
    # Keeps /proc/PID/environ readable: it contains the mark of this process.
    os.environ["SPT_NOENV"] = "1"
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(name)
    del os.environ["SPT_NOENV"]


def call_prctl(option: int, argument: Any) -> None:
    """Set an option of this process in the kernel, if the kernel knows it."""
    with contextlib.suppress(AttributeError, OSError):
        load_libc().prctl(option, argument, 0, 0, 0)


def load_libc() -> ctypes.CDLL:
    """Return the C library of this process."""
    return ctypes.CDLL(None, use_errno=True)


def _set_processor(restrictions: ProcessRestrictions) -> None:
    if restrictions.processor is not None:
        _pin_to_processor(restrictions.processor)


def _set_limits(restrictions: ProcessRestrictions) -> str:
    return "" if restrictions.files is None else _set_resource_limits(restrictions.files)


def _hide_memory(restrictions: ProcessRestrictions) -> None:
    if restrictions.has_secrets:
        hide_process()


# In the only order that works. User look-up and chroot will come before the limits. The switch of
# user will come after them and before the parent-death signal, which the kernel clears at the
# switch. The sandbox will be last.
RESTRICTION_STEPS: Final = (
    RestrictionStep("reset signals", lambda _: _reset_signals()),
    RestrictionStep("close other descriptors", lambda r: close_all_except(r.descriptors)),
    RestrictionStep("pin to a processor", _set_processor),
    RestrictionStep("set resource limits", _set_limits),
    # After this process was reparented to the parent: that clears the setting as well.
    RestrictionStep("set the parent-death signal", lambda r: set_parent_death_signal(r.parent)),
    RestrictionStep("set the title", lambda r: set_proctitle(r.title)),
    # After the switch of user, which resets it.
    RestrictionStep("hide the memory", _hide_memory),
)
