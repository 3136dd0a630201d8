"""What happens inside a build's container: source from S3, buildspec, docker build, push to ECR.

Nothing is compiled, but all that can go wrong for a reason in the source, the bucket or the registry does go wrong, with the
line that the tool prints.
"""

import hashlib
import json
import re
import zipfile

import yaml
from moto.ecr.models import ecr_backends
from moto.s3.models import s3_backends

PHASES_WITH_COMMANDS = {"INSTALL": "install", "PRE_BUILD": "pre_build", "BUILD": "build", "POST_BUILD": "post_build"}
BUILDS = re.compile(r"\b(docker|buildah|buildctl|podman)\b[^\n]*\bbuild\b")
PUSHES = re.compile(r"\b(docker|buildah|podman)\b[^\n]*\bpush\b|\bpush=true\b|--push\b")
CHANGES_FOLDER = re.compile(r"(^|[\s;&|(])cd\s")


class PhaseFailed(Exception):
    """A build phase failed: AWS's status code and message for the phase's context, and what the tool printed."""

    def __init__(self, status_code, message, lines=()):
        super().__init__(message)
        self.status_code = status_code
        self.message = message
        self.lines = list(lines)


class Buildspec:
    """A buildspec, inline or from the source; JSON is YAML as well."""

    def __init__(self, text):
        try:
            self._spec = yaml.safe_load(text)
            if not isinstance(self._spec, dict) or str(self._spec.get("version")) not in ("0.1", "0.2"):
                raise ValueError("Unknown or missing version")
            if not isinstance(self._spec.get("phases"), dict):
                raise ValueError("phases is missing")
        except (yaml.YAMLError, ValueError) as error:
            raise PhaseFailed("YAML_FILE_ERROR", f"YAML location is unknown: {error}") from None

    def commands(self, phase):
        section = self._section(phase)
        return [str(command) for command in section.get("commands") or []]

    def all_commands(self):
        return [command for phase in PHASES_WITH_COMMANDS for command in self.commands(phase)]

    def aborts_on_failure(self, phase):
        return str(self._section(phase).get("on-failure", "CONTINUE")).upper() == "ABORT"

    def exported(self):
        return [str(name) for name in (self._spec.get("env") or {}).get("exported-variables") or []]

    def variables(self):
        return {str(k): str(v) for k, v in ((self._spec.get("env") or {}).get("variables") or {}).items()}

    def _section(self, phase):
        section = (self._spec["phases"] or {}).get(PHASES_WITH_COMMANDS.get(phase), {})
        return section if isinstance(section, dict) else {}


