"""Placing made-up estates with affinity, anti-affinity, spread, quotas and licences, beside first fit decreasing.

First fit decreasing takes the largest request first and the first host that every rule allows. The kernel is
compiled before the clock starts. The build share is what posting the model and its matrix takes of all.
"""

import resource
import time

import numpy as np

from placement.generator import estate
from placement.online import Online
from placement.outcome import Outcome, Progress
from placement.plan import Limits
from placement.problem import PlacementProblem
from placement.seats import Seats
from placement.solve import posted
from placement.verify import terms_of
from placement.ways import way

Figures = dict[str, int | float | str]


def main() -> Figures:
    """Gaps, seconds and processor seconds of two sizes; what first fit decreasing pays beside it."""
    way("search").solve(posted(estate(1, 60, 8)), Limits(deterministic_time=0.5))
    figures: Figures = {}
    for requests, hosts, limit in ((2_000, 100, 12.0), (10_000, 500, 16.0)):
        figures |= measured(f"estate_{requests}x{hosts}", estate(0, requests, hosts), limit)
    figures["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return figures


def measured(name: str, problem: PlacementProblem, limit: float) -> Figures:
    """One solve, `limit` in deterministic time."""
    told: list[float] = []
    began, processor = time.perf_counter(), time.process_time()

    def tell(progress: Progress) -> None:
        told.append(time.perf_counter() - began)

    model = posted(problem)
    model.matrix()
    build_s = time.process_time() - processor
    outcome: Outcome = way("search").solve(model, Limits(deterministic_time=limit), tell, time.perf_counter)
    wall, processor = time.perf_counter() - began, time.process_time() - processor
    (unplaced,), cost = outcome.unplaced, outcome.levels[0]
    began_plain = time.process_time()
    plain = first_fit_decreasing(problem)
    terms = terms_of(problem, plain)
    return {
        f"{name}_gap_percent": 100 * cost.gap,
        f"{name}_unplaced": unplaced.value,
        f"{name}_unplaced_bound": unplaced.bound,
        f"{name}_wall_s": wall,
        f"{name}_processor_s": processor,
        f"{name}_first_plan_s": told[0] if told else 0.0,
        f"{name}_build_processor_s": build_s,
        f"{name}_build_share_percent": 100 * build_s / processor,
        f"{name}_first_fit_above_ours_percent": 100
        * (sum(n for term, n in terms.items() if term != "moves") / cost.value - 1),
        f"{name}_first_fit_unplaced": int((plain.provider_of < 0).sum()),
        f"{name}_first_fit_processor_s": time.process_time() - began_plain,
    }


def first_fit_decreasing(problem: PlacementProblem) -> Seats:
    """The largest first, by its share of all that is free, on the first host that the rules let it."""
    share = (problem.demand / np.maximum(problem.providers.free.sum(axis=0), 1)).max(axis=1)
    online = Online(problem)
    for i in np.argsort(-share, kind="stable").tolist():
        possible = np.flatnonzero(online.mask(i))
        if len(possible):
            online.place(i, int(possible[0]))
    return online.seats


if __name__ == "__main__":
    print(main())
