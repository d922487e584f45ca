"""The entry of the key process: restrict it, load its libraries, run it.

It holds the private keys of the server and signs for the workers. It runs no code of the
application, and has no sockets but the channels to the parent and to the workers.
"""

import os
import socket
import sys
from importlib import import_module
from typing import Final, NoReturn

from kore._process.ipc.channel import Channel
from kore._process.ipc.descriptors import CHANNEL, parse_arguments
from kore._process.ipc.messages import FatalError
from kore._process.log import handlers
from kore._process.privsep import ProcessRestrictions, apply_restrictions, enable_stack_dumps
from kore._process.roles import KEYMGR

# Descriptors: a channel for each worker, and the files of a domain while they are read.
FILES: Final = 4096
# Seconds to send the last messages, if the parent is busy.
FLUSH_TIMEOUT: Final = 1.0


def main() -> NoReturn:
    """Run the key process, in an interpreter of its own."""
    handed = parse_arguments(sys.argv[1])
    parent = int(sys.argv[2])
    for fd in handed.values():
        os.set_inheritable(fd, False)
    warning = apply_restrictions(
        ProcessRestrictions(
            title=KEYMGR.format_title("kore"),
            parent=parent,
            descriptors=frozenset(handed.values()),
            files=FILES,
            has_secrets=True,
        )
    )
    enable_stack_dumps()
    channel = Channel(socket.socket(fileno=handed[CHANNEL]), takes_descriptors=True)
    handlers.log_to_channel(channel)
    if warning:
        handlers.log.warning("%s", warning)
    status = 1
    try:
        # Here, so that a missing library is a message in the log.
        status = import_module("kore._process.keymgr.key_process").KeyProcess(channel).run()
    except ImportError as error:
        channel.send(FatalError(f"{error}: install the library cryptography"))
    except Exception:  # noqa: BLE001 - it is the last frame of this process
        handlers.log.exception("the key process cannot go on")
    finally:
        channel.drain(FLUSH_TIMEOUT)
        os._exit(status)
