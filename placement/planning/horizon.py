"""Several periods in one model: which hosts to have when, where those that were bought stay and those given up are gone.

Each period is a planning problem with the hosts of today. Hosts bought so far never get fewer and are paid for in every
period, hosts of today never get more again, and what one machine's move costs is shared out over the periods. Any prices
of bought hosts that come, from each period to the last, to no more than the true ones prove a bound period by period: who
buys a host in one period pays it in all later ones, so an earlier period may be charged what a later one is let off.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from placement.arrays import Int64
from placement.budget import Budget
from placement.matrix import NO_LIMIT
from placement.plan import Limits
from placement.planning import mip
from placement.planning.columns import Columns, Later, Sum, added, one
from placement.planning.crowds import crowds_of, fine
from placement.planning.diving import dive, price_unplaced
from placement.planning.facts import Facts
from placement.planning.licences import PostedScope
from placement.planning.linear import Linear
from placement.planning.model import Model, build
from placement.planning.problem import PlanningProblem
from placement.solvers import exact
from placement.stages import Stage

_SMALL = 400
"""Cells of all periods up to which all columns are whole in one exact solve."""
_MOST_CELLS = 3000
"""Of the crowds of all periods."""
_ROUNDS = 2


@dataclass(frozen=True, eq=False)
class Ahead:
    """What all periods together say. T periods, B blocks as in each of them."""

    kept: Int64
    """[T, B] hosts of today."""
    bought: Int64
    """[T, B] hosts that are bought by then."""
    prices: Int64
    """[T, B] of a bought host in a period, such that periods by themselves prove a bound of all (see above)."""
    bound_micros: int | None
    """No sequence of plans costs less that leaves no more machines out; None where that was not proven here."""
    staying: bool
    """Whether that is of sequences in which whoever has a place stays there; of all where none such leaves as few out."""
    counts: Sequence[Int64]
    """[T] of [G, P] machines in the plan that this is of; empty where it has them in parts."""


def apportioned(problems: Sequence[PlanningProblem], months: Sequence[int]) -> list[PlanningProblem]:
    """The same, with the least that a move costs in any period shared out by their months, rounded down.

    Groups that run somewhere today are the first ones, in the same order, in all periods.
    """
    moves = [one.groups.move_cost for one in problems]
    known = [move for move in moves if move is not None]
    if len(known) < len(moves):
        return [replace(one, groups=replace(one.groups, move_cost=None)) for one in problems]
    shared = min(len(move) for move in known)
    least = np.min([move[:shared] for move in known], axis=0)
    found = []
    for problem, move, length in zip(problems, known, months, strict=True):
        part = np.zeros_like(move)
        part[:shared] = least * length // sum(months)
        found.append(replace(problem, groups=replace(problem.groups, move_cost=part)))
    return found


def priced(problem: PlanningProblem, prices: Int64) -> PlanningProblem:
    """A period by itself, with other prices [B] of bought hosts."""
    return replace(problem, blocks=replace(problem.blocks, bought_costs={"bought": prices.copy()}))


def look_ahead(
    problems: Sequence[PlanningProblem], out: Sequence[int], limits: Limits, *, staying: bool = True
) -> Ahead | None:
    """Hosts of all periods, which leave no more than `out` machines without a place in each; None where none are found.

    Blocks, pools and products are the same in all periods, but for what could be bought. Ids tell which groups are.
    Where there are few, whoever has a place stays there, as long as that leaves no more than `out` without one.
    """
    facts = [Facts(_without_price(one)) for one in problems]
    small = sum(int(one.possible.sum()) for one in facts) <= _SMALL
    if small:
        models = [build(one) for one in facts]
    else:
        models = [build(crowds_of(fine(one), _MOST_CELLS // len(facts))) for one in facts]
    joint = _Joint.of(problems, models, out, alike=small, staying=small and staying)
    budget = Budget.of(limits)
    try:
        linear = _relaxed(joint, out, budget)
        if linear is None:
            return None
        prices = _lawful(problems, -linear.prices[joint.coupled])
        bound = None
        if small:
            found = exact.solve(
                joint.model.matrix, [Stage("cost", joint.model.matrix.terms["cost"])], budget
            )
            values = found.values.astype(np.float64)
            bound = max(0, found.proven[0].bound) + sum(sum(one.sunk.values()) for one in problems)
        else:
            price_unplaced(joint.model, linear)
            values = dive(joint.model, linear, budget.time_limit_s)
    except (mip.Infeasible, exact.Infeasible):
        return look_ahead(problems, out, limits, staying=False) if small and staying else None
    except exact.OutOfTime:
        return None
    whole = np.ceil(values - 0.01).astype(np.int64)
    counts = [np.where(cells >= 0, whole[cells], 0) for cells in joint.cells] if small else []
    # What was rounded up may be more than a later period has: nothing comes back.
    kept = np.minimum.accumulate(whole[joint.kept], axis=0)
    # Hosts that cost nothing until the end of what they are written off over are not bought before they are of use.
    bought = np.minimum(whole[joint.bought], whole[joint.hosts] - kept)
    return Ahead(
        kept, np.maximum.accumulate(np.maximum(bought, 0), axis=0), prices, bound, small and staying, counts
    )


def _without_price(problem: PlanningProblem) -> PlanningProblem:
    """Bought hosts are paid for by the columns that all periods have in common."""
    return replace(problem, blocks=replace(problem.blocks, bought_costs={}))


def _relaxed(joint: "_Joint", out: Sequence[int], budget: Budget) -> Linear | None:
    """The linear program at its optimum; None where it ended without one. Raises Infeasible."""
    linear = Linear(joint.model, joint.model.matrix.terms["cost"], budget.seed)
    for columns, left in zip(joint.unplaced, out, strict=True):
        for column in columns.tolist() if not left else ():
            linear.hold(column, 0, 0)
    solved = linear.solve(budget.time_limit_s)
    for _ in range(_ROUNDS):
        if not solved or not linear.tighten():
            break
        solved = linear.solve(budget.time_limit_s)
    return linear if solved else None


def _lawful(problems: Sequence[PlanningProblem], prices: mip.Float64) -> Int64:
    """[T, B] whole prices that come to no more than the true ones from any period to the last."""
    true = np.array([Facts(one).bought_cost for one in problems], dtype=np.int64)
    found = np.maximum(0, np.floor(prices)).astype(np.int64)
    left = np.zeros(true.shape[1], dtype=np.int64)
    for t in reversed(range(len(true))):
        left += true[t]
        found[t] = np.minimum(found[t], left)
        left -= found[t]
    return found


@dataclass(frozen=True, eq=False)
class _Joint:
    """All periods' models side by side, and the hosts that they have in common."""

    model: Model
    kept: Int64
    """[T, B] columns."""
    bought: Int64
    """[T, B] columns."""
    hosts: Int64
    """[T, B] columns: those that run."""
    coupled: Int64
    """[T, B] rows that say that hosts are kept or bought."""
    unplaced: Sequence[Int64]
    """[T] columns of each."""
    cells: Sequence[Int64]
    """[T] of [G, P] columns; -1 where machines cannot be."""

    @classmethod
    def of(
        cls,
        problems: Sequence[PlanningProblem],
        models: Sequence[Model],
        out: Sequence[int],
        *,
        alike: bool,
        staying: bool,
    ) -> "_Joint":
        """`alike`: groups are those of the problems; `staying`: and whoever has a place stays there."""
        columns = Columns()
        begins = [_beside(columns, model) for model in models]
        own = list(zip(models, begins, strict=True))
        hosts = np.array([model.hosts + at for model, at in own], dtype=np.int64)
        unplaced = [model.unplaced + at for model, at in own]
        for some, left in zip(unplaced, out, strict=True):
            columns.row(Sum(some, np.ones_like(some), 0), upper=left if left or alike else NO_LIMIT)
        kept, bought, coupled = _common_hosts(columns, problems, models, hosts)
        if staying:
            _stay(columns, problems, models, begins)
        more = columns.count - sum(len(model.whole) for model in models)
        later = [Later(some.cells + at, some.count, some.on + at) for m, at in own for some in m.later]
        cells = [_moved(model.cells, at) for model, at in own]
        joint = Model(
            facts=models[-1].facts,
            matrix=columns.matrix(),
            whole=np.concatenate([*(model.whole for model in models), np.ones(more, dtype=np.bool_)]),
            cells=np.concatenate(cells),
            unplaced=np.concatenate(unplaced),
            hosts=np.concatenate([bought.reshape(-1), kept.reshape(-1), hosts.reshape(-1)]),
            opened=np.concatenate([model.opened + at for model, at in own]),
            scopes=tuple(_at(scope, at) for model, at in own for scope in model.scopes),
            later=tuple(later),
            switches=np.concatenate([model.switches + at for model, at in own]),
            splits=(),
        )
        return cls(joint, kept, bought, hosts, coupled, unplaced, cells)


