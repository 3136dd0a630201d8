"""An app's page behind lighttpd, its forms sent as a browser without script sends them."""

import hashlib
import hmac
import html
import http.client
import re
import time
import urllib.parse

import pytest

from support import fleet
from support.pages import Answer, Pages

APP = "pricing"
SETTINGS = ("size", "tasks", "port", "health_check_path", "branch", "path_filter")


@pytest.fixture(scope="module")
def pages():
    made = Pages()
    try:
        fleet.seed(made.postgres)
        made.postgres.sql("UPDATE berth.releases SET cpu_units = 256, memory_mib = 512, tasks = 1; UPDATE berth.deployments SET release = release;")
        made.wait_until_ready()
        yield made
    finally:
        made.end()


def form_of(page, action):
    """The fields of the form with that action, as they are filled in."""
    form = re.search(rf'<form[^>]* action="{action}".*?</form>', page, re.S).group(0)
    fields = {}
    for tag in re.findall(r"<input[^>]*>", form):
        name = re.search(r' name="([^"]*)"', tag).group(1)
        fields[name] = html.unescape(re.search(r' value="([^"]*)"', tag).group(1))
    for name, inside in re.findall(r'<select[^>]* name="([^"]*)"[^>]*>(.*?)</select>', form, re.S):
        fields[name] = re.search(r'<option value="([^"]*)" selected', inside).group(1)
    return fields


def send(pages, path, fields):
    connection = http.client.HTTPConnection("127.0.0.1", pages.port, timeout=30)
    try:
        connection.request("POST", path, urllib.parse.urlencode(fields),
                           {"Authorization": pages.sign_in("operator"), "Content-Type": "application/x-www-form-urlencoded", "Sec-Fetch-Site": "same-origin"})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def submit(pages, what, app=APP, page=None, **changes):
    path = f"/apps/{app}/{what}"
    return send(pages, path, {**form_of(page or pages.ask(f"/apps/{app}").text, path), **changes})


def expired_token(pages, form, user="operator"):
    """As the header of csrf tells it, made here once more."""
    key = bytes.fromhex(pages.postgres.one("SELECT encode(key, 'hex') FROM berth.admin_keys"))
    ended = int(time.time() * 1000) - 1
    return f"{ended}.{hmac.new(key, f'{len(user)}:{user} {len(form)}:{form} {ended}'.encode(), hashlib.sha256).hexdigest()}"


def stored(pages, column, app=APP):
    return pages.postgres.one(f"SELECT {column} FROM berth.apps WHERE app_name = '{app}'")


def test_settings_are_saved_with_an_audit_row_and_the_page_says_so(pages):
    answer = submit(pages, "settings", size="512/1024", tasks="2", path_filter=" src/**  Dockerfile ", do="save")

    assert answer.status == 303, answer.text
    assert answer.headers["Location"] == f"/apps/{APP}?done=saved"
    assert stored(pages, "cpu_units || '/' || memory_mib || '/' || tasks || '/' || path_filter") == "512/1024/2/src/** Dockerfile"
    assert pages.postgres.one(f"SELECT actor || ' ' || action FROM berth.audit_log WHERE app_name = '{APP}' ORDER BY id DESC LIMIT 1") == "operator app.update"
    page = pages.ask(answer.headers["Location"]).text
    assert "The settings are saved" in page
    assert form_of(page, f"/apps/{APP}/settings")["size"] == "512/1024"
    assert "1,280 of 16,384 CPU units" in page  # a rollout's two tasks of 512 beside the live one of 256


def test_a_tab_that_was_pasted_is_white_space_and_other_control_characters_are_refused(pages):
    typed = {"tasks": "\tmany\t", "path_filter": "src/**\tDockerfile", "branch": "main"}

    kept = submit(pages, "settings", do="save", **typed)
    saved = submit(pages, "settings", tasks="\t3 ", path_filter="src/**\tDockerfile\t", do="save")
    refused = submit(pages, "settings", tasks="3\v", do="save")

    assert kept.status == 422 and "A field needs another value" in kept.text
    assert form_of(kept.text, f"/apps/{APP}/settings")["path_filter"] == "src/** Dockerfile"
    assert saved.status == 303, saved.text
    assert stored(pages, "tasks || '/' || path_filter") == "3/src/** Dockerfile"
    assert refused.status == 400
    submit(pages, "settings", tasks="2", do="save")


def test_a_save_without_a_change_writes_nothing(pages):
    before = pages.postgres.one("SELECT count(*) FROM berth.audit_log")

    answer = submit(pages, "settings", do="save")

    assert answer.headers["Location"] == f"/apps/{APP}?done=same"
    assert pages.postgres.one("SELECT count(*) FROM berth.audit_log") == before


