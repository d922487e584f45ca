"""Listening sockets: opened and kept by the parent, handed to each worker that needs them.

Each worker has its own socket per TCP address (SO_REUSEPORT): the kernel then distributes
connections evenly and wakes one process for each. The parent keeps all sockets open, so that the
successor of a worker finds the connections in its queue. The price: connections in the queue of a
busy worker wait, which is why workers may also share one socket. A unix socket is always shared,
since the kernel has no SO_REUSEPORT for them.
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
from kore._process.parent.addresses import SocketAddress, has_conflict, resolve
from kore.errors import ConfigError

# Key of a socket: its normalized address, the number of its worker (SHARED if workers share it),
# and how often the file of a unix socket has been recreated.
SocketKey = tuple[str, int, int]
# A socket with the name of its server.
NamedSocket = tuple[str, socket.socket]
SHARED: Final = 0


class Listeners:
    """All listening sockets. A reload keeps those that it uses again."""

    def __init__(self) -> None:
        self.open: dict[SocketKey, socket.socket] = {}
        # Sockets that were open before the latest open_missing(); if there are any, it is a reload.
        self._previous: set[SocketKey] = set()
        # Normalized addresses by configured ones, for when a path cannot be resolved any more.
        self._address_keys: dict[str, str] = {}
        self._recreated: Counter[str] = Counter()
        # Ports that the kernel has chosen, for when a socket is closed and opened again.
        self._chosen_ports: dict[str, int] = {}
        # Path and identity of unix sockets: another program may have replaced the file.
        self._files: dict[SocketKey, tuple[Path, tuple[int, int]]] = {}

    def open_missing(
        self,
        servers: Sequence[Server],
        numbers: Iterable[int],
        backlog: int,
        *,
        shared: bool = False,
    ) -> dict[int, list[NamedSocket]]:
        """Return the sockets of each worker in *numbers*, opening those that are missing.

        *shared*: all workers have the same ones, so that an idle worker takes the next connection.
        Raises ConfigError, and changes nothing then, if a socket cannot be opened.
        """
        self._previous = set(self.open)
        sockets: dict[int, list[NamedSocket]] = {number: [] for number in numbers}
        try:
            self.refuse_duplicates(servers)
            for key in {key[0] for key, file in self._files.items() if _is_replaced(*file)}:
                self._recreated[key] += 1
            for server in servers:
                self._open_server(server, sockets, backlog, shared=shared)
        except BaseException:
            self.close_all_except(self._previous)
            raise
        return sockets

    def close_all_except(self, keys: Iterable[SocketKey]) -> None:
        """Close every socket whose key is not among *keys*."""
        for key in self.open.keys() - set(keys):
            self.open.pop(key).close()
            _remove_socket_file(*self._files.pop(key, (Path(), (0, 0))))

    def find_keys(self, sockets: Mapping[int, list[NamedSocket]]) -> set[SocketKey]:
        """Return the keys of sockets that open_missing() has returned."""
        keys = {sock: key for key, sock in self.open.items()}
        return {keys[sock] for named in sockets.values() for _, sock in named if sock in keys}

    def refuse_duplicates(self, servers: Sequence[Server]) -> None:
        """Raise ConfigError if two servers have one address: SO_REUSEPORT would allow that."""
        paths = [(s, self._get_address_key(s)) for s in servers if s.address.path]
        ports = [(s, _resolve_server(s)) for s in servers if s.address.port]
        for (one, path), (other, same) in itertools.combinations(paths, 2):
            if path == same:
                raise _duplicate_address_error(one, other)
        for (one, target), (other, near) in itertools.combinations(ports, 2):
            if has_conflict(target, near):
                raise _duplicate_address_error(one, other)

    def _get_address_key(self, server: Server) -> str:
        """Return the normalized address by which a reload finds the sockets of a server."""
        written = f"{server.address} of {server.name}"
        try:
            with translate_bind_errors(server.address):
                self._address_keys[written] = _normalize_address(server)
        except ConfigError:
            # The working directory, which a path was relative to, is gone.
            if written not in self._address_keys:
                raise
        return self._address_keys[written]

    def _open_server(
        self, server: Server, sockets: dict[int, list[NamedSocket]], backlog: int, *, shared: bool
    ) -> None:
        is_single = shared or bool(server.address.path)
        address_key = self._get_address_key(server)
        with translate_bind_errors(server.address):
            for number, named in sockets.items():
                worker = SHARED if is_single else number
                key = (address_key, worker, self._recreated[address_key])
                if key not in self.open:
                    self.open[key] = self._open(key, server.address, backlog)
                named.append((server.name, self.open[key]))

    def _open(self, key: SocketKey, address: Address, backlog: int) -> socket.socket:
        """Return a new socket, which listens at the first start only.

        At a reload the worker calls listen() when it is ready: it may take long to start, or fail,
        and connections would wait.
        """
        backlog = 0 if self._previous else backlog
        if address.path:
            return self._open_unix(key, address.path, backlog)
        target = resolve(address)
        siblings = [sock for other, sock in self.open.items() if other[0] == key[0]]
        for sibling in siblings:
            # Port 0: the kernel has chosen a port for the first, and the others use the same.
            target = SocketAddress(sibling.family, sibling.getsockname())
        if not siblings and address.port not in self._list_ports():
            _check_port_is_free(target)
        sock = self._bind_chosen_port(key[0], target) or _bind_socket(target)
        if not address.port:
            self._chosen_ports[key[0]] = sock.getsockname()[1]
        return _start_listening(sock, backlog)

    def _bind_chosen_port(self, address_key: str, target: SocketAddress) -> socket.socket | None:
        """Return a socket on the port that the kernel chose before, or None if not possible."""
        if target.port or address_key not in self._chosen_ports:
            return None
        try:
            return _bind_socket(target.with_port(self._chosen_ports[address_key]))
        except OSError:
            return None

    def _open_unix(self, key: SocketKey, path: str, backlog: int) -> socket.socket:
        is_abstract = path.startswith("@")
        target = SocketAddress(socket.AF_UNIX, "\0" + path[1:] if is_abstract else path)
        if not is_abstract:
            _remove_stale_socket(path)
        sock = _start_listening(_bind_socket(target), backlog)
        if not is_abstract:
            self._files[key] = (Path(path).absolute(), _get_identity(Path(path)))
        return sock

    def _list_ports(self) -> set[int]:
        """Return the ports that this server has open, which a test bind() would find in use."""
        inet = (s for s in self.open.values() if s.family != socket.AF_UNIX)
        return {s.getsockname()[1] for s in inet} | {0}


def format_socket_address(sock: socket.socket) -> str:
    """Return the address where a socket listens, with the port that the kernel has chosen."""
    if sock.family == socket.AF_UNIX:
        name = sock.getsockname()
        return "@" + os.fsdecode(name[1:]) if isinstance(name, bytes) else str(name)
    ip, port = sock.getsockname()[:2]
    return str(Address(ip=ip, port=port))


def _normalize_address(server: Server) -> str:
    """Return the address of a server in one spelling. Raises OSError if it is invalid."""
    address = server.address
    if address.path.startswith("@"):
        return address.path
    if address.path:
        directory, name = os.path.split(address.path)
        return os.path.join(os.path.realpath(directory or os.getcwd()), name)  # noqa: PTH118, PTH109
    target = resolve(address)
    # Servers for which the kernel chooses a port have different ones.
    owner = "" if address.port else f" of {server.name}"
    return f"{target.packed.hex()} {target.scope} {address.port}{owner}"


def _resolve_server(server: Server) -> SocketAddress:
    """Return the socket address of a server. Raises ConfigError if its address is invalid."""
    with translate_bind_errors(server.address):
        return resolve(server.address)


def _start_listening(sock: socket.socket, backlog: int) -> socket.socket:
    """Have a bound socket listen, unless *backlog* is 0; return it."""
    try:
        if backlog:
            sock.listen(backlog)
    except (OSError, OverflowError):
        sock.close()
        raise
    return sock


def _bind_socket(target: SocketAddress) -> socket.socket:
    """Return a new socket that is bound and does not listen yet."""
    sock = socket.socket(target.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if target.family != socket.AF_UNIX:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            # Accepted sockets inherit it, which saves a system call for each.
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.bind(target.sockaddr)
    except (OSError, OverflowError):
        sock.close()
        raise
    return sock


def _check_port_is_free(target: SocketAddress) -> None:
    """Raise OSError if another program listens on an address.

    With SO_REUSEPORT another program of the same user would silently share the port, and get half
    of the connections; so the test is made without. SO_REUSEADDR stays on, since remains of earlier
    connections (TIME_WAIT) do not matter.
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
        raise FileExistsError(0, "a file that is not a socket is in the way")
    return True


