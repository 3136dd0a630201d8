"""A build's container: the source from S3, and the buildspec's own commands, run by a real shell.

The shell runs in a folder of its own with a clean environment, finds `docker` and `aws` as build_tools.py has them, and passes
folder and variables on from one command to the next, as CodeBuild does. Of the source only what a buildspec looks at is laid
out: files near the top, and Dockerfiles.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import zipfile

from moto.ecr.models import ecr_backends
from moto.s3.models import s3_backends

from buildspec import Buildspec, PhaseFailed

COMMAND_LIMIT_S = 30
MAX_OUTPUT = 256 * 1024
MAX_LAID_OUT = 2000
# CodeBuild's agent keeps the shell's variables and folder in files between commands; so does this.
SCRIPT = """trap 'CODEBUILD_LAST_EXIT=$?; env -0 > "$BUILD_KEEP/env"; pwd > "$BUILD_KEEP/folder"; exit $CODEBUILD_LAST_EXIT' EXIT
set -a
. "$BUILD_KEEP/command"
"""
TOOLS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "build_tools.py")


class Container:
    def __init__(self, world, account, region, record):
        self._account, self._region = account, region
        self._now, self._born = world.clock.now, world.born
        self._record = record
        self.buildspec = None
        self.resolved_version = None
        self._root = tempfile.mkdtemp(prefix="build-", dir=world.scratch())
        self._variables = {}
        self._folder = self._path("src")
        self._entries = []
        self._texts = {}
        self._tools = {"logins": [], "images": {}, "pushes": []}

    def close(self):
        shutil.rmtree(self._root, ignore_errors=True)

    def download_source(self, own_variables):
        """Fetch the source, read the buildspec, lay out the files. Raises PhaseFailed as DOWNLOAD_SOURCE does."""
        source = self._record["source"]
        if source["type"] == "S3":
            self._open_archive(source.get("location", ""), self._record.get("sourceVersion"))
        elif source["type"] != "NO_SOURCE":
            raise PhaseFailed("CLIENT_ERROR", f"authentication required for primary source and source type {source['type']}")
        self.buildspec = Buildspec(self._buildspec_text(source.get("buildspec")))
        self._lay_out()
        self._layer = self._digest_of_files()
        given = {v["name"]: v["value"] for v in self._record["environment"].get("environmentVariables", [])}
        self._variables = {
            "PATH": f"{self._path('bin')}:/usr/local/bin:/usr/bin:/bin", "HOME": self._root, "LANG": "C.UTF-8",
            **self.buildspec.variables(), **given, **own_variables, "CODEBUILD_SRC_DIR": self._path("src"),
            "CODEBUILD_RESOLVED_SOURCE_VERSION": self.resolved_version or "",
            "BUILD_STATE": self._path("state.json"), "BUILD_KEEP": self._root,
        }

    def run(self, command):
        """Run one command; returns its lines. Raises PhaseFailed when it ends with another status than 0."""
        self._write("command", command + "\n")
        self._write("script", SCRIPT)
        self._write_state()
        status, output = self._shell()
        self._keep()
        self._carry_out_pushes()
        lines = output.splitlines()
        if status != 0:
            message = f"Error while executing command: {command}. Reason: exit status {status}"
            raise PhaseFailed("COMMAND_EXECUTION_ERROR", message, lines)
        return lines

    def exported_variables(self):
        """What `env.exported-variables` names, as the shell left it: unset is an empty string."""
        names = self.buildspec.exported() if self.buildspec else []
        return [{"name": name, "value": self._variables.get(name, "")} for name in names]

    # The shell

    def _shell(self):
        process = subprocess.Popen(
            [self.buildspec.shell(), self._path("script")], cwd=self._folder, env=self._variables, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )
        try:
            output, _ = process.communicate(timeout=COMMAND_LIMIT_S)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
        return process.returncode, output[:MAX_OUTPUT].decode("utf-8", "replace")

    def _keep(self):
        with open(self._path("env"), "rb") as file:
            pairs = [pair.partition(b"=") for pair in file.read().split(b"\0") if pair]
        self._variables = {name.decode(): value.decode("utf-8", "replace") for name, _, value in pairs}
        with open(self._path("folder"), encoding="utf-8") as file:
            self._folder = file.read().rstrip("\n")

    # What docker and aws know and did

    def _write_state(self):
        """Tell the tools what the registry holds at this moment."""
        repositories = {
            name: {
                "immutable": repository.image_tag_mutability.startswith("IMMUTABLE"),
                "tags": [tag for image in repository.images for tag in image.image_tags],
            }
            for name, repository in ecr_backends[self._account][self._region].repositories.items()
        }
        self._tools.update(
            account=self._account, host=f"{self._account}.dkr.ecr.{self._region}.amazonaws.com", repositories=repositories,
            layer=self._layer, size=sum(size for _, _, size in self._entries),
        )
        self._write("state.json", json.dumps(self._tools))

    def _carry_out_pushes(self):
        with open(self._path("state.json"), encoding="utf-8") as file:
            self._tools = json.load(file)
        backend = ecr_backends[self._account][self._region]
        for push in self._tools["pushes"]:
            images = backend.repositories[push["repository"]].images
            if not any(push["tag"] in i.image_tags and i.get_image_digest() == push["digest"] for i in images):
                backend.put_image(push["repository"], push["manifest"], push["tag"], digest=push["digest"])
                self._born[("image", push["repository"], push["digest"])] = self._now()
        self._tools["pushes"] = []

    # The source

    def _open_archive(self, location, version):
        bucket, _, key = location.removeprefix("arn:aws:s3:::").partition("/")
        where = f"for primary source and source version {version or ''}".rstrip()
        try:
            found = s3_backends[self._account]["aws"].get_object(bucket, key, version_id=version)
        except Exception:
            raise not_found("NoSuchBucket: The specified bucket does not exist", where) from None
        if found is None and version:
            raise not_found("NoSuchVersion: The specified version does not exist.", where)
        if found is None:
            raise not_found("NoSuchKey: The specified key does not exist.", where)
        self.resolved_version = found.version_id
        with found.lock:
            self._read_archive(found._value_buffer, where)

    def _read_archive(self, file, where):
        """Take names and checksums of all files, and the text of few; the rest stays where it is, be it 500 MB."""
        try:
            with zipfile.ZipFile(file) as archive:
                self._entries = [(i.filename, i.CRC, i.file_size) for i in archive.infolist()]
                for name, _, _ in [entry for entry in self._entries if _is_text_wanted(entry[0])][:MAX_LAID_OUT]:
                    self._texts[name] = archive.read(name)
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError) as error:
            raise PhaseFailed("CLIENT_ERROR", f"zip: not a valid zip file: {error} {where}") from None

    def _buildspec_text(self, buildspec):
        if buildspec and ("\n" in buildspec or buildspec.lstrip().startswith("{")):
            return buildspec
        name = buildspec or "buildspec.yml"
        if name not in self._texts:
            raise PhaseFailed("YAML_FILE_ERROR", f"stat {self._path('src')}/{name}: no such file or directory")
        return self._texts[name].decode("utf-8", "replace")

    def _lay_out(self):
        os.makedirs(self._path("src"))
        near = [name for name, _, _ in self._entries if name.rstrip("/").count("/") <= 1][:MAX_LAID_OUT]
        for name in near + list(self._texts):
            path = os.path.realpath(os.path.join(self._path("src"), name))
            if not path.startswith(os.path.realpath(self._path("src")) + os.sep):
                raise PhaseFailed("CLIENT_ERROR", f"zip: illegal file path: {name}")
            if name.endswith("/"):
                os.makedirs(path, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(self._texts.get(name, b""))
        self._install_tools()

    def _install_tools(self):
        os.makedirs(self._path("bin"))
        for name in ("docker", "aws"):
            self._write(f"bin/{name}", f'#!/bin/sh\nexec "{sys.executable}" -IS "{TOOLS}" {name} "$@"\n')
            os.chmod(self._path(f"bin/{name}"), 0o755)

    def _digest_of_files(self):
        """Over every file's path, checksum and size, without the archive's only top folder: a commit's id there is no content."""
        tops = {name.partition("/")[0] for name, _, _ in self._entries}
        cut = len(next(iter(tops))) + 1 if len(tops) == 1 else 0
        files = sorted((name[cut:], crc, size) for name, crc, size in self._entries)
        return "sha256:" + hashlib.sha256(json.dumps(files).encode()).hexdigest()

    def _path(self, name):
        return os.path.join(self._root, name)

    def _write(self, name, text):
        with open(self._path(name), "w", encoding="utf-8") as file:
            file.write(text)


def not_found(message, where):
    return PhaseFailed("CLIENT_ERROR", f"{message}\n\tstatus code: 404 {where}")


def _is_text_wanted(name):
    last = name.rpartition("/")[2]
    return last.startswith("Dockerfile") or last in ("buildspec.yml", "buildspec.yaml")
