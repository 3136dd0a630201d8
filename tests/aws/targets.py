"""Targets of a target group over time: initial, then healthy or unhealthy; draining after deregistration; then gone."""


class Targets:
    """The targets of one target group, by (id, port)."""

    def __init__(self, world):
        self._world = world
        self._targets = {}

    def register(self, target_id, port, at, fails=False):
        """Register, or take a draining target back. `fails`: its health checks never succeed."""
        known = self._targets.get((target_id, port))
        if known and known["drained_from"] is None:
            return
        takes = self._world.seconds("target_healthy")
        self._targets[target_id, port] = {"since": at, "takes": takes, "fails": fails, "drained_from": None}

    def deregister(self, target_id, port, at):
        """Begin draining; False when there is no such target."""
        known = self._targets.get((target_id, port))
        if known is None or known["drained_from"] is not None:
            return False
        known["drained_from"] = at
        return True

    def registered(self, now):
        self._drop_drained(now)
        return list(self._targets)

    def health(self, target_id, port, in_use, now):
        """TargetHealth as DescribeTargetHealth shows it."""
        self._drop_drained(now)
        target = self._targets.get((target_id, port))
        if target is None:
            return _state("unused", "Target.NotRegistered", "Target is not registered to the target group")
        if target["drained_from"] is not None:
            return _state("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
        if not in_use:
            return _state("unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer")
        if now < target["since"] + target["takes"]:
            return _state("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
        if target["fails"]:
            return _state("unhealthy", "Target.ResponseCodeMismatch", "Health checks failed with these codes: [502]")
        return {"State": "healthy"}

    def _drop_drained(self, now):
        drain = self._world.seconds("target_drain")
        gone = [key for key, t in self._targets.items() if t["drained_from"] is not None and now >= t["drained_from"] + drain]
        for key in gone:
            del self._targets[key]


def _state(state, reason, description):
    return {"State": state, "Reason": reason, "Description": description}
