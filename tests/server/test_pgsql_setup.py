"""How databases are set up, and what a server without any pays for them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.build import get
from tests.helpers.fix_serve import KORE, RUNNING, Launcher, Server
from tests.helpers.postgres import Postgres

# The API page's examples of register_database and pgsql; `table` is a word of SQL, so it is quoted,
# and the string is that of a database which is there.
PAGE = """
import json
import os

domain = kore.domain("*", attach="http")

kore.register_database("db", os.environ["DSN"])

async def myquery(req):
    name = "bar"
    result = await req.pgsql("db",
        "SELECT * FROM \\"table\\" WHERE foo = $1", params=[name])
    req.response(200, json.dumps(result).encode("utf-8"))

domain.route("/", myquery, methods=["get"])
"""
CONF = """
workers 1
server plain {{
    bind 127.0.0.1 0
    tls no
}}
database db "{dsn}"
pgsql_conn_max 1
pgsql_statement_timeout 2s
python_import ./app.py
domain * {{
    attach plain
    route / {{
        handler limit
    }}
}}
"""
HANDLER = """
import kore
async def limit(req):
    rows = await req.pgsql("db", "SHOW statement_timeout")
    req.response(200, rows[0]["statement_timeout"])
"""
NAMED_LATE = """
import os
domain = kore.domain("*", attach="http")

def kore_worker_configure():
    kore.register_database("hook", os.environ["DSN"])

async def count(req, name):
    if name == "late":
        assert kore.dbsetup(name, os.environ["DSN"]) is True
    rows = await kore.dbquery(name, "SELECT 1 + 1 AS n")
    req.response(200, rows[0]["n"])

async def other(req):
    said = []
    for name, string in [("late", "host=/elsewhere"), ("bad", "colour=red")]:
        try:
            kore.dbsetup(name, string)
        except kore.errors.ConfigError as error:
            said.append(str(error).splitlines()[0])
    try:
        await kore.dbquery("bad", "SELECT 1")
    except RuntimeError as error:
        said.append(str(error))
    req.response(200, "\\n".join(said))

domain.route("/other", other, methods=["get"])
domain.route("^/(hook|late)$", count, methods=["get"])
"""
LOADED = """
import sys
domain = kore.domain("*", attach="http")
def loaded(req):
    req.response(200, str("psycopg" in sys.modules))
domain.route("/", loaded, methods=["get"])
"""


def test_example_of_the_api_page_works(serve: Launcher, postgres: Postgres) -> None:
    postgres.sql('DROP TABLE IF EXISTS "table"; CREATE TABLE "table" (foo text, n int)')
    postgres.sql("""INSERT INTO "table" VALUES ('bar', 1)""")
    with serve(PAGE, DSN=postgres.dsn).connect() as client:
        answer = client.ask(get("/"))

    assert json.loads(answer.body) == [{"foo": "bar", "n": "1"}]


def test_worker_can_define_a_database(serve: Launcher, postgres: Postgres) -> None:
    server = serve(NAMED_LATE, DSN=postgres.dsn)
    with server.connect() as client:
        assert client.ask(get("/hook")).body == b"2"
        assert client.ask(get("/late")).body == b"2"
        assert client.ask(get("/late")).body == b"2"
        refused = client.ask(get("/other")).body.decode().splitlines()

    assert "database 'late' is another one already, at app.py:" in refused[0]
    assert "database 'bad': " in refused[1]
    assert 'invalid connection option "colour"' in refused[1]
    assert "no database found named 'bad', there is hook, late" in refused[2]


def test_file_defines_a_database(tmp_path: Path, postgres: Postgres) -> None:
    (tmp_path / "kore.conf").write_text(CONF.format(dsn=postgres.dsn))
    (tmp_path / "app.py").write_text(HANDLER)
    server = Server([*KORE, "-c", "kore.conf"], tmp_path, {})
    try:
        server.learn_port()
        RUNNING.append(server)
        with server.connect() as client:
            assert client.ask(get("/")).body == b"2s"
        server.stop()
    finally:
        server.kill()


def run(directory: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "kore", *words], cwd=directory, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@pytest.mark.parametrize("option", ["-t", "--print-config"])
def test_invalid_connection_string_fails_the_check(tmp_path: Path, option: str) -> None:
    (tmp_path / "kore.conf").write_text(CONF.format(dsn="colour=red"))
    (tmp_path / "app.py").write_text(HANDLER)
    done = run(tmp_path, option, "-c", "kore.conf")

    assert done.returncode == 1
    assert "kore.conf:7: database 'db': " in done.stderr
    assert 'invalid connection option "colour"' in done.stderr


def test_invalid_connection_string_fails_the_start(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        'import kore\nkore.server(ip="127.0.0.1", port=0, tls=False)\nkore.domain("*")\n'
        'kore.dbsetup("db", "nonsense")\n'
    )
    done = run(tmp_path, "app.py")

    assert done.returncode != 0
    assert "app.py:4: database 'db': missing" in done.stdout + done.stderr


def test_printed_configuration_defines_the_same_databases(tmp_path: Path) -> None:
    (tmp_path / "kore.conf").write_text(CONF.format(dsn="host=/run dbname='a b'"))
    (tmp_path / "app.py").write_text(HANDLER)
    done = run(tmp_path, "--print-config", "-c", "kore.conf")

    assert done.returncode == 0
    assert "pgsql_conn_max 1\n" in done.stdout
    assert "pgsql_statement_timeout 2000\n" in done.stdout
    (tmp_path / "again.conf").write_text(done.stdout)
    again = run(tmp_path, "--print-config", "-c", "again.conf")
    assert again.stdout == done.stdout
    assert "database db \"host=/run dbname='a b'\"\n" in done.stdout


def test_server_without_database_loads_no_library(serve: Launcher) -> None:
    with serve(LOADED).connect() as client:
        assert client.ask(get("/")).body == b"False"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("pgsql_conn_max", -1),
        ("pgsql_conn_max", 65536),
        ("pgsql_queue_limit", -1),
        ("pgsql_connect_timeout", 0),
        ("pgsql_statement_timeout", -1),
        ("pgsql_idle_timeout", -1),
        ("pgsql_cancel_timeout", 0),
        ("pgsql_prepared_max", -1),
    ],
)
def test_setting_has_a_range(tmp_path: Path, setting: str, value: int) -> None:
    (tmp_path / "app.py").write_text(f"import kore\nkore.config.{setting} = {value}\n")
    done = run(tmp_path, "-t", "app.py")

    assert done.returncode == 1
    assert f"bad value '{value}' for {setting}" in done.stderr


def test_prepared_max_of_zero_disables_preparing(serve: Launcher, postgres: Postgres) -> None:
    app = """
    import os
    domain = kore.domain("*", attach="http")
    kore.dbsetup("db", os.environ["DSN"])
    async def count(req):
        for _ in range(5):
            rows = await req.pgsql("db", "SELECT count(*) AS n FROM pg_prepared_statements")
        req.response(200, rows[0]["n"])
    domain.route("/", count, methods=["get"])
    """
    for most, found in ((0, b"0"), (100, b"1")):
        settings = {"pgsql_prepared_max": most, "pgsql_conn_max": 1}
        with serve(app, settings=settings, DSN=postgres.dsn).connect() as client:
            assert client.ask(get("/")).body == found
