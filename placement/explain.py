"""For each request every pool: what it costs there, and all that stands against it."""

from dataclasses import dataclass, field

from placement import constraints
from placement.placed import Placed
from placement.plan import Assignment, Candidate


def assignments(after: Placed) -> tuple[Assignment, ...]:
    """One assignment a request, with its candidates: the possible by cost, then the refused by tier.

    Room is judged as it is after the plan, so "refused" means that this request could not go there
    in addition to everything else. The pool that was chosen has no rejections.
    """
    explainer = _Explainer(after)
    return tuple(explainer.assignment(i) for i in range(len(after.problem.request_ids)))


@dataclass
class _Explainer:
    after: Placed
    known: dict[tuple[object, ...], tuple[Candidate, ...]] = field(default_factory=dict)

    def assignment(self, request: int) -> Assignment:
        problem = self.after.problem
        chosen = int(self.after.pool_of[request])
        return Assignment(
            request_id=problem.request_ids[request],
            pool=problem.pool_ids[chosen] if chosen >= 0 else None,
            candidates=self._candidates(request, chosen),
        )

    def _candidates(self, request: int, chosen: int) -> tuple[Candidate, ...]:
        """Requests that are alike in everything that `why` may look at share their candidates."""
        problem = self.after.problem
        refused = tuple(problem.rejections.get((request, p), ()) for p in range(len(problem.pool_ids)))
        demand, cost = problem.demand[request].tobytes(), problem.cost_micros[request].tobytes()
        key = (chosen, demand, cost, refused)
        if key not in self.known:
            pools = range(len(problem.pool_ids))
            candidates = [self._candidate(request, p, chosen) for p in pools]
            self.known[key] = tuple(sorted(candidates, key=_order))
        return self.known[key]

    def _candidate(self, request: int, pool: int, chosen: int) -> Candidate:
        problem = self.after.problem
        reasons = () if pool == chosen else self._reasons(request, pool)
        return Candidate(
            pool=problem.pool_ids[pool],
            tier=problem.tier_of[pool],
            cost_micros=int(problem.cost_micros[request, pool]),
            rejections=reasons,
        )

    def _reasons(self, request: int, pool: int) -> tuple[object, ...]:
        return tuple(r for one in constraints.ALL for r in one.why(self.after, request, pool))


def _order(candidate: Candidate) -> tuple[bool, object]:
    refused = bool(candidate.rejections)
    return refused, candidate.tier if refused else candidate.cost_micros
