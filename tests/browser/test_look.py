"""The pages in a real browser: wide and narrow, light and dark, by keyboard, on paper, without script."""

import time

import pytest

from browser.scenes import scene

# How many marks there are, and those that are drawn in nothing but the ground's colour.
MARKS = """
(() => {
  const ground = getComputedStyle(document.documentElement).backgroundColor, none = "rgba(0, 0, 0, 0)";
  const marks = [...document.querySelectorAll("main .mark")].filter((e) => e.offsetParent && getComputedStyle(e, "::before").content !== "none");
  const seen = (s) => (s.backgroundColor !== none && s.backgroundColor !== ground && s.backgroundColor !== "rgb(255, 255, 255)") || s.backgroundImage !== "none" || s.borderTopWidth !== "0px";
  return [marks.length, marks.filter((e) => !seen(getComputedStyle(e, "::before"))).map((e) => e.className + ": " + e.textContent)];
})()
"""
TARGETS = """
[...document.querySelectorAll("main a, header a")].filter((a) => a.offsetParent && !a.closest("p, .second, .crumbs, .legend, td.release, .sentence, dd"))
  .map((a) => [a.textContent.trim().slice(0, 30), a.getBoundingClientRect()]).filter(([, r]) => r.height < 18).map(([t, r]) => t + " " + r.height)
"""


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


# Without what the script adds: its own buttons and remarks.
WORDS = "document.querySelectorAll('main .added').forEach((e) => e.remove()); document.querySelector('main').innerText"


def test_a_page_says_the_same_without_script(browse, chromium):
    paths = ("/", "/apps/invoice-api", "/apps/parcel-tracker/releases/10")
    text = {path: browse(path).evaluate(WORDS) for path in paths}

    chromium.run_scripts(False)
    try:
        without = {path: browse(path).evaluate(WORDS) for path in paths}
    finally:
        chromium.run_scripts(True)

    assert {path: len(words) for path, words in without.items()} == {path: pytest.approx(len(words), abs=20) for path, words in text.items()}


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


@pytest.mark.parametrize("name", ["overview", "app-failed", "app-limits-wrong", "deliveries", "doctor"])
def test_on_paper_and_in_forced_colours_every_mark_is_still_drawn(show, keep, name):
    page = show(scene(name))

    for kind, media, forced in (("print", "print", False), ("forced", "", True)):
        page.look_like(1024, "light", media, forced)
        marks, unseen = page.evaluate(MARKS)
        keep(name, 1024, kind, page.picture(1024))
        assert marks > 0 and unseen == []
    page.look_like(1440)


def test_a_script_in_a_commits_title_does_not_run(browse, pages):
    pages.postgres.sql("UPDATE berth.releases SET commit_title = '<script>alert(1)</script><img src=x onerror=alert(2)>', pushed_by = '\"><svg onload=alert(3)>' "
                       "WHERE app_name = 'pricing' AND number = 10")

    try:
        for path in ("/", "/apps/pricing", "/apps/pricing/releases/10"):
            page = browse(path)
            assert "<script>alert(1)</script>" in page.evaluate("document.querySelector('main').innerText")
            assert page.evaluate("document.querySelectorAll('main script, main img, main svg').length") == 0
            assert page.complaints() == []
    finally:
        pages.postgres.sql("UPDATE berth.releases SET commit_title = 'Read rates at start, then hourly', pushed_by = 'teo' WHERE app_name = 'pricing' AND number = 10")
