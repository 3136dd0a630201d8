#!/usr/bin/env python3
"""Makes and tends the bare repositories that stand for GitHub's.

    repository.py create DIR owner/repo [--id N] [--public] [--branch main] [--hook-url URL --secret-file F]
    repository.py install-hook DIR owner/repo --hook-url URL --secret-file F
    repository.py ping DIR owner/repo
    repository.py deliveries DIR owner/repo
    repository.py redeliver DIR owner/repo DELIVERY_ID
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time
import zlib

sys.path.insert(0, os.path.dirname(os.path.realpath(__file__)))

from deliver import deliver, deliveries, encode, in_words  # noqa: E402
from push_event import API, iso, read_facts, rest_repository, user  # noqa: E402

HERE = os.path.dirname(os.path.realpath(__file__))
NAME = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,100}")


def path_of(root, full_name):
    owner, _, name = full_name.partition("/")
    if not NAME.fullmatch(owner) or not NAME.fullmatch(name):
        raise SystemExit(f"{full_name}: a repository is named owner/repo")
    return os.path.join(root, owner, name + ".git")


def create(root, full_name, number, private, branch):
    path = path_of(root, full_name)
    if os.path.exists(path):
        raise SystemExit(f"{path} exists already")
    subprocess.run(["git", "init", "--quiet", "--bare", "--template=", f"--initial-branch={branch}", path], check=True)
    write_facts(path, {"id": number or zlib.crc32(full_name.encode()) % 900_000_000 + 1_000_000, "full_name": full_name,
                       "owner": full_name.split("/")[0], "private": private, "created_at": int(time.time()),
                       "hook": None})
    return path


def write_facts(path, facts):
    target = os.path.join(path, "github.json")
    with open(target + ".new", "w", encoding="utf-8") as file:
        json.dump(facts, file, indent=1)
    os.replace(target + ".new", target)


def install_hook(path, url, secret_file):
    """Point the repository's one webhook at url; a second call changes it and keeps its id."""
    facts = read_facts(path)
    number = facts["hook"]["id"] if facts["hook"] else zlib.crc32(path.encode()) % 900_000_000 + 1_000_000
    facts["hook"] = {"id": number, "url": url, "secret_file": os.path.abspath(secret_file), "created_at": int(time.time())}
    write_facts(path, facts)
    os.makedirs(os.path.join(path, "hooks"), exist_ok=True)
    link = os.path.join(path, "hooks", "post-receive")
    if os.path.lexists(link):
        os.unlink(link)
    os.symlink(os.path.join(HERE, "post-receive"), link)


def ping(path):
    """What GitHub sends once when a webhook is made."""
    facts = read_facts(path)
    hook, url = facts["hook"], f"{API}/repos/{facts['full_name']}/hooks/{facts['hook']['id']}"
    stamp = iso(hook["created_at"])
    shown = {"type": "Repository", "id": hook["id"], "name": "web", "active": True, "events": ["push"],
             "config": {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": hook["url"]},
             "updated_at": stamp, "created_at": stamp, "url": url, "test_url": url + "/test", "ping_url": url + "/pings",
             "deliveries_url": url + "/deliveries", "last_response": {"code": None, "status": "unused", "message": None}}
    payload = {"zen": "Keep it logically awesome.", "hook_id": hook["id"], "hook": shown,
               "repository": rest_repository(path, facts), "sender": user(facts["owner"])}
    return deliver(path, facts, "ping", encode(payload))


def redeliver(path, delivery):
    """Send a kept delivery again: the same body and delivery id, signed with the hook's present secret."""
    found = [record for record in deliveries(path) if delivery in (str(record["id"]), record["guid"])]
    if not found:
        raise SystemExit(f"no delivery {delivery} in {path}")
    record = found[0]
    if record["request"] is None:
        raise SystemExit(f"delivery {delivery} was never sent: {record['status']}")
    return deliver(path, read_facts(path), record["event"], record["request"]["body"].encode(), record["guid"])


def parse(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("create", "install-hook", "ping", "deliveries", "redeliver"):
        command = commands.add_parser(name)
        command.add_argument("root")
        command.add_argument("repository")
        if name in ("create", "install-hook"):
            command.add_argument("--hook-url", required=name == "install-hook")
            command.add_argument("--secret-file", required=name == "install-hook")
        if name == "create":
            command.add_argument("--id", type=int)
            command.add_argument("--public", action="store_true")
            command.add_argument("--branch", default="main")
        if name == "redeliver":
            command.add_argument("delivery")
    return parser.parse_args(arguments)


def main(arguments=None):
    given = parse(arguments)
    path = path_of(given.root, given.repository)
    if given.command == "create":
        path = create(given.root, given.repository, given.id, not given.public, given.branch)
        print(path)
    if given.command in ("create", "install-hook") and given.hook_url:
        if not given.secret_file:
            raise SystemExit("--hook-url needs --secret-file")
        install_hook(path, given.hook_url, given.secret_file)
    if given.command == "ping":
        print(in_words(ping(path)))
    if given.command == "redeliver":
        print(in_words(redeliver(path, given.delivery)))
    if given.command == "deliveries":
        for record in deliveries(path):
            print(record["id"], record["guid"], record["event"], in_words(record))


if __name__ == "__main__":
    main()
