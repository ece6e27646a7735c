"""What a finished plan pays for licences, counted scope by scope in Python integers, without any model."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from catalog.resources import ResourceClass
from placement.licensing.products import Alternative, Processors, Product
from placement.problem import PlacementProblem
from placement.seats import Seats

Remainders = tuple[int, ...]
"""By alternative, the units beyond full packs that wait to be rounded up with those of other scopes."""


def product_cost(
    problem: PlacementProblem, product: Product, processors: Mapping[str, Processors], seats: Seats
) -> int:
    """The least that the alternatives come to, in micro-units.

    Whole packs are paid for at once; only remainders of packs that are rounded over the whole order are
    carried from scope to scope, so there are few states even where there are many scopes.
    """
    states: dict[Remainders, int] = {(0,) * len(product.alternatives): 0}
    for scope, machines in _machines(problem, product, seats).items():
        hosts = [
            processors_of(problem, processors, v) for v in providers_in(problem, product.scopes[scope])
        ]
        states = _after_scope(product.alternatives, states, hosts, machines)
    return min(
        paid + sum(_packs(units, way) * way.pack_cost_micros for units, way in _pairs(rest, product))
        for rest, paid in states.items()
    )


def units(way: Alternative, hosts: Sequence[Processors], machines: Sequence[int]) -> int:
    """Units of one scope under an alternative: of its `hosts`, and of the vCPU of each of its `machines`."""
    if way.metric == "per_machine":
        return len(machines)
    if way.metric == "per_vcpu":
        return sum(max(vcpu, way.per_machine_minimum) for vcpu in machines)
    covers = 1 if way.covers is None else -(-len(machines) // way.covers)
    return covers * sum(_units_of_host(way, host) for host in hosts)


def providers_in(problem: PlacementProblem, names: Iterable[str]) -> list[int]:
    """The providers that any of the names is the host or the pool of."""
    wanted = set(names)
    pools = [problem.pool_ids[p] for p in problem.providers.pool_of.tolist()]
    both = zip(problem.providers.ids, pools, strict=True)
    return [v for v, (host, pool) in enumerate(both) if host in wanted or pool in wanted]


def requests_of(problem: PlacementProblem, product: Product) -> set[str]:
    """The ids of the requests that need the product."""
    return {one for name in product.requests for one in problem.groups.get(name, (name,))}


def _machines(problem: PlacementProblem, product: Product, seats: Seats) -> dict[str, list[int]]:
    """The vCPU of each machine of the product, by the scopes that have any."""
    scope_of = {v: scope for scope, names in product.scopes.items() for v in providers_in(problem, names)}
    found: dict[str, list[int]] = defaultdict(list)
    need = requests_of(problem, product)
    vcpu = _vcpu(problem)
    for i, v in enumerate(seats.provider_of.tolist()):
        if v in scope_of and problem.request_ids[i] in need:
            found[scope_of[v]].append(vcpu[i])
    return found


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
    states: Mapping[Remainders, int],
    hosts: Sequence[Processors],
    machines: Sequence[int],
) -> dict[Remainders, int]:
    after: dict[Remainders, int] = {}
    for n, way in enumerate(ways):
        bought = units(way, hosts, machines)
        for rest, paid in states.items():
            packs, left = _packs(bought, way), 0
            if way.pack_scope == "order":
                packs, left = divmod(rest[n] + bought, way.pack_size)
            key = (*rest[:n], left, *rest[n + 1 :])
            total = paid + packs * way.pack_cost_micros
            after[key] = min(total, after.get(key, total))
    return after


def _units_of_host(way: Alternative, host: Processors) -> int:
    if way.metric == "per_host":
        return host.hosts
    if way.metric == "per_socket":
        return host.hosts * host.sockets
    cores = host.sockets * max(host.cores_per_socket, way.per_socket_minimum)
    return host.hosts * max(cores, way.per_host_minimum)


def processors_of(problem: PlacementProblem, processors: Mapping[str, Processors], v: int) -> Processors:
    """Those of a provider, of its pool, or of a host of which nothing is said."""
    pool = problem.pool_ids[int(problem.providers.pool_of[v])]
    one_host = Processors(sockets=1, cores_per_socket=1)  # Where nobody said more, nobody counts more.
    return processors.get(problem.providers.ids[v]) or processors.get(pool) or one_host


def _packs(bought: int, way: Alternative) -> int:
    return -(-bought // way.pack_size)


def _pairs(rest: Remainders, product: Product) -> Iterable[tuple[int, Alternative]]:
    return zip(rest, product.alternatives, strict=True)
