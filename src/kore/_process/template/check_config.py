"""Load a configuration, say what is wrong with it or what it is, and start nothing."""

import contextlib
import errno
import json
import os
import sys
import time
from typing import Final, NoReturn

from kore import _app
from kore._bytecode import BytecodePolicy
from kore._conf.file import printer
from kore._conf.schema import Config
from kore._process.log import handlers
from kore._process.log.open_file import open_log
from kore._process.output import write_error, write_output
from kore._process.parent.listeners import Listeners, binding, is_socket_file
from kore._process.plan import ParentConfig
from kore._process.process_end import flush_output
from kore._process.template.directory_checks import check_directories
from kore._process.template.host_lookup import plain_with_addresses
from kore._process.worker import databases
from kore.errors import ConfigError

GOOD: Final = "configuration ok\n"


def main() -> NoReturn:
    """Be the one who tries, in an interpreter of its own."""
    what, user, app, conf, *arguments = sys.argv[1:]
    sys.argv = [app or conf, *arguments]
    handlers.install_handler(
        handlers.ParentLogHandler(lambda _, *texts: say("\n".join(filter(None, texts))))
    )
    # What starts nothing leaves no files behind either.
    BytecodePolicy(app, trusted_before=time.time(), writes=False).install()
    application = _app.Application(app, arguments, conf)
    status = attempt(application, what, same_user=bool(user))
    flush_output()
    # Threads that the application has started do not keep this process.
    os._exit(status)


def attempt(application: _app.Application, what: str, *, same_user: bool) -> int:
    """Do all that comes before anything is opened. Returns the exit status."""
    try:
        config = application.load()
        databases.check(config)
        check_directories(config)
        plan = ParentConfig.read(json.loads(json.dumps(plain_with_addresses(config))))
        plan.refuse_unsupported(same_user=same_user)
        plan.refuse_too_many()
        # The parent does not follow a package that changes its directory.
        with contextlib.suppress(OSError):
            os.chdir(application.start)
        refuse_addresses(plan)
        refuse_unwritable(plan)
        printed = said(what, application, config)
    except ConfigError as error:
        return say(f"fatal: {error}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an application raises
        return say(_app.reason(error))
    finally:
        application.builder.discard()
    for notice in config.notices:
        say(notice)
    # Only what has been shown completely is good.
    return write_output(printed, "kore")


def refuse_addresses(plan: ParentConfig) -> None:
    """Raise ConfigError for addresses that no start could listen on, whatever else runs."""
    Listeners().refuse_doubles(plan.servers)
    for server in plan.servers:
        path = server.address.path
        if path and not path.startswith("@"):
            with binding(server.address):
                if not is_socket_file(path) and (reason := unmakable(path)):
                    raise OSError(reason, os.strerror(reason))


def refuse_unwritable(plan: ParentConfig) -> None:
    """Raise ConfigError for a log that could not be written to. Nothing is made."""
    logs = [(f"{one.where}: accesslog {one.path}", one.path, True) for one in plan.accesslogs]
    if plan.settings.logfile:
        logs.append((f"logfile {plan.settings.logfile}", plan.settings.logfile, False))
    for what, path, needs_reader in logs:
        if reason := unwritable(path, needs_reader=needs_reader):
            raise ConfigError(f"{what}: {os.strerror(reason)}")


def unwritable(path: str, *, needs_reader: bool) -> int:
    """Return the error that opening a log would end with, or 0."""
    try:
        os.close(open_log(path, create=False, needs_reader=needs_reader))
    except FileNotFoundError:
        return unmakable(path)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def unmakable(path: str) -> int:
    """Return the error that making a file would end with, or 0."""
    # Of a link that leads nowhere yet, what it leads to is made.
    directory = os.path.dirname(os.path.realpath(path))  # noqa: PTH120 - as the system reads it
    if not os.path.isdir(directory):  # noqa: PTH112
        return errno.ENOENT
    writable = os.access(directory, os.W_OK | os.X_OK, effective_ids=True)
    return 0 if writable else errno.EACCES


def said(what: str, application: _app.Application, config: Config) -> str:
    """Return what was asked for: the configuration as a file, as JSON, or that it is good."""
    if what == "print":
        return written(application, config)
    return f"{json.dumps(config.plain())}\n" if what == "plain" else GOOD


def written(application: _app.Application, config: Config) -> str:
    """Return the configuration as a file."""
    made = printer.Printer(application.modules.name_of)
    text = made.print_config(config, [*application.itself(), *application.imports])
    for notice in made.notices:
        say(notice)
    return text


def say(text: str) -> int:
    """Write to standard error. Returns the status of a failure."""
    write_error(text)
    return 1
