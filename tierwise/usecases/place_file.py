"""Placement problems and plans in JSON files: read, solved, written; no estate and no database."""

import json
from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

from placement import document, ways
from placement.document import InvalidDocument
from placement.outcome import NOTHING_PROVEN, Clock, Listener, Progress
from placement.plan import Assignment, Level, Limits, Plan
from placement.problem import COSTS, InvalidProblem, PlacementProblem
from placement.solve import posted
from placement.solve import solve as solve_problem
from placement.solvers.exact import Infeasible, OutOfTime
from tierwise.errors import InvalidInput, NoPlace, TierwiseError
from tierwise.reports.files import write_whole

_WIDTH = 110
"""A value that fits into so many characters stands on one line of a written file."""
_JSON = json.JSONEncoder(ensure_ascii=False)


def load(file: Path) -> PlacementProblem:
    """The problem in a file. Raises InvalidInput with everything that is wrong in its details."""
    content = read_bytes(file)
    if content.startswith(b"PK"):
        msg = f"{file}: is an instance in columns (.npz) or another zip file; only `tierwise place solve NAME.npz` takes those"
        raise InvalidInput(msg)
    try:
        return document.read(content)
    except InvalidDocument as error:
        count = len(error.problems)
        msg = f"{file}: {count} {'problem' if count == 1 else 'problems'}; nothing was solved"
        raise InvalidInput(msg, details=error.problems) from None


def solve(
    problem: PlacementProblem,
    limits: Limits,
    *,
    way: str | None = None,
    tell: Listener | None = None,
    clock: Clock | None = None,
) -> Plan:
    """The plan. Raises InvalidInput for a way that is none or not meant for it, and NoPlace where nothing keeps all."""
    if way is not None:
        _must_fit(problem, way)
    try:
        return solve_problem(problem, limits, way=way, tell=tell, clock=clock)
    except InvalidProblem as error:
        raise InvalidInput(str(error)) from None
    except Infeasible:
        msg = (
            "no plan keeps every machine that must stay: free room for them, or name more machines that may be "
            "given up in the constraint 'preemption'"
        )
        raise NoPlace(msg) from None
    except OutOfTime:
        msg = "no plan that keeps every constraint was found in the time; give it more with --time-limit"
        raise NoPlace(msg) from None


def written(plan: Plan, *, explain: bool) -> str:
    """The plan as JSON text: candidates only of requests without a place, unless all are to be explained."""
    said = plan.model_dump(mode="json", exclude={"assignments"})
    rows = [_assignment(one, explain=explain) for one in plan.assignments]
    return as_text({"assignments": rows, **said})


def as_text(tree: Mapping[str, Any]) -> str:
    """JSON that people can read and compare: what fits on a line stands on one."""
    return _text(tree, 0) + "\n"


def write(file: Path, text: str) -> None:
    """Whole or not at all: what was there before stays. Raises InvalidInput where the file cannot be written."""
    try:
        write_whole(file, text.encode())
    except TierwiseError as error:
        raise InvalidInput(str(error)) from None