def _beside(columns: Columns, model: Model) -> int:
    """Post a period's whole model; where its columns begin."""
    matrix, begin = model.matrix, columns.count
    columns.add(matrix.upper, lower=matrix.lower)
    row = np.repeat(np.arange(len(matrix.row_lower), dtype=np.int64), np.diff(matrix.start))
    columns.rows(row, matrix.column + begin, matrix.coefficient, matrix.row_lower, matrix.row_upper)
    cost = matrix.terms["cost"]
    columns.cost(cost.column + begin, cost.coefficient)
    return begin


def _common_hosts(
    columns: Columns, problems: Sequence[PlanningProblem], models: Sequence[Model], hosts: Int64
) -> tuple[Int64, Int64, Int64]:
    existing = np.array([one.blocks.existing for one in problems], dtype=np.int64)
    could = np.array([one.blocks.most for one in problems], dtype=np.int64) - existing
    needed = np.max([model.facts.most for model in models], axis=0)
    facts = [Facts(one) for one in problems]
    kept, bought = columns.add(existing), columns.add(np.minimum(could, needed))
    idle = columns.add(existing)
    columns.cost(bought, np.array([one.bought_cost for one in facts], dtype=np.int64))
    columns.cost(idle, np.array([one.kept_cost for one in facts], dtype=np.int64))
    coupled = np.empty_like(hosts)
    for t, b in np.ndindex(*hosts.shape):
        here, stays = one(int(hosts[t, b]), 0), one(int(kept[t, b]), 0)
        coupled[t, b] = columns.row_count
        columns.below(here, added([stays, one(int(bought[t, b]), 0)]))
        # Those that wait for a later period cost what hosts cost.
        columns.below(stays, added([here, one(int(idle[t, b]), 0)]))
        if t:
            columns.below(stays, one(int(kept[t - 1, b]), 0))
            columns.below(one(int(bought[t - 1, b]), 0), one(int(bought[t, b]), 0))
    return kept, bought, coupled


def _stay(
    columns: Columns, problems: Sequence[PlanningProblem], models: Sequence[Model], begins: Sequence[int]
) -> None:
    """Whoever has a place in a period has it in the next one."""
    for t in range(1, len(problems)):
        now, before = problems[t].groups, problems[t - 1].groups
        row_of = {name: g for g, name in enumerate(now.ids)}
        for g, name in enumerate(before.ids):
            h = row_of.get(name, -1)
            if h < 0 or now.count[h] < before.count[g]:
                continue
            for p in np.flatnonzero((models[t - 1].cells[g] >= 0) & (models[t].cells[h] >= 0)).tolist():
                earlier = one(int(models[t - 1].cells[g, p]) + begins[t - 1], 0)
                columns.below(earlier, one(int(models[t].cells[h, p]) + begins[t], 0))


def _moved(cells: Int64, begin: int) -> Int64:
    found: Int64 = np.where(cells >= 0, cells + begin, -1)
    return found


def _at(scope: PostedScope, begin: int) -> PostedScope:
    return replace(scope, on=scope.on + begin, hosts=_moved(scope.hosts, begin))
