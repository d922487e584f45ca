"""For pytest: record which file of tests a line was run for, and which tests start a server."""

import json
import os
from pathlib import Path

import coverage
import hypothesis
import pytest

# A test with one of these talks to a server of its own or to a shared one.
FIXTURES = {"serve", "serve_module", "serve_session", "postgres", "own_postgres"}
# Files that start commands themselves.
STARTERS = ("subprocess", "fix_serve", "process_helpers", "conf_project", "objects_client")

# Tests that run each line of the core millions of times, and none that others do not run.
REPETITIVE = ("test_more_overhead_than_4096_bytes_is_refused",)
# Files whose tests have the garbage collector run in the middle of the core's allocations: the
# tracer allocates, too, and the code that Cython generates for it is not made for that.
UNTRACEABLE = ("test_finalizers.py", "test_finalizers_order.py")


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Draw few examples: traced code is slow, and most lines are run by the first ones."""
    hypothesis.settings.register_profile(
        "cover", parent=hypothesis.settings.get_profile("same"), max_examples=20
    )
    hypothesis.settings.load_profile("cover")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what takes minutes when it is traced, or cannot be."""
    items[:] = [
        item
        for item in items
        if not item.name.startswith(REPETITIVE) and item.path.name not in UNTRACEABLE
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Tell this process, and all that it starts, which file the lines are run for."""
    name = item.nodeid.partition("::")[0]
    if os.environ.get("COVERAGE_CONTEXT") != name:
        os.environ["COVERAGE_CONTEXT"] = name
        if measuring := coverage.Coverage.current():
            measuring.switch_context(name)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Write down how many tests there are, and how many of them need a server."""
    if hasattr(session.config, "workerinput") and session.config.workerinput["workerid"] != "gw0":
        return
    servers = [item for item in session.items if needs_server(item)]
    functions = {(item.path, item.function) for item in session.items}
    counts = {
        "tests": len(session.items),
        "tests with a server": len(servers),
        "functions": len(functions),
        "functions with a server": len({(item.path, item.function) for item in servers}),
    }
    Path("tests.json").write_text(json.dumps(counts))


def needs_server(item: pytest.Item) -> bool:
    """Return whether a test is about processes: by its fixtures, or by its place and imports."""
    if FIXTURES.intersection(item.fixturenames):
        return True
    if "serve_thread" in item.fixturenames:
        return False
    return item.path.parent.name in {"process", "server", "parity"} and any(
        name in item.path.read_text() for name in STARTERS
    )
