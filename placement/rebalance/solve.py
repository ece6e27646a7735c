"""Rebalance an estate: two chains of annealing that share their best, then parts of it solved exactly.

Both chains run at the same time where whoever calls gives them threads to run in: compiled loops and CP-SAT hold
no lock of the interpreter. What comes out after a number of moves does not depend on how many cores run.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from placement.arrays import Int64
from placement.problem import InvalidProblem
from placement.rebalance.bound import lower_bound
from placement.rebalance.chain import BLOCK, Chain, Manner, typical_change
from placement.rebalance.check import breaches, terms
from placement.rebalance.descent import Descent
from placement.rebalance.exact import Answer, improve
from placement.rebalance.parts import MOST, Part, Sizes, choose, independent
from placement.rebalance.reassignment import Reassignment
from placement.rebalance.tables import State, Tables, state_of, tables_of

Run = Callable[[Callable[[Any], Any], Sequence[Any]], Iterable[Any]]
"""Applies a function to each of a sequence, in order, as `map` does; perhaps in threads."""
Listener = Callable[["Step"], None]

_CHAINS = 2
_MANNERS = (
    Manner(stay=6.0),
    Manner(hot=0.5, stay=1.5, mix=(0.2, 0.05, 0.65, 0.1)),
    Manner(stay=1.5),
    Manner(mix=(0.5, 0.01, 0.25, 0.24)),
    Manner(hot=2.0, stay=5.0),
    Manner(hot=0.5, stay=0.5, mix=(0.2, 0.05, 0.65, 0.1)),
    Manner(hot=2.0, stay=0.5),
    Manner(stay=0.5, mix=(0.37, 0.07, 0.37, 0.19)),
)
"""Each is best for some estate: all are tried briefly, and the best go on.

What being away counts matters most: without it chance scatters processes over all machines, and what is used twice
fills these up; where machines hold few processes it only hinders.
"""
_SOFT = Manner(hot=0.06, mix=(0.5, 0.01, 0.25, 0.24), soft=True)
_SOFT_FIRST = Manner(hot=0.06, mix=(0.2, 0.05, 0.65, 0.1), passing=0.75, soft=True)
_LONG = Manner(hot=0.05, mix=(0.7, 0.1, 0.1, 0.1), replacing=0.8)
"""For both chains, where processes could come to few machines: first the one, some beside one another, then the other from the best.

For the very largest there are two or three machines, and several others must leave one of these before: where nobody may
lack room that happens once in some minutes, and all else depends on it. The second begins where these stay.
"""
_SOFT_FIRST_BESIDE = 6
_SOFT_FIRST_ENDS, _LONG_ENDS = 0.46, 0.94
"""When each of them ends; exact parts have the rest."""
_LONG_COLDEST = 4e-3
"""How far the second cools: to where the other searches do."""
_FEW = 1 / 3
"""Few machines are less than such a part of all."""
_PASSING = Manner(hot=0.5, mix=(0.2, 0.05, 0.65, 0.1), passing=0.5)
_SOFT_PASSING = Manner(hot=0.06, mix=(0.2, 0.05, 0.65, 0.1), passing=0.5, soft=True)
"""Join those that are left after the first round where there is time: they show only in longer runs what they are worth.

Places are passed on where something is used twice: elsewhere an exchange of two does as well.
"""
_CALM = (Manner(hot=0.1, stay=2.5), Manner(hot=0.1, stay=12.0))
"""One for each chain, where load is soon as even as can be: what is left is how few must move for it.

