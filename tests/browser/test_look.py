"""The pages in a real browser: wide and narrow, light and dark, by keyboard, on paper, without script."""

import json
import os
import pathlib
import time

import pytest

from browser import scenes

SIDEWAYS = """
(() => {
  const wide = document.documentElement.scrollWidth;
  if (wide <= innerWidth) return [];
  return [...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1)
    .map((e) => e.tagName + "." + e.className + ": " + e.textContent.slice(0, 40)).slice(0, 5).concat(["page is " + wide]);
})()
"""
TARGETS = """
[...document.querySelectorAll("main a, header a")].filter((a) => a.offsetParent && !a.closest("p, .second, .crumbs, .legend, td.release, .sentence, dd"))
  .map((a) => [a.textContent.trim().slice(0, 30), a.getBoundingClientRect()]).filter(([, r]) => r.height < 18).map(([t, r]) => t + " " + r.height)
"""


@pytest.fixture(scope="session")
def axe():
    path = os.environ.get("BERTH_AXE", "")
    assert path, "BERTH_AXE names no axe.min.js: script/test installs it"
    return pathlib.Path(path).read_text(encoding="utf-8")


AXE = """
axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify([r.passes.length, r.violations.map((v) =>
  [v.id, v.help, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200) + " " + n.failureSummary)])]))
"""


@pytest.mark.parametrize("scene", scenes.SCENES, ids=str)
def test_axe_finds_no_violation_wide_or_narrow_light_or_dark(show, keep, axe, scene):
    page = show(scene)
    page.evaluate(axe + "; 0")
    found = {}

    for width in (360, 1440):
        for scheme in ("light", "dark"):
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

    for width in (320, 360, 390, 719, 720, 1023, 1024, 1440, 1920):
        page.look_like(width)
        if wide := page.evaluate(SIDEWAYS):
            found[width] = wide

    assert found == {}
    assert [line for line in page.complaints() if not line.startswith("Failed to load resource: the server responded with a status of 4")] == []


def test_every_page_and_every_form_of_the_routes_has_a_scene():
    missing = [route for route in scenes.routes() if route[2] != "REPLY" and not any(scenes.shows(scene, route) for scene in scenes.SCENES)]

    assert missing == []


def test_links_are_large_enough_to_hit(browse):
    assert browse("/", 360).evaluate(TARGETS) == []


def test_the_first_tab_offers_to_skip_to_the_content(browse):
    page = browse("/")

    page.press("Tab")
    focused = page.evaluate("document.activeElement.textContent")
    shown = page.evaluate("document.activeElement.getBoundingClientRect().top >= 0")
    page.press("Tab")

    assert focused == "Skip to content"
    assert shown
    assert page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "2px"


def test_a_page_says_the_same_without_script(browse, chromium):
    paths = ("/", "/apps/invoice-api", "/apps/parcel-tracker/releases/10")
    text = {path: browse(path).evaluate("document.querySelector('main').innerText") for path in paths}

    chromium.call("Emulation.setScriptExecutionDisabled", value=True)
    try:
        without = {path: browse(path).evaluate("document.querySelector('main').innerText") for path in paths}
    finally:
        chromium.call("Emulation.setScriptExecutionDisabled", value=False)

    assert {path: len(lines) for path, lines in without.items()} == {path: pytest.approx(len(lines), abs=20) for path, lines in text.items()}


def test_a_times_full_form_stands_behind_it(browse):
    title = browse("/apps/parcel-tracker/releases/10").evaluate("document.querySelector('main time').title")

    assert str(time.gmtime().tm_year) in title


def test_the_page_follows_what_is_on_its_way(browse, pages):
    page = browse("/apps/docs/releases/10")
    assert "Queued" in page.evaluate("document.querySelector('main').innerText")

    pages.postgres.sql("UPDATE berth.releases SET state = 'running', step = 'build' WHERE app_name = 'docs' AND number = 10")
    until = time.monotonic() + 10
    while "Building" not in page.evaluate("document.querySelector('main').innerText") and time.monotonic() < until:
        time.sleep(0.2)

    try:
        assert "Building" in page.evaluate("document.querySelector('main').innerText")
        assert page.complaints() == []
    finally:
        pages.postgres.sql("UPDATE berth.releases SET state = 'queued', step = 'source' WHERE app_name = 'docs' AND number = 10")


def test_on_paper_only_what_can_be_read_there_is_left(browse):
    page = browse("/apps/parcel-tracker", 800, "dark", "print")

    shown = page.evaluate("[...document.querySelectorAll('.bar nav, .skip, .moves, h1, .mark')].filter((e) => getComputedStyle(e).display !== 'none')"
                          ".map((e) => e.className || e.tagName)")
    assert "H1" in shown and any("mark" in name for name in shown)
    assert "skip" not in shown and "NAV" not in shown
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.look_like(1440)


def test_a_script_in_a_commits_title_does_not_run(browse, pages):
    pages.postgres.sql("UPDATE berth.releases SET commit_title = '<script>alert(1)</script><img src=x onerror=alert(2)>', pushed_by = '\"><svg onload=alert(3)>' "
                       "WHERE app_name = 'pricing' AND number = 10")

    for path in ("/", "/apps/pricing", "/apps/pricing/releases/10"):
        page = browse(path)
        assert "<script>alert(1)</script>" in page.evaluate("document.querySelector('main').innerText")
        assert page.evaluate("document.querySelectorAll('main script, main img, main svg').length") == 0
        assert page.complaints() == []
