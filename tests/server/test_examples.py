"""The examples, served as they stand, seen as a user would."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.helpers import procs
from tests.helpers.build import get, post, request
from tests.helpers.fix_serve import Server, serving
from tests.helpers.served_certificates import SessionCertificates

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
SHORT = 40
# Those that show how things go together.
LONGER = {"chat": 120, "demo": 120}
NOTE = "/notes/milk"


@pytest.fixture(scope="module")
def example(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """Serve the example that is named by the parameter."""
    if request.param == "database":
        os.environ["DATABASE"] = request.getfixturevalue("postgres").dsn
    if request.param == "secure":
        certificates = request.getfixturevalue("certificates")
        tls = certificates.server()
        os.environ.update(CERT=tls.certificate, KEY=tls.key, CLIENT_CA=certificates.ca_file)
    with serving(EXAMPLES / request.param / "app.py", tmp_path_factory.mktemp("example")) as server:
        yield server


def of(name: str) -> pytest.MarkDecorator:
    """Run a test on one of the examples."""
    return pytest.mark.parametrize("example", [name], indirect=True)


def body(server: Server, path: str) -> str:
    """Return what a GET of *path* is answered."""
    with server.connect() as client:
        answer = client.ask(get(path))
    assert answer.status == 200
    return answer.body.decode()


@pytest.mark.parametrize("name", sorted(place.name for place in EXAMPLES.iterdir()))
def test_an_example_is_short_and_tested(name: str) -> None:
    (app,) = [file for file in (EXAMPLES / name).iterdir() if file.name in {"app.py", "kore.conf"}]
    lines = app.read_text().splitlines()

    assert f'@of("{name}")' in Path(__file__).read_text() or app.name == "kore.conf"
    assert len(lines) <= LONGER.get(name, SHORT)


@of("hello")
def test_hello_greets_the_world_and_a_name(example: Server) -> None:
    assert body(example, "/") == "hello world"
    assert body(example, "/user/ada") == "hello ada"
    assert len(example.workers) == 2


@of("functions")
def test_functions_keep_a_note(example: Server) -> None:
    with example.connect() as client:
        assert client.ask(get(NOTE)).status == 404
        assert client.ask(post(b"one", method="PUT", target=NOTE)).status == 201
        assert client.ask(post(b"two", method="PUT", target=NOTE)).status == 204
        assert client.ask(get(NOTE)).body == b"two"
        assert json.loads(client.ask(get("/notes")).body) == ["milk"]
        refused = client.ask(request("DELETE", NOTE))

    assert (refused.status, refused.get("allow")) == (405, "GET, HEAD, PUT, OPTIONS")


@of("files")
def test_files_are_served_beside_a_route(example: Server) -> None:
    assert "<h1>Files" in body(example, "/") == body(example, "/index")
    assert re.fullmatch(r"\d\d:\d\d:\d\d\n", body(example, "/time"))
    with example.connect() as client:
        style = client.ask(get("/style.css"))
    assert style.get("content-type") == "text/css; charset=utf-8"
    assert style.get("cache-control") == "max-age=60"


@of("messages")
def test_messages_reach_every_worker(example: Server) -> None:
    with example.connect() as client:
        assert client.ask(post(b"two bottles", method="PUT", target=NOTE)).status == 202

    def told() -> bool:
        with example.connect("GET") as client:
            answer = client.ask(get(NOTE))
        if answer.status == 200:
            known.add(answer.body)
        return len(known) == 3

    known: set[bytes] = set()
    procs.until(told, what="an answer of every worker")
    assert known == {f"two bottles, says worker {number}\n".encode() for number in (1, 2, 3)}


@of("streaming")
def test_streaming_sends_a_long_table(example: Server) -> None:
    lines = body(example, "/squares/100000").splitlines()

    assert len(lines) == 100_000
    assert lines[-1] == "99999 9999800001"


@of("streaming")
def test_streaming_stops_when_its_client_leaves(example: Server) -> None:
    # A try at which the machine held this client up for the whole countdown shows nothing.
    procs.until(lambda: left_early(example) in "32", what="a countdown that is broken off")

    start = example.log.size()
    assert body(example, "/countdown") == "3\n2\n1\ngo\n"
    example.log.wait("the countdown came to 1", start)


def left_early(example: Server) -> str:
    """Leave a countdown after its first number, and return the one it came to."""
    start = example.log.size()
    with example.connect() as client:
        client.send(get("/countdown"))
        client.wait(lambda: client.reader.current is not None and client.reader.current.chunks)
        client.reset()
    return example.log.search(r"the countdown came to (\d)\]", start)[1]


@of("tasks")
def test_tasks_run_beside_requests(example: Server) -> None:
    def counted(what: str) -> int:
        found = re.search(rf"(\d+) {what}", body(example, "/jobs"))
        assert found is not None
        return int(found[1])

    before = counted("heartbeats")
    procs.until(lambda: counted("heartbeats") > before, what="another heartbeat")
    with example.connect() as client:
        client.ask(post(target="/jobs"))
    procs.until(lambda: counted("jobs done") == 1, what="the job done")


@of("tasks")
def test_tasks_wait_for_asyncio(example: Server) -> None:
    assert body(example, "/both").startswith("slept in /")


@of("toolkit")
def test_toolkit_doubles_in_a_task_of_its_own(example: Server) -> None:
    assert [body(example, f"/double/{n}") for n in range(3)] == ["0\n", "2\n", "4\n"]


@of("toolkit")
def test_toolkit_counts_each_client_once(example: Server) -> None:
    clients = [example.connect() for _ in range(20)]
    for client in clients:
        client.send(get("/count"))
    numbers = sorted(int(client.answer().body) for client in clients)
    for client in clients:
        client.close()

    assert numbers == list(range(1, 21))


@of("client")
def test_client_asks_itself(example: Server) -> None:
    assert body(example, "/sum") == "235\n"
    assert body(example, "/pieces").splitlines()[-1] == "99999"


@of("client")
def test_client_reports_unreachable_servers(example: Server) -> None:
    with example.connect() as client:
        answer = client.ask(get("/nobody"))
    assert answer.status == 502
    assert answer.body.startswith(b"request to 'http://127.0.0.1:1/' failed: ")


@of("processes")
def test_processes_sort_what_they_are_sent(example: Server) -> None:
    lines = [f"{number * 7919 % 100_000:05}\n" for number in range(100_000)]
    with example.connect() as client:
        answer = client.ask(post("".join(lines).encode(), target="/sort"))

    assert (answer.status, answer.body.decode()) == (200, "".join(sorted(lines)))


@of("processes")
def test_processes_may_take_too_long(example: Server) -> None:
    with example.connect() as client:
        answer = client.ask(get("/slow"))

    assert (answer.status, answer.body) == (504, b"timeout before process exited, status 9\n")


@of("echo")
def test_echo_is_asked_over_http(example: Server) -> None:
    assert [body(example, f"/echo/{word}") for word in ("hello", "world")] == ["hello", "world"]


@of("echo")
def test_echo_has_clients_of_its_own_and_hangs_up_on_slow_ones(example: Server) -> None:
    (port,) = set(listening(example.worker)) - {example.address[1]}
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"hello")
        assert client.recv(100) == b"hello"
        assert read_all(client) == b"too slow\n"
    with socket.create_connection(("127.0.0.1", port), 10) as client:
        client.sendall(b"last words")
        client.shutdown(socket.SHUT_WR)
        assert read_all(client) == b"last words"


def read_all(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(100), b""))


def listening(pid: int) -> list[int]:
    """Return the TCP ports of IPv4 that a process listens on."""
    own = {name.removeprefix("socket:[").removesuffix("]") for name in procs.descriptors(pid)}
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return [int(row[1].split(":")[1], 16) for row in rows if row[3] == "0A" and row[9] in own]


def in_room(server: Server, room: str, query: str, **options: Any) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{server.address[1]}/rooms/{room}?{query}", **options)


def told(client: ClientConnection, what: str = "") -> Any:
    """Return what a client is told next; of what is named the contents, the rest left out."""
    while what not in (message := json.loads(client.recv(10))) and what:
        continue
    return message[what] if what else message


@of("chat")
def test_chat_reaches_present_and_later_members(example: Server) -> None:
    with in_room(example, "lounge", "name=ada") as ada:
        assert told(ada)["said"] == []
        assert told(ada) == {"event": "ada joined"}
        with in_room(example, "lounge", "name=bob") as bob:
            assert told(ada) == {"event": "bob joined"}
            bob.send("one")
            bob.send("two")
            (first,), (second,) = told(ada)["said"], told(ada)["said"]
        assert told(ada) == {"event": "bob left"}
        with in_room(example, "lounge", f"name=bob&after={first['id']}") as bob:
            # In the other worker "bob left" may come only now.
            assert told(bob, "said") == [second]
            assert told(ada) == {"event": "bob is back"}

    assert (first["name"], first["text"], second["text"]) == ("bob", "one", "two")


@of("chat")
def test_chat_keeps_no_more_than_the_last_messages_of_a_room(example: Server) -> None:
    with in_room(example, "kitchen", "name=eve") as eve:
        for number in range(60):
            eve.send(f"number {number}")
        procs.until(lambda: "number 59" in eve.recv(10), what="the last one")
    with in_room(example, "kitchen", "name=eve") as eve:
        texts = [said["text"] for said in told(eve, "said")]

    assert texts == [f"number {number}" for number in range(10, 60)]


@of("chat")
@pytest.mark.parametrize(
    ("query", "origin", "status"),
    [
        ("name=ada", "https://example.org", 403),
        ("name=%E2%80%AEada", "http://localhost:8888", 400),
        ("name=" + "x" * 25, None, 400),
        ("", None, 400),
    ],
)
def test_chat_refuses_strange_names_and_pages(
    example: Server, query: str, origin: Any, status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused, in_room(example, "garden", query, origin=origin):
        pass

    assert refused.value.response.status_code == status


@of("chat")
@pytest.mark.parametrize(("message", "code"), [(b"bytes", 1003), ("x" * 4097, 1009)])
def test_chat_closes_on_binary_or_large_messages(
    example: Server, message: str | bytes, code: int
) -> None:
    with in_room(example, "garden", "name=eve") as eve:
        eve.send(message)
        with contextlib.suppress(ConnectionClosed):
            list(eve)

        assert eve.close_code == code


@of("demo")
def test_the_demo_shows_the_source_of_its_handlers(example: Server) -> None:
    page = body(example, "/")

    assert "async def wait(req, ms):" in page
    assert "<!-- " not in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", ""), "it needs no network"


@of("demo")
@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/hello/ada/2", "hello ada\nhello ada\n"),
        ("/wait/20", r"waited \d+ ms\n"),
        ("/countdown", r"5 \.\.\.\n4 \.\.\.\n3 \.\.\.\n2 \.\.\.\n1 \.\.\.\nlift-off\n"),
        ("/worker", r"worker [12], pid \d+\n"),
    ],
)
def test_the_links_of_the_demo_lead_somewhere(example: Server, path: str, answer: str) -> None:
    assert re.fullmatch(answer, body(example, path))


@of("demo")
def test_the_demo_echoes(example: Server) -> None:
    with example.connect() as client:
        assert client.ask(post(b"what goes in")).body == b"what goes in"


@of("demo")
@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/echo", 405), ("/wait/x", 404)])
def test_the_demo_shows_refusals(example: Server, path: str, status: int) -> None:
    with example.connect() as client:
        assert client.ask(get(path)).status == status


@of("demo")
def test_the_demo_without_a_database_says_so(example: Server) -> None:
    with example.connect() as client:
        answer = client.ask(post(b"note", target="/notes"))
    assert (answer.status, answer.body[:12]) == (200, b"pgsql error:")


@pytest.fixture
def temporary() -> Iterator[Path]:
    """Return a directory whose name is short enough for the path of a unix socket in it."""
    with tempfile.TemporaryDirectory(prefix="kore-demo-") as name:
        # PostgreSQL does not run as root.
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("postgres")
def test_the_demo_starts_a_database_and_leaves_nothing(
    tmp_path: Path, temporary: Path, end: int
) -> None:
    environment = {"KORE_DEMO_PORT": "0", "TMPDIR": str(temporary)}
    server = Server([sys.executable, str(EXAMPLES / "demo" / "serve.py")], tmp_path, environment)
    try:
        server.learn_port()
        with server.connect() as client:
            assert client.ask(post(b"first", target="/notes")).body == b"1  first\n"
            assert client.ask(post(b"second", target="/notes")).body == b"2  second\n1  first\n"
        assert [*temporary.iterdir()]
        # As a terminal does it: to all of them.
        tell = os.killpg if end == signal.SIGINT else os.kill
        tell(server.process.pid, end)
        assert server.process.wait(30) == 0
    finally:
        server.kill()
    assert [*temporary.iterdir()] == []


@of("database")
def test_database_keeps_books(example: Server) -> None:
    added = post(b"ada", target="/book/notes")
    with example.connect() as client:
        assert client.ask(added).body == b"1\n"
        assert client.ask(added).status == 409
    assert json.loads(body(example, "/books")) == [{"title": "notes", "author": "ada"}]


@of("demo")
def test_the_demo_shows_a_failure(example: Server) -> None:
    with example.expecting("RuntimeError: on purpose"), example.connect() as client:
        assert client.ask(get("/fails")).status == 500


@of("secure")
def test_secure_redirects_to_tls_and_greets_clients_by_the_names_in_their_certificates(
    example: Server, certificates: SessionCertificates
) -> None:
    plain = example.log.search(r"http serving http on 127\.0\.0\.1:(\d+)")[1]
    client = certificates.client("ada")
    told = ["curl", "-sS", "--noproxy", "*", "-L", "--cacert", certificates.ca_file]
    url = f"http://localhost:{plain}/"

    assert subprocess.check_output(
        [*told, "--cert", client.certificate, "--key", client.key, url], text=True
    ) == "hello ada, over https\n"
    assert subprocess.run([*told, url], capture_output=True, check=False).returncode
