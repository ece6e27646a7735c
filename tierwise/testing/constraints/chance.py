"""Parts of samples: some of a problem's requests, providers and labels, by chance."""

import numpy as np

from placement.problem import PlacementProblem


def some_requests(problem: PlacementProblem, chance: np.random.Generator) -> tuple[str, ...]:
    """One to all of them, sometimes by the name of a group."""
    return some(chance, (*problem.request_ids, *problem.groups))


def some_providers(problem: PlacementProblem, chance: np.random.Generator) -> tuple[str, ...]:
    """One or more of the hosts and pools; more often hosts."""
    return some(chance, tuple(dict.fromkeys((*problem.providers.ids, *problem.pool_ids))))


def a_label(problem: PlacementProblem, chance: np.random.Generator) -> str:
    """A label that some provider has a value of."""
    found = []
    for label in problem.label_names():
        domains = problem.domains(label)
        if domains is not None and domains.names:
            found.append(label)
    return one_of(chance, tuple(found))


def some(chance: np.random.Generator, names: tuple[str, ...], least: int = 1) -> tuple[str, ...]:
    """`least` or more of them, in their order."""
    count = int(chance.integers(least, len(names) + 1))
    return tuple(names[n] for n in sorted(chance.choice(len(names), count, replace=False).tolist()))


def one_of(chance: np.random.Generator, names: tuple[str, ...]) -> str:
    """Any of them."""
    return names[int(chance.integers(len(names)))]


def maybe_penalty(chance: np.random.Generator) -> int | None:
    """None, or a penalty of about what a request costs in a small problem."""
    return int(chance.integers(1, 15)) if chance.random() < 0.5 else None
