import os
import re
import select
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kore._conf.server_schema import Address, Server
from kore._process.parent.listeners import Listeners, format_socket_address
from kore._process.template.host_lookup import find_numeric_address
from kore.errors import ConfigError
from tests.helpers.ports import free_port

LOOPBACK = Server("http", Address(ip="127.0.0.1"), tls=False)
BACKLOG = 16


@pytest.fixture
def listeners() -> Iterator[Listeners]:
    ours = Listeners()
    yield ours
    ours.close_all_except(())


@pytest.fixture
def port() -> int:
    return free_port()


def at(port: int, ip: str = "127.0.0.1", name: str = "http") -> Server:
    # The parent is told what names stand for.
    address = Address(ip=ip, port=port)
    return Server(name, replace(address, numeric=find_numeric_address(address)), tls=False)


def unix(path: object, name: str = "local") -> Server:
    return Server(name, Address(path=str(path)), tls=False)


def only(taken: dict[int, list[tuple[str, socket.socket]]]) -> list[socket.socket]:
    return [sock for named in taken.values() for _, sock in named]


def test_each_worker_has_its_own_socket_on_the_same_port(listeners: Listeners) -> None:
    taken = listeners.open_missing([LOOPBACK], [1, 2, 4], BACKLOG)

    assert list(taken) == [1, 2, 4]
    sockets = only(taken)
    assert len({sock.fileno() for sock in sockets}) == 3
    assert len({sock.getsockname() for sock in sockets}) == 1
    assert sockets[0].getsockname()[1] != 0
    for sock in sockets:
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        assert not sock.getblocking()
        assert not sock.get_inheritable()


def test_connections_reach_every_socket(listeners: Listeners) -> None:
    sockets = only(listeners.open_missing([LOOPBACK], [1, 2], BACKLOG))
    clients = [socket.create_connection(sockets[0].getsockname()) for _ in range(BACKLOG)]
    accepted = [0, 0]
    while sum(accepted) < BACKLOG:
        for sock in select.select(sockets, [], [])[0]:
            sock.accept()[0].close()
            accepted[sockets.index(sock)] += 1
    for client in clients:
        client.close()

    # By chance one of 32768 runs gives all to one.
    assert all(accepted)


def test_a_unix_socket_is_shared(listeners: Listeners, tmp_path: Path) -> None:
    taken = listeners.open_missing([unix(tmp_path / "kore.sock")], [1, 2], BACKLOG)

    assert taken[1] == taken[2]
    assert format_socket_address(taken[1][0][1]) == str(tmp_path / "kore.sock")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / "kore.sock"))


def test_a_unix_socket_without_a_file(listeners: Listeners) -> None:
    name = f"@kore-test-{os.getpid()}"
    (sock,) = only(listeners.open_missing([unix(name)], [1], BACKLOG))

    assert format_socket_address(sock) == name
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name[1:])


def test_file_of_a_unix_socket_is_removed_with_it(listeners: Listeners, tmp_path: Path) -> None:
    path = tmp_path / "kore.sock"
    listeners.open_missing([unix(path)], [1], BACKLOG)
    assert path.is_socket()
    listeners.close_all_except(())

    assert not path.exists()


def test_file_of_a_foreign_socket_is_not_removed(listeners: Listeners, tmp_path: Path) -> None:
    path = tmp_path / "kore.sock"
    listeners.open_missing([unix(path)], [1], BACKLOG)
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        listeners.close_all_except(())

        assert path.is_socket()


def test_stale_socket_file_is_replaced(listeners: Listeners, tmp_path: Path) -> None:
    path = tmp_path / "kore.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    listeners.open_missing([unix(path)], [1], BACKLOG)

    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def test_file_of_a_listening_socket_is_not_replaced(listeners: Listeners, tmp_path: Path) -> None:
    path = tmp_path / "kore.sock"
    with socket.socket(socket.AF_UNIX) as alive:
        alive.bind(str(path))
        alive.listen()

        with pytest.raises(ConfigError, match=f"'{path}': Address already in use"):
            listeners.open_missing([unix(path)], [1], BACKLOG)


def test_regular_file_is_not_replaced(listeners: Listeners, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")

    with pytest.raises(ConfigError, match="a file that is not a socket is in the way"):
        listeners.open_missing([unix(path)], [1], BACKLOG)
    assert path.read_text() == "data"


@pytest.mark.parametrize("shares", [False, True])
def test_port_in_use_is_an_error(listeners: Listeners, *, shares: bool) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # With both sides willing to share, the kernel itself has nothing against it.
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, int(shares))
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(ConfigError) as caught:
            listeners.open_missing([at(port)], [1, 2], BACKLOG)

    assert str(caught.value) == f"failed to bind to '127.0.0.1:{port}': Address already in use"
    assert not listeners.open


