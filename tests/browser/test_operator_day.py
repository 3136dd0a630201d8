"""An operator's day in a real browser, by keyboard alone, with JavaScript and without it: real pushes, a worker, AWS's stand-in. Every change is made on the
pages; each test then asks the database and the stand-in what became of it. The tests of a mode share an app, which the last of them destroys."""

import base64
import itertools
import re
import time

import pytest

import world
from browser.operator import Operator
from support.parts import wait_until
from support.stack import Repository, Stack

# One process does them all: they share a stack.
pytestmark = pytest.mark.xdist_group("day")
_numbers = itertools.count(901)


@pytest.fixture(scope="module")
def stack(tmp_path_factory):
    made = Stack(tmp_path_factory.mktemp("day"))
    yield made
    violations = made.violations()
    made.stop()
    assert violations == []


@pytest.fixture(scope="module", params=["with JavaScript", "without JavaScript"])
def has_script(request):
    return request.param == "with JavaScript"


@pytest.fixture(scope="module")
def shop(stack, has_script):
    """The mode's app; its first release is live."""
    made = Repository(stack, "quay" if has_script else "plain-quay", next(_numbers))
    made.push("One")
    made.wait(1)
    return made


@pytest.fixture
def operator(stack, chromium, has_script):
    authorization = "Basic " + base64.b64encode(f"operator:{stack.password}".encode()).decode()
    chromium.look_like(1440)
    chromium.run_scripts(has_script)
    yield Operator(chromium, stack.url, authorization, has_script)
    chromium.run_scripts(True)


@pytest.fixture
def slow_builds(stack):
    stack.control("timing", {"BUILD": 4000})
    yield
    stack.control("timing", {"BUILD": world.DEFAULT_TIMING["BUILD"]})


@pytest.fixture
def limits(stack, shop):
    """Whatever a test sets, the next one finds the defaults and no tokens spent."""
    yield
    stack.sql(f"DELETE FROM berth.quotas WHERE app_name = '{shop.app}'; DELETE FROM berth.rate_limits WHERE app_name = '{shop.app}'")


def newest(shop):
    row = shop.stack.sql(f"SELECT number, kind, state, step, coalesce(rollback_to, 0), commit_sha, coalesce(image_digest, '') FROM berth.releases "
                         f"WHERE app_name = '{shop.app}' ORDER BY number DESC LIMIT 1")[0]
    return dict(zip(("number", "kind", "state", "step", "rollback_to", "commit", "digest"), (int(row[0]), *row[1:4], int(row[4]), *row[5:])))


def live(shop):
    """The release's number and its image, as berth has them."""
    number, digest = shop.stack.sql(f"SELECT release, image_digest FROM berth.deployments WHERE app_name = '{shop.app}'")[0]
    return int(number), digest


def image_on_aws(shop):
    """What the service's tasks run, as AWS has it."""
    ecs = shop.stack.client("ecs")
    service = ecs.describe_services(cluster="berth", services=[f"berth-{shop.app}"])["services"][0]
    return ecs.describe_task_definition(taskDefinition=service["taskDefinition"])["taskDefinition"]["containerDefinitions"][0]["image"]


def audited(shop, action):
    """Who did it the last time, and what was changed."""
    return shop.stack.sql(f"SELECT actor, coalesce(after::text, '') FROM berth.audit_log WHERE app_name = '{shop.app}' AND action = '{action}' ORDER BY id DESC LIMIT 1")[0]


def to_app(operator, shop):
    operator.open("/")
    operator.skip()
    operator.follow(shop.app)


def to_limits(operator, shop):
    operator.open("/")
    operator.follow("Limits")
    operator.follow(shop.app)
    assert operator.path() == f"/apps/{shop.app}/limits"


def newest_delivery(operator):
    """The first row of the deliveries page, reached by its link."""
    operator.open("/")
    operator.follow("Deliveries")
    return operator.browser.evaluate("document.querySelector('.deliveries tbody tr').innerText")


def test_a_release_is_followed_to_its_end(operator, shop, stack, slow_builds):
    commit, said = shop.push("Two", **{"two.txt": "2"})
    assert "202" in said
    number = newest(shop)["number"]

    to_app(operator, shop)
    operator.follow(f"Timeline and log of v{number}")
    assert f"v{number}" in operator.text() and "Live" not in operator.text().splitlines()
    operator.watch_until("\nLive\n")

    assert newest(shop) | {"digest": ""} == {"number": number, "kind": "push", "state": "live", "step": "live", "rollback_to": 0, "commit": commit, "digest": ""}
    assert live(shop)[0] == number
    assert image_on_aws(shop).endswith(live(shop)[1])


