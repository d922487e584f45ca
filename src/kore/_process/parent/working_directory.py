"""The working directory by its name: a link such as `current` may lead elsewhere at a reload."""

import os

from kore._process.log.handlers import NOTICE, log


def logical_directory() -> str:
    """Return the working directory as the shell names it, links included."""
    named = os.environ.get("PWD", "")
    try:
        if os.path.isabs(named) and os.path.samefile(named, "."):  # noqa: PTH117, PTH121
            return named
        return os.getcwd()  # noqa: PTH109 - kept as text
    except OSError:  # it has been removed
        return named


class WorkingDirectory:
    """Where the server was started."""

    def __init__(self) -> None:
        self.path = logical_directory()
        # Who starts a server in another directory may leave this as it was.
        os.environ["PWD"] = self.path

    def enter(self) -> None:
        """Go where its name leads now, for what is loaded from here on."""
        try:
            os.chdir(self.path)
        except OSError as error:
            log.warning(
                "the working directory %s cannot be entered (%s): relative paths are not found",
                self.path or "of the start", error.strerror, extra={"priority": NOTICE},
            )  # fmt: skip
