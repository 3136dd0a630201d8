"""The pages' changes behind lighttpd, as a browser makes them: the form from the page, its token, the redirect and what the page then says."""

import hashlib
import hmac
import html.parser
import http.client
import re
import subprocess
import sys
import time
import urllib.parse

import pytest

from standin import StandIn
from support.pages import Answer, Pages
from support.parts import BUILD, TOP, Process, Responder, wait_until

REPOSITORY = "acme/shop"
TOKEN = "ghp_0123456789abcdef0123456789abcdef0123"


class GitHub:
    """A private repository of two commits; only who has the token sees it."""

    def __init__(self, folder):
        self.root = folder / "github"
        self.bare = self.root / f"{REPOSITORY}.git"
        tool = [sys.executable, str(TOP / "tests" / "github" / "repository.py")]
        subprocess.run([*tool, "create", str(self.root), REPOSITORY], check=True)
        tree = self._git("mktree", given="")
        self.commits = [self._git("commit-tree", tree, "-m", "Begin")]
        self.commits.append(self._git("commit-tree", tree, "-p", self.commits[0], "-m", "Go on"))
        self._git("update-ref", "refs/heads/main", self.commits[1])
        (folder / "github.token").write_text(TOKEN)
        ready = folder / "github.port"
        self.process = Process([sys.executable, str(TOP / "tests" / "github" / "server.py"), "--root", str(self.root), "--ready-file", str(ready),
                                "--token-file", str(folder / "github.token")], folder / "github.log")
        self.process.wait_for(ready.exists, "the GitHub stand-in's port")
        self.url = f"http://127.0.0.1:{ready.read_text().strip()}"

    def _git(self, *words, given=None):
        who = ["-c", "user.name=teo", "-c", "user.email=teo@example.com"]
        done = subprocess.run(["git", "--git-dir", str(self.bare), *who, *words], input=given, capture_output=True, text=True, check=True)
        return done.stdout.strip()


class Forms(html.parser.HTMLParser):
    """{path it is sent to: {field: value}}"""

    def __init__(self, text):
        super().__init__()
        self.found, self._open = {}, None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        if tag == "form" and attrs.get("method") == "post":
            self._open = self.found.setdefault(attrs["action"], {})
        if tag == "input" and self._open is not None and "name" in attrs:
            self._open[attrs["name"]] = attrs.get("value", "")

    def handle_endtag(self, tag):
        if tag == "form":
            self._open = None


