"""Which cells CP-SAT looks at together: those of a few hosts, for the classes that are on them or have no place."""

import numpy as np

from placement.arrays import Int64
from placement.model import Model

_COLUMNS = 400
"""Measured: parts of 300 to 450 columns are mostly solved to the end in a fraction of a second."""
_FEWEST, _MOST = 120, 1_600
_WAYS = 3


class Neighbours:
    """Draws parts, by a seed and by what the plan is like."""

    def __init__(self, model: Model, chance: np.random.Generator) -> None:
        self._model, self._chance, self._columns = model, chance, _COLUMNS
        free = np.maximum(model.problem.providers.free, 1).astype(np.float64)
        self._free = free

    def learn(self, *, ended: bool) -> None:
        """Parts that are solved to the end may be larger, others must be smaller."""
        step = self._columns // 16
        self._columns = (
            min(_MOST, self._columns + step // 2) if ended else max(_FEWEST, self._columns - step)
        )

    def draw(self, counts: Int64) -> tuple[Int64, Int64]:
        """Hosts, and the cells [n] of their part, from `counts` [G, V]."""
        out = self._model.classes.count - counts.sum(axis=1)
        waiting = np.flatnonzero(out > 0)
        if len(waiting) > self._columns // 8:
            waiting = self._chance.choice(waiting, self._columns // 8, replace=False)
        classes = np.zeros(len(counts), dtype=np.bool_)
        classes[waiting] = True
        hosts: list[int] = []
        for v in self._order(counts, waiting).tolist():
            more = classes | (counts[:, v] > 0)
            if len(hosts) >= 2 and int(more.sum()) * (len(hosts) + 1) > self._columns:
                break
            classes, hosts = more, [*hosts, v]
        chosen = np.sort(np.array(hosts, dtype=np.int64))
        rows = np.flatnonzero(classes)
        possible = self._model.upper[np.ix_(rows, chosen)] > 0
        cells = rows[:, None] * counts.shape[1] + chosen[None, :]
        return chosen, np.sort(cells[possible])

    def fill(self, counts: Int64) -> np.ndarray:
        """[V] how full each provider is, of the resource where it is fullest."""
        use = counts.T.astype(np.float64) @ self._model.classes.demand
        filled: np.ndarray = (use / self._free).max(axis=1, initial=0.0)
        return filled

    def _order(self, counts: Int64, waiting: Int64) -> Int64:
        """Providers, those first that should be looked at together."""
        filled = self.fill(counts)
        noise = self._chance.gumbel(size=len(filled))
        way = int(self._chance.integers(_WAYS))
        if way == 0:  # Poorly filled ones, to do without one of them.
            score = np.where(filled > 0, 3.0 * (1.0 - filled), -1.0) + noise
        elif way == 1:  # Those that have a class in common with one that is drawn.
            used = np.flatnonzero(filled > 0)
            first = int(self._chance.choice(used)) if len(used) else 0
            score = 2.0 * (counts[counts[:, first] > 0] > 0).sum(axis=0) + noise
            score[first] = np.inf
        else:
            score = noise
        if len(waiting):
            able = (self._model.upper[waiting] > 0).any(axis=0)
            score = np.where(able, score, score - 20.0)
        order = np.argsort(-score, kind="stable")
        off = order[filled[order] == 0][:1]
        return np.concatenate([order[:1], off[off != order[0]], order[1:][~np.isin(order[1:], off)]])
