"""The search: what is proven first, then hosts that just suffice, then parts of a plan made better.

The bounds say how many hosts of each kind may suffice; the annealing tries to fit everything into exactly
those, and then into dearer ones, in steps that double and then halve. What gap stays is CP-SAT's: the whole
where it is small, and otherwise some hosts at a time.
"""

from dataclasses import dataclass, field

import numpy as np

from placement.arrays import Int64
from placement.budget import Budget
from placement.hosts import annealing, exact, greedy
from placement.hosts.bounds import Bounds, Target
from placement.hosts.kinds import Kinds, kinds_of, switched_on
from placement.hosts.neighbours import choose
from placement.hosts.problem import UNPLACED_COST, HostProblem
from placement.hosts.result import Clock, Listener, Progress
from placement.plan import Limits

_MOVES_PER_UNIT = 4_000_000
"""Moves of the annealing that count as one second of deterministic time."""
_FITTING = 0.5
"""What part of the limits the annealing may spend when CP-SAT could follow."""
_ATTEMPTS = 12
"""So many attempts to fit should be possible within the limits, with steps between these."""
_FEWEST, _MOST = 3, 24
_MORE = (1024, 512, 256, 128, 64, 16)
"""The parts of the least cost that hosts may cost more, one after the other, until an even spread fits."""
_WHOLE = 2_500
"""Shapes x hosts up to which CP-SAT is asked for the whole problem."""
_WHOLE_SHARE = 0.6
_LOOSE = (12, 24, 40)
"""The same for the first short attempts to fit where an even spread is far from fitting."""
_FALL = 0.8
"""What may be left of the excess after each cold step, so that another is worth its time."""
_PROVING = 0.7
"""What part of the limits is left when proving by fillings ends, proven or not."""
_HOPELESS = 0.02
"""When hosts of this part of all are lacking, hosts hold few requests and only a long search helps."""
_LOADING_S = 2.0
"""With less than this left, compiled loops would be loaded only when time is over."""
_OVERHEAD = 0.01
"""Deterministic time of building a model: what presolve refutes takes none, and loops must end."""
_PART_TIME = 0.25
"""Deterministic seconds for one part."""


