"""Branch and bound over what crowds decide: openings and licences first, then hosts, always where least is proven.

Each leaf is the crowds' linear program with some columns held; its prices prove what plans cost that keep what the
leaf holds (`placement.planning.bound`), and the least over all leaves is proven of every plan.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from placement.arrays import Int64
from placement.planning.linear import Linear
from placement.planning.mip import Float64, Infeasible
from placement.planning.model import Model

Held = tuple[tuple[int, int, int], ...]
"""(column, from, to): what a leaf holds, beyond what holds anyway."""
_NEARLY = 1e-4
"""What is nearer to a whole number than this is one."""
_PLANS_EVERY = 6
"""Leaves between two plans that are made from the best of them."""
_CLOSE = 1e-4
"""A leaf that is nearer to the best plan than this share of it is not looked into."""


@dataclass(order=True)
class Leaf:
    """Some columns held, and what the linear program says then."""

    value: float
    """Micros, of crowds."""
    number: int
    held: Held = field(compare=False)
    values: Float64 = field(compare=False)
    prices: Float64 = field(compare=False)
    added: Float64 = field(compare=False)


class Branching:
    """The search. `plan` makes a plan from a leaf, with the linear program at hand, and says what it costs."""

    def __init__(self, model: Model, linear: Linear, seconds: float, plan: Callable[[Held], int]) -> None:
        self.model, self.linear, self.seconds, self.plan = model, linear, seconds, plan
        self.hosts = _hosts(model)
        self.best = 0
        """What the best plan costs."""
        self._number = 0
        self._root = {column: linear.bounds(column) for column in self._columns().tolist()}

    def _columns(self) -> Int64:
        return np.concatenate([self.model.switches, self.hosts, self.model.unplaced])

    def search(self, nodes: int) -> list[Leaf]:
        """All leaves after so many have been looked into; the first plan is made from the root."""
        waiting = [self._leaf(())]
        done: list[Leaf] = []
        self.best = self._planned(())
        for n in range(1, nodes + 1):
            if not waiting or waiting[0].value >= self.best * (1 - _CLOSE):
                break
            leaf = heapq.heappop(waiting)
            branch = self._branch(leaf)
            if branch is None:
                done.append(leaf)
                self.best = min(self.best, self._planned(leaf.held))
                continue
            try:
                children = [self._solved((*leaf.held, held)) for held in branch]
            except TimeoutError:  # What is proven of the leaf stays proven.
                done.append(leaf)
                break
            for child in children:
                if child is not None:
                    heapq.heappush(waiting, child)
            if n % _PLANS_EVERY == 0 and waiting:
                self.best = min(self.best, self._planned(waiting[0].held))
        return [*waiting, *done]

    def _branch(self, leaf: Leaf) -> tuple[tuple[int, int, int], tuple[int, int, int]] | None:
        """The two ways for the column that is furthest from whole; None where all are whole."""
        for columns in (self.model.switches, self.hosts):
            parts = leaf.values[columns]
            doubt = np.abs(parts - np.rint(parts))
            if len(columns) and float(doubt.max()) > _NEARLY:
                at = int(np.argmax(doubt))
                column, whole = int(columns[at]), int(np.floor(parts[at]))
                low, high = self._range(leaf.held, column)
                return (column, whole + 1, high), (column, low, whole)
        return None

    def _range(self, held: Held, column: int) -> tuple[int, int]:
        low, high = self._root[column]
        for one, a, b in held:
            if one == column:
                low, high = a, b
        return low, high

    def _hold(self, held: Held) -> None:
        for column, (low, high) in self._root.items():
            self.linear.hold(column, low, high)
        for column, low, high in held:
            self.linear.hold(column, low, high)

    def _solved(self, held: Held) -> Leaf | None:
        """None where nothing keeps what is held. Raises TimeoutError."""
        self._hold(held)
        try:
            answered = self.linear.solve(self.seconds)
        except Infeasible:
            return None
        if not answered:
            msg = "a linear program of planning ended without an answer; give it more time_limit_s"
            raise TimeoutError(msg)
        return self._leaf(held)

    def _leaf(self, held: Held) -> Leaf:
        linear = self.linear
        self._number += 1
        return Leaf(linear.objective, self._number, held, linear.values, linear.prices, linear.added_prices)

    def _planned(self, held: Held) -> int:
        """A plan from a leaf. What it holds beyond that is let go by the next leaf."""
        self._solved(held)
        return self.plan(held)


def _hosts(model: Model) -> Int64:
    """Those of pools, then those that rules hold products on."""
    parts = [scope.hosts[scope.hosts >= 0] for scope in model.scopes]
    return np.unique(np.concatenate([model.hosts, *parts]))
