"""Pool costs x who held what -> parts that add up to the costs, whoever looks at which of them.

For each cost and resource: what was held of the capacity is the held part, the rest is idle. Where
more was held than there is, nothing is idle. Each part is shared by its own rule, inside the cost's
own pool, tier or site; what has no weight to go by is borne by nobody and stays to be seen. The rules
for idle cost (per resource, inside each cluster, by weight) are OpenCost's.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from chargeback.periods import BillingPeriod
from chargeback.shared_costs.consumption import Consumption
from chargeback.shared_costs.costs import By, Due
from chargeback.shared_costs.parts import Kind, Part, proportional, rounded
from chargeback.shared_costs.sharing import SharedTenant, share_out
from chargeback.usage import Metric


@dataclass(frozen=True, slots=True)
class Place:
    """A pool as the costs see it. `capacity` is what it can give of each metric, in the metric's unit.

    A metric that it lacks has no capacity to be idle; a pool that was never seen has none of them.
    """

    pool: str
    tier: str
    site: str
    capacity: Mapping[Metric, int]


@dataclass(frozen=True, slots=True)
class Allocation:
    """All costs of a period in parts. A selection of parts never changes what a part is."""

    period: BillingPeriod
    currency: str
    minor_digits: int
    dues: tuple[Due, ...]
    parts: tuple[Part, ...]

    @property
    def total_minor(self) -> int:
        """What all costs come to: the sum of all parts, exactly."""
        return sum(due.total_minor for due in self.dues)

    def amount_minor(self, **wanted: str) -> int:
        """The sum of the parts whose fields are as wanted: ``kind="idle", tenant=""``."""
        return sum(part.amount_minor for part in self.where(**wanted))

    def where(self, **wanted: str) -> list[Part]:
        """The parts whose fields are as wanted."""
        return [p for p in self.parts if all(getattr(p, name) == value for name, value in wanted.items())]

    def by(self, *fields: str) -> dict[tuple[str, ...], int]:
        """Amounts in minor units per value of some of the parts' fields."""
        found: dict[tuple[str, ...], int] = defaultdict(int)
        for part in self.parts:
            found[tuple(str(getattr(part, field)) for field in fields)] += part.amount_minor
        return dict(found)


_FIELDS = {By.ALLOCATION: "allocated", By.USE: "used", By.PRICE: "price_minor"}


class WrongCurrency(ValueError):
    """A pool's cost is in another currency than the bill."""


def allocate(
    dues: Sequence[Due],
    found: Iterable[Consumption],
    places: Iterable[Place],
    period: BillingPeriod,
    *,
    currency: str,
    minor_digits: int,
    shared: Sequence[SharedTenant] = (),
) -> Allocation:
    """Share the costs of a period out; the parts add up to the costs with a difference of 0.

    `found` is what was held in the whole period. Tenants that are `shared` bear nothing themselves.
    Raises WrongCurrency where a cost is not in `currency`.
    """
    foreign = [due for due in dues if due.currency != currency]
    if foreign:
        named = ", ".join(f"{due.cost.name} ({due.currency})" for due in foreign)
        msg = (
            f"the bill is in {currency}, but not the pool cost of {named}; write it in {currency}, or its "
            "exchange rates in 'cost_fx:'"
        )
        raise WrongCurrency(msg)
    world = _World(tuple(found), tuple(places), period.t_to - period.t_from)
    parts = share_out([part for due in dues for part in world.parts(due)], shared)
    by_cost = defaultdict(list)
    for part in parts:
        by_cost[part.cost.name].append(part)
    whole = (part for due in dues for part in rounded(by_cost[due.cost.name], due.total_minor))
    return Allocation(period, currency, minor_digits, tuple(dues), tuple(whole))


