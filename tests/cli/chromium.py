"""Drives Debian's headless Chromium over its DevTools pipe, with the standard library alone: open, wait for text, screenshot."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--remote-debugging-pipe",
)  # fmt: skip

# Chromium reads commands from file descriptor 3 and writes answers to 4; the two pipe ends arrive under other numbers.
_LAUNCH = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
)

# The text of a page with that of its shadow trees, which innerText of the document leaves out.
_TEXT = """(() => {
  const read = node => node.nodeType === Node.TEXT_NODE ? node.textContent
    : ['STYLE', 'SCRIPT', 'TEMPLATE'].includes(node.nodeName) ? ''
    : [...(node.shadowRoot ? node.shadowRoot.childNodes : []), ...node.childNodes].map(read).join(' ');
  return read(document.body).replace(/\\s+/g, ' ');
})()"""


class Chromium:
    """One browser window.

    Args:
        width, height: Of the window, in CSS pixels.
    """

    def __init__(self, width: int = 1400, height: int = 900):
        program = shutil.which("chromium")
        if program is None:
            raise FileNotFoundError("chromium is not installed; on Debian: apt-get install chromium.")
        commands, self._to = _pipe()
        self._from, answers = _pipe()
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        flags = [*FLAGS, f"--user-data-dir={self._profile.name}", f"--window-size={width},{height}", "about:blank"]
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, str(commands), str(answers), program, *flags],
            pass_fds=(commands, answers),
            stderr=subprocess.DEVNULL,
        )
        os.close(commands)
        os.close(answers)
        self._number, self._session, self._rest = 0, "", b""
        target = self._send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self._send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.resize(width, height)

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._to)  # Chromium ends when its pipe is closed.
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._from)
        self._profile.cleanup()

    def open(self, address: str) -> None:
        """Load a page."""
        self._send("Page.navigate", url=address)

    def resize(self, width: int, height: int) -> None:
        """Give the window another size, in CSS pixels."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._send("Emulation.setDeviceMetricsOverride", **size)

    def run(self, script: str) -> Any:
        """Evaluate a JavaScript expression in the page and return its value."""
        return self._send("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def text(self) -> str:
        """All text of the page, shadow trees included."""
        return str(self.run(f"document.body ? {_TEXT} : ''"))

    def wait_for(self, *texts: str, seconds: float = 40) -> str:
        """Wait until the page holds every one of ``texts``; returns the page's text.

        Raises:
            TimeoutError: With what is missing and what the page says.
        """
        deadline = time.monotonic() + seconds
        while True:
            page = self.text()
            missing = [text for text in texts if text not in page]
            if not missing:
                return page
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {seconds} s the page lacks {missing}; it says: {page[:3000]}")
            time.sleep(0.25)

    def screenshot(self, path: Path) -> None:
        """Save what the window shows as PNG."""
        path.write_bytes(base64.b64decode(self._send("Page.captureScreenshot", format="png")["data"]))

    def _send(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                result: dict[str, Any] = answer["result"]
                return result

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = os.read(self._from, 1 << 16)
            if not read:
                raise RuntimeError(f"chromium ended with exit code {self._process.wait()}.")
            self._rest += read
        message, self._rest = self._rest.split(b"\0", 1)
        answer: dict[str, Any] = json.loads(message)
        return answer


def _pipe() -> tuple[int, int]:
    # Numbers above 9, so that the launcher's dup2 to 3 and 4 overwrites neither end.
    ends = os.pipe()
    high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends)
    for end in ends:
        os.close(end)
    return high[0], high[1]
