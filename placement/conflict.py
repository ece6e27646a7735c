"""Why not all requests can be placed: a smallest set of facts that cannot be true together.

A fact is something a person could change: a pool's room of one resource, a policy, a constraint, how many
requests of a kind there are. Each fact of a conflict is needed: without any one of them, the others can be kept.
The linear program's prices say which facts may be in it; what is then left out is tried, one fact after another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from catalog.base import Value
from catalog.units import amount_of
from catalog.wording import counted
from placement import constraints
from placement.arrays import Bool, Int64
from placement.budget import Budget
from placement.constraint import Constraint
from placement.constraints.allowed import Allowed
from placement.constraints.capacity import Capacity
from placement.constraints.preemption import Preemption
from placement.explain import name_of
from placement.matrix import Expression, Matrix
from placement.model import Model
from placement.plan import Limits
from placement.problem import PlacementProblem
from placement.relaxation import Float64, Solver, program_of
from placement.solvers import exact

_ALMOST = 1e-6
_TRIES = 0.02
"""The part of the limits that one trial may take."""
_LIMITS = Limits()


class Fact(Value):
    """One thing that would have to be otherwise. `subject` names it as the problem does."""

    kind: str
    """``room``, ``policy``, ``requests``, or the name of a constraint."""
    subject: str
    words: str


class Conflict(Value):
    """Facts that cannot all be true; `minimal` where each was proven to be needed within the limits."""

    facts: tuple[Fact, ...]
    minimal: bool


def conflict(problem: PlacementProblem, limits: Limits = _LIMITS) -> Conflict | None:
    """A smallest conflict between the requests of a problem and all else; None where none was found.

    Smallest means that no fact of it can be left out, not that there is no other with fewer facts.
    """
    told_apart = replace(problem, constraints=(*problem.constraints, _ToldApart()))
    facts = _Facts(told_apart, Budget.of(limits), limits)
    whole = facts.every()
    core = facts.priced() or whole
    if not facts.impossible(core):
        core = whole
        if not facts.impossible(core):
            return None
    needed = _reduced(sorted(core), facts.impossible)
    counts = facts.fewest(needed)
    return Conflict(facts=tuple(facts.told(one, counts) for one in needed), minimal=not facts.doubted)


class _ToldApart(Constraint):
    """Keeps nothing; requests that different policies refuse are different kinds here, though not to a solver."""

    def labels(self, problem: PlacementProblem) -> Int64:
        """[R, P] which policies refuse a request where, numbered in the order in which requests and pools stand."""
        known: dict[tuple[str, ...], int] = {(): 0}
        said = np.zeros((len(problem.request_ids), len(problem.pool_ids)), dtype=np.int64)
        for pair, why in problem.rejections.items():
            said[pair] = known.setdefault(tuple(sorted(r.rule_id for r in why)), len(known))
        _, first, at = np.unique(said, return_index=True, return_inverse=True)
        number = np.argsort(np.argsort(first))  # Not by how a mapping happens to be ordered.
        return number[at].reshape(said.shape)


def _reduced(facts: Sequence[int], impossible: Callable[[frozenset[int]], bool]) -> list[int]:
    """Leave out ever smaller parts while what stays is impossible; in the end, every single fact was tried."""
    kept = list(facts)
    size = max(1, len(kept) // 2)
    while True:
        at = 0
        while at < len(kept):
            rest = kept[:at] + kept[at + size :]
            if impossible(frozenset(rest)):
                kept = rest
            else:
                at += size
        if size == 1:
            return kept
        size = max(1, size // 4)


@dataclass
class _Facts:
    """A problem's matrix with each row and each forbidden cell under the fact that it comes from."""

    problem: PlacementProblem
    budget: Budget
    limits: Limits
    doubted: bool = False
    """Whether a trial ran out of its limits, so that a fact may stand there without need."""
    names: list[tuple[str, int]] = field(default_factory=list)
    """(kind, number) of each fact; requests first: fact g is class g."""
    positions: dict[tuple[str, int], int] = field(default_factory=dict)
    """Where each name stands."""
    forbids: dict[int, Bool] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Post constraint by constraint, and remember whose rows are whose."""
        self.model = Model(self.problem, apart=True)
        self.names = [("requests", g) for g in range(len(self.model.classes.count))]
        self.positions = {name: fact for fact, name in enumerate(self.names)}
        self.policies = _policies(self.problem, self.model)
        owner = [np.arange(len(self.names), dtype=np.int64)]
        for n, one in enumerate(constraints.of(self.problem)):
            if not isinstance(one, Preemption):  # Facts about requests say who must have a place.
                owner.append(self._posted(n, one))
        self.row_fact = np.concatenate(owner)
        self.matrix: Matrix = self.model.matrix()
        extra = len(self.matrix.row_lower) - len(self.row_fact)
        self.row_fact = np.append(self.row_fact, np.full(extra, -1, dtype=np.int64))

    def _posted(self, n: int, one: Constraint) -> Int64:
        """Post one constraint; the fact of each of its rows."""
        before, alone = self.model.row_count, Model(self.problem, self.model.classes, apart=True)
        one.post(self.model)
        about = self.model.abouts()[before:]
        kind = "room" if isinstance(one, Capacity) else name_of(one)
        facts = {int(a): self._fact((kind, int(a) if kind == "room" else n)) for a in np.unique(about)}
        if isinstance(one, Allowed):
            for rule, cells in self.policies.items():
                self.forbids[self._fact(("policy", list(self.policies).index(rule)))] = cells
        else:
            one.post(alone)
            if alone.forbidden.any():
                fact = facts.get(0) if facts and kind != "room" else self._fact((kind, n))
                self.forbids[self._fact((kind, n)) if fact is None else fact] = alone.forbidden
        return np.array([facts[int(a)] for a in about], dtype=np.int64)

    def _fact(self, name: tuple[str, int]) -> int:
        if name not in self.positions:
            self.positions[name] = len(self.names)
            self.names.append(name)
        return self.positions[name]

    def every(self) -> frozenset[int]:
        """All facts."""
        return frozenset(range(len(self.names)))

    def impossible(self, facts: frozenset[int], counts: dict[int, int] | None = None) -> bool:
        """Whether it is proven that the requests of these facts cannot all be placed with the other facts."""
        matrix = self._kept(facts, counts or {})
        if (matrix.row_lower > matrix.row_upper).any():
            return True
        if not len(matrix.row_lower):
            return False
        none = Expression(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))
        trial = Budget(
            self.budget.seed,
            self.limits.deterministic_time * _TRIES,
            max(0.0, self.budget.time_limit_s),
        )
        if self.budget.spent:
            self.doubted = True
            return False
        try:
            found = exact.feasible(matrix, none, trial)
        except exact.Infeasible:
            return True
        finally:
            self.budget.spend(
                self.limits.deterministic_time * _TRIES - trial.deterministic_time,
                max(0.0, self.budget.time_limit_s) - trial.time_limit_s,
            )
        self.doubted = self.doubted or not found
        return False

    def priced(self) -> frozenset[int] | None:
        """The facts that the linear program pays for; None where it can place all, in parts."""
        model = self.model
        g, v = model.shape
        rows = np.ones(len(self.matrix.row_lower), dtype=np.bool_)
        part, rows = _part(self.matrix, rows, self.matrix.upper, self.matrix.row_lower)
        cells = int((self.matrix.upper[: g * v] > 0).sum())
        seats = Expression(np.arange(cells, dtype=np.int64), np.full(cells, -1, dtype=np.int64))
        relaxed = Solver(program_of(part, seats)).solve(max(0.1, self.budget.time_limit_s), 10**6)
        if relaxed is None or relaxed.objective <= -float(model.classes.count.sum()) + _ALMOST:
            return None
        return self._paid(relaxed.prices, rows)

    def _paid(self, some: Float64, rows: Bool) -> frozenset[int]:
        """What the prices of `rows` say must be in it, and one fact for each cell that would pay were it not forbidden."""
        matrix, (g, v) = self.matrix, self.model.shape
        prices = np.zeros(len(rows))
        prices[rows] = some
        held = prices[:g] > -1 + _ALMOST
        facts = {int(f) for f in self.row_fact[g:][np.abs(prices[g:]) > _ALMOST] if f >= 0}
        row = np.repeat(np.arange(len(rows)), np.diff(matrix.start))
        reduced = np.zeros(len(matrix.lower))
        np.subtract.at(reduced, matrix.column, prices[row] * matrix.coefficient)
        wanted = ((reduced[: g * v].reshape(g, v) - 1) < -_ALMOST) & held[:, None] & self.model.forbidden
        for fact, cells in self.forbids.items():
            if (wanted & cells).any():
                facts.add(fact)
                wanted &= ~cells
        return frozenset(facts | {int(one) for one in np.flatnonzero(held)})

    def _kept(self, facts: frozenset[int], counts: dict[int, int]) -> Matrix:
        """The matrix in which just these facts hold, for the classes whose requests are among them."""
        matrix, (g, v) = self.matrix, self.model.shape
        holds = np.zeros(len(self.names) + 1, dtype=np.bool_)
        holds[[*facts, -1]] = True  # Rows of no fact (-1) always hold.
        classes = holds[:g]
        count = self.model.classes.count.copy()
        for fact, n in counts.items():
            count[fact] = n
        upper = np.where(classes, count, 0)[:, None].repeat(v, axis=1)
        for fact, cells in self.forbids.items():
            if fact in facts:
                upper[cells] = 0
        there = holds[self.row_fact]
        columns = np.append(upper.reshape(-1), matrix.upper[g * v :])
        lower = matrix.row_lower.copy()
        lower[:g] = np.where(classes, count, 0)
        return _part(matrix, there, columns, lower)[0]

    def fewest(self, facts: Sequence[int]) -> dict[int, int]:
        """How few of each class's requests are already too many, one class after the other."""
        counts: dict[int, int] = {}
        for fact in facts:
            if self.names[fact][0] != "requests":
                continue
            low, high = 1, int(self.model.classes.count[fact])
            while low < high:
                middle = (low + high) // 2
                if self.impossible(frozenset(facts), {**counts, fact: middle}):
                    high = middle
                else:
                    low = middle + 1
            counts[fact] = high
        return counts

    def told(self, fact: int, counts: dict[int, int]) -> Fact:
        """A fact in the user's words."""
        kind, number = self.names[fact]
        problem = self.problem
        if kind == "requests":
            return self._requests(number, counts[fact])
        if kind == "room":
            pool, k = divmod(number, len(problem.resource_classes))
            return _room(problem, pool, k)
        if kind == "policy":
            rule = list(self.policies)[number]
            return Fact(kind="policy", subject=rule, words=f"policy '{rule}' must be kept")
        return _constraint(problem, number)

    def _requests(self, g: int, count: int) -> Fact:
        problem, all_ = self.problem, np.flatnonzero(self.model.classes.of == g)
        first = problem.request_ids[int(all_[0])]
        size = ", ".join(
            amount_of(name, n)
            for name, n in zip(problem.resource_classes, problem.demand[all_[0]].tolist(), strict=True)
            if n
        )
        part = f"all {count}" if count == len(all_) else f"{count} of the {len(all_)}"
        what = first if len(all_) == 1 else f"{part} requests like {first}"
        return Fact(kind="requests", subject=first, words=f"{what} ({size or 'nothing'}) must be placed")