def test_connections_in_time_wait_do_not_block_the_port(listeners: Listeners, port: int) -> None:
    first = Listeners()
    (sock,) = only(first.open_missing([at(port)], [1], BACKLOG))
    client = socket.create_connection(("127.0.0.1", port))
    select.select([sock], [], [])
    sock.accept()[0].close()  # the side that closes first keeps the remains
    client.close()
    first.close_all_except(())

    assert only(listeners.open_missing([at(port)], [1], BACKLOG))


def test_two_servers_on_one_address_are_refused(listeners: Listeners, port: int) -> None:
    with pytest.raises(ConfigError, match="two servers have this address"):
        listeners.open_missing([at(port, name="a"), at(port, name="b")], [1], BACKLOG)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("127.0.0.1", "localhost"),
        ("127.0.0.1", "127.1"),
        ("::1", "0:0:0:0:0:0:0:1"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("::1", "::"),
    ],
)
def test_one_address_in_two_spellings_is_one_address(
    listeners: Listeners, port: int, one: str, other: str
) -> None:
    servers = [at(port, one, "one"), at(port, other, "other")]

    with pytest.raises(ConfigError, match="two servers have this address, 'one' and 'other'"):
        listeners.open_missing(servers, [1], BACKLOG)
    assert not listeners.open


def test_an_address_that_is_open_already_is_seen_in_another_spelling(
    listeners: Listeners, port: int
) -> None:
    listeners.open_missing([at(port)], [1], BACKLOG)

    with pytest.raises(ConfigError, match=f"failed to bind to '127.1:{port}': two servers"):
        listeners.open_missing([at(port), at(port, "127.1", "other")], [1], BACKLOG)
    assert len(listeners.open) == 1


def test_different_addresses_may_have_one_port(listeners: Listeners, port: int) -> None:
    servers = [at(port), at(port, "127.0.0.2", "other"), at(port, "::1", "third")]

    assert len(only(listeners.open_missing(servers, [1], BACKLOG))) == 3


def test_backlog_too_large_for_the_kernel_is_a_config_error(listeners: Listeners) -> None:
    with pytest.raises(ConfigError, match=r"failed to bind to '127\.0\.0\.1:0'"):
        listeners.open_missing([LOOPBACK], [1], 2**31)
    assert not listeners.open


def test_servers_with_port_0_get_different_ports(listeners: Listeners) -> None:
    taken = listeners.open_missing([at(0, name="a"), at(0, name="b")], [1, 2], BACKLOG)

    assert [name for name, _ in taken[1]] == ["a", "b"]
    assert len({sock.getsockname() for sock in only(taken)}) == 2


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        (Address(ip="192.0.2.1", port=8888), "Cannot assign requested address"),
        (Address(ip="no.such.host.invalid", port=80), "Name or service not known|resolution"),
        (Address(path="/no/such/directory/kore.sock"), "No such file or directory"),
        (Address(path="/tmp/" + "x" * 200), "AF_UNIX path too long"),
    ],
)
def test_error_names_the_address(listeners: Listeners, address: Address, problem: str) -> None:
    expected = f"^failed to bind to '{re.escape(str(address))}': ({problem})"

    with pytest.raises(ConfigError, match=expected):
        listeners.open_missing([Server("http", address, tls=False)], [1], BACKLOG)


def test_host_names_and_both_families_are_resolved(listeners: Listeners) -> None:
    six = at(0, ip="::1", name="six")
    name = at(0, ip="localhost", name="name")
    sockets = only(listeners.open_missing([six, name, LOOPBACK], [1], BACKLOG))

    assert sockets[0].family == socket.AF_INET6
    assert format_socket_address(sockets[0]) == f"[::1]:{sockets[0].getsockname()[1]}"
    assert sockets[1].getsockname()[0] in ("127.0.0.1", "::1")
    assert format_socket_address(sockets[2]) == f"127.0.0.1:{sockets[2].getsockname()[1]}"


def test_reload_keeps_adds_and_closes_sockets(listeners: Listeners, tmp_path: Path) -> None:
    path = tmp_path / "kore.sock"
    before = listeners.open_missing([LOOPBACK, at(0, name="old"), unix(path)], [1, 2], BACKLOG)
    after = listeners.open_missing([at(0, name="new"), LOOPBACK, unix(path)], [1, 2, 3], BACKLOG)
    listeners.close_all_except(listeners.find_keys(after))

    kept = {name: sock for name, sock in before[1] if name != "old"}
    assert {name: sock for name, sock in after[1] if name != "new"} == kept
    old = [sock for named in before.values() for name, sock in named if name == "old"]
    assert all(sock.fileno() == -1 for sock in old)
    assert len({sock.getsockname() for name, sock in after[3] + after[1] if name == "http"}) == 1
    assert path.is_socket()


