"""A request goes only where the traits and capabilities that it needs are, and none that it must not have."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, StringConstraints, model_validator

from catalog.base import Value
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

Property = Annotated[str, StringConstraints(pattern=r"^([A-Z][A-Z0-9_]{0,254}|[a-z][a-z0-9_]{0,62})$")]
"""A trait in capitals (``HW_GPU``), in the style of OpenStack Placement, or a capability in small letters (``ha_restart``)."""


def _in_order(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(names)))


Properties = Annotated[tuple[Property, ...], AfterValidator(_in_order)]
"""Each once, in alphabetical order."""


class Wanted(Value):
    """What a request asks of its provider."""

    required: Properties = ()
    """All of these."""
    any_of: tuple[Annotated[Properties, Field(min_length=1)], ...] = ()
    """At least one of each list."""
    forbidden: Properties = ()
    """None of these."""

    @model_validator(mode="after")
    def _can_be_met(self) -> Self:
        for path, names in (
            ("required", self.required),
            *((f"any_of[{n}]", a) for n, a in enumerate(self.any_of)),
        ):
            both = [name for name in names if name in self.forbidden]
            if both and (path == "required" or len(both) == len(names)):
                msg = f"{path}: {both[0]} is forbidden too; take it out of one of them"
                raise ValueError(msg)
        return self


class Traits(Constraint):
    """Providers have traits and capabilities; requests require some, one of several, or none of some.

    A provider has what is said of it and, of a host, what is said of its pool; nothing else. Of a request, what
    is said of it and of each of its groups holds together.
    """

    kind: Literal["traits"] = "traits"
    providers: FrozenMapping[str, Properties] = Field(default_factory=dict)
    """By a host's or a pool's id."""
    requests: FrozenMapping[str, Wanted]
    """By a request's id or a group's name."""

    def fact(self, problem: PlacementProblem) -> str:
        """Who needs what."""
        wants = [f"{name} needs {words}" for name, one in self.requests.items() if (words := _words(one))]
        return in_words(wants) or "no request needs a trait"

    def problems(self, problem: PlacementProblem) -> Iterator[str]:
        """Unknown requests, hosts and pools."""
        yield from unknown_requests(problem, "requests", self.requests)
        yield from unknown_providers(problem, "providers", self.providers)

    def labels(self, problem: PlacementProblem) -> Int64 | None:
        """Those who want the same are alike."""
        return told_apart(problem, self._wants().values())

    def post(self, model: Model) -> None:
        """Every cell without what its requests want is forbidden."""
        model.forbid(self._unsuited(model.problem, model.classes.one))

    def admit(self, kernel: Kernel) -> None:
        """The same."""
        kernel.forbid(self._unsuited(kernel.problem, kernel.classes.one))

    def _wants(self) -> dict[Wanted, list[str]]:
        """Who wants each thing that anybody wants."""
        wants: dict[Wanted, list[str]] = {}
        for name, wanted in self.requests.items():
            wants.setdefault(wanted, []).append(name)
        return wants

    def _unsuited(self, problem: PlacementProblem, one: Int64) -> Bool:
        """[G, V]."""
        cells = np.zeros((len(one), len(problem.providers.ids)), dtype=np.bool_)
        for wanted, names in self._wants().items():
            cells[members(problem, names)[one]] |= self._lacking(problem, wanted)
        return cells

    def _lacking(self, problem: PlacementProblem, wanted: Wanted) -> Bool:
        """[V] the providers that are not as wanted."""
        has = {name: self._having(problem, name) for name in _named(wanted)}
        lacking = np.zeros(len(problem.providers.ids), dtype=np.bool_)
        for name in wanted.required:
            lacking |= ~has[name]
        for names in wanted.any_of:
            lacking |= ~np.any([has[name] for name in names], axis=0)
        for name in wanted.forbidden:
            lacking |= has[name]
        return lacking

    def _having(self, problem: PlacementProblem, name: str) -> Bool:
        return seats_named(problem, [one for one, names in self.providers.items() if name in names])

    def check(self, problem: PlacementProblem, seats: Seats) -> Iterator[str]:
        """Each request that is where something is missing or forbidden."""
        for i, v in enumerate(seats.provider_of.tolist()):
            if v >= 0:
                host = problem.providers.ids[v]
                for wanted in self._wanted_by(problem, i):
                    for lack, _, _ in _lacks(wanted, self._properties(problem, v)):
                        yield f"{problem.request_ids[i]}: {host} {lack}"

    def _wanted_by(self, problem: PlacementProblem, request: int) -> Iterator[Wanted]:
        yield from (self.requests[name] for name in names_of(problem, request) if name in self.requests)

    def _properties(self, problem: PlacementProblem, provider: int) -> set[str]:
        """What a provider has, by names alone."""
        names = problem.providers.ids[provider], pool_name(problem, provider)
        return {one for name in names for one in self.providers.get(name, ())}

    def blocked(self, after: Placed, request: int) -> Bool | None:
        """Every provider that is not as wanted, whatever is placed."""
        found = [self._lacking(after.problem, wanted) for wanted in self._wanted_by(after.problem, request)]
        return np.any(found, axis=0) if found else None

    def why(self, after: Placed, request: int, provider: int) -> Iterator[Rejection]:
        """One reason for each trait that is missing or forbidden."""
        problem, name = after.problem, after.problem.providers.ids[provider]
        has = self._properties(problem, provider)
        told = dict.fromkeys(
            one for wanted in self._wanted_by(problem, request) for one in _lacks(wanted, has)
        )
        for lack, dimension, forbidden in told:
            yield Rejection(
                rule_id="traits",
                pool=pool_name(problem, provider),
                dimension=dimension,
                limit=f"{'has' if forbidden else 'no'} {dimension}",
                need=f"{'no ' if forbidden else ''}{dimension}",
                why=f"{problem.request_ids[request]} {'must not have' if forbidden else 'needs'} {dimension}, "
                f"and {name} {lack}",
                remedy=f"choose a host without {dimension}, or do not forbid it"
                if forbidden
                else self._who_has(problem, dimension),
            )

    def _who_has(self, problem: PlacementProblem, dimension: str) -> str:
        names = dimension.split(" or ")
        having = np.any([self._having(problem, name) for name in names], axis=0)
        hosts = [problem.providers.ids[v] for v in np.flatnonzero(having).tolist()]
        return (
            f"make room on {called(hosts)}, where {dimension} is"
            if hosts
            else f"add a host with {dimension}"
        )


def _words(wanted: Wanted) -> str:
    """``HW_GPU, STORAGE_NVME or STORAGE_SSD, and no ha_restart``, or nothing."""
    parts = [*wanted.required, *(" or ".join(names) for names in wanted.any_of)]
    return in_words([*parts, *(f"no {name}" for name in wanted.forbidden)])


def _named(wanted: Wanted) -> set[str]:
    return {*wanted.required, *wanted.forbidden, *(name for names in wanted.any_of for name in names)}


def _lacks(wanted: Wanted, has: set[str]) -> Iterator[tuple[str, str, bool]]:
    """What is wrong with a provider in words, what it is about, and whether that is there and forbidden."""
    yield from ((f"has no {name}", name, False) for name in wanted.required if name not in has)
    for names in wanted.any_of:
        if not has.intersection(names):
            either = " or ".join(names)
            yield f"has no {either}", either, False
    yield from ((f"has {name}", name, True) for name in wanted.forbidden if name in has)
