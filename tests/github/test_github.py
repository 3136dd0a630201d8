"""The GitHub stand-in answers as GitHub documents, and its hook posts what GitHub posts."""
import hashlib
import hmac
import http.client
import io
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

HERE = os.path.dirname(os.path.realpath(__file__))
TOKEN = "ghp_not_a_real_token"
SECRET = "it's a secret to everybody"
ZERO = "0" * 40
IDENTITY = {"GIT_AUTHOR_NAME": "Ann", "GIT_AUTHOR_EMAIL": "ann@example.test", "GIT_COMMITTER_NAME": "Ann",
            "GIT_COMMITTER_EMAIL": "1+ann@users.noreply.github.com", "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_SYSTEM": "/dev/null"}
COMMIT_FIELDS = ["id", "tree_id", "distinct", "message", "timestamp", "url", "author", "committer", "added", "removed",
                 "modified"]
PUSH_FIELDS = {"ref", "before", "after", "repository", "pusher", "sender", "created", "deleted", "forced", "base_ref",
               "compare", "commits", "head_commit"}


class Receiver(ThreadingHTTPServer):
    """Where the hook posts to: keeps what came, answers what a test wants."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), self.Handler)
        self.got, self.answer, self.delay_s = [], (202, b'{"release":1}'), 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.server.got.append((dict(self.headers), body))
            time.sleep(self.server.delay_s)
            status, text = self.server.answer
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    def events(self):
        return [json.loads(body) for _, body in self.got]


class World:
    def __init__(self, folder):
        self.folder, self.root = folder, str(folder / "hub")
        self.work = str(folder / "work")
        self.secret_file = folder / "secret"
        self.secret_file.write_text(SECRET + "\n")
        self.receiver = Receiver()
        ready = folder / "ready"
        token_file = folder / "token"
        token_file.write_text(TOKEN)
        self.process = subprocess.Popen([sys.executable, f"{HERE}/server.py", "--root", self.root, "--port", "0",
                                         "--ready-file", str(ready), "--token-file", str(token_file)])
        deadline = time.monotonic() + 10
        while not ready.exists():
            assert time.monotonic() < deadline and self.process.poll() is None
            time.sleep(0.02)
        self.port = int(ready.read_text())

    def close(self):
        self.process.kill()
        self.process.wait()
        self.receiver.shutdown()
        self.receiver.server_close()

    def repository(self, *arguments):
        done = subprocess.run([sys.executable, f"{HERE}/repository.py", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def create(self, name="acme/shop", *more):
        url = f"http://127.0.0.1:{self.receiver.server_address[1]}/hooks/github/shop"
        return self.repository("create", self.root, name, "--id", "4711", "--hook-url", url, "--secret-file",
                               str(self.secret_file), *more)

    def git(self, *arguments, **more):
        done = subprocess.run(["git", "-C", self.work, *arguments], capture_output=True, text=True,
                              env={**os.environ, **IDENTITY}, **more)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip() + done.stderr

    def commit(self, message="change", **files):
        for name, text in files.items():
            path = os.path.join(self.work, name)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def call(self, method, path, body=None, port=None, host="127.0.0.1", **headers):
        connection = http.client.HTTPConnection(host, port or self.port, timeout=10)
        sent = {"User-Agent": "berth-test", "Authorization": f"Bearer {TOKEN}",
                **{name.replace("_", "-"): value for name, value in headers.items()}}
        data = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        connection.request(method, path, data, {name: value for name, value in sent.items() if value is not None})
        response = connection.getresponse()
        try:
            return response, response.read()
        finally:
            connection.close()

    def get(self, path, **headers):
        response, text = self.call("GET", path, **headers)
        return response.status, json.loads(text)

    def archive(self, path="/repos/acme/shop/zipball/main", **headers):
        """Follow the redirect as a client should: without the Authorization header unless a test adds it."""
        response, _ = self.call("GET", path)
        assert response.status == 302
        link = urlsplit(response.headers["Location"])
        return self.call("GET", f"{link.path}?{link.query}", port=link.port, host=link.hostname,
                         **{"Authorization": None, **headers})

    def control(self, name, **order):
        response, text = self.call("POST", f"/_control/{name}", order)
        assert response.status == 200, text
        return json.loads(text)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    made = World(tmp_path_factory.mktemp("github"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def seeds(shared):
    """Folders made once and copied for each test: an empty repository, and one with a commit already pushed."""
    seeds = shared.folder / "seeds"
    os.makedirs(shared.root)
    shared.bare = shared.create()
    subprocess.run(["git", "init", "-q", "--template=", "-b", "main", shared.work], check=True)
    shared.git("remote", "add", "origin", shared.bare)
    for name in ("hub", "work"):
        shutil.copytree(shared.folder / name, seeds / "empty" / name, symlinks=True)
    shared.head = shared.commit("first", Dockerfile="FROM scratch\n", run="#!/bin/sh\n")
    shared.git("push", "-q", "origin", "main")
    for name in ("hub", "work"):
        shutil.copytree(shared.folder / name, seeds / "pushed" / name, symlinks=True)
    return seeds


def start_from(seeds, name, world):
    for folder in ("hub", "work"):
        shutil.rmtree(world.folder / folder)
        shutil.copytree(seeds / name / folder, world.folder / folder, symlinks=True)
    world.receiver.got.clear()
    world.receiver.answer, world.receiver.delay_s = (202, b'{"release":1}'), 0
    world.control("reset")
    return world


@pytest.fixture
def world(shared, seeds):
    """One empty repository, acme/shop, and a work tree that pushes to it."""
    return start_from(seeds, "empty", shared)


@pytest.fixture
def pushed(shared, seeds):
    """The same with one commit on main, already pushed and forgotten by the receiver."""
    return start_from(seeds, "pushed", shared)


# --- the hook ----------------------------------------------------------------------------------------------------

def test_a_push_posts_githubs_headers_and_a_valid_signature(world):
    world.commit(Dockerfile="FROM scratch\n")

    told = world.git("push", "origin", "main")

    headers, body = world.receiver.got[0]
    assert 'remote: berth: 202 {"release":1}' in told
    assert headers["User-Agent"].startswith("GitHub-Hookshot/")
    assert headers["Content-Type"] == "application/json"
    assert headers["X-GitHub-Event"] == "push"
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", headers["X-GitHub-Delivery"])
    assert headers["X-GitHub-Hook-ID"].isdigit()
    assert headers["X-GitHub-Hook-Installation-Target-ID"] == "4711"
    assert headers["X-GitHub-Hook-Installation-Target-Type"] == "repository"
    assert headers["X-Hub-Signature-256"] == "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Hub-Signature"] == "sha1=" + hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()


def test_a_first_push_tells_every_field_of_githubs_example(world):
    sha = world.commit("first\n\nwith a body ü", Dockerfile="FROM scratch\n", gone="1")

    world.git("push", "origin", "main")

    event = world.receiver.events()[0]
    assert set(event) == PUSH_FIELDS
    assert (event["ref"], event["before"], event["after"]) == ("refs/heads/main", ZERO, sha)
    assert (event["created"], event["deleted"], event["forced"], event["base_ref"]) == (True, False, False, None)
    assert event["compare"] == f"https://github.com/acme/shop/commit/{sha}"
    assert [list(commit) for commit in event["commits"]] == [COMMIT_FIELDS]
    commit = event["commits"][0]
    assert commit == event["head_commit"]
    assert commit["message"] == "first\n\nwith a body ü" and commit["distinct"] is True
    assert (commit["added"], commit["removed"], commit["modified"]) == (["Dockerfile", "gone"], [], [])
    assert commit["author"] == {"name": "Ann", "email": "ann@example.test"}
    assert commit["committer"]["username"] == "ann"
    repository = event["repository"]
    assert (repository["id"], repository["full_name"], repository["default_branch"]) == (4711, "acme/shop", "main")
    assert repository["owner"]["login"] == repository["owner"]["name"] == "acme"
    assert isinstance(repository["created_at"], int) and isinstance(repository["pushed_at"], int)
    assert repository["node_id"] == "MDEwOlJlcG9zaXRvcnk0NzEx"
    assert event["pusher"]["name"] == event["sender"]["login"] == "acme"


def test_a_second_push_lists_its_commits_oldest_first_with_their_files(pushed):
    two = pushed.commit("two", Dockerfile="FROM alpine\n")
    os.rename(f"{pushed.work}/run", f"{pushed.work}/start now")
    three = pushed.commit("three")

    pushed.git("push", "origin", "main")

    event = pushed.receiver.events()[0]
    assert (event["before"], event["after"], event["created"]) == (pushed.head, three, False)
    assert event["compare"] == f"https://github.com/acme/shop/compare/{pushed.head[:12]}...{three[:12]}"
    assert [commit["id"] for commit in event["commits"]] == [two, three]
    assert event["commits"][0]["modified"] == ["Dockerfile"]
    assert (event["commits"][1]["added"], event["commits"][1]["removed"]) == (["start now"], ["run"])
    assert event["head_commit"]["id"] == three


def test_a_forced_push_says_so(pushed):
    pushed.git("commit", "-q", "--amend", "-m", "other")

    pushed.git("push", "--force", "origin", "main")

    event = pushed.receiver.events()[0]
    assert event["forced"] is True and event["before"] == pushed.head
    assert [commit["message"] for commit in event["commits"]] == ["other"]


def test_a_rewind_is_forced_and_has_no_commits(pushed):
    pushed.commit("two")
    pushed.git("push", "origin", "main")
    pushed.git("push", "--force", "origin", f"{pushed.head}:main")

    event = pushed.receiver.events()[1]
    assert event["forced"] is True and event["commits"] == []
    assert event["head_commit"]["id"] == pushed.head


def test_a_new_branch_without_commits_names_its_base(pushed):
    pushed.git("push", "origin", "main:feature/x")

    event = pushed.receiver.events()[0]
    assert (event["ref"], event["created"], event["base_ref"]) == ("refs/heads/feature/x", True, "refs/heads/main")
    assert event["commits"] == [] and event["head_commit"]["id"] == pushed.head
    assert event["compare"] == "https://github.com/acme/shop/compare/feature/x"


def test_a_deleted_branch_has_no_head_commit(pushed):
    pushed.git("push", "-q", "origin", "main:old")

    pushed.git("push", "origin", ":old")

    event = pushed.receiver.events()[1]
    assert (event["deleted"], event["after"], event["head_commit"], event["commits"]) == (True, ZERO, None, [])


def test_an_annotated_tag_has_the_tags_id_and_the_commit_as_head(pushed):
    pushed.git("tag", "-a", "v1", "-m", "one")

    pushed.git("push", "origin", "v1")

    event = pushed.receiver.events()[0]
    assert event["ref"] == "refs/tags/v1" and event["commits"] == []
    assert event["after"] == pushed.git("rev-parse", "v1") != pushed.head
    assert event["head_commit"]["id"] == pushed.head and event["base_ref"] == "refs/heads/main"


def test_a_merge_lists_the_merged_commits_and_the_files_against_its_first_parent(pushed):
    pushed.git("checkout", "-q", "-b", "side")
    side = pushed.commit("side", side="1")
    pushed.git("checkout", "-q", "main")
    pushed.commit("main", other="1")
    pushed.git("merge", "-q", "--no-ff", "-m", "merge", "side")
    pushed.git("push", "-q", "origin", "side")

    pushed.git("push", "origin", "main")

    commits = {commit["message"]: commit for commit in pushed.receiver.events()[1]["commits"]}
    assert set(commits) == {"side", "main", "merge"}
    assert commits["side"]["id"] == side and commits["side"]["distinct"] is False
    assert commits["merge"]["added"] == ["side"] and commits["merge"]["distinct"] is True


def test_several_refs_are_told_one_by_one_but_more_than_three_tags_not_at_all(pushed):
    pushed.git("push", "origin", "main:a", "main:b")
    for name in "1234":
        pushed.git("tag", name)
    pushed.git("push", "origin", "--tags")

    assert [event["ref"] for event in pushed.receiver.events()] == ["refs/heads/a", "refs/heads/b"]


def test_a_push_lists_at_most_2048_commits(pushed):
    stream = "".join(f"commit refs/heads/main\ncommitter A <a@b.c> {1700000000 + i} +0200\ndata 2\n{i % 10}\n"
                     + (f"from {pushed.head}\n" if i == 0 else "") + "\n" for i in range(2050))
    pushed.git("fast-import", "--quiet", "--force", input=stream)

    pushed.git("push", "origin", "main")

    event = pushed.receiver.events()[0]
    assert len(event["commits"]) == 2048
    assert event["commits"][-1]["id"] == event["after"] == event["head_commit"]["id"]
    assert event["commits"][0]["timestamp"].endswith("+02:00")


def test_a_refused_or_dead_receiver_does_not_fail_the_push_and_is_written_down(pushed):
    pushed.receiver.answer = (401, b'{"error":"bad\x1b[31m signature"}')
    pushed.commit("two")
    refused = pushed.git("push", "origin", "main")
    pushed.repository("install-hook", pushed.root, "acme/shop", "--hook-url", "http://127.0.0.1:9/x", "--secret-file",
                      str(pushed.secret_file))
    pushed.commit("three")
    dead = pushed.git("push", "origin", "main")

    assert 'remote: berth: 401 {"error":"bad' in refused and "\x1b[31m" not in refused.split("signature")[0]
    assert "remote: berth: no answer, failed to connect" in dead
    kept = pushed.repository("deliveries", pushed.root, "acme/shop").splitlines()
    assert len(kept) == 3 and "no answer" in kept[2]


def test_a_delivery_is_sent_again_with_its_id_and_body(pushed):
    pushed.commit("two")
    pushed.git("push", "-q", "origin", "main")
    first_headers, first_body = pushed.receiver.got[0]
    pushed.secret_file.write_text("another secret")

    told = pushed.repository("redeliver", pushed.root, "acme/shop", first_headers["X-GitHub-Delivery"])

    pushed.secret_file.write_text(SECRET)
    headers, body = pushed.receiver.got[1]
    assert told == 'berth: 202 {"release":1}'
    assert body == first_body and headers["X-GitHub-Delivery"] == first_headers["X-GitHub-Delivery"]
    assert headers["X-Hub-Signature-256"] == "sha256=" + hmac.new(b"another secret", body, hashlib.sha256).hexdigest()
    assert sum(first_headers["X-GitHub-Delivery"] in line for line in
               pushed.repository("deliveries", pushed.root, "acme/shop").splitlines()) == 2


def test_a_slow_receiver_is_left_after_githubs_ten_seconds(monkeypatch, pushed):
    sys.path.insert(0, HERE)
    import deliver
    from push_event import read_facts
    monkeypatch.setattr(deliver, "TIMEOUT_S", 0.3)
    pushed.receiver.delay_s = 0.8

    record = deliver.deliver(pushed.bare, read_facts(pushed.bare), "push", b"{}")

    assert record["status"] == "timed out" and record["duration"] < 0.7
    assert len(pushed.receiver.got) == 1


def test_a_payload_over_25_mib_is_not_delivered(pushed):
    sys.path.insert(0, HERE)
    import deliver
    from push_event import read_facts

    record = deliver.deliver(pushed.bare, read_facts(pushed.bare), "push", b"x" * (25 * 1024 * 1024 + 1))

    assert "too large" in record["status"] and not pushed.receiver.got


def test_a_ping_names_the_hook_and_hides_its_secret(world):
    world.repository("ping", world.root, "acme/shop")

    headers, body = world.receiver.got[0]
    assert headers["X-GitHub-Event"] == "ping"
    assert json.loads(body)["hook"]["config"]["secret"] == "********" and SECRET.encode() not in body


# --- the API -----------------------------------------------------------------------------------------------------

def test_the_repository_its_branch_and_commits_are_shown(pushed):
    status, repository = pushed.get("/repos/acme/shop")
    assert (status, repository["id"], repository["full_name"]) == (200, 4711, "acme/shop")
    assert (repository["default_branch"], repository["private"]) == ("main", True)

    assert pushed.get("/repos/acme/shop/branches/main")[1]["commit"]["sha"] == pushed.head
    for ref in ("main", "heads/main", "refs/heads/main", pushed.head, pushed.head[:8]):
        status, commit = pushed.get(f"/repos/acme/shop/commits/{ref}")
        assert (status, commit["sha"], commit["commit"]["message"]) == (200, pushed.head, "first")
    _, text = pushed.call("GET", "/repos/acme/shop/commits/main", Accept="application/vnd.github.sha")
    assert text.decode() == pushed.head


def test_answers_carry_githubs_headers(pushed):
    response, _ = pushed.call("GET", "/repos/acme/shop")

    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert response.headers["Server"] == "github.com"
    assert response.headers["x-github-request-id"]
    assert int(response.headers["x-ratelimit-remaining"]) == 4999
    assert int(response.headers["x-ratelimit-reset"]) > time.time()


@pytest.mark.parametrize("path,status,message", [
    ("/repos/acme/nothing", 404, "Not Found"), ("/repos/../..", 404, "Not Found"), ("/nothing", 404, "Not Found"),
    ("/repos/acme/shop/branches/nothing", 404, "Branch not found"),
    ("/repos/acme/shop/commits/nothing", 422, "No commit found for SHA: nothing"),
    ("/repos/acme/shop/commits/--all", 422, "No commit found for SHA: --all"),
    ("/repos/acme/nothing/zipball/main", 404, "Not Found")])
def test_what_is_not_there_is_answered_as_github_does(pushed, path, status, message):
    got, answer = pushed.get(path)

    assert (got, answer["message"], answer["status"]) == (status, message, str(status))
    assert answer["documentation_url"].startswith("https://docs.github.com/rest")


def test_an_empty_repository_has_no_commits(world):
    assert world.get("/repos/acme/shop/commits/main")[0] == 409
    assert world.archive()[0].status == 404


def test_a_request_without_a_user_agent_is_forbidden_and_a_violation(pushed):
    response, text = pushed.call("GET", "/zen", User_Agent=None)

    assert response.status == 403 and b"User-Agent" in text
    assert pushed.get("/_control/violations")[1]["violations"][0]["violation"] == "no User-Agent"


def test_a_wrong_token_is_bad_credentials_and_none_hides_a_private_repository(pushed):
    wrong = pushed.get("/repos/acme/shop", Authorization="Bearer wrong")
    none = pushed.get("/repos/acme/shop", Authorization=None)
    pushed.create("acme/open", "--public")
    public = pushed.get("/repos/acme/open", Authorization=None)

    assert (wrong[0], wrong[1]["message"]) == (401, "Bad credentials")
    assert none[0] == 404
    assert public[0] == 200


def test_the_journal_holds_no_token(pushed):
    pushed.archive()

    text = json.dumps(pushed.get("/_control/journal")[1])
    assert TOKEN not in text and "token=" not in text
    assert [entry["route"] for entry in json.loads(text)["entries"]] == ["zipball", "archive"]


# --- statuses ----------------------------------------------------------------------------------------------------

def post_status(world, sha=None, **given):
    response, text = world.call("POST", f"/repos/acme/shop/statuses/{sha or world.head}", given)
    return response.status, json.loads(text)


def test_a_status_is_stored_and_combined_by_context(pushed):
    created = post_status(pushed, state="pending", context="berth", description="building", target_url="https://a.test/1")
    post_status(pushed, state="success", context="berth")
    post_status(pushed, state="pending", context="ci")

    assert created[0] == 201 and created[1]["state"] == "pending" and created[1]["creator"]["login"] == "acme"
    listed = pushed.get(f"/repos/acme/shop/commits/{pushed.head}/statuses")[1]
    assert [each["state"] for each in listed] == ["pending", "success", "pending"]
    combined = pushed.get("/repos/acme/shop/commits/main/status")[1]
    assert (combined["state"], combined["total_count"], combined["sha"]) == ("pending", 2, pushed.head)


@pytest.mark.parametrize("given,field", [
    ({"state": "done"}, "state"), ({}, "state"), ({"state": "success", "description": "x" * 141}, "description"),
    ({"state": "success", "target_url": "javascript:alert(1)"}, "target_url"),
    ({"state": "success", "context": "x" * 256}, "context")])
def test_a_status_outside_the_limits_is_422_and_names_the_field(pushed, given, field):
    status, answer = post_status(pushed, **given)

    assert (status, answer["message"]) == (422, "Validation Failed")
    assert [error["field"] for error in answer["errors"]] == [field]


def test_a_status_for_an_unknown_or_short_sha_is_422_and_one_that_is_not_json_400(pushed):
    assert post_status(pushed, "0" * 40, state="success")[0] == 422
    assert post_status(pushed, pushed.head[:7], state="success")[0] == 422
    assert pushed.call("POST", f"/repos/acme/shop/statuses/{pushed.head}", b"{")[0].status == 400
    assert pushed.call("POST", f"/repos/acme/shop/statuses/{pushed.head}", {"state": "success"},
                       Authorization=None)[0].status == 404


# --- archives ----------------------------------------------------------------------------------------------------

def test_an_archive_comes_from_another_host_with_one_top_folder_and_unix_modes(pushed):
    os.chmod(f"{pushed.work}/run", 0o755)
    os.symlink("run", f"{pushed.work}/link")
    head = pushed.commit("modes")
    pushed.git("push", "-q", "origin", "main")

    redirect, _ = pushed.call("GET", "/repos/acme/shop/zipball/main")
    response, text = pushed.archive()

    assert urlsplit(redirect.headers["Location"]).hostname == "localhost"
    assert response.status == 200 and response.headers["Content-Type"] == "application/zip"
    assert response.headers["Transfer-Encoding"] == "chunked" and response.headers["Content-Length"] is None
    with zipfile.ZipFile(io.BytesIO(text)) as archive:
        folder = f"acme-shop-{head[:7]}/"
        assert {name.split("/")[0] + "/" for name in archive.namelist()} == {folder}
        assert archive.comment.decode() == head
        modes = {name.removeprefix(folder): archive.getinfo(name).external_attr >> 16 for name in archive.namelist()}
        # git writes a Unix mode only where it matters; everything else is a plain file to whoever unpacks it.
        assert stat.S_IMODE(modes["run"]) == 0o755 and modes["Dockerfile"] == 0
        assert stat.S_ISLNK(modes["link"]) and archive.read(folder + "link") == b"run"


@pytest.mark.parametrize("ref", ["", "/", "/main", "/refs/heads/main", "/v1"])
def test_an_archive_is_had_by_branch_full_ref_tag_or_none(pushed, ref):
    pushed.git("tag", "v1")
    pushed.git("push", "-q", "origin", "v1")

    assert pushed.archive(f"/repos/acme/shop/zipball{ref}")[0].status == 200


def test_a_missing_ref_is_a_404_of_the_archive_host(pushed):
    response, text = pushed.archive("/repos/acme/shop/zipball/nothing")

    assert (response.status, text) == (404, b"404: Not Found")


def test_an_authorization_header_at_the_archive_host_is_refused_and_a_violation(pushed):
    response, _ = pushed.archive(Authorization=f"Bearer {TOKEN}")

    assert response.status == 400
    assert "Authorization" in pushed.get("/_control/violations")[1]["violations"][0]["violation"]


def test_an_archive_link_with_another_token_is_not_found(pushed):
    link = urlsplit(pushed.call("GET", "/repos/acme/shop/zipball/main")[0].headers["Location"])

    response, _ = pushed.call("GET", f"{link.path}?{link.query[:-1]}0x", port=link.port, host="localhost",
                              Authorization=None)

    assert response.status == 404


def test_a_generated_archive_of_many_bytes_is_streamed_whole_in_bounded_memory(pushed):
    size = 60_000_000
    pushed.control("archive", repository="acme/shop", kind="bytes", size=size)

    _, text = pushed.archive()

    with zipfile.ZipFile(io.BytesIO(text)) as archive:
        assert sorted(info.file_size for info in archive.infolist())[-1] == size
        assert archive.testzip() is None
    with open(f"/proc/{pushed.process.pid}/status", encoding="ascii") as file:
        peak_kib = int(re.search(r"VmHWM:\s+(\d+)", file.read())[1])
    assert peak_kib < 50_000


def test_a_generated_archive_of_many_files_has_them_all(pushed):
    pushed.control("archive", repository="acme/shop", kind="files", count=3000)

    _, text = pushed.archive()

    with zipfile.ZipFile(io.BytesIO(text)) as archive:
        assert sum(name.endswith(".txt") for name in archive.namelist()) == 3000
        assert any(name.endswith("/Dockerfile") for name in archive.namelist())


def test_an_empty_archive_has_only_its_top_folder(pushed):
    pushed.control("archive", repository="acme/shop", kind="empty")

    _, text = pushed.archive()

    with zipfile.ZipFile(io.BytesIO(text)) as archive:
        assert archive.namelist() == [f"acme-shop-{pushed.head[:7]}/"]


def test_a_truncated_archive_ends_without_its_last_chunk_once(pushed):
    pushed.control("failures", match="archive", truncate_after_bytes=100)

    with pytest.raises(http.client.IncompleteRead) as caught:
        pushed.archive()

    assert len(caught.value.partial) == 100
    assert pushed.archive()[0].status == 200


def test_ordered_failures_answer_delay_and_drop(pushed):
    pushed.control("failures", match="zipball", times=2, status=502)
    pushed.control("failures", match="statuses", status=403, message="API rate limit exceeded",
                   headers={"x-ratelimit-remaining": "0", "Retry-After": "1"})
    pushed.control("failures", match="branch", delay_s=0.2)
    pushed.control("failures", match="repository", drop=True)

    statuses = [pushed.call("GET", "/repos/acme/shop/zipball/main")[0].status for _ in range(3)]
    limited, _ = pushed.call("POST", f"/repos/acme/shop/statuses/{pushed.head}", {"state": "success"})
    began = time.monotonic()
    pushed.get("/repos/acme/shop/branches/main")
    took = time.monotonic() - began

    assert statuses == [502, 502, 302]
    assert limited.status == 403 and limited.headers["Retry-After"] == "1"
    assert limited.headers["x-ratelimit-remaining"] == "0"
    assert took >= 0.2
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        pushed.get("/repos/acme/shop")
    assert pushed.get("/repos/acme/shop")[0] == 200


@pytest.mark.parametrize("kind, status, header", [("primary", 403, "x-ratelimit-reset"), ("secondary", 429, "Retry-After")])
def test_a_rate_limit_refuses_the_branch_as_github_does_and_says_when(pushed, kind, status, header):
    pushed.control("failures", match="branch", rate_limit=kind, status=status, retry_after_s=30, repository="acme/shop")

    refused, body = pushed.call("GET", "/repos/acme/shop/branches/main")
    again = pushed.get("/repos/acme/shop/branches/main")[0]

    assert (refused.status, again) == (status, 200)
    assert b"rate limit" in body
    assert 0 < int(refused.headers[header]) - (time.time() if kind == "primary" else 0) <= 31
    assert (refused.headers["x-ratelimit-remaining"] == "0") == (kind == "primary")


def test_a_failure_of_one_repository_leaves_the_others_alone_and_is_counted(pushed):
    pushed.control("failures", match="branch", status=502, repository="acme/other", times=3)

    mine = pushed.get("/repos/acme/shop/branches/main")[0]
    theirs = pushed.get("/repos/acme/other/branches/main")[0]

    failures = pushed.get("/_control/failures")[1]["failures"]
    pushed.call("DELETE", "/_control/failures")
    assert (mine, theirs, [each["fired"] for each in failures]) == (200, 502, [1])
    assert pushed.get("/_control/failures")[1]["failures"] == []


def test_a_branch_moves_between_two_looks(pushed):
    first = pushed.head
    second = pushed.commit("later")
    pushed.git("push", "-q", "origin", "HEAD:refs/heads/elsewhere")
    pushed.control("branch", repository="acme/shop", branch="main", head=second, after=1)

    looks = [pushed.get("/repos/acme/shop/branches/main")[1]["commit"]["sha"] for _ in range(3)]

    assert looks == [first, second, second]


def test_a_branch_is_forced_back_or_gone_when_looked_at(pushed):
    older = pushed.head
    pushed.commit("newer")
    pushed.git("push", "-q", "origin", "main")
    pushed.control("branch", repository="acme/shop", branch="main", head=older)

    back = pushed.get("/repos/acme/shop/branches/main")[1]["commit"]["sha"]
    pushed.control("branch", repository="acme/shop", branch="main", head=None)

    assert back == older
    assert pushed.get("/repos/acme/shop/branches/main")[0] == 404


def test_a_branch_moves_only_to_a_commit_that_is_there(pushed):
    wanted = {"repository": "acme/shop", "branch": "main", "head": "f" * 40}

    assert pushed.call("POST", "/_control/branch", wanted)[0].status == 400
