"""The servers that speak TLS, what they are asked, and the certificates they are given."""

import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from peers import GRANIAN, UVICORN, Peer

KEEP_ALIVE = "keep-alive"
PLAIN = "keep-alive without TLS"
FILE = "file of 1 MiB"
IDLE = "idle connection"
BESIDE = "plain requests beside handshakes"
VERSIONS = ("1.3", "1.2")
# The arguments of `openssl req` for a new key of each kind.
KINDS = {
    "P-256": ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
    "RSA-2048": ("-newkey", "rsa:2048"),
}


@dataclass(frozen=True, slots=True)
class Handshake:
    """One kind of connection: handshake, one request, end."""

    kind: str  # of the certificate's key
    version: str
    resumed: bool = False

    @property
    def name(self) -> str:
        """Its name in tables."""
        return f"{'resumption' if self.resumed else 'full handshake'}, {self.kind}, {self.version}"


HANDSHAKES = {
    each.name: each
    for each in (
        *(Handshake(kind, version) for kind in KINDS for version in VERSIONS),
        *(Handshake("P-256", version, resumed=True) for version in VERSIONS),
    )
}
FULL = tuple(name for name, each in HANDSHAKES.items() if not each.resumed)
WORKS = (KEEP_ALIVE, PLAIN, FILE, *HANDSHAKES, IDLE, BESIDE)


@dataclass(frozen=True, slots=True)
class Certificate:
    """The files of a self-signed certificate."""

    certificate: Path
    key: Path


def issue(kind: str, directory: Path) -> Certificate:
    """Write a certificate for localhost with a new key."""
    name = kind.lower()
    files = Certificate(directory / f"{name}.pem", directory / f"{name}.key")
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    output = ("-nodes", "-days", "200", "-keyout", str(files.key), "-out", str(files.certificate))
    command = ["openssl", "req", "-x509", *KINDS[kind], *subject, *output]
    subprocess.run(command, check=True, capture_output=True)
    return files


def peers(files: Certificate) -> dict[str, Peer]:
    """Return the servers with this certificate; `-plain`: the same without TLS."""
    certificate, key = shlex.quote(str(files.certificate)), shlex.quote(str(files.key))
    common = (KEEP_ALIVE, *HANDSHAKES, IDLE)
    uvicorn = ("uvicorn", "uvloop", "httptools")
    hypercorn = (
        "{bin}/hypercorn --bind 127.0.0.1:{port} --workers 1 --worker-class uvloop "
        f"--keep-alive 75 --log-level warning --certfile {certificate} --keyfile {key} asgi_app:app"
    )
    granian = (
        f"{GRANIAN} --ssl-certificate {certificate} --ssl-keyfile {key} "
        "--ssl-protocol-min tls1.2 --interface rsgi rsgi_app:app"
    )
    table = (
        Peer(
            "kore", "kore", "{bin}/kore -q tls_kore_app.py",
            serves=(*common, FILE, BESIDE), ours=True, scheme="https",
        ),
        Peer(
            "nginx", "nginx", "{bin}/python tls_nginx_app.py",
            serves=(*common, FILE, BESIDE), scheme="https",
        ),
        Peer(
            "granian", "granian (RSGI)", granian, ("granian", "uvloop"), (*common, FILE),
            scheme="https",
        ),
        Peer(
            "uvicorn", "uvicorn (uvloop, httptools)",
            f"{UVICORN} --ssl-certfile {certificate} --ssl-keyfile {key} asgi_app:app",
            uvicorn, common, scheme="https",
        ),
        Peer(
            "hypercorn", "hypercorn (uvloop)", hypercorn, ("hypercorn", "uvloop"), common,
            scheme="https",
        ),
        Peer("kore-plain", "kore", "{bin}/kore -q kore_app.py", serves=(PLAIN,), ours=True),
        Peer("nginx-plain", "nginx", "{bin}/python nginx_app.py", serves=(PLAIN,)),
        Peer(
            "granian-plain", "granian (RSGI)", f"{GRANIAN} --interface rsgi rsgi_app:app",
            ("granian", "uvloop"), (PLAIN,),
        ),
        Peer(
            "uvicorn-plain", "uvicorn (uvloop, httptools)", f"{UVICORN} asgi_app:app", uvicorn,
            (PLAIN,),
        ),
    )  # fmt: skip
    return {peer.name: peer for peer in table}
