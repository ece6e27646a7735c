"""What a described fleet pays for its hypervisors' licences, counted by placement."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
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
from placement.constraints.licences import Licences
from placement.licensing.mistakes import OF_ANY_HOST
from placement.licensing.products import Alternative, Processors, Product
from placement.problem import PlacementProblem
from placement.seats import Seats
from tierwise.planner.licensing import MEMORY, RAW_STORAGE


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
    found: dict[str, int] = {}
    for terms, _, here in licensed:
        for problem in _unknown(terms, here):
            raise MissingFigure(problem)
        for pool, micros in _counted(terms, here, start, months).items():
            found[pool] = found.get(pool, 0) + micros
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


def _counted(terms: LicenceTerms, fleets: Sequence[Fleet], start: date, months: int) -> dict[str, int]:
    """What the pools pay together, shared by what each would pay alone if nothing were owned."""
    hours = (later(start, months) - start).days * 24
    pools = list(dict.fromkeys(one.pool for one in fleets))
    total = counted_cost(terms, fleets, hours) + terms.sunk_micros
    alone = [
        counted_cost(terms, [one for one in fleets if one.pool == pool], hours, owned=False)
        for pool in pools
    ]
    return dict(zip(pools, split(total, alone if any(alone) else [1] * len(pools)), strict=True))


def counted_cost(terms: LicenceTerms, fleets: Sequence[Fleet], hours: int, *, owned: bool = True) -> int:
    """What placement counts for these hosts and the machines on them, in micro-units."""
    names, seats, vcpu = tuple(one.name for one in fleets), list[int](), list[int]()
    for n, fleet in enumerate(fleets):
        machines = max(1, fleet.machines)
        vcpu += split(_used_vcpu(fleet), [1] * machines)
        seats += [n] * machines
    requests = tuple(f"m{n}" for n in range(len(vcpu)))
    scopes: dict[str, tuple[str, ...]] = {}
    for fleet in fleets:
        scope = {
            "pool": fleet.pool, "site": fleet.site, "manager": f"{fleet.hypervisor.value} of {fleet.site}",
        }.get(terms.reach, terms.reach)  # fmt: skip
        scopes[scope] = (*scopes.get(scope, ()), fleet.name)
    ways = [asdict(way) if owned else {**asdict(way), "owned_packs": 0} for way in terms.alternatives]
    product = Product(
        name="product", requests=("all",), scopes=scopes, alternatives=tuple(map(Alternative.model_validate, ways))
    )  # fmt: skip
    processors = {
        one.name: Processors(
            sockets=one.sockets,
            cores_per_socket=one.cores // one.sockets,
            hosts=one.hosts,
            family=one.model,
            amounts=_amounts(one),
        )
        for one in fleets
    }
    room = np.full((len(fleets), 1), 2**40, dtype=np.int64)
    rule = Licences(products=(product,), processors=processors)
    problem = PlacementProblem(
        resource_classes=("vcpu",),
        request_ids=requests,
        demand=np.array(vcpu, dtype=np.int64)[:, None],
        pool_ids=names,
        tier_of=tuple(one.tier for one in fleets),
        free=room,
        largest=room,
        cost_micros=np.zeros((len(requests), len(fleets)), dtype=np.int64),
        horizon_hours=hours,
        groups={"all": requests},
        constraints=(rule,),
    )
    return rule.cost(problem, Seats(np.array(seats, dtype=np.int64)))["licences"]


def _used_vcpu(fleet: Fleet) -> int:
    return next((amount for key, amount in fleet.used.items() if key.value == "vcpu"), 0)
