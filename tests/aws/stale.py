"""Stale reads of the services that are moto's own: IAM, ECR, CloudWatch Logs. The others ask `World.unseen`.

For a while after a change berth's reads are answered as before it. Here that is: as if the thing weren't there yet.
"""

import json

from moto.ecr.models import ecr_backends

import fault_kinds
from world import ACCOUNT

# What makes a thing: (service, operation) -> (kind, members that name it).
CREATES = {
    ("iam", "CreateRole"): ("role", ["RoleName"]),
    ("iam", "PutRolePolicy"): ("policy", ["RoleName", "PolicyName"]),
    ("ecr", "CreateRepository"): ("repository", ["repositoryName"]),
    ("logs", "CreateLogGroup"): ("log group", ["logGroupName"]),
}


class Stale:
    """WSGI: notes when things are made, and hides them from berth's reads for a while."""

    def __init__(self, world, app):
        self._world = world
        self._app = app

    def __call__(self, environ, start_response):
        call = environ.get("stand_in.call")
        if call is None or (call["service"] not in ("iam", "ecr", "logs")):
            return self._app(environ, start_response)
        with self._world.lock:
            refusal = self._refusal(call) if self._world.windows else None
            if refusal:
                code, status, message = refusal
                status, headers, body = fault_kinds.refuse(call, code, status, message)
                start_response(f"{status} Error", headers + [("Content-Length", str(len(body)))])
                return [body]
            answered = []
            chunks = self._app(environ, lambda status, headers, exc_info=None: answered.append((status, headers)))
            status, headers = answered[0]
            if status.startswith("200"):
                self._note(call)
                if self._world.windows and call["operation"] == "DescribeLogGroups":
                    chunks, headers = self._without_new_groups(call, chunks, headers)
        start_response(status, headers)
        return chunks

    def _note(self, call):
        kind, members = CREATES.get((call["service"], call["operation"]), (None, []))
        if kind:
            self._world.born[(kind, *(call["params"].get(member) for member in members))] = self._world.clock.now()

    def _hidden(self, call, *key):
        return self._world.unseen(call["access_key"], call["service"], self._world.born.get(key))

    def _refusal(self, call):
        """(code, status, message) when this read is to miss what was just made."""
        operation, params = call["operation"], call["params"]
        if operation in ("GetRole", "ListRoleTags", "GetRolePolicy") and self._hidden(call, "role", params["RoleName"]):
            return "NoSuchEntity", 404, f"The role with name {params['RoleName']} cannot be found."
        if operation == "GetRolePolicy" and self._hidden(call, "policy", params["RoleName"], params["PolicyName"]):
            return "NoSuchEntity", 404, f"The role policy with name {params['PolicyName']} cannot be found."
        if operation == "DescribeRepositories":
            for name in params.get("repositoryNames", []):
                if self._hidden(call, "repository", name):
                    return "RepositoryNotFoundException", 400, (
                        f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'")
        if operation == "ListTagsForResource" and call["service"] == "ecr":
            name = params["resourceArn"].partition(":repository/")[2]
            if self._hidden(call, "repository", name):
                return "RepositoryNotFoundException", 400, (
                    f"The repository with name '{name}' does not exist in the registry with id '{ACCOUNT}'")
        return self._missing_image(call) if operation == "DescribeImages" else None

    def _missing_image(self, call):
        name = call["params"]["repositoryName"]
        repositories = [b.repositories.get(name) for b in ecr_backends[ACCOUNT].values()]
        digests = {tag: image.get_image_digest() for r in repositories if r for image in r.images for tag in image.image_tags}
        for wanted in call["params"].get("imageIds", []):
            digest = wanted.get("imageDigest") or digests.get(wanted.get("imageTag"))
            if self._hidden(call, "image", name, digest):
                return "ImageNotFoundException", 400, (
                    f"The image with imageId {{imageDigest:'{wanted.get('imageDigest', 'null')}', "
                    f"imageTag:'{wanted.get('imageTag', 'null')}'}} does not exist within the repository with name '{name}' in the "
                    f"registry with id '{ACCOUNT}'")
        return None

    def _without_new_groups(self, call, chunks, headers):
        answer = json.loads(b"".join(chunks))
        answer["logGroups"] = [g for g in answer["logGroups"] if not self._hidden(call, "log group", g["logGroupName"])]
        body = json.dumps(answer).encode()
        headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
        return [body], headers + [("Content-Length", str(len(body)))]
