"""What a tier costs as it stands, and what it may sell: from the fleet that an economics document describes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from chargeback.economics.costing import HostFacts, Line, PoolFacts, host_costs, open_costs, unit_costs
from chargeback.economics.document import Economics
from chargeback.economics.figures import MICROS
from chargeback.economics.finding import host_type_of
from chargeback.economics.sections import Fleet
from chargeback.economics.trace import Factor, MissingFigure, later


@dataclass(frozen=True, slots=True)
class Traced:
    """So many times a line, for one entry of the fleet."""

    fleet: str
    quantity: int
    line: Line
    micros: int


@dataclass(frozen=True, slots=True)
class TierCost:
    """A tier's fully loaded cost over a time: everything, sunk or not, as rates are to recover it."""

    tier: str
    start: date
    months: int
    terms: Mapping[str, int]
    """Term -> micro-units."""
    sunk_micros: int
    """What of them is sunk."""
    capacity: Mapping[str, int]
    """Resource -> what may be sold at once; machines: those that there are."""
    used: Mapping[str, int]
    """Resource -> what machines have."""
    traced: tuple[Traced, ...] = field(repr=False)

    @property
    def total(self) -> int:
        """All terms together."""
        return sum(self.terms.values())

    @property
    def hours(self) -> int:
        """Of the whole time, by the calendar."""
        return (later(self.start, self.months) - self.start).days * 24


def facts_of(fleet: Fleet) -> tuple[HostFacts, PoolFacts]:
    """One of the hosts, and their pool."""
    host = HostFacts(
        fleet.hypervisor.value, fleet.pool, fleet.site, fleet.model, fleet.sockets, fleet.cores, fleet.memory_mib
    )  # fmt: skip
    return host, PoolFacts(fleet.pool, fleet.hypervisor.value, fleet.site, fleet.tier)


def tier_cost(
    economics: Economics, tier: str, start: date, months: int, licences: Mapping[str, int] | None = None
) -> TierCost:
    """What a tier costs over `months`; `licences` are what its pools pay for these, by pool, in micro-units.

    A host whose purchase date is not told counts as bought at the start. Raises MissingFigure.
    """
    known = [fleet for fleet in economics.fleet if fleet.tier == tier]
    if not known:
        msg = f"fleet: nothing stands in tier '{tier}'; add what does, or leave the tier out"
        raise MissingFigure(msg)
    traced: list[Traced] = []
    opened: set[str] = set()
    for fleet in known:
        traced += _traced(economics, fleet, start, months, opening=fleet.pool not in opened)
        opened.add(fleet.pool)
    for pool, micros in (licences or {}).items():
        if pool in opened and micros:
            counted = Factor(f"licences counted for pool {pool}", Fraction(micros, MICROS))
            line = Line("licences", "open", f"licences of {pool}", (counted,), start, 0, 1)
            traced.append(Traced(pool, 1, line, micros))
    terms: dict[str, int] = {}
    for one in traced:
        terms[one.line.term] = terms.get(one.line.term, 0) + one.micros
    sunk = sum(one.micros for one in traced if one.line.part == "sunk")
    return TierCost(tier, start, months, terms, sunk, _capacity(known), _used(known), tuple(traced))


def _traced(economics: Economics, fleet: Fleet, start: date, months: int, *, opening: bool) -> list[Traced]:
    host, pool = facts_of(fleet)
    cost = host_costs(economics, host, start, months)
    # A host's purchase is either sunk or counts as made at the start: one of the two.
    without = "sunk" if host_type_of(economics, host).bought_on is None else "bought"
    several = [(fleet.hosts, line) for line in cost.lines if line.part != without]
    several += [
        (fleet.machines if line.part == "machine" else fleet.disk_gib, line)
        for line in unit_costs(economics, pool, start, months).lines
    ]
    if opening:
        several += [(1, line) for line in open_costs(economics, pool, start, months).lines]
    return [Traced(fleet.name, quantity, line, _micros(quantity, line)) for quantity, line in several]


def _micros(quantity: int, line: Line) -> int:
    if line.part in {"kept", "bought", "sunk", "open", "machine"}:
        return quantity * line.micros
    exact = quantity * line.exact_micros  # Of units so small that a micro-unit is a lot.
    return exact.numerator // exact.denominator


def _capacity(known: list[Fleet]) -> dict[str, int]:
    found = dict.fromkeys(("vcpu", "memory_mib", "disk_gib", "machine"), 0)
    for fleet in known:
        hosts = fleet.hosts - fleet.spare_hosts
        vcpu, memory = (
            hosts * fleet.cores * fleet.vcpu_per_core,
            hosts * fleet.memory_mib * fleet.memory_ratio,
        )
        found["vcpu"] += vcpu.numerator // vcpu.denominator
        found["memory_mib"] += memory.numerator // memory.denominator
        found["disk_gib"] += fleet.disk_gib
        found["machine"] += fleet.machines
    return found


def _used(known: list[Fleet]) -> dict[str, int]:
    found = {
        resource: sum(dict(fleet.used).get(resource, 0) for fleet in known)  # type: ignore[call-overload] # a resource class is its text
        for resource in ("vcpu", "memory_mib", "disk_gib")
    }
    return {**found, "machine": sum(fleet.machines for fleet in known)}
