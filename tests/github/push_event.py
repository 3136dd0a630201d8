"""GitHub's `push` event, made from a bare repository and one updated ref. Standard library only."""
import base64
import json
import os
import re
import subprocess
import time
import zlib
from datetime import datetime, timezone

ZERO = "0" * 40
COMMITS_MAX = 2048
WEB, API = "https://github.com", "https://api.github.com"


def git(repository, *arguments, stdin=None):
    """Output of a git command as text; paths and messages that are not UTF-8 are replaced, as GitHub does."""
    done = subprocess.run(["git", "--git-dir", repository, *arguments], input=stdin, capture_output=True, check=True)
    return done.stdout.decode("utf-8", "replace")


def exists(repository, revision):
    return subprocess.run(["git", "--git-dir", repository, "cat-file", "-e", revision], capture_output=True).returncode == 0


def read_facts(repository):
    """What GitHub keeps beside git: id, full name, visibility, hook. See repository.py."""
    with open(os.path.join(repository, "github.json"), encoding="utf-8") as file:
        return json.load(file)


def default_branch(repository):
    return git(repository, "symbolic-ref", "--short", "HEAD").strip()


def push_event(repository, ref, before, after, old_refs):
    """The payload for one ref that went from `before` to `after`.

    old_refs: {ref: value} of the other refs as they were when this one was updated; it decides which commits are
    new to the repository.
    """
    facts = read_facts(repository)
    kind = ref.split("/")[1]
    created, deleted = before == ZERO, after == ZERO
    commits = [] if deleted or kind == "tags" else _new_commits(repository, before, after, old_refs)
    url = f"{WEB}/{facts['full_name']}"
    tip = None if deleted else git(repository, "rev-parse", after + "^{commit}").strip()
    forced = not created and not deleted and not _is_ancestor(repository, before, after)
    base = _base_ref(ref, tip, old_refs) if created and not commits else None
    return {
        "ref": ref, "before": before, "after": after,
        "repository": webhook_repository(repository, facts),
        "pusher": {"name": facts["owner"], "email": email(facts["owner"])},
        "sender": user(facts["owner"]),
        "created": created, "deleted": deleted, "forced": forced, "base_ref": base,
        "compare": _compare(url, ref, before, after, commits, created, repository),
        "commits": _describe(repository, url, [sha for sha, _ in commits], {sha for sha, new in commits if not new}),
        "head_commit": _describe(repository, url, [tip], ())[0] if tip else None,
    }


def _is_ancestor(repository, before, after):
    done = subprocess.run(["git", "--git-dir", repository, "merge-base", "--is-ancestor", before, after],
                          capture_output=True)
    return done.returncode == 0


def _new_commits(repository, before, after, old_refs):
    """[(sha, distinct)], oldest first: what the ref gained, and whether any other branch had it already."""
    hidden = [f"^{value}" for name, value in old_refs.items() if name.startswith("refs/heads/")]
    known = [f"^{before}"] if before != ZERO and exists(repository, before) else hidden
    gained = git(repository, "rev-list", "--ignore-missing", "--topo-order", f"--max-count={COMMITS_MAX}", "--stdin",
                 stdin="\n".join([after, *known]).encode()).split()
    distinct = set(git(repository, "rev-list", "--ignore-missing", "--stdin",
                       stdin="\n".join([after, *known, *hidden]).encode()).split())
    return [(sha, sha in distinct) for sha in reversed(gained)]


def _base_ref(ref, tip, old_refs):
    same = [name for name, value in sorted(old_refs.items())
            if value == tip and name != ref and name.startswith("refs/heads/")]
    return same[0] if same else None


def _compare(url, ref, before, after, commits, created, repository):
    short = ref.split("/", 2)[2]
    if not created:
        return f"{url}/compare/{before[:12]}...{after[:12]}"
    if not commits:
        return f"{url}/compare/{short}"
    first = commits[0][0]
    if len(commits) == 1:
        return f"{url}/commit/{first}"
    has_parent = exists(repository, first + "^")
    return f"{url}/compare/{first[:12]}{'^' if has_parent else ''}...{after[:12]}"


def _describe(repository, url, shas, old):
    """GitHub's commit objects for the shas, in that order; `old` are those that are not distinct."""
    if not shas:
        return []
    listed = "\n".join(shas).encode() + b"\n"
    log = git(repository, "log", "--no-walk=unsorted", "--stdin", "-z",
              "--format=%H%n%T%n%cI%n%an%n%ae%n%cn%n%ce%n%B", stdin=listed)
    files = _changed_files(repository, listed)
    commits = []
    for record in log.rstrip("\0").split("\0"):
        sha, tree, stamp, author, author_email, committer, committer_email, message = record.split("\n", 7)
        added, removed, modified = files.get(sha, ([], [], []))
        commits.append({
            "id": sha, "tree_id": tree, "distinct": sha not in old, "message": message.rstrip("\n"),
            "timestamp": re.sub(r"\+00:00$", "Z", stamp), "url": f"{url}/commit/{sha}",
            "author": _person(author, author_email), "committer": _person(committer, committer_email),
            "added": added, "removed": removed, "modified": modified,
        })
    return commits


def _person(name, address):
    person = {"name": name, "email": address}
    known = re.fullmatch(r"(?:\d+\+)?([A-Za-z0-9-]+)@users\.noreply\.github\.com", address)
    return {**person, "username": known[1]} if known else person


