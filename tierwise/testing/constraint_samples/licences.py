"""Licence products of every metric, over one or two scopes, with one to three alternatives."""

import numpy as np

from placement.constraints.licences import Licences
from placement.licensing.products import OF_HOSTS, Alternative, Processors, Product
from placement.problem import PlacementProblem


def sample(problem: PlacementProblem, chance: np.random.Generator) -> Licences:
    """One or two products; most providers are in a scope of each."""
    names = problem.providers.ids
    most_hosts = 1 if problem.providers.are_hosts else 4
    return Licences(
        products=tuple(_product(problem, chance, f"p{n}") for n in range(int(chance.integers(1, 3)))),
        processors={
            name: Processors(
                sockets=int(chance.integers(1, 3)),
                cores_per_socket=int(chance.integers(1, 6)),
                hosts=int(chance.integers(1, most_hosts + 1)),
            )
            for name in names
        },
    )


def _product(problem: PlacementProblem, chance: np.random.Generator, name: str) -> Product:
    providers, requests = problem.providers.ids, problem.request_ids
    of = chance.integers(0, 2, len(providers))
    left_out = chance.random(len(providers)) < 0.15
    scopes = {
        f"s{s}": tuple(v for v, at, out in zip(providers, of, left_out, strict=True) if at == s and not out)
        for s in (0, 1)
    }
    return Product(
        name=name,
        requests=tuple(r for r in requests if chance.random() < 0.7),
        scopes={s: inside for s, inside in scopes.items() if inside} or {"s0": providers[:1]},
        alternatives=tuple(
            _alternative(chance, f"{name}-{n}") for n in range(int(chance.choice([1, 1, 2, 3])))
        ),
    )


def _alternative(chance: np.random.Generator, name: str) -> Alternative:
    metric = str(chance.choice(["per_core", "per_host", "per_socket", "per_vcpu", "per_machine"]))
    cores = metric == "per_core"
    stacks = metric in OF_HOSTS and chance.random() < 0.6
    return Alternative.model_validate(
        {
            "name": name,
            "metric": metric,
            "per_socket_minimum": int(chance.integers(0, 5)) if cores else 0,
            "per_host_minimum": int(chance.integers(0, 10)) if cores else 0,
            "per_machine_minimum": int(chance.integers(0, 6)) if metric == "per_vcpu" else 0,
            "covers": int(chance.integers(1, 4)) if stacks else None,
            "pack_size": int(chance.choice([1, 2, 3, 16])),
            "pack_cost_micros": int(chance.integers(0, 30)),
            "pack_scope": str(chance.choice(["scope", "order"])),
        }
    )
