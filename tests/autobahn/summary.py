"""What a run of the Autobahn|Testsuite says, as a table and as a page. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

SECTIONS: Final = {
    "1": "framing",
    "2": "pings and pongs",
    "3": "reserved bits",
    "4": "opcodes",
    "5": "fragmentation",
    "6": "UTF-8",
    "7": "closing",
    "9": "limits and performance",
    "10": "other",
    "12": "compression",
    "13": "compression, its parameters",
}
# NON-STRICT: within the RFC, though not at the first byte at which one could have known.
# INFORMATIONAL: the suite only looks what happens.
GOOD: Final = ("OK", "NON-STRICT", "INFORMATIONAL")

Results = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Summary:
    """The results of one agent: a case's number to how it behaved, and how it closed."""

    agent: str
    cases: Results

    def bad(self) -> list[str]:
        """Return a line for each case that is not good."""
        return [
            f"{self.agent} {number}: {case['behavior']}, closing {case['behaviorClose']}"
            for number, case in sorted(self.cases.items(), key=lambda item: order(item[0]))
            if case["behavior"] not in GOOD or case["behaviorClose"] not in GOOD
        ]

    def table(self) -> list[str]:
        """Return a Markdown table: what came of each section."""
        rows = [f"| section | cases | {' | '.join(GOOD)} | other |", "|---|" + "--:|" * 5]
        for section in sorted(SECTIONS, key=int):
            mine = [case for number, case in self.cases.items() if head(number) == section]
            if mine:
                rows.append(row(f"{section} {SECTIONS[section]}", mine))
        return [*rows, row("all", self.cases.values())]

    def lenient(self) -> list[str]:
        """Return the numbers of the cases that are good, but not strictly so."""
        found = (n for n, case in self.cases.items() if case["behavior"] == "NON-STRICT")
        return sorted(found, key=order)


def row(name: str, cases: Iterable[Mapping[str, str]]) -> str:
    """Return a line of the table."""
    counts = Counter(case["behavior"] for case in cases)
    numbers = [counts[word] for word in GOOD]
    cells = [name, counts.total(), *numbers, counts.total() - sum(numbers)]
    return "| " + " | ".join(map(str, cells)) + " |"


def head(number: str) -> str:
    """Return the section of a case."""
    return number.partition(".")[0]


def order(number: str) -> list[int]:
    """Return the key that sorts cases as the suite numbers them."""
    return [int(part) for part in number.split(".")]


def page(
    summaries: Iterable[Summary], facts: Iterable[tuple[str, str]], *, over_tls: bool = False
) -> str:
    """Return the page about a run. *facts*: names and values of what was run on what."""
    command = "make autobahn ARGS=--tls" if over_tls else "make autobahn"
    lines = [
        "# The Autobahn|Testsuite over TLS" if over_tls else "# The Autobahn|Testsuite",
        "",
        f"Results of `{command}` for the WebSockets of kore. NON-STRICT is within RFC 6455, but",
        "not at the first possible byte; INFORMATIONAL cases have no expected result.",
        "",
        *(f"- {name}: {value}" for name, value in facts),
        "",
    ]
    for summary in summaries:
        lines += [f"## {summary.agent}", "", *summary.table(), ""]
        if summary.lenient():
            lines += [f"Not strict: {', '.join(summary.lenient())}.", ""]
        if summary.bad():
            lines += ["Failed:", "", *(f"- {line}" for line in summary.bad()), ""]
    return "\n".join(lines)
