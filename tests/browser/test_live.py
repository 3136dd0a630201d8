"""What the script adds, in a real browser: pages that follow what happens, logs that grow, the reader's own zone, keys. And what is there without it."""

import json
import os
import pathlib
import re
import time

import pytest

from support.live import LivePages
from support.parts import wait_until

ERROR = "The build stopped in BUILD: npm error Missing: bwip-js@4.5.1 from lock file (exit code: 1)"
FAILED_LOG = [f"#7 {i / 10:.1f} unpacking {i}" for i in range(1, 441)] + [
    "[Container] 2026/06/15 14:23:31 Entering phase BUILD", "#7 44.1 npm error Missing: bwip-js@4.5.1 from lock file",
    "#7 ERROR: exit code: 1", "[Container] 2026/06/15 14:23:40 Phase complete: BUILD State: FAILED"]

NUMBERS = "[...document.querySelectorAll('#log-lines .line')].map((line) => Number(line.id.slice(1)))"
TEXTS = "[...document.querySelectorAll('#log-lines bdi')].map((text) => text.textContent)"
TEXT = "document.querySelector('main').innerText"
# Counts tasks of the page that kept it from answering for longer than 50 ms, and the longest.
LONG_TASKS = """
window.longTasks = [];
new PerformanceObserver((list) => window.longTasks.push(...list.getEntries().map((task) => task.duration))).observe({type: "longtask", buffered: true}); 0
"""


@pytest.fixture(scope="module")
def live():
    made = LivePages()
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.end()


@pytest.fixture
def browse(live, chromium):
    chromium.call("Emulation.setFocusEmulationEnabled", enabled=True)

    def open_page(path, width=1280):
        chromium.look_like(width)
        chromium.open(live.url + path, live.sign_in("operator"))
        return chromium
    yield open_page
    chromium.run_scripts(True)
    chromium.call("Emulation.setTimezoneOverride", timezoneId="")


@pytest.fixture
def failed(live):
    app = live.make_app(live=2)
    path = live.begin_build(app, 3)
    live.write_log(app, 3, FAILED_LOG)
    live.fail(app, 3, ERROR)
    return path


def until(page, script, wanted=True, limit_s=30):
    """Waits for the script's value in the page."""
    last = [None]

    def question():
        last[:] = [page.evaluate(script)]
        return last[0] == wanted
    try:
        wait_until(question, limit_s)
    except AssertionError:
        raise AssertionError(f"{script} is {last[0]!r}, not {wanted!r}; console: {page.complaints()}") from None


def answers(page, path):
    """Statuses of what the page's script has asked for under that path since it was opened."""
    return [event["params"]["response"]["status"] for event in page.events if event["method"] == "Network.responseReceived"
            and event["params"]["type"] == "Fetch" and re.search(path + r"(\?|$)", event["params"]["response"]["url"])]


# ---- A log that grows ----

def test_thousands_of_lines_arrive_in_order_without_a_repeat_and_the_end_stays_in_sight(live, browse):
    app = live.make_app()
    path = live.begin_build(app, 2)
    lines = [f"#9 {i / 100:.2f} step {i} of very many, with words as long as a build's are" for i in range(1, 5601)]
    live.write_log(app, 2, lines[:20])
    page = browse(path + "/log")
    until(page, NUMBERS + ".length", 20)
    page.evaluate(LONG_TASKS)

    for begin in range(20, 5600, 930):
        live.write_log(app, 2, lines[begin:begin + 930])
        time.sleep(0.7)
    until(page, NUMBERS + ".at(-1)", 5600, 60)

    numbers, texts = page.evaluate(NUMBERS), page.evaluate(TEXTS)
    assert numbers == list(range(numbers[0], 5601))
    assert texts == lines[numbers[0] - 1:]
    assert len(numbers) <= 5000, "the page would grow without bound"
    assert page.evaluate("document.scrollingElement.scrollHeight - scrollY - innerHeight") < 40
    assert page.evaluate("document.getElementById('log-told').textContent") == f"Lines {numbers[0]:,} to 5,600 so far"
    assert page.complaints() == []
    tasks = page.evaluate("window.longTasks")
    print(f"5,600 lines: {len(tasks)} tasks over 50 ms, the longest {max(tasks, default=0):.0f} ms")


