"""Classification as docs/reference/classification.md says it, machine by machine, by Python's own matchers.

Slow, and shares nothing with the product but the values that documents are read into.
"""

import fnmatch
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from catalog.estates.class_rules import ClassRule, ClassRules, Match
from catalog.estates.model import Estate, EstateMachine
from catalog.workload_classes import WorkloadClass

HALF = Fraction(1, 2)


def is_match(text: str, pattern: str) -> bool:
    if pattern.startswith("re:"):
        return re.search(pattern[3:], text, re.IGNORECASE) is not None
    literal = pattern.replace("[", "[[]")  # brackets stand for themselves in our globs
    return re.match(fnmatch.translate(literal), text, re.IGNORECASE) is not None


TEXTS = ("guest_os", "name", "folder", "application", "host", "site", "tenant", "firmware")


def meets(machine: EstateMachine, estate: Estate, match: Match) -> bool:
    wanted = {field: getattr(match, field) for field in TEXTS}
    asked = [([getattr(machine, field)], patterns) for field, patterns in wanted.items()]
    asked += [([estate.pool_of(machine)], match.pool), (list(machine.networks) or [""], match.networks)]
    for label, patterns in match.labels.items():
        values = [value for name, value in machine.labels.items() if name.lower() == label.lower()]
        asked.append((values[:1] or [""], patterns))
    texts = all(
        any(is_match(text, one) for text in texts for one in patterns)
        for texts, patterns in asked
        if patterns is not None
    )
    power = match.power is None or machine.power in match.power
    return texts and power and all(within(machine, match, field) for field in SIZES)


SIZES = {
    "vcpus": lambda machine: machine.vcpus,
    "memory_mib": lambda machine: machine.memory_mib,
    "disk_gib": lambda machine: (machine.provisioned_mib + 1023) // 1024,
}


def within(machine: EstateMachine, match: Match, field: str) -> bool:
    limits, value = getattr(match, field), SIZES[field](machine)
    if limits is None:
        return True
    low = limits.at_least is None or value >= limits.at_least
    return low and (limits.at_most is None or value <= limits.at_most)


def answer(
    machine: EstateMachine, estate: Estate, rules: ClassRules, classes: Mapping[str, WorkloadClass]
) -> tuple[str, str, Fraction, bool, tuple[str, ...]]:
    """Class or label, size, confidence, whether it needs an eye, and the software."""
    hit = [
        rule
        for rule in rules.rules
        if meets(machine, estate, rule.when)
        and not (rule.unless is not None and meets(machine, estate, rule.unless))
    ]
    says = [rule for rule in hit if (rule.workload_class or rule.label) and not rule.otherwise]
    if not says:
        says = [rule for rule in hit if rule.workload_class or rule.label]
    if not says:
        software = {name for rule in hit for name in rule.facts.software}
        return "", "", Fraction(0), True, tuple(sorted(software))
    key = _key(says[0])
    own = max(Fraction(rule.belief) for rule in says if _key(rule) == key)
    other = max([Fraction(rule.belief) for rule in says if _key(rule) != key], default=Fraction(0))
    size, alike = ("", Fraction(1))
    if says[0].workload_class:
        size, alike = _size(machine, says[0], rules.weighing.hold, classes[says[0].workload_class])
    weight = Fraction(rules.weighing.size_weight)
    sure = own * own / (own + other) * (1 - weight * (1 - alike))
    sure = round(sure, 2)
    agree = [rule for rule in hit if not (rule.workload_class or rule.label)] + [
        rule for rule in says if _key(rule) == key
    ]
    software = {name for rule in agree for name in rule.facts.software}
    return key, size, sure, sure < Fraction(rules.weighing.needs_eye_below), tuple(sorted(software))


def _key(rule: ClassRule) -> str:
    return rule.workload_class or f"label:{rule.label}"


def _size(
    machine: EstateMachine, rule: ClassRule, hold: Sequence[Any], of: WorkloadClass
) -> tuple[str, Fraction]:
    has = {
        "vcpu": machine.vcpus,
        "memory_mib": machine.memory_mib,
        "disk_gib": (machine.provisioned_mib + 1023) // 1024,
    }

    def alike(name: str) -> Fraction:
        shares = []
        for what in hold:
            one, other = has[what.value], getattr(of.sizes[name], what.value)
            shares.append(Fraction(min(one, other), max(one, other)))
        mean = sum(shares, Fraction(0)) / len(shares)
        return Fraction((mean * 10_000 + HALF).__floor__(), 10_000)

    def amounts(name: str) -> list[int]:
        return [getattr(of.sizes[name], what.value) for what in hold]

    if rule.size == "as-is":
        return "as-is", Fraction(1)
    if rule.size != "nearest":
        return rule.size, alike(rule.size)
    enough = [
        name
        for name in of.sizes
        if all(getattr(of.sizes[name], what.value) >= has[what.value] for what in hold)
    ]
    ranked = sorted(enough or of.sizes, key=lambda name: (-alike(name), amounts(name)))
    return (ranked[0] if enough else "as-is"), alike(ranked[0])
