"""Elastic Load Balancing v2 as AWS documents it.

Idempotent creation, one load balancer per target group, priorities, small pages, health over time.
"""

import copy
import re

from moto.elbv2.models import elbv2_backends
from moto.elbv2.responses import ELBV2Response

from errors import Refused
from overlay import replace
from paging import page
from targets import Targets

OPERATIONS = (
    "CreateLoadBalancer", "DeleteLoadBalancer", "DescribeLoadBalancers",
    "CreateListener", "ModifyListener", "DeleteListener", "DescribeListeners",
    "CreateRule", "ModifyRule", "DeleteRule", "SetRulePriorities", "DescribeRules",
    "CreateTargetGroup", "ModifyTargetGroup", "DeleteTargetGroup", "DescribeTargetGroups",
    "RegisterTargets", "DeregisterTargets", "DescribeTargetHealth",
)
MAX_PRIORITY = 50000
HTTP_DEFAULTS = {
    "TargetType": "instance", "ProtocolVersion": "HTTP1", "IpAddressType": "ipv4", "HealthCheckEnabled": True,
    "HealthCheckProtocol": "HTTP", "HealthCheckPort": "traffic-port", "HealthCheckPath": "/", "HealthCheckIntervalSeconds": 30,
    "HealthCheckTimeoutSeconds": 5, "HealthyThresholdCount": 5, "UnhealthyThresholdCount": 2, "Matcher": {"HttpCode": "200"},
}
BAD_MARKER = ("ValidationError", "The specified marker is not valid")