def test_a_reader_who_scrolled_up_stays_where_they_are_until_they_follow_again(live, browse):
    app = live.make_app()
    path = live.begin_build(app, 2)
    live.write_log(app, 2, [f"line {i}" for i in range(1, 1201)])
    page = browse(path + "/log")
    until(page, NUMBERS + ".length", 1200)
    page.evaluate("document.getElementById('L300').scrollIntoView(); 0")
    until(page, "document.getElementById('follow').getAttribute('aria-pressed')", "false")
    seen = page.evaluate("document.getElementById('L300').getBoundingClientRect().top")

    live.write_log(app, 2, [f"line {i}" for i in range(1201, 2001)])
    until(page, NUMBERS + ".length", 2000)

    assert page.evaluate("document.getElementById('L300').getBoundingClientRect().top") == pytest.approx(seen, abs=1)
    page.press("f")
    until(page, "document.getElementById('follow').getAttribute('aria-pressed')", "true")
    until(page, "Math.round(document.scrollingElement.scrollHeight - scrollY - innerHeight) < 40")
    live.write_log(app, 2, ["the last line"])
    until(page, TEXTS + ".at(-1)", "the last line")
    until(page, "document.getElementById('L2001').getBoundingClientRect().bottom <= innerHeight")


def test_a_reader_above_a_full_page_keeps_its_lines_and_the_rest_waits_for_them(live, browse):
    app = live.make_app()
    path = live.begin_build(app, 2)
    live.write_log(app, 2, [f"line {i}" for i in range(1, 7001)])
    page = browse(path + "/log")
    page.evaluate("scrollTo(0, 0); 0")

    until(page, NUMBERS + ".length >= 5000", limit_s=60)
    time.sleep(2)

    numbers = page.evaluate(NUMBERS)
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) < 7000
    page.evaluate("document.getElementById('follow').click()")
    until(page, NUMBERS + ".at(-1)", 7000, 60)
    assert len(page.evaluate(NUMBERS)) <= 5000


def test_a_releases_page_shows_its_log_as_it_is_written_and_ends_when_the_build_has(live, browse):
    app = live.make_app()
    path = live.begin_build(app, 2)
    page = browse(path)
    until(page, "document.getElementById('log-note').textContent", "The build has not written anything yet.")

    live.write_log(app, 2, FAILED_LOG)
    until(page, NUMBERS + ".length", len(FAILED_LOG))
    assert page.evaluate("document.getElementById('log-note').textContent.trim()") == ""
    live.fail(app, 2, ERROR)
    until(page, "document.querySelector('.title .mark').textContent", "Failed at build")

    assert "npm error Missing" in page.evaluate("document.querySelector('.failure .sentence').innerText")
    assert page.evaluate(NUMBERS) == list(range(1, len(FAILED_LOG) + 1))
    until(page, "document.getElementById('follow').hidden", limit_s=60)
    assert page.complaints() == []


def test_a_release_that_is_built_anew_shows_the_new_builds_log(live, browse):
    app = live.make_app()
    path = live.begin_build(app, 2)
    live.write_log(app, 2, [f"first {i}" for i in range(30)])
    page = browse(path + "/log")
    until(page, NUMBERS + ".length", 30)

    live.write_log(app, 99, [f"second {i}" for i in range(5)])
    live.postgres.sql(f"UPDATE berth.releases SET build_id = 'berth-{app}:{live.build_of(app, 99)}', build_attempt = 2 WHERE app_name = '{app}' AND number = 2")

    until(page, TEXTS, [f"second {i}" for i in range(5)])
    assert page.evaluate(NUMBERS) == [1, 2, 3, 4, 5]


def test_a_log_that_cannot_be_read_says_so_and_goes_on_when_it_can(live, browse):
    app = live.make_app()
    path = live.begin_build(app, 2)
    live.write_log(app, 2, ["one"])
    page = browse(path)
    until(page, TEXTS, ["one"])

    live.stand_in.control("faults", {"rules": [{"service": "logs", "operation": "GetLogEvents", "match": f"/berth/{app}", "kind": "access-denied", "count": 3}]})
    try:
        live.write_log(app, 2, ["two"])
        until(page, "document.getElementById('log-note').innerText.includes('The log can')", limit_s=40)
    finally:
        live.stand_in.control("faults", method="DELETE")

    until(page, TEXTS, ["one", "two"], 40)
    until(page, "document.getElementById('log-note').textContent.trim()", "", 40)


