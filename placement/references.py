"""Names in a constraint's data, looked up in its problem: requests, groups of requests, hosts, pools, labels.

A name that stands for nothing is told with its path and the nearest names, before anything is solved.
"""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from weakref import WeakKeyDictionary

import numpy as np

from placement.arrays import Bool, Int64
from placement.problem import PlacementProblem
from placement.providers import Domains


def members(problem: PlacementProblem, names: Iterable[str]) -> Bool:
    """[R] the requests that any of the names stands for: a request's id, or a group's name; read-only."""
    known = problem.known_members.get(id(names))
    if known is not None and known[0] is names:
        return known[1]
    found = np.zeros(len(problem.request_ids), dtype=np.bool_)
    for name in names:
        for one in problem.groups.get(name, (name,)):
            found[problem.request_positions[one]] = True
    found.setflags(write=False)
    if isinstance(names, tuple):  # It is a constraint's own, which is asked for again and again.
        problem.known_members[id(names)] = (names, found)
    return found


def seats_named(problem: PlacementProblem, names: Iterable[str]) -> Bool:
    """[V] the providers that any of the names stands for: a host's id, or a pool's, which means all of its hosts."""
    found = np.zeros(len(problem.providers.ids), dtype=np.bool_)
    pools = {name: p for p, name in enumerate(problem.pool_ids)}
    for name in names:
        if name in problem.provider_positions:
            found[problem.provider_positions[name]] = True
        if name in pools:
            found |= problem.providers.pool_of == pools[name]
    return found


def domains(problem: PlacementProblem, label: str, only: tuple[str, ...] | None = None) -> Domains:
    """What a label that is known to be there divides the providers into; of these, `only` the ones with certain names."""
    found = problem.domains(label)
    assert found is not None, f"label '{label}' was checked before"
    if only is None:
        return found
    parts = _PARTS.setdefault(problem, {})
    if (label, only) not in parts:
        parts[label, only] = _only(found, only)
    return parts[label, only]


_PARTS: WeakKeyDictionary[PlacementProblem, dict[tuple[str, tuple[str, ...]], Domains]] = (
    WeakKeyDictionary()
)
"""Asked for with every provider that is explained."""


def _only(where: Domains, names: tuple[str, ...]) -> Domains:
    kept = [d for d, name in enumerate(where.names) if name in names]
    number = np.full(len(where.names) + 1, -1, dtype=np.int64)  # The last one stands for no domain.
    number[kept] = np.arange(len(kept))
    return Domains(number[where.of], tuple(where.names[d] for d in kept))


def unknown_requests(problem: PlacementProblem, path: str, names: Iterable[str]) -> Iterator[str]:
    """Each name that is neither a request's nor a group's; its path has its position."""
    for n, name in enumerate(names):
        if name not in problem.request_positions and name not in problem.groups:
            near = _near(name, (*problem.groups, *problem.request_ids))
            yield f"{path}[{n}]: there is no request or group '{name}'{near}"


def unknown_providers(problem: PlacementProblem, path: str, names: Iterable[str]) -> Iterator[str]:
    """Each name that is neither a host's nor a pool's."""
    for n, name in enumerate(names):
        if name not in problem.provider_positions and name not in problem.pool_ids:
            near = _near(name, (*problem.pool_ids, *problem.providers.ids))
            yield f"{path}[{n}]: there is no host or pool '{name}'{near}"


def unknown_label(problem: PlacementProblem, path: str, label: str) -> Iterator[str]:
    """The label, where no provider has it."""
    if problem.domains(label) is None:
        yield f"{path}: there is no label '{label}'; there are {', '.join(problem.label_names())}"


def of_classes(values: Int64 | Bool, one: Int64) -> Int64:
    """[G] what the requests of each class have in common, from [R]; `one` is a request of each class."""
    common: Int64 = values[one].astype(np.int64)
    return common


def _near(name: str, names: Iterable[str]) -> str:
    close = get_close_matches(name, list(names), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""