class Container:
    """One build's container. Each method is one thing that its phases do; each raises PhaseFailed."""

    def __init__(self, account, region, record, variables):
        self._account = account
        self._region = region
        self._record = record
        self.variables = variables
        self.buildspec = None
        self._archive = None
        self._names = []
        self.digest = None
        self.resolved_version = None

    def download_source(self):
        source = self._record["source"]
        if source["type"] == "S3":
            self._open_archive(source.get("location", ""), self._record.get("sourceVersion"))
        elif source["type"] != "NO_SOURCE":
            raise PhaseFailed("CLIENT_ERROR", f"authentication required for primary source and source type {source['type']}")
        self.buildspec = Buildspec(self._buildspec_text(source.get("buildspec")))
        for name, value in self.buildspec.variables().items():
            self.variables.setdefault(name, value)

    def run(self, command):
        """Run one command of the buildspec: what it builds or pushes is built or pushed. Returns what it prints."""
        printed = []
        if BUILDS.search(command):
            printed += self._docker_build(command)
        if PUSHES.search(command):
            printed += self._docker_push(command)
        return printed

    def _docker_build(self, command):
        """Without a Dockerfile where the commands look for it, docker says so."""
        dockerfile = self._top() + "Dockerfile"
        if dockerfile not in self._names:
            raise failed_command(command, [
                "#0 building with \"default\" instance using docker driver",
                "#1 [internal] load build definition from Dockerfile",
                "#1 transferring dockerfile: 2B done",
                "#1 DONE 0.0s",
                "ERROR: failed to solve: failed to read dockerfile: open Dockerfile: no such file or directory",
            ])
        self._manifest = self._make_manifest(dockerfile)
        self.digest = "sha256:" + hashlib.sha256(self._manifest.encode()).hexdigest()
        return ["#1 [internal] load build definition from Dockerfile", "#1 DONE 0.0s", f"#4 exporting manifest {self.digest} done"]

    def _docker_push(self, command):
        """A missing repository, or a tag that is taken in an immutable one, is refused by the registry."""
        uri = self.variables.get("IMAGE_REPOSITORY_URI")
        tag = self.variables.get("IMAGE_TAG")
        if not uri or not tag:
            raise failed_command(command, [f'invalid reference format: "{uri or ""}:{tag or ""}"'])
        if self.digest is None:
            raise failed_command(command, [f"An image does not exist locally with the tag: {uri}"])
        registry, _, name = uri.partition("/")
        repository = self._registry(registry, command).repositories.get(name)
        if repository is None:
            raise failed_command(command, [
                f"name unknown: The repository with name '{name}' does not exist in the registry with id '{self._account}'"
            ])
        self._push(repository, name, tag, command)
        return [f"The push refers to repository [{uri}]", f"{tag}: digest: {self.digest} size: {len(self._manifest)}"]

    def _push(self, repository, name, tag, command):
        taken = any(tag in image.image_tags for image in repository.images)
        if taken and repository.image_tag_mutability.startswith("IMMUTABLE"):
            raise failed_command(command, [
                f"tag invalid: The image tag '{tag}' already exists in the '{name}' repository "
                "and cannot be overwritten because the tag is immutable."
            ])
        backend = ecr_backends[self._account][self._region]
        if not any(tag in i.image_tags and i.get_image_digest() == self.digest for i in repository.images):
            backend.put_image(name, self._manifest, tag, digest=self.digest)

    def exported_variables(self, build_variables):
        """What `env.exported-variables` names, as the shell left it: unset is an empty string."""
        if self.buildspec is None:
            return []
        known = {**build_variables, **self.variables}
        if self.digest:
            known["IMAGE_DIGEST"] = self.digest
        return [{"name": name, "value": known.get(name, "")} for name in self.buildspec.exported()]

    def _registry(self, host, command):
        match = re.fullmatch(r"(\d{12})\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com", host)
        if not match or match.groups() != (self._account, self._region):
            raise failed_command(command, [f'Head "https://{host}/v2/": dial tcp: lookup {host}: no such host'])
        return ecr_backends[self._account][self._region]

    def _open_archive(self, location, version):
        bucket, _, key = location.removeprefix("arn:aws:s3:::").partition("/")
        where = f"for primary source and source version {version or ''}".rstrip()
        try:
            found = s3_backends[self._account]["aws"].get_object(bucket, key, version_id=version)
        except Exception:
            raise PhaseFailed("CLIENT_ERROR", f"NoSuchBucket: The specified bucket does not exist\n\tstatus code: 404 {where}") from None
        if found is None:
            kind = "NoSuchVersion: The specified version does not exist." if version else "NoSuchKey: The specified key does not exist."
            raise PhaseFailed("CLIENT_ERROR", f"{kind}\n\tstatus code: 404 {where}")
        self.resolved_version = found.version_id
        with found.lock:
            self._read_archive(found._value_buffer, where)

    def _read_archive(self, file, where):
        """Take names, checksums and the Dockerfile; the rest stays where it is, be it 500 MB."""
        try:
            with zipfile.ZipFile(file) as archive:
                self._infos = [(i.filename, i.CRC, i.file_size) for i in archive.infolist()]
                self._names = {name for name, _, _ in self._infos}
                self._texts = {n: archive.read(n) for n in self._names if n.rpartition("/")[2] in ("Dockerfile", "buildspec.yml")}
        except (zipfile.BadZipFile, OSError, RuntimeError) as error:
            raise PhaseFailed("CLIENT_ERROR", f"zip: not a valid zip file: {error} {where}") from None

    def _buildspec_text(self, buildspec):
        if buildspec and ("\n" in buildspec or buildspec.lstrip().startswith("{")):
            return buildspec
        name = buildspec or "buildspec.yml"
        if name not in self._names:
            raise PhaseFailed("YAML_FILE_ERROR", f"stat /codebuild/output/src/{name}: no such file or directory")
        return self._texts.get(name, b"").decode("utf-8", "replace")

    def _top(self):
        """Where the commands run: the archive's root, or the only folder in it when they change into it."""
        roots = {name.partition("/")[0] for name in self._names}
        only_a_folder = len(roots) == 1 and all("/" in name for name in self._names)
        changes = any(CHANGES_FOLDER.search(command) for command in self.buildspec.all_commands())
        return next(iter(roots)) + "/" if only_a_folder and changes else ""

    def _make_manifest(self, dockerfile):
        """An image manifest that depends on every file's path, size and checksum, and on nothing else."""
        top = self._top()
        files = sorted((name[len(top):], crc, size) for name, crc, size in self._infos)
        layer = hashlib.sha256(json.dumps(files).encode()).hexdigest()
        config = hashlib.sha256(self._texts[dockerfile]).hexdigest()
        return json.dumps({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": f"sha256:{config}", "size": len(self._texts[dockerfile])},
            "layers": [{
                "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip",
                "digest": f"sha256:{layer}",
                "size": sum(size for _, _, size in files),
            }],
        })


def failed_command(command, lines):
    """How CodeBuild reports a command that ended with status 1."""
    first = command.strip().splitlines()[0] if command.strip() else command
    return PhaseFailed("COMMAND_EXECUTION_ERROR", f"Error while executing command: {first}. Reason: exit status 1", lines)
