"""Machines -> workload classes, sizes and facts, each with its confidence and its reason.

How confidence comes about, with an example by hand: ``docs/reference/classification.md``.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from catalog.estates.class_rules import NEAREST, ClassRule, ClassRules
from catalog.estates.class_sizes import ALIKE, Fit, Sizes
from catalog.estates.classified import NOTHING, Classified, Decision, Facts, Target, written
from catalog.estates.matching import Flags, matched
from catalog.estates.model import Estate, EstateMachine
from catalog.resources import Resources
from catalog.workload_classes import Availability, DataClassification, WorkloadClass

_AT_MOST_NAMED = 3
NO_DECISIONS: Mapping[str, Decision] = {}


def classify(
    estate: Estate,
    rules: ClassRules,
    classes: Mapping[str, WorkloadClass],
    mapping: Mapping[str, Decision] = NO_DECISIONS,
) -> tuple[Classified, ...]:
    """Every machine of the estate, in its order. `mapping` is by id, and wins over every rule.

    `rules` and `mapping` are those that were read against the same `classes`; a class that is not there
    is a bug. What is said of a machine depends on that machine alone.
    """
    flags = _in_force(matched(estate, rules.rules), rules.rules)
    judge = _Judge(rules, classes)
    packed = np.packbits(flags, axis=1)
    verdicts: dict[bytes, _Verdict] = {}
    found: list[Classified] = []
    for i, machine in enumerate(estate.machines):
        key = packed[i].tobytes()
        verdict = verdicts.get(key)
        if verdict is None:
            verdict = verdicts[key] = judge.verdict([rules.rules[r] for r in np.flatnonzero(flags[i, :])])
        found.append(judge.of(machine, verdict, mapping.get(machine.id)))
    return tuple(found)


def _in_force(flags: Flags, rules: Sequence[ClassRule]) -> Flags:
    """Without the rules for other cases, where any rule of the first kind says what the machine is."""
    gives = np.array([bool(rule.target) and not rule.otherwise for rule in rules], dtype=np.bool_)
    last = np.array([rule.otherwise for rule in rules], dtype=np.bool_)
    known = np.logical_or.reduce(flags[:, gives], axis=1)
    return np.asarray(flags & ~np.outer(known, last), dtype=np.bool_)


class _Verdict(NamedTuple):
    """What the rules that match say, whatever the machine's size."""

    matching: tuple[ClassRule, ...]
    target: Target
    size: str
    """What the deciding rule wants: the nearest, the machine's own, or one by its name."""
    belief: Fraction
    words: str
    names: tuple[str, ...]
    facts: Facts


class _Sized(NamedTuple):
    """A target with its size, as one machine gets it."""

    size: str
    resources: Resources
    alike: int
    words: str