def test_a_new_socket_does_not_listen_before_its_worker_is_ready(listeners: Listeners) -> None:
    """The kernel would hand it clients at once, before its worker is there, or if it never is."""
    other = at(0, name="other")
    listeners.open_missing([LOOPBACK], [1], BACKLOG)
    more = listeners.open_missing([LOOPBACK, other], [1, 2], BACKLOG)

    def accepts(sock: socket.socket) -> bool:
        return bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))

    assert [accepts(sock) for sock in only(more)] == [True, False, False, False]
    new = more[2][0][1]
    new.listen(BACKLOG)
    assert accepts(new)
    assert new.getsockname() == only(more)[0].getsockname()


def test_failure_changes_nothing(listeners: Listeners) -> None:
    before = dict(listeners.open_missing([LOOPBACK], [1], BACKLOG))
    open_before = dict(listeners.open)

    with pytest.raises(ConfigError):
        listeners.open_missing(
            [LOOPBACK, at(0, name="b"), unix("/no/such/kore.sock")], [1, 2], BACKLOG
        )

    assert listeners.open == open_before
    assert all(sock.fileno() >= 0 for sock in only(before))


def test_a_narrower_address_on_our_own_port_is_not_in_use(listeners: Listeners, port: int) -> None:
    listeners.open_missing([at(port, ip="0.0.0.0")], [1], BACKLOG)

    assert only(listeners.open_missing([at(port)], [1], BACKLOG))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("127.0.0.1", "127.1"),
        ("::1", "0:0:0:0:0:0:0:1"),
        ("127.0.0.1", "::ffff:127.0.0.1"),
        ("0.0.0.0", "0"),
        ("localhost", find_numeric_address(Address(ip="localhost"))),
    ],
)
def test_an_address_spelled_differently_keeps_its_sockets(
    listeners: Listeners, port: int, one: str, other: str
) -> None:
    before = listeners.open_missing([at(port, one)], [1, 2], BACKLOG)

    assert only(listeners.open_missing([at(port, other)], [1, 2], BACKLOG)) == only(before)


def test_a_port_that_the_kernel_has_chosen_is_kept(listeners: Listeners) -> None:
    before = {
        sock.getsockname() for sock in only(listeners.open_missing([LOOPBACK], [1, 2], BACKLOG))
    }
    listeners.close_all_except(())

    after = {
        sock.getsockname() for sock in only(listeners.open_missing([LOOPBACK], [1, 2], BACKLOG))
    }

    assert after == before


def test_a_unix_socket_spelled_differently_stays(
    listeners: Listeners, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(".")
    monkeypatch.chdir(tmp_path)
    before = only(listeners.open_missing([unix("kore.sock")], [1], BACKLOG))

    for path in (tmp_path / "kore.sock", "./kore.sock", "link/kore.sock"):
        assert only(listeners.open_missing([unix(path)], [1], BACKLOG)) == before
    with pytest.raises(ConfigError, match="two servers have this address"):
        listeners.open_missing([unix("kore.sock"), unix("link/kore.sock", "b")], [1], BACKLOG)


def test_a_relative_path_stays_when_the_working_directory_is_gone(
    listeners: Listeners, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "release"
    place.mkdir()
    monkeypatch.chdir(place)
    before = only(listeners.open_missing([unix("@other", "abstract")], [1], BACKLOG))
    place.rmdir()

    assert only(listeners.open_missing([unix("@other", "abstract")], [1], BACKLOG)) == before
    with pytest.raises(ConfigError, match=r"failed to bind to .kore\.sock.: No such file"):
        listeners.open_missing([unix("kore.sock")], [1], BACKLOG)


@pytest.mark.parametrize("by", ["nothing", "a dead socket"])
def test_removed_file_of_a_unix_socket_is_recreated(
    listeners: Listeners, tmp_path: Path, by: str
) -> None:
    path = tmp_path / "kore.sock"
    before = listeners.open_missing([unix(path)], [1, 2], BACKLOG)
    path.unlink()
    if by == "a dead socket":
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))

    after = listeners.open_missing([unix(path)], [1, 2], BACKLOG)

    (new,) = set(only(after))
    assert {new} != set(only(before))
    new.listen()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    # The old one goes without the file of the new one.
    listeners.close_all_except(listeners.find_keys(after))
    assert {sock.fileno() for sock in only(before)} == {-1}
    assert path.is_socket()
    assert only(listeners.open_missing([unix(path)], [1], BACKLOG)) == [new]


def test_lost_file_is_recreated_after_a_failed_reload(listeners: Listeners, tmp_path: Path) -> None:
    path = tmp_path / "kore.sock"
    before = listeners.open_missing([unix(path)], [1], BACKLOG)
    path.unlink()
    listeners.open_missing([unix(path)], [1], BACKLOG)
    listeners.close_all_except(listeners.find_keys(before))
    assert not path.exists()

    (sock,) = only(listeners.open_missing([unix(path)], [1], BACKLOG))

    assert sock not in only(before)
    assert path.is_socket()
