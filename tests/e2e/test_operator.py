"""An operator's day in a real browser, by keyboard alone, with JavaScript and without: every change is made on the pages, every result is seen there and,
from outside, by the command."""

import base64
import sys
import time

import pytest
import world

from conftest import TOP, Repository

sys.path.insert(0, str(TOP / "tests"))

from browser.chromium import Chromium, program  # noqa: E402

TAB = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
ENTER = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r"}
CONTROL_A = {"key": "a", "code": "KeyA", "windowsVirtualKeyCode": 65, "modifiers": 2, "commands": ["selectAll"]}
TABS_LIMIT = 400
LIMIT_S = 60


class Operator:
    """Hands on a keyboard, eyes on the page."""

    def __init__(self, browser, stack):
        self.browser, self.stack = browser, stack
        self.authorization = "Basic " + base64.b64encode(f"operator:{stack.password}".encode()).decode()

    def open(self, path):
        self.browser.open(self.stack.url + path, self.authorization)

    def press(self, key):
        self.browser.call("Input.dispatchKeyEvent", type="keyDown" if "text" in key else "rawKeyDown", **key)
        self.browser.call("Input.dispatchKeyEvent", type="keyUp", **{name: value for name, value in key.items() if name not in ("text", "commands")})

    def go_to(self, selector):
        """Tab by Tab, from the beginning of the page."""
        self.browser.evaluate("document.activeElement.blur(); 0")
        for _ in range(TABS_LIMIT):
            self.press(TAB)
            if self.browser.evaluate(f"document.activeElement.matches({selector!r})"):
                return
        raise AssertionError(f"Tab does not reach {selector}: {self.text()[:500]}")

    def write(self, selector, text):
        self.go_to(selector)
        self.press(CONTROL_A)
        self.browser.call("Input.insertText", text=text)

    def follow(self, selector):
        """Enter, and the page it leads to."""
        self.go_to(selector)
        self.browser.events.clear()
        self.press(ENTER)
        self.browser._until(lambda message: message.get("method") == "Page.loadEventFired")

    def text(self):
        return self.browser.evaluate("document.querySelector('main').innerText")

    def path(self):
        return self.browser.evaluate("location.pathname")

    def read_until(self, words, again=None):
        until = time.monotonic() + LIMIT_S
        while words not in self.text():
            assert time.monotonic() < until, f"never read {words!r}: {self.text()[:1500]}"
            time.sleep(0.3)
            if again:
                again()


@pytest.fixture(scope="module")
def chromium():
    assert program(), "Chromium is not installed: script/setup --test"
    made = Chromium()
    yield made
    made.end()


@pytest.fixture(params=["with JavaScript", "without JavaScript"])
def operator(request, stack, chromium):
    made = Operator(chromium, stack)
    made.has_script = request.param == "with JavaScript"
    chromium.look_like(1440)
    chromium.call("Emulation.setScriptExecutionDisabled", value=not made.has_script)
    yield made
    chromium.call("Emulation.setScriptExecutionDisabled", value=False)


@pytest.fixture
def shop(operator, stack):
    """An app of its own for each run."""
    return Repository(stack, "keys" if operator.has_script else "plain", 901 if operator.has_script else 902)


@pytest.fixture
def slow_builds(stack):
    yield lambda: stack.control("timing", {"BUILD": 60000})
    stack.control("timing", {"BUILD": world.DEFAULT_TIMING["BUILD"]})


def follow_to_its_end(operator, shop, release):
    operator.open(f"/apps/{shop.app}/releases/{release}")
    if not operator.has_script:
        operator.read_until("Live", again=lambda: operator.open(operator.path()))
        return
    operator.browser.evaluate("window.stayed = true")
    operator.read_until("Live")
    assert operator.browser.evaluate("window.stayed === true"), "the page was loaded anew instead of followed"


def find_why_it_failed(operator, shop, release):
    operator.open("/")
    operator.follow(f"a[href='/apps/{shop.app}']")
    assert "Dockerfile" in operator.browser.evaluate("document.querySelector('main .failure').innerText")
    operator.follow(f"a[href='/apps/{shop.app}/releases/{release}']")
    assert "Dockerfile" in operator.browser.evaluate("document.querySelector('main .failure').innerText")


def edit_limit(operator, shop, name, value):
    operator.open(f"/apps/{shop.app}/limits")
    operator.write(f"[name='{name}']", value)
    operator.follow("button[name='do'][value='preview']")
    assert operator.browser.evaluate(f"document.querySelector('[name={name}]').value") == value
    operator.follow("button[name='do'][value='save']")
    assert operator.browser.evaluate("document.querySelector('main [role=status]') !== null"), operator.text()


def test_an_operators_day_by_keyboard(operator, shop, stack, slow_builds):
    shop.push("One")
    follow_to_its_end(operator, shop, 1)

    dockerfile = shop.clone / "Dockerfile"
    kept = dockerfile.read_text()
    dockerfile.unlink()
    shop.push("Without its Dockerfile")
    shop.wait(2, code=None)
    find_why_it_failed(operator, shop, 2)

    shop.push("With it again", Dockerfile=kept)
    shop.wait(3)
    operator.open(f"/apps/{shop.app}")
    operator.follow("button[form='form-rollback'][value='1']")
    assert "v4" in operator.text()
    shop.wait(4)
    assert stack.berth("apps", "show", shop.app)["live"] == 4

    slow_builds()
    shop.push("Slow", **{"slow.txt": "1"})
    operator.open(f"/apps/{shop.app}")
    operator.read_until("Building", again=None if operator.has_script else lambda: operator.open(operator.path()))
    operator.follow("button[form='form-cancel']")
    ended = shop.wait(5, code=None)
    assert ended["state"] not in ("running", "live")
    assert stack.berth("apps", "show", shop.app)["live"] == 4

    edit_limit(operator, shop, "releases_per_hour", "1")
    said = shop.push("One too many", **{"more.txt": "1"})[1]
    assert "403" in said and "releases" in said
    edit_limit(operator, shop, "releases_per_hour", "")
    edit_limit(operator, shop, "pushes_burst", "1")
    said = [shop.push(f"Push {n}", **{"more.txt": str(n)})[1] for n in range(3)]
    assert any("429" in answer for answer in said), said

    operator.open(f"/apps/{shop.app}")
    operator.write("#confirm", shop.app)
    operator.press(ENTER)
    operator.read_until("destroy")
    until = time.monotonic() + LIMIT_S
    while stack.berth("apps", "show", shop.app, code=None) and time.monotonic() < until:
        time.sleep(0.3)
    assert stack.client("ecs").describe_services(cluster="berth", services=[f"berth-{shop.app}"])["services"] == []
