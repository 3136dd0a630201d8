"""berth reconcile: what somebody at the console did is found, and put right."""

import json

import pytest

from test_destroy import left_of, quick, sql, vpc_of, wait_until  # noqa: F401  (quick is a fixture)

APP = "drift"


@pytest.fixture(scope="module")
def drift(stack):
    from conftest import Repository

    repository = Repository(stack, APP, 8001)
    repository.push("Open")
    repository.wait(1)
    return repository


def arn_of(stack, kind, app=APP):
    return next(r["arn"] for r in stack.berth("apps", "show", app)["resources"] if r["kind"] == kind)


def findings(stack, app=APP):
    """What reconcile says of one app; its exit code must fit."""
    import subprocess

    done = subprocess.run(["berth", "reconcile", app, "--json"], env=stack.env, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1), done.stdout + done.stderr
    answer = json.loads(done.stdout)
    assert (done.returncode == 1) == (answer["differences_left"] > 0)
    return answer["findings"]


def fix(stack, app=APP):
    """Puts it right and waits for the release that does, if there is one."""
    answer = stack.berth("reconcile", app, "--fix")
    if any("makes it anew" in (found["fixed"] or "") for found in answer["findings"]):
        assert stack.berth("status", app, "--wait", "--timeout", "120")["state"] == "live"
    return answer


def role(kind):
    return f"berth-{APP}-{kind}"


def cluster_service(**more):
    return {"cluster": "berth", "service": f"berth-{APP}", **more}


CHANGES = {
    "health check": (lambda s: s.client("elbv2").modify_target_group(TargetGroupArn=arn_of(s, "target_group"), HealthCheckPath="/other"),
                     "target group", "HealthCheckPath is /other, not /healthz"),
    "deregistration delay": (lambda s: s.client("elbv2").modify_target_group_attributes(
        TargetGroupArn=arn_of(s, "target_group"), Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "300"}]),
        "target group", "deregistration_delay.timeout_seconds is 300, not 30"),
    "rule's host": (lambda s: s.client("elbv2").modify_rule(
        RuleArn=arn_of(s, "listener_rule"), Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": ["other.example.test"]}}]),
        "listener rule", "Conditions"),
    "desired count": (lambda s: s.client("ecs").update_service(**cluster_service(desiredCount=3)), "service", "desiredCount is 3, not 1"),
    "grace period": (lambda s: s.client("ecs").update_service(**cluster_service(healthCheckGracePeriodSeconds=1)), "service",
                     "healthCheckGracePeriodSeconds is 1, not 60"),
    "role's policy": (lambda s: s.client("iam").put_role_policy(
        RoleName=role("build"), PolicyName="berth",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})),
        "role", "its policy is not as berth wrote it"),
    "role's lost policy": (lambda s: s.client("iam").delete_role_policy(RoleName=role("execution"), PolicyName="berth"), "role",
                           'its policy "berth" is missing'),
    "role's trust": (lambda s: s.client("iam").update_assume_role_policy(
        RoleName=role("task"), PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]})),
        "role", "its trust policy is not as berth wrote it"),
    "role's boundary": (lambda s: s.client("iam").delete_role_permissions_boundary(RoleName=role("task")), "role", "PermissionsBoundary"),
    "project": (lambda s: s.client("codebuild").update_project(name=f"berth-{APP}", timeoutInMinutes=5), "build project", "timeoutInMinutes is 5, not 45"),
    "repository": (lambda s: s.client("ecr").put_image_tag_mutability(repositoryName=f"berth/{APP}", imageTagMutability="MUTABLE"), "image repository",
                   "imageTagMutability is MUTABLE, not IMMUTABLE"),
    "log group": (lambda s: s.client("logs").put_retention_policy(logGroupName=f"/berth/{APP}", retentionInDays=1), "log group", "retentionInDays is 1"),
}


def delete_role(stack):
    iam = stack.client("iam")
    iam.delete_role_policy(RoleName=role("build"), PolicyName="berth")
    iam.delete_role(RoleName=role("build"))


