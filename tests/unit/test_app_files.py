"""Applications that a configuration file puts together, loaded in this process."""

import importlib
import sys
import textwrap
from pathlib import Path

import pytest

from kore import _app
from kore.errors import KoreError, StartError

CONF = """
server plain {
    bind 127.0.0.1 0
    tls no
}
domain * {
    attach plain
    route / {
        handler index
    }
}
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty directory, whose modules no earlier test has seen."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    importlib.invalidate_caches()
    return tmp_path


def write(path: str, source: str) -> None:
    place = Path(path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(textwrap.dedent(source))


def complaint(conf: str) -> str:
    """Return why a file cannot be served."""
    with pytest.raises(StartError) as raised:
        _app.load("", conf=conf)
    return str(raised.value)


def test_python_import_of_a_package_keeps_the_working_directory(here: Path) -> None:
    write("shop/__init__.py", "from shop.goods import index\n")
    write("shop/goods.py", "def index(req): ...\n")
    write("kore.conf", "python_import ./shop\npython_import shop\n" + CONF)

    config = _app.load("", conf="kore.conf")

    assert config.domains[0].routes[0].handler.__module__ == "shop.goods"
    assert Path.cwd() == here


def test_paths_are_relative_to_the_start_directory(here: Path) -> None:
    write("goodies/__init__.py", "def index(req): ...\n")
    write("conf/kore.conf", "include more.conf\n")
    write("conf/more.conf", CONF)

    assert _app.load("goodies", conf="conf/kore.conf").domains[0].routes[0].path == "/"
    assert Path.cwd() == here / "goodies"


def test_configuration_of_a_module_is_located_in_it() -> None:
    module = "import kore\n\nkore.server('x', ip='::1', port=1)\nkore.domain('*', 'x')\n"
    write("helper_module.py", module)
    write("kore.conf", "python_import helper_module.py\n" + CONF.replace("index", "nobody"))

    text = complaint("kore.conf")

    assert "kore.conf:10: route '/': handler 'nobody' not found" in text
    assert "helper_module.py:4: no keywords for TLS enabled domain *: pass cert and key" in text


def test_invalid_file_configures_nothing() -> None:
    write("late.py", "def kore_parent_configure(args):\n    raise NotImplementedError\n")
    write("kore.conf", "python_import late.py\nwrokers 1\n")

    assert "unknown directive or setting 'wrokers'" in complaint("kore.conf")


def test_onload_is_kept_for_workers() -> None:
    write("onloaded.py", "def loaded(action): ...\ndef index(req): ...\n")
    write("kore.conf", "python_import onloaded.py loaded\n" + CONF)

    (onload,) = _app.load("", conf="kore.conf").onloads

    assert onload.__name__ == "loaded"


@pytest.mark.parametrize(
    ("script", "conf", "values"),
    [
        ("import kore\nkore.config.workers = 2\nkore.config.workers = 3\n1 / 0\n", "", [2, 3]),
        ("1 / 0\n", "workers 4\npython_import app.py\n", [4]),
        ("1 / 0\n", "python_import app.py\n", []),
    ],
)
def test_on_change_is_called_as_soon_as_a_setting_is_set(
    script: str, conf: str, values: list[int]
) -> None:
    """Even if nothing comes of the configuration: the next statement may hang, or fail."""
    write("app.py", script)
    write("kore.conf", conf)
    told: list[int] = []
    with pytest.raises(KoreError):
        _app.load(
            "" if conf else "app.py", (), "kore.conf" if conf else "", {"workers": told.append}
        )

    assert told == values