def test_every_wrong_field_is_told_at_once_and_all_that_was_typed_is_kept(pages):
    typed = {"size": "512/1024", "tasks": "many", "port": "0", "health_check_path": "healthz", "branch": "a..b", "path_filter": "src/**"}

    answer = submit(pages, "settings", do="save", **typed)

    assert answer.status == 422
    assert answer.text.count('aria-invalid="true"') == 4
    assert {name: form_of(answer.text, f"/apps/{APP}/settings")[name] for name in SETTINGS} == typed
    assert "4 fields need another value" in answer.text
    assert stored(pages, "branch") == "main"


def test_a_size_that_fargate_does_not_run_is_refused_beside_its_field(pages):
    answer = submit(pages, "settings", size="256/8192", do="save")

    assert answer.status == 422
    assert "Fargate has no task of 256 CPU units with 8192 MiB" in answer.text
    assert "the nearest is 2048 MiB" in answer.text


def test_a_wrong_health_check_path_is_told_beside_its_own_field(pages):
    answer = submit(pages, "settings", size="1024/8192", health_check_path="/up and well", do="save")

    assert answer.status == 422
    assert answer.text.count('aria-invalid="true"') == 1
    told = re.search(r'id="error-health_check_path">(.*?)</p>', answer.text, re.S).group(1)
    assert "has no spaces" in told


def test_a_size_that_a_quota_has_no_room_for_is_refused_with_the_numbers(pages):
    answer = submit(pages, "settings", size="16384/32768", tasks="3", do="save")

    assert answer.status == 409
    assert "16,384" in answer.text
    assert "berth quota set pricing" in answer.text
    assert form_of(answer.text, f"/apps/{APP}/settings")["tasks"] == "3"


def test_the_second_of_two_operators_sees_what_the_first_changed_and_loses_nothing(pages):
    opened = pages.ask(f"/apps/{APP}").text
    was = stored(pages, "port")
    pages.postgres.sql(f"UPDATE berth.apps SET port = 9000 WHERE app_name = '{APP}'; "
                       f"INSERT INTO berth.audit_log (actor, action, app_name, after) VALUES ('ines', 'app.update', '{APP}', '{{\"port\": 9000}}')")

    answer = submit(pages, "settings", page=opened, port="9100", health_check_path="/up", do="save")
    again = form_of(answer.text, f"/apps/{APP}/settings")

    assert answer.status == 409
    assert "Changed while you were here" in answer.text
    assert f"<bdi>{was}</bdi> became <b><bdi>9000</bdi></b><span>, by @<bdi>ines</bdi>" in answer.text
    assert stored(pages, "port") == "9000"
    assert (again["port"], again["was.port"], again["health_check_path"]) == ("9100", "9000", "/up")
    assert send(pages, f"/apps/{APP}/settings", {**again, "do": "save"}).status == 303
    assert stored(pages, "port || health_check_path") == "9100/up"


def test_what_another_operator_changed_stays_when_this_one_left_it_alone(pages):
    opened = pages.ask(f"/apps/{APP}").text
    pages.postgres.sql(f"UPDATE berth.apps SET port = 9200 WHERE app_name = '{APP}'")

    answer = submit(pages, "settings", page=opened, health_check_path="/ready", do="save")

    assert answer.status == 303
    assert stored(pages, "port || health_check_path") == "9200/ready"


def saved_by_another(pages, actor="ines", **values):
    for column, value in values.items():
        pages.postgres.sql(f"UPDATE berth.apps SET {column} = '{value}' WHERE app_name = '{APP}'; "
                           f"INSERT INTO berth.audit_log (actor, action, app_name, after) VALUES ('{actor}', 'app.update', '{APP}', jsonb_build_object('{column}', '{value}'))")


def test_a_size_was_changed_by_whoever_changed_one_of_its_two_last(pages):
    pages.postgres.sql(f"UPDATE berth.apps SET cpu_units = 256, memory_mib = 512, tasks = 1 WHERE app_name = '{APP}'")
    saved_by_another(pages, cpu_units=256)
    opened = pages.ask(f"/apps/{APP}").text
    saved_by_another(pages, "mara", memory_mib=1024)

    answer = submit(pages, "settings", page=opened, size="256/2048", do="save")

    assert answer.status == 409, answer.text
    assert "<bdi>256 CPU units, 512 MiB</bdi> became <b><bdi>256 CPU units, 1,024 MiB</bdi></b><span>, by @<bdi>mara</bdi>" in answer.text


