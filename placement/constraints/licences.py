"""Software that is licensed for every host its machines can reach, or for the machines, whichever is cheapest."""

from collections.abc import Iterator, Mapping
from datetime import date
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from catalog.frozen import FrozenMapping
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.grouping import in_words
from placement.kernel import Kernel
from placement.licensing import admitting, counting, mistakes, posting
from placement.licensing.products import Processors, Product
from placement.licensing.reach import inside_of, reach_of
from placement.licensing.reaching import scopes_of
from placement.model import Model
from placement.placed import Placed
from placement.problem import PlacementProblem
from placement.references import members
from placement.seats import Seats
from policies.decisions import Rejection


class Licences(Constraint):
    """Each product's machines sit in its scopes only; a scope with any of them pays for its cheapest alternative."""

    terms: ClassVar[tuple[str, ...]] = ("licences",)

    kind: Literal["licences"] = "licences"
    products: tuple[Product, ...]
    """Each counted for itself."""
    processors: FrozenMapping[str, Processors] = Field(default_factory=dict)
    """By host, or by pool for those of its hosts that are not named."""
    day: date | None = None
    """The day for which licences are bought: alternatives that cannot be had then are not looked at. None: all can."""

    def fact(self, problem: PlacementProblem) -> str:
        """Which products need a scope."""
        need = [
            f"machines of {product.name} need a licence scope ({in_words(list(scopes_of(problem, product)))})"
            for product in self.products
        ]
        return in_words(need) or "no machine needs a licence"

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown names, hosts in two scopes, hosts to count of which nothing is known, and sums that are too large."""
        yield from mistakes.twice("products", (product.name for product in self.products))
        yield from mistakes.of_processors(problem, self.processors)
        for n, product in enumerate(self.products):
            path = f"products[{n}]"
            yield from mistakes.of_product(problem, path, product, self.processors)
            if self._today(product) is None:
                yield f"{path}.alternatives: none can be had on {self.day}; add one that can"

    def labels(self, problem: PlacementProblem) -> Int64 | None:
        """[R, products] who needs what."""
        need = [members(problem, product.requests) for product in self.products]
        return np.array(need, dtype=np.int64).T if need else None

    def post(self, model: Model) -> None:
        """Product by product."""
        for product in self.to_be_had():
            reach = reach_of(model.problem, model.classes, product, self.processors)
            posting.post(model, product, reach)

    def admit(self, kernel: Kernel) -> None:
        """Product by product; never told below the true cost, and what is told is exact in the usual cases."""
        for product in self.to_be_had():
            reach = reach_of(kernel.problem, kernel.classes, product, self.processors)
            admitting.admit(kernel, product, reach)

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each machine outside of the scopes of what it needs."""
        for product in self.products:
            need = counting.requests_of(problem, product)
            inside = {v for scope in scopes_of(problem, product).values() for v in scope}
            for i, v in enumerate(seats.provider_of.tolist()):
                if v >= 0 and v not in inside and problem.request_ids[i] in need:
                    where = problem.providers.ids[v]
                    yield f"{problem.request_ids[i]}: {where} is in no licence scope of {product.name}"

    def cost(self, problem: PlacementProblem, seats: Seats) -> Mapping[str, int]:
        """The sum over products."""
        return {
            "licences": sum(
                counting.product_cost(problem, product, self.processors, seats)
                for product in self.to_be_had()
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
                scopes = ", ".join(scopes_of(problem, product))
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

    def to_be_had(self) -> tuple[Product, ...]:
        """The products with those alternatives that can be had on the day."""
        today = [self._today(product) for product in self.products]
        return tuple(product for product in today if product is not None)

    def _today(self, product: Product) -> Product | None:
        """None where nothing can be had."""
        ways = tuple(way for way in product.alternatives if way.holds(self.day))
        if len(ways) == len(product.alternatives):
            return product
        return product.model_copy(update={"alternatives": ways}) if ways else None

    @staticmethod
    def _outside(problem: PlacementProblem, product: Product, request: int) -> Bool | None:
        own, groups = problem.request_ids[request], problem.groups
        if not any(own == name or own in groups.get(name, ()) for name in product.requests):
            return None
        return ~inside_of(problem, product)
