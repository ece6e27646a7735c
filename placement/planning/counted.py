"""What a finished plan buys of licences, and what all of it costs; in Python integers, without any model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from catalog.wording import counted
from placement.amounts import half_up
from placement.arrays import Int64
from placement.licensing.products import Alternative
from placement.licensing.tally import Tally, after, packs_at_prices, rest_to_pay
from placement.planning.plan import Licence
from placement.planning.problem import Blocks, PlannedProduct, PlanningProblem

MachinesOf = Mapping[str, Mapping[int, int]]
"""Scope -> group -> machines."""
ORDER = "order"
LICENCES = "licences"
MOVING = "moving"


@dataclass(frozen=True)
class Chosen:
    """What licenses a product in one scope."""

    product: int
    scope: str
    alternative: int
    hosts: Mapping[int, int] = field(default_factory=dict)
    """Block -> hosts that are counted."""


@dataclass(frozen=True)
class _Scope:
    name: str
    hosts: Mapping[int, int]
    machines: Mapping[int, int]
    """Group -> how many."""
    parts: tuple[int, ...]
    amount: int


@dataclass(frozen=True)
class _Taken:
    """An alternative of a product, and the scopes that it licenses."""

    product: int
    way: Alternative
    scopes: Sequence[_Scope]


def pools_by_scope(problem: PlanningProblem, product: PlannedProduct) -> dict[str, list[int]]:
    """Scope -> its pools, where the product must be licensed."""
    found: dict[str, list[int]] = {}
    for p, pool in enumerate(problem.pools.ids):
        if product.pools is not None and not bool(product.pools[p]):
            continue
        if product.reach == "pool":
            name = pool
        else:
            name = "estate" if product.reach == "estate" else problem.pools.labels[product.reach][p]
        found.setdefault(name, []).append(p)
    return found


def machines_by_scope(
    problem: PlanningProblem, product: PlannedProduct, counts: Int64
) -> dict[str, dict[int, int]]:
    """Scope -> group -> machines of the product; scopes that have none are left out."""
    found: dict[str, dict[int, int]] = {}
    for name, pools in pools_by_scope(problem, product).items():
        here = counts[:, pools].sum(axis=1)
        some = {g: int(here[g]) for g in here.nonzero()[0].tolist() if product.groups[g]}
        if some:
            found[name] = some
    return found


def licences_of(problem: PlanningProblem, counts: Int64, chosen: Sequence[Chosen]) -> tuple[Licence, ...]:
    """What is bought, product by product, in the order of scopes."""
    found: dict[int, list[Licence]] = {}
    for members in problem.orders:
        machines = {n: machines_by_scope(problem, problem.products[n], counts) for n in members}
        found |= licences_of_order(problem, machines, chosen)
    return tuple(one for n in sorted(found) for one in found[n])


def licences_of_order(
    problem: PlanningProblem, machines: Mapping[int, MachinesOf], chosen: Sequence[Chosen]
) -> dict[int, list[Licence]]:
    """What is bought of each product of one order; `machines` of each by scope and group."""
    taken: list[_Taken] = []
    for n, by_scope in machines.items():
        order = {name: at for at, name in enumerate(by_scope)}
        mine = [one for one in chosen if one.product == n and one.scope in order]
        mine.sort(key=lambda one: order[one.scope])
        for a, way in enumerate(problem.products[n].alternatives):
            scopes = [
                _scope(problem, way, one, by_scope[one.scope]) for one in mine if one.alternative == a
            ]
            if scopes:
                taken.append(_Taken(n, way, scopes))
    found: dict[int, list[Licence]] = {n: [] for n in machines}
    for several in _by_name(taken):
        shared = len(several) > 1 and several[0].way.shared
        for one, bought in zip(several, _at_prices(problem, several), strict=True) if shared else ():
            found[one.product].append(_licence(problem, one, one.scopes, bought))
        for one in () if shared else several:
            found[one.product] += _licences(problem, one)
    return found


def _by_name(taken: Sequence[_Taken]) -> Iterator[list[_Taken]]:
    """What is taken of each alternative, at all prices of the order."""
    for name in dict.fromkeys(one.way.name for one in taken):
        yield [one for one in taken if one.way.name == name]


@dataclass(frozen=True)
class _Bought:
    """What is bought at one of an order's prices."""

    packs: int
    cost_micros: int


