"""A real browser without a window."""

import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # which does not work for root, nor in a container
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
)
SECONDS = 50


def browser() -> str:
    """Return where a browser is, or skip the test: not every machine can have one."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no chromium: install the package of that name")
    return found


def page_after(url: str, profile: Path) -> str:
    """Open *url*, let it navigate, and return the last document as text."""
    command = [
        browser(),
        *OPTIONS,
        f"--user-data-dir={profile}",
        # Time of its own: it goes on as soon as nothing is left to do.
        "--virtual-time-budget=10000",
        "--dump-dom",
        url,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=True)
    return done.stdout
