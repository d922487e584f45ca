"""Why lines of a file are not run, for docs/coverage.md: one sentence for each file."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MEMORY: Final = "memory that cannot be allocated"
INTERFACE: Final = "defaults of an interface, which every protocol overrides"
OTHER_PYTHON: Final = "branches for Python 3.12 and newer"
KILLED: Final = "processes that are killed while they run these lines"
RACE: Final = "what has ended or changed between two steps"
LAST_RESORT: Final = "errors within the handling of errors"
# Of a file that is not listed below.
UNKNOWN: Final = "no test yet"

REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "_aio/connecting.py": RACE,
        "_aio/lock.py": OTHER_PYTHON,
        "_aio/nonblocking_io.py": RACE,
        "_aio/parent_death.py": "workers that end because their parent has been killed",
        "_aio/plain_reap.py": RACE,
        "_aio/proc.py": RACE,
        "_aio/socket.py": RACE,
        "_aio/tasks.py": OTHER_PYTHON,
        "_aio/tracing.py": "coroutines that are not Python code",
        "_api/clients.py": "installations without pycurl",
        "_app.py": RACE,
        "_cli/main.py": "an entry point, which tests call in another way",
        "_cli/run.py": RACE,
        "_cli/sources.py": RACE,
        "_cli/watch.py": "systems without inotify",
        "_conf/cpus.py": "control groups of version 1",
        "_conf/diagnostics.py": "a working directory that is gone: coverage.py needs one",
        "_core/accesslog.pyx": MEMORY,
        "_core/buffer.pxd": MEMORY,
        "_core/dispatch.pyx": LAST_RESORT,
        "_core/eager_task.pyx": "first uses of a task that no event loop makes",
        "_core/exchange.pyx": f"{INTERFACE}; {LAST_RESORT}",
        "_core/grammar.pyx": MEMORY,
        "_core/http1.pyx": RACE,
        "_core/http1_reader.pyx": RACE,
        "_core/listener.pyx": f"{MEMORY}, and no more watches of epoll",
        "_core/poller.pyx": LAST_RESORT,
        "_core/protocol.pyx": INTERFACE,
        "_core/sender.pyx": RACE,
        "_core/server_context.pyx": LAST_RESORT,
        "_core/socket_stream.pyx": RACE,
        "_core/table.pxd": MEMORY,
        "_core/testing.pyx": "wrong arguments of tests",
        "_core/testing_protocol.pyx": "parts of the interface that its tests do not use",
        "_core/transport.pyx": RACE,
        "_core/websocket.pyx": RACE,
        "_http/body/spool.py": "files of more than 2 GiB, which only `make soak` writes",
        "_http/body/spool_directory.py": "file systems without O_TMPFILE, and without /proc",
        "_httpclient/transfer.py": "options that this release of libcurl does not have",
        "_httpclient/transfers.py": RACE,
        "_pgsql/connect.py": "libpq before 17, and sockets that fail in the middle of a step",
        "_pgsql/connection.py": "sockets that fail or are full in the middle of a step",
        "_pgsql/pipeline.py": LAST_RESORT,
        "_pgsql/pool.py": RACE,
        "_pgsql/query.py": "libpq before 17",
        "_pgsql/session.py": RACE,
        "_pgsql/stream.py": RACE,
        "_process/ipc/scoreboard.py": "systems without /proc",
        "_process/log/open_file.py": RACE,
        "_process/parent/daemon.py": "processes that leave no data: their measuring ends at a fork",
        "_process/parent/listeners.py": RACE,
        "_process/parent/orphans.py": RACE,
        "_process/parent/pidfile.py": RACE,
        "_process/parent/working_directory.py": RACE,
        "_process/privsep.py": "systems without /proc",
        "_process/spawn.py": "interpreters in isolated mode",
        "_process/template/template.py": KILLED,
        "_process/worker/bus.py": RACE,
        "_process/worker/bus_sender.py": RACE,
        "_process/worker/memory.py": "C libraries other than glibc",
        "_process/worker/tasks.py": OTHER_PYTHON,
        "_process/worker/worker.py": KILLED,
    }
)
