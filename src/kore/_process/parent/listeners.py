"""The listening sockets: opened and kept by the parent, handed to each worker that needs them.

Every worker has a socket of its own per TCP address (SO_REUSEPORT): the kernel then spreads
connections evenly and wakes one process each. The parent keeps them all, so that a worker's
successor finds the connections that were waiting. The price: a worker that is busy keeps its own
queue waiting, which is why workers may also share one socket. A unix socket is always shared, the
kernel knows no SO_REUSEPORT for those.
"""

import contextlib
import itertools
import os
import socket
import stat
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kore._conf.server_schema import Address, Server
from kore._process.parent.addresses import SocketAddress, collide, resolve
from kore.errors import ConfigError

# Which socket: its address in one spelling, and the worker's number; 0 where workers share one.
# The last number counts how often the file of a unix socket has been made again.
Place = tuple[str, int, int]
Named = tuple[str, socket.socket]
SHARED: Final = 0


class Listeners:
    """All listening sockets there are. A reload takes what it can use again."""

    def __init__(self) -> None:
        self.open: dict[Place, socket.socket] = {}
        # Those that were there before the latest take(). With any of them it is a reload.
        self.before: set[Place] = set()
        # The names of the addresses as they were written, for when a path cannot be resolved.
        self.names: dict[str, str] = {}
        self.remade: Counter[str] = Counter()
        # Ports that the kernel has chosen, for when a socket is closed and opened again.
        self.chosen: dict[str, int] = {}
        # Which file a unix socket is: another program may have put its own in the same place.
        self.files: dict[Place, tuple[Path, tuple[int, int]]] = {}

    def take(
        self,
        servers: Sequence[Server],
        numbers: Iterable[int],
        backlog: int,
        *,
        shared: bool = False,
    ) -> dict[int, list[Named]]:
        """Return the sockets of each worker in *numbers*, opening those that are missing.

        *shared*: all workers have the same ones, so that whoever is free takes the next client.
        Raises ConfigError, and has changed nothing then.
        """
        self.before = set(self.open)
        taken: dict[int, list[Named]] = {number: [] for number in numbers}
        try:
            self.refuse_doubles(servers)
            for name in {place[0] for place, file in self.files.items() if is_lost(*file)}:
                self.remade[name] += 1
            for server in servers:
                self._take_server(server, taken, backlog, shared=shared)
        except BaseException:
            self.keep(self.before)
            raise
        return taken

    def keep(self, places: Iterable[Place]) -> None:
        """Close every socket that is not in *places*."""
        for place in self.open.keys() - set(places):
            self.open.pop(place).close()
            remove_file(*self.files.pop(place, (Path(), (0, 0))))

    def places(self, taken: Mapping[int, list[Named]]) -> set[Place]:
        """Return the places of what take() returned."""
        ours = {sock: place for place, sock in self.open.items()}
        return {ours[sock] for named in taken.values() for _, sock in named if sock in ours}

    def refuse_doubles(self, servers: Sequence[Server]) -> None:
        """Refuse one address for two servers: SO_REUSEPORT would let them share it."""
        paths = [(s, self._name(s)) for s in servers if s.address.path]
        ports = [(s, target_of(s)) for s in servers if s.address.port]
        for (one, path), (other, same) in itertools.combinations(paths, 2):
            if path == same:
                raise taken_twice(one, other)
        for (one, target), (other, near) in itertools.combinations(ports, 2):
            if collide(target, near):
                raise taken_twice(one, other)

    def _name(self, server: Server) -> str:
        """Return what makes a server's sockets the same ones after a reload."""
        written = f"{server.address} of {server.name}"
        try:
            with binding(server.address):
                self.names[written] = place_name(server)
        except ConfigError:
            # The working directory is gone, and with it what a path was relative to.
            if written not in self.names:
                raise
        return self.names[written]

    def _take_server(
        self, server: Server, taken: dict[int, list[Named]], backlog: int, *, shared: bool
    ) -> None:
        one = shared or bool(server.address.path)
        name = self._name(server)
        with binding(server.address):
            for number, named in taken.items():
                place = (name, SHARED if one else number, self.remade[name])
                if place not in self.open:
                    self.open[place] = self._open(place, server.address, backlog)
                named.append((server.name, self.open[place]))

    def _open(self, place: Place, address: Address, backlog: int) -> socket.socket:
        """Return a new socket, which listens at a first start only.

        At a reload it would get clients at once, and its worker may take long to start, or fail:
        the worker calls listen() when it is ready.
        """
        backlog = 0 if self.before else backlog
        if address.path:
            return self._open_unix(place, address.path, backlog)
        target = resolve(address)
        siblings = [sock for key, sock in self.open.items() if key[0] == place[0]]
        for sibling in siblings:
            # Port 0: the first has been given a port, the others join it there.
            target = SocketAddress(sibling.family, sibling.getsockname())
        if not siblings and address.port not in self._ports():
            probe(target)
        sock = self._bind_again(place[0], target) or bind(target)
        if not address.port:
            self.chosen[place[0]] = sock.getsockname()[1]
        return listening(sock, backlog)

    def _bind_again(self, name: str, target: SocketAddress) -> socket.socket | None:
        """Return a socket on the port that the kernel had chosen before; None: there is none."""
        if target.port or name not in self.chosen:
            return None
        try:
            return bind(target.at(self.chosen[name]))
        except OSError:
            return None

    def _open_unix(self, place: Place, path: str, backlog: int) -> socket.socket:
        abstract = path.startswith("@")
        target = SocketAddress(socket.AF_UNIX, "\0" + path[1:] if abstract else path)
        if not abstract:
            remove_stale(path)
        sock = listening(bind(target), backlog)
        if not abstract:
            self.files[place] = (Path(path).absolute(), identity(Path(path)))
        return sock

    def _ports(self) -> set[int]:
        """Return the ports that are ours already: what is in the way there is ourselves."""
        inet = (s for s in self.open.values() if s.family != socket.AF_UNIX)
        return {s.getsockname()[1] for s in inet} | {0}