def read_bytes(file: Path) -> bytes:
    """Raises InvalidInput where the file cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        msg = f"{file}: cannot be read: {error.strerror}; check the path and its rights"
        raise InvalidInput(msg) from error


def summary(plan: Plan) -> dict[str, Any]:
    """What a plan comes to, in the order in which people ask: placed, cost by term, and what is proven."""
    unplaced = len(plan.unplaced)
    money = moneyed(plan.currency)
    return {
        "status": plan.status.value,
        "solver": plan.solver,
        "placed": len(plan.assignments) - unplaced,
        "unplaced": unplaced,
        "unplaced_at_least": plan.unplaced_bound,
        "cost": money(plan.cost_micros),
        "terms": {name: money(n) if name in COSTS else n for name, n in plan.terms.items()},
        **_proven(plan, money),
    }


def exact_summary(plan: Plan) -> dict[str, Any]:
    """The same amounts in micro-units of the currency, for programs."""
    levels = [
        dict(level.model_dump(), gap_percent=_percent(level.value, level.bound)) for level in plan.levels
    ]
    return {
        "currency": plan.currency,
        "horizon_hours": plan.horizon_hours,
        "cost_micros": plan.cost_micros,
        "bound_micros": plan.bound_micros,
        "terms_exact": dict(plan.terms),
        "levels": levels,
        "preempted": list(plan.preempted),
    }


def unplaced(plan: Plan) -> list[dict[str, Any]]:
    """Each request without a place, and what the pool that comes closest lacks for it."""
    return [
        {"request": one.request_id, "nearest": pool, "why": "; ".join(why), "remedy": "; ".join(remedies)}
        for one in plan.unplaced
        for pool, why, remedies in [_nearest(one)]
    ]


def moneyed(currency: str) -> Callable[[int], str]:
    """Micro-units as text: ``EUR 412.60``; half a cent is rounded up, and only for people."""

    def money(micros: int) -> str:
        amount = Decimal(micros).scaleb(-6).quantize(Decimal("0.01"), ROUND_HALF_UP)
        return f"{currency} {amount:,.2f}"

    return money


def progress_in_words(problem: PlacementProblem, progress: Progress) -> str:
    """``cp-sat, level 1: EUR 412.60 found, at least EUR 410.00 is needed (gap 0.63 %)``."""
    word = _words_of(problem, progress.stage)
    found = f"{progress.solver}, {progress.stage}: {word(progress.value)} found"
    if progress.bound <= NOTHING_PROVEN:
        return f"{found}, nothing proven yet"
    return f"{found}, at least {word(max(0, progress.bound))} is needed (gap {100 * progress.gap:.2f} %)"


def _words_of(problem: PlacementProblem, stage: str) -> Callable[[int], str]:
    number = stage.removeprefix("level ")
    level = problem.objective[int(number) - 1] if number.isdecimal() else {}
    return moneyed(problem.currency) if in_money(level) else str


def _must_fit(problem: PlacementProblem, way: str) -> None:
    if way not in ways.names():
        msg = f"--way: there is no way '{way}'; there are {', '.join(ways.names())}"
        raise InvalidInput(msg)
    model = posted(problem)
    if not ways.way(way).fits(model):
        meant = [name for name in ways.names() if ways.way(name).fits(model)]
        msg = f"--way: '{way}' is not meant for a problem of this size and kind; leave it out, or take {' or '.join(meant)}"
        raise InvalidInput(msg)


def _assignment(one: Assignment, *, explain: bool) -> dict[str, Any]:
    said: dict[str, Any] = {"request_id": one.request_id, "pool": one.pool}
    if one.host is not None:
        said["host"] = one.host
    if one.choices:
        said["choices"] = dict(one.choices)
    if explain or one.pool is None:
        said["candidates"] = [candidate.model_dump(mode="json") for candidate in one.candidates]
    return said


def _proven(plan: Plan, money: Callable[[int], str]) -> dict[str, Any]:
    """The bound of the cost, or where the objective is another one, of each of its levels."""
    if not plan.levels:
        gap = _percent(plan.cost_micros, plan.bound_micros)
        return {"bound": money(plan.bound_micros), "gap_percent": gap}
    return {f"level {n}": _level(level, money) for n, level in enumerate(plan.levels, start=1)}


def _level(level: Level, money: Callable[[int], str]) -> str:
    """``EUR 777.79 of price + penalties, at least EUR 770.00 is needed (gap 1.0 %)``."""
    word = money if in_money(level.terms) else "{:,}".format
    said = f"{word(level.value)} of {' + '.join(_weighted(level.terms))}"
    if level.bound <= NOTHING_PROVEN:
        return f"{said}, nothing proven"
    return f"{said}, at least {word(level.bound)} is needed (gap {_percent(level.value, level.bound)} %)"


def in_money(terms: Mapping[str, int]) -> bool:
    """Whether a level of the objective is an amount of money."""
    return bool(terms) and all(weight == 1 and term in COSTS for term, weight in terms.items())


def _weighted(terms: Mapping[str, int]) -> Iterator[str]:
    for name, weight in terms.items():
        yield name if weight == 1 else f"{weight} x {name}"


def _percent(value: int, bound: int) -> float | None:
    """(value - bound) / value in percent; None where nothing is proven."""
    if bound <= NOTHING_PROVEN:
        return None
    return round(100 * (value - bound) / value, 5) if value else 0.0


def _nearest(one: Assignment) -> tuple[str, list[str], list[str]]:
    """The pool with the fewest reasons against it, and these; of equals, the one that stands first."""
    candidate = min(one.candidates, key=lambda c: len(c.rejections))
    reasons = candidate.rejections
    if not reasons:
        return (
            candidate.pool,
            ["it would fit, but the search was stopped before it was placed"],
            ["search longer"],
        )
    return candidate.pool, [r.why for r in reasons], [r.remedy for r in reasons]


def _text(value: Any, indent: int) -> str:
    """Each part is written once: a line that is too long for a part is too long for what it is part of."""
    if not isinstance(value, dict | list | tuple) or not value:
        return _JSON.encode(value)
    inner, space = indent + 1, "\n" + " " * (indent + 1)
    if isinstance(value, dict):
        parts = [f"{_JSON.encode(name)}: {_text(part, inner)}" for name, part in value.items()]
        first, last = "{}"
    else:
        parts = [_text(part, inner) for part in value]
        first, last = "[]"
    line = f"{first}{', '.join(parts)}{last}"
    if len(line) + indent <= _WIDTH and "\n" not in line:
        return line
    return f"{first}{space}{(',' + space).join(parts)}\n{' ' * indent}{last}"
