"""Members by domain, counted in plain Python: for checkers, which share nothing with what solvers are told."""

from collections.abc import Iterable

from placement.problem import PlacementProblem
from placement.seats import Seats


def placed_members(problem: PlacementProblem, seats: Seats, names: Iterable[str]) -> dict[str, int]:
    """Provider of each placed request that the names stand for, by its id, in the problem's order."""
    wanted = {one for name in names for one in problem.groups.get(name, (name,))}
    pairs = zip(problem.request_ids, seats.provider_of.tolist(), strict=True)
    return {name: v for name, v in pairs if name in wanted and v >= 0}


def by_domain(
    problem: PlacementProblem, seats: Seats, names: Iterable[str], label: str
) -> tuple[dict[str, list[str]], list[str]]:
    """Ids of the placed members in each domain that has any, and of those on providers in no domain."""
    domains = problem.domains(label)
    assert domains is not None, f"label '{label}' was checked before"
    of = domains.of.tolist()
    inside: dict[str, list[str]] = {}
    outside: list[str] = []
    for name, v in placed_members(problem, seats, names).items():
        (inside.setdefault(domains.names[of[v]], []) if of[v] >= 0 else outside).append(name)
    return dict(sorted(inside.items())), outside