def _remove_stale_socket(path: str) -> None:
    """Remove the socket file of a program that has exited. Raises OSError for any other file."""
    if not is_socket_file(path):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        # With a full queue connect() would block; then a program listens.
        sock.setblocking(False)
        try:
            sock.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink()
            return
        except BlockingIOError:
            pass
    raise OSError(98, "Address already in use")


def _remove_socket_file(path: Path, wanted: tuple[int, int]) -> None:
    """Remove the file of a unix socket, if it has not been replaced."""
    with contextlib.suppress(OSError):
        if _get_identity(path) == wanted:
            path.unlink()


def _is_replaced(path: Path, wanted: tuple[int, int]) -> bool:
    """Return whether the file of a unix socket was removed or replaced: clients cannot find it."""
    try:
        return _get_identity(path) != wanted
    except OSError:
        return True


def _get_identity(path: Path) -> tuple[int, int]:
    """Return device and inode, which tell a file from another of the same name."""
    found = path.lstat()
    return found.st_dev, found.st_ino


@contextlib.contextmanager
def translate_bind_errors(address: Address) -> Any:
    """Turn errors of the kernel and the resolver into a ConfigError that names the address."""
    try:
        yield
    except OSError as error:
        raise _bind_error(str(address), error.strerror or str(error)) from None
    # An invalid host name, a path with a NUL, a number too large for C.
    except (ValueError, OverflowError) as error:
        raise _bind_error(str(address), str(error)) from None


def _duplicate_address_error(one: Server, other: Server) -> ConfigError:
    """Return the error for two servers with one address."""
    where = "" if one.address == other.address else f", which is '{one.address}' as well"
    return _bind_error(
        str(other.address), f"two servers have this address, '{one.name}' and '{other.name}'{where}"
    )


def _bind_error(address: str, reason: str) -> ConfigError:
    """Return the error for an address that cannot be listened on."""
    return ConfigError(f"failed to bind to '{address}': {reason}")
