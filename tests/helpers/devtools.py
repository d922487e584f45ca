"""Pages of a real browser, driven over its devtools: asked in JavaScript, waited for."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.helpers.browser import OPTIONS, SECONDS, browser
from tests.helpers.procs import until

# A page that nobody looks at is slowed down.
AWAKE = (
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
)


class Page:
    """One page."""

    def __init__(self, devtools: ClientConnection) -> None:
        self.devtools = devtools
        self.number = 0

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Have something done, and return what comes of it."""
        self.number += 1
        question = {"id": self.number, "method": method, "params": parameters}
        self.devtools.send(json.dumps(question))
        while True:
            answer = json.loads(self.devtools.recv(SECONDS))
            if answer.get("id") == self.number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    def run(self, code: str) -> Any:
        """Return what an expression of JavaScript is worth; a promise is awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, code: str) -> None:
        """Wait until an expression is true."""
        until(lambda: self.run(f"!!({code})"), what=code)

    def go(self, url: str) -> None:
        """Load a page with all its scripts."""
        # Said to the document that is left: one that is loaded anew has the same address.
        self.run("window.left = true")
        self.call("Page.navigate", url=url)
        self.until("!window.left && document.readyState === 'complete'")


class Browser:
    """A running browser."""

    def __init__(self, port: int, pages: contextlib.ExitStack) -> None:
        self.port = port
        self.pages = pages

    def page(self) -> Page:
        """Open one more page."""
        door = HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
        door.request("PUT", "/json/new?about:blank")
        target = json.load(door.getresponse())
        door.close()
        devtools = connect(target["webSocketDebuggerUrl"], max_size=None, open_timeout=SECONDS)
        return Page(self.pages.enter_context(devtools))


@contextlib.contextmanager
def browsing(profile: Path) -> Iterator[Browser]:
    """Run a browser, and end it."""
    command = [browser(), *OPTIONS, *AWAKE, "--remote-debugging-port=0"]
    with (profile.with_suffix(".log")).open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}", "about:blank"], stdout=log, stderr=log
        )
    try:
        found = profile / "DevToolsActivePort"
        until(lambda: found.exists() and "\n" in found.read_text(), SECONDS, "a browser")
        with contextlib.ExitStack() as pages:
            yield Browser(int(found.read_text().split()[0]), pages)
    finally:
        process.terminate()
        try:
            process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
