"""A buildspec (inline or from the source; JSON is YAML as well), and how a phase reports a failure."""

import yaml

PHASES_WITH_COMMANDS = {"INSTALL": "install", "PRE_BUILD": "pre_build", "BUILD": "build", "POST_BUILD": "post_build"}


class PhaseFailed(Exception):
    """A build phase failed: AWS's status code and message for the phase's context, and what was printed until then."""

    def __init__(self, status_code, message, lines=(), status="FAILED"):
        super().__init__(message)
        self.status_code = status_code
        self.message = message
        self.lines = list(lines)
        self.status = status


class Buildspec:
    def __init__(self, text):
        try:
            self._spec = yaml.safe_load(text)
            if not isinstance(self._spec, dict) or str(self._spec.get("version")) not in ("0.1", "0.2"):
                raise ValueError("unknown or missing version")
            if not isinstance(self._spec.get("phases"), dict):
                raise ValueError("phases is missing")
        except (yaml.YAMLError, ValueError) as error:
            raise PhaseFailed("YAML_FILE_ERROR", f"YAML file is not valid: {error}") from None
        self._env = self._spec.get("env") or {}

    def commands(self, phase):
        return [str(command) for command in self._section(phase).get("commands") or []]

    def aborts_on_failure(self, phase):
        return str(self._section(phase).get("on-failure", "CONTINUE")).upper() == "ABORT"

    def exported(self):
        return [str(name) for name in self._env.get("exported-variables") or []]

    def variables(self):
        return {str(name): str(value) for name, value in (self._env.get("variables") or {}).items()}

    def shell(self):
        return "bash" if self._env.get("shell") == "bash" else "sh"

    def _section(self, phase):
        section = self._spec["phases"].get(PHASES_WITH_COMMANDS.get(phase), {})
        return section if isinstance(section, dict) else {}
