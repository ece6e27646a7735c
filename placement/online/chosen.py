"""What the kernel chose for requests, in the words of the constraints that ask for it, and back."""

from collections.abc import Mapping

import numpy as np

from placement.arrays import Int64
from placement.online.admitted import Admitted
from placement.online.memory import Parts

Kept = tuple[Int64, Int64, Int64]
"""What was chosen for each request, as `Parts` has it: `numa_of`, `store_of` and `target`."""


class Chosen:
    """The choices that a problem's constraints ask for, by name."""

    def __init__(self, admitted: Admitted, parts: Parts) -> None:
        self._parts = parts
        self._families = [(one.name, one.choice_of) for one in admitted.families]
        self._has_nodes = admitted.nodes is not None
        self._states_restarts = any(one.losses == 1 for one in admitted.failovers)
        self._column, self._first = _single_losses(parts)

    def named(self, provider_of: Int64, kept: Kept) -> dict[str, Int64]:
        """[R] by constraint, what was chosen for those who are placed; -1 for none."""
        nodes, stores, targets = kept
        found = {"numa": nodes} if self._has_nodes else {}
        for f, (name, choice_of) in enumerate(self._families):
            own = stores[:, f] - self._parts.store_at[f]
            found[name] = np.append(choice_of, -1)[np.maximum(own, -1)]
        if self._states_restarts:
            found["ha_reserve"] = self._hosts(provider_of, targets)
        return {name: np.where(provider_of < 0, -1, one) for name, one in found.items()}

    def note(self, request: int, provider: int, choices: Mapping[str, Int64]) -> None:
        """Take over what was chosen for a request there; a restart of which nothing is said stays as it is planned."""
        said = {name: int(chosen[request]) for name, chosen in choices.items()}
        parts = self._parts
        parts.numa_of[request] = said.get("numa", -1)
        for f, (name, choice_of) in enumerate(self._families):
            lists = provider * len(self._families) + f
            reached = parts.reach[parts.reach_at[lists] : parts.reach_at[lists + 1]]
            its = reached[choice_of[reached - parts.store_at[f]] == said.get(name, -1)]
            parts.store_of[request, f] = its[0] if len(its) else -1
        column, host = int(self._column[provider]), said.get("ha_reserve", -1)
        if column >= 0 and host >= 0:
            parts.target[request, column] = np.flatnonzero(parts.host[self._first[provider] :] == host)[0]

    def _hosts(self, provider_of: Int64, targets: Int64) -> Int64:
        """[R] where each restarts when its host fails alone."""
        found = np.full(len(provider_of), -1, dtype=np.int64)
        these = np.flatnonzero((provider_of >= 0) & (self._column[provider_of] >= 0))
        on = provider_of[these]
        to = targets[these, self._column[on]]
        found[these] = np.where(to < 0, -1, self._parts.host[self._first[on] + np.maximum(to, 0)])
        return found


def _single_losses(p: Parts) -> tuple[Int64, Int64]:
    """[V] the column of `target` for when a provider fails alone, -1 for none, and where the hosts of its promise begin."""
    column, first = np.full(len(p.on), -1, dtype=np.int64), np.zeros(len(p.on), dtype=np.int64)
    for v in range(len(p.on) if len(p.times) else 0):
        before = 0
        for z in p.promise[p.promise_at[v] : p.promise_at[v + 1]].tolist():
            if p.times[z] == 1:
                column[v], first[v] = before, p.host_at[z]
                break
            before += int(p.times[z])
    return column, first