def delete_service(stack):
    stack.control("service-update", {"service": f"berth-{APP}", "action": "delete"})
    ecs = stack.client("ecs")
    wait_until(lambda: ecs.describe_services(cluster="berth", services=[f"berth-{APP}"])["services"][0]["status"] == "INACTIVE")


REMOVALS = {
    "rule": (lambda s: s.client("elbv2").delete_rule(RuleArn=arn_of(s, "listener_rule")), "listener rule"),
    "service": (delete_service, "service"),
    "project": (lambda s: s.client("codebuild").delete_project(name=f"berth-{APP}"), "build project"),
    "log group": (lambda s: s.client("logs").delete_log_group(logGroupName=f"/berth/{APP}"), "log group"),
    "build role": (delete_role, "role"),
    "repository": (lambda s: s.client("ecr").delete_repository(repositoryName=f"berth/{APP}", force=True), "image repository"),
}


def test_an_app_as_berth_made_it_shows_no_difference(stack, drift):
    assert findings(stack) == []


def test_a_name_that_nothing_has_is_not_found(stack):
    stack.berth("reconcile", "nobody", code=3)


def test_looking_changes_nothing(stack, drift):
    before, last = left_of(stack, APP), stack.last_call()

    stack.berth("reconcile", APP)

    assert left_of(stack, APP) == before
    assert [call["operation"] for call in stack.calls(last) if not call["operation"].startswith(("Describe", "List", "Get", "BatchGet"))] == []


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_found_and_undone(stack, drift, what):
    change, kind, detail = CHANGES[what]
    change(stack)

    found = findings(stack)
    fix(stack)

    assert [(f["finding"], f["kind"]) for f in found] == [("changed", kind)]
    assert detail in found[0]["detail"]
    assert findings(stack) == []


@pytest.mark.parametrize("what", REMOVALS)
def test_what_is_missing_is_found_and_made_anew(stack, drift, what):
    remove, kind = REMOVALS[what]
    remove(stack)

    found = findings(stack)
    fix(stack)

    assert ("missing", kind) in [(f["finding"], f["kind"]) for f in found]
    assert findings(stack) == []


def test_a_policy_that_berth_did_not_give_is_found_and_taken_away(stack, drift):
    iam = stack.client("iam")
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]})
    policy = iam.create_policy(PolicyName="console", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=role("execution"), PolicyArn=policy)
    iam.put_role_policy(RoleName=role("execution"), PolicyName="more", PolicyDocument=document)

    found = findings(stack)
    fix(stack)

    assert sorted(f["detail"] for f in found) == sorted([f"policy {policy}", "policy more"])
    assert findings(stack) == []
    assert iam.list_attached_role_policies(RoleName=role("execution"))["AttachedPolicies"] == []
    iam.delete_policy(PolicyArn=policy)


def test_what_an_operator_gives_to_the_apps_own_role_stays(stack, drift):
    iam = stack.client("iam")
    document = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]})
    iam.put_role_policy(RoleName=role("task"), PolicyName="its-bucket", PolicyDocument=document)

    found = findings(stack)
    stack.berth("reconcile", APP, "--fix")

    assert found == []
    assert iam.list_role_policies(RoleName=role("task"))["PolicyNames"] == ["its-bucket"]
    iam.delete_role_policy(RoleName=role("task"), PolicyName="its-bucket")


def test_a_tag_that_was_taken_away_is_found_and_the_thing_left_alone(stack, drift):
    arn = arn_of(stack, "repository")
    ecr = stack.client("ecr")
    ecr.untag_resource(resourceArn=arn, tagKeys=["berth:app"])

    found = stack.berth("reconcile", APP, "--fix", code=1)["findings"]

    assert [(f["finding"], f["kind"], f.get("fixed")) for f in found] == [("changed", "image repository", None)]
    assert f"berth:app={APP}" in found[0]["hint"]
    assert ecr.describe_repositories(repositoryNames=[f"berth/{APP}"])["repositories"]
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "berth:app", "Value": APP}])


