"""What a process gives up before its first byte of input, in the one order that works."""

import contextlib
import ctypes
import faulthandler
import os
import resource
import signal
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from threading import get_ident
from typing import Any, Final

PR_SET_PDEATHSIG: Final = 1
PR_SET_NAME: Final = 15
PR_SET_CHILD_SUBREAPER: Final = 36

# A terminal sends these to every process of its group at once. What they mean is the parent's to
# decide; it tells its children over their channels.
FROM_TERMINAL: Final = (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)
# `pkill -USR1 kore` and `systemctl kill` send what is meant for the parent to its children as well;
# a service manager sends TERM to all of them. The parent tells its children what to do.
FOR_THE_PARENT: Final = (
    *FROM_TERMINAL,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
    signal.SIGVTALRM,
)
# What Python itself sets when it starts, and what a process that writes to sockets needs.
IGNORED: Final = (signal.SIGPIPE, signal.SIGXFSZ)
STANDARD: Final = frozenset({0, 1, 2})
STDERR: Final = 2
# The parent asks a child with it where it is: one that nobody else has a use for.
WHERE: Final = signal.SIGRTMIN + 8


@dataclass(frozen=True, slots=True)
class ProcessRestrictions:
    """What a process of one kind may keep."""

    title: str
    parent: int
    descriptors: frozenset[int]
    # How many more descriptors it may open; None: no limits of its own.
    files: int | None = None
    # Which processor it runs on, counted as its number; None: all.
    processor: int | None = None


def settle(leave: ProcessRestrictions) -> str:
    """Give up everything else. Returns a warning, or nothing.

    To be called as a child of `leave.parent`. The user look-up and chroot belong before the
    limits, the switch of user after them and before the parent-death signal, which the kernel
    clears at the switch; the sandbox comes last. None of the three is part of this version.
    """
    settle_signals()
    close_others(leave.descriptors)
    if leave.processor is not None:
        pin(leave.processor)
    warning = "" if leave.files is None else limit(leave.files)
    die_with(leave.parent)
    title(leave.title)
    return warning


def settle_signals() -> None:
    """Undo what the process before this one had set up for signals.

    Those meant for the parent get a handler that does nothing rather than being ignored: programs
    that this process starts must have the default action back, which exec grants to handlers only.
    """
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        # None: not set by Python, so not an inherited Python handler either.
        if number not in IGNORED and signal.getsignal(number) not in (signal.SIG_DFL, None):
            signal.signal(number, signal.SIG_DFL)
    for number in FOR_THE_PARENT:
        signal.signal(number, ignore)
    unblock_signals()


def default_signals() -> None:
    """Give the signals that are for the parent their default actions, where ours are set."""
    for number in FOR_THE_PARENT:
        if signal.getsignal(number) is ignore:
            signal.signal(number, signal.SIG_DFL)


def call_in_forked(in_child: Callable[[], None]) -> None:
    """Have every process forked from this one call *in_child*, before any signal reaches it.

    One that comes at once, from `Process.terminate()` perhaps, would run a handler of this process
    in the child, and be lost.
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


def ignore(_number: int, _frame: object) -> None:
    """Do nothing. Programs that are started get the default action, not this one."""


def unblock_signals() -> None:
    """Let all signals through: a mask survives exec, whoever had blocked them."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def tell_where() -> None:
    """Write what all threads are doing to standard error when asked. Workers inherit it."""
    # In C: it works while Python code is stuck in somebody else's.
    faulthandler.register(WHERE, file=STDERR)


def close_others(keep: Iterable[int]) -> None:
    """Close every descriptor that is not in *keep*; none of them may belong to an object."""
    for fd in open_descriptors() - STANDARD - set(keep):
        with contextlib.suppress(OSError):
            os.close(fd)


def open_descriptors() -> set[int]:
    """Return the descriptors this process has open."""
    try:
        listed = set(map(int, os.listdir("/proc/self/fd")))  # noqa: PTH208 - names, not paths
    except FileNotFoundError:  # no /proc here
        listed = set(range(resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
    return {fd for fd in listed if is_open(fd)}


def is_open(fd: int) -> bool:
    """Whether a descriptor is open: the one that listed them is not, any more."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def pin(number: int) -> None:
    """Run on one processor: worker k on the k-th of those this server may use, and around."""
    allowed = sorted(os.sched_getaffinity(0))
    # Some containers refuse; it is an optimisation only.
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, {allowed[number % len(allowed)]})


def limit(files: int) -> str:
    """Limit descriptors and forbid core files. Returns what could not be had, or nothing.

    *files* counts beside what is open already. A core file would hold what requests contained.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    wanted = files + len(open_descriptors())
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    # The hard limit stays, for programs that the application starts and that need more.
    enough = hard == resource.RLIM_INFINITY or hard >= wanted
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard if enough else wanted))
    except (ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return f"worker_rlimit_nofiles: {wanted} descriptors wanted, the system allows {hard}"
    return ""


def open_standard() -> None:
    """Put /dev/null where standard input, output or error is closed.

    Or the next socket would get that number, and what is meant for the log go there.
    """
    for fd in sorted(STANDARD):
        if not is_open(fd):
            # The lowest free number is what open() takes.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def allow_many_files() -> None:
    """Raise the soft limit of descriptors: the parent holds every listening socket."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def die_with(parent: int, number: int = signal.SIGKILL) -> None:
    """End with *parent*, by a signal; at once when it is gone already.

    After the switch of user, and after being handed to *parent*: both clear the setting.
    """
    prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


def adopt_orphans() -> None:
    """Become the parent of whatever a child leaves behind, as the first process of a system is."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)


def command_name(name: str) -> None:
    """Set the short name that the kernel knows; all the parent may do without an extension."""
    prctl(PR_SET_NAME, ctypes.create_string_buffer(name.encode()[:15]))


def title(name: str) -> None:
    """Set what ps shows. Not for the parent: it loads nothing but the standard library."""
    command_name(name)
    # The environment that /proc shows stays readable: the mark of this process is in it.
    os.environ["SPT_NOENV"] = "1"
    with contextlib.suppress(ImportError):
        from setproctitle import setproctitle

        setproctitle(name)
    del os.environ["SPT_NOENV"]


def prctl(option: int, argument: Any) -> None:
    """Set one of the kernel's options for this process, where the kernel has it."""
    with contextlib.suppress(AttributeError, OSError):
        libc().prctl(option, argument, 0, 0, 0)


def libc() -> ctypes.CDLL:
    """Return the C library this process runs with."""
    return ctypes.CDLL(None, use_errno=True)
