"""Headless Chromium, driven by its DevTools protocol over two pipes. It depends on no particular page."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

# Chromium reads from file descriptor 3 and writes to 4. A starter script puts the pipes there.
_START = """
import os, sys
commands, answers, *chromium = sys.argv[1:]
os.dup2(int(commands), 3)
os.dup2(int(answers), 4)
os.execv(chromium[0], chromium)
"""
_OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars",
            "--force-color-profile=srgb", "--disable-dev-shm-usage", "--no-first-run")  # fmt: skip
_KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "Tab": 9, "Enter": 13}


class Tab:
    """One tab.

    Args:
        commands: where Chromium reads.
        answers: where it writes.
    """

    def __init__(self, commands: int, answers: int) -> None:
        self._commands, self._answers = commands, answers
        self._read = b""
        self._sent = 0
        self._session: str | None = None
        self._scripts = True
        self.complaints: list[str] = []
        self.requests: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def _call(self, method: str, **params: Any) -> Mapping[str, Any]:
        self._sent += 1
        session = {"sessionId": self._session} if self._session else {}
        command = {"id": self._sent, "method": method, "params": params, **session}
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._sent:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                result: Mapping[str, Any] = message["result"]
                return result

    def _message(self) -> dict[str, Any]:
        while b"\0" not in self._read:
            more = os.read(self._answers, 1 << 16)
            if not more:
                raise RuntimeError("Chromium is gone")
            self._read += more
        one, _, self._read = self._read.partition(b"\0")
        message: dict[str, Any] = json.loads(one)
        self._hear(message.get("method", ""), message.get("params", {}))
        return message

    def _hear(self, method: str, params: Mapping[str, Any]) -> None:
        """Record the page's errors and its network requests."""
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(params["exceptionDetails"]))
        elif method == "Log.entryAdded":
            self.complaints.append(f"{params['entry']['level']}: {params['entry']['text']}")
        elif method == "Runtime.consoleAPICalled":
            self.complaints.append(f"console.{params['type']}: {params['args']}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"].partition(",")[0])

    def close(self) -> None:
        """Close Chromium, which cleans up first."""
        self._session = None
        self._call("Browser.close")

    def open(self, path: Path, fragment: str = "", *, scripts: bool = True) -> None:
        """Open a file and wait until it is loaded, with or without JavaScript."""
        self._scripts = scripts
        self._call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self._call("Page.navigate", url="about:blank")
        self._call("Page.navigate", url=f"{path.absolute().as_uri()}{fragment}")
        while self._message().get("method") != "Page.loadEventFired":
            pass
        self._settle()

    def _settle(self) -> None:
        """Wait until pending changes have been painted. Without scripts there is no signal for it."""
        if self._scripts:
            self.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))")

    def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression, or the result of a promise."""
        got = self._call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in got:
            raise RuntimeError(got["exceptionDetails"]["exception"]["description"])
        return got["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key."""
        for kind in ("keyDown", "keyUp"):
            code = {"windowsVirtualKeyCode": _KEYS[key], "key": key, "code": key}
            self._call("Input.dispatchKeyEvent", type=kind, **code)

    def click(self, selector: str) -> None:
        """Click on the middle of an element."""
        x, y = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'});"
            " const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def look(self, width: int, height: int = 900, *, dark: bool = False, printed: bool = False) -> None:
        """Set the width of the window, the colour scheme, and whether the medium is print."""
        self._call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._call("Emulation.setEmulatedMedia", media="print" if printed else "screen", features=[scheme])
        self._settle()

    def picture(self, path: Path, selector: str) -> None:
        """Write an element as a PNG."""
        box = self.evaluate(
            f"(() => {{ const r = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            " return {x: r.x + scrollX, y: r.y + scrollY, width: r.width, height: r.height}; })()"
        )
        shot = self._call("Page.captureScreenshot", clip={**box, "scale": 1}, captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def chromium() -> Iterator[Tab]:
    """Start Chromium, and stop it at the end."""
    (to, commands), (answers, back) = os.pipe(), os.pipe()
    ends = [fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in (to, back)]  # other descriptors than 3 and 4
    # Its child processes may still write there for a moment after it has ended.
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        arguments = [*map(str, ends), str(CHROMIUM), *_OPTIONS, f"--user-data-dir={profile}"]
        process = subprocess.Popen(
            [sys.executable, "-c", _START, *arguments],
            pass_fds=ends,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (to, back, *ends):
            os.close(end)
        try:
            tab = Tab(commands, answers)
            yield tab
            tab.close()
        finally:
            process.terminate()
            process.wait()
            os.close(commands)
            os.close(answers)
