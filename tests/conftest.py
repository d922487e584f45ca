"""The fixtures of all tests."""

import contextlib
import gc
import importlib
import os
from pathlib import Path

import hypothesis
import pytest

# Servers and the core of this process check each transition of a connection's stages.
os.environ.setdefault("KORE_CHECK_STAGES", "1")

# Their asserts explain themselves as a test's own do.
pytest.register_assert_rewrite("tests.helpers")

# The same examples on every machine, however long it takes for one.
hypothesis.settings.register_profile(
    "same",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("same")

pytest_plugins = ["tests.helpers.fix_serve", "tests.helpers.fix_postgres"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mix files that wait for servers with files that compute, so that no core is idle.

    The former come a little earlier: what runs last, alone on its core, should be short.
    """
    files = list(dict.fromkeys(item.path for item in items))
    waiting = [path for path in files if path.parent.name in {"process", "server"}]
    computing = [path for path in files if path.parent.name not in {"process", "server"}]
    place = {path: 0.9 * at / len(waiting) for at, path in enumerate(waiting)}
    place |= {path: at / len(computing) for at, path in enumerate(computing)}
    items.sort(key=lambda item: place[item.path])


def pytest_collection_finish() -> None:
    """Keep the collector from looking at all tests, each time that one of them calls it."""
    gc.collect()
    gc.freeze()


def pytest_collection(session: pytest.Session) -> None:
    """Share the work of compiling test files among the processes of a run of all tests.

    Each imports a part of the files first, and finds the others' code in __pycache__ then.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args != session.config.getini("testpaths"):
        return
    number, count = int(worker["workerid"].removeprefix("gw")), worker["workercount"]
    for path in sorted(Path(__file__).parent.rglob("test_*.py"))[number::count]:
        name = ".".join(path.relative_to(session.config.rootpath).with_suffix("").parts)
        # An error is reported when the file is collected.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(name)
