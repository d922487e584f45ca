"""Debian's nginx as another opinion on files: one process, in the foreground, on a free port."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.helpers import procs
from tests.helpers.ports import free_port
from tests.helpers.raw_client import Client

PROGRAM: Final = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
CONF: Final = """
daemon off;
master_process off;
pid {home}/pid;
error_log {home}/error.log;
events {{ worker_connections 64; }}
http {{
    access_log off;
    sendfile on;
    gzip_static on;
    gzip_vary on;
    gzip_proxied any;
    default_type application/octet-stream;
    types {{ text/html html; text/plain txt; application/javascript js; }}
    client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f;
    uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
    server {{ listen 127.0.0.1:{port} {tls}; root {root}; }}
}}
"""


class Nginx:
    """A running nginx."""

    def __init__(self, port: int) -> None:
        self.address = ("127.0.0.1", port)

    def connect(self, *methods: str) -> Client:
        """Return a new connection."""
        return Client(self.address, methods)

    def answers(self) -> bool:
        """Whether it accepts connections."""
        try:
            self.connect().close()
        except OSError:
            return False
        return True


@contextmanager
def serving(root: Path, home: Path, tls: str = "") -> Iterator[Nginx]:
    """Serve the files of *root*; *tls* is what nginx is told about it."""
    assert PROGRAM is not None
    port = free_port()
    conf = home / "nginx.conf"
    conf.write_text(CONF.format(home=home, root=root, port=port, tls=tls))
    process = subprocess.Popen(
        [PROGRAM, "-e", f"{home}/error.log", "-p", str(home), "-c", str(conf)],
        stdin=subprocess.DEVNULL,
    )
    nginx = Nginx(port)
    try:
        procs.until(lambda: nginx.answers() or process.poll() is not None, what="nginx")
        assert process.poll() is None, (home / "error.log").read_text()
        yield nginx
    finally:
        process.terminate()
        process.wait(10)
