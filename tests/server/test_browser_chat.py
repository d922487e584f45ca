"""The chat in a real browser: what other workers' clients say, deaths, reloads, small screens."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.helpers import procs
from tests.helpers.devtools import Browser, Page, browsing
from tests.helpers.fix_serve import Server, serving

CHAT: Final = Path(__file__).parents[2] / "examples" / "chat" / "app.py"
WORKER: Final = "document.body.dataset.worker"
CONNECTED: Final = "document.querySelector('#status[data-state=open]')"
LINES: Final = "[...document.querySelectorAll('.said p:last-child')].map(line => line.textContent)"
# All that the page says of its connection, from then on.
WATCH: Final = """
window.states = [];
new MutationObserver(() => states.push(document.getElementById("status").textContent))
    .observe(document.getElementById("status"), {childList: true});
"""
# A fair coin that falls on the same side so often is none.
THROWS: Final = 100
HOSTILE: Final = "<img src=x onerror='window.broken = true'> &amp; </script>"


@pytest.fixture(scope="module")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(CHAT, tmp_path_factory.mktemp("chat")) as server:
        yield server


@pytest.fixture(scope="module")
def browser(chat: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    # It ends before the server: what it keeps open would be waited for after a reload.
    assert chat.workers
    with browsing(tmp_path_factory.mktemp("browser") / "profile") as browser:
        yield browser


def entered(page: Page, chat: Server, name: str, room: str) -> Page:
    """Enter a room."""
    page.go(f"http://127.0.0.1:{chat.address[1]}/")
    page.run(f"document.getElementById('name').value = {json.dumps(name)}")
    page.run(f"document.querySelector('[value={room}]').checked = true")
    page.run("document.querySelector('#enter button').click()")
    page.until(CONNECTED)
    return page


def entered_at(worker: str, page: Page, chat: Server, name: str, room: str) -> Page:
    """Enter a room by the door of one worker: the kernel throws a coin for each connection."""
    for _ in range(THROWS):
        if entered(page, chat, name, room).run(WORKER) == worker:
            return page
    raise AssertionError(f"never connected to worker {worker}")


def say(page: Page, words: str) -> None:
    """Type words into the field and press the button; wait until they come back."""
    page.run(f"document.getElementById('text').value = {json.dumps(words)}")
    page.run("document.querySelector('#say button').click()")
    heard(page, words)


def heard(page: Page, words: str) -> None:
    page.until(f"{LINES}.includes({json.dumps(words)})")


def pid_of(chat: Server, worker: str) -> int:
    # A worker that leaves after a reload bears the number of its successor.
    procs.until(lambda: len(chat.workers) == 2, what="two workers")
    return next(pid for pid in chat.workers if f"[wrk {worker}]" in procs.title(pid))


def test_chat_messages_cross_workers_and_survive_a_worker(
    browser: Browser, chat: Server
) -> None:
    ada = entered_at("1", browser.page(), chat, "ada", "lounge")
    bob = entered_at("2", browser.page(), chat, "bob", "lounge")

    say(ada, "from worker 1")
    heard(bob, "from worker 1")

    bob.run(WATCH)
    died = pid_of(chat, "2")
    os.kill(died, signal.SIGKILL)
    bob.until("states.some(state => state.startsWith('connection lost, trying again in'))")
    say(ada, "while bob was away")
    bob.until(CONNECTED)
    heard(bob, "while bob was away")
    say(bob, "back again")
    heard(ada, "back again")
    for page in (ada, bob):
        assert page.run(LINES) == ["from worker 1", "while bob was away", "back again"]
    procs.until(lambda: len(chat.workers) == 2 and died not in chat.workers, what="a successor")


def test_messages_to_a_dead_worker_are_sent_again(
    browser: Browser, chat: Server
) -> None:
    eve = entered(browser.page(), chat, "eve", "kitchen")
    worker = pid_of(chat, eve.run(WORKER))
    eve.run(WATCH)

    os.kill(worker, signal.SIGSTOP)
    procs.until(lambda: procs.stat(worker)[0] == "T", what="a worker that stands still")
    eve.run("document.getElementById('text').value = 'into the void'")
    eve.run("document.querySelector('#say button').click()")
    assert eve.run("document.getElementById('text').readOnly") is True
    os.kill(worker, signal.SIGKILL)

    eve.until("states.some(state => state.startsWith('connection lost, trying again in'))")
    eve.until(CONNECTED)
    assert eve.run("document.getElementById('text').readOnly") is False
    assert eve.run("document.getElementById('text').value") == "into the void"
    eve.run("document.querySelector('#say button').click()")
    heard(eve, "into the void")
    assert eve.run("document.getElementById('text').value") == ""
    lines = eve.run(LINES)
    assert (lines[-1], lines.count("into the void")) == ("into the void", 1)


def test_reload_is_announced_and_loses_no_message(browser: Browser, chat: Server) -> None:
    eve = entered(browser.page(), chat, "eve", "kitchen")
    say(eve, "before")
    eve.run(WATCH)

    chat.process.send_signal(signal.SIGHUP)

    eve.until("states.some(state => state.startsWith('the server restarts, trying again in'))")
    eve.until(CONNECTED)
    say(eve, "after")
    assert eve.run(LINES)[-2:] == ["before", "after"]


def test_messages_of_others_are_shown_as_text(browser: Browser, chat: Server) -> None:
    mallory = entered(browser.page(), chat, "<b>mallory</b>", "garden")
    eve = entered(browser.page(), chat, "eve", "garden")

    say(mallory, HOSTILE)

    heard(eve, HOSTILE)
    assert eve.run("document.querySelectorAll('#log img, #log p b b').length") == 0
    assert eve.run("[...document.querySelectorAll('.who b')].pop().textContent") == "<b>mallory</b>"
    assert eve.run("window.broken") is None


def test_a_name_that_the_server_would_refuse_is_refused_by_the_page(
    browser: Browser, chat: Server
) -> None:
    page = browser.page()
    page.go(f"http://127.0.0.1:{chat.address[1]}/")

    for name, valid in (("ada", True), ("ädä 1 🙂", True), ("a\u202eb", False), ("", False)):
        page.run(f"document.getElementById('name').value = {json.dumps(name)}")
        assert page.run("document.getElementById('enter').checkValidity()") is valid, name


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_the_page_fits_a_phone_in_dark_and_in_light(
    browser: Browser, chat: Server, scheme: str
) -> None:
    page = browser.page()
    page.call(
        "Emulation.setDeviceMetricsOverride",
        width=360,
        height=640,
        deviceScaleFactor=2,
        mobile=True,
    )
    page.call(
        "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}]
    )
    entered(page, chat, "x" * 24, "garden")
    say(page, "long" * 200)

    brightness = page.run("getComputedStyle(document.body).backgroundColor.match(/\\d+/g)[0]")
    button = page.run("document.querySelector('#say button').getBoundingClientRect().bottom")
    assert page.run("document.documentElement.scrollWidth") == 360
    assert button <= 640
    assert int(brightness) < 60 if scheme == "dark" else int(brightness) > 200
