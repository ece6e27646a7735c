"""What a set of decisions leaves free: the ground on which explanations stand."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType

import numpy as np

from placement.arrays import Bool, Int64
from placement.problem import PlacementProblem
from placement.providers import Domains
from placement.seats import Seats
from policies.decisions import Rejection


@dataclass(frozen=True, eq=False)
class Placed:
    """A problem with a provider for each request, and what is free once they are there."""

    problem: PlacementProblem
    provider_of: Int64
    """[R] -1 for none."""
    choices: Mapping[str, Int64] = field(default_factory=lambda: MappingProxyType({}))
    """[R] what else was chosen, by the constraint that asks for it."""

    @cached_property
    def seats(self) -> Seats:
        """The decisions alone."""
        return Seats(self.provider_of, self.choices)

    @cached_property
    def requests_on(self) -> Int64:
        """[V] how many of these requests each provider takes."""
        seated = self.provider_of[self.provider_of >= 0]
        return np.bincount(seated, minlength=len(self.problem.providers.ids)).astype(np.int64)

    @cached_property
    def _left(self) -> tuple[Int64, Int64]:
        """[T, V, K] and [T, P, K] what providers and pools have left in each slot of time; one where there are no periods."""
        problem, providers = self.problem, self.problem.providers
        periods = problem.periods
        slots = 1 if periods is None else len(periods.names)
        left, of_pool = (
            np.array([free] * slots, dtype=np.int64).reshape(slots, *free.shape)
            for free in (providers.free, problem.free)
        )
        seated = np.flatnonzero(self.provider_of >= 0)
        for slot in range(slots):
            here = seated
            if periods is not None:
                here = seated[(periods.first[seated] <= slot) & (slot < periods.end[seated])]
                left[slot] -= periods.taken[slot]
                np.subtract.at(of_pool[slot], providers.pool_of, periods.taken[slot])
            on = self.provider_of[here]
            for k, amounts in enumerate(
                problem.demand[here].T
            ):  # numpy is some ten times quicker by column.
                np.subtract.at(left[slot, :, k], on, amounts)
                np.subtract.at(of_pool[slot, :, k], providers.pool_of[on], amounts)
        return left, of_pool

    def left(self, request: int) -> Int64:
        """[V, K] what is left for a request while it is there, its own machine not counted; below 0 where overfull.

        Read-only: requests without a provider that are there at the same time share it.
        """
        return self._room(request)[0]

    def least_left(self, request: int) -> Int64:
        """[V] the smallest of what is left of any resource class, read-only."""
        return self._room(request)[1]

    def _room(self, request: int) -> tuple[Int64, Int64]:
        """Kept for all who have no provider, by when they are there; of those who have one, for the last that was asked."""
        periods, at = self.problem.periods, int(self.provider_of[request])
        span = (0, 1) if periods is None else (int(periods.first[request]), int(periods.end[request]))
        key = span if at < 0 else request
        found = self._rooms.get(key)
        if found is None:
            for other in [one for one in self._rooms if isinstance(one, int)]:
                self._rooms.pop(other, None)
            left = self._left_in(span, request, at)
            found = left, left.min(axis=1, initial=np.iinfo(np.int64).max)
            for one in found:
                one.setflags(write=False)
            self._rooms[key] = found
        return found

    def _left_in(self, span: tuple[int, int], request: int, at: int) -> Int64:
        slots = slice(*span)
        left, of_pool = (one[0].copy() if len(one) == 1 else one[slots].min(axis=0) for one in self._left)
        if at >= 0:
            left[at] += self.problem.demand[request]
            of_pool[self.problem.providers.pool_of[at]] += self.problem.demand[request]
        return self._combined(left, of_pool)

    @cached_property
    def _rooms(self) -> dict[tuple[int, int] | int, tuple[Int64, Int64]]:
        return {}

    @cached_property
    def said(self) -> dict[tuple[object, ...], Rejection]:
        """Reasons that were given already, by all that they depend on: many requests are refused in the same words."""
        return {}

    def taken_by(self, group: Bool) -> Int64:
        """[T, K + 1] what placed requests of a group take in each slot of time, and how many they are; read-only, kept."""
        found = self._taken.get(id(group))
        if found is None:
            seated = np.flatnonzero(group & (self.provider_of >= 0))
            each, periods = self.problem.demand[seated], self.problem.periods
            if periods is None:
                sums = np.append(each.sum(axis=0), len(seated))[None]
            else:
                there = presence(self.problem)[:, seated]
                sums = there @ np.column_stack([each, np.ones(len(each), dtype=np.int64)])
            sums.setflags(write=False)
            found = self._taken[id(group)] = group, sums
        return found[1]

    @cached_property
    def _taken(self) -> dict[int, tuple[Bool, Int64]]:
        return {}

    def headcount(self, group: Bool, domains: Domains) -> Int64:
        """[D] how many placed requests of a group each domain has, read-only; kept for as long as this is, by identity."""
        key = id(group), id(domains)
        found = self._headcounts.get(key)
        if found is None:
            domain = domains.of[self.provider_of[group & (self.provider_of >= 0)]]
            counts = np.bincount(domain[domain >= 0], minlength=len(domains.names)).astype(np.int64)
            counts.setflags(write=False)
            # The group and the domains are kept too, so that no other ones come to have their identities.
            found = self._headcounts[key] = group, domains, counts
        return found[2]

    @cached_property
    def _headcounts(self) -> dict[tuple[int, int], tuple[Bool, Domains, Int64]]:
        return {}

    def _combined(self, left: Int64, of_pool: Int64) -> Int64:
        """What both the provider and its pool have left; stored column by column, as it is compared with what a request needs."""
        providers = self.problem.providers
        both = np.empty(left.shape, dtype=np.int64, order="F")
        for k, own in enumerate(providers.own.tolist()):
            both[:, k] = left[:, k]
            if providers.are_hosts:
                reach = of_pool[providers.pool_of, k]
                both[:, k] = np.minimum(left[:, k], reach) if own else reach
        return both


def presence(problem: PlacementProblem) -> Int64:
    """[T, R] 1 for who is there in each slot of time; one slot where there are no periods."""
    periods = problem.periods
    if periods is None:
        return np.ones((1, len(problem.request_ids)), dtype=np.int64)
    slots = np.arange(len(periods.names))[:, None]
    there: Int64 = ((periods.first <= slots) & (slots < periods.end)).astype(np.int64)
    return there


def exceeds(demand: Int64, room: Int64) -> Bool:
    """[V] whether any amount of `demand` [K] is more than its room [V, K]; column by column, which is the quickest."""
    found = np.zeros(len(room), dtype=np.bool_)
    for k, amount in enumerate(demand.tolist()):
        found |= room[:, k] < amount
    return found


def placed(
    problem: PlacementProblem, provider_of: Int64, choices: Mapping[str, Int64] | None = None
) -> Placed:
    """The ground for explaining these decisions."""
    return Placed(problem, provider_of, MappingProxyType(dict(choices or {})))