class Site(Pages):
    def __init__(self):
        self.stand_in, self.github = StandIn(), None
        super().__init__()

    def _start(self, settings):
        self.stand_in.client("secretsmanager").create_secret(Name="berth/github", SecretString=TOKEN)
        self.github = GitHub(self.folder)
        super()._start({**self.stand_in.environment(), "BERTH_GITHUB_API_URL": self.github.url, "BERTH_GITHUB_TOKEN_SECRET": "berth/github",
                        "BERTH_ADMIN_OPERATORS": "operator"})

    def end(self):
        """The folder goes with what super ends, so whoever logs into it ends before."""
        try:
            if self.github:
                self.github.process.end()
                self.github = None
        finally:
            super().end()
            self.stand_in.stop()

    def token(self, form, user="operator", expires_ms=None):
        """As the header of csrf tells it, made here once more."""
        key = bytes.fromhex(self.postgres.sql("SELECT encode(key, 'hex') FROM berth.admin_keys")[0][0])
        expires_ms = expires_ms or int(time.time() * 1000) + 60_000
        signed = f"{len(user)}:{user} {len(form)}:{form} {expires_ms}"
        return f"{expires_ms}.{hmac.new(key, signed.encode(), hashlib.sha256).hexdigest()}"

    def post(self, path, fields, headers=None, user="operator"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Authorization": self.sign_in(user), "Content-Type": "application/x-www-form-urlencoded", "Origin": self.url, **(headers or {})}
        try:
            connection.request("POST", path, urllib.parse.urlencode(fields), {name: value for name, value in sent.items() if value is not None})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def change(self, app, form, **fields):
        return self.post(f"/apps/{app}/{form}", {"csrf": self.token(form), **fields})

    def restart_responder(self):
        self.responder.end()
        self.responder = Responder(self.folder, self.env, "--admin", build=BUILD)
        wait_until(lambda: self.ask("/").status == 200, what="the restarted responder")

    def newest(self, app):
        row = self.postgres.sql(f"SELECT number, kind, commit_sha, coalesce(rollback_to, 0), state FROM berth.releases WHERE app_name = '{app}' ORDER BY number DESC LIMIT 1")
        return row[0]

    def audited(self, app):
        return [tuple(row) for row in self.postgres.sql(f"SELECT actor, action FROM berth.audit_log WHERE app_name = '{app}' ORDER BY id")]

    def make_app(self, name, live=2):
        """With releases v1 to v<live>, the last of which is live."""
        self.postgres.sql(f"""
            INSERT INTO berth.apps (app_name, repository, webhook_policy, last_release) VALUES ('{name}', '{REPOSITORY}', 'github', {live});
            INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, image_digest, task_definition_arn, finished_at)
                SELECT '{name}', n, 'push', 'live', 'live', repeat('a', 40), 'sha256:' || repeat('0', 64), 'arn', now() FROM generate_series(1, {live}) n;
            INSERT INTO berth.deployments (app_name, release, commit_sha, image_digest, task_definition_arn, host)
                SELECT '{name}', {live}, repeat('a', 40), 'x', 'x', '{name}.apps.example.test' WHERE {live} > 0;
        """)
        return name


@pytest.fixture(scope="module")
def site():
    made = Site()
    try:
        made.wait_until_ready()
        yield made
    finally:
        made.end()


def test_a_rollback_is_made_by_the_form_that_the_page_shows(site):
    app = site.make_app("by-form", live=3)
    form = Forms(site.ask(f"/apps/{app}").text).found[f"/apps/{app}/rollback"]

    answer = site.post(f"/apps/{app}/rollback", {**form, "release": "1"})

    assert answer.status == 303, answer.text
    assert answer.headers["Location"] == f"/apps/{app}?done=rolled-back&v=4&to=1"
    assert "v4 is on its way, with the image of v1" in site.ask(answer.headers["Location"]).text
    assert site.newest(app)[:4] == ["4", "rollback", "a" * 40, "1"]
    assert site.audited(app) == [("operator", "app.rollback")]


def test_a_branchs_head_is_deployed_with_the_token_from_secrets_manager(site):
    app = site.make_app("deployed")

    answer = site.change(app, "deploy")

    assert answer.status == 303, answer.text
    assert site.newest(app)[:3] == ["3", "redeploy", site.github.commits[1]]
    assert site.audited(app) == [("operator", "app.deploy")]
    assert TOKEN not in site.responder.log()


def test_a_named_commit_is_deployed(site):
    app = site.make_app("older")

    answer = site.change(app, "deploy", commit=site.github.commits[0][:9])

    assert answer.status == 303, answer.text
    assert site.newest(app)[2] == site.github.commits[0]


def test_a_commit_that_github_does_not_have_is_said_on_the_page_and_nothing_made(site):
    app = site.make_app("no-commit")

    answer = site.change(app, "deploy", commit="0123456789")

    assert answer.status in (404, 422), answer.text
    assert "0123456789" in answer.text
    assert f"<h1>{app}</h1>" in answer.text
    assert site.newest(app)[0] == "2"
    assert site.audited(app) == []


def settings_of(site, app):
    page = site.ask(f"/apps/{app}").text
    return {**Forms(page).found[f"/apps/{app}/settings"], "size": re.search(r'<option value="([^"]*)" selected', page).group(1)}


def test_what_was_saved_before_a_deploy_was_refused_is_not_told_as_somebody_elses(site):
    app = site.make_app("saved-alone")  # its live commit is none that GitHub has

    answer = site.post(f"/apps/{app}/settings", {**settings_of(site, app), "path_filter": "src/**   !**/*.md", "tasks": "2", "do": "redeploy"})

    assert answer.status in (404, 422), answer.text
    assert "the settings are saved, but nothing was deployed" in answer.text
    assert site.postgres.sql(f"SELECT tasks, path_filter FROM berth.apps WHERE app_name = '{app}'") == [["2", "src/** !**/*.md"]]
    assert "Changed while you were here" not in answer.text
    assert Forms(answer.text).found[f"/apps/{app}/settings"]["tasks"] == "2"


def go_live(site, app, number, commit):
    """As a teammate's push does it while a page is open."""
    site.postgres.sql(f"""
        INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha, image_digest, task_definition_arn, finished_at)
            VALUES ('{app}', {number}, 'push', 'live', 'live', '{commit}', 'sha256:' || repeat('1', 64), 'arn', now());
        UPDATE berth.apps SET last_release = {number} WHERE app_name = '{app}';
        UPDATE berth.deployments SET release = {number}, commit_sha = '{commit}' WHERE app_name = '{app}'""")


def redeploy(site, app, fields, **edits):
    return site.post(f"/apps/{app}/settings", {**fields, **edits, "do": "redeploy"})


def test_save_and_redeploy_deploys_what_is_live_by_then_and_not_what_the_page_knew(site):
    app = site.make_app("redeployed")
    opened = settings_of(site, app)
    go_live(site, app, 3, site.github.commits[1])

    answer = redeploy(site, app, opened, tasks="2", commit=site.github.commits[0])

    assert answer.status == 303, answer.text
    assert answer.headers["Location"] == f"/apps/{app}?done=saved-deployed&v=4"
    assert site.newest(app)[:3] == ["4", "redeploy", site.github.commits[1]]
    assert site.postgres.sql(f"SELECT tasks FROM berth.releases WHERE app_name = '{app}' AND number = 4") == [["2"]]


def test_save_and_redeploy_leaves_a_newer_release_on_its_way_and_says_which_settings_that_has(site):
    app = site.make_app("overtaken")
    go_live(site, app, 3, site.github.commits[0])
    opened = settings_of(site, app)
    assert site.change(app, "deploy").status == 303  # v4, of the branch's head

    first = redeploy(site, app, opened, tasks="2")
    page = site.ask(f"/apps/{app}").text

    assert first.status == 409
    assert "the settings are saved, but nothing was deployed: v4 of overtaken is on its way, with the settings that it was queued with" in first.text
    assert "redeploy v4 once it is live, or cancel it first" in first.text
    assert site.newest(app) == ["4", "redeploy", site.github.commits[1], "0", "queued"]
    assert site.postgres.sql(f"SELECT tasks FROM berth.apps WHERE app_name = '{app}'") == [["2"]]
    assert "waits for its turn" in page

    # A second press of the same button: the first has done it.
    assert site.change(app, "cancel", releases="4").status == 303
    assert redeploy(site, app, settings_of(site, app), tasks="3").status == 303
    again = redeploy(site, app, opened, tasks="3")
    assert again.status == 409
    assert "v5 of overtaken is on its way, with these settings" in again.text
    assert site.newest(app)[0] == "5"


def test_a_release_that_waits_is_cancelled_and_there_is_then_nothing_to_cancel(site):
    app = site.make_app("cancelled")
    assert site.change(app, "deploy").status == 303

    first = site.change(app, "cancel", releases="3")
    second = site.make_app("nothing") and site.change("nothing", "cancel")

    assert first.status == 303
    assert first.headers["Location"] == f"/apps/{app}?done=cancelled&v=3"
    assert site.newest(app)[4] == "cancelled"
    assert second.status == 409
    assert 'role="alert"' in second.text


def cancel_buttons(page):
    """{the label that each is read by: the releases that it sends}"""
    found = {}
    for attributes, words in re.findall(r'<button ([^>]*form="form-cancel"[^>]*)>([^<]*)<', page):
        label = re.search(r'aria-label="([^"]*)"', attributes)
        assert not label or label.group(1).startswith(words)
        found[label.group(1) if label else words] = re.search(r' value="([^"]*)"', attributes).group(1)
    return found


def test_a_cancel_names_all_that_it_ends_on_its_button_and_when_it_is_done(site):
    app = site.make_app("two-under-way")
    site.postgres.sql(f"""
        INSERT INTO berth.releases (app_name, number, kind, state, step, commit_sha)
            VALUES ('{app}', 3, 'push', 'running', 'rollout', repeat('b', 40)), ('{app}', 4, 'push', 'queued', 'source', repeat('c', 40));
        UPDATE berth.apps SET last_release = 4 WHERE app_name = '{app}'""")

    pages = [site.ask(f"/apps/{app}").text, site.ask(f"/apps/{app}/releases/3").text]
    answer = site.change(app, "cancel", releases=cancel_buttons(pages[0])["Cancel both v3 and v4"])

    for page in pages:
        assert cancel_buttons(page) == {"Cancel both v3 and v4": "3,4"}
    assert ">Cancel both</button>" in pages[0]  # on the row of the first
    assert answer.status == 303, answer.text
    assert answer.headers["Location"] == f"/apps/{app}?done=all-cancelled&all=3,4"
    done = site.ask(answer.headers["Location"]).text
    assert "v3 and v4 are being cancelled. What is live stays live." in done
    assert cancel_buttons(done) == {}


def test_a_cancel_from_a_page_of_before_ends_nothing_that_was_not_on_it(site):
    app = site.make_app("cancelled-late")
    assert site.change(app, "deploy").status == 303
    opened = site.ask(f"/apps/{app}").text
    assert site.change(app, "deploy").status == 303  # v4, in v3's place

    answer = site.change(app, "cancel", releases=cancel_buttons(opened)["Cancel v3"])

    assert answer.status == 409
    assert "cancelled-late has v4 under way by now, so nothing was cancelled" in answer.text
    assert "v3 was to be cancelled" in answer.text
    assert cancel_buttons(answer.text) == {"Cancel v4": "4"}
    assert site.newest(app)[4] == "queued"
    for none in ("", "4;", "4,", "x"):
        assert site.change(app, "cancel", releases=none).status == 409
    assert site.newest(app)[4] == "queued"
    assert site.change(app, "cancel", releases="4").status == 303


def test_an_app_goes_once_its_name_was_typed(site):
    app = site.make_app("leaving")

    wrong = site.change(app, "destroy", confirm="leavin")
    state = site.postgres.sql(f"SELECT state FROM berth.apps WHERE app_name = '{app}'")
    right = site.change(app, "destroy", confirm=app)

    assert wrong.status == 422
    assert f"Type {app} to confirm" in wrong.text
    assert 'value="leavin"' in wrong.text
    assert state == [["active"]]
    assert right.status == 303
    assert "teardown of leaving has begun" in site.ask(right.headers["Location"]).text
    assert site.postgres.sql(f"SELECT state FROM berth.apps WHERE app_name = '{app}'") == [["deleting"]]


def test_what_was_typed_is_still_there_when_the_page_was_open_too_long(site):
    app = site.make_app("slept")
    fields = {"csrf": site.token("destroy", expires_ms=int(time.time() * 1000) - 1), "confirm": app}

    late = site.post(f"/apps/{app}/destroy", fields)
    again = Forms(late.text).found[f"/apps/{app}/destroy"]
    answer = site.post(f"/apps/{app}/destroy", again)

    assert late.status == 403
    assert "open for more than 12 hours" in late.text
    assert again["confirm"] == app
    assert answer.status == 303


@pytest.mark.parametrize("headers", [
    {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": None, "Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "none"},
], ids=str)
def test_a_form_from_elsewhere_is_refused_with_its_right_token(site, headers):
    answer = site.post("/apps/shop/cancel", {"csrf": site.token("cancel")}, headers)

    assert answer.status == 403
    assert "sent from another site" in answer.text


def test_a_token_is_its_users_and_its_forms_alone(site):
    app = site.make_app("tokens")

    for token in ("", site.token("cancel", user="visitor"), site.token("deploy"), site.token("cancel")[:-1] + "!"):
        assert site.post(f"/apps/{app}/cancel", {"csrf": token}).status == 403
    assert site.post(f"/apps/{app}/cancel", {"csrf": site.token("cancel", user="visitor")}, user="visitor").status == 403
    assert site.audited(app) == []


def test_a_body_of_another_kind_or_size_is_refused(site):
    assert site.post("/apps/shop/cancel", {}, {"Content-Type": "text/plain"}).status == 415
    assert site.post("/apps/shop/cancel", {"x": "a" * 70_000}).status == 413
    assert site.post("/apps/shop/cancel", [("csrf", "1"), ("csrf", "2")]).status == 400


def test_every_answer_keeps_the_page_to_itself_and_a_form_says_where_it_came_from(site):
    answers = [site.ask("/"), site.ask("/nothing"), site.ask("/", user="visitor"), site.post("/apps/nobody/cancel", {}), site.change("nobody", "cancel")]

    for answer in answers:
        assert answer.headers.get_all("Referrer-Policy") == ["same-origin"]
        assert answer.headers.get_all("Cache-Control") == ["no-store"]
        assert answer.headers.get_all("Cross-Origin-Opener-Policy") == ["same-origin"]
        assert "form-action 'self'" in answer.headers["Content-Security-Policy"]


def test_a_form_is_taken_by_one_responder_that_another_has_made(site):
    """After a restart, or on another machine: the key is the installation's."""
    app = site.make_app("restarted", live=3)
    form = Forms(site.ask(f"/apps/{app}").text).found[f"/apps/{app}/rollback"]

    site.restart_responder()

    assert site.post(f"/apps/{app}/rollback", {**form, "release": "1"}).status == 303


def test_no_secret_is_in_a_page_or_the_log(site):
    key = site.postgres.sql("SELECT encode(key, 'hex') FROM berth.admin_keys")[0][0]

    assert not re.search(f"{key}|{TOKEN}", site.ask("/").text + site.ask("/apps/deployed").text + site.responder.log())
