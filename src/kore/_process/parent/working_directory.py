"""The working directory by its name: a link such as `current` may lead elsewhere at a reload."""

import os

from kore._process.log.handlers import NOTICE, log


def _find_logical_directory() -> str:
    """Return the working directory as the shell names it, links included."""
    named = os.environ.get("PWD", "")
    try:
        if os.path.isabs(named) and os.path.samefile(named, "."):  # noqa: PTH117, PTH121
            return named
        return os.getcwd()  # noqa: PTH109 - kept as text
    except OSError:  # it has been removed
        return named


class WorkingDirectory:
    """The directory in which the server was started."""

    def __init__(self) -> None:
        self.path = _find_logical_directory()
        # A program that changes its directory before it starts a server may not set it.
        os.environ["PWD"] = self.path

    def enter(self) -> None:
        """Change to the directory that its name means now, for an application loaded next."""
        try:
            os.chdir(self.path)
        except OSError as error:
            log.warning(
                "the working directory %s cannot be entered (%s): relative paths are not found",
                self.path or "of the start", error.strerror, extra={"priority": NOTICE},
            )  # fmt: skip
