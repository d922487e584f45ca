"""The result of a check, and the page about all of them. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Result:
    """What was checked, on which certificate, what was found, and whether that is good."""

    check: str
    certificate: str
    found: str
    is_good: bool

    def row(self) -> str:
        """Return the line of a Markdown table."""
        good = "yes" if self.is_good else "**no**"
        return f"| {self.check} | {self.certificate} | {self.found} | {good} |"


def page(results: Iterable[Result], facts: Iterable[tuple[str, str]]) -> str:
    """Return the page about a run. *facts*: names and values of what was run on what."""
    lines = [
        "# TLS, checked by others",
        "",
        "Results of `make tls-check`: what sslyze, testssl.sh, h2load and openssl find on a",
        "running server, and how it serves under load. sslyze compares with Mozilla's",
        "configuration `intermediate`. testssl.sh misses the address of a revocation list in the",
        "certificate, which an authority for tests has issued, and fields that applications send.",
        "",
        *(f"- {name}: {value}" for name, value in facts),
        "",
        "| check | certificate | result | good |",
        "|---|---|---|---|",
        *(result.row() for result in results),
        "",
    ]
    return "\n".join(lines)
