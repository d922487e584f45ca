"""Checks with the programs of others: each a function from a running server to results."""

import re
from collections.abc import Iterator
from typing import Final

from tests.tls_check import tools
from tests.tls_check.deployment import Deployment
from tests.tls_check.result import Result

# The certificate of a test names no revocation list; header fields are the application's.
EXPECTED: Final = {"cert_revocation", "security_headers"}
VERSIONS: Final = ("tls1_2", "tls1_3")
LOAD: Final = 20_000
CLIENTS: Final = 16
SECONDS: Final = 2


def check_sslyze(deployment: Deployment) -> Iterator[Result]:
    """Compare with Mozilla's configuration `intermediate`."""
    said = tools.scan_with_sslyze(deployment.port, deployment.ca_file)
    verdict = said.splitlines()[-1].partition(": ")[2] if said else "no verdict"
    yield Result("sslyze", deployment.name, verdict, verdict == "OK - Compliant.")


def check_testssl(deployment: Deployment) -> Iterator[Result]:
    """Look for findings of MEDIUM or worse."""
    found = tools.scan_with_testssl(deployment.port, deployment.ca_file)
    others = {name: text for name, text in found.items() if name not in EXPECTED}
    named = "; ".join(f"{name}: {text}" for name, text in others.items())
    only = f"only {', '.join(sorted(found))}" if found else "nothing"
    yield Result("testssl.sh, MEDIUM or worse", deployment.name, named or only, not others)


def check_h2load(deployment: Deployment) -> Iterator[Result]:
    """Send many requests on few connections."""
    succeeded, failed = tools.load_with_h2load(deployment.port, LOAD, CLIENTS)
    found = f"{succeeded:,} succeeded, {failed:,} failed"
    yield Result(f"h2load, {CLIENTS} connections", deployment.name, found, failed == 0)


def check_s_client(deployment: Deployment) -> Iterator[Result]:
    """Connect with each version: verified, ALPN, and resumed the second time."""
    for version in VERSIONS:
        session = tools.PLACE / "session.pem"
        session.unlink(missing_ok=True)
        options = (deployment.port, deployment.ca_file, version)
        first = tools.connect_with_openssl(*options, "-sess_out", str(session))
        second = tools.connect_with_openssl(*options, "-sess_in", str(session))
        is_good = (
            "Verify return code: 0 (ok)" in first
            and "ALPN protocol: http/1.1" in first
            and "hello world" in first
            and re.search(r"^New, ", first, re.MULTILINE) is not None
            and re.search(r"^Reused, ", second, re.MULTILINE) is not None
            and "hello world" in second
        )
        found = "verified, http/1.1, resumed" if is_good else f"{first[-200:]} {second[-200:]}"
        yield Result(f"openssl s_client -{version}", deployment.name, found, is_good)


def check_s_time(deployment: Deployment) -> Iterator[Result]:
    """Count full handshakes."""
    for version in VERSIONS:
        count = tools.count_handshakes(deployment.port, deployment.ca_file, version, SECONDS)
        name = f"openssl s_time -new -{version}, {SECONDS} s"
        yield Result(name, deployment.name, f"{count:,} full handshakes", count > 0)
