"""How far a result can be trusted: by how machines were classified, how old the estate is, and what stands on assumptions.

``confidence = classification x age x figures``, each from 0 to 1; docs/reference/whatif.md explains the parts.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction

from catalog.wording import counted
from chargeback.economics.costing import Line
from tierwise.planner.grouping import MachineGroups
from tierwise.planner.result import Confidence

FRESH_DAYS, STALE_DAYS = 30, 365
"""An estate is as good as new for a month; after a year half of the trust in it is gone."""
UNKNOWN_AGE = 0.5
"""Of an estate whose source does not say when it looked."""
ASSUMED_WEIGHT = Fraction(1, 2)
"""How much of the trust hangs on figures: where all are assumptions, half is left."""


def confidence(
    groups: MachineGroups,
    *,
    classified: bool,
    needs_eye: int,
    age_days: int | None,
    terms: Mapping[str, int],
    lines: Iterable[Line],
) -> Confidence:
    """Of one plan with its cost by term."""
    by_class = _classification(groups) if classified else None
    age = _age(age_days)
    assumed = assumed_share(terms, lines)
    figures = float(1 - ASSUMED_WEIGHT * assumed)
    value = (1.0 if by_class is None else by_class) * age * figures
    return Confidence(
        value=round(value, 4),
        classification=None if by_class is None else round(by_class, 4),
        age=round(age, 4),
        figures=round(figures, 4),
        reasons=tuple(_reasons(by_class, needs_eye, age_days, assumed)),
    )


def _classification(groups: MachineGroups) -> float:
    """The mean over machines; each counts alike."""
    machines = int(groups.count.sum())
    total = sum(one * int(count) for one, count in zip(groups.confidence, groups.count, strict=True))
    return total / machines if machines else 1.0


def _age(days: int | None) -> float:
    if days is None:
        return UNKNOWN_AGE
    late = min(max(0, days - FRESH_DAYS), STALE_DAYS - FRESH_DAYS)
    return 1 - late / (2 * (STALE_DAYS - FRESH_DAYS))


def assumed_share(terms: Mapping[str, int], lines: Iterable[Line]) -> Fraction:
    """The part of the cost that stands on assumptions, sunk cost aside.

    Of each term it is the part of its lines' amounts that has any assumed figure in it.
    """
    known: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for line in lines:
        if line.part == "sunk":
            continue
        entry = known["moving" if line.term == "migration" else line.term]
        micros = abs(line.micros)
        entry[0] += micros
        entry[1] += micros if any(factor.assumed for factor in line.factors) else 0
    costs = {
        term: micros for term, micros in terms.items() if micros > 0 and term in known and known[term][0]
    }
    total = sum(costs.values())
    if not total:
        return Fraction(0)
    return (
        sum(
            (micros * Fraction(known[term][1], known[term][0]) for term, micros in costs.items()),
            Fraction(0),
        )
        / total
    )


def _reasons(
    by_class: float | None, needs_eye: int, age_days: int | None, assumed: Fraction
) -> Iterator[str]:
    if by_class is None:
        yield "no machine is classified"
    elif needs_eye:
        yield f"{counted(needs_eye, 'machine', 'needs', 'need')} a person's eye (`tierwise estate classify`)"
    if age_days is None:
        yield "the estate does not say when it was looked at"
    elif age_days > FRESH_DAYS:
        yield f"the estate is {counted(age_days, 'day')} old on the first day of the horizon"
    if assumed:
        yield f"{float(assumed):.0%} of the cost stands on assumptions (`tierwise economics check`)"
