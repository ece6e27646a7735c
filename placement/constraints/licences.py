"""Software that is licensed for every host its machines can reach, or for the machines, whichever is cheapest."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from catalog.frozen import FrozenMapping
from catalog.resources import ResourceClass
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.grouping import in_words
from placement.kernel import Kernel
from placement.licensing import counting, posting
from placement.licensing.products import Alternative, Processors, Product
from placement.model import Model
from placement.placed import Placed
from placement.problem import PlacementProblem
from placement.references import members, seats_named, unknown_providers, unknown_requests
from placement.seats import Seats
from policies.decisions import Rejection

_LARGEST = 2**61


class Licences(Constraint):
    """Each product's machines sit in its scopes only; a scope with any of them pays for its cheapest alternative."""

    terms: ClassVar[tuple[str, ...]] = ("licences",)

    kind: Literal["licences"] = "licences"
    products: tuple[Product, ...]
    """Each counted for itself."""
    processors: FrozenMapping[str, Processors] = Field(default_factory=dict)
    """By host, or by pool for those of its hosts that are not named."""

    def fact(self, problem: PlacementProblem) -> str:
        """Which products need a scope."""
        need = [
            f"machines of {product.name} need a licence scope ({in_words(list(product.scopes))})"
            for product in self.products
        ]
        return in_words(need) or "no machine needs a licence"

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown names, hosts in two scopes, hosts to count of which nothing is known, and sums that are too large."""
        yield from _twice("products", (product.name for product in self.products))
        for name, one in self.processors.items():
            for text in unknown_providers(problem, "processors", (name,)):
                yield text.replace("[0]", f".{name}", 1)
            if problem.providers.are_hosts and one.hosts != 1:
                yield f"processors.{name}.hosts: {one.hosts} hosts, where each host stands for itself; leave it out"
        for n, product in enumerate(self.products):
            path = f"products[{n}]"
            unknown = list(_unknown(problem, path, product))
            yield from unknown
            if not unknown:
                yield from _wrong_scopes(problem, path, product)
                yield from self._wrong_alternatives(problem, path, product)

    def labels(self, problem: PlacementProblem) -> Int64 | None:
        """[R, products] who needs what."""
        need = [members(problem, product.requests) for product in self.products]
        return np.array(need, dtype=np.int64).T if need else None

    def post(self, model: Model) -> None:
        """Product by product."""
        for product in self.products:
            reach = posting.reach_of(model.problem, model.classes, product, self.processors)
            posting.post(model, product, reach)

    def admit(self, kernel: Kernel) -> None:
        """Product by product; never told below the true cost, and what is told is exact in the usual cases."""
        for product in self.products:
            reach = posting.reach_of(kernel.problem, kernel.classes, product, self.processors)
            posting.admit(kernel, product, reach)

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each machine outside of the scopes of what it needs."""
        for product in self.products:
            need = counting.requests_of(problem, product)
            names = [name for scope in product.scopes.values() for name in scope]
            inside = set(counting.providers_in(problem, names))
            for i, v in enumerate(seats.provider_of.tolist()):
                if v >= 0 and v not in inside and problem.request_ids[i] in need:
                    where = problem.providers.ids[v]
                    yield f"{problem.request_ids[i]}: {where} is in no licence scope of {product.name}"

    def cost(self, problem: PlacementProblem, seats: Seats) -> Mapping[str, int]:
        """The sum over products."""
        return {
            "licences": sum(
                counting.product_cost(problem, product, self.processors, seats) for product in self.products
            )
        }

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Those outside of any product's scopes; it is the same after every plan."""
        outside = [self._outside(after.problem, product, request) for product in self.products]
        found = [one for one in outside if one is not None]
        return np.logical_or.reduce(found) if found else None

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """One reason for each product that may not be used there."""
        problem = after.problem
        name = problem.providers.ids[provider]
        for product in self.products:
            outside = self._outside(problem, product, request)
            if outside is not None and outside[provider]:
                scopes = ", ".join(product.scopes)
                yield Rejection(
                    rule_id="licences",
                    pool=problem.pool_ids[problem.providers.pool_of[provider]],
                    dimension=product.name,
                    limit="no licence scope",
                    need=f"one of {scopes}",
                    why=f"{name} is in no licence scope of {product.name}",
                    remedy=f"add {name} to a scope that is licensed for {product.name} ({scopes}), "
                    "or choose a place within one",
                )

    @staticmethod
    def _outside(problem: PlacementProblem, product: Product, request: int) -> Bool | None:
        own, groups = problem.request_ids[request], problem.groups
        if not any(own == name or own in groups.get(name, ()) for name in product.requests):
            return None
        return ~seats_named(problem, (name for names in product.scopes.values() for name in names))

    def _wrong_alternatives(self, problem: PlacementProblem, path: str, product: Product) -> Iterator[str]:
        yield from _twice(f"{path}.alternatives", (way.name for way in product.alternatives))
        known = seats_named(problem, self.processors)
        inside = seats_named(problem, (name for names in product.scopes.values() for name in names))
        bare = [problem.providers.ids[v] for v in np.flatnonzero(inside & ~known).tolist()]
        for n, way in enumerate(product.alternatives):
            at = f"{path}.alternatives[{n}]"
            if way.metric == "per_vcpu" and ResourceClass.VCPU not in problem.resource_classes:
                yield f"{at}.metric: {way.metric} needs the resource class vcpu, which the problem does not have"
            elif bare and way.of_hosts and not (way.metric == "per_host" and problem.providers.are_hosts):
                yield f"{at}.metric: {way.metric} needs the processors of {bare[0]}; add them to processors"
            else:
                yield from self._too_large(problem, at, product, way)

    def _too_large(
        self, problem: PlacementProblem, path: str, product: Product, way: Alternative
    ) -> Iterator[str]:
        """Judged by every machine in every scope, which no plan exceeds."""
        hosts = [
            counting.processors_of(problem, self.processors, v) for v in range(len(problem.providers.ids))
        ]
        need = counting.requests_of(problem, product)
        machines = counting.vcpu_of(problem, need)
        units = counting.units(way, hosts, machines) + len(product.scopes) * way.pack_size
        if units * max(1, way.pack_cost_micros) >= _LARGEST:
            yield f"{path}: may come to {units} units, too many to count at this price; use smaller figures"


def _unknown(problem: PlacementProblem, path: str, product: Product) -> Iterator[str]:
    yield from unknown_requests(problem, f"{path}.requests", product.requests)
    for scope, names in product.scopes.items():
        yield from unknown_providers(problem, f"{path}.scopes.{scope}", names)


def _wrong_scopes(problem: PlacementProblem, path: str, product: Product) -> Iterator[str]:
    scope_of: dict[int, str] = {}
    if not product.scopes:
        yield f"{path}.scopes: there are none, so none of its machines could be placed; name at least one"
    for scope, names in product.scopes.items():
        inside = counting.providers_in(problem, names)
        if not inside:
            yield f"{path}.scopes.{scope}: has no host; name one, or leave the scope out"
        for v in inside:
            if v in scope_of:
                yield (
                    f"{path}.scopes.{scope}: {problem.providers.ids[v]} is in {scope_of[v]} already; "
                    "a host is in one scope of a product"
                )
            scope_of[v] = scope


def _twice(path: str, names: Iterator[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{path}: '{name}' stands {count} times; give each its own name"
