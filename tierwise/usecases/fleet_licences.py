"""What a described fleet pays for its hypervisors' licences, counted as planning counts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from datetime import date

import numpy as np

from chargeback.economics.costing import (
    LicenceTerms,
    MissingFigure,
    counted_once,
    products_of_regions,
    region_of,
)
from chargeback.economics.document import Economics
from chargeback.economics.fleet import facts_of
from chargeback.economics.sections import Fleet
from chargeback.economics.trace import later
from chargeback.money import split
from placement.licensing.mistakes import OF_ANY_HOST
from placement.licensing.products import ExactAlternative
from placement.planning.problem import Blocks, Groups, PlannedProduct, PlanningProblem, Pools
from tierwise.planner.licensing import MEMORY, RAW_STORAGE
from tierwise.planner.today import cheapest_licences


def licences_by_pool(economics: Economics, start: date, months: int) -> dict[str, int]:
    """What each pool of the fleet pays for its hypervisor's licences, in micro-units, what is sunk included.

    Guests' licences are not in it: a fleet does not say what its machines run. Raises MissingFigure where a product counts
    what the document does not say of hosts.
    """
    fleets = [(one, region_of(economics, facts_of(one)[1])) for one in economics.fleet if one.hosts]
    licensed = [
        (terms, where, here)
        for terms, where in products_of_regions(economics, start, months, [region for _, region in fleets])
        if terms.layer == "hypervisor"
        and (here := [one for one, region in fleets if (region or None) in where and _needs(terms, one)])
    ]
    counted_once((terms, where) for terms, where, _ in licensed)
    orders: dict[str, list[tuple[LicenceTerms, list[Fleet]]]] = {}
    for terms, _, here in licensed:
        for problem in _unknown(terms, here):
            raise MissingFigure(problem)
        orders.setdefault(terms.name, []).append((terms, here))
    hours = (later(start, months) - start).days * 24
    found: dict[str, int] = {}
    for order in orders.values():
        for (terms, here), micros in zip(order, _counted(order, hours), strict=True):
            for pool, part in _shared(terms, here, micros + terms.sunk_micros, hours).items():
                found[pool] = found.get(pool, 0) + part
    return found


def _needs(terms: LicenceTerms, fleet: Fleet) -> bool:
    pool = facts_of(fleet)[1]
    return terms.match.needs(hypervisor=pool.hypervisor, pool=pool.name)


def _unknown(terms: LicenceTerms, fleets: Sequence[Fleet]) -> Iterator[str]:
    """What a product counts of hosts and the fleet does not say."""
    for way in terms.alternatives:
        names = {*way.unit_covers, way.amount, way.add_on and way.add_on.amount}
        for fleet in fleets:
            for name in sorted(one for one in names if one):
                if name not in OF_ANY_HOST and name not in _amounts(fleet):
                    yield (
                        f"licences.{terms.product}: '{way.name}' counts {name} of hosts, and fleet.{fleet.name} does not say "
                        f"how much each has; known of a fleet are {MEMORY} and, where it is told, {RAW_STORAGE}"
                    )
            if way.core_factor_thousandths and fleet.model not in way.core_factor_thousandths:
                yield (
                    f"licences.{terms.product}: '{way.name}' has no factor of the model '{fleet.model}' of "
                    f"fleet.{fleet.name}; add it to core_factor_thousandths"
                )


def _amounts(fleet: Fleet) -> dict[str, int]:
    """Of one host."""
    known = {MEMORY: -(-fleet.memory_mib // 1024)}
    return known if fleet.raw_storage_gib is None else {**known, RAW_STORAGE: fleet.raw_storage_gib}


def _shared(terms: LicenceTerms, fleets: Sequence[Fleet], micros: int, hours: int) -> dict[str, int]:
    """What the pools pay together, shared by what each would pay alone if nothing were owned."""
    ways = tuple(replace(way, owned_packs=0) for way in terms.alternatives)
    bare = replace(terms, alternatives=ways)
    pools = list(dict.fromkeys(one.pool for one in fleets))
    alone = [_counted([(bare, [one for one in fleets if one.pool == pool])], hours)[0] for pool in pools]
    return dict(zip(pools, split(micros, alone if any(alone) else [1] * len(pools)), strict=True))


def _counted(order: Sequence[tuple[LicenceTerms, Sequence[Fleet]]], hours: int) -> list[int]:
    """What planning counts for these hosts and the machines on them, in micro-units: of one order, at each of its prices."""
    fleets = [one for _, some in order for one in some]
    sizes = [
        (p, vcpu, count)
        for p, fleet in enumerate(fleets)
        for vcpu, count in Counter(split(_used_vcpu(fleet), [1] * max(1, fleet.machines))).items()
    ]
    where, vcpu, count = np.array(sizes, dtype=np.int64).T
    counts = np.zeros((len(sizes), len(fleets)), dtype=np.int64)
    counts[np.arange(len(sizes)), where] = count
    hosts = np.array([one.hosts for one in fleets], dtype=np.int64)
    nothing = np.zeros((len(fleets), 1), dtype=np.int64)
    names = tuple(one.name for one in fleets)
    problem = PlanningProblem(
        resource_classes=("vcpu",),
        groups=Groups(
            ids=tuple(f"{names[p]} with {vcpu} vCPU" for p, vcpu, _ in sizes),
            count=count,
            demand=vcpu[:, None],
            current=where,
            allowed=counts > 0,
        ),
        pools=Pools(
            ids=names,
            tier_of=tuple(one.tier for one in fleets),
            losses=nothing[:, 0],
            shared=nothing,
            labels={
                "fleets": tuple(one.pool for one in fleets),
                "site": tuple(one.site for one in fleets),
                "manager": tuple(f"{one.hypervisor.value} of {one.site}" for one in fleets),
            },
        ),
        blocks=Blocks(
            ids=names,
            pool_of=np.arange(len(fleets)),
            existing=hosts,
            most=hosts,
            capacity=nothing,
            largest=nothing,
            sockets=np.array([one.sockets for one in fleets], dtype=np.int64),
            cores_per_socket=np.array([one.cores // one.sockets for one in fleets], dtype=np.int64),
            families=tuple(one.model for one in fleets),
            amounts={
                name: np.array([_amounts(one).get(name, 0) for one in fleets], dtype=np.int64)
                for name in (MEMORY, RAW_STORAGE)
            },
        ),
        products=tuple(
            PlannedProduct(
                name=str(n),
                groups=np.ones(len(sizes), dtype=np.bool_),
                alternatives=tuple(
                    ExactAlternative.model_validate(asdict(way)) for way in terms.alternatives
                ),
                pools=np.array([one in some for one in fleets], dtype=np.bool_),
                reach="fleets" if terms.reach == "pool" else terms.reach,
                order=terms.name,
            )
            for n, (terms, some) in enumerate(order)
        ),
        horizon_hours=hours,
    )
    found = cheapest_licences(problem, counts, hosts)
    return [sum(one.cost_micros for one in found if one.product == str(n)) for n in range(len(order))]


def _used_vcpu(fleet: Fleet) -> int:
    return next((amount for key, amount in fleet.used.items() if key.value == "vcpu"), 0)
