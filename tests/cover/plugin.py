"""For pytest: record which file of tests a line was run for, and which tests start a server."""

import json
import os
from pathlib import Path

import coverage
import hypothesis
import pytest

from tests.cover.core import counter_name
from tests.cover.flush import flush_counters

# A test with one of these talks to a server of its own or to a shared one.
FIXTURES = {"serve", "serve_module", "serve_session", "postgres", "own_postgres"}
# Files that start commands themselves.
STARTERS = ("subprocess", "fix_serve", "process_helpers", "conf_project", "objects_client")


# Tests of what measuring itself changes: modules that a process imports at its start, descriptors
# it opens, a working directory that coverage.py asks for, the stack that code without optimization
# needs.
CHANGED = (
    "test_the_parent_brings_neither_an_event_loop_nor_an_application",
    "test_unwritable_output_is_an_error[>&-",
    "test_a_working_directory_that_is_gone_is_told",
    "test_nested_disconnects_beyond_the_stack_close_all",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out tests that cannot pass here."""
    items[:] = [item for item in items if not item.name.startswith(CHANGED)]


@pytest.hookimpl(trylast=True)
def pytest_configure() -> None:
    """Draw few examples: traced code is slow, and most lines are run by the first ones."""
    hypothesis.settings.register_profile(
        "cover", parent=hypothesis.settings.get_profile("same"), max_examples=20
    )
    hypothesis.settings.load_profile("cover")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    """Tell this process, and all that it starts, which file the lines are run for."""
    name = item.nodeid.partition("::")[0]
    if os.environ.get("COVERAGE_CONTEXT") != name:
        os.environ["COVERAGE_CONTEXT"] = name
        if measuring := coverage.Coverage.current():
            measuring.switch_context(name)
        flush_counters()
        folder = Path(os.environ["COVERAGE_COUNTERS"], counter_name(name))
        folder.mkdir(exist_ok=True)
        folder.chmod(0o777)
        os.environ["GCOV_PREFIX"] = str(folder)


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
