"""Rates that recover what a tier costs: cost / (what may be sold * target utilisation * hours), for each resource.

A tier that is emptier than its target does not get dearer for that: what its use does not recover is a line of its own.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import yaml

from chargeback.economics.document import Economics
from chargeback.economics.figures import MICROS
from chargeback.economics.fleet import TierCost
from chargeback.economics.sections import Tier
from chargeback.economics.trace import Use
from chargeback.money import (
    NANOS_PER_UNIT,
    Rounding,
    divided,
    exact_text,
    nanos_to_text,
    round_to_minor,
    split,
)
from chargeback.units import HOUR_S

UNITS: Mapping[str, tuple[str, int]] = {
    "vcpu": ("vcpu-hour", 1),
    "memory_mib": ("GiB-hour", 1024),
    "disk_gib": ("GiB-hour", 1),
    "machine": ("machine-hour", 1),
}
"""Resource -> the unit of its rate, and how much of the resource one unit is."""

_SHORT = {"memory_mib": "memory", "disk_gib": "disk"}


class InvalidRates(ValueError):
    """Rates that cannot be worked out; the message says what to add to the document."""


@dataclass(frozen=True, slots=True)
class ProposedRate:
    """What a unit of a resource costs in a tier, and what the use of today recovers by it."""

    tier: str
    resource: str
    cost_micros: int
    """The part of the tier's cost that this resource pays for."""
    capacity: int
    target_percent: Fraction
    hours: int
    used: int
    rate_nanos: int

    @property
    def unit(self) -> str:
        """What the rate is for."""
        return UNITS[self.resource][0]

    @property
    def exact(self) -> Fraction:
        """The rate before it is rounded, in nano-units."""
        return rate_of(self.cost_micros, self.resource, self.capacity, self.target_percent, self.hours)

    def recovered_nanos(self, metered: int | None = None) -> Fraction:
        """What use recovers, exactly: quantity x seconds that were metered, or today's over all of the time."""
        seconds = self.used * self.hours * HOUR_S if metered is None else metered
        return Fraction(seconds * self.rate_nanos, UNITS[self.resource][1] * HOUR_S)


@dataclass(frozen=True, slots=True)
class RecoveryLine:
    """In minor units of the currency. The line without a resource is what no use pays for; below zero: a surplus."""

    tier: str
    resource: str
    cost_minor: int
    recovered_minor: int


@dataclass(frozen=True, slots=True)
class Proposal:
    """The rates of a tier, with what they recover."""

    cost: TierCost
    rates: tuple[ProposedRate, ...]

    def recovery(
        self, minor_digits: int = 2, metered: Mapping[str, int] | None = None
    ) -> tuple[RecoveryLine, ...]:
        """Cost and what is recovered of it by resource, and the rest in a line of its own.

        By what the fleet uses today, or by what was metered in the time: resource -> quantity x seconds.

        The tier's cost is rounded once; the parts of the resources add up to it, and so do what is recovered and what
        is not.
        """
        tier = self.cost.tier
        total = round_to_minor(Fraction(self.cost.total * 1000), minor_digits, Rounding.HALF_UP)
        costs = split(total, [rate.cost_micros for rate in self.rates])
        lines = []
        for rate, cost in zip(self.rates, costs, strict=True):
            nanos = rate.recovered_nanos(None if metered is None else metered.get(rate.resource, 0))
            recovered = round_to_minor(nanos, minor_digits, Rounding.HALF_UP)
            lines.append(RecoveryLine(tier, rate.resource, cost, recovered))
        rest = total - sum(line.recovered_minor for line in lines)
        return (*lines, RecoveryLine(tier, "", 0, rest))


def rate_of(
    cost_micros: int, resource: str, capacity: int, target_percent: Fraction, hours: int
) -> Fraction:
    """Nano-units for a unit and hour."""
    sold = Fraction(capacity, UNITS[resource][1]) * target_percent * hours * Fraction(1, 100)
    return Fraction(cost_micros * (NANOS_PER_UNIT // MICROS), sold)


def propose(economics: Economics, cost: TierCost, decimals: int = 6) -> Proposal:
    """The rates of a tier, rounded half up to so many decimals, at most 9. Raises InvalidRates."""
    tier = next((one for one in economics.tiers if one.name == cost.tier), None)
    if tier is None:
        msg = f"tiers: there is no '{cost.tier}'; add it, with its split and its target utilisation"
        raise InvalidRates(msg)
    step = 10 ** (9 - decimals)
    found = []
    for resource, micros in _parts(tier, cost).items():
        target = _target(tier, resource, cost.start)
        capacity = cost.capacity.get(resource, 0)
        if not capacity:
            msg = (
                f"fleet: tier '{tier.name}' has no {resource} to sell, and split lets it pay for "
                f"{exact_text(Fraction(micros, MICROS))}; let another resource pay, or say how much there is"
            )
            raise InvalidRates(msg)
        exact = rate_of(micros, resource, capacity, target, cost.hours)
        nanos = divided(exact.numerator, exact.denominator * step, Rounding.HALF_UP) * step
        used = cost.used.get(resource, 0)
        found.append(ProposedRate(tier.name, resource, micros, capacity, target, cost.hours, used, nanos))
    return Proposal(cost, tuple(found))


def _parts(tier: Tier, cost: TierCost) -> dict[str, int]:
    """Resource -> the micro-units that it pays for; they add up to the tier's cost."""
    found: dict[str, int] = {}
    splits = {str(term): dict(weights) for term, weights in tier.split.items()}
    for term, micros in cost.terms.items():
        by_resource = splits.get(term, {})
        if not micros:
            continue
        if not by_resource:
            amount = exact_text(Fraction(micros, MICROS))
            msg = f"tiers.{tier.name}.split.{term}: is missing, and {term} costs {amount}; say what pays for it"
            raise InvalidRates(msg)
        for resource, part in zip(by_resource, split(micros, list(by_resource.values())), strict=True):
            found[resource] = found.get(resource, 0) + part
    return {resource: found[resource] for resource in UNITS if found.get(resource)}


def _target(tier: Tier, resource: str, day: date) -> Fraction:
    for key, figure in tier.target_utilisation_percent.items():
        if key == resource:
            path = f"tiers.{tier.name}.target_utilisation_percent.{resource}"
            return Use(path, figure, "target utilisation in percent").on(day, None).value
    return Fraction(100)


def card_text(
    proposals: Sequence[Proposal],
    *,
    name: str,
    currency: str,
    valid_from: date,
    recorded_at: str,
    version: int = 1,
    minor_digits: int = 2,
    time_zone: str = "UTC",
) -> str:
    """The proposal as a rate card, which the reader of rate cards takes."""
    card = {
        "version": version,
        "currency": currency,
        "minor_digits": minor_digits,
        "time_zone": time_zone,
        "recorded_at": recorded_at,
        "rates": [row for proposal in proposals for row in _rows(proposal, valid_from)],
    }
    return yaml.safe_dump({"rate_cards": {name: card}}, sort_keys=False)


def _rows(proposal: Proposal, valid_from: date) -> Iterator[dict[str, object]]:
    for rate in proposal.rates:
        yield {
            "id": f"{_SHORT.get(rate.resource, rate.resource)}-{rate.tier}-{valid_from:%Y-%m}",
            "tier": rate.tier,
            "metric": rate.resource,
            "unit": rate.unit,
            "price": nanos_to_text(rate.rate_nanos),
            "valid_from": valid_from.isoformat(),
        }
