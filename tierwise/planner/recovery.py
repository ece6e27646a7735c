"""What the machines of a plan are charged by a rate card, tier by tier: what of the cost is recovered, and what is not.

It decides nothing: where machines run is decided by what they cost.
"""

from datetime import date, datetime, time
from fractions import Fraction

import numpy as np

from chargeback.economics.trace import later
from chargeback.instants import zone
from chargeback.quotes import cost_micros
from chargeback.rates import HOUR_S, Frequency, MissingRate, RateCard
from placement.amounts import half_up
from placement.arrays import Int64
from tierwise.planner.build import Built
from tierwise.planner.grouping import PLACE_MIB, RESOURCES


def recovered(built: Built, counts: Int64, card: RateCard, start: date, months: int) -> dict[str, int]:
    """Tier -> what its machines, `counts` [G, P], are charged over the horizon, in micro-units.

    Each as if it ran all the time at the size that is planned with, those to come from their month on; what is paid once
    and what is measured are left out, and so are adjustments. Raises MissingRate.
    """
    tier_of = np.array(built.problem.pools.tier_of)
    tiers = sorted(set(tier_of[counts.any(axis=0)].tolist()))
    each = _each(card, _charged(built.machines.demand), tiers, start, months)
    found = {}
    for t, tier in enumerate(tiers):
        there = counts[:, tier_of == tier].sum(axis=1).tolist()
        exact = sum(
            (count * int(each[g, t]) * built.machines.share[g] for g, count in enumerate(there) if count),
            Fraction(0),
        )
        found[tier] = half_up(exact * built.world.rates.get(tier, Fraction(1)))
    return found


def _charged(demand: Int64) -> Int64:
    """The same sizes, with no memory where it only stands for a place."""
    sizes = demand.copy()
    sizes[(sizes[:, 0] == 0) & (sizes[:, 1] == PLACE_MIB), 1] = 0
    return sizes


def why_not(card: RateCard, tiers: set[str], start: date, months: int) -> str:
    """Why machines of these tiers cannot be charged; empty: they can."""
    try:
        _each(card, np.zeros((1, len(RESOURCES)), dtype=np.int64), sorted(tiers), start, months)
    except MissingRate as error:
        return str(error)
    return ""


def _each(card: RateCard, sizes: Int64, tiers: list[str], start: date, months: int) -> Int64:
    """[G, T] what one machine of each size is charged in each tier over the horizon."""
    where = zone(card.time_zone)
    begin, end = (
        int(datetime.combine(day, time(), where).timestamp()) for day in (start, later(start, months))
    )
    recurring = tuple(rate for rate in card.rates if rate.frequency is not Frequency.ONE_TIME)
    if not recurring or not tiers:
        return np.zeros((len(sizes), len(tiers)), dtype=np.int64)
    return cost_micros(
        sizes, tiers, card.model_copy(update={"rates": recurring}), begin, (end - begin) // HOUR_S
    )
