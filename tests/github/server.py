"""The GitHub stand-in: local bare repositories DIR/{owner}/{repo}.git behind GitHub's REST API. See README.md.

    .venv/bin/python tests/github/server.py --root DIR --port 0 --ready-file F [--token-file F] [--archive-host NAME]

Archives come from a second host (by default the name localhost, while the API is 127.0.0.1), as GitHub's
come from codeload.github.com: whoever follows the redirect must leave the Authorization header behind.
"""
import argparse
import hmac
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

import archive  # noqa: E402
from push_event import WEB, git, iso, node_id, read_facts, rest_repository, user  # noqa: E402
from state import RATE_LIMIT, State  # noqa: E402

BODY_MAX = 1 << 20
NAME = r"(?!\.{1,2}/)[A-Za-z0-9._-]{1,100}"
REPOSITORY = rf"/repos/(?P<owner>{NAME})/(?P<name>{NAME})"
DOCS = "https://docs.github.com/rest"
API_VERSION = "2022-11-28"
STATES = ("error", "failure", "pending", "success")
FORBIDDEN = ("Request forbidden by administrative rules. Please make sure your request has a User-Agent header "
             "(https://docs.github.com/en/rest/overview/resources-in-the-rest-api#user-agent-required). "
             "Check https://developer.github.com for other possible causes.\n")


class Stop(Exception):
    """An answer that is not a success; it ends the request."""

    def __init__(self, status, message, docs=DOCS, errors=None):
        super().__init__(message)
        self.status = status
        self.body = {"message": message, **({"errors": errors} if errors else {}), "documentation_url": docs,
                     "status": str(status)}


