"""What a hostile or careless client, or a file that changes, may not do to a server of files."""

import hashlib
import itertools
import os
import socket
import threading
from pathlib import Path

import pytest

from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.procs import until
from tests.helpers.raw_client import Client
from tests.helpers.response_reader import Answer

APP = """
domain = kore.domain("*", attach="http")
domain.filemaps({"/": "ROOT/www", "/static/": "ROOT/www"})
"""
SECRET = b"the secret that nobody may read"
GIBIBYTE = 1 << 30


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with a root in it and secrets around it."""
    top = tmp_path_factory.mktemp("top")
    (top / "www" / "sub").mkdir(parents=True)
    (top / "www-evil").mkdir()
    for path in ("secret", "www-evil/secret", "www/.secret", "www/sub/.secret"):
        (top / path).write_bytes(SECRET)
    (top / "www" / "index.html").write_text("index")
    (top / "www" / "sub" / "a.txt").write_text("a")
    (top / "www" / "large").write_bytes(os.urandom(4_000_000))
    with (top / "www" / "sparse").open("wb") as file:
        file.truncate(10 * GIBIBYTE)
    (top / "www" / "out").symlink_to("..")
    (top / "www" / "abs").symlink_to(top / "secret")
    (top / "www" / "proc").symlink_to("/proc/self")
    return top


@pytest.fixture(scope="module")
def server(serve_module: Launcher, top: Path) -> Server:
    return serve_module(APP.replace("ROOT", str(top)), settings={"http_write_timeout": 30})


def ask(client: Client, path: str, *fields: str) -> Answer:
    lines = [f"GET {path} HTTP/1.1", "Host: h", *fields, "", ""]
    return client.ask("\r\n".join(lines).encode("latin-1"), "GET")


def corpus() -> list[str]:
    """Return paths that lead, or seem to lead, out of a root: every spelling with every slash."""
    dots = [
        "..", "%2e%2e", "%2E%2E", ".%2e", "%2e.", "%252e%252e", "%c0%ae%c0%ae", "%e0%80%ae%2e",
        "..%00", "..;", "....", "...", "%uff0e%uff0e", "%ef%bc%8e%ef%bc%8e", "..%20", "%20..",
        "..%0d", "..%0a", "..%09", "out", "out/..", "sub/..", "sub/../..", ".", "",
    ]  # fmt: skip
    slashes = [
        "/", "//", "%2f", "%2F", "%252f", "\\", "%5c", "%5C", "%c0%af", "%e0%80%af", "/./", "%00/",
        ";/", "/%2e/", "%u2215",
    ]  # fmt: skip
    ends = ["secret", "www-evil/secret", ".secret"]
    built = [
        f"{start}{step * count}{end}"
        for start, dot, slash, count, end in itertools.product(
            ("/", "/sub/"), dots, slashes, (1, 2), ends
        )
        for step in (dot + slash,)
    ]
    built += [
        "/abs", "/abs/", "/out/secret", "/out/www-evil/secret", "/proc/root/etc/passwd",
        "/proc/cwd/../secret", "/static../secret", "/static/../secret", "/static/..%2fsecret",
        "/-evil/secret", "/..", "/../", "/%2e%2e", "//secret", "///secret", "/.secret",
        "/sub/.secret", "/%2esecret", "/index.html/../../secret", "/index.html%00/../secret",
        "/" + "../" * 500 + "secret", "/" + "sub/../" * 500 + "../secret", "/sub/" + "a" * 4096,
        "/file:///etc/passwd", "/~root/secret", "/sub/a.txt/../../../secret",
    ]  # fmt: skip
    return built


def test_no_spelling_leads_out(server: Server) -> None:
    """Some 4500 of them; a few, such as an empty one, are files that everybody may read."""
    paths = corpus()
    assert len(paths) > 4000
    client = server.connect()
    statuses = set()
    for path in paths:
        if client.end != "open" or client.reader.ended:
            client.close()
            client = server.connect()
        answer = ask(client, path)
        statuses.add(answer.status)
        assert SECRET not in answer.body, path
        assert answer.status in {400, 404}, (path, answer.status)
        location = answer.get("location") or "/x"
        assert location[0] == "/", path
        assert location[1] not in "/\\", path
        if answer.get("connection") == "close":
            client.until_ended()
    client.close()
    assert statuses == {400, 404}


RANGES = [
    "bytes=" + "0-," * 1000 + "0-",
    "bytes=" + ",".join(f"{n}-" for n in range(1000)),
    "bytes=" + ",".join(["0-"] * 32),
    "bytes=" + ",".join(f"{n}-" for n in range(32)),
    "bytes=" + ",".join(f"-{n}" for n in range(1, 32)),
    "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 64, 2)),
    "bytes=0-" + "9" * 7000,
    "bytes=" + "9" * 7000 + "-",
    "bytes=-" + "9" * 7000,
    "bytes=" + "," * 7000,
    "bytes=" + " ," * 3500 + "0-0",
    "bytes=-0",
    "bytes=18446744073709551615-18446744073709551616",
    "bytes=9223372036854775807-",
    "bytes=-9223372036854775808",
    "bytes=-18446744073709551616",
    "bytes=1-0,0-0",
]


@pytest.mark.parametrize("text", RANGES, ids=lambda text: text[:30])
def test_no_range_makes_an_answer_larger_than_its_file(
    server: Server, top: Path, text: str
) -> None:
    with server.connect() as client:
        answer = ask(client, "/large", f"Range: {text}")

    assert answer.status in {200, 206, 416}
    assert len(answer.body) < 4_000_000 + 32 * 200


def test_ten_gibibytes_stream_with_flat_memory(server: Server) -> None:
    """Not all of it: the announced length, half a GiB on the way, then the client has enough."""

    status = Path(f"/proc/{server.worker}/status")

    def memory() -> int:
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("RssAnon")]
        return int(line.split()[1])

    with socket.create_connection(server.address) as sock:
        sock.sendall(b"GET /sparse HTTP/1.1\r\nHost: h\r\n\r\n")
        assert b"content-length: 10737418240\r\n" in sock.recv(4096)
        before = memory()
        block, got, highest = bytearray(1 << 20), 0, 0
        while got < GIBIBYTE // 2:
            for _ in range(32):
                got += sock.recv_into(block)
            highest = max(highest, memory())
    assert highest - before < 4096, "kilobytes"


def test_the_last_bytes_of_ten_gibibytes_are_there(server: Server) -> None:
    with server.connect() as client:
        answer = ask(client, "/sparse", "Range: bytes=10737418230-")

    assert (answer.status, answer.body) == (206, bytes(10))
    assert answer.get("content-range") == "bytes 10737418230-10737418239/10737418240"


def files_open(server: Server, top: Path) -> list[str]:
    """Return which files below the root a worker has open."""
    found = []
    for fd in Path(f"/proc/{server.worker}/fd").iterdir():
        try:
            found.append(str(fd.readlink()))
        except FileNotFoundError:
            continue
    return [path for path in found if path.startswith(str(top / "www") + "/")]


def test_clients_that_leave_in_the_middle_leave_nothing_open(server: Server, top: Path) -> None:
    for number in range(60):
        client = server.connect(receive_buffer=4096)
        path = ("/large", "/sparse")[number % 2]
        client.send(f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n".encode() * (1 + number % 3))
        if number % 3:
            client.socket.recv(1000 * number)
        client.reset() if number % 2 else client.close()

    until(lambda: not files_open(server, top), what="no open files")
    with server.connect() as client:
        assert ask(client, "/").body == b"index"


def test_slow_client_delays_no_other(server: Server, top: Path) -> None:
    with server.connect(receive_buffer=4096) as slow, server.connect() as other:
        slow.send(b"GET /sparse HTTP/1.1\r\nHost: h\r\n\r\n" * 10)
        slow.socket.recv(1000)
        for _ in range(50):
            assert ask(other, "/").body == b"index"
        assert sum(path.endswith("sparse") for path in files_open(server, top)) == 1
    until(lambda: not files_open(server, top), what="no open files")


def test_a_hundred_downloads_at_a_time_are_whole(server: Server, top: Path) -> None:
    expected = hashlib.sha256((top / "www" / "large").read_bytes()).hexdigest()
    clients = [server.connect(receive_buffer=65536) for _ in range(100)]
    digests = []

    def download(mine: list[Client]) -> None:
        for client in mine:
            client.send(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
        digests.extend(hashlib.sha256(client.answer().body).hexdigest() for client in mine)

    threads = [threading.Thread(target=download, args=(clients[n::4],)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for client in clients:
        client.close()

    assert digests == [expected] * 100
    until(lambda: not files_open(server, top), what="no open files")


def drained(client: Client) -> int:
    """Read to the end, in whatever way it comes; return how many bytes came."""
    received = 0
    try:
        while data := client.socket.recv(1 << 20):
            received += len(data)
    except ConnectionResetError:
        pass
    return received


def test_a_file_that_is_truncated_ends_its_downloads(server: Server, top: Path) -> None:
    path = top / "www" / "shrinking"
    path.write_bytes(b"s" * 30_000_000)
    with server.connect(receive_buffer=4096) as client:
        client.send(b"GET /shrinking HTTP/1.1\r\nHost: h\r\n\r\n")
        client.socket.recv(1000)
        os.truncate(path, 100)
        received = drained(client)
        server.log.wait("a file ended")
    assert received < 30_000_000
    with server.connect() as client:
        assert ask(client, "/shrinking").body == b"s" * 100


def test_a_link_that_changes_all_the_time_shows_no_secret(server: Server, top: Path) -> None:
    root, stop = top / "www", threading.Event()
    (root / "door").mkdir()
    (root / "door" / "secret").write_text("inside")
    (root / "away").symlink_to("../www-evil")

    def swap() -> None:
        while not stop.is_set():
            (root / "door").rename(root / "kept")
            (root / "away").rename(root / "door")
            (root / "door").rename(root / "away")
            (root / "kept").rename(root / "door")

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        with server.connect() as client:
            answers = [ask(client, "/door/secret") for _ in range(1000)]
    finally:
        stop.set()
        swapping.join()

    assert {answer.status for answer in answers} <= {200, 404}
    assert {answer.body for answer in answers if answer.status == 200} <= {b"inside"}


def test_a_stop_lets_a_download_finish(serve: Launcher, tmp_path: Path) -> None:
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "large").write_bytes(os.urandom(8_000_000))
    server = serve(APP.replace("ROOT", str(tmp_path)), settings={"drain_timeout": 100})
    with server.connect(receive_buffer=4096) as client:
        client.send(b"GET /large HTTP/1.1\r\nHost: h\r\n\r\n")
        client.socket.recv(1, socket.MSG_PEEK)
        start = server.log.size()
        server.process.terminate()
        server.log.wait("waiting for workers to drain", start)
        answer = client.answer()

    assert answer.body == (tmp_path / "www" / "large").read_bytes()