class ElbV2:
    def __init__(self, world):
        self._world = world
        world.on_reset(self.forget)
        self.forget()

    def forget(self):
        # Rules that are gone and that a stale reader still sees: (when, listener's ARN, as shown).
        self._gone = []

    # Load balancers and listeners

    def create_load_balancer(self, call):
        settings = _without_tags(call.params)
        for known in _backend(call).load_balancers.values():
            if known.name == call.params["Name"]:
                if getattr(known, "settings", None) != settings:
                    raise _differs("DuplicateLoadBalancerName", "load balancer")
                return {"LoadBalancers": [known]}
        answer = call.moto()
        answer["LoadBalancers"][0].settings = settings
        return answer

    def delete_load_balancer(self, call):
        return self._change(call)

    def describe_load_balancers(self, call):
        found = _backend(call).describe_load_balancers(call.params.get("LoadBalancerArns"), call.params.get("Names"))
        return self._paged(call, "LoadBalancers", found)

    def create_listener(self, call):
        settings = _without_tags(call.params)
        balancer = _backend(call).load_balancers.get(call.params["LoadBalancerArn"])
        for known in balancer.listeners.values() if balancer else []:
            if known.port == call.params.get("Port"):
                if getattr(known, "settings", None) != settings:
                    raise Refused("DuplicateListener", "A listener already exists on this port for this load balancer")
                return {"Listeners": [known]}
        self._check_actions(call, call.params["LoadBalancerArn"], call.params["DefaultActions"])
        _complete_actions(call.params["DefaultActions"])
        answer = self._change(call)
        listener = answer["Listeners"][0]
        listener.settings = settings
        # moto names the default rule after its place in memory; an ARN must not change from run to run.
        rule = listener._default_rule[0]
        rule.arn = f"{listener.arn.replace(':listener/', ':listener-rule/')}/{self._world.next_id('rule')[:16]}"
        return answer

    def modify_listener(self, call):
        listener = _backend(call).describe_listeners(None, [call.params["ListenerArn"]])[0]
        actions = call.params.get("DefaultActions") or []
        self._check_actions(call, listener.load_balancer_arn, actions)
        _complete_actions(actions)
        return self._change(call)

    def delete_listener(self, call):
        return self._change(call)

    def describe_listeners(self, call):
        params = call.params
        if not params.get("LoadBalancerArn") and not params.get("ListenerArns"):
            raise Refused("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
        listeners = _backend(call).describe_listeners(params.get("LoadBalancerArn"), params.get("ListenerArns") or [])
        return self._paged(call, "Listeners", listeners)

    # Rules

    def create_rule(self, call):
        params = call.params
        listener = _backend(call).describe_listeners(None, [params["ListenerArn"]])[0]
        _check_priority(params["Priority"])
        if any(rule.priority == params["Priority"] for rule in listener.rules.values()):
            raise Refused("PriorityInUse", f"Priority '{params['Priority']}' is currently in use")
        if not params["Conditions"]:
            raise Refused("ValidationError", "A condition must be specified")
        limit = self._world.limits["rules_per_load_balancer"]
        if sum(len(each._non_default_rules) for each in self._listeners_of(call, listener.load_balancer_arn)) >= limit:
            raise Refused("TooManyRules", f"The maximum number of rules on this load balancer has been reached: {limit:g}")
        self._check_actions(call, listener.load_balancer_arn, params["Actions"])
        _complete_actions(params["Actions"])
        answer = self._change(call)
        _complete_conditions(answer["Rules"][0].conditions)
        answer["Rules"][0].born = self._world.clock.now()
        return answer

    def modify_rule(self, call):
        listener = self._listener_of_rule(call, call.params["RuleArn"])
        rule = listener.rules[call.params["RuleArn"]] if call.params["RuleArn"] in listener._non_default_rules else None
        before = copy.deepcopy(_shown_rule(rule)) if rule else None
        actions = call.params.get("Actions") or []
        self._check_actions(call, listener.load_balancer_arn, actions)
        _complete_actions(actions)
        answer = self._change(call)
        _complete_conditions(answer["Rules"][0].conditions)
        answer["Rules"][0].before = (self._world.clock.now(), before)
        return answer

    def delete_rule(self, call):
        listener = self._listener_of_rule(call, call.params["RuleArn"])
        if call.params["RuleArn"] not in listener._non_default_rules:
            raise Refused("OperationNotPermitted", "Default rule cannot be deleted")
        if self._world.windows:
            shown = _shown_rule(listener._non_default_rules[call.params["RuleArn"]])
            self._gone.append((self._world.clock.now(), listener.arn, shown))
        return self._change(call)

    def set_rule_priorities(self, call):
        for wanted in call.params["RulePriorities"]:
            _check_priority(wanted["Priority"])
        return call.moto()

    def describe_rules(self, call):
        listener, asked = call.params.get("ListenerArn"), call.params.get("RuleArns")
        gone = [shown for since, where, shown in self._gone
                if self._unseen(call, since) and (where == listener or shown["RuleArn"] in (asked or []))]
        known = {shown["RuleArn"] for shown in gone}
        asked = [arn for arn in asked if arn not in known] if asked else asked
        rules = _backend(call).describe_rules(listener, asked) if listener or asked or not gone else []
        seen = [self._seen_rule(call, rule) for rule in rules if not self._unseen(call, getattr(rule, "born", None))]
        if asked and len(seen) < len(asked):
            raise Refused("RuleNotFound", "One or more rules not found")
        ordered = sorted(seen + gone, key=lambda rule: (rule["IsDefault"], 0 if rule["IsDefault"] else int(rule["Priority"])))
        return self._paged(call, "Rules", ordered)

    def _seen_rule(self, call, rule):
        changed, before = getattr(rule, "before", (None, None))
        return before if before and self._unseen(call, changed) else _shown_rule(rule)

    def _unseen(self, call, since):
        return self._world.unseen(call.access_key, "elbv2", since)

    # Target groups

    def create_target_group(self, call):
        settings = _target_group_settings(call.params)
        for known in _backend(call).target_groups.values():
            if known.name == call.params["Name"]:
                if getattr(known, "settings", None) != settings:
                    raise _differs("DuplicateTargetGroupName", "target group")
                return {"TargetGroups": [known]}
        limit = self._world.limits["target_groups"]
        if len(_backend(call).target_groups) >= limit:
            raise Refused("TooManyTargetGroups", f"The maximum number of target groups in this account has been reached: {limit:g}")
        answer = call.moto()
        group = answer["TargetGroups"][0]
        group.born = self._world.clock.now()
        group.settings = settings
        group.sim_targets = Targets(self._world)
        return answer

    def modify_target_group(self, call):
        answer = call.moto()
        group = answer["TargetGroups"][0]
        group.settings = {**group.settings, **{k: v for k, v in call.params.items() if k != "TargetGroupArn"}}
        return answer

    def delete_target_group(self, call):
        group = _backend(call).target_groups.get(call.params["TargetGroupArn"])
        # AWS treats the deletion of a target group that isn't there as done.
        if group is None:
            return {}
        if group.load_balancer_arns:
            raise Refused("ResourceInUse", f"Target group '{group.arn}' is currently in use by a listener or a rule")
        del _backend(call).target_groups[group.arn]
        return {}

    def describe_target_groups(self, call):
        params = call.params
        groups = _backend(call).describe_target_groups(
            params.get("LoadBalancerArn"), params.get("TargetGroupArns") or [], params.get("Names")
        )
        groups = list(groups)
        seen = [group for group in groups if not self._unseen(call, group.born)]
        if len(seen) < len(groups) and (params.get("TargetGroupArns") or params.get("Names")):
            raise Refused("TargetGroupNotFound", "One or more target groups not found")
        return self._paged(call, "TargetGroups", seen)

    def register_targets(self, call):
        group = _target_group(call)
        for target in call.params["Targets"]:
            if group.target_type == "ip" and not re.fullmatch(r"[0-9.]+|[0-9a-fA-F:]+", target["Id"]):
                raise Refused("ValidationError", f"The IP address '{target['Id']}' is not a valid IPv4 address")
            group.sim_targets.register(target["Id"], target.get("Port", group.port), self._world.clock.now())
        return {}

    def deregister_targets(self, call):
        group = _target_group(call)
        for target in call.params["Targets"]:
            group.sim_targets.deregister(target["Id"], target.get("Port", group.port), self._world.clock.now())
        return {}

    def describe_target_health(self, call):
        group = _target_group(call)
        now = self._world.clock.now()
        asked = [(t["Id"], t.get("Port", group.port)) for t in call.params.get("Targets") or []]
        return {"TargetHealthDescriptions": [
            {
                "Target": {"Id": target_id, "Port": port},
                "HealthCheckPort": str(port),
                "TargetHealth": group.sim_targets.health(target_id, port, bool(group.load_balancer_arns), now),
            }
            for target_id, port in asked or group.sim_targets.registered(now)
        ]}

    # What they share

    def _change(self, call):
        answer = call.moto()
        derive_use(_backend(call))
        return answer

    def _check_actions(self, call, load_balancer, actions):
        """A target group belongs to one load balancer, and a load balancer has a limited number of them."""
        backend = _backend(call)
        wanted = {arn for action in actions for arn in _arns_of(action)}
        for arn in wanted:
            group = backend.target_groups.get(arn)
            if group and group.load_balancer_arns and load_balancer not in group.load_balancer_arns:
                raise Refused("TargetGroupAssociationLimit",
                             f"The following target groups cannot be associated with more than one load balancer: {arn}")
        balancer = backend.load_balancers.get(load_balancer)
        limit = self._world.limits["target_groups_per_load_balancer"]
        if balancer and len(targets_of(balancer) | wanted) > limit:
            raise Refused("TooManyUniqueTargetGroupsPerLoadBalancer",
                         f"The number of unique target groups on this load balancer would be more than {limit:g}")

    def _listeners_of(self, call, load_balancer):
        return _backend(call).load_balancers[load_balancer].listeners.values()

    def _listener_of_rule(self, call, rule_arn):
        for balancer in _backend(call).load_balancers.values():
            for listener in balancer.listeners.values():
                if any(rule.arn == rule_arn for rule in listener.rules.values()):
                    return listener
        raise Refused("RuleNotFound", "One or more rules not found")

    def _paged(self, call, member, items):
        items, marker = page(items, call.params.get("Marker"), call.params.get("PageSize"), invalid=BAD_MARKER)
        return {member: items, "NextMarker": marker}


def derive_use(backend):
    """After a change: which load balancer uses which target group."""
    used = {arn: [] for arn in backend.target_groups}
    for balancer in backend.load_balancers.values():
        for arn in targets_of(balancer):
            if arn in used:
                used[arn].append(balancer.arn)
    for arn, balancers in used.items():
        backend.target_groups[arn].load_balancer_arns = balancers


def _backend(call):
    return elbv2_backends[call.account][call.region]


def _target_group(call):
    group = _backend(call).target_groups.get(call.params["TargetGroupArn"])
    if group is None:
        raise Refused("TargetGroupNotFound", "One or more target groups not found")
    return group


def _differs(code, kind):
    return Refused(code, f"A {kind} with the same name exists, but with different settings")


def _check_priority(priority):
    if not 1 <= int(priority) <= MAX_PRIORITY:
        raise Refused("ValidationError", f"Priority '{priority}' must be between 1 and {MAX_PRIORITY}")


def _without_tags(params):
    return {key: value for key, value in params.items() if key != "Tags"}


def _target_group_settings(params):
    """What makes two requests for a target group the same: every setting, given or by default; not the tags."""
    defaults = HTTP_DEFAULTS if params.get("Protocol") in ("HTTP", "HTTPS") else {}
    return {**defaults, **_without_tags(params)}


def _arns_of(action):
    forward = action.get("ForwardConfig") or {}
    return {arn for arn in [action.get("TargetGroupArn")] if arn} | {t["TargetGroupArn"] for t in forward.get("TargetGroups", [])}


def targets_of(balancer):
    """Every target group that a listener or rule of this load balancer forwards to."""
    actions = [a for listener in balancer.listeners.values() for a in listener.default_actions]
    actions += [a for listener in balancer.listeners.values() for rule in listener.rules.values() for a in rule.actions]
    return {arn for action in actions for arn in _arns_of(getattr(action, "data", action))}


def _complete_actions(actions):
    """AWS shows a forward in both of its forms, however it was asked for."""
    for order, action in enumerate(actions, start=1):
        action.setdefault("Order", order)
        if action["Type"] != "forward":
            continue
        arns = sorted(_arns_of(action))
        action.setdefault("ForwardConfig", {"TargetGroups": [{"TargetGroupArn": arn, "Weight": 1} for arn in arns]})
        if len(arns) == 1:
            action["TargetGroupArn"] = arns[0]


def _complete_conditions(conditions):
    for condition in conditions:
        for field, config in (("host-header", "HostHeaderConfig"), ("path-pattern", "PathPatternConfig")):
            if condition.get("Field") == field:
                values = condition.get("Values") or (condition.get(config) or {}).get("Values", [])
                condition["Values"] = values
                condition[config] = {"Values": values}


def _shown_rule(rule):
    return {
        "RuleArn": rule.arn, "Priority": str(rule.priority), "Conditions": rule.conditions,
        "Actions": [getattr(action, "data", action) for action in rule.actions], "IsDefault": rule.is_default,
    }


def install(world):
    world.elbv2 = ElbV2(world)
    replace(ELBV2Response, world.elbv2, OPERATIONS)