Begun cooler, few leave their machines at all; begun hot, they are scattered, and never all come home. How much being
away should count shows only at the end of long runs, so neither is ranked.
"""
_EVEN, _MANY = 0.01, 25
"""Load is even where machines hold more than so many processes and the first round has closed all but so much of the gap to the bound."""
_CALMED_FIRST, _CALMED, _CALM_COOL = 0.2, 0.88, 0.93
"""When the short and the long runs of these chains end, and the second annealing after them; exact parts have the rest."""
_HOPEFUL = 0.0005
"""The soft manner has a part in the last round, whatever it came to before, where the best is so far above the bound."""
_SOFT_AGAIN = 2
"""It begins so often there: what it ends with differs by a tenth, and hardly falls with its length."""
_AGAIN = 0.008
"""Where the chains begin once more from the best, in parts of the first temperature."""
_COLDEST = (4e-4, 1e-6)
"""How far each annealing cools: the first ends where only small processes move, the second where none is worth it."""
_ROUNDS = (0.08, 0.18, 0.72)
_ROUNDS_BESIDE = (0.08, 0.30, 0.78)
"""When each round ends, in parts of the effort: all manners, then the best, then the very best. A long run ranks better than a short one.

Where there is time for chains beside one another, there is time for longer rounds, and less to gain after them.
"""
_SWEEPS = 150
"""A chain of the last round has time to try each process on each machine about so often; it has no others beside it where that would be less."""
_MOST = 8
_COOL = 0.94
_COOL_BESIDE = 0.84
"""When the second annealing ends; exact parts have the rest."""
_PARTS = 6
"""At a time: more than threads, so that none waits long for the others."""
_VARIABLES_PER_S = 2000
"""A model of everything may be so large for each second of the effort: laying it out takes 0.05 ms for each."""
_EVERYTHING, _EVERYTHING_S = 0.05, 5.0
"""What it may take at most to solve everything at once: such a part of the effort, and so many seconds."""
_MOVES_PER_S = 4_000_000
"""Moves that count as one deterministic second of CP-SAT."""


@dataclass(frozen=True)
class Effort:
    """What a search may spend: moves of each chain, seconds as the clock tells them, or what of both ends first."""

    seed: int = 0
    moves: int | None = None
    """Of each of the two chains; the same number, seed and problem give the same answer on any machine."""
    time_limit_s: float | None = None
    clock: Callable[[], float] | None = None
    """Needed where there is a time limit."""
    run: Run = map
    """With `map` itself chains go on in turn; a time limit is then shared between them."""

    def __post_init__(self) -> None:
        """Refuse what would never end."""
        assert self.moves is not None or (self.time_limit_s is not None and self.clock is not None), self


@dataclass(frozen=True)
class Step:
    """Something better, on the way."""

    stage: str
    objective: int
    bound: int


@dataclass(frozen=True, eq=False)
class Rebalanced:
    """Where processes should be; checked, and what it costs counted, apart from the search."""

    machine: Int64
    terms: Mapping[str, int]
    bound: int
    """No assignment costs less."""
    initial: int
    """What the estate costs as it is."""
    moved: int
    tried: tuple[int, ...] = field(default=())
    """Moves tried, by chain."""

    @property
    def objective(self) -> int:
        """The sum of the terms."""
        return sum(self.terms.values())

    @property
    def gap(self) -> float:
        """(objective - bound) / objective; 0.0 is proven least."""
        return (self.objective - self.bound) / self.objective if self.objective else 0.0


def rebalance(problem: Reassignment, effort: Effort, tell: Listener | None = None) -> Rebalanced:
    """A cheaper assignment, or the present one where none is found.

    Raises InvalidProblem where the present one breaks a rule: moves are counted from one that does not.
    """
    if broken := breaches(problem, problem.initial):
        msg = f"initial: {broken[0]} ({len(broken)} such); an estate is rebalanced from a state that keeps every rule"
        raise InvalidProblem(msg)
    search = _Search(problem, effort, tell)
    if problem.processes and problem.machines > 1:
        search.run()
    found = breaches(problem, search.best)
    assert not found, found
    counted = terms(problem, search.best)
    assert sum(counted.values()) == search.objective, (counted, search.objective)
    return Rebalanced(
        machine=search.best,
        terms=counted,
        bound=search.bound,
        initial=search.initial,
        moved=int((search.best != problem.initial).sum()),
        tried=tuple(search.tried),
    )


def _calmer(manner: Manner) -> Manner:
    """The same, but for what being away counts: the longer a run, the less it needs that."""
    return replace(manner, stay=manner.stay / 2)


def _ranked(found: Mapping[Manner, int], before: Sequence[Manner]) -> list[Manner]:
    """Manners by what they came to, then those that had no time, as they were before."""
    return sorted(found, key=lambda manner: found[manner]) + [one for one in before if one not in found]


def _dealt(manners: Sequence[Manner]) -> list[Sequence[Manner]]:
    """A queue for each chain."""
    return [manners[n::_CHAINS] for n in range(_CHAINS)]


class _Search:
    """One search: the best so far, and what was spent."""

    def __init__(self, problem: Reassignment, effort: Effort, tell: Listener | None) -> None:
        self.problem, self.effort, self.tell = problem, effort, tell
        self.begin = effort.clock() if effort.clock else 0.0
        self.best, self.bound = problem.initial.copy(), lower_bound(problem)
        self.initial = self.objective = sum(terms(problem, problem.initial).values())
        self.tried = [0] * _CHAINS
        self.solved_s = 0.0
        self.seeds = np.random.default_rng(effort.seed)

    def run(self) -> None:
        """Manners in rounds, cool annealing from the best they found, then exact parts; the bound ends it early."""
        tables = tables_of(self.problem, self.effort.seed)
        typical = typical_change(self.problem, self.effort.seed)
        home = self.problem.initial
        found = self._anneal(tables, home, _dealt(_MANNERS), typical, _COLDEST[0], _ROUNDS[0])
        self._told("annealing")
        self._everything(tables)
        if self._even:
            self._calmly(tables, typical)
        elif self._crowded(tables) and self._beside(_LONG_ENDS) > 1:
            first, long = [(_SOFT_FIRST,)] * _CHAINS, [(_LONG,)] * _CHAINS
            self._anneal(tables, home, first, typical, _COLDEST[0], _SOFT_FIRST_ENDS, _SOFT_FIRST_BESIDE)
            self._told("annealing")
            self._anneal(tables, self.best, long, typical, _LONG_COLDEST, _LONG_ENDS)
            self._told("annealing")
        else:
            self._ranking(tables, typical, _ranked(found, _MANNERS)[: 2 * _CHAINS])
        self._everything(tables)
        self._parts(tables)

    def _calmly(self, tables: Tables, typical: float) -> None:
        """One long run for each chain, cooled in one go until no move is worth it; then both go on from the better.

        Where everything can be solved at once, that is tried after a short run: with few left to come home it ends.
        """
        queues = [(manner,) for manner in _CALM]
        for end in (_CALMED_FIRST, _CALMED) if self._small else (_CALMED,):
            found = self._anneal(tables, self.problem.initial, queues, typical, _COLDEST[1], end)
            self._told("annealing")
            self._everything(tables)
        queues = [(manner,) for manner in _ranked(found, _CALM)[:1] * _CHAINS]
        self._anneal(tables, self.best, queues, typical * _AGAIN, _COLDEST[1], _CALM_COOL)
        self._told("annealing")

    def _ranking(self, tables: Tables, typical: float, ranked: list[Manner]) -> None:
        """Rounds in which the best manners go on, then cool annealing from the best they found."""
        home = self.problem.initial
        rounds, cool = _ROUNDS, _COOL
        if self._beside(_ROUNDS[2] - _ROUNDS[0]) > 1:
            rounds, cool = _ROUNDS_BESIDE, _COOL_BESIDE
            joining = [_PASSING, _SOFT_PASSING] if self.problem.transient.any() else [_SOFT]
            ranked = [*ranked[: -len(joining)], *joining]
        found = self._anneal(tables, home, _dealt(ranked), typical, _COLDEST[0], rounds[1])
        ranked = _ranked(found, ranked)
        self._told("annealing")
        beside = self._beside(rounds[2] - rounds[1])
        queues = [(ranked[0],), self._second(ranked)]
        found = self._anneal(tables, home, queues, typical, _COLDEST[0], rounds[2], beside)
        ranked = _ranked(found, ranked)
        self._told("annealing")
        queues = [(replace(manner, soft=False),) for manner in ranked[:_CHAINS]]
        self._anneal(tables, self.best, queues, typical * _AGAIN, _COLDEST[1], cool)
        self._told("annealing")

    @property
    def _small(self) -> bool:
        """Whether everything is no more than a large part, and soon laid out."""
        variables = self.problem.processes * self.problem.machines
        return variables <= min(MOST, _VARIABLES_PER_S * self._effort_s())

    @property
    def _even(self) -> bool:
        """Whether load is no question any more."""
        many = self.problem.processes > _MANY * self.problem.machines
        return many and self.objective - self.bound < _EVEN * (self.initial - self.bound)

    def _crowded(self, tables: Tables) -> bool:
        """Whether processes could ever come to few of the machines, and what they use there is used twice."""
        few = self.problem.processes * self.problem.machines * _FEW
        return 0 < len(tables.reach) < few and bool(self.problem.transient.any())

    def _second(self, ranked: Sequence[Manner]) -> Sequence[Manner]:
        """The manners of the second chain in the last round; the best has the first."""
        soft = [manner for manner in ranked if manner.soft]
        if soft and not ranked[0].soft and self.objective - self.bound > _HOPEFUL * self.objective:
            return soft * _SOFT_AGAIN
        return (_calmer(ranked[0]),)

    def done(self, moves: int) -> float:
        """What part of the effort is spent: of moves, or of time."""
        parts = [0.0]
        if self.effort.moves is not None:
            parts.append((moves + self.solved_s * _MOVES_PER_S) / max(1, self.effort.moves))
        if self.effort.time_limit_s is not None and self.effort.clock is not None:
            parts.append((self.effort.clock() - self.begin) / self.effort.time_limit_s)
        return max(parts)

    def _done_after(self, before: int, tried: int) -> float:
        return self.done(before + tried)

    def _anneal(
        self, tables: Tables, start: Int64, queues: Sequence[Sequence[Manner]], typical: float,
        coldest: float, end: float, beside: int = 1,
    ) -> dict[Manner, int]:  # fmt: skip
        """The manners of each queue after one another, each from the same start; what each came to."""
        begin = self.done(max(self.tried))
        if begin >= end or self.objective <= self.bound:
            return {}
        before, length = tuple(self.tried), self._block(tables)
        seeds = [[self.seeds.integers(2**31, size=beside).tolist() for _ in queue] for queue in queues]
        # Else the first would use up all the time.
        in_turn = self.effort.run is map and self.effort.moves is None
        part = (end - begin) / (len(queues) if in_turn else 1)

        def one(n: int) -> tuple[list[tuple[Manner, Int64, int]], int]:
            ended, moves = [], before[n]
            opens = begin + (n * part if in_turn else 0.0)
            for at, (manner, some) in enumerate(zip(queues[n], seeds[n], strict=True)):
                last = opens + part * (at + 1) / len(queues[n])
                if (first := self.done(moves)) >= last:
                    continue
                chains = [Chain(tables, start, seed, manner) for seed in some]
                descent = Descent(chains, typical, coldest, length)
                descent.run(first, last, partial(self._done_after, moves))
                moves += descent.moves
                ended += [(manner, c.state.machine, c.objective) for c in descent.chains if not c.lacks]
            return ended, moves - before[n]

        found: dict[Manner, int] = {}
        for n, (ended, moves) in enumerate(list(self.effort.run(one, range(len(queues))))):
            self.tried[n] += moves
            for manner, machine, objective in ended:
                found[manner] = min(objective, found.get(manner, objective))
                self._take(machine, objective)
        return found

    def _beside(self, part: float) -> int:
        """How many chains begin beside one another in a part of the effort, by the moves that there will be in it."""
        begin = self.done(max(self.tried))
        moves = max(self.tried) / begin * part if begin > 0 else 0.0
        each = _SWEEPS * self.problem.processes * self.problem.machines
        return int(np.clip(moves / each, 1, _MOST))

    def _block(self, tables: Tables) -> int:
        """Moves at one temperature; fewer where there are few in all."""
        return BLOCK if self.effort.moves is None else max(100, min(BLOCK, self.effort.moves // 500))

    def _take(self, machine: Int64, objective: int) -> bool:
        if objective >= self.objective:
            return False
        self.best, self.objective = machine.copy(), objective
        return True

    def _told(self, stage: str) -> None:
        if self.tell:
            self.tell(Step(stage, self.objective, self.bound))

    def _everything(self, tables: Tables) -> None:
        """All at once, where it is small: then nothing may be left to search for."""
        if not self._small or self.objective <= self.bound:
            return
        machines, processes = np.arange(self.problem.machines), np.arange(self.problem.processes)
        part = Part(machines, processes, True, int(self.seeds.integers(2**31)))
        seconds = min(_EVERYTHING_S, _EVERYTHING * self._effort_s())
        state = state_of(tables, self.best, 1)
        answer = improve(self.problem, tables, state, part, self._left_s(), seconds)
        self.solved_s += answer.took
        self._settle(state, part, answer, [])

    def _parts(self, tables: Tables) -> None:
        """Some parts at a time, larger ones while they are solved with ease."""
        sizes, state, found = Sizes(), state_of(tables, self.best, 1), False
        while self.done(max(self.tried)) < 1.0 and self.objective > self.bound:
            if found:
                state = state_of(tables, self.best, 1)
            seed = int(self.seeds.integers(2**31))
            parts = choose(self.problem, state, seed, _PARTS, sizes.variables)

            def one(part: Part, state: State = state) -> Answer | None:
                late = self.done(max(self.tried)) >= 1.0
                return None if late else improve(self.problem, tables, state, part, self._left_s())

            changes: list[Int64] = []
            for part, answer in zip(parts, list(self.effort.run(one, parts)), strict=True):
                if answer is None:
                    continue
                self.solved_s += answer.took / _CHAINS
                sizes.learn(part, proven=answer.proven, easy=answer.easy)
                self._settle(state, part, answer, changes)
            found = bool(changes)

    def _settle(self, state: State, part: Part, answer: Answer, changes: list[Int64]) -> None:
        """Take what a part came to, if it is still cheaper and allowed after the changes of others; then it is one of these."""
        if len(part.processes) == self.problem.processes and len(part.machines) == self.problem.machines:
            self.bound = max(self.bound, answer.bound)
        differs = answer.machine != state.machine[part.processes]
        if differs.any():
            change, machine = part.processes[differs], self.best.copy()
            machine[change] = answer.machine[differs]
            objective = sum(terms(self.problem, machine).values())
            fits = all(independent(self.problem, state.machine, machine, change, one) for one in changes)
            if (fits or not breaches(self.problem, machine)) and self._take(machine, objective):
                changes.append(change)
                self._told("parts")

    def _effort_s(self) -> float:
        """All that may be spent, in seconds or what counts as one."""
        moves, limit_s = self.effort.moves, self.effort.time_limit_s
        counted = float("inf") if moves is None else moves / _MOVES_PER_S
        return counted if limit_s is None else min(counted, limit_s)

    def _left_s(self) -> float:
        if self.effort.time_limit_s is None or self.effort.clock is None:
            return 60.0
        return max(0.05, self.begin + self.effort.time_limit_s - self.effort.clock())