def test_a_tagged_thing_that_the_app_does_not_know_is_found_and_removed(stack, drift):
    stack.client("elbv2").create_target_group(Name=f"berth-{APP}-7", Protocol="HTTP", Port=80, VpcId=vpc_of(stack), TargetType="ip",
                                              Tags=[{"Key": "berth:app", "Value": APP}])

    found = findings(stack)
    fix(stack)

    assert [(f["finding"], f["name"]) for f in found] == [("orphaned", f"berth-{APP}-7")]
    assert findings(stack) == []
    assert len(left_of(stack, APP)["target_groups"]) == 1


def test_what_is_left_of_a_destroyed_app_is_found_and_removed(stack, make_app):
    make_app("leaver").push("Open")
    stack.berth("status", "leaver", "v1", "--wait", "--timeout", "120")
    stack.berth("destroy", "leaver", "--yes", "--wait", "--timeout", "120")
    stack.client("logs").create_log_group(logGroupName="/berth/leaver", tags={"berth:app": "leaver"})

    found = findings(stack, "leaver")
    stack.berth("reconcile", "--fix", code=None)

    assert [(f["finding"], f["name"]) for f in found] == [("orphaned", "/berth/leaver")]
    wait_gone(stack, "leaver")
    assert findings(stack, "leaver") == []


def wait_gone(stack, app):
    wait_until(lambda: left_of(stack, app) == {})
    wait_until(lambda: sql(stack, f"SELECT state FROM berth.teardowns WHERE app_name = '{app}'") == "done")


def test_a_thing_of_an_app_that_berth_never_had_goes_only_when_it_is_named(stack, drift):
    stack.client("logs").create_log_group(logGroupName="/berth/stranger", tags={"berth:app": "stranger"})

    stack.berth("reconcile", "--fix", code=1)
    spared = left_of(stack, "stranger")
    stack.berth("reconcile", "stranger", "--fix")

    assert spared.keys() == {"log_groups"}
    wait_gone(stack, "stranger")


def test_a_priority_that_somebody_else_took_is_marked(stack, drift):
    elb = stack.client("elbv2")
    listener = elb.describe_rules(RuleArns=[arn_of(stack, "listener_rule")])["Rules"][0]["RuleArn"].replace(":listener-rule/", ":listener/").rsplit("/", 1)[0]
    rule = elb.create_rule(ListenerArn=listener, Priority=77, Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": ["x.example.test"]}}],
                           Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}])["Rules"][0]["RuleArn"]

    stack.berth("reconcile", "--fix", code=None)
    marked = sql(stack, "SELECT count(*) FROM berth.listener_slots WHERE priority = 77 AND app_name IS NULL")
    elb.delete_rule(RuleArn=rule)
    stack.berth("reconcile", "--fix", code=None)

    assert marked == "1"
    assert sql(stack, "SELECT count(*) FROM berth.listener_slots WHERE priority = 77") == "0"


def test_a_rule_that_was_given_another_priority_takes_its_slot_along(stack, drift):
    stack.client("elbv2").set_rule_priorities(RulePriorities=[{"RuleArn": arn_of(stack, "listener_rule"), "Priority": 55}])

    found = findings(stack)
    stack.berth("reconcile", APP, "--fix")

    assert "rule without slot" in [f["finding"] for f in found]
    assert sql(stack, f"SELECT priority FROM berth.listener_slots WHERE app_name = '{APP}'") == "55"
    assert findings(stack) == []


def test_an_app_whose_release_is_on_its_way_is_not_compared(stack, drift):
    stack.control("build-outcome", {"project": f"berth-{APP}", "phase": "BUILD", "status": "SUCCEEDED", "ms": 12000000})
    drift.push("Slow")
    stack.client("logs").put_retention_policy(logGroupName=f"/berth/{APP}", retentionInDays=1)

    answer = stack.berth("reconcile", APP)

    assert answer["apps_busy"] == [APP]
    assert answer["findings"] == []
    stack.client("logs").put_retention_policy(logGroupName=f"/berth/{APP}", retentionInDays=30)
    stack.berth("cancel", APP)
    stack.berth("status", APP, "--wait", "--timeout", "120", code=None)
