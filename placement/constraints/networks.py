"""A request goes only where every network that it needs is reached."""

from collections.abc import Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field

from catalog.frozen import FrozenMapping
from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.grouping import called, in_words, names_of, pool_name, told_apart
from placement.kernel import Kernel
from placement.model import Model
from placement.placed import Placed
from placement.problem import PlacementProblem
from placement.references import members, seats_named, unknown_providers, unknown_requests
from placement.seats import Seats
from policies.decisions import Rejection


def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


Network = Annotated[str, Field(min_length=1)]
NetworkNames = Annotated[tuple[Network, ...], AfterValidator(_in_order)]
"""Each once, in alphabetical order: bridges, port groups, VLANs, whatever the hypervisors call them."""


class Networks(Constraint):
    """Providers reach networks, and requests need some; a provider of which nothing is said reaches none.

    A host also reaches what its pool does. A request needs what is said of it and of each of its groups.
    """

    kind: Literal["networks"] = "networks"
    providers: FrozenMapping[str, NetworkNames] = Field(default_factory=dict)
    """Reached networks, by a host's or a pool's id."""
    requests: FrozenMapping[str, NetworkNames]
    """Needed networks, by a request's id or a group's name."""

    def fact(self, problem: PlacementProblem) -> str:
        """Who needs what."""
        needs = [
            f"{name} must reach {in_words(networks)}"
            for name, networks in self.requests.items()
            if networks
        ]
        return in_words(needs) or "no request needs a network"

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown requests, hosts and pools."""
        yield from unknown_requests(problem, "requests", self.requests)
        yield from unknown_providers(problem, "providers", self.providers)

    def labels(self, problem: PlacementProblem) -> Int64 | None:
        """Those who need the same are alike."""
        return told_apart(problem, self._needing().values())

    def post(self, model: Model) -> None:
        """Every cell that does not reach what its requests need is forbidden."""
        model.forbid(self._unreached(model.problem, model.classes.one))

    def admit(self, kernel: Kernel) -> None:
        """The same."""
        kernel.forbid(self._unreached(kernel.problem, kernel.classes.one))

    def _needing(self) -> dict[str, list[str]]:
        """Who needs each network."""
        needing: dict[str, list[str]] = {}
        for name, networks in self.requests.items():
            for network in networks:
                needing.setdefault(network, []).append(name)
        return needing

    def _unreached(self, problem: PlacementProblem, one: Int64) -> Bool:
        """[G, V]."""
        cells = np.zeros((len(one), len(problem.providers.ids)), dtype=np.bool_)
        for network, names in self._needing().items():
            cells[members(problem, names)[one]] |= ~self._reaching(problem, network)
        return cells

    def _reaching(self, problem: PlacementProblem, network: str) -> Bool:
        return seats_named(problem, [one for one, names in self.providers.items() if network in names])

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each network that a placed request needs and its provider does not reach."""
        for i, v in enumerate(seats.provider_of.tolist()):
            if v >= 0:
                for network in self._missing(problem, i, v):
                    yield f"{problem.request_ids[i]}: {problem.providers.ids[v]} does not reach {network}"

    def _missing(self, problem: PlacementProblem, request: int, provider: int) -> list[str]:
        """By names alone."""
        hosts = problem.providers.ids[provider], pool_name(problem, provider)
        reached = {network for host in hosts for network in self.providers.get(host, ())}
        return [network for network in self._needs(problem, request) if network not in reached]

    def _needs(self, problem: PlacementProblem, request: int) -> list[str]:
        return sorted({one for name in names_of(problem, request) for one in self.requests.get(name, ())})

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every provider that does not reach one of them."""
        needs = self._needs(after.problem, request)
        return np.any([~self._reaching(after.problem, one) for one in needs], axis=0) if needs else None

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """One reason for each network that is not reached, with the hosts that do reach it."""
        problem, name = after.problem, after.problem.providers.ids[provider]
        for network in self._missing(problem, request, provider):
            reaching = np.flatnonzero(self._reaching(problem, network)).tolist()
            others = called([problem.providers.ids[v] for v in reaching])
            yield Rejection(
                rule_id="networks",
                pool=pool_name(problem, provider),
                dimension=network,
                limit=f"no {network}",
                need=network,
                why=f"{problem.request_ids[request]} needs the network {network}, which {name} does not reach",
                remedy=f"connect {name} to {network}" + (f", or make room on {others}" if others else ""),
            )