class Handler(BaseHTTPRequestHandler):
    """What the API and the archive host share: reading, answering, ordered failures, the journal."""

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "github.com", ""
    host = ""
    timeout = 60

    def version_string(self):
        return "github.com"

    def log_message(self, *_):
        pass

    def handle_request(self):
        address = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(address.query).items()}
        self.violation, self.route, self.failure, self.noted = None, None, {}, address.path.startswith("/_control/")
        try:
            body = self._read_body()
            self.respond(address.path, body)
        except Stop as stop:
            self.send_json(stop.status, stop.body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            self.note(0)

    def note(self, status):
        """Journal the request once, before its answer leaves: who has the answer finds the entry. Status 0: no answer."""
        if not self.noted:
            self.noted = True
            self.state.journal(host=self.host, method=self.command, path=urlsplit(self.path).path, route=self.route,
                               status=status, user_agent=self.headers.get("User-Agent"),
                               authorized="Authorization" in self.headers, violation=self.violation)

    do_GET = do_POST = do_HEAD = do_PUT = do_PATCH = do_DELETE = handle_request

    @property
    def state(self):
        return self.server.state

    def _read_body(self):
        length = int(self.headers.get("Content-Length") or 0)
        if length > BODY_MAX:
            self.close_connection = True
            raise Stop(413, "Payload too large")
        return self.rfile.read(length)

    def act_out_failure(self, route, full_name=None):
        """Whatever a test ordered for this route: delay, drop, or an answer instead of the real one."""
        self.route = route
        self.failure = order = self.state.take_failure(route, full_name)
        time.sleep(order.get("delay_s", 0))
        if order.get("drop"):
            self.close_connection = True
            self.connection.shutdown(socket.SHUT_RDWR)
            raise BrokenPipeError
        if "rate_limit" in order:
            self.send_json(*rate_limited(order))
            return True
        if "status" in order:
            body = {"message": order.get("message", "Server Error"), "documentation_url": DOCS}
            self.send_json(order["status"], body, order.get("headers"))
            return True
        return False

    def send_json(self, status, body, headers=None):
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_head(status, {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(text)),
                                **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(text)

    def send_text(self, status, text, headers=None):
        self.send_json(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8", **(headers or {})})

    def send_head(self, status, headers):
        self.note(status)
        self.send_response(status)
        common = {"x-github-request-id": uuid.uuid4().hex[:20].upper(), **self.common_headers()}
        for name, value in {**common, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def common_headers(self):
        return {}

    def repository(self, owner, name):
        path = os.path.join(self.server.root, owner, name + ".git")
        if not os.path.exists(os.path.join(path, "github.json")):
            raise Stop(404, "Not Found")
        return path, read_facts(path)


def rate_limited(order):
    """(status, body, headers) of GitHub's two refusals: the hourly limit is used up, or too much came at once."""
    wait_s = int(order.get("retry_after_s", 60))
    if order["rate_limit"] == "primary":
        body = {"message": "API rate limit exceeded for user ID 1. If you reach out to GitHub Support for help, please include the "
                           "request ID.", "documentation_url": f"{DOCS}/using-the-rest-api/rate-limits-for-the-rest-api"}
        headers = {"x-ratelimit-remaining": "0", "x-ratelimit-used": str(RATE_LIMIT),
                   "x-ratelimit-reset": str(int(time.time()) + wait_s)}
    else:
        body = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
                "documentation_url": f"{DOCS}/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits"}
        headers = {"Retry-After": str(wait_s)}
    status = int(order.get("status", 403))
    return status, {**body, "status": str(status)}, {**headers, **order.get("headers", {})}


def move_branch(path, branch, head):
    """As a push of somebody else would, without its event. head None: deleted."""
    ref = f"refs/heads/{branch}"
    git(path, *(["update-ref", "-d", ref] if head is None else ["update-ref", ref, head]))


def resolve(path, ref):
    """The commit a branch, tag, full ref or sha names, or None."""
    for name in (ref, f"refs/{ref}"):
        done = subprocess.run(["git", "--git-dir", path, "rev-parse", "--verify", "--quiet", "--end-of-options",
                               name + "^{commit}"], capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout.strip()
    return None


class Api(Handler):
    """api.github.com."""

    host = "api"

    def common_headers(self):
        used, window = getattr(self, "rate", (0, 0))
        return {"x-ratelimit-limit": str(RATE_LIMIT), "x-ratelimit-remaining": str(max(0, RATE_LIMIT - used)),
                "x-ratelimit-used": str(used), "x-ratelimit-reset": str(window), "x-ratelimit-resource": "core",
                "x-github-media-type": "github.v3; format=json", "x-github-api-version-selected": API_VERSION,
                "X-Content-Type-Options": "nosniff", "Cache-Control": "private, max-age=60, s-maxage=60",
                "Vary": "Accept, Authorization, Cookie, X-GitHub-OTP,Accept-Encoding, Accept, X-Requested-With"}

    def respond(self, path, body):
        if path.startswith("/_control/"):
            return self.control(path.removeprefix("/_control/"), body)
        self.rate = self.state.count_request()
        if not self.headers.get("User-Agent"):
            self.violation = "no User-Agent"
            return self.send_text(403, FORBIDDEN)
        version = self.headers.get("X-GitHub-Api-Version", API_VERSION)
        if version != API_VERSION:
            raise Stop(400, f"\"{version}\" is not a supported version")
        for pattern, method, name, answer in ROUTES:
            found = re.fullmatch(pattern, path)
            if found and (method == self.command or (method, self.command) == ("GET", "HEAD")):
                about = found.groupdict()
                if self.act_out_failure(name, f"{about.get('owner')}/{about.get('name')}"):
                    return None
                self.authorize()
                return answer(self, body, **{key: unquote(value) for key, value in found.groupdict().items()})
        raise Stop(404, "Not Found")

    def authorize(self):
        """Refuses a wrong token; what only a right one may see is decided where the repository is known."""
        given, token = self.headers.get("Authorization"), self.server.token
        self.trusted = token is None
        if given is None or token is None:
            return
        scheme, _, value = given.partition(" ")
        if scheme.lower() not in ("bearer", "token") or not hmac.compare_digest(value.encode(), token.encode()):
            raise Stop(401, "Bad credentials")
        self.trusted = True

    def visible(self, owner, name):
        path, facts = self.repository(owner, name)
        if facts["private"] and not self.trusted:
            raise Stop(404, "Not Found")
        return path, facts

    def zen(self, body):
        self.send_text(200, "Keep it logically awesome.")

    def rate_limit(self, body):
        used, window = self.rate
        core = {"limit": RATE_LIMIT, "used": used, "remaining": max(0, RATE_LIMIT - used), "reset": window}
        self.send_json(200, {"resources": {"core": core}, "rate": core})

    def show(self, body, owner, name):
        path, facts = self.visible(owner, name)
        self.send_json(200, rest_repository(path, facts))

    def branch(self, body, owner, name, branch):
        path, facts = self.visible(owner, name)
        move = self.state.take_move(facts["full_name"], branch)
        if move:
            move_branch(path, branch, move["head"])
        sha = resolve(path, f"refs/heads/{branch}")
        if not sha:
            raise Stop(404, "Branch not found", f"{DOCS}/branches/branches#get-a-branch")
        self.send_json(200, {"name": branch, "commit": commit(path, facts, sha), "protected": False})

    def commit(self, body, owner, name, ref):
        path, facts = self.visible(owner, name)
        sha = self.commit_of(path, ref)
        if "application/vnd.github.sha" in self.headers.get("Accept", ""):
            return self.send_text(200, sha)
        return self.send_json(200, commit(path, facts, sha))

    def commit_of(self, path, ref):
        if not git(path, "for-each-ref", "--count=1"):
            raise Stop(409, "Git Repository is empty.", f"{DOCS}/commits/commits#get-a-commit")
        sha = resolve(path, ref)
        if not sha:
            raise Stop(422, f"No commit found for SHA: {ref}", f"{DOCS}/commits/commits#get-a-commit")
        return sha

    def zipball(self, body, owner, name, ref=None):
        path, facts = self.visible(owner, name)
        ref = ref or git(path, "symbolic-ref", "--short", "HEAD").strip()
        target = f"/{owner}/{name}/legacy.zip/{quote(ref)}"
        link = f"http://{self.server.archive_address}{target}?token={self.state.sign_link(target)}"
        self.send_head(302, {"Location": link, "Content-Type": "text/html; charset=utf-8", "Content-Length": "0"})

    def create_status(self, body, owner, name, sha):
        path, facts = self.repository(owner, name)
        if not self.trusted:
            raise Stop(404 if facts["private"] else 401, "Not Found" if facts["private"] else "Requires authentication")
        docs = f"{DOCS}/commits/statuses#create-a-commit-status"
        if not re.fullmatch("[0-9a-f]{40}", sha) or not resolve(path, sha):
            raise Stop(422, f"No commit found for SHA: {sha}", docs)
        wanted = read_status(body, docs)
        stamp = iso(time.time())
        status = {"url": f"{rest_repository(path, facts)['url']}/statuses/{sha}", "avatar_url": user(owner)["avatar_url"],
                  "id": 0, "node_id": "", **wanted, "created_at": stamp, "updated_at": stamp, "creator": user(owner)}
        if sum(each["context"] == wanted["context"] for each in self.state.statuses(facts["full_name"], sha)) >= 1000:
            raise Stop(422, "Validation Failed", docs, ["This SHA and context has reached the maximum number of "
                                                        "statuses."])
        self.state.add_status(facts["full_name"], sha, status)
        status["node_id"] = node_id("StatusContext", status["id"])
        self.send_json(201, status, {"Location": status["url"]})

    def list_statuses(self, body, owner, name, ref):
        path, facts = self.visible(owner, name)
        self.send_json(200, self.state.statuses(facts["full_name"], self.commit_of(path, ref)))

    def combined_status(self, body, owner, name, ref):
        path, facts = self.visible(owner, name)
        sha = self.commit_of(path, ref)
        newest = {}
        for status in self.state.statuses(facts["full_name"], sha):
            newest.setdefault(status["context"], {k: v for k, v in status.items() if k != "creator"})
        states = {status["state"] for status in newest.values()}
        state = ("failure" if states & {"failure", "error"} else "success" if states == {"success"} else "pending")
        shown = rest_repository(path, facts)
        self.send_json(200, {"state": state, "statuses": list(newest.values()), "sha": sha, "total_count": len(newest),
                             "repository": shown, "commit_url": f"{shown['url']}/commits/{sha}",
                             "url": f"{shown['url']}/commits/{sha}/status"})

    # --- for tests only ---

    def control(self, name, body):
        order = json.loads(body or b"{}")
        if (self.command, name) == ("GET", "journal"):
            return self.send_json(200, {"entries": self.state.entries(int(self.query.get("after", 0)))})
        if (self.command, name) == ("GET", "violations"):
            return self.send_json(200, {"violations": [e for e in self.state.entries() if e["violation"]]})
        if (self.command, name) == ("GET", "hosts"):
            return self.send_json(200, {"api": self.server.address, "archive": self.server.archive_address})
        if (self.command, name) == ("POST", "reset"):
            self.state.reset()
            return self.send_json(200, {})
        if (self.command, name) == ("POST", "failures"):
            known = {route[2] for route in ROUTES} | {"archive", "*"}
            if order.get("match") not in known:
                raise Stop(400, f"match must be one of {', '.join(sorted(known))}")
            if order.get("rate_limit", "primary") not in ("primary", "secondary"):
                raise Stop(400, "rate_limit must be primary or secondary")
            self.state.order_failure(order)
            return self.send_json(200, {})
        if (self.command, name) == ("GET", "failures"):
            return self.send_json(200, {"failures": self.state.failures()})
        if (self.command, name) == ("DELETE", "failures"):
            self.state.clear_failures()
            return self.send_json(200, {})
        if (self.command, name) == ("POST", "branch"):
            return self.order_move(order)
        if (self.command, name) == ("POST", "archive"):
            if order.get("kind") not in ("bytes", "files", "empty", "git"):
                raise Stop(400, "kind must be bytes (size), files (count), empty or git")
            self.state.order_archive(order["repository"], None if order["kind"] == "git" else order)
            return self.send_json(200, {})
        raise Stop(404, f"no such control: {self.command} {name}")

    def order_move(self, order):
        path, _ = self.repository(*order["repository"].split("/", 1))
        if order["head"] is not None and not resolve(path, order["head"]):
            raise Stop(400, f"{order['repository']} has no commit {order['head']}")
        self.state.order_move({**order, "head": order["head"] and resolve(path, order["head"])})
        return self.send_json(200, {})


def read_status(body, docs):
    try:
        given = json.loads(body)
        if not isinstance(given, dict):
            raise ValueError
    except ValueError:
        raise Stop(400, "Problems parsing JSON", docs) from None
    wanted = {"state": given.get("state"), "description": given.get("description"), "target_url": given.get("target_url"),
              "context": given.get("context", "default")}
    for field, value in wanted.items():
        if value is not None and not isinstance(value, str):
            raise Stop(422, f"Invalid request.\n\nFor 'properties/{field}', {json.dumps(value)} is not a string.", docs)
    problems = []
    if wanted["state"] not in STATES:
        problems.append(("state", "state is not included in the list"))
    if len(wanted["description"] or "") > 140:
        problems.append(("description", "description is too long (maximum is 140 characters)"))
    if wanted["target_url"] and urlsplit(wanted["target_url"]).scheme not in ("http", "https"):
        problems.append(("target_url", "target_url must use http(s) scheme"))
    if not 1 <= len(wanted["context"] or "") <= 255:
        problems.append(("context", "context is too long (maximum is 255 characters)"))
    if problems:
        raise Stop(422, "Validation Failed", docs, [{"resource": "Status", "code": "custom", "field": field,
                                                      "message": message} for field, message in problems])
    return wanted


def commit(path, facts, sha):
    """A commit as the REST API shows it, without its files."""
    text = git(path, "show", "--no-patch", "--format=%T%n%P%n%an%n%ae%n%aI%n%cn%n%ce%n%cI%n%B", sha)
    tree, parents, author, author_email, author_date, committer, committer_email, date, message = text.split("\n", 8)
    api, web = f"https://api.github.com/repos/{facts['full_name']}", f"{WEB}/{facts['full_name']}"
    return {
        "sha": sha, "node_id": node_id("Commit", sha), "url": f"{api}/commits/{sha}", "html_url": f"{web}/commit/{sha}",
        "comments_url": f"{api}/commits/{sha}/comments", "author": None, "committer": None,
        "commit": {"author": {"name": author, "email": author_email, "date": author_date},
                   "committer": {"name": committer, "email": committer_email, "date": date},
                   "message": message.rstrip("\n"), "tree": {"sha": tree, "url": f"{api}/git/trees/{tree}"},
                   "url": f"{api}/git/commits/{sha}", "comment_count": 0},
        "parents": [{"sha": parent, "url": f"{api}/commits/{parent}", "html_url": f"{web}/commit/{parent}"}
                    for parent in parents.split()],
    }


REF = r"(?P<ref>[^?]+)"
ROUTES = [
    ("/zen", "GET", "zen", Api.zen),
    ("/rate_limit", "GET", "rate_limit", Api.rate_limit),
    (REPOSITORY, "GET", "repository", Api.show),
    (REPOSITORY + r"/branches/(?P<branch>.+)", "GET", "branch", Api.branch),
    (REPOSITORY + "/zipball/?", "GET", "zipball", Api.zipball),
    (REPOSITORY + "/zipball/" + REF, "GET", "zipball", Api.zipball),
    (REPOSITORY + "/statuses/(?P<sha>[^/]+)", "POST", "statuses", Api.create_status),
    (REPOSITORY + f"/commits/{REF}/statuses", "GET", "list_statuses", Api.list_statuses),
    (REPOSITORY + f"/commits/{REF}/status", "GET", "combined_status", Api.combined_status),
    (REPOSITORY + f"/commits/{REF}", "GET", "commit", Api.commit),
]


class Archive(Handler):
    """codeload.github.com: the archive a signed link names, streamed. It must never be shown the API's token."""

    host = "archive"

    def respond(self, path, body):
        found = re.fullmatch(rf"/(?P<owner>{NAME})/(?P<name>{NAME})/legacy\.zip/(?P<ref>.+)", path)
        if self.command not in ("GET", "HEAD") or not found:
            return self.send_text(404, "404: Not Found")
        if "Authorization" in self.headers:
            self.violation = "the API's Authorization header was sent on to the archive host"
            return self.send_text(400, "400: Invalid request")
        if self.act_out_failure("archive"):
            return None
        if not self.state.link_holds(path, self.query.get("token", "")):
            return self.send_text(404, "404: Not Found")
        repository, facts = self.repository(found["owner"], found["name"])
        sha = resolve(repository, unquote(found["ref"]))
        if not sha:
            return self.send_text(404, "404: Not Found")
        return self.stream(repository, facts, sha)

    def stream(self, repository, facts, sha):
        folder = archive.short_folder(facts["full_name"], sha)
        # GitHub streams archives as it makes them: no Content-Length, so only the last chunk says it is whole.
        self.send_head(200, {"Content-Type": "application/zip", "Transfer-Encoding": "chunked",
                             "Content-Disposition": f"attachment; filename={folder}.zip", "ETag": f'W/"{sha}"',
                             "Access-Control-Allow-Origin": "https://render.githubusercontent.com",
                             "Vary": "Authorization,Accept-Encoding,Origin"})
        if self.command == "HEAD":
            return
        self.left = self.failure.get("truncate_after_bytes")
        order = self.state.archive_order(facts["full_name"])
        if order:
            archive.generated(order, sha, folder, self.send_chunk)
        else:
            archive.from_git(repository, sha, folder, self.send_chunk)
        self.wfile.write(b"0\r\n\r\n")

    def send_chunk(self, data):
        if self.left is not None:
            data, self.left = data[:self.left], self.left - len(data)
        if data:
            self.wfile.write(b"%x\r\n%b\r\n" % (len(data), data))
        if self.left is not None and self.left <= 0:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            raise BrokenPipeError


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def __init__(self, host, port, handler, state, root, token=None):
        self.address_family = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)[0][0]
        super().__init__((host, port), handler)
        self.state, self.root, self.token = state, root, token
        self.address = f"{host}:{self.server_address[1]}"
        self.archive_address = None

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError)):
            super().handle_error(request, client_address)


def write_ready(path, port):
    """Whoever waits for the file must never read half of it."""
    if path:
        temporary = f"{path}.{os.getpid()}"
        with open(temporary, "w", encoding="ascii") as file:
            file.write(f"{port}\n")
        os.replace(temporary, path)


def read_token(arguments):
    if arguments.token_file:
        with open(arguments.token_file, encoding="ascii") as file:
            return file.read().strip()
    return arguments.token


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", required=True, help="folder of the bare repositories: {owner}/{repo}.git")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--ready-file", help="gets the API's port once requests are answered")
    parser.add_argument("--token", help="what Authorization: Bearer must carry; shows in the process list")
    parser.add_argument("--token-file", help="the same, read from a file")
    parser.add_argument("--archive-host", default="localhost", help="host name archives are served from")
    parser.add_argument("--archive-port", type=int, default=0)
    arguments = parser.parse_args()

    state, root = State(), os.path.abspath(arguments.root)
    api = Server("127.0.0.1", arguments.port, Api, state, root, read_token(arguments))
    archives = Server(arguments.archive_host, arguments.archive_port, Archive, state, root)
    api.archive_address = archives.address
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0))
    threading.Thread(target=archives.serve_forever, daemon=True).start()
    write_ready(arguments.ready_file, api.server_address[1])
    api.serve_forever()


if __name__ == "__main__":
    main()
