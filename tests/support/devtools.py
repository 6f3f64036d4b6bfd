"""A real browser worked through its DevTools protocol, with real presses of keys: over a pipe, so without a network."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from browsers import CHROMIUM, FLAGS

# Of each key: its name in events, its number, and the text that it writes.
KEYS = {"Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r"), "Space": (" ", 32, " ")}
KEYS |= {name: (name, code, "") for name, code in [("End", 35), ("ArrowLeft", 37), ("ArrowUp", 38)]}
KEYS |= {name: (name, code, "") for name, code in [("ArrowRight", 39), ("ArrowDown", 40), ("Backspace", 8)]}


class Tab:
    """One page; `send` and `receive` are the ends of the browser's pipe."""

    def __init__(self, send: int, receive: int) -> None:
        self.send, self.replies = send, os.fdopen(receive, "rb")
        self.session: dict[str, str] = {}
        self.count = 0

    def call(self, method: str, **params: Any) -> Any:
        """The result of a command of the protocol."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params, **self.session}
        os.write(self.send, json.dumps(message).encode() + b"\0")
        while (reply := self._message()).get("id") != self.count:
            pass
        assert "error" not in reply, reply
        return reply["result"]

    def _message(self) -> dict[str, Any]:
        text = b"".join(iter(lambda: self.replies.read(1).replace(b"\0", b""), b""))
        assert text, "the browser went away"
        return dict(json.loads(text))

    def show(self, file: Path, width: int) -> None:
        """Open a page, as wide as this, and wait until it has loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = {"sessionId": self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=False)
        self.call("Page.enable")
        self.call("Page.navigate", url=file.as_uri())
        while self._message().get("method") != "Page.loadEventFired":
            pass

    def value(self, expression: str) -> Any:
        """What a JavaScript expression is on the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def press(self, *names: str, shift: bool = False) -> None:
        """Press keys, one after the other."""
        for name in names:
            key, code, text = KEYS.get(name, (name, ord(name[0]), name))
            how = {"key": key, "windowsVirtualKeyCode": code, "modifiers": 8 if shift else 0}
            self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", text=text, **how)
            self.call("Input.dispatchKeyEvent", type="keyUp", **how)


@contextmanager
def opened(file: Path, folder: Path, width: int = 1280) -> Iterator[Tab]:
    """A page in a browser of its own, closed at the end; the profile is in the folder."""
    (reads, send), (receive, writes) = os.pipe(), os.pipe()
    command = [str(CHROMIUM), *FLAGS, "--remote-debugging-pipe", f"--user-data-dir={folder / 'profile'}"]
    pipes = ["bash", "-c", f'exec "$@" 3<&{reads} 4>&{writes}', "pipes", *command]
    with subprocess.Popen(pipes, pass_fds=(reads, writes), stderr=subprocess.DEVNULL) as browser:
        os.close(reads)
        os.close(writes)
        tab = Tab(send, receive)
        try:
            tab.show(file, width)
            yield tab
        finally:
            os.close(send)
            browser.terminate()
            tab.replies.close()
