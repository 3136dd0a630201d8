"""A push, from git to live."""

import json
import urllib.error
import urllib.request

import pytest


@pytest.fixture(scope="module")
def shop(stack):
    from conftest import Repository

    repository = Repository(stack, "shop", 501)
    repository.commit, repository.said = repository.push("Open the shop")
    repository.first = repository.wait(1)
    return repository


def arn_of(stack, app, kind):
    resources = stack.berth("apps", "show", app)["resources"]
    return next(r["arn"] for r in resources if r["kind"] == kind)


def tags_of(rows):
    return {row.get("Key", row.get("key")): row.get("Value", row.get("value")) for row in rows}


def test_a_push_without_a_dockerfile_fails_with_the_builds_reason(stack, make_app):
    repository = make_app("no-dockerfile")
    (repository.clone / "Dockerfile").unlink()
    repository.push("Nothing to build")

    release = repository.wait(1, code=1)

    assert release["state"] == "failed"
    assert release["step"] == "build"
    assert "Dockerfile" in release["error"]
    assert release["hint"]


def test_a_push_goes_live(shop):
    assert shop.first["state"] == "live"
    assert shop.first["commit"] == shop.commit
    assert "202" in shop.said


def test_the_timeline_has_every_step_done(shop):
    done = [event["step"] for event in shop.first["events"] if event["kind"] == "done"]

    assert done == ["source", "identity", "build", "route", "rollout", "live"]


def test_the_source_archive_is_in_the_bucket_at_the_version_that_was_built(stack, shop):
    bucket = next(b["Name"] for b in stack.client("s3").list_buckets()["Buckets"] if b["Name"].startswith("berth"))

    head = stack.client("s3").head_object(Bucket=bucket, Key=f"tenants/shop/{shop.commit}.zip", VersionId=shop.first["source_version"])

    assert head["ContentLength"] > 0
    build = stack.client("codebuild").batch_get_builds(ids=[shop.first["build_id"]])["builds"][0]
    assert build["sourceVersion"] == shop.first["source_version"]


def test_the_image_in_the_registry_is_the_one_that_runs(stack, shop):
    ecr, ecs = stack.client("ecr"), stack.client("ecs")

    images = ecr.describe_images(repositoryName="berth/shop", imageIds=[{"imageDigest": shop.first["image_digest"]}])["imageDetails"]
    definition = ecs.describe_task_definition(taskDefinition=shop.first["task_definition"], include=["TAGS"])

    assert images[0]["imageTags"] == ["v1-a1"]
    assert definition["taskDefinition"]["containerDefinitions"][0]["image"].endswith("@" + shop.first["image_digest"])
    assert tags_of(definition["tags"])["berth:app"] == "shop"


@pytest.mark.parametrize("kind", ["task_role", "execution_role", "build_role"])
def test_each_role_is_tagged_bounded_and_its_arn_is_as_reported(stack, shop, kind):
    iam = stack.client("iam")

    role = iam.get_role(RoleName=f"berth-shop-{kind.removesuffix('_role')}")["Role"]

    assert role["Arn"] == arn_of(stack, "shop", kind)
    assert tags_of(role["Tags"])["berth:app"] == "shop"
    assert role["PermissionsBoundary"]["PermissionsBoundaryArn"].endswith(":policy/berth-boundary")


def test_the_build_role_reads_its_own_source_and_no_neighbours(stack, shop):
    iam = stack.client("iam")
    names = iam.list_role_policies(RoleName="berth-shop-build")["PolicyNames"]

    documents = [iam.get_role_policy(RoleName="berth-shop-build", PolicyName=name)["PolicyDocument"] for name in names]

    resources = json.dumps([s["Resource"] for d in documents for s in d["Statement"] if "s3:GetObject" in json.dumps(s["Action"])])
    assert "/tenants/shop/*" in resources
    assert "tenants/*" not in resources


def test_the_repository_project_log_group_and_service_are_tagged_and_as_reported(stack, shop):
    repository = stack.client("ecr").describe_repositories(repositoryNames=["berth/shop"])["repositories"][0]
    project = stack.client("codebuild").batch_get_projects(names=["berth-shop"])["projects"][0]
    service = stack.client("ecs").describe_services(cluster="berth", services=["berth-shop"], include=["TAGS"])["services"][0]
    group = stack.client("logs").describe_log_groups(logGroupNamePrefix="/berth/shop")["logGroups"][0]

    assert repository["repositoryArn"] == arn_of(stack, "shop", "repository")
    assert repository["imageTagMutability"] == "IMMUTABLE"
    assert tags_of(stack.client("ecr").list_tags_for_resource(resourceArn=repository["repositoryArn"])["tags"])["berth:app"] == "shop"
    assert project["arn"] == arn_of(stack, "shop", "build_project")
    assert tags_of(project["tags"])["berth:app"] == "shop"
    assert service["serviceArn"] == arn_of(stack, "shop", "service")
    assert tags_of(service["tags"])["berth:app"] == "shop"
    assert service["taskDefinition"] == shop.first["task_definition"]
    assert service["runningCount"] == 1
    assert group["arn"].startswith(arn_of(stack, "shop", "log_group").removesuffix(":*"))
    assert stack.client("logs").list_tags_log_group(logGroupName="/berth/shop")["tags"]["berth:app"] == "shop"


