"""Rows that keep room for the machines of failed hosts: exact ones by a plan of restarts, or whole spare hosts."""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Bool, Int64
from placement.matrix import NO_LIMIT
from placement.model import Model
from placement.options import presence


@dataclass(frozen=True, eq=False)
class RestartRows:
    """Posts for one pool; `must` [G] are the classes that restart, `hosts` [n] the pool's."""

    model: Model
    hosts: Int64
    must: Bool

    def each_set(self, sets: list[tuple[int, ...]]) -> None:
        """For each set of lost hosts and each slot of time, columns that say who restarts where: exact."""
        for there, free in self._slots():
            for lost in sets:
                self._room(self._restarts(np.array(lost), self.must & there), lost, there, free)

    def each_host(self, choices: Int64) -> None:
        """For each host the same, with one restart host of a machine for all time; noted in `choices` [G, V, V]."""
        for host in self.hosts.tolist():
            columns = self._restarts(np.array([host]), self.must)
            choices[:, host] = columns
            for there, free in self._slots():
                self._room(columns, (host,), there, free)

    def spare_hosts(self, losses: int) -> None:
        """Receivers, each with room for the whole load of any host: `losses` that carry nothing, or twice as many.

        A lost host needs one receiver, unless nothing on it restarts; a lost receiver is one less. So whichever
        hosts fail, each has a receiver of its own: with `losses` empty ones, or with twice as many of any kind.
        """
        for there, free in self._slots():
            must = self.must & there
            receives = self.model.booleans(len(self.hosts))
            empty = self.model.booleans(len(self.hosts))
            self._empty_ones(must, receives, empty)
            self._receivers(must, there, free, receives)
            (few,) = self.model.booleans(1)
            ones, of = np.ones(len(self.hosts), dtype=np.int64), np.array([losses], dtype=np.int64)
            receivers, spare = np.append(receives, few), np.append(empty, few)
            self.model.row(receivers, np.append(ones, of), 2 * losses, NO_LIMIT)
            self.model.row(spare, np.append(ones, -of), 0, NO_LIMIT)

    def _slots(self) -> list[tuple[Bool, Int64]]:
        """[G] who is there, and [V, K] what is free, in each slot."""
        problem, free = self.model.problem, self.model.problem.providers.free
        there = presence(problem, self.model.classes.one).astype(np.bool_)
        taken = [np.zeros_like(free)] if problem.periods is None else list(problem.periods.taken)
        return [(now, free - others) for now, others in zip(there, taken, strict=True)]

    def _able(self) -> Bool:
        """[G, V] whether the host is large enough for one machine of the class."""
        demand, largest = self.model.classes.demand, self.model.problem.providers.largest
        able = np.ones((len(demand), len(largest)), dtype=np.bool_)
        for k in range(demand.shape[1]):
            able &= demand[:, k, None] <= largest[None, :, k]
        return able

    def _restarts(self, lost: Int64, must: Bool) -> Int64:
        """[G, V] columns that count who of the lost hosts restarts where, -1 where nobody does."""
        model = self.model
        able = self._able() & must[:, None]
        able[:, np.setdiff1d(np.arange(able.shape[1]), self.hosts)] = False
        able[:, lost] = False
        most = np.minimum(model.upper[:, lost].sum(axis=1), model.classes.count)
        able &= most[:, None] > 0
        columns = np.full(able.shape, -1, dtype=np.int64)
        g, _ = np.nonzero(able)
        columns[able] = model.variables(np.zeros(len(g), dtype=np.int64), most[g])
        came = np.flatnonzero(must & (most > 0))
        row = np.concatenate([np.searchsorted(came, g), np.repeat(np.arange(len(came)), len(lost))])
        column = np.concatenate([columns[able], model.cells()[np.ix_(came, lost)].reshape(-1)])
        signs = np.concatenate([np.ones(len(g)), np.full(len(came) * len(lost), -1)]).astype(np.int64)
        zeros = np.zeros(len(came), dtype=np.int64)
        model.rows(row.astype(np.int64), column, signs, zeros, zeros)
        return columns

    def _room(self, columns: Int64, lost: tuple[int, ...], there: Bool, free: Int64) -> None:
        """What restarts on a host fits beside what runs there."""
        rest = np.setdiff1d(self.hosts, lost)
        demand = self.model.classes.demand * there[:, None]
        both = np.stack([self.model.cells(), columns])[:, :, rest]
        _, g, v = np.nonzero(both >= 0)
        lower = np.full(len(rest), -NO_LIMIT, dtype=np.int64)
        for k in np.flatnonzero(self.model.problem.providers.own).tolist():
            self.model.rows(v, both[both >= 0], demand[g, k], lower, free[rest, k])

    def _empty_ones(self, must: Bool, receives: Int64, empty: Int64) -> None:
        """A host that is empty has nothing that must restart; only receivers count as empty."""
        most = int(self.model.classes.count[must].sum())
        for h, host in enumerate(self.hosts.tolist()):
            cells = self.model.cells()[must, host]
            columns, ones = np.append(cells, empty[h]), np.ones(len(cells), dtype=np.int64)
            self.model.row(columns, np.append(ones, most), -NO_LIMIT, most)
            pair = np.array([empty[h], receives[h]])
            self.model.row(pair, np.array([1, -1], dtype=np.int64), -NO_LIMIT, 0)

    def _receivers(self, must: Bool, there: Bool, free: Int64, receives: Int64) -> None:
        """A receiver has as much left as any host carries, and is large enough for each machine of the others."""
        cells, able = self.model.cells(), self._able()
        demand = self.model.classes.demand * there[:, None]
        most = int(self.model.classes.count[must].sum())
        for k in np.flatnonzero(self.model.problem.providers.own).tolist():
            top = int(free[self.hosts, k].max())
            (load,) = self.model.variables(np.zeros(1, dtype=np.int64), np.array([top], dtype=np.int64))
            for h, host in enumerate(self.hosts.tolist()):
                carried = np.append(cells[must, host], load), np.append(demand[must, k], -1)
                self.model.row(*carried, -NO_LIMIT, 0)
                columns = np.append(cells[:, host], [load, receives[h]])
                factors = np.append(demand[:, k], [1, top])
                self.model.row(columns, factors, -NO_LIMIT, int(free[host, k]) + top)
        for h, host in enumerate(self.hosts.tolist()):
            others = np.setdiff1d(self.hosts, [host])
            columns = np.append(cells[np.ix_(must & ~able[:, host], others)].reshape(-1), receives[h])
            factors = np.ones(len(columns), dtype=np.int64)
            factors[-1] = most
            self.model.row(columns, factors, -NO_LIMIT, most)
