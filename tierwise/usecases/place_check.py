"""Checks a plan that somebody made, by us or by others, against its problem: no solver, no code that makes plans."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ConfigDict, Field

from catalog.base import Value
from catalog.documents import checked
from catalog.problems import Problem
from catalog.wording import known_names
from placement import constraints
from placement.arrays import Int64
from placement.documents.texts import InvalidDocument, Tree, parsed, told
from placement.explain import name_of
from placement.problem import COSTS, PlacementProblem
from placement.seats import Seats
from placement.verify import broken, terms_of


class SaidAssignment(Value):
    """Where a plan says that a request goes."""

    model_config = ConfigDict(extra="ignore")

    request_id: str
    pool: str | None = None
    host: str | None = None
    choices: Mapping[str, str] = Field(default_factory=dict)


class SaidLevel(Value):
    """What a plan says of one level of the objective."""

    model_config = ConfigDict(extra="ignore")

    value: int
    bound: int


class SaidPlan(Value):
    """A plan's own words; only its assignments are needed, the rest is compared where it is there."""

    model_config = ConfigDict(extra="ignore")

    assignments: tuple[SaidAssignment, ...]
    cost_micros: int | None = None
    bound_micros: int | None = None
    unplaced_bound: int | None = None
    terms: Mapping[str, int] | None = None
    levels: tuple[SaidLevel, ...] = ()
    currency: str | None = None
    horizon_hours: int | None = None


@dataclass(frozen=True)
class Found:
    """What was counted, and everything in which the plan does not hold."""

    placed: int
    unplaced: int
    terms: Mapping[str, int]
    breaches: tuple[str, ...]


def read(text: bytes) -> SaidPlan:
    """A plan from JSON text. Raises InvalidDocument."""
    tree = parsed(text)
    problems: list[Problem] = []
    said = _checked(tree, problems)
    if said is None:
        raise InvalidDocument([told(one) for one in problems])
    return said


def _checked(tree: Mapping[str, Any], problems: list[Problem]) -> SaidPlan | None:
    return checked(Tree("", tree, {}), (), SaidPlan, tree, problems)


def check(problem: PlacementProblem, said: SaidPlan) -> Found:
    """Names first: where they are not the problem's, counting would say nothing."""
    misfits = tuple(_misfits(problem, said))
    if misfits:
        return Found(0, 0, {}, misfits)
    seats = _seats(problem, said)
    terms = terms_of(problem, seats)
    placed = int((seats.provider_of >= 0).sum())
    without = len(problem.request_ids) - placed
    breaches = (*broken(problem, seats), *_accounts(problem, said, terms, without))
    return Found(placed, without, terms, breaches)


def _misfits(problem: PlacementProblem, said: SaidPlan) -> Iterator[str]:
    seen: set[str] = set()
    for n, one in enumerate(said.assignments):
        at = f"assignments[{n}]"
        if one.request_id not in problem.request_positions:
            yield f"{at}.request_id: there is no request '{one.request_id}'"
        elif one.request_id in seen:
            yield f"{at}.request_id: '{one.request_id}' is placed twice"
        seen.add(one.request_id)
        yield from _wrong_place(problem, at, one)
        yield from _wrong_choices(problem, at, one)
    missing = [name for name in problem.request_ids if name not in seen]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        yield f"assignments: nothing is said of '{missing[0]}'{more}; a request without a place has pool null"
    if (said.currency or problem.currency) != problem.currency:
        yield f"currency: the plan is in {said.currency}, the problem in {problem.currency}"
    if (said.horizon_hours or problem.horizon_hours) != problem.horizon_hours:
        yield f"horizon_hours: the plan is over {said.horizon_hours} h, the problem over {problem.horizon_hours} h"


def _wrong_place(problem: PlacementProblem, at: str, one: SaidAssignment) -> Iterator[str]:
    providers = problem.providers
    if one.pool is not None and one.pool not in problem.pool_ids:
        yield f"{at}.pool: there is no pool '{one.pool}'; {known_names(one.pool, problem.pool_ids)}"
    elif one.host is not None:
        found = problem.provider_positions.get(one.host) if providers.are_hosts else None
        if found is None:
            yield f"{at}.host: there is no host '{one.host}'; {known_names(one.host, providers.ids if providers.are_hosts else ())}"
        elif one.pool not in {None, problem.pool_ids[int(providers.pool_of[found])]}:
            yield f"{at}.host: '{one.host}' is not a host of '{one.pool}'"
    elif one.pool is not None and providers.are_hosts:
        yield f"{at}.host: is missing; '{one.pool}' has hosts, name the one it goes to"


def _wrong_choices(problem: PlacementProblem, at: str, one: SaidAssignment) -> Iterator[str]:
    if not one.choices:
        return
    known = _choice_numbers(problem)
    for name, choice in one.choices.items():
        if name not in known:
            yield f"{at}.choices.{name}: no constraint of the problem asks for this choice"
        elif choice not in known[name]:
            yield f"{at}.choices.{name}: there is no choice '{choice}'; {known_names(choice, known[name])}"


def _choice_numbers(problem: PlacementProblem) -> dict[str, dict[str, int]]:
    """Constraint -> name of a choice -> its number."""
    return {
        name_of(one): {one.choice_name(problem, c): c for c in range(count)}
        for one in constraints.of(problem)
        if (count := one.choice_count(problem))
    }


def _seats(problem: PlacementProblem, said: SaidPlan) -> Seats:
    provider_of = np.full(len(problem.request_ids), -1, dtype=np.int64)
    known = _choice_numbers(problem)
    choices: dict[str, Int64] = {name: np.full(len(provider_of), -1, dtype=np.int64) for name in known}
    for one in said.assignments:
        i = problem.request_positions[one.request_id]
        place = one.host if problem.providers.are_hosts else one.pool
        if place is not None:
            provider_of[i] = problem.provider_positions[place]
        for name, choice in one.choices.items():
            choices[name][i] = known[name][choice]
    return Seats(provider_of, {name: numbers for name, numbers in choices.items() if (numbers >= 0).any()})


def _accounts(
    problem: PlacementProblem, said: SaidPlan, terms: Mapping[str, int], without: int
) -> Iterator[str]:
    """What the plan says of itself, against what is counted."""
    cost = sum(terms.get(name, 0) for name in COSTS)
    if said.terms is not None:
        for name in dict.fromkeys((*said.terms, *terms)):
            if said.terms.get(name, 0) != terms.get(name, 0):
                yield f"terms.{name}: {said.terms.get(name, 0)} is not what is counted, {terms.get(name, 0)}"
    if said.cost_micros is not None and said.cost_micros != cost:
        yield f"cost_micros: {said.cost_micros} is not what is counted, {cost}"
    if said.bound_micros is not None and said.bound_micros > cost:
        yield f"bound_micros: {said.bound_micros} is above the cost {cost}: no such bound can be proven"
    if said.unplaced_bound is not None and said.unplaced_bound > without:
        yield f"unplaced_bound: {said.unplaced_bound} is above the {without} that have no place"
    for n, (level, weights) in enumerate(zip(said.levels, problem.objective, strict=False)):
        value = sum(weight * terms.get(name, 0) for name, weight in weights.items())
        if level.value != value:
            yield f"levels[{n}].value: {level.value} is not what is counted, {value}"
        if level.bound > value:
            yield f"levels[{n}].bound: {level.bound} is above the value {value}: no such bound can be proven"
