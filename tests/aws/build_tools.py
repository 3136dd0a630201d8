"""docker and aws inside a build's container, as far as buildspecs need them. Runs by itself, with nothing but the standard library.

    python -IS build_tools.py docker|aws ARGUMENTS…

What they know and do is one JSON file, named by BUILD_STATE: the registry as it is, the source's digest, images, logins and
pushes. The stand-in writes it before a command and carries out the pushes after it. What isn't emulated fails loudly.
"""

import hashlib
import json
import os
import re
import sys

BUILD_OPTIONS = {
    "-t": "tag", "--tag": "tag", "-f": "file", "--file": "file", "--label": "label", "--build-arg": "build-arg",
    "--progress": None, "--platform": None, "--cache-from": None, "--cache-to": None, "--target": "target", "--network": None,
}
BUILD_FLAGS = {"--push", "--load", "--pull", "--no-cache", "-q", "--quiet", "--rm"}
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


class Fail(Exception):
    def __init__(self, code, *lines):
        super().__init__("\n".join(lines))
        self.code = code


def docker(state, words):
    if words[:2] in (["buildx", "build"], ["image", "build"]):
        return build(state, words[2:])
    if words[:2] == ["image", "inspect"]:
        return inspect(state, words[2:])
    if words[:2] == ["image", "push"]:
        return push(state, words[2:])
    commands = {"build": build, "push": push, "inspect": inspect, "login": login, "tag": tag}
    if not words or words[0] not in commands:
        raise Fail(125, f"docker: '{' '.join(words)}' is not emulated by the stand-in")
    return commands[words[0]](state, words[1:])


def login(state, words):
    host = words[-1]
    sys.stdin.read()
    if host != state["host"]:
        raise Fail(1, f"Error response from daemon: login attempt to https://{host}/v2/ failed with status: 400 Bad Request")
    state["logins"].append(host)
    print("Login Succeeded")


def build(state, words):
    options, flags, contexts = parse_build(words)
    if len(contexts) != 1:
        raise Fail(1, 'ERROR: "docker build" requires exactly 1 argument.')
    name = (options["file"] or ["Dockerfile"])[-1]
    path = name if options["file"] else os.path.join(contexts[0], name)
    print("#1 [internal] load build definition from Dockerfile", file=sys.stderr)
    if not os.path.isfile(path):
        raise Fail(1, "#1 transferring dockerfile: 2B done", "#1 DONE 0.0s",
                   f"ERROR: failed to solve: failed to read dockerfile: open {os.path.basename(name)}: no such file or directory")
    with open(path, "rb") as file:
        dockerfile = file.read()
    if not re.search(rb"(?im)^\s*FROM\s+\S", dockerfile):
        raise Fail(1, f"#1 transferring dockerfile: {len(dockerfile)}B done", "#1 DONE 0.0s",
                   "ERROR: failed to solve: dockerfile parse error: file with no instructions or no build stage in current context")
    image = make_image(state, dockerfile, options)
    for reference in options["tag"]:
        state["images"][full(reference)] = image
    print(f"#1 transferring dockerfile: {len(dockerfile)}B done\n#1 DONE 0.0s\n#4 exporting to image\n"
          f"#4 writing image {image['id']} done", file=sys.stderr)
    if "--push" in flags:
        for reference in options["tag"]:
            push(state, [reference])


def parse_build(words):
    options = {kind: [] for kind in BUILD_OPTIONS.values() if kind}
    flags, contexts = set(), []
    words = list(words)
    while words:
        word, _, value = words.pop(0).partition("=")
        if word in BUILD_OPTIONS:
            value = value or (words.pop(0) if words else "")
            if BUILD_OPTIONS[word]:
                options[BUILD_OPTIONS[word]].append(value)
        elif word in BUILD_FLAGS:
            flags.add(word)
        elif word.startswith("-"):
            raise Fail(125, f"unknown flag: {word} (to the stand-in's docker)")
        else:
            contexts.append(word)
    return options, flags, contexts


