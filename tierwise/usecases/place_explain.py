"""Why a request is where it is, why not elsewhere, what would help, and why not all can be placed: in lines for people."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from catalog.units import amount_of
from catalog.wording import known_names
from placement.conflict import Conflict
from placement.plan import Assignment, Candidate, Plan
from placement.problem import PlacementProblem
from tierwise.errors import InvalidInput
from tierwise.usecases.place_file import moneyed

_PEOPLE_SEE = 12
"""Facts about requests that are listed one by one; more are summed up."""


def chosen(problem: PlacementProblem, plan: Plan, names: Sequence[str]) -> tuple[Assignment, ...]:
    """What the plan says of these requests or groups; of all without a place where none are named.

    Raises InvalidInput for a name that is neither.
    """
    if not names:
        return plan.unplaced
    wanted: dict[str, None] = {}
    for name in names:
        if name not in problem.request_positions and name not in problem.groups:
            known = (*problem.groups, *problem.request_ids)
            msg = f"there is no request or group '{name}'; {known_names(name, known)}"
            raise InvalidInput(msg)
        wanted |= dict.fromkeys(problem.groups.get(name, (name,)))
    return tuple(one for one in plan.assignments if one.request_id in wanted)


def said(wanted: Sequence[Assignment], why: Conflict | None) -> dict[str, Any]:
    """All of it for programs."""
    return {
        "requests": [one.model_dump(mode="json") for one in wanted],
        "conflict": why.model_dump(mode="json") if why else None,
    }


def lines(problem: PlacementProblem, one: Assignment) -> Iterator[str]:
    """One request: where it goes, then every pool with its price and what stands against it."""
    money = moneyed(problem.currency)
    yield f"{one.request_id}: {_size(problem, one.request_id)}: {_place(one)}"
    width = max((len(candidate.pool) for candidate in one.candidates), default=0)
    prices = [money(candidate.cost_micros) for candidate in one.candidates]
    wide = max((len(price) for price in prices), default=0)
    tiers = max((len(candidate.tier) for candidate in one.candidates), default=0)
    for candidate, price in zip(one.candidates, prices, strict=True):
        verdict = "chosen" if candidate.pool == one.pool else _verdict(candidate)
        yield f"  {candidate.pool:<{width}}  {candidate.tier:<{tiers}}  {price:>{wide}}  {verdict}"
        if candidate.pool != one.pool:
            yield from (f"      {why.why}; {why.remedy}" for why in candidate.rejections)
    if one.pool is None:
        yield f"  {_help(one, money)}"


def conflict_lines(conflict: Conflict) -> Iterator[str]:
    """The facts that cannot all be true."""
    needed = (
        "without any one of them, the others can be kept" if conflict.minimal else "not all may be needed"
    )
    yield f"not all requests can be placed, because these {len(conflict.facts)} facts cannot all be true ({needed}):"
    requests = [fact for fact in conflict.facts if fact.kind == "requests"]
    shown = requests[: _PEOPLE_SEE - 1] if len(requests) > _PEOPLE_SEE else requests
    yield from (f"  {fact.words}" for fact in shown)
    if len(shown) < len(requests):
        yield f"  and {len(requests) - len(shown)} more requests must be placed; --output json names them"
    yield from (f"  {fact.words}" for fact in conflict.facts if fact.kind != "requests")


def _size(problem: PlacementProblem, request: str) -> str:
    demand = problem.demand[problem.request_positions[request]].tolist()
    amounts = zip(problem.resource_classes, demand, strict=True)
    return ", ".join(amount_of(name, n) for name, n in amounts if n) or "nothing"


def _place(one: Assignment) -> str:
    if one.pool is None:
        return "no place"
    choices = "".join(f", {name} {choice}" for name, choice in one.choices.items())
    host = "" if one.host in {None, one.pool} else f", {one.host}"
    return f"{one.pool}{host}{choices}"


def _verdict(candidate: Candidate) -> str:
    if candidate.possible:
        return "possible"
    if not candidate.hosts:
        return "refused"
    counts = ", ".join(f"{n} by {name}" for name, n in candidate.refused_hosts.items())
    what = "its host is refused" if candidate.hosts == 1 else f"all {candidate.hosts} hosts are refused"
    closest = "" if candidate.hosts == 1 else "; the closest:"
    return f"{what} ({counts}){closest}"


def _help(one: Assignment, money: Callable[[int], str]) -> str:
    help_ = one.would_help
    if help_ is None:
        return "no single change would give it a place"
    where = help_.pool if help_.host in {None, help_.pool} else f"{help_.pool} ({help_.host})"
    return (
        f"one change is enough: {help_.change.remedy}; it then costs {money(help_.cost_micros)} on {where}"
    )
