"""Maps of paths to directories, from both doors: what is taken, and what is refused."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from kore._conf.builder import Builder
from kore._conf.file.printer import Printer
from kore._conf.schema import Auth, Route
from kore._conf.server_schema import Address
from kore._process.template.directory_checks import check_directories
from kore.errors import ConfigError
from tests.helpers.conf import allowed, complaints, config, domain

AUTH = {"type": "cookie", "value": "id", "verify": allowed}
BLOCK = """
authentication key {
    authentication_type cookie
    authentication_value id
    authentication_validator allowed
}
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in a directory with something to serve."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "css").mkdir()
    (tmp_path / "file").touch()
    return tmp_path


def python(maps: Any) -> Route:
    """Return the only route that *maps* make."""
    builder = Builder(lambda: "app.py:1")
    builder.server("default", Address(ip="127.0.0.1", port=0), tls=False)
    builder.domain("*", "default").filemaps(maps)
    config = builder.build()
    check_directories(config)
    (route,) = config.domains[0].routes
    return route


def file(line: str) -> Route:
    """Return the only route that a line makes."""
    (route,) = config(BLOCK + domain(line)).domains[0].routes
    return route


def test_a_map_is_a_route_for_get_and_head_with_an_absolute_directory(directory: Path) -> None:
    for route in (python({"/css/": "css"}), file("filemap /css/ ./css")):
        assert (route.path, route.methods) == ("/css/", ("GET", "HEAD"))
        assert route.files == str(directory / "css")
        assert route.requirements.auth is None


def test_a_directory_may_be_a_path_object_and_absolute(directory: Path) -> None:
    assert python({"/": directory / "css"}).files == str(directory / "css")
    assert python({"/": str(directory)}).files == str(directory)


def test_a_filemap_may_have_authentication() -> None:
    expected = Auth("cookie", allowed, "id")

    assert python({"/css/": ("css", AUTH)}).requirements.auth == expected
    assert file("filemap /css/ css key").requirements.auth == expected


def test_every_connection_may_hold_a_file_open() -> None:
    line = domain("filemap /css/ css")

    assert config(line).settings.worker_rlimit_nofiles == 2 * 512 + 256
    most = config(f"worker_max_connections 2147483000\n{line}").settings
    assert most.worker_rlimit_nofiles == 2**31 - 1
    assert config(f"worker_rlimit_nofiles 700\n{line}").settings.worker_rlimit_nofiles == 700


def test_maps_and_routes_keep_their_order() -> None:
    found = config(domain("filemap / .\nroute /a { handler index }\nfilemap /css/ css"))

    assert [route.path for route in found.domains[0].routes] == ["/", "/a", "/css/"]


def test_a_map_and_a_route_may_have_the_same_path() -> None:
    assert len(config(domain("route / { handler index }\nfilemap / css")).domains[0].routes) == 2


@pytest.mark.parametrize(
    ("maps", "problem"),
    [
        ("css", "filemaps not a dict: 'css'"),
        ({5: "css"}, "filemap key not a string: 5"),
        ({"/": 5}, "filemap value can be either be a string or tuple, not 5"),
        ({"/": ("css",)}, r"filemap value tuple is not \(path, auth\)"),
        ({"/": ("css", "key")}, "filemap value tuple auth is not a dict: 'key'"),
        ({"/": (5, AUTH)}, "filemap value tuple path is invalid: 5"),
        ({"css/": "css"}, "cannot create filemap for css/: it must begin and end with /"),
        ({"/css": "css"}, "cannot create filemap for /css: it must begin and end with /"),
        ({"//": "css"}, "cannot create filemap for '//': between its slashes stand names"),
        ({"/../": "css"}, "cannot create filemap for '/../': between its slashes stand names"),
        ({"/a%20b/": "css"}, "cannot create filemap for '/a%20b/': between its slashes"),
        ({"/caf\xe9/": "css"}, r"cannot create filemap for '/caf\\xe9/': between its slashes"),
        ({"/": "file"}, r"failed to create filemap /->file for \*: it is not a directory"),
        ({"/": "none"}, r"failed to create filemap /->none for \*: there is no /.*/none"),
        ({"/": "x" * 300}, r"failed to create filemap /->x+ for \*: File name too long"),
        ({"/": ("css", {})}, "filemap '/': missing or invalid 'type' keyword"),
        ({"/": ("css", {**AUTH, "type": "x"})}, r"filemap '/': invalid 'type' \(x\)"),
    ],
)
def test_an_invalid_filemap_is_refused(maps: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        python(maps)


def test_a_directory_that_is_empty_text_is_refused() -> None:
    with pytest.raises(ValueError, match="filemap path is empty"):
        python({"/": ""})


def test_a_second_map_of_a_path_is_refused() -> None:
    (said,) = complaints(domain("filemap / .\nfilemap / css"))

    assert said == "kore.conf:3: duplicate filemap for '/': GET is taken at kore.conf:2"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("filemap / none", "failed to create filemap /->none for *: there is no "),
        ("filemap /css css", "domain '*': cannot create filemap for /css: it must begin and"),
        ("filemap / css nobody", "domain '*': unknown authentication 'nobody'"),
        ("filemap /", "domain '*': write `filemap URI PATH [AUTHENTICATION]`, not 1 word"),
    ],
)
def test_an_invalid_filemap_directive_is_reported_with_its_line(line: str, problem: str) -> None:
    (said,) = complaints(domain(line))

    assert said.startswith(f"kore.conf:2: {problem}")


def test_a_map_is_printed_as_it_is_written(directory: Path) -> None:
    printed = Printer(lambda _: "").print_config(config(domain("filemap /css/ css")), [])

    assert f"    filemap /css/ {directory}/css\n" in printed


def test_the_authentication_of_a_filemap_is_printed() -> None:
    found = config(BLOCK + domain("filemap /css/ css key"))

    named = Printer(lambda _: "allowed").print_config(found, [])
    unnamed = Printer(lambda _: "").print_config(found, [])

    assert re.search(r"filemap /css/ \S+/css (\S+)\n", named)
    assert complaints(named + BLOCK, server=False) == []
    assert any("not expressible in a file" in said for said in complaints(unnamed, server=False))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("filemap_index a/b", "bad value 'a/b' for filemap_index: a name without slashes"),
        ("filemap_index ..", "bad value '..' for filemap_index: a name without slashes"),
        ("filemap_ext /../x", "bad value '/../x' for filemap_ext: a name without slashes"),
        ("filemap_charset utf 8", "bad value 'utf 8' for filemap_charset: a name"),
        ("filemap_cache_control caf\xe9", "bad value 'caf\xe9' for filemap_cache_control"),
    ],
)
def test_an_invalid_filemap_setting_is_refused(line: str, problem: str) -> None:
    (said,) = complaints(line + "\n")

    assert said.startswith(f"kore.conf:1: {problem}")


def test_an_inaccessible_directory_is_refused(directory: Path) -> None:
    if os.geteuid() == 0:
        (directory / "loop").symlink_to("loop")
        name = "loop"
    else:
        (directory / "closed").mkdir(mode=0)
        name = "closed/in"
    with pytest.raises(ConfigError, match="failed to create filemap"):
        python({"/": name})
