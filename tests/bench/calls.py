"""Calls to AWS that a first and a repeated release make, from the stand-in's journal."""

import collections

from parts import Repository
from report import note, section, table

# DESIGN: "A first attempt at an unchanged app makes only: S3 PUT, StartBuild, RegisterTaskDefinition, UpdateService, and shared polls."
REPEATED = {"PutObject": "1", "StartBuild": "1", "RegisterTaskDefinition": "1", "UpdateService": "1"}
LOOKS = ("Get", "List", "Describe", "BatchGet", "Head")


def calls_of(stack, repository, number):
    last = max((call["seq"] for call in stack.calls()), default=0)
    repository.push(f"Change {number}")
    ended = repository.wait(number)
    return collections.Counter((call["service"], call["operation"]) for call in stack.calls(last)), ended


def measure(stack):
    section("calls", "what a release asks of AWS, by operation")
    repository = Repository(stack, "counted")
    first, _ = calls_of(stack, repository, 1)
    repeated, _ = calls_of(stack, repository, 2)
    aim = collections.Counter()
    rows = []
    for service, operation in sorted({**first, **repeated}, key=lambda key: (key[1].startswith(LOOKS), key)):
        look = operation.startswith(LOOKS)
        aim = "polls only" if look else REPEATED.get(operation, "0")
        rows.append([f"{service} {operation}", "look" if look else "change", first[service, operation] or "", repeated[service, operation] or "",
                     aim])
    rows.append(["all", "", sum(first.values()), sum(repeated.values()), ""])
    table(["operation", "", "first release", "repeated", "aim for repeated"], rows)
    made = {operation: count for (_, operation), count in repeated.items() if not operation.startswith(LOOKS)}
    if made == {name: 1 for name in REPEATED}:
        note("Changes of a repeated release: just those of the design.")
    else:
        note(f"MISSED: a repeated release changes {made}; the design names {', '.join(REPEATED)}, once each.")