def _changed_files(repository, listed):
    """{sha: (added, removed, modified)} against the first parent; a rename is one removed and one added."""
    fields = git(repository, "diff-tree", "--stdin", "-z", "-r", "--root", "--name-status", "--no-renames",
                 "--diff-merges=first-parent", stdin=listed).split("\0")
    files, sha, position = {}, None, 0
    while position < len(fields) - 1:
        if len(fields[position]) >= 40:
            sha = fields[position][:40]
            position += 1
            continue
        place = {"A": 0, "D": 1}.get(fields[position], 2)
        files.setdefault(sha, ([], [], []))[place].append(fields[position + 1])
        position += 2
    return files


# --- people and repositories as GitHub shows them -----------------------------------------------------------------

def account_id(login):
    return zlib.crc32(login.encode()) % 90_000_000 + 1_000_000


def email(login):
    return f"{account_id(login)}+{login}@users.noreply.github.com"


def node_id(kind, number):
    return base64.b64encode(f"0{len(kind)}:{kind}{number}".encode()).decode()


def user(login):
    number, url = account_id(login), f"{API}/users/{login}"
    return {
        "login": login, "id": number, "node_id": node_id("User", number),
        "avatar_url": f"https://avatars.githubusercontent.com/u/{number}?v=4", "gravatar_id": "",
        "url": url, "html_url": f"{WEB}/{login}", "followers_url": f"{url}/followers",
        "following_url": f"{url}/following{{/other_user}}", "gists_url": f"{url}/gists{{/gist_id}}",
        "starred_url": f"{url}/starred{{/owner}}{{/repo}}", "subscriptions_url": f"{url}/subscriptions",
        "organizations_url": f"{url}/orgs", "repos_url": f"{url}/repos", "events_url": f"{url}/events{{/privacy}}",
        "received_events_url": f"{url}/received_events", "type": "User", "site_admin": False,
    }


API_PATHS = {
    "forks_url": "forks", "keys_url": "keys{/key_id}", "collaborators_url": "collaborators{/collaborator}",
    "teams_url": "teams", "hooks_url": "hooks", "issue_events_url": "issues/events{/number}", "events_url": "events",
    "assignees_url": "assignees{/user}", "branches_url": "branches{/branch}", "tags_url": "tags",
    "blobs_url": "git/blobs{/sha}", "git_tags_url": "git/tags{/sha}", "git_refs_url": "git/refs{/sha}",
    "trees_url": "git/trees{/sha}", "statuses_url": "statuses/{sha}", "languages_url": "languages",
    "stargazers_url": "stargazers", "contributors_url": "contributors", "subscribers_url": "subscribers",
    "subscription_url": "subscription", "commits_url": "commits{/sha}", "git_commits_url": "git/commits{/sha}",
    "comments_url": "comments{/number}", "issue_comment_url": "issues/comments{/number}",
    "contents_url": "contents/{+path}", "compare_url": "compare/{base}...{head}", "merges_url": "merges",
    "archive_url": "{archive_format}{/ref}", "downloads_url": "downloads", "issues_url": "issues{/number}",
    "pulls_url": "pulls{/number}", "milestones_url": "milestones{/number}",
    "notifications_url": "notifications{?since,all,participating}", "labels_url": "labels{/name}",
    "releases_url": "releases{/id}", "deployments_url": "deployments",
}
COUNTS = dict.fromkeys(("size", "stargazers_count", "watchers_count", "forks_count", "open_issues_count", "forks",
                        "open_issues", "watchers"), 0)


def iso(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def rest_repository(repository, facts):
    """The repository as the REST API shows it; times are text."""
    full, api = facts["full_name"], f"{API}/repos/{facts['full_name']}"
    pushed = os.path.getmtime(os.path.join(repository, "refs", "heads"))
    return {
        "id": facts["id"], "node_id": node_id("Repository", facts["id"]), "name": full.split("/")[1],
        "full_name": full, "private": facts["private"], "owner": user(facts["owner"]), "html_url": f"{WEB}/{full}",
        "description": None, "fork": False, "url": api,
        **{name: f"{api}/{path}" for name, path in API_PATHS.items()},
        "created_at": iso(facts["created_at"]), "updated_at": iso(pushed), "pushed_at": iso(pushed),
        "git_url": f"git://github.com/{full}.git", "ssh_url": f"git@github.com:{full}.git",
        "clone_url": f"{WEB}/{full}.git", "svn_url": f"{WEB}/{full}", "homepage": None, "language": None,
        **COUNTS, "has_issues": True, "has_projects": True, "has_downloads": True, "has_wiki": True, "has_pages": False,
        "has_discussions": False, "mirror_url": None, "archived": False, "disabled": False, "license": None,
        "allow_forking": True, "is_template": False, "web_commit_signoff_required": False, "topics": [],
        "visibility": "private" if facts["private"] else "public", "custom_properties": {},
        "default_branch": default_branch(repository),
    }


def webhook_repository(repository, facts):
    """The repository as push events show it: an owner with name and email, a web address, times in seconds."""
    shown = rest_repository(repository, facts)
    owner = {"name": facts["owner"], "email": email(facts["owner"]), **shown["owner"]}
    return {**shown, "owner": owner, "url": f"{WEB}/{facts['full_name']}", "created_at": facts["created_at"],
            "pushed_at": int(time.time()), "stargazers": 0, "master_branch": shown["default_branch"]}