def shown(sock: socket.socket) -> str:
    """Return where a socket listens, with the port it was given."""
    if sock.family == socket.AF_UNIX:
        name = sock.getsockname()
        return "@" + os.fsdecode(name[1:]) if isinstance(name, bytes) else str(name)
    ip, port = sock.getsockname()[:2]
    return str(Address(ip=ip, port=port))


def place_name(server: Server) -> str:
    """Return the address of a server in one spelling. Raises OSError if it is none."""
    address = server.address
    if address.path.startswith("@"):
        return address.path
    if address.path:
        directory, name = os.path.split(address.path)
        return os.path.join(os.path.realpath(directory or os.getcwd()), name)  # noqa: PTH118, PTH109
    target = resolve(address)
    # Each server that left the choice to the kernel has a port of its own.
    owner = "" if address.port else f" of {server.name}"
    return f"{target.packed.hex()} {target.scope} {address.port}{owner}"


def target_of(server: Server) -> SocketAddress:
    """Return where a server listens. Raises ConfigError if its address is none."""
    with binding(server.address):
        return resolve(server.address)


def listening(sock: socket.socket, backlog: int) -> socket.socket:
    """Return a bound socket, which listens unless *backlog* is 0."""
    try:
        if backlog:
            sock.listen(backlog)
    except (OSError, OverflowError):
        sock.close()
        raise
    return sock


def bind(target: SocketAddress) -> socket.socket:
    """Return a new socket that has its address and does not listen there yet."""
    sock = socket.socket(target.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if target.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            # Inherited by what is accepted, one system call less for each.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind(target.sockaddr)
    except (OSError, OverflowError):
        sock.close()
        raise
    return sock


def probe(target: SocketAddress) -> None:
    """Find out whether somebody listens there.

    Another program of the same user with SO_REUSEPORT on would share the port without a word, and
    half of the requests; without it, our bind() fails as one expects. SO_REUSEADDR stays on, or
    the remains of earlier connections would count as somebody.
    """
    with socket.socket(target.family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(target.sockaddr)


def is_socket_file(path: str) -> bool:
    """Return whether there is a socket at *path*. Raises FileExistsError for any other file."""
    try:
        mode = Path(path).lstat().st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(0, "a file that is no socket is in the way")
    return True


def remove_stale(path: str) -> None:
    """Remove the socket file of a program that has ended; refuse everything else."""
    if not is_socket_file(path):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        # A full queue must not hold us up; it is an answer, too.
        sock.setblocking(False)
        try:
            sock.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except BlockingIOError:
            pass
    raise OSError(98, "Address already in use")


def remove_file(path: Path, wanted: tuple[int, int]) -> None:
    """Remove the file of a unix socket, if it is still that one."""
    with contextlib.suppress(OSError):
        if identity(path) == wanted:
            path.unlink()


def is_lost(path: Path, wanted: tuple[int, int]) -> bool:
    """Whether the file of a unix socket is gone, or another one: no client finds the socket."""
    try:
        return identity(path) != wanted
    except OSError:
        return True


def identity(path: Path) -> tuple[int, int]:
    """Return what tells a file from another of the same name."""
    found = path.lstat()
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def binding(address: Address) -> Any:
    """Turn what the kernel or the resolver says into one sentence that names the address."""
    try:
        yield
    except OSError as error:
        raise cannot_bind(str(address), error.strerror or str(error)) from None
    # A name no resolver takes, a path with a NUL, a number too large for C.
    except (ValueError, OverflowError) as error:
        raise cannot_bind(str(address), str(error)) from None


def taken_twice(one: Server, other: Server) -> ConfigError:
    """Return the error for two servers in one place."""
    where = "" if one.address == other.address else f", which is '{one.address}' as well"
    return cannot_bind(
        str(other.address), f"two servers have this address, '{one.name}' and '{other.name}'{where}"
    )


def cannot_bind(address: str, reason: str) -> ConfigError:
    """Return the error for an address that cannot be listened on."""
    return ConfigError(f"failed to bind to '{address}': {reason}")
