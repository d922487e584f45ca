"""`kodev run`: which changes load the project anew, and what is said about them."""

import subprocess
from pathlib import Path

import pytest

from tests.helpers import procs
from tests.process.process_helpers import get
from tests.process.test_kodev import KODEV, answers, place, run, save

__all__ = ["place"]


def test_the_file_that_changed_is_named(place: Path) -> None:
    with run(place) as server:
        server.learn_port()
        save(place, "second")
        server.log.wait("kodev: app.py changed, loading it anew")
        procs.until(lambda: answers(server, b"second"), what="the new code")
        (place / ".env").write_text("A=1\n")
        server.log.wait("kodev: .env changed, loading it anew")
        (place / "bad\x1b.py").write_text("")
        server.log.wait(r"kodev: bad\x1b.py changed")


def test_an_application_that_writes_its_own_sources_is_not_loaded_for_ever(place: Path) -> None:
    app = (place / "app.py").read_text()
    # Its version file, as at each start before.
    (place / "version.py").write_text("VERSION = 1\n")
    writes = "open('version.py', 'w').write('VERSION = 1\\n')\n"
    (place / "app.py").write_text(writes + app)
    with run(place) as server:
        server.learn_port()
        for word in ("second", "third"):
            (place / "app.py").write_text(writes + app.replace("first", word))
            procs.until(lambda w=word: answers(server, w.encode()), what=word)
        start = server.log.size()
        # The kernel tells of this after what was written in the last load.
        (place / "end.py").write_text("")
        server.log.wait("kodev: end.py changed", start)

        assert "version.py" not in server.log.text()


def test_the_target_of_a_link_is_watched(place: Path, tmp_path: Path) -> None:
    (place / "app.py").rename(tmp_path / "elsewhere")
    (place / "app.py").symlink_to(tmp_path / "elsewhere")
    with run(place) as server:
        server.learn_port()
        assert get(server, "/") == b"first"
        save(tmp_path, "second", "elsewhere")
        procs.until(lambda: answers(server, b"second"), what="the new code")


def without_watches() -> bool:
    """Return whether a user namespace can be made whose inotify has no watches."""
    command = ["unshare", "-U", "-r", "sh", "-c", "echo 3 > /proc/sys/user/max_inotify_watches"]
    return subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.skipif(not without_watches(), reason="no user namespaces here")
def test_watching_continues_without_inotify_watches(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell = 'echo 3 > /proc/sys/user/max_inotify_watches; exec "$@"'
    monkeypatch.setattr(
        "tests.process.test_kodev.KODEV", ["unshare", "-U", "-r", "sh", "-c", shell, "sh", *KODEV]
    )
    with run(place) as server:
        server.learn_port()
        for number in range(5):
            (place / f"part{number}").mkdir()
        server.log.wait("kodev: inotify: No space left on device: looking for changes")
        save(place, "second")
        procs.until(lambda: answers(server, b"second"), what="the new code")
