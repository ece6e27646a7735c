"""Pool costs: what a pool, a tier or a site costs a month, and how that is to be shared."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from catalog.base import Name, Value
from catalog.frozen import FrozenMapping
from chargeback.fx import AGE_MAX_DAYS, FxDay, FxRate, conversion_of, twice_recorded
from chargeback.instants import END_OF_TIME_S, EpochSeconds
from chargeback.money import Rounding, round_to_minor
from chargeback.periods import BillingPeriod
from chargeback.rates import Currency
from chargeback.usage import Metric

COST_MAX_NANOS = 10**21
"""A million million of the currency a month; more than that is a slip of the pen."""

Weight = Annotated[int, Field(gt=0, le=10**18, strict=True)]
"""A share's size beside the others', in billionths, so that 0.25 and 30 can both be written."""


class By(StrEnum):
    """What shares are proportional to. `EVEN` and `CUSTOM` are among tenants, and by allocation within one."""

    ALLOCATION = "allocation"
    USE = "use"
    PRICE = "price"
    EVEN = "even"
    CUSTOM = "custom"


class Charged(StrEnum):
    """Which shares become lines of statements; the others are shown, and charged to nobody."""

    NOTHING = "nothing"
    IDLE = "idle"
    ALL = "all"


class PoolCost(Value):
    """What one pool, tier or site costs a month over a half-open time, and how that is shared.

    `split` weighs the resources that the cost is for. Of each, what is not idle is shared by `share`,
    and what is idle by `idle`; None keeps it apart. `custom` weighs tenants. A whole month costs
    `month_nanos`, however many hours it has; of a part of a month, as many of them as its seconds.
    """

    name: Name
    pool: Name | None = None
    tier: Name | None = None
    site: Name | None = None
    currency: Currency
    month_nanos: Annotated[int, Field(ge=0, le=COST_MAX_NANOS, strict=True)]
    split: Annotated[FrozenMapping[Metric, Weight], Field(min_length=1)]
    share: By = By.ALLOCATION
    idle: By | None = None
    custom: FrozenMapping[Name, Weight] = Field(default_factory=dict)
    charge: Charged = Charged.NOTHING
    valid_from: EpochSeconds
    valid_to: EpochSeconds | None = None
    recorded_at: EpochSeconds
    source: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    replaces: tuple[Name, ...] = ()

    def __hash__(self) -> int:
        return hash((self.name, self.recorded_at))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len([place for place in (self.pool, self.tier, self.site) if place]) != 1:
            msg = "must be of exactly one of pool, tier and site"
            raise ValueError(msg)
        if self.end <= self.valid_from:
            msg = "valid_to must be after valid_from"
            raise ValueError(msg)
        if self.needs_custom != bool(self.custom):
            raise ValueError(CUSTOM_MISSING if self.needs_custom else CUSTOM_UNUSED)
        return self

    @property
    def needs_custom(self) -> bool:
        """Whether tenants must be weighed."""
        return By.CUSTOM in {self.share, self.idle}

    @property
    def end(self) -> int:
        """`valid_to`, or a time that nothing reaches."""
        return END_OF_TIME_S if self.valid_to is None else self.valid_to

    @property
    def place(self) -> str:
        """``pool fra-prod-1``, for people."""
        kind = "pool" if self.pool else "tier" if self.tier else "site"
        return f"{kind} {self.pool or self.tier or self.site}"


CUSTOM_MISSING = "a custom share needs 'custom', a weight for each tenant, like {payroll: 3, shop: 1}"
CUSTOM_UNUSED = "'custom' is read only where share or idle is custom; say so there, or remove it"


class CostFx(Value):
    """Dated exchange rates from the currency of pool costs to that of a rate card, as `fx.Billing` has them."""

    name: Name
    from_currency: Currency
    to_currency: Currency
    use_rate_of: FxDay = FxDay.PERIOD_END
    max_age_days: Annotated[int, Field(ge=0, le=AGE_MAX_DAYS, strict=True)] = 0
    rates: Annotated[tuple[FxRate, ...], Field(min_length=1)]

    def __hash__(self) -> int:
        return hash(self.name)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.from_currency == self.to_currency:
            msg = f"from_currency and to_currency are both {self.to_currency}; costs in it need no rate"
            raise ValueError(msg)
        wrong = twice_recorded(self.rates)
        if wrong:
            raise ValueError(wrong)
        return self


@dataclass(frozen=True, slots=True)
class Due:
    """What one cost comes to in one period, rounded once, in `currency`.

    `converted` is how it came to that currency; empty where it is in it.
    """

    cost: PoolCost
    seconds: int
    total_minor: int
    currency: str
    converted: str = ""


def due(
    costs: Iterable[PoolCost],
    period: BillingPeriod,
    known_at: int = END_OF_TIME_S,
    *,
    minor_digits: int,
    rounding: Rounding,
    currency: str = "",
    fx: Iterable[CostFx] = (),
) -> list[Due]:
    """What the costs that were known at `known_at` come to in the period, in their order.

    A cost in another currency than `currency` (if given) is converted on its exact amount by the entry of
    `fx` that leads there; without one it stays what it is. Raises MissingFxRate.
    """
    ways = {(one.from_currency, one.to_currency): one for one in fx}
    known = [cost for cost in costs if cost.recorded_at <= known_at]
    found = []
    for cost in known:
        seconds = sum(
            min(t_to, period.t_to) - max(t_from, period.t_from)
            for t_from, t_to in _in_force(cost, known)
            if t_from < period.t_to and period.t_from < t_to
        )
        exact = Fraction(cost.month_nanos * seconds, period.t_to - period.t_from)
        way = ways.get((cost.currency, currency))
        if seconds and way is None:
            minor = round_to_minor(exact, minor_digits, rounding)
            found.append(Due(cost, seconds, minor, cost.currency))
        elif seconds and way is not None:
            rate = conversion_of(way, period, known_at)
            minor = rate.minor(exact, minor_digits, rounding)
            found.append(Due(cost, seconds, minor, currency, rate.note(exact)))
    return found


def _in_force(cost: PoolCost, known: Sequence[PoolCost]) -> list[tuple[int, int]]:
    """When the cost is valid and none that replaces it, directly or through others, is."""
    left = [(cost.valid_from, cost.end)]
    for other in replacing(cost, known):
        left = [
            (t_from, t_to)
            for begin, end in left
            for t_from, t_to in ((begin, min(end, other.valid_from)), (max(begin, other.end), end))
            if t_from < t_to
        ]
    return left


def replacing(cost: PoolCost, known: Sequence[PoolCost]) -> list[PoolCost]:
    """The costs that take the place of this one, directly or through others."""
    names, found = {cost.name}, list[PoolCost]()
    for other in sorted(known, key=lambda other: other.recorded_at):
        if names & set(other.replaces):
            names.add(other.name)
            found.append(other)
    return found
