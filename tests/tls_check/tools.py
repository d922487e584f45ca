"""The programs that `make tls-check` runs: where they are, and how sslyze is installed."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PLACE: Final = ROOT / "build" / "tls-check"
# In an environment of its own: it needs a certain version of `cryptography`.
SSLYZE: Final = "sslyze==6.3.1"
# Name of the program, Debian's package.
PACKAGES: Final = {
    "testssl": "testssl.sh",
    "h2load": "nghttp2-client",
    "openssl": "openssl",
    "dig": "bind9-dnsutils",  # testssl does not start without it
}
SECONDS: Final = 600


def require() -> None:
    """Install sslyze if need be. Exits with an explanation where a program is missing."""
    missing = [package for name, package in PACKAGES.items() if shutil.which(name) is None]
    if missing:
        raise SystemExit(f"tls-check: apt install {' '.join(missing)}")
    if not (PLACE / "venv" / "bin" / "sslyze").exists():
        print(f"tls-check: installing {SSLYZE}", flush=True)
        PLACE.mkdir(parents=True, exist_ok=True)
        run("python3", "-m", "venv", str(PLACE / "venv"))
        run(str(PLACE / "venv" / "bin" / "pip"), "install", "-q", SSLYZE)


def run(*command: str, given: str = "") -> str:
    """Run a program and return its output. Raises CalledProcessError if it fails."""
    done = subprocess.run(
        command,
        input=given,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        check=True,
    )
    return done.stdout + done.stderr


def scan_with_sslyze(port: int, ca_file: str) -> str:
    """Return the verdict of sslyze: the lines after its last headline."""
    program = str(PLACE / "venv" / "bin" / "sslyze")
    command = [program, "--mozilla_config=intermediate", "--certinfo_ca_file", ca_file]
    done = subprocess.run(
        [*command, f"localhost:{port}"],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return done.stdout.rpartition("for more details.")[2].strip() or done.stderr.strip()[-300:]


def scan_with_testssl(port: int, ca_file: str) -> dict[str, str]:
    """Return what testssl.sh rates as MEDIUM or worse: its name and the finding."""
    report = PLACE / "testssl.json"
    report.unlink(missing_ok=True)
    options = ["--quiet", "--color", "0", "--warnings", "off", "--ip", "one"]
    sections = ["-p", "-s", "-f", "-S", "-U", "-h"]
    command = ["testssl", *options, "--add-ca", ca_file, *sections, "--jsonfile", str(report)]
    subprocess.run(
        [*command, f"https://localhost:{port}"],
        capture_output=True,
        timeout=SECONDS,
        check=False,  # its status is a number of findings
    )
    found = json.loads(report.read_text())
    # With several certificates the name of a finding ends with the number of one: `<cert#2>`.
    return {
        each["id"].partition(" ")[0]: each["finding"]
        for each in found
        if each["severity"] in {"MEDIUM", "HIGH", "CRITICAL", "FATAL"}
    }


def load_with_h2load(port: int, requests: int, clients: int) -> tuple[int, int]:
    """Send requests over so many connections; return how many succeeded, and how many did not."""
    counts = ["-n", str(requests), "-c", str(clients), "-t", "1"]
    said = run("h2load", "--h1", *counts, f"https://localhost:{port}/")
    found = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored", said)
    assert found, said
    return int(found[2]), requests - int(found[2])


def connect_with_openssl(port: int, ca_file: str, version: str, *options: str) -> str:
    """Return what `openssl s_client` says of a connection with one request."""
    where = ["-connect", f"127.0.0.1:{port}", "-servername", "localhost"]
    trust = ["-CAfile", ca_file, "-verify_return_error", "-alpn", "http/1.1", "-ign_eof"]
    request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    return run("openssl", "s_client", *where, *trust, f"-{version}", *options, given=request)


def count_handshakes(port: int, ca_file: str, version: str, seconds: int) -> int:
    """Return the number of full handshakes that `openssl s_time` makes."""
    where = ["-connect", f"127.0.0.1:{port}", "-CAfile", ca_file]
    said = run("openssl", "s_time", "-new", f"-{version}", "-time", str(seconds), *where)
    found = re.search(r"(\d+) connections in \d+ real seconds", said)
    assert found, said
    return int(found[1])


def versions() -> list[tuple[str, str]]:
    """Return the programs and their versions, for the page."""
    testssl = re.search(r"testssl\s+(\d\S*)", run("testssl", "--version"))
    return [
        ("sslyze", SSLYZE.partition("==")[2]),
        ("testssl.sh", testssl[1] if testssl else "unknown"),
        ("h2load", run("h2load", "--version").split()[-1].removeprefix("nghttp2/")),
        ("OpenSSL", run("openssl", "version").split()[1]),
    ]
