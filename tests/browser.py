"""A real headless Chromium for tests and pictures, over its DevTools protocol on a pipe
(https://chromedevtools.github.io/devtools-protocol/): no library, no port, no network.
"""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

#: What the browser is called on the systems that have it.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
    *("--disable-background-networking", "--hide-scrollbars", "--force-color-profile=srgb"),
    *("--disable-extensions", "--no-default-browser-check", "--remote-debugging-pipe"),
)
#: Seconds in which a page must answer (a machine may be busy).
PATIENCE = 60.0


def find_browser() -> str | None:
    """Path of a Chromium; None where there is none. TASHOWER_BROWSER names another one."""
    named = os.environ.get("TASHOWER_BROWSER")
    return named or next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page of a browser of its own, which ends with the block.

    Attributes
    ----------
    errors : what the page put on its console as errors or warnings, exceptions, failed requests
    requests : addresses that the page asked for
    """

    def __init__(self, path: str | None = None):
        self.errors: list[str] = []
        self.requests: list[str] = []
        self._number, self._left, self._session = 0, b"", None
        self._folder = tempfile.TemporaryDirectory(prefix="browser-")
        ours, self._write = os.pipe()
        self._read, theirs = os.pipe()
        # Moved out of the way, so that neither lies where the other is put.
        ends = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in (ours, theirs)]

        def connect():  # the browser reads file descriptor 3 and writes 4
            for number, end in enumerate(ends, 3):
                os.dup2(end, number)

        self._process = subprocess.Popen(
            [path or find_browser(), *_FLAGS, f"--user-data-dir={self._folder.name}"],
            preexec_fn=connect,
            close_fds=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (ours, theirs, *ends):
            os.close(end)
        os.set_blocking(self._read, False)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> "Browser":
        return self

    def __exit__(self, *exception: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._read)
        os.close(self._write)
        self._folder.cleanup()

    def _message(self) -> dict:
        end = time.monotonic() + PATIENCE
        while b"\0" not in self._left:
            try:
                part = os.read(self._read, 1 << 16)
            except BlockingIOError:
                part = None
            if part == b"":
                raise ConnectionError("the browser ended")
            if part:
                self._left += part
            elif time.monotonic() > end:
                raise TimeoutError(f"the browser does not answer within {PATIENCE:.0f} s")
            else:
                time.sleep(0.01)
        text, _, self._left = self._left.partition(b"\0")
        return json.loads(text)

    def _note(self, message: dict) -> None:
        method, told = message.get("method", ""), message.get("params", {})
        if method == "Runtime.exceptionThrown":
            details = told["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif method == "Runtime.consoleAPICalled" and told["type"] in ("error", "warning"):
            self.errors.append(" ".join(str(a.get("value")) for a in told["args"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] in ("error", "warning"):
            self.errors.append(told["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])

    def call(self, method: str, **params: object) -> dict:
        """What a method of the protocol gives."""
        self._number += 1
        words = {"id": self._number, "method": method, "params": params}
        words |= {"sessionId": self._session} if self._session else {}
        os.write(self._write, json.dumps(words).encode() + b"\0")
        while True:
            message = self._message()
            if message.get("id") == self._number:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']['message']}")
                return message["result"]
            self._note(message)

    def screen(self, width: int, height: int, dark: bool = False, mobile: bool = False) -> None:
        """Size of the window [px], whether the reader wants dark pages, whether it is a phone."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 2 if mobile else 1}
        self.call("Emulation.setDeviceMetricsOverride", mobile=mobile, **metrics)
        self.call("Emulation.setTouchEmulationEnabled", enabled=mobile)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, path: Path, fragment: str = "") -> None:
        """Load a page and wait until it has drawn itself."""
        self.call("Page.navigate", url="about:blank")
        self.call("Page.navigate", url=Path(path).resolve().as_uri() + fragment)
        self.wait("document.readyState === 'complete'")
        self.settle()

    def run(self, expression: str) -> object:
        """The value of an expression of JavaScript in the page; promises are awaited."""
        found = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in found:
            raise RuntimeError(found["exceptionDetails"]["exception"]["description"])
        return found["result"].get("value")

    def wait(self, condition: str) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + PATIENCE
        while not self.run(condition):
            if time.monotonic() > end:
                raise TimeoutError(f"not within {PATIENCE:.0f} s: {condition}")
            time.sleep(0.05)

    def settle(self) -> None:
        """Wait until two frames were drawn."""
        self.run("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => r(1))))")

    def place(self, selector: str) -> tuple[float, float]:
        """Middle of an element in the window, which is scrolled to where it can be seen [px]."""
        found = self.run(
            f"(() => {{ const n = document.querySelector({json.dumps(selector)});"
            "n.scrollIntoView({block: 'center'}); const b = n.getBoundingClientRect();"
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        return found[0], found[1]

    def click(self, selector: str) -> None:
        """Click in the middle of an element with the mouse, on whatever lies there."""
        x, y = self.place(selector)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        self.settle()

    def hover(self, selector: str) -> None:
        """Move the mouse to the middle of an element."""
        x, y = self.place(selector)
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self.settle()

    def tap(self, selector: str) -> None:
        """Touch the middle of an element."""
        x, y = self.place(selector)
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        self.settle()

    def key(self, name: str, code: int) -> None:
        """Press a key; code : its Windows virtual key code."""
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=name,
                code=name,
                windowsVirtualKeyCode=code,
                text="\r" if kind == "keyDown" and name == "Enter" else "",
            )
        self.settle()

    def screenshot(self, whole: bool = False) -> bytes:
        """The window, or the whole page, as PNG."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        return base64.b64decode(found["data"])

    def pdf(self) -> bytes:
        """The page as it is printed."""
        found = self.call("Page.printToPDF", printBackground=False, preferCSSPageSize=True)
        return base64.b64decode(found["data"])
