"""Let others look at our TLS: `make tls-check`.

Without arguments all checks on all kinds of certificates, some minutes, and the page about them is
written. With names, such as `sslyze swaps`, only those checks, and nothing is written.
"""

import datetime as dt
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from kore._conf.settings import VERSION
from tests.helpers.fix_serve import Launcher
from tests.tls_check import endurance, scans, tools
from tests.tls_check.deployment import KINDS, Deployment
from tests.tls_check.result import Result, page

PAGE: Final = tools.ROOT / "docs" / "tls-check.md"
Check = Callable[[Deployment], Iterator[Result]]
# On certificates of each kind.
SCANS: Final[dict[str, Check]] = {
    "sslyze": scans.check_sslyze,
    "testssl": scans.check_testssl,
    "h2load": scans.check_h2load,
    "s_client": scans.check_s_client,
    "s_time": scans.check_s_time,
}
# On the certificates of one kind.
ENDURANCE: Final[dict[str, Check]] = {
    "pipelined": endurance.check_pipelined,
    "leaving": endurance.check_leaving,
    "swaps": endurance.check_swaps,
}


def run_checks(names: Sequence[str]) -> Iterator[Result]:
    """Start a server for each kind of certificates, and run the checks with these names."""
    for kind in KINDS:
        checks = SCANS | (ENDURANCE if kind == "both" else {})
        wanted = [check for name, check in checks.items() if not names or name in names]
        if not wanted:
            continue
        with tempfile.TemporaryDirectory() as place, Launcher(Path(place)) as serve:
            deployment = Deployment(kind, serve, Path(place))
            for check in wanted:
                yield from _run(check, deployment)
            deployment.server.log.check()


def _run(check: Check, deployment: Deployment) -> Iterator[Result]:
    """Run one check; an error is a result."""
    try:
        for result in check(deployment):
            print(result.row(), flush=True)
            yield result
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        failed = Result(check.__name__, deployment.name, f"{error!r}"[:300], is_good=False)
        print(failed.row(), flush=True)
        yield failed


def facts() -> list[tuple[str, str]]:
    """Return what was run, when, on what."""
    return [
        ("date", dt.datetime.now(dt.UTC).date().isoformat()),
        ("kore", VERSION),
        ("Python", f"{platform.python_version()}, {platform.system()} {platform.machine()}"),
        *tools.versions(),
    ]


def main(names: Sequence[str]) -> int:
    """Run, print, and return the exit status: 1 when something is not good."""
    unknown = set(names) - {*SCANS, *ENDURANCE}
    if unknown:
        raise SystemExit(f"tls-check: {', '.join(unknown)}: none of {', '.join(SCANS | ENDURANCE)}")
    tools.require()
    results = list(run_checks(names))
    if not names:
        PAGE.write_text(page(results, facts()))
    return int(not all(result.is_good for result in results))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
