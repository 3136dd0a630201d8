"""An operator at a keyboard: reaches controls by Tab alone, knows them by the names that a screen reader tells, and reads what the page shows."""

import time

TABS_LIMIT = 200
LIMIT_S = 60

# What has the focus, by the name that assistive technology tells; a summary of the page's beginning when nothing has it.
FOCUSED = """
(() => {
  const e = document.activeElement;
  const words = (node) => (node ? node.textContent : "").replace(/\\s+/g, " ").trim();
  const name = e.getAttribute("aria-label") || (e.labels && e.labels.length ? words(e.labels[0]) : words(e));
  return [e.tagName, name];
})()
"""
# Whether the words are on the screen as it is scrolled now.
IN_SIGHT = """
((wanted) => {
  const walker = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_ELEMENT);
  let found = null;
  for (let e = walker.nextNode(); e; e = walker.nextNode()) if (e.innerText && e.innerText.includes(wanted)) found = e;
  if (!found) return false;
  const box = found.getBoundingClientRect();
  return box.top >= 0 && box.bottom <= innerHeight && box.height > 0;
})
"""


class Operator:
    def __init__(self, browser, url, authorization, has_script):
        self.browser, self.url, self.authorization, self.has_script = browser, url, authorization, has_script
        self.keys = 0

    def open(self, path):
        """As by writing an address; the first key is then the first one of the page."""
        self.browser.open(self.url + path, self.authorization)
        self.keys = 0

    def press(self, key, with_key=None):
        self.keys += 1
        self.browser.press(key, with_key)

    def focused(self):
        return self.browser.evaluate(FOCUSED)[1]

    def go_to(self, name, backwards=False):
        for _ in range(TABS_LIMIT):
            if self.focused() == name:
                return
            self.press("Tab", "Shift" if backwards else None)
        raise AssertionError(f"no Tab reaches {name!r} on {self.path()}: {self.text()[:800]}")

    def write(self, field, text, backwards=False):
        self.go_to(field, backwards)
        self.browser.write(text)

    def follow(self, name, key="Enter", backwards=False):
        """A link or a button, and the page that it leads to."""
        self.go_to(name, backwards)
        self.browser.next_page(lambda: self.press(key))

    def skip(self):
        """The first Tab's offer, taken."""
        self.press("Tab")
        assert self.focused() == "Skip to content"
        self.press("Enter")

    def text(self):
        return self.browser.evaluate("document.querySelector('main').innerText")

    def path(self):
        return self.browser.evaluate("location.pathname")

    def value(self, field):
        return self.browser.evaluate(f"document.querySelector('[name={field}]').value")

    def error_beside(self, field):
        """What the field points at as wrong with it; None: the field isn't marked."""
        return self.browser.evaluate(
            f"((f) => f.getAttribute('aria-invalid') === 'true' ? document.getElementById('error-{field}').innerText.trim() : null)"
            f"(document.querySelector('[name={field}]'))")

    def sees(self, words):
        return self.browser.evaluate(f"{IN_SIGHT}({words!r})")

    def notice(self):
        return self.browser.evaluate("(document.querySelector('main [role=status]') || {innerText: ''}).innerText")

    def watch_until(self, words):
        """With script the page changes by itself; without it has a link for that."""
        self.browser.evaluate("window.stayed = true; 0")
        until = time.monotonic() + LIMIT_S
        while words not in self.text():
            assert time.monotonic() < until, f"never read {words!r}: {self.text()[:1500]}"
            time.sleep(0.3)
            if not self.has_script:
                self.follow("look again")
        assert not self.has_script or self.browser.evaluate("window.stayed === true"), "the page was loaded anew instead of followed"