def test_the_host_rule_sends_the_apps_traffic_to_its_healthy_target_group(stack, shop):
    elb = stack.client("elbv2")
    target_group = arn_of(stack, "shop", "target_group")

    rule = elb.describe_rules(RuleArns=[arn_of(stack, "shop", "listener_rule")])["Rules"][0]
    health = elb.describe_target_health(TargetGroupArn=target_group)["TargetHealthDescriptions"]

    assert rule["Conditions"][0]["Field"] == "host-header"
    assert rule["Conditions"][0].get("Values") == ["shop.apps.example.test"] or \
        rule["Conditions"][0]["HostHeaderConfig"]["Values"] == ["shop.apps.example.test"]
    assert rule["Actions"][0]["TargetGroupArn"] == target_group
    assert [target["TargetHealth"]["State"] for target in health] == ["healthy"]
    for arn in (rule["RuleArn"], target_group):
        assert tags_of(elb.describe_tags(ResourceArns=[arn])["TagDescriptions"][0]["Tags"])["berth:app"] == "shop"


def test_two_apps_have_their_own_priorities(stack, shop, make_app):
    other = make_app("blog")
    other.push("Hello")
    other.wait(1)
    elb = stack.client("elbv2")

    rules = [elb.describe_rules(RuleArns=[arn_of(stack, app, "listener_rule")])["Rules"][0] for app in ("shop", "blog")]

    assert rules[0]["Priority"] != rules[1]["Priority"]


def test_a_second_push_becomes_v2_and_asks_aws_only_for_what_changes(stack, shop):
    before = stack.last_call()

    commit, _ = shop.push("Say more", **{"more.txt": "more"})
    release = shop.wait(2)

    changes = [c["operation"] for c in stack.calls(before)
               if not c["operation"].startswith(("Describe", "List", "BatchGet", "Get", "Head"))]
    assert release["state"] == "live"
    assert stack.berth("apps", "show", "shop")["live"]["commit"] == commit
    assert changes == ["PutObject", "StartBuild", "RegisterTaskDefinition", "UpdateService"]


def test_a_commit_without_a_dockerfile_fails_while_the_live_release_stays(stack, shop):
    (shop.clone / "Dockerfile").unlink()

    shop.push("Tidy up")
    release = shop.wait(3, code=1)

    assert release["state"] == "failed"
    live = stack.berth("apps", "show", "shop")["live"]
    assert live["release"] == 2
    service = stack.client("ecs").describe_services(cluster="berth", services=["berth-shop"])["services"][0]
    assert service["taskDefinition"] == live["task_definition"]
    shop.git("checkout", "-q", "HEAD~1", "--", "Dockerfile")


def test_the_builds_log_is_read_through_the_command(stack, shop):
    import subprocess

    printed = subprocess.run(["berth", "logs", "shop", "v3"], env=stack.env, capture_output=True, text=True, check=True).stdout

    assert "Dockerfile" in printed


def test_a_redelivered_push_makes_no_second_release(stack, shop):
    deliveries = shop._tool("deliveries", shop.name)
    first = deliveries.split()[0]

    answer = shop.redeliver(first)

    assert "duplicate" in answer
    assert len(stack.berth("releases", "shop")["releases"]) == 3


def page(stack, path, user="operator", password=None):
    import base64

    request = urllib.request.Request(stack.url + path)
    if user:
        word = base64.b64encode(f"{user}:{password or stack.password}".encode()).decode()
        request.add_header("Authorization", f"Basic {word}")
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode(), answer.headers
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), error.headers


def test_the_page_is_closed_to_whoever_is_not_signed_in(stack, shop):
    assert page(stack, "/", user=None)[0] == 401
    assert page(stack, "/", password="wrong")[0] == 401


def test_the_page_tells_state_live_commit_address_and_the_failed_releases_reason(stack, shop):
    status, overview, headers = page(stack, "/")
    _, release, _ = page(stack, "/apps/shop/releases/3")

    assert status == 200
    assert "shop.apps.example.test" in overview
    assert stack.berth("apps", "show", "shop")["live"]["commit"][:7] in overview
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "Dockerfile" in release
    assert "v2 is still live" in release


def test_an_unknown_app_has_no_page(stack, shop):
    assert page(stack, "/apps/nobody")[0] == 404
    assert page(stack, "/apps/shop/releases/99")[0] == 404