def _part(matrix: Matrix, rows: Bool, upper: Int64, row_lower: Int64) -> tuple[Matrix, Bool]:
    """Some rows with the columns that may be above 0; and which rows stayed, since empty ones that hold do not."""
    alive = (upper > 0) | (matrix.lower != 0)
    row = np.repeat(np.arange(len(matrix.row_lower)), np.diff(matrix.start))
    entries = rows[row] & alive[matrix.column]
    number = np.cumsum(alive) - 1
    kept = np.flatnonzero(rows)
    sizes = np.bincount(row[entries], minlength=len(rows))[kept]
    lower, high = row_lower[kept], matrix.row_upper[kept]
    some = (sizes > 0) | (lower > 0) | (high < 0)
    stayed = np.zeros(len(rows), dtype=np.bool_)
    stayed[kept[some]] = True
    part = Matrix(
        lower=np.minimum(matrix.lower[alive], upper[alive]),
        upper=upper[alive],
        start=np.concatenate([[0], np.cumsum(sizes[some])]).astype(np.int64),
        column=number[matrix.column[entries]],
        coefficient=matrix.coefficient[entries],
        row_lower=lower[some],
        row_upper=high[some],
        terms={},
    )
    return part, stayed


def _policies(problem: PlacementProblem, model: Model) -> dict[str, Bool]:
    """[G, V] by policy: the cells that it refuses."""
    found: dict[str, list[tuple[int, int]]] = {}
    pools = range(len(problem.pool_ids))
    for g, request in enumerate(model.classes.one.tolist()):
        for pool in pools:
            for rejection in problem.rejections.get((request, pool), ()):
                found.setdefault(rejection.rule_id, []).append((g, pool))
    return {rule: _in_pools(problem, model, np.array(pairs).T) for rule, pairs in found.items()}


