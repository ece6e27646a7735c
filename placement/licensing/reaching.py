"""How far the machines of a product can reach, by names: its scopes, as accepted limits leave them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from placement.licensing.products import Processors, Product
from placement.problem import PlacementProblem

ESTATE = "estate"
"""The boundary that has everything inside."""


@dataclass(frozen=True)
class Counted:
    """What counts of a provider."""

    processors: Processors
    most_cores: int | None
    """Of each of its hosts, where it is divided."""

    @property
    def sockets(self) -> int:
        """Of each host."""
        return self.processors.sockets

    def cores(self, per_socket_minimum: int = 0, per_host_minimum: int = 0) -> int:
        """Of each host, with what is counted at least where it is not divided."""
        own = self.processors
        cores = max(own.sockets * max(own.cores_per_socket, per_socket_minimum), per_host_minimum)
        return cores if self.most_cores is None else min(cores, self.most_cores)


def scopes_of(problem: PlacementProblem, product: Product) -> dict[str, list[int]]:
    """Scope -> its providers, in their order; a scope of which accepted limits leave nothing is left out."""
    left = _bounded(problem, product)
    for limit in product.accepted:
        held = set(providers_in(problem, limit.hosts))
        left = {
            name: [v for v in inside if v in held] if held & set(inside) else inside
            for name, inside in left.items()
        }
    return {name: inside for name, inside in left.items() if inside}


def counted(
    problem: PlacementProblem, product: Product, processors: Mapping[str, Processors], v: int
) -> Counted:
    """What counts of a provider for a product: its own processors, its pool's, or those of a host of which nothing is said."""
    pool = problem.pool_ids[int(problem.providers.pool_of[v])]
    one_host = Processors(sockets=1, cores_per_socket=1)  # Where nobody said more, nobody counts more.
    found = processors.get(problem.providers.ids[v]) or processors.get(pool) or one_host
    cuts = [
        limit.cores_per_host
        for limit in product.accepted
        if limit.cores_per_host is not None and v in providers_in(problem, limit.hosts)
    ]
    return Counted(found, min(cuts, default=None))


def providers_in(problem: PlacementProblem, names: Iterable[str]) -> list[int]:
    """The providers that any of the names is the host or the pool of."""
    wanted = set(names)
    pools = [problem.pool_ids[p] for p in problem.providers.pool_of.tolist()]
    both = zip(problem.providers.ids, pools, strict=True)
    return [v for v, (host, pool) in enumerate(both) if host in wanted or pool in wanted]


def _bounded(problem: PlacementProblem, product: Product) -> dict[str, list[int]]:
    if product.boundary is None:
        return {name: providers_in(problem, names) for name, names in product.scopes.items()}
    if product.boundary == ESTATE:
        return {ESTATE: list(range(len(problem.providers.ids)))}
    found = problem.domains(product.boundary)
    assert found is not None, f"label '{product.boundary}' was checked before"
    of = found.of.tolist()
    return {name: [v for v, d in enumerate(of) if d == n] for n, name in enumerate(found.names)}
