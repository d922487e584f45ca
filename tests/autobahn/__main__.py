"""Run the real Autobahn|Testsuite against a real server: `make autobahn`.

Without arguments all of it, which takes a quarter of an hour, and the page about it is written.
With patterns, such as `1.* 6.4.*`, only those cases, and nothing is written. `--tls`: over TLS; the
page is another one then.
"""

import datetime as dt
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kore._conf.settings import VERSION
from tests.autobahn.install import PLACE, ROOT, SUITE, wstest
from tests.autobahn.summary import Summary, page
from tests.helpers.fix_serve import Launcher, Server
from tests.helpers.served_certificates import SessionCertificates

PAGE: Final = ROOT / "docs" / "autobahn.md"
TLS_PAGE: Final = ROOT / "docs" / "autobahn-tls.md"
SECONDS: Final = 3600
COMPRESSION: Final = ["12.*", "13.*"]
AGENTS: Final = {"without compression": "plain", "with compression": "compressed"}


def specification(server: Server, patterns: Sequence[str]) -> dict[str, object]:
    """Return what the test suite is told to do."""
    where = f"{'ws' if server.tls is None else 'wss'}://127.0.0.1:{server.address[1]}"
    return {
        "outdir": str(PLACE / "report"),
        "servers": [
            {"agent": agent, "url": f"{where}/{path}", "options": {"version": 18}}
            for agent, path in AGENTS.items()
        ],
        "cases": list(patterns) or ["*"],
        "exclude-cases": [],
        "exclude-agent-cases": {"without compression": COMPRESSION},
    }


def conversed(program: Path, server: Server, patterns: Sequence[str]) -> list[Summary]:
    """Run the cases; return what came of them."""
    PLACE.mkdir(parents=True, exist_ok=True)
    index = PLACE / "report" / "index.json"
    index.unlink(missing_ok=True)
    told = PLACE / "specification.json"
    told.write_text(json.dumps(specification(server, patterns)))
    with (PLACE / "log").open("w") as log:
        command = [program, "-m", "fuzzingclient", "-s", told]
        subprocess.run(command, stdout=log, stderr=log, cwd=PLACE, timeout=SECONDS, check=False)
    if not index.exists():
        raise SystemExit(f"autobahn: no case ended, see {PLACE / 'log'}")
    found = json.loads(index.read_text())
    return [Summary(agent, found[agent]) for agent in AGENTS if agent in found]


def facts(seconds: float) -> list[tuple[str, str]]:
    """Return what was run, when, on what."""
    return [
        ("date", dt.datetime.now(dt.UTC).date().isoformat()),
        ("test suite", SUITE.replace("==", " ")),
        ("kore", VERSION),
        ("Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"),
        ("it took", f"{seconds / 60:.0f} min"),
    ]


def main(patterns: Sequence[str], *, over_tls: bool = False) -> int:
    """Run, print the tables, and return the exit status: 1 when a case failed."""
    program = wstest()
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as place, Launcher(Path(place)) as serve:
        tls = SessionCertificates(Path(place)).server() if over_tls else None
        server = serve(Path(__file__).with_name("echo_app.py"), tls=tls)
        print("autobahn: running; build/autobahn/log tells how far it is", flush=True)
        summaries = conversed(program, server, patterns)
        server.log.check()
    for summary in summaries:
        print(f"\n{summary.agent}\n", *summary.table(), *summary.bad(), sep="\n")
    if not patterns:
        text = page(summaries, facts(time.monotonic() - began), over_tls=over_tls)
        (TLS_PAGE if over_tls else PAGE).write_text(text)
    return int(any(summary.bad() for summary in summaries))


if __name__ == "__main__":
    arguments = [word for word in sys.argv[1:] if word != "--tls"]
    sys.exit(main(arguments, over_tls="--tls" in sys.argv))
