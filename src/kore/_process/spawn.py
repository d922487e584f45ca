"""Start a process of Kore in a new interpreter: fork and exec in one call."""

import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NoReturn

from kore._process.ipc.descriptors import format_arguments
from kore._process.privsep import PARENT_SIGNALS, STACK_DUMP_SIGNAL, unblock_signals
from kore._process.process_marks import MARK

# Interpreter options by attribute of sys.flags.
FLAG_LETTERS: Final = {
    "debug": "d",
    "dont_write_bytecode": "B",
    "no_site": "S",
    "no_user_site": "s",
    "verbose": "v",
    "bytes_warning": "b",
    "quiet": "q",
    "optimize": "O",
}
# Code for -c. Its arguments: the directory of this package, module and function to run, then the
# arguments of the function.
BOOT_CODE: Final = (
    "import sys; root, module, name = sys.argv[1:4]; del sys.argv[1:4]; "
    "root in sys.path or sys.path.insert(0, root); "
    "from importlib import import_module; getattr(import_module(module), name)()"
)


def spawn(
    main: str, arguments: list[str], *, descriptors: Mapping[str, int], mark: str = ""
) -> int:
    """Run *main* (`module:function`) in a new interpreter; return its pid.

    It inherits *descriptors*, which its first argument names (`ipc/descriptors.py`); *arguments*
    follow. *mark* is in its environment, and in that of all it starts. Raises OSError if there is
    no interpreter to run.
    """
    return os.posix_spawn(
        sys.executable,
        build_command(main, [format_arguments(descriptors), *arguments]),
        {**os.environ, MARK: mark},
        # Duplicating a descriptor onto itself keeps it open over exec.
        file_actions=[(os.POSIX_SPAWN_DUP2, fd, fd) for fd in descriptors.values()],
        # Blocked until the child has handlers of its own.
        setsigmask=(*PARENT_SIGNALS, STACK_DUMP_SIGNAL),
        setsigdef=[signal.SIGPIPE, *PARENT_SIGNALS],
    )


def exec_main(main: str, arguments: list[str]) -> NoReturn:
    """Run *main* in a new interpreter in place of this one."""
    unblock_signals()
    os.execv(sys.executable, build_command(main, arguments))  # noqa: S606 - that is the point


def build_command(main: str, arguments: list[str]) -> list[str]:
    """Return the command line that runs *main* in an interpreter like this one."""
    module, _, function = main.partition(":")
    # -P: a file beside the application must not be taken for a module of the standard library. The
    # directories that the application needs are added when it is loaded.
    start = [sys.executable, "-P", *_list_interpreter_flags(), "-c", BOOT_CODE]
    return [*start, _find_package_root(), module, function, *arguments]


def _find_package_root() -> str:
    """Return the directory that contains this package."""
    # Perhaps it was importable only because it is in the working directory.
    return str(Path(__file__).resolve().parents[2])


def _list_interpreter_flags() -> list[str]:
    """Return the options that this interpreter was started with."""
    flags = [f"-{letter * getattr(sys.flags, name)}" for name, letter in FLAG_LETTERS.items()]
    if sys.flags.isolated:
        flags.append("-I")
    elif sys.flags.ignore_environment:
        flags.append("-E")
    flags += [f"-W{option}" for option in sys.warnoptions]
    # Not public, but subprocess and multiprocessing read them here as well.
    options: dict[str, Any] = sys._xoptions  # noqa: SLF001
    flags += [f"-X{k}" if v is True else f"-X{k}={v}" for k, v in options.items()]
    return [flag for flag in flags if flag != "-"]
