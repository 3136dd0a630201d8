"""Limits as an operator sets them on the page, behind lighttpd, and what GitHub is then told of the next push."""

import base64
import http.client
import re
import urllib.parse

import pytest

from support.delivery import push
from support.hooks import Hooks
from support.pages import Answer, hashed
from support.parts import BUILD, TOP, Responder, wait_until

from test_admin_changes import Forms

USERS = {"operator": "correct horse", "ines": "battery staple"}


class Whole(Hooks):
    """The intake of deliveries and the operator's pages, behind one lighttpd."""

    def __init__(self):
        self.admin = None
        super().__init__()
        try:
            env = {**self.env, "BERTH_ADMIN_OPERATORS": "operator, ines", "BERTH_ADMIN_WWW": str(TOP / "www")}
            self.admin = Responder(self.folder, env, "--admin", build=BUILD)
            self.web.users.write_text("".join(f"{name}:{hashed(password)}\n" for name, password in USERS.items()))
            wait_until(lambda: self.page("/limits").status == 200, what="the pages")
        except BaseException:
            self.end()
            raise

    def end(self):
        try:
            if self.admin:
                self.admin.end()
        finally:
            super().end()

    def page(self, path, user="operator", fields=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"Authorization": "Basic " + self.sign(user)}
        if fields is not None:
            headers.update({"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://127.0.0.1:{self.port}"})
        try:
            connection.request("POST" if fields is not None else "GET", path, urllib.parse.urlencode(fields) if fields is not None else None, headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    @staticmethod
    def sign(user):
        return base64.b64encode(f"{user}:{USERS[user]}".encode()).decode()

    def form(self, path, user="operator"):
        """Every field as a browser would send it untouched."""
        return Forms(self.page(path, user).text).found[path]

    def edit(self, path, do="save", user="operator", **edits):
        return self.page(path, user, {**self.form(path, user), **edits, "do": do})


@pytest.fixture(scope="module")
def whole():
    made = Whole()
    yield made
    made.end()


def test_a_saved_rate_limit_makes_the_next_push_429(whole):
    app = whole.make_app("limited")
    assert whole.deliver(app, push()).status == 202

    saved = whole.edit(f"/apps/{app}/limits", pushes_burst="1", pushes_per_hour="60")

    assert saved.status == 303, saved.text
    assert "The limits of limited are changed" in whole.page(saved.headers["Location"]).text
    answer = whole.deliver(app, push())
    assert answer.status == 429
    assert answer.json["outcome"] == "limited"
    assert answer.headers["ratelimit-policy"] == '"pushes";q=1;w=60'
    assert 50 < int(answer.headers["retry-after"]) <= 60
    audited = whole.postgres.sql(f"SELECT actor, action, after::text FROM berth.audit_log WHERE app_name = '{app}'")
    assert [list(row) for row in audited] == [["operator", "limits.set", '{"pushes_burst": 1, "pushes_per_hour": 60}']]


def test_the_answer_that_the_page_foretells_is_the_one_that_github_gets(whole):
    app = whole.make_app("foretold")
    told = whole.edit(f"/apps/{app}/limits", do="preview", pushes_burst="2", pushes_per_hour="120")
    assert told.status == 200 and "The 3rd push at once is answered" in told.text
    lines = re.search(r'<pre class="answer"><code>(.*?)</code>', told.text, re.S).group(1).replace("&quot;", '"').splitlines()
    assert whole.deliver(app, push()).status == 202, "a preview sets nothing"

    whole.edit(f"/apps/{app}/limits", pushes_burst="2", pushes_per_hour="120")
    whole.postgres.sql(f"UPDATE berth.rate_limits SET spent = 2, spent_at = now() WHERE app_name = '{app}'")
    answer = whole.deliver(app, push())

    assert answer.status == 429
    assert lines[0] == "HTTP/1.1 429 Too Many Requests"
    assert lines[2] == f"RateLimit-Policy: {answer.headers['ratelimit-policy']}"
    assert abs(int(lines[1].split()[1]) - int(answer.headers["retry-after"])) <= 2


def test_a_saved_quota_refuses_the_next_push_and_names_itself(whole):
    app = whole.make_app("crowded")

    saved = whole.edit(f"/apps/{app}/limits", memory_mib="16")

    assert saved.status == 303, saved.text
    answer = whole.deliver(app, push())
    assert answer.json["outcome"] == "over_quota"
    assert answer.status >= 400
    assert answer.json["quota"]["name"] == "memory_mib"
    assert "Memory, MiB" in answer.json["reason"]
    # The app's page says the same, and where to raise it.
    page = whole.page(f"/apps/{app}").text
    assert "was refused: Memory, MiB: 0 of 16 in use, a rollout needs 512 more. The branch main is looked at again when an operator raises the quota" in page
    assert f'href="/apps/{app}/limits"' in page
    # Back to the default, and what waits is looked at.
    assert whole.edit(f"/apps/{app}/limits", memory_mib="").status == 303
    assert whole.deliver(app, push()).status == 202


def test_an_edited_default_is_in_force_for_an_app_without_its_own(whole):
    app = whole.make_app("follower")
    assert whole.edit("/limits", releases_per_hour="0").status == 303
    try:
        answer = whole.deliver(app, push())
    finally:
        assert whole.edit("/limits", releases_per_hour="240").status == 303

    assert answer.json["quota"]["name"] == "releases_per_hour"
    assert whole.deliver(app, push()).status == 202


def test_a_wrong_value_is_told_beside_its_field_and_nothing_is_lost(whole):
    app = whole.make_app("wrong")

    answer = whole.edit(f"/apps/{app}/limits", memory_mib='8 GB"><script>', tasks="7", cpu_units="1 vCPU")

    assert answer.status == 422
    assert "Write whole CPU units, of which 1024 are one vCPU: 1 vCPU is 1024." in answer.text
    assert "<script>" not in answer.text
    kept = Forms(answer.text).found[f"/apps/{app}/limits"]
    assert (kept["memory_mib"], kept["tasks"], kept["cpu_units"]) == ('8 GB"><script>', "7", "1 vCPU")
    assert whole.postgres.sql(f"SELECT 1 FROM berth.audit_log WHERE app_name = '{app}'") == []


def test_two_operators_at_once_the_second_sees_what_changed_and_saves_on(whole):
    app = whole.make_app("both")
    path = f"/apps/{app}/limits"
    seen = whole.form(path)
    assert whole.edit(path, user="ines", tasks="9").status == 303

    refused = whole.page(path, fields={**seen, "tasks": "12", "image_mib": "4000", "do": "save"})

    assert refused.status == 409
    assert "Changed while you were here" in refused.text and "by @<bdi>ines</bdi>" in refused.text
    again = Forms(refused.text).found[path]
    assert (again["tasks"], again["was.tasks"], again["image_mib"]) == ("12", "9", "4000")
    assert whole.page(path, fields={**again, "do": "save"}).status == 303
    assert [list(row) for row in whole.postgres.sql(f"SELECT tasks, image_mib FROM berth.quotas WHERE app_name = '{app}'")] == [["12", "4000"]]


def test_a_limit_that_was_left_alone_is_as_another_saved_it_and_one_set_to_the_same_is_no_news(whole):
    app = whole.make_app("alone")
    path = f"/apps/{app}/limits"
    seen = whole.form(path)
    assert whole.edit(path, user="ines", tasks="9", image_mib="4000").status == 303

    refused = whole.page(path, fields={**seen, "tasks": " 9 ", "cpu_units": "many", "do": "save"})

    assert refused.status == 422
    again = Forms(refused.text).found[path]
    assert (again["image_mib"], again["was.image_mib"], again["cpu_units"]) == ("4000", "4000", "many")
    told = re.search(r'<section class="box" aria-labelledby="meanwhile">.*?</section>', refused.text, re.S).group(0)
    assert "#image_mib" in told and "#tasks" not in told and "Yours is still" not in told


def test_of_two_operators_who_edit_the_defaults_the_second_sees_what_changed_and_saves_on(whole):
    seen = whole.form("/limits")
    was = {name: seen[name] for name in ("tasks", "image_mib")}
    assert whole.edit("/limits", user="ines", tasks="31").status == 303
    try:
        refused = whole.page("/limits", fields={**seen, "tasks": "32", "image_mib": "4001", "do": "save"})

        assert refused.status == 409
        assert "Changed while you were here" in refused.text and "by @<bdi>ines</bdi>" in refused.text
        again = Forms(refused.text).found["/limits"]
        assert (again["tasks"], again["was.tasks"], again["image_mib"]) == ("32", "31", "4001")
        assert [list(row) for row in whole.postgres.sql("SELECT tasks, image_mib FROM berth.default_limits")] == [["31", was["image_mib"]]]
        assert whole.page("/limits", fields={**again, "do": "save"}).status == 303
        assert [list(row) for row in whole.postgres.sql("SELECT tasks, image_mib FROM berth.default_limits")] == [["32", "4001"]]
    finally:
        assert whole.edit("/limits", **was).status == 303


def test_what_another_operator_changed_of_the_defaults_stays_when_this_one_left_it_alone(whole):
    seen = whole.form("/limits")
    was = {name: seen[name] for name in ("tasks", "image_mib")}
    assert whole.edit("/limits", user="ines", tasks="33").status == 303
    try:
        assert whole.page("/limits", fields={**seen, "image_mib": "4002", "do": "save"}).status == 303
        assert [list(row) for row in whole.postgres.sql("SELECT tasks, image_mib FROM berth.default_limits")] == [["33", "4002"]]
    finally:
        assert whole.edit("/limits", **was).status == 303
