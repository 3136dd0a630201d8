"""GitHub's side of a webhook: payloads, signatures, posts."""

import hashlib
import hmac
import http.client
import json
import uuid

NO_COMMIT = "0" * 40


def commit_id(text):
    return hashlib.sha1(str(text).encode()).hexdigest()


def push(repository="acme/shop", repository_id=4711, branch="main", commit=None, title="Change the colour", commits=1, **more):
    """A push's payload, with the members that GitHub sends."""
    after = commit or commit_id(uuid.uuid4())
    owner, name = repository.split("/")
    head = {
        "id": after, "tree_id": commit_id(after), "distinct": True, "message": f"{title}\n\nAnd say why.",
        "timestamp": "2026-11-20T10:00:00+01:00", "url": f"https://github.com/{repository}/commit/{after}",
        "author": {"name": "Mara", "email": "mara@example.test", "username": "mara"},
        "committer": {"name": "Mara", "email": "mara@example.test", "username": "mara"},
        "added": ["Dockerfile"], "removed": [], "modified": ["README.md"],
    }
    earlier = [{**head, "id": commit_id((after, i)), "message": f"Commit {i}"} for i in range(commits - 1)]
    return {
        "ref": f"refs/heads/{branch}", "before": commit_id("before"), "after": after,
        "repository": {
            "id": repository_id, "name": name, "full_name": repository, "private": False, "default_branch": "main",
            "owner": {"name": owner, "login": owner, "id": 1}, "html_url": f"https://github.com/{repository}",
        },
        "pusher": {"name": "mara", "email": "mara@example.test"}, "sender": {"login": "mara", "id": 2, "type": "User"},
        "created": False, "deleted": False, "forced": False, "base_ref": None,
        "compare": f"https://github.com/{repository}/compare/before...after", "commits": [*earlier, head], "head_commit": head, **more,
    }


def encode(payload):
    return payload if isinstance(payload, bytes) else json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()


def sign(secret, body):
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def headers_of(secret, body, event="push", delivery=None):
    return {
        "User-Agent": "GitHub-Hookshot/044aadd", "Accept": "*/*", "Content-Type": "application/json", "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery or str(uuid.uuid4()), "X-GitHub-Hook-ID": "1", "X-Hub-Signature-256": sign(secret, body),
    }


class Answer:
    def __init__(self, reply, body):
        self.status = reply.status
        self.headers = {name.lower(): value for name, value in reply.getheaders()}
        self.text = body
        self.type = self.headers.get("content-type", "")

    @property
    def json(self):
        assert self.type == "application/json", (self.status, self.type, self.text)
        return json.loads(self.text)

    @property
    def code(self):
        """Of a refusal."""
        return self.json["error"]["code"]

    def __repr__(self):
        return f"{self.status} {self.text!r}"


class Poster:
    """One connection to the web server, kept alive."""

    def __init__(self, port, timeout=30):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def ask(self, method, path, body=None, headers=None):
        self.connection.request(method, path, body, headers or {})
        reply = self.connection.getresponse()
        return Answer(reply, reply.read())

    def deliver(self, app, secret, payload, event="push", delivery=None, **changed):
        """Post as GitHub does. changed: headers by name with _ for -, None leaves one out."""
        body = encode(payload)
        headers = headers_of(secret, body, event, delivery)
        for name, value in changed.items():
            name = next(known for known in [*headers, name.replace("_", "-")] if known.lower() == name.replace("_", "-").lower())
            if value is None:
                headers.pop(name, None)
            else:
                headers[name] = value
        return self.ask("POST", f"/hooks/github/{app}", body, headers)
