"""What the stand-in remembers between requests: its journal, the failures a test ordered, statuses, archive orders."""
import hashlib
import hmac
import secrets
import threading
import time

LINK_LIVES_S = 300
RATE_LIMIT = 5000


class State:
    """Thread-safe; nothing in it is a secret but the key that signs archive links, which never leaves."""

    def __init__(self):
        self._lock = threading.Lock()
        self._key = secrets.token_bytes(32)
        self._seq = 0
        self.reset()

    def reset(self):
        with self._lock:
            self._entries, self._failures, self._statuses, self._archives, self._moves = [], [], {}, {}, []
            self._used, self._window = 0, int(time.time()) + 3600

    def journal(self, **entry):
        with self._lock:
            self._seq += 1
            self._entries.append({"seq": self._seq, "time": time.time(), **entry})

    def entries(self, after=0):
        with self._lock:
            return [dict(entry) for entry in self._entries if entry["seq"] > after]

    def order_failure(self, order):
        """{"match": route name, "repository": owner/name, "times": n, "after": n, and what to do: status, headers, message,
        rate_limit, delay_s, drop, truncate_after_bytes}."""
        with self._lock:
            self._failures.append({"times": 1, "after": 0, "fired": 0, **order})

    def failures(self):
        with self._lock:
            return [dict(order) for order in self._failures]

    def clear_failures(self):
        with self._lock:
            self._failures, self._moves = [], []

    def order_move(self, order):
        """{"repository", "branch", "head": sha or None, "after": n}."""
        with self._lock:
            self._moves.append({"after": 0, **order})

    def take_move(self, full_name, branch):
        """The move of this branch that is due now, once; None when there is none."""
        with self._lock:
            for order in self._moves:
                if (order["repository"], order["branch"]) != (full_name, branch):
                    continue
                if order["after"] > 0:
                    order["after"] -= 1
                    return None
                self._moves.remove(order)
                return order
        return None

    def take_failure(self, route, full_name=None):
        """The ordered failure that is due for this route, counted down; {} when there is none."""
        with self._lock:
            for order in self._failures:
                if order["match"] not in (route, "*") or order["times"] <= 0 or order.get("repository") not in (None, full_name):
                    continue
                if order["after"] > 0:
                    order["after"] -= 1
                    continue
                order["times"] -= 1
                order["fired"] += 1
                return order
        return {}

    def order_archive(self, full_name, order):
        with self._lock:
            self._archives[full_name] = order

    def archive_order(self, full_name):
        with self._lock:
            return self._archives.get(full_name)

    def add_status(self, full_name, sha, status):
        """Newest first, as GitHub lists them; the number of statuses this context has now."""
        with self._lock:
            kept = self._statuses.setdefault((full_name, sha), [])
            status["id"] = 1_000_000 + sum(len(each) for each in self._statuses.values())
            kept.insert(0, status)
            return sum(each["context"] == status["context"] for each in kept)

    def statuses(self, full_name, sha):
        with self._lock:
            return list(self._statuses.get((full_name, sha), []))

    def count_request(self):
        """(used, seconds since the epoch when the window ends) after one more request."""
        with self._lock:
            if time.time() > self._window:
                self._used, self._window = 0, int(time.time()) + 3600
            self._used += 1
            return self._used, self._window

    def sign_link(self, path):
        expires = int(time.time()) + LINK_LIVES_S
        return f"{expires}.{self._mac(path, expires)}"

    def link_holds(self, path, token):
        expires, _, mac = token.partition(".")
        return (expires.isdigit() and int(expires) >= time.time()
                and hmac.compare_digest(mac, self._mac(path, int(expires))))

    def _mac(self, path, expires):
        return hmac.new(self._key, f"{path} {expires}".encode(), hashlib.sha256).hexdigest()
