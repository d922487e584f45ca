"""Whole programs of the shapes that C Kore's examples have had over the years, run as they stand.

Not their text: what matters is what they take for granted.
"""

import contextlib
import json
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.build import get, post
from tests.helpers.fix_serve import KORE, RUNNING, Server
from tests.helpers.procs import PATIENCE
from tests.helpers.websocket import Peer

# A service of its own, without HTTP: tasks over sockets, made on import.
SERVICE = """
import kore
import socket

class Service:
    def __init__(self):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.bind(("127.0.0.1", 0))
        sock.listen()
        print("port", sock.getsockname()[1], flush=True)
        self.listener = kore.socket_wrap(sock)

    async def run(self):
        while True:
            kore.task_create(self.serve(await self.listener.accept()))

    async def serve(self, client):
        while (data := await client.recv(1024, 20000)) is not None:
            await client.send(data.upper())
        client.close()

kore.task_create(Service().run())
"""


@contextlib.contextmanager
def running(directory: Path, *words: str) -> Iterator[Server]:
    """Run the command in a directory until the block ends; it has to end well."""
    server = Server([*KORE, *words], directory, {})
    try:
        server.log.wait("all worker processes started")
        RUNNING.append(server)
        yield server
        server.stop()
    finally:
        server.kill()


def ask(port: int, text: bytes) -> bytes:
    """Send something to the service, and return what comes back."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.sendall(text)
        return client.recv(1024)


@pytest.mark.parametrize("words", [("-rn", "service.py"), ("-rnc", "service.conf")])
def test_a_service_needs_no_server_of_kores(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "service.py").write_text(SERVICE)
    (tmp_path / "service.conf").write_text("workers 1\npython_import ./service.py\n")
    with running(tmp_path, *words) as server:
        port = int(server.log.search(r"port (\d+)")[1])
        assert ask(port, b"hello") == b"HELLO"
        before = server.log.size()
        server.process.send_signal(signal.SIGHUP)
        # A new port, on a listener of the new code.
        server.log.wait("all worker processes started", before)
        again = int(server.log.search(r"port (\d+)", before)[1])
        assert ask(again, b"again") == b"AGAIN"


# One module for each subject beside the application; their routes come before any domain.
MODULES = {
    "app.py": """
import kore
import waits
import talks

kore.server(ip="127.0.0.1", port="0", tls=False)
kore.domain("*")
kore.task_create(waits.helper())
""",
    "waits.py": """
import kore

lock = kore.lock()
queue = kore.queue()

async def helper():
    while True:
        asked = await queue.pop()
        asked["answers"].push("%d = %s" % (kore.time(), asked["text"]))

@kore.route("/queue", methods=["get"])
async def ask_the_queue(req):
    answers = kore.queue()
    queue.push({"answers": answers, "text": "hello"})
    async with lock:
        await kore.suspend(10)
        req.response(200, (await answers.pop()).encode())
""",
    "talks.py": """
import json
import kore
import socket

@kore.route("/proc", methods=["get"])
async def list_files(req):
    proc = kore.proc("/bin/ls -1")
    try:
        said = ""
        while True:
            chunk = await proc.recv(16, 20000)
            if chunk is None:
                break
            said += chunk.decode()
        status = await proc.reap()
        req.response(200, json.dumps({"status": status, "said": said}).encode())
    except Exception as error:
        proc.kill()
        req.response(500, str(error).encode())

@kore.route("^/socket/([0-9]+)$", methods=["get"])
async def ask_itself(req, port):
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    conn = kore.socket_wrap(sock)
    await conn.connect("127.0.0.1", int(port))
    await conn.send("GET /slow HTTP/1.1\\r\\nHost: 127.0.0.1\\r\\n\\r\\n".encode())
    data = await conn.recv(8192)
    req.response(200, data)
    conn.close()

@kore.route("/slow", methods=["get"])
async def slow(req):
    await kore.suspend(50)
    req.response(200, b"from itself")
