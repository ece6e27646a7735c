"""For each request every pool: what it costs there, and all that stands against it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from placement import constraints
from placement.arrays import Bool, Int64
from placement.classes import Classes, classes_of
from placement.constraint import Constraint
from placement.counterfactual import WouldHelp, would_help
from placement.placed import Placed
from placement.plan import Assignment, Candidate
from policies.decisions import Rejection


def assignments(after: Placed, classes: Classes | None = None) -> tuple[Assignment, ...]:
    """One assignment a request, with its candidates: the possible by cost, then the refused by tier.

    Room is judged as it is after the plan, so "refused" means that this request could not go there
    in addition to everything else. The pool that was chosen has no rejections.
    """
    explainer = _Explainer(after, classes or classes_of(after.problem))
    return tuple(explainer.assignment(i) for i in range(len(after.problem.request_ids)))


def candidates(after: Placed, request: int) -> tuple[Candidate, ...]:
    """Every pool for one request, in the same order."""
    return _candidates(after, request, -1)


@dataclass
class _Explainer:
    after: Placed
    classes: Classes
    known: dict[tuple[object, ...], tuple[Candidate, ...]] = field(default_factory=dict)
    helps: dict[tuple[object, ...], WouldHelp | None] = field(default_factory=dict)

    def assignment(self, request: int) -> Assignment:
        problem, provider = self.after.problem, int(self.after.provider_of[request])
        pool = int(problem.providers.pool_of[provider]) if provider >= 0 else -1
        return Assignment(
            request_id=problem.request_ids[request],
            pool=problem.pool_ids[pool] if pool >= 0 else None,
            host=problem.providers.ids[provider] if pool >= 0 and problem.providers.are_hosts else None,
            candidates=self._candidates(request, provider, pool),
            choices=_choices(self.after, request) if self.after.choices else {},
            would_help=self._would_help(request) if pool < 0 else None,
        )

    def _would_help(self, request: int) -> WouldHelp | None:
        key = int(self.classes.of[request]), self._words(request)
        if key not in self.helps:
            self.helps[key] = would_help(self.after, request, list(blocking(self.after, request)))
        return self.helps[key]

    def _words(self, request: int) -> tuple[object, ...]:
        """In which policies refuse a request: what else they are told by is the same for its class."""
        rejections, pools = self.after.problem.rejections, range(len(self.after.problem.pool_ids))
        return tuple(rejections.get((request, p), ()) for p in pools)

    def _candidates(self, request: int, provider: int, pool: int) -> tuple[Candidate, ...]:
        """Requests of one class that policies refuse in the same words share their candidates."""
        # Without constraints that look beyond a pool, which of its hosts a request is on changes nothing elsewhere.
        seat = provider if self.after.problem.constraints else pool
        key = int(self.classes.of[request]), seat, self._words(request)
        if key not in self.known:
            self.known[key] = _candidates(self.after, request, pool)
        return self.known[key]


def _candidates(after: Placed, request: int, chosen: int) -> tuple[Candidate, ...]:
    found_blocking = list(blocking(after, request))
    pools = range(len(after.problem.pool_ids))
    found = [_candidate(after, request, p, found_blocking, chosen=p == chosen) for p in pools]
    return tuple(sorted(found, key=_order))


def blocking(after: Placed, request: int) -> Iterator[tuple[Constraint, Bool]]:
    """Every constraint that blocks any provider, with those that it blocks."""
    for one in constraints.of(after.problem):
        blocked = one.blocked(after, request)
        if blocked is not None and blocked.any():
            yield one, blocked


def _candidate(
    after: Placed, request: int, pool: int, blocking: list[tuple[Constraint, Bool]], *, chosen: bool
) -> Candidate:
    problem, providers = after.problem, after.problem.providers
    inside = np.flatnonzero(providers.pool_of == pool)
    reasons: tuple[Rejection, ...] = ()
    refused: Counter[str] = Counter()
    if not chosen:
        count = sum((blocked[inside].astype(np.int64) for _, blocked in blocking), np.zeros_like(inside))
        if len(inside) == 0 or count.min() > 0:
            refused.update({name_of(one): int(blocked[inside].sum()) for one, blocked in blocking})
            reasons = (
                _reasons(after, request, inside, count, blocking) if len(inside) else (_empty(after, pool),)
            )
    return Candidate(
        pool=problem.pool_ids[pool],
        tier=problem.tier_of[pool],
        cost_micros=int(problem.cost_micros[request, pool]),
        rejections=reasons,
        hosts=len(inside) if providers.are_hosts else 0,
        refused_hosts={name: n for name, n in refused.items() if n} if providers.are_hosts else {},
    )


def _reasons(
    after: Placed, request: int, inside: Int64, count: Int64, blocking: list[tuple[Constraint, Bool]]
) -> tuple[Rejection, ...]:
    """Those of the host that the fewest constraints refuse; of equals, the one with the most room."""
    room = after.left(request)[inside].min(axis=1, initial=0)
    nearest = int(inside[np.lexsort((-room, count))[0]])
    return tuple(
        r for one, blocked in blocking if blocked[nearest] for r in one.why(after, request, nearest)
    )


def _empty(after: Placed, pool: int) -> Rejection:
    name = after.problem.pool_ids[pool]
    return Rejection(
        rule_id="hosts",
        pool=name,
        dimension="hosts",
        limit="0 hosts",
        need="1 host",
        why=f"{name} has no host",
        remedy=f"add a host to {name}",
    )


def name_of(constraint: Constraint) -> str:
    """What a constraint is called: as its file."""
    return type(constraint).__module__.rpartition(".")[2]


def _choices(after: Placed, request: int) -> dict[str, str]:
    return {
        name_of(one): one.choice_name(after.problem, int(chosen[request]))
        for one in constraints.of(after.problem)
        if (chosen := after.choices.get(name_of(one))) is not None and chosen[request] >= 0
    }


def _order(candidate: Candidate) -> tuple[bool, object]:
    refused = bool(candidate.rejections)
    return refused, candidate.tier if refused else candidate.cost_micros