def test_why_a_release_failed_is_found_from_the_overview_within_a_few_keys(operator, shop):
    before, kept = live(shop), (shop.clone / "Dockerfile").read_text()
    (shop.clone / "Dockerfile").unlink()
    shop.push("Without its Dockerfile")
    shop.wait(newest(shop)["number"], code=None)
    (shop.clone / "Dockerfile").write_text(kept)
    error, hint = shop.stack.sql(f"SELECT error, hint FROM berth.releases WHERE app_name = '{shop.app}' ORDER BY number DESC LIMIT 1")[0]

    operator.open("/")
    assert operator.sees("Failed")
    operator.skip()
    operator.follow(shop.app)

    assert operator.keys <= 15
    assert "Dockerfile" in error and operator.sees(error.removesuffix("."))
    assert operator.sees(re.split("`", hint)[0].strip())
    assert operator.sees(f"v{before[0]} is still live. Visitors saw nothing.")
    assert live(shop) == before


def test_a_mistake_in_a_limit_is_told_beside_its_field_and_every_edit_is_kept(operator, shop, stack, limits):
    to_limits(operator, shop)
    operator.write("CPU units", "4096")
    operator.write("Memory, MiB", "8 GB")
    operator.follow("Save limits")

    assert operator.error_beside("memory_mib").startswith("Write whole MiB")
    assert operator.error_beside("cpu_units") is None
    assert operator.focused() == "Memory, MiB"
    assert (operator.value("cpu_units"), operator.value("memory_mib")) == ("4096", "8 GB")
    assert stack.sql(f"SELECT * FROM berth.quotas WHERE app_name = '{shop.app}'") == []

    operator.write("Memory, MiB", "8192")
    operator.follow("Save limits", key="Space")

    assert "in force from the next push" in operator.notice()
    assert stack.sql(f"SELECT cpu_units, memory_mib FROM berth.quotas WHERE app_name = '{shop.app}'") == [["4096", "8192"]]


def test_a_quota_is_edited_and_the_next_push_is_refused_by_it_until_it_is_raised_again(operator, shop, stack, limits):
    running = live(shop)
    to_limits(operator, shop)
    operator.write("CPU units", "256")
    operator.follow("Show effect")
    assert "then 100%" in operator.text()
    assert "The next rollout needs 512 CPU units of 256: pushes are refused." in operator.text()
    assert stack.sql(f"SELECT * FROM berth.quotas WHERE app_name = '{shop.app}'") == []
    operator.follow("Save limits")
    assert audited(shop, "limits.set")[0] == "operator"

    last = newest(shop)["number"]
    commit, said = shop.push("More than it may", **{"more.txt": "1"})
    assert "403" in said and "CPU units: 256 of 256 in use" in said
    assert newest(shop)["number"] == last

    row = newest_delivery(operator)
    assert "Over quota" in row and "CPU units: 256 of 256 in use" in row
    operator.follow("Raise the quota")
    operator.write("CPU units", "")
    operator.follow("Save limits")

    wait_until(lambda: newest(shop)["commit"] == commit, what="the refused push's release")
    shop.wait(newest(shop)["number"])
    assert live(shop)[0] == last + 1 and running[0] <= last
    assert image_on_aws(shop).endswith(live(shop)[1])


def test_a_setting_is_edited_and_a_wrong_one_is_told_beside_its_field(operator, shop, stack):
    to_app(operator, shop)
    operator.write("Port", "http", backwards=True)
    operator.write("Health check path", "/up")
    operator.follow("Save settings")
    assert operator.focused() == "Port"
    assert operator.error_beside("port").startswith("Write a whole number from 1 to 65535")
    assert operator.value("health_check_path") == "/up"

    operator.write("Port", "8081")
    operator.follow("Save settings")
    assert stack.sql(f"SELECT port, health_check_path FROM berth.apps WHERE app_name = '{shop.app}'") == [["8081", "/up"]]
    assert audited(shop, "app.update")[0] == "operator"
    stack.sql(f"UPDATE berth.apps SET port = 8080, health_check_path = '/healthz' WHERE app_name = '{shop.app}'")