def test_a_strangers_lines_are_text(live, browse):
    app = live.make_app()
    path = live.begin_build(app, 2)
    hostile = ['<script>alert(1)</script>', '"><img src=x onerror=alert(2)>', "</bdi></span></code></pre><h1>berth</h1>", "&lt;b&gt; &amp;", "\u202eright to left",
               "javascript:alert(3)", "x" * 5000, "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"]
    live.write_log(app, 2, ["begin"])
    page = browse(path)
    until(page, TEXTS, ["begin"])

    live.write_log(app, 2, hostile)
    until(page, NUMBERS + ".length", 1 + len(hostile))
    grown = page.evaluate(TEXTS)
    loaded = browse(path + "/log").evaluate(TEXTS)

    assert grown == loaded
    assert grown[1:5] == hostile[:4]
    assert len(grown[7]) <= 2048
    assert "wJalrXUtnFEMI" not in "".join(grown)
    assert page.evaluate("document.querySelectorAll('main script, main img, main pre h1').length") == 0
    assert page.complaints() == []


# ---- A page that follows ----

def test_what_was_typed_the_focus_and_the_scroll_stay_while_the_page_follows(live, browse):
    app = live.make_app(live=30)
    live.begin_build(app, 31)
    page = browse(f"/apps/{app}")
    until(page, "document.querySelector('.title .mark').textContent", "Building v31")
    page.evaluate("document.getElementById('branch').focus(); 0")
    page.write("wip")
    page.evaluate("window.kept = document.getElementById('branch'); document.activeElement.blur(); scrollTo(0, 500); 0")

    live.postgres.sql(f"UPDATE berth.releases SET step = 'rollout' WHERE app_name = '{app}' AND number = 31")
    until(page, "document.querySelector('.title .mark').textContent", "Rolling out v31")

    assert page.evaluate("kept.isConnected && kept.value") == "wip"
    assert page.evaluate("scrollY") == 500
    assert page.complaints() == []


def test_nothing_moves_under_who_types_and_the_page_catches_up_afterwards(live, browse):
    app = live.make_app()
    live.begin_build(app, 2)
    page = browse(f"/apps/{app}")
    until(page, "document.querySelector('.title .mark').textContent", "Building v2")
    page.evaluate("document.getElementById('confirm').focus(); 0")

    live.postgres.sql(f"UPDATE berth.releases SET step = 'rollout' WHERE app_name = '{app}' AND number = 2")
    time.sleep(4)
    assert page.evaluate("document.querySelector('.title .mark').textContent") == "Building v2"
    page.evaluate("document.activeElement.blur(); 0")

    until(page, "document.querySelector('.title .mark').textContent", "Rolling out v2")


def test_a_link_keeps_the_focus_when_rows_come_before_it(live, browse):
    app = live.make_app(live=3)
    page = browse(f"/apps/{app}")
    page.evaluate("document.querySelector('.releases a[href$=\"/releases/2\"]').focus(); 0")

    live.begin_build(app, 4)
    until(page, "document.querySelector('.releases tbody a').textContent", "v4", 40)

    assert page.evaluate("document.activeElement.textContent") == "v2"


def test_a_page_that_has_not_changed_costs_a_304(live, browse):
    app = live.make_app()
    path = live.begin_build(app, 2)
    for followed in (path, f"/apps/{app}", "/"):
        page = browse(followed)

        def statuses():
            page.evaluate("0")
            return answers(page, followed)
        wait_until(lambda: len(statuses()) >= 3, 40, f"three looks at {followed}")

        assert statuses()[0] == 200
        assert set(statuses()[1:]) == {304}


def test_a_log_that_does_not_grow_costs_a_304(live, browse):
    app = live.make_app()
    path = live.begin_build(app, 2)
    live.write_log(app, 2, ["one"])
    page = browse(path + "/log")
    until(page, TEXTS, ["one"])

    def statuses():
        page.evaluate("0")
        return answers(page, path + "/log.json")
    wait_until(lambda: statuses()[-2:] == [304, 304], 30, "the second 304")


def test_only_the_state_is_announced(live, browse):
    app = live.make_app()
    page = browse(live.begin_build(app, 2))

    assert page.evaluate("[...document.querySelectorAll('[aria-live], [role=log], [role=status], [role=alert]')].map((e) => e.id || e.textContent)") == ["Building", "live-state"]


def test_a_server_that_went_away_is_told_and_the_page_goes_on_when_it_is_back(live, browse):
    app = live.make_app()
    page = browse(live.begin_build(app, 2))
    until(page, "document.querySelector('.moves .added') !== null")

    page.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=-1, uploadThroughput=-1)
    try:
        until(page, "document.getElementById('live-state').textContent.startsWith('berth does not answer')", limit_s=40)
    finally:
        page.call("Network.emulateNetworkConditions", offline=False, latency=0, downloadThroughput=-1, uploadThroughput=-1)

    until(page, "document.getElementById('live-state').textContent", "", 60)


