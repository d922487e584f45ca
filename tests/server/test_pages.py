"""The code in the documentation, served as it stands, seen as a user would."""

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.helpers.build import get
from tests.helpers.certificates import CertificateAuthority
from tests.helpers.fix_serve import RUNNING, Server, serving
from tests.helpers.served_certificates import ServedCertificate

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
CODE = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)

CONF_PAGE = "docs/guide/configuration.md"
# For each page with an application in it: a path, and what the page says it is answered.
PAGES = {
    "README.md": ("/", "hello world\n"),
    "docs/tutorial.md": ("/hello/ada", "hello ada\n"),
    "docs/guide/async.md": ("/sorted?words=pear,apple", "apple\npear\n"),
    "docs/guide/access-log.md": ("/", "hello world\n"),
    "docs/guide/client.md": ("/", "apples: 12\n"),
    "docs/guide/databases.md": ("/books", "[]"),
    "docs/guide/files.md": ("/", "hello files\n"),
    "docs/guide/bodies.md": ("/", "PUT something to /upload\n"),
    "docs/guide/handlers.md": ("/2026/a-title", "a-title of 2026\n"),
    "docs/guide/logs.md": ("/", "logged\n"),
    "docs/guide/messages.md": ("/", "counted by every worker\n"),
    "docs/guide/parameters.md": ("/search?words=a+b&page=x", "page 1 of a b\n"),
    "docs/guide/processes.md": ("/", "hello world"),
    "docs/guide/requests.md": ("/whoami", '"path": "/whoami"'),
    "docs/guide/responses.md": ("/count/3", "0\n1\n2\n"),
    "docs/guide/tls.md": ("/", "hello over TLS\n"),
    "docs/guide/websockets.md": ("/", "open ws://127.0.0.1:8888/echo\n"),
}


def body(server: Server, path: str) -> str:
    """Return what a GET of *path* is answered."""
    with server.connect() as client:
        answer = client.ask(get(path))
    assert answer.status == 200
    return answer.body.decode()


@contextlib.contextmanager
def configured(conf: str, modules: str, directory: Path) -> Iterator[Server]:
    """Serve what a configuration file and hello.py beside it make, on a free port."""
    (directory / "kore.conf").write_text(conf.replace("8888", "0"))
    (directory / "hello.py").write_text(modules)
    server = Server([sys.executable, "-m", "kore", "-c", "kore.conf", "a"], directory, {})
    try:
        server.learn_port()
        RUNNING.append(server)
        yield server
        server.stop()
    finally:
        server.kill()


def test_conf_is_an_application_put_together_by_a_file(tmp_path: Path) -> None:
    place = EXAMPLES / "conf"
    conf, modules = (place / "kore.conf").read_text(), (place / "hello.py").read_text()

    with configured(conf, modules, tmp_path) as server:
        assert body(server, "/") == "hello world\n"
        assert body(server, "/user/ada") == "hello ada\n"
        server.log.wait("worker 2 has loaded hello.py")
        server.log.wait("configured with ['a']")


def test_the_page_about_the_file_has_one_that_works(tmp_path: Path) -> None:
    text = (ROOT / CONF_PAGE).read_text()
    (conf,) = re.findall(r"^```conf\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    (modules,) = CODE.findall(text)

    with configured(conf, modules, tmp_path) as server:
        assert body(server, "/") == "hello world\n"
        assert body(server, "/user/ada") == "hello ada\n"


def applications() -> set[str]:
    """Return the pages that hold Python code."""
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    return {str(page.relative_to(ROOT)) for page in pages if CODE.search(page.read_text())}


def test_every_page_with_code_is_tried() -> None:
    assert applications() == {CONF_PAGE, *PAGES}


def certificate_of_pages(directory: Path) -> ServedCertificate:
    """Write the certificate that the page about TLS names."""
    (directory / "certs").mkdir()
    authority = CertificateAuthority()
    files = authority.issue("localhost").write(directory / "certs", "localhost")
    return ServedCertificate(files.certificate, files.key, authority.write(directory))


@pytest.mark.parametrize("page", PAGES)
def test_the_code_of_a_page_is_an_application(
    page: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, answer = PAGES[page]
    if page.endswith("databases.md"):
        postgres = request.getfixturevalue("postgres")
        postgres.sql("CREATE DATABASE page")
        monkeypatch.setenv("DATABASE", postgres.dsn + " dbname=page")
    code = "\n\n".join(CODE.findall((ROOT / page).read_text()))
    (tmp_path / "public").mkdir()
    (tmp_path / "public" / "index.html").write_text("hello files\n")
    app = tmp_path / "app.py"
    app.write_text(code.replace("port=8888", "port=0"))
    certificate = certificate_of_pages(tmp_path)

    with serving(app, tmp_path) as server:
        server.tls = certificate if page.endswith("tls.md") else None
        if page.endswith("databases.md"):
            # The first worker makes the table, the other one may be there before.
            table = "SELECT count(*) FROM pg_tables WHERE tablename = 'books'"
            procs.until(lambda: postgres.sql(table, "page") == "1", what="the table")
        assert answer in body(server, path)