def _at_prices(problem: PlanningProblem, several: Sequence[_Taken]) -> list[_Bought]:
    """Of an alternative at several prices of one order: its minimum is asked once, and it is rounded once, also in money."""
    way = several[0].way
    hours = problem.horizon_hours if way.per_hour else 1
    together = -(-way.order_minimum // way.pack_size)
    if way.pack_scope == ORDER:
        every = [scope for one in several for scope in one.scopes]
        together = max(together, _packs(problem, way, every)[1])
        parts = [zip(*(scope.parts for scope in one.scopes), strict=True) for one in several]
        least = [sum(sum(some) // way.parts for some in one) * hours // way.pack_size for one in parts]
    else:
        least = [_packs(problem, one.way, one.scopes)[1] for one in several]
    amounts = [sum(scope.amount for scope in one.scopes) for one in several]
    found, exact, paid = [], Fraction(0), 0
    bought = packs_at_prices([one.way for one in several], least, amounts, together)
    for one, (packs, beside) in zip(several, bought, strict=True):
        exact += packs * one.way.pack_cost
        exact += beside * one.way.add_on.pack_cost if one.way.add_on is not None else 0
        found.append(_Bought(packs, half_up(exact) - paid))
        paid = half_up(exact)
    return found


def cost_terms(
    problem: PlanningProblem, counts: Int64, hosts: Int64, licences: Sequence[Licence]
) -> dict[str, int]:
    """Term -> micro-units, each term of the problem once."""
    groups, blocks, pools = problem.groups, problem.blocks, problem.pools
    terms: dict[str, int] = {}

    def add(term: str, micros: int) -> None:
        terms[term] = terms.get(term, 0) + micros

    cells = [
        (g, p, int(counts[g, p])) for g, p in zip(*(at.tolist() for at in counts.nonzero()), strict=True)
    ]
    for term, each in groups.costs.items():
        add(term, sum(int(each[g, p]) * n for g, p, n in cells))
    if groups.move_cost is not None:
        add(MOVING, sum(int(groups.move_cost[g, p]) * n for g, p, n in cells))
    kept = [int(n) for n in hosts]
    for term, each in blocks.kept_costs.items():
        add(term, sum(int(c) * n for c, n in zip(each, kept, strict=True)))
    bought = [max(0, n - int(there)) for n, there in zip(kept, blocks.existing, strict=True)]
    for term, each in blocks.bought_costs.items():
        add(term, sum(int(c) * n for c, n in zip(each, bought, strict=True)))
    opened = {int(p) for p, n in zip(blocks.pool_of, kept, strict=True) if n}
    for term, each in pools.open_costs.items():
        add(term, sum(int(each[p]) for p in opened))
    if problem.products:
        add(LICENCES, sum(one.cost_micros for one in licences))
    for term, micros in problem.sunk.items():
        add(term, micros)
    return terms


def _scope(problem: PlanningProblem, way: Alternative, one: Chosen, machines: Mapping[int, int]) -> _Scope:
    hosts = {b: n for b, n in sorted(one.hosts.items()) if n} if way.of_hosts else {}
    amount = 0
    if way.add_on is not None:
        amount = sum(_amount(problem.blocks, way.add_on.amount, b) * n for b, n in hosts.items())
    return _Scope(one.scope, hosts, machines, _parts(problem, way, hosts, machines), amount)


def _parts(
    problem: PlanningProblem, way: Alternative, hosts: Mapping[int, int], machines: Mapping[int, int]
) -> tuple[int, ...]:
    number = sum(machines.values())
    if way.metric == "per_principal":
        return (0,)
    if way.metric == "per_machine":
        return (number,)
    if way.metric == "per_vcpu":
        classes = problem.resource_classes
        vcpu = {
            g: int(problem.groups.demand[g, classes.index("vcpu")]) if "vcpu" in classes else 0
            for g in machines
        }
        return (sum(max(vcpu[g], way.per_machine_minimum) * n for g, n in machines.items()),)
    covers = 1 if way.covers is None else -(-number // way.covers)
    total = dict.fromkeys(way.factors, 0)
    for b, n in hosts.items():
        family = problem.blocks.families[b] if problem.blocks.families else ""
        factor = way.core_factor_thousandths.get(family, way.factors[0])
        total[factor] += covers * n * _parts_of_host(problem.blocks, way, b, factor, number)
    return tuple(total[factor] for factor in way.factors)


def _parts_of_host(blocks: Blocks, way: Alternative, b: int, factor: int, machines: int) -> int:
    sockets = 1 if blocks.sockets is None else int(blocks.sockets[b])
    each = 1 if blocks.cores_per_socket is None else int(blocks.cores_per_socket[b])
    if way.metric == "per_host":
        return 1
    if way.metric == "per_socket":
        return sockets
    if way.metric == "per_amount":
        return _amount(blocks, str(way.amount), b)
    if way.metric == "per_coverage_unit":
        has = {"sockets": sockets, "cores": sockets * each, "machines": machines}
        needs = (
            -(-(has[name] if name in has else _amount(blocks, name, b)) // size)
            for name, size in way.unit_covers.items()
        )
        return max(needs)
    return max(sockets * max(each, way.per_socket_minimum), way.per_host_minimum) * factor


def _amount(blocks: Blocks, name: str, b: int) -> int:
    return int(blocks.amounts[name][b]) if name in blocks.amounts else 0


def _licences(problem: PlanningProblem, taken: _Taken) -> Iterator[Licence]:
    """One for each scope, or one for all where packs or minimums are of the order."""
    way, scopes = taken.way, taken.scopes
    together = (
        way.pack_scope == "order" or way.order_minimum or way.owned_packs or way.principals or way.add_on
    )
    for some in [scopes] if together else [[scope] for scope in scopes]:
        yield _licence(problem, taken, some, together=bool(together))


def _packs(problem: PlanningProblem, way: Alternative, scopes: Sequence[_Scope]) -> tuple[int, int]:
    """Units and packs that scopes need, without any minimum of the order."""
    hours = problem.horizon_hours if way.per_hour else 1
    if way.pack_scope == "order":
        by_factor = [sum(some) for some in zip(*(scope.parts for scope in scopes), strict=True)]
        units = sum(-(-n // way.parts) for n in by_factor) * hours
        return units, -(-units // way.pack_size)
    whole = [sum(-(-n // way.parts) for n in scope.parts) * hours for scope in scopes]
    return sum(whole), sum(-(-n // way.pack_size) for n in whole)


def _licence(
    problem: PlanningProblem,
    taken: _Taken,
    scopes: Sequence[_Scope],
    bought: _Bought | None = None,
    *,
    together: bool = True,
) -> Licence:
    """Of some scopes; `bought` is what they take of an order at several prices."""
    product, way = problem.products[taken.product], taken.way
    units, packs = _packs(problem, way, scopes)
    if bought is None:
        tally, paid = Tally(), Fraction(0)
        for scope in scopes:
            tally, now = after(way, problem.horizon_hours, tally, scope.parts, scope.amount)
            paid += now
        minimum = max(way.order_minimum, way.principals * (problem.horizon_hours if way.per_hour else 1))
        units, packs = max(units, minimum), max(packs, -(-minimum // way.pack_size))
        cost = half_up(paid + rest_to_pay(way, problem.horizon_hours, tally))
    else:
        more = bought.packs > packs
        packs, cost = bought.packs, bought.cost_micros
        units = packs * way.pack_size if more else units
    blocks = {problem.blocks.ids[b]: n for scope in scopes for b, n in scope.hosts.items()}
    machines = sum(n for scope in scopes for n in scope.machines.values())
    return Licence(
        product=product.name,
        scope=ORDER if together else scopes[0].name,
        alternative=way.name,
        hosts=sum(blocks.values()),
        machines=machines,
        units=units,
        packs=packs,
        cost_micros=cost,
        rule=_rule(way, sum(blocks.values()), machines, units, packs, shared=bought is not None),
        blocks=blocks,
        scopes=tuple(scope.name for scope in scopes) if together else (),
    )


def _rule(way: Alternative, hosts: int, machines: int, units: int, packs: int, *, shared: bool) -> str:
    """In words with the numbers."""
    everywhere = ", over all its prices" if shared else ""
    of = counted(hosts, "host") if way.of_hosts else counted(machines, "machine")
    if way.metric == "per_principal":
        of = f"{way.principals} people or devices"
    said = [f"{way.metric} of {of}: {counted(units, 'unit')}"]
    if way.per_socket_minimum or way.per_host_minimum:
        floors = {"socket": way.per_socket_minimum, "host": way.per_host_minimum}
        said.append("at least " + " and ".join(f"{n} for each {of}" for of, n in floors.items() if n))
    if way.per_machine_minimum:
        said.append(f"at least {way.per_machine_minimum} for each machine")
    if way.covers is not None:
        said.append(f"every host covered once for each {way.covers} of {counted(machines, 'machine')}")
    if way.core_factor_thousandths:
        said.append("cores times their family's factor, rounded up for each factor")
    if way.order_minimum:
        said.append(f"at least {way.order_minimum} in the order{everywhere}")
    size = f" of {way.pack_size}" if way.pack_size > 1 else ""
    once = f"the order{everywhere}" if way.pack_scope == ORDER else "each scope"
    said.append(f"{counted(packs, 'pack')}{size}, rounded up once for {once}")
    if way.owned_packs:
        said.append(f"{counted(way.owned_packs, 'pack', 'is', 'are')} owned")
    if way.add_on is not None:
        said.append(f"with {way.add_on.name} as far as they do not bring it along")
    return ", ".join(said)
