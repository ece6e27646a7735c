"""Parts of a cost: exact while they are shared, and whole minor units that add up once they are."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from math import lcm

from chargeback.money import split
from chargeback.shared_costs.costs import PoolCost
from chargeback.usage import Metric


class Kind(StrEnum):
    """Whether a part is for what was held, or for what stood idle."""

    HELD = "held"
    IDLE = "idle"


@dataclass(frozen=True, slots=True)
class Part:
    """A part of one cost that one cost centre bears, or nobody where `tenant` is empty.

    `exact` is its amount in minor units before rounding, `amount_minor` what it is rounded to so that
    all parts of the cost add up to it. `tier` and `pool` say where what was shared out stood; empty for
    what cannot be said of one. `via` is the shared tenant that it came from, and `why` says what makes
    nobody bear it.
    """

    cost: PoolCost
    metric: Metric
    kind: Kind
    tenant: str
    cost_centre: str
    tier: str
    pool: str
    exact: Fraction
    by: str = ""
    via: str = ""
    why: str = ""
    amount_minor: int = 0

    @property
    def key(self) -> tuple[str | int, ...]:
        """What parts are told apart by, and their order; what nobody bears comes last."""
        return (
            list(Metric).index(self.metric), list(Kind).index(self.kind), not self.tenant, self.tenant,
            self.cost_centre, self.tier, self.pool, self.via, self.by, self.why,
        )  # fmt: skip


def rounded(parts: Iterable[Part], total_minor: int) -> list[Part]:
    """One cost's parts in their order, those of equal key made one, in whole minor units.

    By largest remainder; of equal remainders the earlier part in the order of `Part.key` gets the
    unit. The exact amounts must add up to `total_minor`.
    """
    merged: dict[tuple[str | int, ...], Part] = {}
    for part in parts:
        same = merged.get(part.key)
        merged[part.key] = replace(part, exact=part.exact + same.exact) if same else part
    chosen = [merged[key] for key in sorted(merged)]
    assert sum(part.exact for part in chosen) == total_minor, (total_minor, chosen)
    amounts = split(total_minor, whole_weights([part.exact for part in chosen]))
    return [replace(part, amount_minor=amount) for part, amount in zip(chosen, amounts, strict=True)]


def whole_weights(exact: Sequence[Fraction]) -> list[int]:
    """Integers in the same proportions."""
    common = lcm(*(value.denominator for value in exact))
    return [value.numerator * (common // value.denominator) for value in exact]


def proportional(total: Fraction, weights: Sequence[int | Fraction]) -> Iterator[Fraction]:
    """`total` in parts exactly proportional to `weights`, of which one at least is above zero."""
    whole = sum(weights, Fraction(0))
    return (total * weight * Fraction(whole.denominator, whole.numerator) for weight in weights)
