"""Branch and bound over what crowds decide: openings, licences and hosts, always where least is proven.

Each leaf is the crowds' linear program with some columns held; its prices prove what plans cost that keep what the
leaf holds (`placement.planning.bound`), and the least over all leaves is proven of every plan.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np

from placement.arrays import Int64
from placement.planning.linear import Linear
from placement.planning.mip import Float64, Infeasible
from placement.planning.model import Model

Branch = tuple[int, int, int]
Held = tuple[Branch, ...]
"""(column, from, to): what a leaf holds, beyond what holds anyway."""
_NEARLY = 1e-4
"""What is nearer to a whole number than this is one."""
_PLANS_EVERY = 12
"""Leaves between two plans that are made from the best of them."""
_LOOKS = 8
"""Columns that are tried at one leaf before one of them is chosen, where nothing is known of them yet."""
_WORTH_LOOKS = 30
"""Linear programs for each such column; where there are fewer, they are spent on leaves."""
_LITTLE = 1.0
"""Micros: what a way counts as dearer by at least."""
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
        self.columns = np.unique(model.decisions)
        self._at = {column: at for at, column in enumerate(self.columns.tolist())}
        self._tried, self._total = np.zeros((len(self.columns), 2)), np.zeros((len(self.columns), 2))
        """[D, 2] how often a column went down and up, and how much dearer that was in all."""
        self.best = 0
        """What the best plan costs."""
        self.full: list[Leaf] = []
        """Leaves with no plan that leaves out as few as was held at first; with the prices of those that they are parts of."""
        self._number = self._programs = self._looks = 0
        self._root = {column: linear.bounds(column) for column in self._columns().tolist()}

    def _columns(self) -> Int64:
        return np.concatenate([self.columns, self.model.unplaced])

    def search(self, programs: int) -> list[Leaf]:
        """All leaves after so many linear programs, those of plans aside; the first plan is made from the root."""
        self._looks = min(_LOOKS, programs // _WORTH_LOOKS)
        waiting = [self._leaf(())]
        done: list[Leaf] = []
        self.best = self._planned(())
        for n in count(1):
            if not waiting or waiting[0].value >= self.best * (1 - _CLOSE) or self._programs >= programs:
                break
            leaf = heapq.heappop(waiting)
            try:
                branch = self._branch(leaf)
                if branch is None:
                    done.append(leaf)
                    self.best = min(self.best, self._planned(leaf.held))
                    continue
                children = [self._solved((*leaf.held, held)) for held in branch]
            except TimeoutError:  # What is proven of the leaf stays proven.
                done.append(leaf)
                break
            for way, child in zip(branch, children, strict=True):
                self._learn(leaf, way, child)
                if child is None:
                    self.full.append(replace(leaf, held=(*leaf.held, way)))
                else:
                    heapq.heappush(waiting, child)
            if n % _PLANS_EVERY == 0 and waiting:
                deepest = min(waiting, key=lambda one: (-len(one.held), one))
                for one in dict.fromkeys((waiting[0].held, deepest.held)):
                    self.best = min(self.best, self._planned(one))
        return [*waiting, *done]

    def _branch(self, leaf: Leaf) -> tuple[Branch, Branch] | None:
        """The two ways for the column that is likely to make both the dearest; None where all are whole."""
        parts = leaf.values[self.columns]
        doubt = np.abs(parts - np.rint(parts))
        some = np.flatnonzero(doubt > _NEARLY)
        if not len(some):
            return None
        self._look(leaf, some[np.argsort(-doubt[some], kind="stable")])
        below = parts[some] - np.floor(parts[some])
        down, up = self._gains(0)[some] * below, self._gains(1)[some] * (1 - below)
        score = np.maximum(down, _LITTLE) * np.maximum(up, _LITTLE)
        return self._ways(leaf, int(some[int(np.argmax(score))]))

    def _ways(self, leaf: Leaf, at: int) -> tuple[Branch, Branch]:
        column = int(self.columns[at])
        whole = int(np.floor(leaf.values[column] + _NEARLY))
        low, high = self._range(leaf.held, column)
        return (column, whole + 1, high), (column, low, whole)

    def _gains(self, way: int) -> Float64:
        """[D] how much dearer a column made the linear program, for each whole that it went up or down by; what others did where it was never tried."""
        tried, total = self._tried[:, way], self._total[:, way]
        average = float(total.sum() / max(1.0, tried.sum())) if tried.any() else 1.0
        return np.where(tried > 0, total / np.maximum(tried, 1), average)

    def _look(self, leaf: Leaf, order: Int64) -> None:
        """Try columns that never were, the ones furthest from whole, and remember what they did."""
        for at in order[~self._tried[order].all(axis=1)][: self._looks].tolist():
            for way in self._ways(leaf, at):
                self._learn(leaf, way, self._solved((*leaf.held, way)))

    def _learn(self, leaf: Leaf, way: Branch, child: Leaf | None) -> None:
        column, low, high = way
        value = float(leaf.values[column])
        up = int(low > value)
        distance = max(_NEARLY, low - value if up else value - high)
        gain = max(0.0, child.value - leaf.value) if child is not None else max(1.0, 0.1 * leaf.value)
        at = self._at[column]
        self._tried[at, up] += 1
        self._total[at, up] += gain / distance

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
        self._programs += 1
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
        try:
            self._solved(held)
        except TimeoutError:
            if held:
                return self.best
        return self.plan(held)