# ---- Times ----

def test_times_are_in_the_readers_zone_and_the_foot_says_which(live, browse, chromium):
    app = live.make_app()
    path = live.begin_build(app, 2)
    live.postgres.sql(f"UPDATE berth.release_events SET at = '2026-06-15T22:30:05Z' WHERE app_name = '{app}'")
    live.postgres.sql(f"UPDATE berth.apps SET created_at = '2026-03-01T23:30:00Z' WHERE app_name = '{app}'")
    chromium.call("Emulation.setTimezoneOverride", timezoneId="Asia/Tokyo")

    page = browse(path)
    assert page.evaluate("document.querySelector('.timeline time').textContent") == "07:30:05"
    assert "16" in page.evaluate("document.querySelector('.timeline time').title")
    assert "Times in Asia/Tokyo" in page.evaluate("document.querySelector('footer').innerText")
    assert "2 March" in browse(f"/apps/{app}").evaluate("document.querySelector('dl.line').innerText")


def test_the_time_of_the_next_look_at_a_branch_is_in_the_readers_zone_too(live, browse, chromium):
    app = live.make_app()
    live.postgres.sql(f"""
        INSERT INTO berth.deliveries (app_name, delivery_id, event, outcome, reason, body_sha256, branch, commit_sha)
            VALUES ('{app}', '{app}-limited', 'push', 'limited', 'pushes come too fast', sha256('x'), 'main', repeat('a', 40));
        INSERT INTO berth.looks (app_name, reason, owed_at, run_after) VALUES ('{app}', 'limited', now(), '2036-06-15T22:05:11Z')
    """)
    chromium.call("Emulation.setTimezoneOverride", timezoneId="Asia/Tokyo")

    for path in (f"/deliveries?app={app}", f"/apps/{app}/deliveries/{app}-limited"):
        told = browse(path).evaluate("document.querySelector('#content').innerText.replace(/\\s+/g, ' ')")
        assert "pushes come too fast; main is looked at again at 07:05:11." in told, told


def test_a_step_that_is_under_way_counts_on(live, browse):
    app = live.make_app()
    page = browse(live.begin_build(app, 2))

    until(page, "/^\\d+ s$/.test(document.querySelector('.strip time.took').textContent)")
    first = page.evaluate("document.querySelector('.strip time.took').textContent")
    until(page, f"document.querySelector('.strip time.took').textContent !== {first!r}")


# ---- Why it failed ----

def test_a_failure_links_to_the_line_that_says_why(failed, browse):
    page = browse(failed)
    until(page, NUMBERS + ".length", 200)

    assert page.evaluate("document.querySelector('.hint a').textContent") == "Line 442 of the log"
    assert page.evaluate("[...document.querySelectorAll('.line.bad')].map((line) => line.id)") == ["L442", "L443"]
    assert "says why" in page.evaluate("document.getElementById('L442').textContent")
    box, line = page.evaluate("[document.querySelector('.log'), document.getElementById('L442')].map((e) => [e.getBoundingClientRect().top, e.getBoundingClientRect().bottom])")
    assert box[0] <= line[0] and line[1] <= box[1], "the line is not in the part of the log that is seen"
    page.evaluate("document.querySelector('.hint a').click()")
    until(page, "document.querySelector(':target').id", "L442")
    until(page, "document.getElementById('L442').getBoundingClientRect().top > 0 && document.getElementById('L442').getBoundingClientRect().bottom < innerHeight")


def test_a_releases_page_tells_what_changed_and_offers_to_make_it_again(live, failed, browse):
    text = browse(failed).evaluate(TEXT)

    assert "v2 is still live. Visitors saw nothing." in text
    assert "CPU units 512, was 256" in text
    assert "Redeploy v3" in text
    assert browse(failed).evaluate("document.querySelector('a[href*=compare]').href") == f"https://github.com/acme/shop/compare/{'2'.zfill(40)}...6b1e0d4{'0' * 33}"