@dataclass
class Search:
    """One solve: the best so far, what is proven, and what may still be spent."""

    problem: HostProblem
    limits: Limits
    tell: Listener | None
    clock: Clock | None
    kinds: Kinds = field(init=False)
    budget: Budget = field(init=False)
    bounds: Bounds = field(init=False)
    host_of: Int64 = field(init=False)
    rank: tuple[int, int] = field(init=False)
    solver: str = "first-fit"
    bound: int = 0
    steps: int = _MOST
    """What one attempt to fit is given."""
    kept: float = 0.0
    """Deterministic time that the annealing leaves to CP-SAT."""
    deadline_s: float = 0.0
    """When the time limit is over, as `clock` tells it."""
    least_out: int = 0
    """Of the requests that fit some host, no fewer than this stay out."""

    def __post_init__(self) -> None:
        """Begin with first fit, since whatever stops the search there must be an answer."""
        self.deadline_s = (self.clock() if self.clock else 0.0) + self.limits.time_limit_s
        self.kinds, self.budget = kinds_of(self.problem), Budget.of(self.limits)
        self.host_of = greedy.best(self.problem, self.kinds)
        self.rank = greedy.ranked(self.problem, self.host_of)
        self.bounds = Bounds(self.kinds, self.budget)

    @property
    def objective(self) -> int:
        """Of the best so far."""
        return self.rank[0] * UNPLACED_COST + self.rank[1]

    @property
    def done(self) -> bool:
        """Whether the best is proven best, or nothing may be spent any more."""
        self._look_at_clock()
        return self.bound >= self.objective or self.budget.spent

    @property
    def _out(self) -> int:
        return self.rank[0] - self.kinds.impossible

    def run(self) -> None:
        """Everything, in order, until the limits or a proof stop it."""
        self._count()
        if self.done:
            return
        self._prove()
        possible = self.budget.deterministic_time * _FITTING * _MOVES_PER_UNIT
        one_step = annealing.moves_of_a_step(len(self.host_of))
        self.steps = int(np.clip(possible / one_step / _ATTEMPTS, _FEWEST, _MOST))
        self.kept = self.budget.deterministic_time * (1 - _FITTING)
        least = self.bounds.cheapest(self.least_out, self._floor(self.least_out))
        self._fit_loosely(least.bound)
        if not self._fit(self.least_out, least, self.steps) and not self._in_a_hurry:
            self._prove_fillings()
        if not self.done and self._out > self.least_out:
            self._place_more()
        if not self.done:
            self._pay_less()
        if not self.done and len(self.kinds.count) * len(self.kinds.kind_of) <= _WHOLE:
            self._solve_whole()
        self._improve_parts()

    def _count(self) -> None:
        """What counting proves, and an even spread over just those hosts or a few more: often that is all."""
        if self._out:
            return
        target = self.bounds.counted(0, 0)
        self._raise(self.kinds.impossible * UNPLACED_COST + target.bound)
        least = target.bound
        for part in _MORE:
            if target.counts is None or self.done:
                return
            hosts = switched_on(self.kinds, target.counts)
            fitting = self._begin(hosts, 0)
            if fitting.lacking > 1 + len(hosts) * _HOPELESS:
                return
            self._cool(fitting)
            if self._seat(fitting, hosts):
                return
            target = self.bounds.roomiest(0, least + -(-least // part))

    def _cool(self, fitting: annealing.Fitting) -> None:
        """Some moves that add next to no excess, as long as these bring the end near."""
        cold = annealing.cold(fitting)
        before = 2 * fitting.excess
        while 0 < fitting.excess < before * _FALL and not self.done:
            before = fitting.excess
            self.budget.spend(fitting.step(cold, plain=True) / _MOVES_PER_UNIT, 0.0)

    def _prove(self) -> None:
        if self._out:
            self.least_out = self.bounds.least_unplaced()
        least = self.bounds.cheapest(self.least_out, 0).bound
        self._raise((self.kinds.impossible + self.least_out) * UNPLACED_COST + least)

    def _fit_loosely(self, least: int) -> None:
        """Far better than first fit before long attempts begin, on hosts that leave some room."""
        for part in _LOOSE:
            dear = least + -(-least // part)
            if self.done or dear >= self.rank[1] or self._out > self.least_out:
                return
            if not self._fit(self.least_out, self.bounds.roomiest(self.least_out, dear), _FEWEST):
                return

    def _prove_fillings(self) -> None:
        """With a part of the limits, since what it proves is mostly little and sometimes most of the gap."""
        time, seconds = self.budget.deterministic_time * _PROVING, self.budget.time_limit_s * _PROVING

        def over() -> bool:
            spent = self.budget.deterministic_time < time or self.budget.time_limit_s < seconds
            return self.done or spent

        floor = self._floor(self.least_out)
        least = self.bounds.fill(self.host_of, self.least_out, floor, over).bound
        self._raise((self.kinds.impossible + self.least_out) * UNPLACED_COST + least)

    def _floor(self, out: int) -> int:
        """A cost that plans which leave out so many cannot be below."""
        return max(
            0, self.bound - self.least_out * UNPLACED_COST - self.kinds.impossible * UNPLACED_COST
        ) * (out == self.least_out)

    def _fit(self, out: int, target: Target, steps: int) -> bool:
        """Try to place all but `out` on the hosts that a target counts."""
        self.budget.spend(_OVERHEAD, 0.0)
        if target.counts is None:
            return False
        return self._fit_into(switched_on(self.kinds, target.counts), out, steps)

    def _fit_into(self, hosts: Int64, out: int, steps: int) -> bool:
        fitting = self._begin(hosts, out)
        for temperature in annealing.temperatures(fitting, steps):
            if not fitting.hots or self.done or self.budget.deterministic_time < self.kept:
                break
            moves = fitting.step(temperature, plain=self._in_a_hurry)
            self.budget.spend(moves / _MOVES_PER_UNIT, 0.0)
        return self._seat(fitting, hosts)

    @property
    def _in_a_hurry(self) -> bool:
        slow = self.clock is not None and not annealing.loaded()
        return slow and self.budget.time_limit_s < _LOADING_S

    def _look_at_clock(self) -> None:
        if self.clock:
            self.budget.time_limit_s = self.deadline_s - self.clock()

    def _begin(self, hosts: Int64, out: int) -> annealing.Fitting:
        requests = np.flatnonzero(self.kinds.shape_of >= 0)
        return annealing.begin(
            self.problem.demand[requests],
            self.problem.capacity[hosts],
            self.kinds.shape_of[requests],
            out,
            self.limits.seed,
        )

    def _seat(self, fitting: annealing.Fitting, hosts: Int64) -> bool:
        if fitting.hots:
            return False
        host_of = np.full(len(self.host_of), -1, dtype=np.int64)
        host_of[self.kinds.shape_of >= 0] = np.append(hosts, -1)[fitting.host_of]
        self._take(host_of, "fitting")
        return True

    def _place_more(self) -> None:
        """With every host on, leave out fewer: one more than proven, two more, four more."""
        every, step = np.arange(len(self.kinds.kind_of)), 0
        while self.least_out + step < self._out and self.budget.deterministic_time > self.kept:
            if self._fit_into(every, self.least_out + step, self.steps):
                return
            step = max(1, step * 2)

    def _pay_less(self) -> None:
        """Between the bound and the cost: steps that double until all fits, then halves of what is left."""
        out = self._out
        low, steps = self._floor(out), self.steps
        width = max(1, (self.rank[1] - low) // 16)
        while low < self.rank[1] and not self.done and self.budget.deterministic_time > self.kept:
            middle = min(low + width, self.rank[1] - 1)
            if self._fit(out, self.bounds.roomiest(out, middle), steps):
                width = max(1, (self.rank[1] - low) // 2)
            else:
                low = middle + 1
                width = min(width * 2, max(1, (self.rank[1] - low) // 2))
                if self.rank[1] - low <= 1:
                    low, steps = self._floor(out), steps * 2

    def _solve_whole(self) -> None:
        part = exact.part_of(self.kinds, self.host_of, np.arange(len(self.kinds.kind_of)))
        least = self.bound - self.kinds.impossible * UNPLACED_COST
        time = self.budget.deterministic_time * _WHOLE_SHARE
        answer = exact.improve(self.kinds, part, self.bounds.cuts, self.budget, time, least)
        if answer.counts is not None:
            self._take(exact.seated(self.kinds, self.host_of, part, answer.counts), "cp-sat")
            self._raise(answer.bound + self.kinds.impossible * UNPLACED_COST)

    def _improve_parts(self) -> None:
        chance = np.random.default_rng([self.limits.seed, len(self.host_of)])
        while not self.done:
            hosts = choose(self.kinds, self.problem, self.host_of, chance)
            part = exact.part_of(self.kinds, self.host_of, hosts)
            answer = exact.improve(self.kinds, part, [], self.budget, _PART_TIME, None)
            self.budget.spend(_OVERHEAD, 0.0)
            if answer.counts is not None:
                self._take(exact.seated(self.kinds, self.host_of, part, answer.counts), "cp-sat parts")

    def _take(self, host_of: Int64, solver: str) -> None:
        rank = greedy.ranked(self.problem, host_of)
        if rank < self.rank:
            self.host_of, self.rank, self.solver = host_of, rank, solver
            self._report()

    def _raise(self, bound: int) -> None:
        if bound > self.bound:
            self.bound = min(bound, self.objective)
            self._report()

    def _report(self) -> None:
        if self.tell:
            self.tell(Progress(self.solver, self.objective, self.bound))
