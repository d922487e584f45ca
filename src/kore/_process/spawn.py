"""Start a process of our own as a fresh interpreter: fork and exec in one call."""

import os
import signal
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

from kore._process.parent.orphans import MARK
from kore._process.privsep import FOR_THE_PARENT, unblock_signals

# Which interpreter options stand for which attribute of sys.flags.
LETTERS: Final = {
    "debug": "d",
    "dont_write_bytecode": "B",
    "no_site": "S",
    "no_user_site": "s",
    "verbose": "v",
    "bytes_warning": "b",
    "quiet": "q",
    "optimize": "O",
}
# Where it finds this package, then the module and function to run. Its own arguments follow.
BOOT: Final = (
    "import sys; root, module, name = sys.argv[1:4]; del sys.argv[1:4]; "
    "root in sys.path or sys.path.insert(0, root); "
    "from importlib import import_module; getattr(import_module(module), name)()"
)


def spawn(main: str, arguments: list[str], *, keep: int, mark: str = "") -> int:
    """Run *main* (`module:function`) in a new interpreter, which gets descriptor *keep*.

    *mark* is in its environment, and in that of all it starts.
    """
    return os.posix_spawn(
        sys.executable,
        command(main, arguments),
        {**os.environ, MARK: mark},
        # Onto itself: that is how a descriptor gets through exec.
        file_actions=[(os.POSIX_SPAWN_DUP2, keep, keep)],
        # Held back until the child has handlers of its own.
        setsigmask=FOR_THE_PARENT,
        setsigdef=[signal.SIGPIPE, *FOR_THE_PARENT],
    )


def become(main: str, arguments: list[str]) -> NoReturn:
    """Run *main* in a new interpreter in place of this one."""
    unblock_signals()
    os.execv(sys.executable, command(main, arguments))  # noqa: S606 - that is the point


def command(main: str, arguments: list[str]) -> list[str]:
    """Return the command line that runs *main* in an interpreter like this one."""
    module, _, function = main.partition(":")
    # -P: a file beside the application must not pass for a module of the standard library. What
    # the application needs in the path it gets when it is loaded.
    start = [sys.executable, "-P", *interpreter_flags(), "-c", BOOT, root(), module, function]
    return start + arguments


def root() -> str:
    """Return the directory this package is in."""
    # The parent may have been started where only its working directory made it importable.
    return str(Path(__file__).resolve().parents[2])


def interpreter_flags() -> list[str]:
    """Return the options this interpreter was started with."""
    flags = [f"-{letter * getattr(sys.flags, name)}" for name, letter in LETTERS.items()]
    if sys.flags.isolated:
        flags.append("-I")
    elif sys.flags.ignore_environment:
        flags.append("-E")
    flags += [f"-W{option}" for option in sys.warnoptions]
    # The only place where they can be read back, as subprocess and multiprocessing do.
    options: dict[str, Any] = sys._xoptions  # noqa: SLF001
    flags += [f"-X{k}" if v is True else f"-X{k}={v}" for k, v in options.items()]
    return [flag for flag in flags if flag != "-"]
