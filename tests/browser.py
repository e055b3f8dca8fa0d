"""A real browser for tests of pages: headless Chromium, controlled through a pipe, without any socket."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_browser = pytest.mark.skipif(
    CHROMIUM is None and os.environ.get("ACCEPTOR_TEST_BROWSER") != "required",
    reason="no Chromium is installed to open the page with",
)
LIMIT = 120  # seconds without an answer after which a test fails
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage", "--lang=en",
)  # fmt: skip


class Page:
    """One tab. It records console messages, requests and refusals."""

    def __init__(self, send: int, receive: int):
        self._send, self._receive = send, receive
        self._buffer, self._number, self._session = b"", 0, ""
        self._asked: dict[str, str] = {}
        self.messages: list[str] = []
        target = self("Target.createTarget", url="about:blank")["targetId"]
        self._session = self("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Audits"):
            self(f"{domain}.enable")

    def __call__(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._send, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._handle(answer)
        assert "error" not in answer, answer
        return answer["result"]

    @property
    def requests(self) -> list[str]:
        """Requested addresses, without those that the page's policy blocked."""
        return list(self._asked.values())

    def open(self, path: Path) -> None:
        self.messages.clear(), self._asked.clear()
        self._loaded = False
        self("Page.navigate", url=path.resolve().as_uri())
        while not self._loaded:
            self._handle(self._next())

    def evaluate(self, code: str) -> Any:
        found = self("Runtime.evaluate", expression=code, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def resize(self, width: int, height: int = 900, scale: float = 1) -> None:
        self(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=width < 500,
        )

    def dark(self, on: bool) -> None:
        value = "dark" if on else "light"
        self("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": value}])

    def screenshot(self, path: Path, *, whole: bool = True) -> None:
        data = self("Page.captureScreenshot", captureBeyondViewport=whole, format="png", **self._clip(whole))["data"]
        path.write_bytes(base64.b64decode(data))

    def pdf(self, path: Path) -> None:
        data = self("Page.printToPDF", printBackground=True, preferCSSPageSize=True, paperWidth=8.27, paperHeight=11.69)
        path.write_bytes(base64.b64decode(data["data"]))

    def _clip(self, whole: bool) -> dict[str, Any]:
        size = self("Page.getLayoutMetrics")["cssContentSize"]
        return {"clip": {**size, "scale": 1}} if whole else {}

    def _handle(self, event: dict[str, Any]) -> None:
        method, about = event.get("method"), event.get("params", {})
        if method == "Page.loadEventFired":
            self._loaded = True
        elif method == "Network.requestWillBeSent":
            self._asked[about["requestId"]] = about["request"]["url"]
        elif method == "Network.loadingFailed" and about.get("blockedReason") == "csp":
            self._asked.pop(about["requestId"], None)  # it never left the page
        elif method == "Runtime.consoleAPICalled":
            self.messages.append(f"console.{about['type']}: {about['args']}")
        elif method == "Runtime.exceptionThrown":
            self.messages.append(str(about["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.messages.append(about["entry"]["text"])
        elif method == "Audits.issueAdded":
            self.messages.append(f"issue: {json.dumps(about['issue'])}")

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert select.select([self._receive], [], [], LIMIT)[0], f"the browser has not answered for {LIMIT} s"
            part = os.read(self._receive, 1 << 20)
            assert part, "the browser has ended"
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(line))


@contextlib.contextmanager
def chromium() -> Iterator[Page]:
    """A running Chromium with one tab."""
    import fcntl

    assert CHROMIUM, "no Chromium is installed: see .ci/run"
    pipes = (*os.pipe(), *os.pipe())
    # Moved away from 3 and 4, which Chromium uses for its ends of the pipes.
    commands, send, receive, answers = (fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 20) for end in pipes)
    for end in pipes:
        os.close(end)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile, open(os.devnull, "w") as nowhere:
        process = os.posix_spawn(
            CHROMIUM,
            [CHROMIUM, *FLAGS, f"--user-data-dir={profile}"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, commands, 3),
                (os.POSIX_SPAWN_DUP2, answers, 4),
                (os.POSIX_SPAWN_DUP2, nowhere.fileno(), 2),
            ],
            setpgroup=0,
        )
        os.close(commands), os.close(answers)
        try:
            yield Page(send, receive)
        finally:
            os.close(send), os.close(receive)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
            os.waitpid(process, 0)
