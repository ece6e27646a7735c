"""A running estate and what moving within it costs, as frozen columns, checked when made.

The terms, and what each counts, are those of the ROADEF/EURO challenge 2012 (machine reassignment, proposed by Google).
"""

from dataclasses import dataclass, fields

import numpy as np

from placement.arrays import Bool, Int64
from placement.problem import InvalidProblem

_LARGEST = 2.0**62
"""Costs and sums of usage stay below this, so that no sum wraps around."""


@dataclass(frozen=True, eq=False)
class Reassignment:
    """P processes of S services on M machines with R resources; B balances between two resources.

    All units are the caller's own. A moved process uses `transient` resources on both machines: its first
    one keeps them while it is moved away, and its new one needs them too.
    """

    transient: Bool
    """[R] used twice by what moves."""
    load_weight: Int64
    """[R] >= 0; what a unit of use above the safety capacity costs."""
    neighbourhood: Int64
    """[M] from 0; a service that depends on another runs only in neighbourhoods where the other runs too."""
    location: Int64
    """[M] from 0; services spread over these."""
    capacity: Int64
    """[M, R] >= 0."""
    safety: Int64
    """[M, R] >= 0; use above it costs."""
    machine_move_cost: Int64
    """[M, M] >= 0; from, to."""
    spread: Int64
    """[S] >= 0; in how many locations the service must at least be."""
    dependency: Int64
    """[D, 2] a service, and another that must be in each of its neighbourhoods."""
    service: Int64
    """[P]; no two processes of a service share a machine."""
    requirement: Int64
    """[P, R] >= 0."""
    process_move_cost: Int64
    """[P] >= 0."""
    balance: Int64
    """[B, 4] two resources, the target and the weight: free of the first, times target, should not exceed free of the second."""
    weights: Int64
    """[3] >= 0: of process moves, of the most moves of one service, of machine moves."""
    initial: Int64
    """[P] the machine where each process is."""

    def __post_init__(self) -> None:
        """Refuse wrong shapes, unknown services, machines and resources, negative values and sums over 62 bits."""
        self._check_shapes()
        machines, resources = self.capacity.shape
        services = len(self.spread)
        for name in (
            "load_weight", "neighbourhood", "location", "capacity", "safety", "machine_move_cost", "spread",
            "requirement", "process_move_cost", "balance", "weights",
        ):  # fmt: skip
            _within(name, getattr(self, name), None)
        _within("balance", self.balance[:, :2], resources)
        _within("dependency", self.dependency, services)
        _within("service", self.service, services)
        _within("initial", self.initial, machines)
        self._check_sums()
        for field in fields(self):
            getattr(self, field.name).setflags(write=False)

    def _check_shapes(self) -> None:
        for name, axes in (
            ("capacity", 2),
            ("requirement", 2),
            ("spread", 1),
            ("dependency", 2),
            ("balance", 2),
        ):
            if getattr(self, name).ndim != axes:
                _refuse(name, f"shape {getattr(self, name).shape} must have {axes} axes")
        m, r = self.capacity.shape
        p, s = len(self.requirement), len(self.spread)
        expected = {
            "transient": (r,), "load_weight": (r,), "neighbourhood": (m,), "location": (m,), "safety": (m, r),
            "machine_move_cost": (m, m), "spread": (s,), "dependency": (len(self.dependency), 2), "service": (p,),
            "requirement": (p, r), "process_move_cost": (p,), "balance": (len(self.balance), 4), "weights": (3,),
            "initial": (p,),
        }  # fmt: skip
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                _refuse(name, f"shape {getattr(self, name).shape} must be {shape}")
        if r == 0 or m == 0:
            _refuse("capacity", f"shape {(m, r)}: there must be at least one machine and one resource")

    def _check_sums(self) -> None:
        used = self.requirement.astype(np.float64).sum(axis=0)
        held = self.capacity.astype(np.float64).sum(axis=0)
        if (worst := float(np.maximum(used, held).max(initial=0.0))) >= _LARGEST:
            _refuse("requirement", f"a sum of {worst:.3g} of one resource does not fit into 62 bits")
        load = float((used * self.load_weight).sum())
        balance = sum(
            float(w) * (float(t) * float(held[a]) + float(used[b])) for a, b, t, w in self.balance
        )
        moves = float(self.weights[0]) * float(self.process_move_cost.astype(np.float64).sum())
        moves += float(len(self.service)) * (
            float(self.weights[1]) + float(self.weights[2]) * float(self.machine_move_cost.max(initial=0))
        )
        if (worst := load + balance + moves) >= _LARGEST:
            _refuse("weights", f"a cost of {worst:.3g} does not fit into 62 bits; use smaller weights")

    @property
    def processes(self) -> int:
        """How many there are."""
        return len(self.service)

    @property
    def machines(self) -> int:
        """How many there are."""
        return len(self.capacity)

    @property
    def services(self) -> int:
        """How many there are."""
        return len(self.spread)


def _within(name: str, array: Int64, end: int | None) -> None:
    """Every value is at least 0 and, where there is an end, below it."""
    wrong = np.argwhere((array < 0) if end is None else ((array < 0) | (array >= end)))
    if len(wrong):
        at = "".join(f"[{i}]" for i in wrong[0])
        rule = "must not be negative" if end is None else f"must be from 0 to {end - 1}"
        _refuse(f"{name}{at}", f"{array[tuple(wrong[0])]} {rule}")


def _refuse(path: str, rule: str) -> None:
    msg = f"{path}: {rule}"
    raise InvalidProblem(msg)
