"""A Chromium without a window, driven over its DevTools pipe: JSON messages that end with a NUL, on descriptors 3 and 4."""

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

ANSWER_LIMIT_S = 60  # axe goes through a long page within it, on a machine that does other things too
# What a key says of itself: its code, its number, and the character that it writes.
KEYS = {"Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r"), "Space": ("Space", 32, " "), "Backspace": ("Backspace", 8, ""), "Escape": ("Escape", 27, "")}
HEIGHT_MAX = 6000
MODIFIERS = {"Shift": 8, "Control": 2}


def program():
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Chromium:
    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="berth-chromium.")
        from_us, self._writing = os.pipe()
        self._reading, to_us = os.pipe()
        self._process = subprocess.Popen(
            [program(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-sync", "--disable-extensions",
             "--disable-background-networking", "--disable-component-update", "--disable-quic", "--remote-debugging-pipe", f"--user-data-dir={self.profile}",
             "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=(3, 4), start_new_session=True,
            # Chromium wants 3 to read from and 4 to write to; both first move out of the way of each other.
            preexec_fn=lambda: (os.dup2(from_us, 103), os.dup2(to_us, 104), os.dup2(103, 3), os.dup2(104, 4)),
        )
        os.close(from_us)
        os.close(to_us)
        self._buffer = b""
        self._number = 0
        self.events = []
        self.session = None
        try:
            self._attach()
        except BaseException:
            self.end()
            raise

    def _attach(self):
        target = next(t for t in self.call("Target.getTargets")["targetInfos"] if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def end(self):
        os.close(self._writing)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(5)
        os.close(self._reading)
        # Its helpers end a moment later, and write to the profile until then.
        until = time.monotonic() + 5
        while os.path.isdir(self.profile) and time.monotonic() < until:
            shutil.rmtree(self.profile, ignore_errors=True)
            time.sleep(0.1)

    def call(self, method, **params):
        self._number += 1
        message = {"id": self._number, "method": method, "params": params, **({"sessionId": self.session} if self.session else {})}
        self._write(message)
        answer = self._until(lambda m: m.get("id") == self._number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def _write(self, message):
        left = json.dumps(message).encode() + b"\0"
        while left:
            left = left[os.write(self._writing, left):]

    def _until(self, wanted):
        until = time.monotonic() + ANSWER_LIMIT_S
        while True:
            message = self._next(until)
            if wanted(message):
                return message
            if "method" in message:
                self.events.append(message)

    def _next(self, until):
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._reading], [], [], max(0, until - time.monotonic()))
            assert ready, "Chromium does not answer"
            piece = os.read(self._reading, 1 << 16)
            assert piece, "Chromium ended"
            self._buffer += piece
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    # ---- A page ----

    def look_like(self, width, scheme="light", media="", forced_colors=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 720)
        features = {"prefers-color-scheme": scheme, "forced-colors": "active" if forced_colors else "none"}
        self.call("Emulation.setEmulatedMedia", media=media, features=[{"name": name, "value": value} for name, value in features.items()])

    def open(self, url, authorization):
        self.call("Network.setExtraHTTPHeaders", headers={"Authorization": authorization})
        self.next_page(lambda: self.call("Page.navigate", url=url))

    def evaluate(self, script):
        done = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def press(self, key, with_key=None, **more):
        """A key of KEYS or a character, as from a keyboard."""
        code, number, text = KEYS.get(key, (f"Key{key.upper()}" if key.isalpha() else "", ord(key[0].upper()), key))
        said = {"key": " " if key == "Space" else key, "code": code, "windowsVirtualKeyCode": number, "modifiers": MODIFIERS.get(with_key, 0)}
        writes = text and with_key != "Control"
        self.call("Input.dispatchKeyEvent", type="keyDown" if writes else "rawKeyDown", **said, **({"text": text} if writes else {}), **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", **said)

    def write(self, text):
        """In the place of what is in the field that has the focus."""
        self.press("a", "Control", commands=["selectAll"])
        self.press("Backspace")
        for character in text:
            self.press(character)

    def next_page(self, act):
        """Waits for the page that `act` leads to."""
        self.events.clear()
        act()
        if not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self._until(lambda message: message.get("method") == "Page.loadEventFired")

    def document_status(self):
        """Of the page that was opened or sent last."""
        return next(event["params"]["response"]["status"] for event in reversed(self.events)
                    if event["method"] == "Network.responseReceived" and event["params"]["type"] == "Document")

    def run_scripts(self, wanted):
        """Whether pages' own scripts run; what evaluate is given always does."""
        self.call("Emulation.setScriptExecutionDisabled", value=not wanted)

    def picture(self, width):
        """The whole page, in PNG."""
        height = self.evaluate("document.documentElement.scrollHeight")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, HEIGHT_MAX), "scale": 1}
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"])

    def complaints(self):
        """What the console holds: errors, refused by the policy, dialogs that a script opened."""
        found = []
        for event in self.events:
            if event["method"] == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
                found.append(event["params"]["entry"]["text"])
            elif event["method"] in ("Runtime.exceptionThrown", "Page.javascriptDialogOpening"):
                found.append(json.dumps(event["params"])[:300])
        return found
