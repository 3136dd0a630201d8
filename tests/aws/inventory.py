"""What lives in the account, by kind, with tags and the app it belongs to.

For observers who look for what is doubled, orphaned or lost.
"""

import re

from moto.codebuild.models import codebuild_backends
from moto.ec2 import ec2_backends
from moto.ecr.models import ecr_backends
from moto.ecs.models import ecs_backends
from moto.elbv2.models import elbv2_backends
from moto.iam.models import iam_backends
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends

from elbv2 import targets_of
from world import ACCOUNT

APP_TAG = "berth:app"
# Names as berth gives them, where a thing has no tags.
NAMED = re.compile(
    r"(?:^|/)(?:tenants/|/?berth/(?:apps/|hooks/)?|berth-)([a-z0-9-]+?)(?:-(?:task|execution|build|\d+))?(?:[/:.].*)?$"
)
SERVICE_LINKED = "/aws-service-role/"


def inventory(world):
    kinds = {name: list_kind(world) for name, list_kind in KINDS.items()}
    return {"counts": {name: len(items) for name, items in kinds.items()}, **kinds}


def flat(tags):
    """Tags as one object, whatever form moto keeps them in."""
    if isinstance(tags, dict):
        tags = tags.get("Tags") or tags.get("tags") or tags
    if isinstance(tags, dict):
        return {key: value["Value"] if isinstance(value, dict) else value for key, value in tags.items()}
    return {tag.get("Key", tag.get("key")): tag.get("Value", tag.get("value")) for tag in tags or []}


def app_of(name, tags):
    if APP_TAG in tags:
        return tags[APP_TAG]
    found = NAMED.search(name or "")
    return found[1] if found else None


def _item(identity, name, tags, **more):
    tags = flat(tags)
    return {"id": identity, "name": name, "app": app_of(name, tags), "tags": tags, **more}


def _all(backends):
    return list(backends[ACCOUNT].values())


# ECS

def _services(world):
    return [
        _item(s.arn, s.name, s.tags, status=s.status, task_definition=s.task_definition, desired=s.rollout.desired,
              running=s.rollout.counts()[0], deployments=[
                  {"id": d["id"], "status": d["status"], "state": d["rolloutState"], "task_definition": d["taskDefinition"]}
                  for d in s.rollout.describe_deployments()])
        for s in world.ecs.services() if s.status != "INACTIVE"
    ]


def _deployments(world):
    return [
        _item(s.rollout.history_arn(record), s.name, s.tags, service=s.name, status=record["status"],
              task_definition=record["deployment"].definition["taskDefinitionArn"])
        for s in world.ecs.services() for record in s.rollout.history if record["finished"] is None and s.status == "ACTIVE"
    ]


def _tasks(world):
    return [
        _item(t.arn, s.name, t.tags or s.tags, service=s.name, status=t.status, desired=t.desired,
              task_definition=t.definition["taskDefinitionArn"])
        for s in world.ecs.services() for t in s.rollout.tasks if t.status != "STOPPED"
    ]


def _task_definitions(_world):
    return [
        _item(d.arn, d.family, d.tags, family=d.family, revision=d.revision)
        for backend in _all(ecs_backends) for revisions in backend.task_definitions.values()
        for d in revisions.values() if d.status == "ACTIVE"
    ]


def _interfaces(_world):
    return [
        _item(e.id, e.description, {}) for backend in _all(ec2_backends) for e in backend.enis.values()
        if (e.description or "").startswith("arn:aws:ecs:")
    ]


# Load balancing

def _tagged(backend, arn):
    return backend.tagging_service.get_tag_dict_for_resource(arn)


def _target_groups(world):
    now = world.clock.now()
    return [
        _item(g.arn, g.name, _tagged(b, g.arn), used=bool(g.load_balancer_arns),
              targets=[f"{target}:{port}" for target, port in g.sim_targets.registered(now)])
        for b in _all(elbv2_backends) for g in b.target_groups.values()
    ]


def _listeners():
    return [(b, balancer, listener) for b in _all(elbv2_backends) for balancer in b.load_balancers.values()
            for listener in balancer.listeners.values()]


def _rules(_world):
    return [
        _rule(b, listener, rule) for b, _, listener in _listeners() for rule in listener._non_default_rules.values()
    ]


def _rule(backend, listener, rule):
    hosts = [host for condition in rule.conditions for host in condition.get("Values") or []]
    groups = [arn for arn in backend.target_groups if any(arn in str(getattr(a, "data", a)) for a in rule.actions)]
    names = [backend.target_groups[arn].name for arn in groups]
    return _item(rule.arn, names[0] if names else None, _tagged(backend, rule.arn), listener=listener.arn,
                 priority=int(rule.priority), hosts=hosts, target_groups=groups)


def _load_balancers(_world):
    return [
        _item(arn, balancer.name, _tagged(b, arn), target_groups=len(targets_of(balancer)))
        for b in _all(elbv2_backends) for arn, balancer in b.load_balancers.items()
    ]


# Builds

def _projects(_world):
    return [
        _item(p.project_metadata["arn"], name, p.project_metadata.get("tags"), builds_made=len(b.build_history.get(name, [])))
        for b in _all(codebuild_backends) for name, p in b.codebuild_projects.items()
    ]


def _builds(world):
    return [
        _item(b.record["id"], b.record["projectName"], {}, project=b.record["projectName"], phase=b.record["currentPhase"])
        for b in world.codebuild.running()
    ]


# What moto keeps

def _repositories(_world):
    return [
        _item(r.arn, name, b.tagger.get_tag_dict_for_resource(r.arn),
              images=[{"digest": i.get_image_digest(), "tags": sorted(i.image_tags)} for i in r.images])
        for b in _all(ecr_backends) for name, r in b.repositories.items()
    ]


def _roles(_world):
    return [
        _item(r.arn, r.name, r.tags, policies=sorted(r.policies))
        for r in iam_backends[ACCOUNT]["aws"].roles.values() if not r.path.startswith(SERVICE_LINKED)
    ]


def _log_groups(_world):
    return [
        _item(g.arn, name, b.tagger.get_tag_dict_for_resource(g.arn)) for b in _all(logs_backends) for name, g in b.groups.items()
    ]


def _secrets(_world):
    return [_item(s.arn, s.name, s.tags) for b in _all(secretsmanager_backends) for s in dict.values(b.secrets)]


def _buckets():
    return s3_backends[ACCOUNT]["aws"].buckets.values()


def _objects(_world):
    return [
        _item(f"{bucket.name}/{key}", key, {}, bucket=bucket.name, key=key, version=found.version_id,
              size=getattr(found, "contentsize", None) or getattr(found, "size", 0))
        for bucket in _buckets() for key, versions in bucket.keys.lists() for found in versions if hasattr(found, "etag")
    ]


def _uploads(_world):
    return [
        _item(upload.id, upload.key_name, {}, bucket=bucket.name, key=upload.key_name, parts=len(upload.parts))
        for bucket in _buckets() for upload in bucket.multiparts.values()
    ]


KINDS = {
    "services": _services, "deployments": _deployments, "tasks": _tasks, "task_definitions": _task_definitions,
    "target_groups": _target_groups, "rules": _rules, "projects": _projects, "builds": _builds, "repositories": _repositories,
    "roles": _roles, "log_groups": _log_groups, "objects": _objects, "uploads": _uploads, "secrets": _secrets,
    "interfaces": _interfaces, "load_balancers": _load_balancers,
}