def test_the_log_is_read_page_by_page_without_script(live, failed, browse, chromium):
    chromium.run_scripts(False)

    page = browse(failed)
    assert "Line 442 of the log" in page.evaluate(TEXT)
    box, line = page.evaluate("[document.querySelector('.log'), document.getElementById('L444')].map((e) => e.getBoundingClientRect().bottom)")
    assert line <= box + 1, "the end of the log is not what is seen"
    page = browse(failed + "/log")
    assert page.evaluate(NUMBERS) == list(range(1, 401))
    page.next_page(lambda: page.evaluate("document.querySelector('a[rel=next]').click()"))
    assert page.evaluate(NUMBERS) == list(range(401, 445))
    assert page.evaluate(TEXTS) == FAILED_LOG[400:]
    page.next_page(lambda: page.evaluate("document.querySelector('a[rel=prev]').click()"))
    assert page.evaluate(NUMBERS)[0] == 1


# ---- Keys ----

def test_keys_lead_to_the_pages_the_rows_and_the_search(live, browse):
    live.make_app(live=2)
    live.make_app(live=1)
    page = browse("/")

    for place, path in (("d", "/deliveries"), ("l", "/limits"), ("u", "/audit"), ("a", "/")):
        page.press("g")
        page.next_page(lambda key=place: page.press(key))
        assert page.evaluate("location.pathname") == path
    page.press("j")
    first = page.evaluate("document.activeElement.textContent")
    page.press("j")
    assert page.evaluate("document.activeElement.closest('tr').rowIndex") == 2
    page.press("k")
    assert page.evaluate("document.activeElement.textContent") == first
    page.press("/")
    assert page.evaluate("document.activeElement.id") == "search"
    page.press("j")
    assert page.evaluate("document.activeElement.value") == "j"
    page.evaluate("document.activeElement.blur(); 0")
    page.press("j")
    page.next_page(lambda: page.press("Enter"))
    assert page.evaluate("location.pathname") == f"/apps/{first}"


def test_brackets_turn_the_pages_of_a_list(failed, browse):
    page = browse(failed + "/log")

    page.next_page(lambda: page.press("]"))
    assert "from=401" in page.evaluate("location.search")
    page.next_page(lambda: page.press("["))
    assert "from=1" in page.evaluate("location.search")


def test_a_question_mark_lists_the_keys_and_escape_leads_back(browse):
    page = browse("/")

    page.press("?")
    assert "follow the log" in page.evaluate("document.querySelector('dialog').innerText")
    page.press("g")
    page.press("d")
    assert page.evaluate("location.pathname") == "/"
    page.press("Escape")

    until(page, "document.querySelector('dialog') === null")


def test_keys_are_switched_off_at_the_foot_and_stay_so(browse):
    page = browse("/")
    page.evaluate("document.querySelector('.switch input').click(); 0")
    try:
        page = browse("/deliveries")

        page.press("?")
        page.press("g")
        page.press("a")
        time.sleep(0.5)

        assert page.evaluate("document.querySelector('dialog')") is None
        assert page.evaluate("location.pathname") == "/deliveries"
    finally:
        page.evaluate("localStorage.clear(); 0")


def test_what_a_machine_made_is_copied_by_a_button(live, failed, browse, chromium):
    chromium.call("Browser.grantPermissions", origin=live.url, permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])
    page = browse(failed)

    page.evaluate("document.querySelector('dd.copy .copier').click(); 0")
    until(page, "document.querySelector('dd.copy .copier').textContent", "Copied")

    assert page.evaluate("navigator.clipboard.readText()") == "6b1e0d4" + "0" * 33
    assert page.evaluate("document.querySelector('dd.copy .copier').getAttribute('aria-label')") == "Copy 6b1e0d4" + "0" * 33


# ---- As any other page ----

AXE = "axe.run(document, {resultTypes: ['violations']}).then((r) => JSON.stringify(r.violations.map((v) => [v.id, v.help, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200))])))"
WIDE = "document.documentElement.scrollWidth > innerWidth ? [...document.querySelectorAll('body *')].filter((e) => e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.tagName + '.' + e.className).slice(0, 5) : []"


@pytest.mark.parametrize("where", ["", "/log"])
def test_axe_finds_nothing_and_nothing_scrolls_sideways(failed, browse, where):
    script = pathlib.Path(os.environ["BERTH_AXE"]).read_text(encoding="utf-8")
    page = browse(failed + where)
    until(page, NUMBERS + ".length > 100")
    page.press("?")
    page.evaluate(script + "; 0")

    for width in (320, 360, 720, 1024, 1440):
        for scheme in ("light", "dark"):
            page.look_like(width, scheme)
            assert json.loads(page.evaluate(AXE)) == [], (width, scheme)
            assert page.evaluate(WIDE) == [], width