# What a save of the form can be refused for, and what a field then has to be for it to go through.
REFUSALS = {
    "a wrong field": (422, {"port": "80800"}, {}, {"port": "8081"}),
    "somebody was quicker": (409, {"branch": "ours"}, {"branch": "theirs"}, {}),
    "a quota": (409, {"size": "16384/32768"}, {}, {"size": "256/512"}),
    "an old page": (403, {"port": "8082", "csrf": "expired"}, {}, {}),
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_field_that_was_left_alone_is_as_another_saved_it_whatever_else_was_refused(pages, refusal):
    status, written, meanwhile, mended = REFUSALS[refusal]
    pages.postgres.sql(f"UPDATE berth.apps SET tasks = 2, health_check_path = '/old', port = 8080, branch = 'main' WHERE app_name = '{APP}'")
    opened = pages.ask(f"/apps/{APP}").text
    saved_by_another(pages, tasks=3, health_check_path="/theirs", **meanwhile)
    if "csrf" in written:
        written = {**written, "csrf": expired_token(pages, "settings")}

    refused = submit(pages, "settings", page=opened, do="save", **written)
    again = form_of(refused.text, f"/apps/{APP}/settings")

    assert refused.status == status, refused.text
    assert (again["tasks"], again["was.tasks"], again["health_check_path"]) == ("3", "3", "/theirs")
    assert [again[name] for name in written if name != "csrf"] == [text for name, text in written.items() if name != "csrf"]
    told = refused.text[refused.text.index('id="meanwhile"'):refused.text.index("A field that you left alone")]
    assert "<bdi>2</bdi> became <b><bdi>3</bdi></b><span>, by @<bdi>ines</bdi>" in told
    assert told.count("Yours is still") == len(meanwhile)
    assert send(pages, f"/apps/{APP}/settings", {**again, **mended, "do": "save"}).status == 303
    assert stored(pages, "tasks || health_check_path") == "3/theirs"


def test_an_app_is_paused_and_resumed(pages):
    paused = submit(pages, "pause")
    page = pages.ask(paused.headers["Location"]).text

    assert stored(pages, "state") == "paused"
    assert "pricing is paused: it takes no pushes" in page
    assert "Paused by @operator" in page
    assert "action=\"/apps/pricing/pause\"" not in page
    resumed = submit(pages, "resume")
    assert stored(pages, "state") == "active"
    assert "takes pushes again" in pages.ask(resumed.headers["Location"]).text


def test_a_release_is_rolled_back_to_and_the_rollback_cancelled(pages):
    answer = submit(pages, "rollback", app="geo-lookup", release="9")
    page = pages.ask(answer.headers["Location"]).text

    assert "v11 is on its way, with the image of v9" in page
    assert "waits for its turn" in page
    assert 'aria-label="Cancel v11"' in page
    assert '<button class="button" form="form-cancel" name="releases" value="11">Cancel v11</button>' in page
    submit(pages, "cancel", app="geo-lookup", page=page, releases="11")
    assert pages.postgres.one("SELECT state FROM berth.releases WHERE app_name = 'geo-lookup' AND number = 11") == "cancelled"


def test_an_app_is_only_destroyed_by_who_writes_its_name(pages):
    refused = submit(pages, "destroy", app="status-page", confirm="status_page")
    assert refused.status == 422
    assert 'value="status_page"' in refused.text
    assert stored(pages, "state", "status-page") == "active"

    answer = submit(pages, "destroy", app="status-page", confirm="status-page")
    page = pages.ask(answer.headers["Location"]).text

    assert stored(pages, "state", "status-page") == "deleting"
    assert "Being destroyed: begun by @operator" in page
    assert "<button" not in page


def test_older_releases_are_on_further_pages_without_a_gap_or_a_repeat(pages):
    pages.postgres.sql("""
        INSERT INTO berth.releases (app_name, number, kind, state, commit_sha, finished_at)
            SELECT 'chat-bridge', n, 'push', 'failed', repeat('a', 40), now() FROM generate_series(1, 45) n;
        UPDATE berth.apps SET last_release = 45 WHERE app_name = 'chat-bridge'""")
    seen, path = [], "/apps/chat-bridge"
    while path:
        page = pages.ask(path).text
        table = re.search(r'<table class="rows releases".*?</table>', page, re.S).group(0)
        seen.append([int(n) for n in re.findall(r'<a class="strong"[^>]*>v(\d+)<', table)])
        more = re.search(r'<a rel="next" href="([^"#]*)', page)
        path = more and html.unescape(more.group(1))

    assert [len(some) for some in seen] == [20, 20, 5]
    assert sum(seen, []) == list(range(45, 0, -1))


def test_the_overview_is_searched_and_filtered_together(pages):
    page = pages.ask("/?q=QUAYSIDE/m&only=failed").text

    assert re.findall(r'<td role="cell" class="name"><a class="strong" href="([^"]*)"', page) == ["/apps/mail-relay"]
    assert 'value="QUAYSIDE/m"' in page
    assert 'href="/?q=QUAYSIDE%2Fm"' in page
    assert "No app in this condition has &quot;no such&quot;" in pages.ask("/?q=no+such&only=failed").text


def test_deploying_a_public_repository_asks_nothing_of_aws():
    made = Pages({"BERTH_GITHUB_API_URL": "http://127.0.0.1:1", "AWS_REGION": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""})
    try:
        fleet.seed(made.postgres)
        made.wait_until_ready()
        answer = submit(made, "deploy")
    finally:
        made.end()

    assert answer.status == 503
    assert "acme/pricing" in answer.text or "quayside/pricing" in answer.text
    assert "AWS_" not in answer.text