class _Judge:
    def __init__(self, rules: ClassRules, classes: Mapping[str, WorkloadClass]) -> None:
        weighing = rules.weighing
        self._sizes = {name: Sizes(of, weighing.hold) for name, of in classes.items()}
        self._hold = tuple(rc.value for rc in weighing.hold)
        self._weight = Fraction(weighing.size_weight)
        self._threshold = Fraction(weighing.needs_eye_below)
        self._known: dict[tuple[int, int, int], tuple[float, bool]] = {}

    @staticmethod
    def verdict(matching: Sequence[ClassRule]) -> _Verdict:
        """The first rule that gives a class or a label decides; those that differ weigh against it."""
        giving = [rule for rule in matching if rule.target]
        if not giving:
            words = "no rule has a class or a label for it"
            return _Verdict(
                tuple(matching), NOTHING, "", Fraction(0), words, _names(matching, NOTHING), _facts(matching, NOTHING)
            )  # fmt: skip
        first = giving[0]
        against = [rule for rule in giving if rule.target != first.target]
        own = Fraction(max(rule.belief for rule in giving if rule.target == first.target))
        rival = max((Fraction(rule.belief) for rule in against), default=Fraction(0))
        return _Verdict(
            tuple(matching), first.target, first.size, own * own / (own + rival), _joined(f"rule {first.name}", _opposed(against)),
            _names(matching, first.target), _facts(matching, first.target),
        )  # fmt: skip

    def of(self, machine: EstateMachine, verdict: _Verdict, decision: Decision | None) -> Classified:
        """One machine: what the rules say, or what a person does."""
        own = machine.resources()
        sized = self._sized(own, verdict.target, verdict.size)
        suggested = written(verdict.target, sized.size)
        if decision is not None:
            return self._decided(machine, verdict, decision, suggested)
        confidence, needs_eye = self._sure(verdict.belief, sized.alike)
        return Classified(
            machine=machine.id,
            target=verdict.target,
            size=sized.size,
            resources=sized.resources,
            confidence=confidence,
            needs_eye=needs_eye or not verdict.target,
            reason=_joined(verdict.words, sized.words),
            rules=verdict.names,
            facts=verdict.facts,
            suggested=suggested,
        )

    def _sure(self, belief: Fraction, alike: int) -> tuple[float, bool]:
        """The confidence in two decimals, and whether that is below the threshold; each pair is weighed once."""
        key = (belief.numerator, belief.denominator, alike)
        known = self._known.get(key)
        if known is None:
            sure = round(belief * (1 - self._weight * (1 - Fraction(alike, ALIKE))), 2)
            known = self._known[key] = (float(sure), sure < self._threshold)
        return known

    def _decided(
        self, machine: EstateMachine, verdict: _Verdict, decision: Decision, suggested: str
    ) -> Classified:
        """Facts are those of the rules that agree with the person, and of those that are about facts alone."""
        sized = self._sized(machine.resources(), decision.target, decision.size or NEAREST)
        return Classified(
            machine=machine.id,
            target=decision.target,
            size=sized.size,
            resources=sized.resources,
            confidence=1,
            needs_eye=False,
            reason=_joined("by hand", decision.note, sized.words),
            rules=_names(verdict.matching, decision.target),
            facts=_facts(verdict.matching, decision.target),
            suggested=suggested,
            by_hand=True,
            note=decision.note,
        )

    def _sized(self, own: Resources, target: Target, wanted: str) -> _Sized:
        """With the size's amounts of what it must hold, and the machine's own of the rest."""
        if not target.workload_class:
            return _Sized("", own, ALIKE, "")
        held = tuple(getattr(own, name) for name in self._hold)
        fit: Fit = self._sizes[target.workload_class].fit(held, wanted)
        if fit.amounts == held:
            return _Sized(fit.size, own, fit.alike, fit.words)
        resources = own.model_copy(update=dict(zip(self._hold, fit.amounts, strict=True)))
        return _Sized(fit.size, resources, fit.alike, fit.words)


def _joined(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _opposed(against: list[ClassRule]) -> str:
    """The rules that say something else, the surest first."""
    if not against:
        return ""
    by_belief = sorted(against, key=lambda rule: -rule.belief)
    shown = ", ".join(f"{rule.name} ({rule.target})" for rule in by_belief[:_AT_MOST_NAMED])
    return f"against it {shown}" + (", ..." if len(against) > _AT_MOST_NAMED else "")


def _agreeing(matching: Sequence[ClassRule], target: Target) -> list[ClassRule]:
    return [rule for rule in matching if not rule.target or rule.target == target]


def _names(matching: Sequence[ClassRule], target: Target) -> tuple[str, ...]:
    return tuple(rule.name for rule in _agreeing(matching, target))


def _facts(matching: Sequence[ClassRule], target: Target) -> Facts:
    """All software; of data and availability the strictest; of tiers and each label the first."""
    given = [rule.facts for rule in _agreeing(matching, target)]
    if not given:
        return Facts()
    labels: dict[str, str] = {}
    for facts in given:
        labels = {**facts.labels, **labels}
    return Facts(
        software=tuple(sorted({name for facts in given for name in facts.software})),
        data_classification=max(
            (facts.data_classification for facts in given if facts.data_classification),
            key=list(DataClassification).index,
            default=None,
        ),
        availability=max(
            (facts.availability for facts in given if facts.availability),
            key=list(Availability).index,
            default=None,
        ),
        tier=next((facts.tier for facts in given if facts.tier), None),
        labels=labels,
    )