def _in_pools(problem: PlacementProblem, model: Model, pairs: Int64) -> Bool:
    """[G, V] the cells of these classes and pools [2, n]."""
    refused = np.zeros((model.shape[0], len(problem.pool_ids)), dtype=np.bool_)
    refused[pairs[0], pairs[1]] = True
    cells: Bool = refused[:, problem.providers.pool_of]
    return cells


def _room(problem: PlacementProblem, pool: int, k: int) -> Fact:
    resource_class, name = problem.resource_classes[k], problem.pool_ids[pool]
    free, where = int(problem.free[pool, k]), ""
    if problem.hosts is not None and problem.providers.own[k]:
        inside = problem.providers.free[problem.providers.pool_of == pool, k]
        free, where = (
            min(free, int(inside.sum())),
            f" on {counted(len(inside), 'host')}, at most {int(inside.max(initial=0)):,}",
        )
        where += " on one" if len(inside) else ""
    return Fact(
        kind="room",
        subject=f"{name}.{resource_class}",
        words=f"{name} has {amount_of(resource_class, free)} free{where}",
    )


def _constraint(problem: PlacementProblem, n: int) -> Fact:
    one = constraints.of(problem)[n]
    name = name_of(one)
    written = n - (len(constraints.of(problem)) - len(problem.constraints))
    subject = f"constraints[{written}]" if written >= 0 else name
    return Fact(kind=name, subject=subject, words=one.fact(problem))
