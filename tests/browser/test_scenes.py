"""Every page in every state (scenes.py): axe's rules, widths, an empty console; a picture of each is kept."""

import json
import os
import pathlib

import pytest

from browser import scenes
from support.pages import Pages

SIDEWAYS = """
(() => {
  const wide = document.documentElement.scrollWidth;
  if (wide <= innerWidth) return [];
  return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
    .map((e) => e.tagName + "." + e.className + ": " + e.textContent.slice(0, 40)).slice(0, 5).concat(["page is " + wide]);
})()
"""


@pytest.fixture(scope="session")
def axe():
    path = os.environ.get("BERTH_AXE", "")
    assert path, "BERTH_AXE names no axe.min.js: script/test installs it"
    return pathlib.Path(path).read_text(encoding="utf-8")


# With targets of 24 px, which axe leaves out by itself; a log's line numbers stand as close as its lines.
AXE = """
axe.configure({rules: [{id: "target-size", enabled: true, selector: "*:not(.log .line > a)"}]});
axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify([r.passes.length, r.violations.map((v) =>
  [v.id, v.help, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200) + " " + n.failureSummary)])]))
"""


@pytest.mark.parametrize("scene", scenes.SCENES, ids=str)
def test_axe_finds_no_violation_wide_or_narrow_light_or_dark(show, keep, axe, scene):
    page = show(scene)
    page.evaluate(axe + "; 0")
    found = {}

    for width, scheme in scenes.looks(scene):
        page.look_like(width, scheme)
        passed, violations = json.loads(page.evaluate(AXE))
        assert passed > 15
        if violations:
            found[width, scheme] = violations
        keep(scene.name, width, scheme, page.picture(width))

    assert found == {}


@pytest.mark.parametrize("scene", scenes.SCENES, ids=str)
def test_nothing_scrolls_sideways_at_any_width_and_the_console_stays_empty(show, scene):
    page = show(scene, 360)
    found = {}

    for width in (320, 360, 390, 719, 720, 1023, 1024, 1279, 1280, 1440, 1920):
        page.look_like(width)
        if wide := page.evaluate(SIDEWAYS):
            found[width] = wide

    assert found == {}
    assert [line for line in page.complaints() if not line.startswith("Failed to load resource: the server responded with a status of 4")] == []


def test_every_page_and_every_form_of_the_routes_has_a_scene():
    """A page in all looks; a form in the state that it leads to."""
    missing = [route for route in scenes.routes() if route[2] != "REPLY" and not any(scenes.shows(scene, route) for scene in scenes.SCENES)]

    assert missing == []


@pytest.fixture(scope="module")
def closed_pages():
    """Where the web server has nobody to ask."""
    made = Pages()
    try:
        made.wait_until_ready()
        made.responder.end()
        yield made
    finally:
        made.end()


def test_axe_finds_no_violation_in_what_the_web_server_says_by_itself(chromium, keep, axe, closed_pages):
    found = {}

    for width, scheme in scenes.LOOKS:
        chromium.look_like(width, scheme)
        chromium.open(closed_pages.url + "/", closed_pages.sign_in("operator"))
        assert chromium.document_status() == 503
        passed, violations = json.loads(chromium.evaluate(axe + ";" + AXE))
        assert passed > 8 and chromium.evaluate(SIDEWAYS) == []
        if violations:
            found[width, scheme] = violations
        keep("error-503", width, scheme, chromium.picture(width))

    assert found == {}
