"""What is wrong with a product's data in its problem, before anything is counted."""

from collections import Counter
from collections.abc import Iterator, Mapping

from catalog.resources import ResourceClass
from placement.licensing import counting
from placement.licensing.products import Alternative, Processors, Product
from placement.licensing.reaching import ESTATE, counted, providers_in, scopes_of
from placement.problem import PlacementProblem
from placement.references import unknown_label, unknown_providers, unknown_requests

_LARGEST = 2**61
OF_ANY_HOST = frozenset({"sockets", "cores", "machines"})
"""What units may cover of a host without an amount of that name."""


def of_processors(problem: PlacementProblem, processors: Mapping[str, Processors]) -> Iterator[str]:
    """Unknown names, and hosts that stand for several."""
    for name, one in processors.items():
        for text in unknown_providers(problem, "processors", (name,)):
            yield text.replace("[0]", f".{name}", 1)
        if problem.providers.are_hosts and one.hosts != 1:
            yield f"processors.{name}.hosts: {one.hosts} hosts, where each host stands for itself; leave it out"


def of_product(
    problem: PlacementProblem, path: str, product: Product, processors: Mapping[str, Processors]
) -> Iterator[str]:
    """Unknown names first; then scopes and alternatives."""
    unknown = list(_unknown(problem, path, product))
    yield from unknown
    if not unknown:
        yield from _wrong_scopes(problem, path, product)
        yield from twice(f"{path}.alternatives", (way.name for way in product.alternatives))
        for n, way in enumerate(product.alternatives):
            yield from _of_alternative(problem, f"{path}.alternatives[{n}]", product, way, processors)


def twice(path: str, names: Iterator[str]) -> Iterator[str]:
    """Each name that stands more than once."""
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{path}: '{name}' stands {count} times; give each its own name"


def _unknown(problem: PlacementProblem, path: str, product: Product) -> Iterator[str]:
    yield from unknown_requests(problem, f"{path}.requests", product.requests)
    for scope, names in product.scopes.items():
        yield from unknown_providers(problem, f"{path}.scopes.{scope}", names)
    for n, limit in enumerate(product.limits):
        yield from unknown_providers(problem, f"{path}.limits[{n}].hosts", limit.hosts)
    if product.boundary not in {None, ESTATE}:
        yield from unknown_label(problem, f"{path}.boundary", str(product.boundary))


def _wrong_scopes(problem: PlacementProblem, path: str, product: Product) -> Iterator[str]:
    scope_of: dict[int, str] = {}
    if not product.scopes and product.boundary is None:
        yield f"{path}.scopes: there are none, so none of its machines could be placed; name at least one"
    for scope, names in product.scopes.items():
        inside = providers_in(problem, names)
        if not inside:
            yield f"{path}.scopes.{scope}: has no host; name one, or leave the scope out"
        for v in inside:
            if v in scope_of:
                yield (
                    f"{path}.scopes.{scope}: {problem.providers.ids[v]} is in {scope_of[v]} already; "
                    "a host is in one scope of a product"
                )
            scope_of[v] = scope


def _of_alternative(
    problem: PlacementProblem,
    path: str,
    product: Product,
    way: Alternative,
    processors: Mapping[str, Processors],
) -> Iterator[str]:
    if way.metric == "per_vcpu" and ResourceClass.VCPU not in problem.resource_classes:
        yield f"{path}.metric: {way.metric} needs the resource class vcpu, which the problem does not have"
        return
    missing = next(_missing(problem, product, way, processors), None)
    if missing is not None:
        yield f"{path}.{missing}"
    else:
        yield from _too_large(problem, path, product, way, processors)


def _missing(
    problem: PlacementProblem, product: Product, way: Alternative, processors: Mapping[str, Processors]
) -> Iterator[str]:
    """What is not known of the scopes' hosts, and counts."""
    counts = way.of_hosts and not (way.metric == "per_host" and problem.providers.are_hosts)
    names = {name: "unit_covers" for name in way.unit_covers if name not in OF_ANY_HOST}
    if way.amount is not None:
        names[way.amount] = "amount"
    if way.add_on is not None:
        names[way.add_on.amount] = "add_on.amount"
    if not counts and not names:
        return
    for v in sorted(v for inside in scopes_of(problem, product).values() for v in inside):
        host, pool = problem.providers.ids[v], problem.pool_ids[int(problem.providers.pool_of[v])]
        known = processors.get(host) or processors.get(pool)
        if known is None:
            yield f"metric: {way.metric} needs the processors of {host}; add them to processors"
            return
        for name, field in names.items():
            if name not in known.amounts:
                yield f"{field}: '{name}' of {host} is not known; add it to its amounts in processors"
        if way.core_factor_thousandths and known.family not in way.core_factor_thousandths:
            yield (
                f"core_factor_thousandths: has no factor of the family '{known.family}' of {host}; "
                "add it, or correct the family in processors"
            )


def _too_large(
    problem: PlacementProblem,
    path: str,
    product: Product,
    way: Alternative,
    processors: Mapping[str, Processors],
) -> Iterator[str]:
    """Judged by every machine in every scope, which no plan exceeds."""
    scopes = scopes_of(problem, product)
    need = counting.requests_of(problem, product)
    machines = counting.vcpu_of(problem, need)
    hours = problem.horizon_hours if way.per_hour else 1
    total, prices = 0, way.pack_cost_micros
    for inside in scopes.values():
        hosts = [counted(problem, product, processors, v) for v in inside]
        total += sum(counting.parts(way, hosts, machines)) + len(way.factors) * way.parts
    units = total * hours + len(scopes) * way.pack_size + way.order_minimum + way.principals * hours
    if way.add_on is not None:
        hosts = [counted(problem, product, processors, v) for inside in scopes.values() for v in inside]
        units += sum(one.processors.hosts * one.processors.amounts[way.add_on.amount] for one in hosts)
        units += way.add_on.pack_size * max(1, way.add_on.granted)
        prices += way.add_on.pack_cost_micros
    if units * max(1, prices) >= _LARGEST:
        yield f"{path}: may come to {units} units, too many to count at this price; use smaller figures"
