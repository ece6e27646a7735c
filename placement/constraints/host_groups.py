"""Requests run on certain hosts or pools: they must, must not, should, or should not."""

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from placement.arrays import Bool, Int64
from placement.constraint import Constraint
from placement.grouping import Names, PenaltyMicros, called, is_member, pool_name
from placement.headcount import placed_members
from placement.kernel import Kernel
from placement.model import Model
from placement.placed import Placed
from placement.problem import PlacementProblem
from placement.references import members, seats_named, unknown_providers, unknown_requests
from placement.seats import Seats
from policies.decisions import Rejection


class HostGroups(Constraint):
    """A relation of requests to providers; a wish costs a penalty for each placed machine that goes against it."""

    terms: ClassVar[tuple[str, ...]] = ("penalties",)

    kind: Literal["host_groups"] = "host_groups"
    requests: Names
    """Ids of requests, or names of groups: the members."""
    providers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Ids of hosts, or of pools, which means all of their hosts."""
    relation: Literal["must", "must_not", "should", "should_not"]
    """The first two are kept; the last two cost a penalty where they are not."""
    penalty_micros: PenaltyMicros | None = None
    """For each placed machine against the wish; a wish has one, and only a wish."""

    @model_validator(mode="after")
    def _a_wish_has_a_penalty(self) -> Self:
        if self.relation.startswith("should") != (self.penalty_micros is not None):
            msg = f"penalty_micros: {self.relation} {'needs one' if self.wish else 'has none; use should'}"
            raise ValueError(msg)
        return self

    @property
    def wish(self) -> bool:
        """Whether it may be broken at a price."""
        return self.relation.startswith("should")

    def fact(self, problem: PlacementProblem) -> str:
        """Who runs where."""
        relation = self.relation.replace("_", " ")
        return f"{called(self.requests)} {relation} run on {called(self.providers)}"

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown requests, hosts and pools."""
        yield from unknown_requests(problem, "requests", self.requests)
        yield from unknown_providers(problem, "providers", self.providers)

    def labels(self, problem: PlacementProblem) -> Int64 | None:
        """Members are told from the others."""
        return members(problem, self.requests).astype(np.int64)

    def post(self, model: Model) -> None:
        """Cells against it are forbidden, or cost the penalty."""
        against = self._against(model.problem, model.classes.one)
        if self.penalty_micros is None:
            model.forbid(against)
        else:
            columns = model.cells()[against]
            model.cost("penalties", columns, np.full(len(columns), self.penalty_micros, dtype=np.int64))

    def admit(self, kernel: Kernel) -> None:
        """The same."""
        against = self._against(kernel.problem, kernel.classes.one)
        if self.penalty_micros is None:
            kernel.forbid(against)
        else:
            kernel.price("penalties", against * np.int64(self.penalty_micros))

    def _against(self, problem: PlacementProblem, one: Int64) -> Bool:
        """[G, V]."""
        cells: Bool = members(problem, self.requests)[one][:, None] & self._wrong(problem)[None, :]
        return cells

    def _wrong(self, problem: PlacementProblem) -> Bool:
        """[V] the providers that members have no business on."""
        named = seats_named(problem, self.providers)
        return named if self.relation.endswith("not") else ~named

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each machine that is where it must not be."""
        if self.wish:
            return
        for name, host in self._strays(problem, seats):
            yield f"{name}: is on {host}, but {self.relation.replace('_', ' ')} be on {called(self.providers)}"

    def cost(self, problem: PlacementProblem, seats: Seats) -> Mapping[str, int]:
        """The penalty for each machine that is where it should not be."""
        if self.penalty_micros is None:
            return {}
        return {"penalties": self.penalty_micros * sum(1 for _ in self._strays(problem, seats))}

    def _strays(self, problem: PlacementProblem, seats: Seats) -> Iterator[tuple[str, str]]:
        """Members that are against the relation, and where they are; counted by names."""
        for name, v in placed_members(problem, seats, self.requests).items():
            host = problem.providers.ids[v]
            on = host in self.providers or pool_name(problem, v) in self.providers
            if on == self.relation.endswith("not"):
                yield name, host

    def concerns(self, problem: PlacementProblem) -> Bool | None:
        """Members alone."""
        return members(problem, self.requests)

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every provider on the wrong side."""
        if self.wish or not is_member(after.problem, self.requests, request):
            return None
        return self._wrong(after.problem)

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """What it must be on instead, or must not be on."""
        problem = after.problem
        name, group, hosts = problem.providers.ids[provider], called(self.requests), called(self.providers)
        must = self.relation == "must"
        yield Rejection(
            rule_id="host_groups",
            pool=pool_name(problem, provider),
            dimension="host",
            limit=hosts if must else f"not {hosts}",
            need=name,
            why=f"{group} must run on {hosts}, and {name} is not among them"
            if must
            else f"{group} must not run on {hosts}, and {name} is among them",
            remedy=f"make room on {hosts}, or add {name} to the rule"
            if must
            else f"choose another host, or take {name} out of the rule",
        )
