"""The journal: one entry per request that reached the stand-in, in the order of arrival.

The gate appends; tests and `/_control/journal` read. An entry never holds a secret's value:
`redact` replaces what must not be kept before an entry is made.
"""

import threading

# Members whose value is a secret wherever they occur in a request.
SECRET_MEMBERS = {"SecretString", "SecretBinary", "Password", "SecretAccessKey", "SessionToken", "PrivateKey"}
# A journal that tests read over HTTP stays small: longer text is cut, its length kept.
MAX_TEXT = 2000


class Journal:
    """A thread-safe, append-only list of dicts; each gets the next `seq`, counted from 1."""

    def __init__(self):
        self._lock = threading.Lock()
        self._entries = []
        self._seq = 0

    def add(self, **entry):
        """Append one entry and return it.

        Members: time, service, operation, access_key, user_agent, request_id, params, status,
        error_code (None on success) and violation (None, or one sentence that says what AWS would refuse).
        """
        entry.setdefault("error_code", None)
        entry.setdefault("violation", None)
        with self._lock:
            self._seq += 1
            entry["seq"] = self._seq
            self._entries.append(entry)
        return entry

    def after(self, seq=0):
        with self._lock:
            return [dict(entry) for entry in self._entries if entry["seq"] > seq]

    def violations(self):
        return [entry for entry in self.after() if entry["violation"]]

    def clear(self):
        """Forget all entries; numbers go on, so that a reader's cursor stays valid."""
        with self._lock:
            self._entries.clear()


def redact(value, name=None):
    """A copy of a request's parameters that is safe to keep: secrets are ***, long text is cut."""
    if name in SECRET_MEMBERS:
        return "***"
    if isinstance(value, dict):
        return {key: redact(member, str(key).split(".")[-1]) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact(member, name) for member in value]
    if isinstance(value, bytes):
        return f"({len(value)} bytes)"
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"{value[:MAX_TEXT]}… ({len(value)} characters)"
    return value
