"""What somebody else does to an app's things on AWS, by hand, with a key of his own."""

import json

SLOWED = ("UpdateProject", "StartBuild", "ModifyTargetGroup", "UpdateService")
ANYTHING = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]})
TASKS = json.dumps({"Version": "2012-10-17", "Statement": [
    {"Effect": "Allow", "Principal": {"Service": "ecs-tasks.amazonaws.com"}, "Action": "sts:AssumeRole"}]})


def change_all(stand_in, resources, app):
    """Something of each thing that berth made for the app; resources: kind to ARN."""
    elb, iam = stand_in.client("elbv2"), stand_in.client("iam")
    elb.modify_target_group(TargetGroupArn=resources["target_group"], HealthCheckPath="/other")
    elb.modify_rule(RuleArn=resources["listener_rule"], Conditions=[{"Field": "host-header", "HostHeaderConfig": {"Values": ["other.example.test"]}}])
    iam.delete_role_permissions_boundary(RoleName=f"berth-{app}-task")
    iam.update_assume_role_policy(RoleName=f"berth-{app}-execution", PolicyDocument=TASKS)
    iam.put_role_policy(RoleName=f"berth-{app}-build", PolicyName="berth", PolicyDocument=ANYTHING)
    stand_in.client("codebuild").update_project(name=f"berth-{app}", timeoutInMinutes=5)
    stand_in.client("ecr").put_image_tag_mutability(repositoryName=f"berth/{app}", imageTagMutability="MUTABLE")
    stand_in.client("logs").put_retention_policy(logGroupName=f"/berth/{app}", retentionInDays=1)


def leave_behind(stand_in, bucket, app):
    """What must go before an app's things can: a build that runs, a policy on a role, half an upload."""
    stand_in.control("build-outcome", {"project": f"berth-{app}", "phase": "BUILD", "status": "SUCCEEDED", "ms": 12_000_000})
    stand_in.client("codebuild").start_build(projectName=f"berth-{app}", sourceTypeOverride="NO_SOURCE",
                                             buildspecOverride='{"version": "0.2", "phases": {"build": {"commands": ["true"]}}}')
    iam = stand_in.client("iam")
    iam.attach_role_policy(RoleName=f"berth-{app}-task", PolicyArn=iam.list_policies(Scope="Local")["Policies"][0]["Arn"])
    stand_in.client("s3").create_multipart_upload(Bucket=bucket, Key=f"tenants/{app}/half.zip")