""",
}


def test_modules_beside_an_application_bring_their_routes(tmp_path: Path) -> None:
    for name, source in MODULES.items():
        (tmp_path / name).write_text(source)
    with running(tmp_path, "-rn", "app.py") as server:
        server.learn_port()
        with server.connect() as client:
            assert client.ask(get("/queue")).body.endswith(b" = hello")
            listed = json.loads(client.ask(get("/proc")).body)
            assert listed["status"] == 0
            assert {*MODULES} <= {*listed["said"].split()}
            inner = client.ask(get(f"/socket/{server.address[1]}")).body
            assert inner.startswith(b"HTTP/1.1 200 OK\r\n")
            assert inner.endswith(b"\r\n\r\nfrom itself")


# A file that serves what several modules have; its words are those of Kore 3.
OLD = {
    "conf/old.conf": """
# modules
python_import\tsrc/pages.py onload
python_import\tsrc/chat.py
workers\t1
server plain {
\tbind 127.0.0.1 0
\ttls no
}

validator v_id function is_number
validator v_key function knows_key

websocket_maxframe\t65536
websocket_timeout\t20

authentication key {
\tauthentication_type header
\tauthentication_value x-key
\tauthentication_validator v_key
}

domain * {
\tattach\tplain
\tcertfile\tcert/server.pem
\tcertkey\t\tcert/key.pem

\tstatic\t/\t\tpage
\tstatic\t/json\t\tjson_parse
\tstatic\t/upload\t\tupload
\tstatic\t/ws\t\tws_connect
\tstatic\t/auth\t\tpage\tkey

\tparams qs:get / {
\t\tvalidate id v_id
\t}
}
""",
    "src/pages.py": """
import kore
import json

def is_number(req, data):
    return data.isdigit()

def knows_key(req, data):
    return data == "sesame"

def onload(action):
    kore.log(kore.LOG_INFO, "onload called with %d!" % action)
    return kore.RESULT_OK

def page(req):
    if req.method == kore.HTTP_METHOD_POST:
        length, body = req.body_read(1024)
        req.response_header("content-type", "text/plain")
        req.response(200, body)
    else:
        req.populate_get()
        id = req.argument("id")
        req.response(200, "id {}".format(id).encode("utf-8"))

def json_parse(req):
    if req.method != kore.HTTP_METHOD_PUT:
        req.response(400, b'')
    else:
        req.response(200, json.loads(req.body)["hello"].encode())

def upload(req):
    if req.method is not kore.HTTP_METHOD_POST:
        req.response_header("allow", "post")
        req.response(400, b'')
        return
    req.populate_multi()
    file = req.file_lookup("file")
    if not file:
        req.response(400, b'')
        return
    f = open(file.filename, "wb")
    len = True
    while len:
        len, bytes = file.read(3)
        f.write(bytes)
    f.close()
    req.response(200, b'')
""",
    "src/chat.py": """
import kore

def onconnect(c):
    kore.log(kore.LOG_INFO, "%s: connected" % c)

def onmessage(c, op, data):
    kore.websocket_broadcast(c, op, data, kore.WEBSOCKET_BROADCAST_GLOBAL)

def ondisconnect(c):
    kore.log(kore.LOG_INFO, "%s: disconnecting" % c)

def ws_connect(req):
    try:
        req.websocket_handshake("onconnect", "onmessage", "ondisconnect")
    except:
        req.response(500, b'')
""",
}
FORM = "Content-Type: multipart/form-data; boundary=XX"
FILE = (
    b'--XX\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nabcdefg\r\n'
    b"--XX--\r\n"
)


def test_a_file_of_kore_3_serves_its_modules(tmp_path: Path) -> None:
    for name, source in OLD.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    with running(tmp_path, "-nrc", "conf/old.conf") as server:
        server.learn_port()
        assert "onload called with 1!" in server.log.text()
        with server.connect("PUT") as client:
            assert client.ask(get("/?id=12")).body == b"id 12"
            assert client.ask(get("/?id=x")).body == b"id None"
            assert client.ask(post(b"said", target="/")).body == b"said"
            assert client.ask(get("/auth")).status == 403
            assert client.ask(get("/auth", "X-Key: open")).status == 403
            assert client.ask(get("/auth", "X-Key: sesame")).status == 200
            sent = post(b'{"hello": "you"}', target="/json").replace(b"POST", b"PUT", 1)
            assert client.ask(sent).body == b"you"
            assert client.ask(get("/upload")).status == 400
            assert client.ask(post(FILE, -1, FORM, target="/upload")).status == 200
            assert client.ask(get("/ws")).status == 400
        assert (tmp_path / "a.txt").read_bytes() == b"abcdefg"
        with Peer(server.address, "/ws") as one, Peer(server.address, "/ws") as two:
            one.text("hi")
            assert two.hears() == "hi"
            assert one.is_open()


# A package whose functions hand on to its object, and a file for its routes.
PACKAGE = {
    "shop/__init__.py": """
