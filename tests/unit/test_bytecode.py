"""Which bytecode of an application is read, and which is written."""

import importlib.util
import os
import py_compile
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from kore._bytecode import BytecodePolicy

LATER = time.time() + 10_000
Change = Callable[[Path, Path], object]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An old source with bytecode that was written long after it, but compiled from other code."""
    path = tmp_path / "helper.py"
    path.write_text("WORD = 'source'\n")
    past = time.time() - 100
    os.utime(path, (past, past))
    plant(path)
    return path


def plant(path: Path) -> Path:
    """Write bytecode for a source that Python takes for current, of another text of its size."""
    other = path.with_name("other.py")
    other.write_text(path.read_text().replace("source", "forged"))
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    cached = importlib.util.cache_from_source(str(path))
    py_compile.compile(str(other), cached, doraise=True)
    other.unlink()
    return Path(cached)


def bytecode(path: Path) -> Path:
    return Path(importlib.util.cache_from_source(str(path)))


def may_read(path: Path, policy: BytecodePolicy | None = None) -> bool:
    policy = policy or BytecodePolicy("app.py", trusted_before=LATER, writes=True)
    cached = bytecode(path)
    return policy.may_read(str(path), str(cached), cached.read_bytes())


def edit_and_keep_its_second(source: Path, _: Path) -> None:
    before = source.stat()
    source.write_text("WORD = 'edited'\n")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns + 1000))


def replace_and_keep_its_time(source: Path, _: Path) -> None:
    before = source.stat()
    fresh = source.with_name("fresh")
    fresh.write_text("WORD = 'edited'\n")
    os.utime(fresh, ns=(before.st_atime_ns, before.st_mtime_ns))
    fresh.replace(source)


def as_young_as_its_source(source: Path, cached: Path) -> None:
    second = int(source.stat().st_mtime)
    os.utime(cached, (second + 0.999, second + 0.999))


def link_to_another_file(source: Path, _: Path) -> None:
    before = source.stat()
    source.rename(source.with_name("real.py"))
    source.symlink_to("real.py")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))


def remove_the_source(source: Path, _: Path) -> None:
    source.unlink()


def test_bytecode_newer_than_its_source_is_read(source: Path) -> None:
    assert may_read(source)


@pytest.mark.parametrize(
    "change",
    [
        edit_and_keep_its_second,
        replace_and_keep_its_time,
        as_young_as_its_source,
        link_to_another_file,
        remove_the_source,
    ],
)
def test_bytecode_that_may_be_stale_is_not_read(source: Path, change: Change) -> None:
    change(source, bytecode(source))

    assert not may_read(source)


def test_bytecode_written_since_the_server_began_is_not_read(source: Path) -> None:
    policy = BytecodePolicy("app.py", trusted_before=time.time(), writes=True)

    assert not may_read(source, policy)


def test_bytecode_of_a_shared_cache_is_not_read(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "cache"))
    bytecode(source).parent.mkdir(parents=True)
    plant(source)

    assert not may_read(source)


@pytest.mark.parametrize(
    "mode",
    [py_compile.PycInvalidationMode.CHECKED_HASH, py_compile.PycInvalidationMode.UNCHECKED_HASH],
)
def test_bytecode_with_a_hash_is_left_to_python(
    source: Path, mode: py_compile.PycInvalidationMode
) -> None:
    py_compile.compile(str(source), doraise=True, invalidation_mode=mode)
    as_young_as_its_source(source, bytecode(source))

    assert may_read(source)


@pytest.mark.parametrize(
    ("path", "library"),
    [
        (os.__file__, True),
        (pytest.__file__, True),
        (sys.modules["kore"].__file__, True),
        ("/usr/lib/python3/dist-packages/yaml/__init__.py", True),
        ("/srv/venv/lib/python3.11/site-packages/shop/models.py", False),
        ("/srv/venv/lib/python3.11/site-packages/shop.py", False),
        ("/srv/venv/lib/python3.11/site-packages/shopping/models.py", True),
        ("/srv/shop/app.py", False),
        (__file__, False),
    ],
)
@pytest.mark.parametrize("app", ["shop", "shop.web", "/srv/x/shop", "./shop/", "y/shop.py"])
def test_libraries_are_distinguished_from_the_application(
    app: str, path: str, library: bool
) -> None:
    policy = BytecodePolicy(app, trusted_before=0, writes=False)

    assert policy.is_library(path) == library


SCRIPT = """
import importlib, importlib.util, sys, time
from kore._bytecode import BytecodePolicy
how, writes, directory = sys.argv[1:]
BytecodePolicy("app.py", trusted_before=0, writes=bool(writes)).install()
if how == "imported":
    sys.path.append(directory)
    module = importlib.import_module("helper")
else:
    spec = importlib.util.spec_from_file_location("plugin", directory + "/helper.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
print(module.WORD)
"""


@pytest.mark.parametrize("how", ["imported", "from its file"])
@pytest.mark.parametrize("writes", ["writes", ""])
def test_policy_applies_to_every_source_loader(source: Path, how: str, writes: str) -> None:
    before = bytecode(source).read_bytes()
    # What has not changed this second may be written.
    while int(time.time()) == int(source.stat().st_ctime):
        time.sleep(0.01)

    run = subprocess.run(
        [sys.executable, "-c", SCRIPT, how, writes, str(source.parent)],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": ""},
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout == "source\n"
    assert (bytecode(source).read_bytes() != before) == bool(writes)


def test_bytecode_of_a_source_changed_this_second_is_not_written(source: Path) -> None:
    policy = BytecodePolicy("app.py", trusted_before=0, writes=True)
    source.touch()
    ahead = time.time() + 1000
    os.utime(source, (ahead, ahead))

    assert not policy.may_write(str(source), None)