def test_a_rate_limit_is_edited_and_the_next_push_is_refused_by_it(operator, shop, stack, limits):
    to_limits(operator, shop)
    operator.write("Pushes in a burst", "1")
    operator.write("Pushes an hour, steady", "1")
    operator.follow("Show effect")
    assert "The 2nd push at once is answered" in operator.text() and "Retry-After: 3600" in operator.text()
    operator.follow("Save limits")
    assert stack.sql(f"SELECT pushes_burst, pushes_per_hour FROM berth.rate_limits WHERE app_name = '{shop.app}'") == [["1", "1"]]

    last = newest(shop)["number"]
    said = [shop.push(f"Push {n}", **{"rate.txt": str(n)})[1] for n in range(2)]

    assert "429" in said[1] and "1 an hour" in said[1]
    assert "Limited" in newest_delivery(operator)
    made = newest(shop)
    assert made["number"] <= last + 1
    if made["number"] > last:
        shop.wait(made["number"])


def test_a_release_is_rolled_back(operator, shop):
    before, (first,) = live(shop), [row[0] for row in shop.stack.sql(f"SELECT image_digest FROM berth.releases WHERE app_name = '{shop.app}' AND number = 1")]
    to_app(operator, shop)
    operator.follow("Roll back to v1")

    made = newest(shop)
    assert f"v{made['number']} is on its way, with the image of v1" in operator.notice()
    assert (made["number"] > before[0], made["kind"], made["rollback_to"]) == (True, "rollback", 1)
    assert audited(shop, "app.rollback")[0] == "operator"
    shop.wait(made["number"])
    assert live(shop) == (made["number"], first)
    assert image_on_aws(shop).endswith(first)


def test_a_build_is_cancelled_and_what_is_live_stays(operator, shop, stack, slow_builds):
    before = live(shop)
    shop.push("Slow", **{"slow.txt": str(time.monotonic())})
    number = newest(shop)["number"]
    wait_until(lambda: newest(shop)["step"] == "build" and stack.sql(
        f"SELECT 1 FROM berth.releases WHERE app_name = '{shop.app}' AND number = {number} AND build_id IS NOT NULL"), what="the build")

    to_app(operator, shop)
    operator.follow(f"Cancel v{number}")
    shop.wait(number, code=None)

    assert newest(shop)["state"] == "cancelled"
    assert audited(shop, "app.cancel")[0] == "operator"
    build = stack.sql(f"SELECT build_id FROM berth.releases WHERE app_name = '{shop.app}' AND number = {number}")[0][0]
    assert stack.client("codebuild").batch_get_builds(ids=[build])["builds"][0]["buildStatus"] == "STOPPED"
    assert live(shop) == before
    assert image_on_aws(shop).endswith(before[1])


def test_a_paused_app_keeps_its_pushes_and_looks_at_them_when_it_is_resumed(operator, shop, stack):
    last = newest(shop)["number"]
    to_app(operator, shop)
    operator.follow("Pause", key="Space")
    assert stack.sql(f"SELECT state FROM berth.apps WHERE app_name = '{shop.app}'") == [["paused"]]

    commit, _ = shop.push("While it is paused", **{"paused.txt": "1"})
    assert newest(shop)["number"] == last
    assert "Paused" in newest_delivery(operator)

    to_app(operator, shop)
    operator.follow("Resume")
    assert stack.sql(f"SELECT state FROM berth.apps WHERE app_name = '{shop.app}'") == [["active"]]
    wait_until(lambda: newest(shop)["commit"] == commit, what="the kept push's release")
    shop.wait(newest(shop)["number"])
    assert [audited(shop, action)[0] for action in ("app.pause", "app.resume")] == ["operator"] * 2


def test_an_app_is_destroyed_once_its_name_is_typed(operator, shop, stack):
    to_app(operator, shop)
    operator.write(f"Write {shop.app} to confirm", shop.app[:-1], backwards=True)
    operator.follow(f"Destroy {shop.app}", key="Space")
    assert operator.error_beside("confirm").startswith(f"Type {shop.app}")
    assert operator.value("confirm") == shop.app[:-1]
    assert stack.sql(f"SELECT state FROM berth.apps WHERE app_name = '{shop.app}'") == [["active"]]

    operator.write(f"Write {shop.app} to confirm", shop.app)
    operator.browser.next_page(lambda: operator.press("Enter"))
    operator.watch_until("Destroyed by @operator")

    assert stack.sql(f"SELECT state FROM berth.apps WHERE app_name = '{shop.app}'") == [["deleted"]]
    assert [service["status"] for service in stack.client("ecs").describe_services(cluster="berth", services=[f"berth-{shop.app}"])["services"]] in ([], ["INACTIVE"])
    assert [r["repositoryName"] for r in stack.client("ecr").describe_repositories()["repositories"] if shop.app in r["repositoryName"].split("/")] == []
    operator.open("/")
    assert shop.app not in operator.browser.evaluate("[...document.querySelectorAll('main .name a')].map((a) => a.textContent)")
