"""HTTP clients: CPU of the asking process for each request. `make bench-clients`.

Each client runs in a process of its own, all of them on uvloop, and asks nginx.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import install
import machine

HERE = Path(__file__).parent
ASK = HERE / "apps" / "client_asks.py"
SIZES = {"1k": 1024, "1m": 1024 * 1024}
# So many requests of a row in each round: one takes some 20 us, or 200.
COUNTS = {"1k": 20_000, "1m": 1_500}
PEERS = ("aiohttp", "httpx", "niquests")
FLOORS = {"aiohttp": 0.8, "httpx": 1.0, "niquests": 1.0}
NEEDS = ("aiohttp", "httpx", "niquests", "uvloop")

METHOD = """\
One process asks nginx (two workers, files in memory) from 64 tasks at a time, over connections
that are kept; HTTP/1.1 for all, answers of 1 KiB and of 1 MiB, in the clear and over TLS with a
certificate that is verified. All clients are on uvloop. A run asks a fifth of its requests before
it begins to count, then {small} of 1 KiB or {large} of 1 MiB, httpx and niquests a quarter of
these. The clients take turns for {rounds} rounds; the run with the least CPU counts, since noise
only ever adds. CPU is that of the asking process, user and system. Load of the machine when it
began: {load}."""

CONF = """
daemon off;
worker_processes 2;
pid {home}/pid;
error_log {home}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 100000000;
    client_body_temp_path {home}/b; proxy_temp_path {home}/p; fastcgi_temp_path {home}/f;
    uwsgi_temp_path {home}/u; scgi_temp_path {home}/s;
    ssl_certificate {home}/server.pem;
    ssl_certificate_key {home}/server.pem;
    server {{ listen 127.0.0.1:{plain}; listen 127.0.0.1:{tls} ssl; root {home}/root; }}
}}
"""


@contextmanager
def nginx(home: Path) -> Iterator[dict[str, str]]:
    """Serve both sizes, yield the base of the URLs by `plain` and `tls`."""
    import trustme

    program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        sys.exit("nginx is missing: apt install nginx-light")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(home / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_and_cert_chain_pem.write_to_path(str(home / "server.pem"))
    (home / "root").mkdir()
    for name, size in SIZES.items():
        (home / "root" / name).write_bytes(b"x" * size)
    home.chmod(0o755)
    ports = {"plain": 18_471, "tls": 18_472}
    (home / "nginx.conf").write_text(CONF.format(home=home, **ports))
    command = [program, "-e", f"{home}/error.log", "-p", str(home), "-c", str(home / "nginx.conf")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    time.sleep(1)
    if process.poll() is not None:
        sys.exit((home / "error.log").read_text())
    try:
        yield {
            "plain": f"http://127.0.0.1:{ports['plain']}/",
            "tls": f"https://127.0.0.1:{ports['tls']}/",
        }
    finally:
        process.terminate()
        process.wait()


def run(python: Path, client: str, url: str, count: int, bundle: Path) -> dict[str, float]:
    """Return what one run found: `cpu` and `wall`, microseconds for each request."""
    command = [str(python), str(ASK), client, url, str(count), str(bundle)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{client} on {url}:\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measured(rounds: int, scale: float) -> dict[tuple[str, str, str], dict[str, float]]:
    """Return the best run by protocol, size and client."""
    ours = Path(sys.executable)
    theirs = install.peers_python(ours)
    pinned = dict(
        line.split("==") for line in install.REQUIREMENTS.read_text().splitlines() if "==" in line
    )
    subprocess.run(
        [str(theirs), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        + [f"{name}=={pinned[name]}" for name in NEEDS],
        check=True,
    )
    best: dict[tuple[str, str, str], dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as place, nginx(Path(place)) as bases:
        bundle = Path(place) / "ca.pem"
        for number in range(rounds):
            print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
            for protocol, base in bases.items():
                for size in SIZES:
                    for client in ("kore", *PEERS):
                        python = ours if client == "kore" else theirs
                        # The slow ones would take minutes.
                        share = scale if client in {"kore", "aiohttp"} else scale / 4
                        count = max(256, int(COUNTS[size] * share))
                        found = run(python, client, base + size, count, bundle)
                        key = (protocol, size, client)
                        best[key] = min(
                            found, best.get(key, found), key=lambda each: each["cpu"]
                        )
    return best


def page(options: Any) -> str:
    """Measure, and return the page."""
    load = " ".join(f"{value:.1f}" for value in os.getloadavg())
    best = measured(options.rounds, options.scale)
    rows = machine.described(platform.python_version())[:-1]
    theirs = install.versions(install.peers_python(Path(sys.executable)))
    import pycurl

    method = METHOD.format(
        small=int(COUNTS["1k"] * options.scale), large=int(COUNTS["1m"] * options.scale),
        rounds=options.rounds, load=load,
    )
    lines = [
        f"# HTTP clients, {datetime.now(UTC):%Y-%m-%d}, Python {platform.python_version()}\n",
        "| machine |  |\n|---|---|",
        *(f"| {name} | {value} |" for name, value in rows),
        f"| pycurl | {pycurl.version.split(' zlib')[0]} |",
        f"| peers | {machine.packages(theirs, NEEDS)} |\n",
        method,
    ]
    for title, cell in TABLES.items():
        lines += [f"\n## {title}\n", "| | kore | " + " | ".join(PEERS) + " |", "|---" * 5 + "|"]
        for protocol in ("plain", "tls"):
            for size, words in (("1k", "1 KiB"), ("1m", "1 MiB")):
                cells = [cell(best, protocol, size, client) for client in ("kore", *PEERS)]
                lines.append(f"| {words}, {protocol} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


Best = dict[tuple[str, str, str], dict[str, float]]


def rate(best: Best, protocol: str, size: str, client: str) -> str:
    return f"{1e6 / best[protocol, size, client]['cpu']:,.0f}"


def cost(best: Best, protocol: str, size: str, client: str) -> str:
    found = best[protocol, size, client]
    return f"{found['cpu']:.1f} ({found['wall']:.1f})"


def times(best: Best, protocol: str, size: str, client: str) -> str:
    if client == "kore":
        return "1"
    ratio = best[protocol, size, client]["cpu"] / best[protocol, size, "kore"]["cpu"]
    return f"{ratio:.2f}" + ("" if ratio >= FLOORS[client] else " (missed)")


TABLES: dict[str, Callable[[Best, str, str, str], str]] = {
    "Requests for each second of CPU": rate,
    "Microseconds of CPU for each request (and on the clock)": cost,
    "Kore's requests for each of the other's": times,
}


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of requests")
    parser.add_argument("--write", action="store_true", help="into results/")
    options = parser.parse_args()
    text = page(options)
    print(text)
    if options.write:
        series = ".".join(platform.python_version_tuple()[:2])
        name = f"{datetime.now(UTC):%Y-%m-%d}-clients-python{series}.md"
        (HERE / "results" / name).write_text(text)


if __name__ == "__main__":
    main()
