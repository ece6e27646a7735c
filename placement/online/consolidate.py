"""Ruin and recreate on the kernel: a finished plan gets better, a few providers at a time, and never worse.

Each step takes everything off some providers and decides it anew, the largest first. What is kept has no more
requests without a place, breaks no rule, and adds no more to the objective's first level: with a cost for each
host that is on, hosts are emptied. Few steps empty one; of those that cost the same, such are kept as leave room
in one place rather than a little everywhere, so that later ones do.
"""

import numpy as np

from placement.arrays import Bool, Int64
from placement.online.online import Online

_MOST_RUINED = 60
"""Requests that one step takes away, about: more take longer, and are seldom put back better."""
_EVEN = 0.05
"""How often a step is kept that costs the same and scatters the room that is left: never would end in a dead end."""


def consolidate(online: Online, *, steps: int, seed: int = 0) -> int:
    """Improve what is placed in this many steps; how much less the first level is for it.

    Requests without a place are looked after first: those whose group is in too small a domain move with it.
    The same kernel, steps and seed give the same plan.
    """
    chance = np.random.default_rng(seed)
    size = _sizes(online)
    better = _place_the_rest(online, size)
    for step in range(steps):
        hosts = _some_providers(online, chance, int(chance.integers(2, 7)))
        ruined = _on(online, hosts)[:_MOST_RUINED]
        waiting = np.flatnonzero(online.provider_of < 0)
        again = np.concatenate([ruined, waiting[:20]])
        if not len(ruined):
            continue
        noise = chance.random(len(again)) * (0.6 if step % 2 else 0.1)
        order = again[np.argsort(-size[again] * (1 - noise), kind="stable")]
        scatters = chance.random() < _EVEN
        better += max(0, _attempt(online, ruined, order, len(waiting), scatters=scatters))
    return better


def _attempt(online: Online, ruined: Int64, order: Int64, waiting: int, *, scatters: bool) -> int:
    """Take away and decide anew; what it saves, or -1 and everything as it was.

    What costs the same and `scatters` room is only kept if it may.
    """
    broken, gathered = online.uneven(), _gathered(online)
    kept = online.remembered(order)
    saved = online.pull(ruined)
    found, spent = online.put(order)
    without = int((found < 0).sum()) + waiting - (len(order) - len(ruined))
    same = (without, spent) == (waiting, saved) and not scatters
    worse = (without, spent) > (waiting, saved) or (same and _gathered(online) < gathered)
    if worse or online.uneven() > broken:
        online.restore(kept)
        return -1
    return saved - spent if without == waiting else 0


def _gathered(online: Online) -> float:
    """More where the same room is left on fewer providers: the sum of its squares."""
    left = online.fit.astype(np.float64)
    return float(left @ left)


def _place_the_rest(online: Online, size: Int64) -> int:
    """Groups that must be together and do not all have a place are tried in every domain; what it saves (below 0: costs)."""
    total, grouped = 0, online.grouped()
    for i in np.flatnonzero(online.provider_of < 0).tolist():
        if online.provider_of[i] < 0 and grouped[i]:
            members, domain_of = online.group_of(i) or (np.array([i]), np.zeros_like(online.fit))
            for d in _roomiest(online, domain_of):
                cost = _settle(online, members, np.flatnonzero(domain_of == d), size, grouped)
                if cost is not None:
                    total -= cost
                    break
    return total


def _settle(online: Online, members: Int64, there: Int64, size: Int64, grouped: Bool) -> int | None:
    """Bring a group into the providers `there`, whatever else is on them moving aside; what it costs, None where it cannot be."""
    others = np.setdiff1d(_on(online, there), members)
    others = others[~grouped[others]]
    ruined = np.concatenate([members, others])
    before = int((online.provider_of < 0).sum())
    kept = online.remembered(ruined)
    saved = online.pull(ruined)
    members = members[np.argsort(-size[members], kind="stable")]
    could = there[online.mask(int(members[0]))[there]]
    if len(could):
        spent = online.cost(int(members[0]), int(could[0]))
        online.place(int(members[0]), int(could[0]))
        rest = others[np.argsort(-size[others], kind="stable")]
        spent += online.put(np.concatenate([members[1:], rest]))[1]
        if (online.provider_of < 0).sum() < before and not online.uneven():
            return spent - saved
    online.restore(kept)
    return None


def _roomiest(online: Online, domain_of: Int64) -> list[int]:
    """Domains, those with the most left first."""
    left = np.bincount(domain_of[domain_of >= 0], weights=online.fit[domain_of >= 0])
    return [int(d) for d in np.argsort(-left, kind="stable")]


def _some_providers(online: Online, chance: np.random.Generator, count: int) -> Int64:
    """Providers that are on; the emptier are more often among them."""
    on = np.unique(online.provider_of[online.provider_of >= 0])
    if not len(on):
        return on
    picks = chance.choice(on, (count, 3))
    emptier = picks[np.arange(count), online.fit[picks].argmax(axis=1)]
    return np.unique(np.where(np.arange(count) < 2, emptier, picks[:, 0]))


def _on(online: Online, providers: Int64) -> Int64:
    """The requests on these providers."""
    there = np.zeros(len(online.problem.providers.ids) + 1, dtype=np.bool_)
    there[providers] = True
    return np.flatnonzero(there[online.provider_of])


def _sizes(online: Online) -> Int64:
    """[R] what each request takes of all there is, in parts of 2**20, all resources together."""
    demand, free = online.problem.demand, online.problem.free.sum(axis=0)
    sizes: Int64 = ((demand << 20) // np.maximum(1, free // len(online.problem.providers.ids))).sum(axis=1)
    return sizes