from .app import koreapp

def kore_parent_configure(args):
    koreapp.configure(args)

def kore_worker_configure():
    return
""",
    "shop/app.py": """
import kore

class KoreApp:
    def configure(self, args):
        kore.log(kore.LOG_INFO, "configured with %s" % args)

    def seccomp(self, s):
        s.allow("getdents64")

    async def hello(self, req):
        req.response(200, b"hello\\n")

koreapp = KoreApp()
""",
    "shop/kore.conf": """
server tls {
\tbind 127.0.0.1 0
\ttls no
}

tls_dhparam\tdh2048.pem

domain * {
\tattach\t\ttls

\troute\t/hello\t\tkoreapp.hello
}
""",
}


def test_a_package_is_configured_once_and_served_by_its_file(tmp_path: Path) -> None:
    for name, source in PACKAGE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(source)
    with running(tmp_path / "shop", "-rn", "-c", "kore.conf", ".", "x") as server:
        server.learn_port()
        with server.connect() as client:
            assert client.ask(get("/hello")).body == b"hello\n"
        assert server.log.text().count("configured with ['kore', 'x']") == 1
        assert "koreapp.seccomp has no effect in this version" in server.log.text()


# As `kodev create -p` of C Kore writes it, beside the address.
SECURE = """
import kore

class KoreApp:
    def configure(self, args):
        kore.config.deployment = "development"
        kore.server("default", ip="127.0.0.1", port="0")
        d = kore.domain("*",
            attach="default",
            key="cert/key.pem",
            cert="cert/server.pem",
        )
        d.route("/", self.index, methods=["get"])

    async def index(self, req):
        req.response(200, req.protocol.encode())

koreapp = KoreApp()
"""
# And the configuration file that it writes for C.
SECURE_CONF = """
server tls {
	bind 127.0.0.1 0
}

python_import ./page.py

domain * {
	attach		tls

	certfile	cert/server.pem
	certkey		cert/key.pem

	route / {
		handler page
	}
}
"""


@pytest.fixture
def self_signed(tmp_path: Path) -> Path:
    """Return a directory with a certificate as C Kore's kodev makes them: RSA, no extensions."""
    (tmp_path / "cert").mkdir()
    (tmp_path / "openssl.cnf").write_text("[req]\ndistinguished_name=name\n[name]\n")
    files = "-keyout cert/key.pem -out cert/server.pem -config openssl.cnf"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 3000 {files} -subj".split()
    subject = "/C=SE/O=kore autogen: shop/CN=localhost"
    subprocess.run([*command, subject], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


@pytest.mark.parametrize(
    ("source", "arguments"), [(SECURE, ["app.py"]), (SECURE_CONF, ["-c", "app.py"])]
)
def test_a_program_with_certificates_is_served_over_tls(
    self_signed: Path, source: str, arguments: list[str]
) -> None:
    (self_signed / "app.py").write_text(source)
    (self_signed / "page.py").write_text("def page(req):\n    req.response(200, req.protocol)\n")

    with running(self_signed, *arguments) as server:
        server.learn_port()
        url = f"https://localhost:{server.address[1]}/"
        told = ["curl", "-sS", "--noproxy", "*", "-k", "-i", url]
        head, _, body = subprocess.check_output(told, text=True).partition("\n\n")

    assert body == "https"
    # Browsers would insist on it for a year.
    assert "strict-transport-security" not in head
