"""Check or print a configuration, without starting a server: `kore -t`, `--print-config`."""

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
from kore._process.parent.listeners import Listeners, is_socket_file, translate_bind_errors
from kore._process.parent_config import ParentConfig
from kore._process.process_end import flush_output
from kore._process.template.directory_checks import check_directories
from kore._process.template.host_lookup import resolve_host_names
from kore._process.template.tls_checks import check_certificates
from kore._process.worker import databases, tls
from kore.errors import ConfigError

CONFIG_OK: Final = "configuration ok\n"


def main() -> NoReturn:
    """Check a configuration, in an interpreter of its own.

    Arguments: `check`, `print` or `plain`; whether there is no switch of user; the application, the
    configuration file, and the arguments of the application.
    """
    what, user, app, conf, *arguments = sys.argv[1:]
    sys.argv = [app or conf, *arguments]
    handlers.install_handler(
        handlers.ParentLogHandler(lambda _, *texts: _write_notice("\n".join(filter(None, texts))))
    )
    # A check leaves no files.
    BytecodePolicy(app, trusted_before=time.time(), writes=False).install()
    application = _app.Application(app, arguments, conf)
    status = _check_application(application, what, same_user=bool(user))
    flush_output()
    # Without waiting for threads that the application has started.
    os._exit(status)


def _check_application(application: _app.Application, what: str, *, same_user: bool) -> int:
    """Do everything that a start does before it opens something. Returns the exit status."""
    try:
        config = application.load()
        databases.check_databases(config)
        check_directories(config)
        parent_config = ParentConfig.read(json.loads(json.dumps(resolve_host_names(config))))
        parent_config.refuse_unsupported(same_user=same_user)
        parent_config.refuse_too_many()
        # The parent does not follow a package that changes its directory.
        with contextlib.suppress(OSError):
            os.chdir(application.start_directory)
        _refuse_addresses(parent_config)
        _refuse_unwritable(parent_config)
        tls.load_core_modules(config)
        warnings = check_certificates(parent_config.tls)
        printed = _format_result(what, application, config)
    except ConfigError as error:
        return _write_notice(f"fatal: {error}")
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever an application raises
        return _write_notice(_app.format_reason(error))
    finally:
        application.builder.discard()
    for notice in (*config.notices, *warnings):
        _write_notice(notice)
    # An output that could not be written completely is a failure.
    return write_output(printed, "kore")


def _refuse_addresses(parent_config: ParentConfig) -> None:
    """Raise ConfigError for addresses on which no start could listen."""
    Listeners().refuse_duplicates(parent_config.servers)
    for server in parent_config.servers:
        path = server.address.path
        if path and not path.startswith("@"):
            with translate_bind_errors(server.address):
                if not is_socket_file(path) and (reason := _get_create_error(path)):
                    raise OSError(reason, os.strerror(reason))


def _refuse_unwritable(parent_config: ParentConfig) -> None:
    """Raise ConfigError for a log file that could not be written. Creates no file."""
    logs = [
        (f"{one.where}: accesslog {one.path}", one.path, True) for one in parent_config.accesslogs
    ]
    if parent_config.settings.logfile:
        logs.append(
            (f"logfile {parent_config.settings.logfile}", parent_config.settings.logfile, False)
        )
    for what, path, needs_reader in logs:
        if reason := _get_write_error(path, needs_reader=needs_reader):
            raise ConfigError(f"{what}: {os.strerror(reason)}")


def _get_write_error(path: str, *, needs_reader: bool) -> int:
    """Return the errno of opening a log file, or 0."""
    try:
        os.close(open_log(path, create=False, needs_reader=needs_reader))
    except FileNotFoundError:
        return _get_create_error(path)
    except OSError as error:
        return error.errno or errno.EIO
    return 0


def _get_create_error(path: str) -> int:
    """Return the errno of creating a file, or 0."""
    # Creating a dangling symbolic link creates its target.
    directory = os.path.dirname(os.path.realpath(path))  # noqa: PTH120 - as the system reads it
    if not os.path.isdir(directory):  # noqa: PTH112
        return errno.ENOENT
    writable = os.access(directory, os.W_OK | os.X_OK, effective_ids=True)
    return 0 if writable else errno.EACCES


def _format_result(what: str, application: _app.Application, config: Config) -> str:
    """Return what *what* asks for: the configuration as a file, as JSON, or that it is good."""
    if what == "print":
        return _format_file(application, config)
    return f"{json.dumps(config.plain())}\n" if what == "plain" else CONFIG_OK


def _format_file(application: _app.Application, config: Config) -> str:
    """Return the configuration as a configuration file."""
    made = printer.Printer(application.modules.get_name)
    text = made.print_config(config, [*application.get_import_statement(), *application.imports])
    for notice in made.notices:
        _write_notice(notice)
    return text


def _write_notice(text: str) -> int:
    """Write to standard error. Returns 1, the exit status of a failure."""
    write_error(text)
    return 1
