"""What a finished plan pays for licences, counted scope by scope in Python integers, without any model."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from catalog.resources import ResourceClass
from placement.amounts import Exact
from placement.licensing.products import Alternative, Processors, Product
from placement.licensing.reaching import Counted, counted, scopes_of
from placement.licensing.tally import Tally, after, rest_to_pay
from placement.problem import PlacementProblem
from placement.seats import Seats

Tallies = tuple[Tally, ...]
"""By alternative."""


def product_cost(
    problem: PlacementProblem, product: Product, processors: Mapping[str, Processors], seats: Seats
) -> int:
    """The least that the alternatives come to, in micro-units.

    What cannot change the rest of the sum is paid at once; only remainders are carried from scope to scope, so
    there are few states even where there are many scopes.
    """
    hours, ways = problem.horizon_hours, product.alternatives
    states: dict[Tallies, Exact] = {(Tally(),) * len(ways): 0}
    for inside, machines in _machines(problem, product, seats):
        hosts = [counted(problem, product, processors, v) for v in inside]
        states = _after_scope(ways, hours, states, hosts, machines)
    least = min(
        paid + sum(rest_to_pay(way, hours, total) for way, total in zip(ways, tallies, strict=True))
        for tallies, paid in states.items()
    )
    return int(least)  # Packs of documents cost whole micro-units.


def parts(way: Alternative, hosts: Sequence[Counted], machines: Sequence[int]) -> list[int]:
    """Parts of units of one scope by core factor: of its `hosts`, or of the vCPU of each of its `machines`."""
    if way.metric == "per_principal":
        return [0]
    if way.metric == "per_machine":
        return [len(machines)]
    if way.metric == "per_vcpu":
        return [sum(max(vcpu, way.per_machine_minimum) for vcpu in machines)]
    covers = 1 if way.covers is None else -(-len(machines) // way.covers)
    total = dict.fromkeys(way.factors, 0)
    for host in hosts:
        factor = way.core_factor_thousandths.get(host.processors.family, way.factors[0])
        total[factor] += covers * host.processors.hosts * _parts_of_host(way, host, factor, len(machines))
    return [total[factor] for factor in way.factors]


def requests_of(problem: PlacementProblem, product: Product) -> set[str]:
    """The ids of the requests that need the product."""
    return {one for name in product.requests for one in problem.groups.get(name, (name,))}


def _machines(
    problem: PlacementProblem, product: Product, seats: Seats
) -> Iterable[tuple[list[int], list[int]]]:
    """The providers of each scope that has any machine of the product, and the vCPU of each of these."""
    scopes = scopes_of(problem, product)
    scope_of = {v: scope for scope, inside in scopes.items() for v in inside}
    found: dict[str, list[int]] = defaultdict(list)
    need = requests_of(problem, product)
    vcpu = _vcpu(problem)
    for i, v in enumerate(seats.provider_of.tolist()):
        if v in scope_of and problem.request_ids[i] in need:
            found[scope_of[v]].append(vcpu[i])
    return [(scopes[scope], machines) for scope, machines in found.items()]


def vcpu_of(problem: PlacementProblem, requests: Iterable[str]) -> list[int]:
    """The vCPU of each request."""
    vcpu = _vcpu(problem)
    return [vcpu[problem.request_positions[one]] for one in requests]


def _vcpu(problem: PlacementProblem) -> list[int]:
    if ResourceClass.VCPU not in problem.resource_classes:
        return [0] * len(problem.request_ids)  # Nothing counts it then: a product that would is refused.
    found: list[int] = problem.demand[:, problem.resource_classes.index(ResourceClass.VCPU)].tolist()
    return found


def _after_scope(
    ways: Sequence[Alternative],
    hours: int,
    states: Mapping[Tallies, Exact],
    hosts: Sequence[Counted],
    machines: Sequence[int],
) -> dict[Tallies, Exact]:
    found: dict[Tallies, Exact] = {}
    for n, way in enumerate(ways):
        counts, amount = parts(way, hosts, machines), _amount(way, hosts)
        for tallies, paid in states.items():
            total, now = after(way, hours, tallies[n], counts, amount)
            key = (*tallies[:n], total, *tallies[n + 1 :])
            found[key] = min(paid + now, found.get(key, paid + now))
    return found


def _parts_of_host(way: Alternative, host: Counted, factor: int, machines: int) -> int:
    if way.metric == "per_host":
        return 1
    if way.metric == "per_socket":
        return host.sockets
    if way.metric == "per_amount":
        return host.processors.amounts.get(str(way.amount), 0)
    if way.metric == "per_coverage_unit":
        has = {
            **host.processors.amounts,
            "sockets": host.sockets,
            "cores": host.cores(),
            "machines": machines,
        }
        return max(-(-has.get(name, 0) // size) for name, size in way.unit_covers.items())
    return host.cores(way.per_socket_minimum, way.per_host_minimum) * factor


def _amount(way: Alternative, hosts: Sequence[Counted]) -> int:
    if way.add_on is None:
        return 0
    return sum(host.processors.hosts * host.processors.amounts.get(way.add_on.amount, 0) for host in hosts)