class _World:
    """What was held and what there is, in one period."""

    def __init__(self, found: tuple[Consumption, ...], places: tuple[Place, ...], seconds: int) -> None:
        self.found = found
        self.places = places
        self.seconds = seconds
        self.sites = {place.pool: place.site for place in places}

    def parts(self, due: Due) -> Iterator[Part]:
        """The exact parts of one cost."""
        metrics = list(due.cost.split)
        amounts = proportional(Fraction(due.total_minor), [due.cost.split[metric] for metric in metrics])
        for metric, amount in zip(metrics, amounts, strict=True):
            yield from _Pot(self, due, metric).parts(amount)

    def within(self, due: Due, metric: Metric) -> list[Consumption]:
        """What was held of the cost's pool, tier or site."""
        cost = due.cost
        return [
            each
            for each in self.found
            if each.metric is metric
            and (
                each.pool == cost.pool
                or each.tier == cost.tier
                or (cost.site is not None and self.sites.get(each.pool) == cost.site)
            )
        ]

    def capacity(self, due: Due, metric: Metric) -> int | None:
        """Unit-seconds that could be held; None where that is not known of every pool."""
        cost = due.cost
        within = [
            p for p in self.places if cost.pool == p.pool or cost.tier == p.tier or cost.site == p.site
        ]
        if not within or any(metric not in place.capacity for place in within):
            return None
        return sum(place.capacity[metric] for place in within) * self.seconds


class _Pot:
    """One resource of one cost: who held how much of it."""

    def __init__(self, world: _World, due: Due, metric: Metric) -> None:
        self.cost = due.cost
        self.metric = metric
        self.found = world.within(due, metric)
        self.capacity = world.capacity(due, metric)
        self.pool = self.cost.pool or ""
        tiers = {place.pool: place.tier for place in world.places}
        self.tier = self.cost.tier or tiers.get(self.pool, "")
        self.held = self._amounts("used" if self.cost.share is By.USE else "allocated")

    def parts(self, amount: Fraction) -> Iterator[Part]:
        """The held part and the idle part, each as its rule shares it."""
        held = sum(self.held)
        whole = max(held, self.capacity if self.capacity is not None else held)
        used = amount * Fraction(held, whole or 1)
        if used:
            yield from self._shared(Kind.HELD, used, self.cost.share)
        if used == amount:
            return
        if self.cost.idle is None:
            unknown = self.capacity is None and not held
            why = "nothing was held, and its capacity is not known" if unknown else "idle, kept apart"
            yield self._nobody(Kind.IDLE, amount - used, why)
        else:
            yield from self._shared(Kind.IDLE, amount - used, self.cost.idle)

    def _shared(self, kind: Kind, amount: Fraction, by: By) -> Iterator[Part]:
        weights, absent = self._weights(by)
        whole = sum(weights, Fraction(0)) + sum(absent.values())
        if not whole:
            yield self._nobody(kind, amount, f"no weight by {by} is above zero", by)
            return
        *shares, rest = proportional(amount, [*weights, whole - sum(weights, Fraction(0))])
        for each, share in zip(self.found, shares, strict=True):
            if share:
                yield Part(
                    self.cost, self.metric, kind, each.tenant, each.cost_centre, each.tier, each.pool, share, by
                )  # fmt: skip
        if rest:
            why = f"the share of {', '.join(sorted(absent))}, who held nothing here"
            yield self._nobody(kind, rest, why, by)

    def _weights(self, by: By) -> tuple[list[Fraction], Mapping[str, int]]:
        """A weight for each of `found`, and the weights of tenants that are not among them."""
        if by not in {By.EVEN, By.CUSTOM}:
            return [Fraction(amount) for amount in self._amounts(_FIELDS[by])], {}
        present = {each.tenant for each, held in zip(self.found, self.held, strict=True) if held}
        among: Mapping[str, int] = dict.fromkeys(present, 1) if by is By.EVEN else self.cost.custom
        weights = self._within_tenants(among)
        return weights, {tenant: weight for tenant, weight in among.items() if tenant not in present}

    def _within_tenants(self, among: Mapping[str, int]) -> list[Fraction]:
        """A tenant's weight, cut by what its cost centres held in which pool."""
        held: dict[str, int] = defaultdict(int)
        for each, amount in zip(self.found, self.held, strict=True):
            held[each.tenant] += amount
        return [
            Fraction(among.get(each.tenant, 0) * amount, held[each.tenant] or 1)
            for each, amount in zip(self.found, self.held, strict=True)
        ]

    def _amounts(self, field: str) -> list[int]:
        """What each of `found` had; less than nothing counts as nothing."""
        return [max(0, getattr(each, field)) for each in self.found]

    def _nobody(self, kind: Kind, amount: Fraction, why: str, by: str = "") -> Part:
        return Part(self.cost, self.metric, kind, "", "", self.tier, self.pool, amount, by, why=why)