def make_image(state, dockerfile, options):
    """An image whose digest depends on the source's files, the Dockerfile, its labels and arguments, and on nothing else."""
    settings = {kind: sorted(options[kind]) for kind in ("label", "build-arg", "target")}
    config = hashlib.sha256(dockerfile + json.dumps(settings, sort_keys=True).encode()).hexdigest()
    manifest = json.dumps({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{config}", "size": len(dockerfile)},
        "layers": [{
            "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": state["layer"], "size": state["size"],
        }],
    })
    digest = "sha256:" + hashlib.sha256(manifest.encode()).hexdigest()
    return {"id": f"sha256:{config}", "manifest": manifest, "digest": digest, "repositories": []}


def push(state, words):
    reference = full(words[-1])
    image = state["images"].get(reference)
    repository, _, wanted = reference.rpartition(":")
    host, _, name = repository.partition("/")
    print(f"The push refers to repository [{repository}]")
    if image is None:
        raise Fail(1, f"An image does not exist locally with the tag: {repository}")
    if host != state["host"]:
        raise Fail(1, f'Get "https://{host}/v2/": dial tcp: lookup {host}: no such host')
    if host not in state["logins"]:
        raise Fail(1, "no basic auth credentials")
    known = state["repositories"].get(name)
    if known is None:
        raise Fail(1, f"name unknown: The repository with name '{name}' does not exist in the registry with id "
                      f"'{state['account']}'")
    if known["immutable"] and wanted in known["tags"]:
        raise Fail(1, f"tag invalid: The image tag '{wanted}' already exists in the '{name}' repository and cannot be overwritten "
                      "because the tag is immutable.")
    known["tags"].append(wanted)
    state["pushes"].append({"repository": name, "tag": wanted, "manifest": image["manifest"], "digest": image["digest"]})
    image["repositories"] = sorted({*image["repositories"], repository})
    print(f"{wanted}: digest: {image['digest']} size: {len(image['manifest'])}")


def tag(state, words):
    source, target = words
    if full(source) not in state["images"]:
        raise Fail(1, f"Error response from daemon: No such image: {full(source)}")
    state["images"][full(target)] = state["images"][full(source)]


def inspect(state, words):
    template, names = "", []
    words = list(words)
    while words:
        word, _, value = words.pop(0).partition("=")
        if word in ("--format", "-f"):
            template = value or words.pop(0)
        else:
            names.append(word)
    for name in names:
        image = state["images"].get(full(name))
        if image is None:
            raise Fail(1, f"Error response from daemon: No such image: {full(name)}")
        print(shown(image, template))


def shown(image, template):
    digests = [f"{repository}@{image['digest']}" for repository in image["repositories"]]
    template = re.sub(r"\s+", " ", template.strip())
    if template == "{{range .RepoDigests}}{{println .}}{{end}}":
        return "".join(f"{digest}\n" for digest in digests)
    if template == "{{index .RepoDigests 0}}":
        if not digests:
            raise Fail(1, "template parsing error: template: :1:2: executing \"\" at <index .RepoDigests 0>: "
                          "error calling index: reflect: slice index out of range")
        return digests[0]
    if template == "{{.Id}}":
        return image["id"]
    if not template:
        return json.dumps([{"Id": image["id"], "RepoDigests": digests}], indent=4)
    raise Fail(125, f"docker inspect: the template {template} is not emulated by the stand-in")


def full(reference):
    """A reference with its tag: docker's default is latest."""
    return reference if ":" in reference.rpartition("/")[2] else f"{reference}:latest"


def aws(_state, words):
    if [word for word in words if not word.startswith("-")][:2] != ["ecr", "get-login-password"]:
        raise Fail(252, f"aws: '{' '.join(words)}' is not emulated by the stand-in")
    print("a-password-of-the-stand-in")


def main():
    path = os.environ["BUILD_STATE"]
    with open(path, encoding="utf-8") as file:
        before = file.read()
    state = json.loads(before)
    try:
        {"docker": docker, "aws": aws}[sys.argv[1]](state, sys.argv[2:])
        code = 0
    except Fail as failure:
        print(failure, file=sys.stderr)
        code = failure.code
    keep(path, before, json.dumps(state))
    sys.exit(code)


def keep(path, before, after):
    """Commands of a pipeline run at once: who changed nothing writes nothing, and nobody reads half a file."""
    if after != before:
        temporary = f"{path}.{os.getpid()}"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(after)
        os.replace(temporary, path)


if __name__ == "__main__":
    main()
