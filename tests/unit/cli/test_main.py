"""The options of the `kore` command."""

from typing import Any

import pytest

from kore._cli import main as module
from kore._conf.settings import VERSION
from kore._process.parent.launcher import LaunchOptions


@pytest.fixture
def launched(monkeypatch: pytest.MonkeyPatch) -> list[LaunchOptions]:
    """Keep what would be started."""
    launched: list[LaunchOptions] = []

    def run(options: LaunchOptions, flags: Any) -> int:
        launched.append(options)
        return 0

    monkeypatch.setattr(module, "run", run)
    return launched


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        ("app.py", {"app": "app.py"}),
        ("app.py -d --x", {"app": "app.py", "arguments": ["-d", "--x"]}),
        ("-c kore.conf", {"app": "", "conf": "kore.conf"}),
        ("-c kore.conf one two", {"app": "", "conf": "kore.conf", "arguments": ["one", "two"]}),
        ("-c kore.conf app.py two", {"app": "app.py", "conf": "kore.conf", "arguments": ["two"]}),
        ("-c kore.conf -- App.PY", {"app": "App.PY", "conf": "kore.conf"}),
        ("-c kore.conf tests x", {"app": "tests", "conf": "kore.conf", "arguments": ["x"]}),
        ("-c a -c b", {"conf": "b"}),
        ("-q app", {"quiet": True}),
        ("-d app", {"background": True}),
        ("-f app", {"background": False}),
        ("app", {"background": None, "same_user": False, "pidfile": ""}),
        ("-n app", {"same_user": False}),
        ("-nr app", {"same_user": True}),
        ("--pidfile x.pid app", {"pidfile": "x.pid"}),
        ("--pidf=x.pid app", {"pidfile": "x.pid"}),
    ],
)
def test_options_are_parsed(
    launched: list[LaunchOptions], words: str, wanted: dict[str, Any]
) -> None:
    assert module.main(words.split()) == 0
    (options,) = launched

    assert {name: getattr(options, name) for name in wanted} == wanted


def test_only_kodev_run_starts_in_development(launched: list[LaunchOptions]) -> None:
    module.main(["app.py"])
    module.main(["app.py"], development=True)

    assert [options.development for options in launched] == [False, True]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "no application given\n\nusage: kore"),
        ("-q", "no application given"),
        ("-d -f app", "-d and -f exclude each other"),
        ("-x app", "option -x not recognized"),
        ("--versoin", "option --versoin not recognized (did you mean --version?)"),
        ("--pidfile", "option --pidfile requires argument"),
        ("--port 8000 app", "option --port not recognized: an application says where it listens"),
        ("-c", "option -c requires argument"),
    ],
)
def test_a_usage_error_says_what_is_wrong(
    launched: list[LaunchOptions], capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    assert module.main(words.split()) == 1
    out, err = capsys.readouterr()

    assert (out, launched) == ("", [])
    assert err.startswith(f"kore: {said}")


@pytest.mark.parametrize(("word", "begin"), [("-h", "usage: kore"), ("-v", f"{VERSION} python-3")])
def test_help_and_version_are_for_standard_output(
    launched: list[LaunchOptions], capsys: pytest.CaptureFixture[str], word: str, begin: str
) -> None:
    assert module.main([word, "app.py"]) == 0
    out, err = capsys.readouterr()

    assert (err, launched) == ("", [])
    assert out.startswith(begin)
