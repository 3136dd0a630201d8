"""Back to the platform alone, in milliseconds: what tenants have is taken out, what make_platform made keeps its ARNs."""

from moto.codebuild.models import codebuild_backends
from moto.ecr.models import ecr_backends
from moto.elbv2.models import elbv2_backends
from moto.iam.models import iam_backends
from moto.logs.models import logs_backends
from moto.s3.models import s3_backends
from moto.secretsmanager.models import secretsmanager_backends

from elbv2 import derive_use
from inventory import SERVICE_LINKED
from world import ACCOUNT

PLATFORM_TAG = "berth:platform"


def clear_tenants(world, also_keep):
    unknown = sorted(set(also_keep) - set(CLEARERS))
    if unknown:
        raise ValueError(f"kept may be {', '.join(CLEARERS)}; not {', '.join(unknown)}")
    world.journal.clear()
    world.forget_orders()
    world.faults.clear()
    world.ecs.remove_all()
    world.elbv2.forget()
    world.codebuild.discard_builds()
    for kind, clear in CLEARERS.items():
        if kind not in also_keep:
            clear()


def _all(backends):
    return list(backends[ACCOUNT].values())


def _rules_and_target_groups():
    for backend in _all(elbv2_backends):
        for arn in list(backend.load_balancers):
            if PLATFORM_TAG not in backend.tagging_service.get_tag_dict_for_resource(arn):
                del backend.load_balancers[arn]
        listeners = [li for balancer in backend.load_balancers.values() for li in balancer.listeners.values()]
        for listener in listeners:
            for arn in list(listener._non_default_rules):
                listener.remove_rule(arn)
                backend.tagging_service.delete_all_tags_for_resource(arn)
        for arn in list(backend.target_groups):
            del backend.target_groups[arn]
            backend.tagging_service.delete_all_tags_for_resource(arn)
        derive_use(backend)


def _projects():
    for backend in _all(codebuild_backends):
        backend.codebuild_projects.clear()
        backend.build_history.clear()


def _repositories():
    for backend in _all(ecr_backends):
        for repository in backend.repositories.values():
            backend.tagger.delete_all_tags_for_resource(repository.arn)
        backend.repositories.clear()


def _roles():
    backend = iam_backends[ACCOUNT]["aws"]
    for policy in backend.managed_policies.values():
        policy.attachment_count = 0
    backend.roles = {key: role for key, role in backend.roles.items() if role.path.startswith(SERVICE_LINKED)}


def _log_groups():
    for backend in _all(logs_backends):
        for group in backend.groups.values():
            backend.tagger.delete_all_tags_for_resource(group.arn)
        backend.groups.clear()


def _objects():
    for bucket in s3_backends[ACCOUNT]["aws"].buckets.values():
        for _, versions in list(bucket.keys.lists()):
            for found in versions:
                if hasattr(found, "dispose"):
                    found.dispose()
        bucket.keys = type(bucket.keys)()
        bucket.multiparts = type(bucket.multiparts)()


def _secrets():
    for backend in _all(secretsmanager_backends):
        backend.secrets.clear()


CLEARERS = {
    "rules": _rules_and_target_groups, "projects": _projects, "repositories": _repositories, "roles": _roles,
    "log_groups": _log_groups, "objects": _objects, "secrets": _secrets,
}
