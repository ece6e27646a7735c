"""Licence products of every metric, over one or two scopes or a boundary, with one to three alternatives."""

from datetime import date
from typing import Any

import numpy as np

from catalog.licence_metrics import OF_HOSTS
from placement.constraints.licences import Licences
from placement.licensing.products import AddOn, Alternative, Limit, Processors, Product
from placement.problem import PlacementProblem

METRICS = (*OF_HOSTS, "per_vcpu", "per_machine", "per_principal")
_FAMILIES = ("x", "y")
_AMOUNTS = ("disk_gib", "memory_gib")
_LIMITERS = ("must_rule", "separate_cluster", "hard_partition")


def sample(problem: PlacementProblem, chance: np.random.Generator) -> Licences:
    """One or two products; most providers are in a scope of each."""
    return Licences(
        products=tuple(_product(problem, chance, f"p{n}") for n in range(int(chance.integers(1, 3)))),
        processors={name: _processors(problem, chance) for name in problem.providers.ids},
        day=date(2026, 12, 1) if chance.random() < 0.3 else None,
    )


def _processors(problem: PlacementProblem, chance: np.random.Generator) -> Processors:
    most_hosts = 1 if problem.providers.are_hosts else 4
    return Processors(
        sockets=int(chance.integers(1, 3)),
        cores_per_socket=int(chance.integers(1, 6)),
        hosts=int(chance.integers(1, most_hosts + 1)),
        family=str(chance.choice(_FAMILIES)),
        amounts={name: int(chance.integers(0, 9)) for name in _AMOUNTS},
    )


def _product(problem: PlacementProblem, chance: np.random.Generator, name: str) -> Product:
    many = int(chance.choice([1, 1, 2, 3]))
    return Product(
        name=name,
        requests=tuple(r for r in problem.request_ids if chance.random() < 0.7),
        alternatives=(
            _alternative(chance, f"{name}-0", valid={}),
            *(_alternative(chance, f"{name}-{n}", valid=_window(chance)) for n in range(1, many)),
        ),
        limits=tuple(_limit(problem, chance) for _ in range(int(chance.choice([0, 0, 1, 2])))),
        accepts=tuple(kind for kind in _LIMITERS if chance.random() < 0.5),
        **_reach(problem, chance),
    )


def _reach(problem: PlacementProblem, chance: np.random.Generator) -> dict[str, Any]:
    """Two scopes of some providers each, or a boundary."""
    providers = problem.providers.ids
    if chance.random() < 0.3:
        labels = ["host", "pool", "estate"] + ["rack"] * problem.providers.are_hosts
        return {"boundary": str(chance.choice(labels))}
    of = chance.integers(0, 2, len(providers))
    left_out = chance.random(len(providers)) < 0.15
    scopes = {
        f"s{s}": tuple(v for v, at, out in zip(providers, of, left_out, strict=True) if at == s and not out)
        for s in (0, 1)
    }
    return {"scopes": {s: inside for s, inside in scopes.items() if inside} or {"s0": providers[:1]}}


def _limit(problem: PlacementProblem, chance: np.random.Generator) -> Limit:
    kind = str(chance.choice(_LIMITERS))
    cut = int(chance.integers(1, 6)) if kind == "hard_partition" and chance.random() < 0.6 else None
    providers = problem.providers.ids
    some = tuple(name for name in providers if chance.random() < 0.6)
    return Limit.model_validate({"limiter": kind, "hosts": some or providers[-1:], "cores_per_host": cut})


def _window(chance: np.random.Generator) -> dict[str, date]:
    """Half of them hold on the first of December."""
    if chance.random() < 0.5:
        return {}
    return {str(chance.choice(["valid_from", "valid_until"])): date(2026, int(chance.integers(11, 13)), 15)}


def _alternative(chance: np.random.Generator, name: str, valid: dict[str, date]) -> Alternative:
    metric = str(chance.choice(METRICS))
    stacks = metric in OF_HOSTS and chance.random() < 0.5
    fields: dict[str, Any] = {
        "name": name,
        "metric": metric,
        "pack_size": int(chance.choice([1, 2, 3, 16])),
        "pack_cost_micros": int(chance.integers(0, 30)),
        "pack_scope": str(chance.choice(["scope", "order"])),
        "per_hour": bool(chance.random() < 0.15),
        "order_minimum": int(chance.choice([0, 0, 0, 7, 30])),
        "owned_packs": int(chance.choice([0, 0, 0, 1, 4])),
        **_of_metric(chance, metric),
        **valid,
    }
    if stacks and "machines" not in fields.get("unit_covers", ()):
        fields["covers"] = int(chance.integers(1, 4))
    if metric in OF_HOSTS and chance.random() < 0.3:
        fields["add_on"] = _add_on(chance)
    return Alternative.model_validate(fields)


def _of_metric(chance: np.random.Generator, metric: str) -> dict[str, Any]:
    """What says something of one metric only."""
    if metric == "per_core":
        factors = {family: int(chance.choice([250, 500, 750, 1000])) for family in _FAMILIES}
        return {
            "per_socket_minimum": int(chance.integers(0, 5)),
            "per_host_minimum": int(chance.integers(0, 10)),
            "core_factor_thousandths": factors if chance.random() < 0.4 else {},
        }
    if metric == "per_coverage_unit":
        dimensions = chance.permutation(["sockets", "cores", "machines", *_AMOUNTS])
        return {
            "unit_covers": {str(d): int(chance.integers(1, 5)) for d in dimensions[: chance.integers(1, 4)]}
        }
    if metric == "per_amount":
        return {"amount": str(chance.choice(_AMOUNTS)), "unit_amount": int(chance.integers(1, 5))}
    if metric == "per_vcpu":
        return {"per_machine_minimum": int(chance.integers(0, 6))}
    return {"principals": int(chance.integers(0, 20))} if metric == "per_principal" else {}


def _add_on(chance: np.random.Generator) -> AddOn:
    return AddOn(
        name="more",
        amount=str(chance.choice(_AMOUNTS)),
        unit_amount=int(chance.integers(1, 4)),
        granted=int(chance.integers(0, 4)),
        pack_size=int(chance.integers(1, 4)),
        pack_cost_micros=int(chance.integers(0, 30)),
    )
