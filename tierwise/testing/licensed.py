"""Hosts with room for everything, so that licences alone decide; and what a plan pays for them."""

from collections.abc import Mapping, Sequence
from datetime import date
from types import MappingProxyType
from typing import Any

import numpy as np

from placement.constraints.licences import Licences
from placement.licensing.products import Alternative, Processors, Product
from placement.problem import PlacementProblem
from placement.providers import Hosts
from placement.seats import Seats


def way(name: str = "it", *, pack: int = 1, price: int = 1, **more: Any) -> Alternative:
    """An alternative that costs 1 a pack of 1, unless told otherwise."""
    return Alternative.model_validate({"name": name, "pack_size": pack, "pack_cost_micros": price, **more})


def estate(
    hosts: Sequence[tuple[int, int] | Mapping[str, Any]],
    vcpu: Sequence[int],
    *ways: Alternative,
    day: date | None = None,
    labels: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
    **more: Any,
) -> PlacementProblem:
    """Hosts h0, h1, ... in pool a; machines r0, r1, ... of so many vCPU that all need the product.

    A host is (sockets, cores of each), or the fields of its `Processors`; `labels` are of the hosts, `more` are fields of the product, whose
    one scope is all hosts where it says nothing else. The horizon is ten hours.
    """
    ids = tuple(f"h{n}" for n in range(len(hosts)))
    requests = tuple(f"r{i}" for i in range(len(vcpu)))
    reach = {} if {"scopes", "boundary"} & set(more) else {"scopes": {"cluster": ("a",)}}
    product = {"name": "os", "requests": ("all",), "alternatives": ways, **reach, **more}
    rule = Licences(
        day=day,
        products=(Product.model_validate(product),),
        processors={name: _processors(host) for name, host in zip(ids, hosts, strict=True)},
    )
    room = np.full((len(hosts), 1), 999, dtype=np.int64)
    return PlacementProblem(
        resource_classes=("vcpu",),
        request_ids=requests,
        demand=np.array(vcpu, dtype=np.int64)[:, None],
        pool_ids=("a",),
        tier_of=("tier-1",),
        free=room.sum(axis=0, keepdims=True),
        largest=room[:1],
        cost_micros=np.zeros((len(vcpu), 1), dtype=np.int64),
        horizon_hours=10,
        hosts=Hosts(ids, np.zeros(len(hosts), dtype=np.int64), room, room, labels),
        groups={"all": requests},
        constraints=(rule,),
    )


def paid(problem: PlacementProblem, *providers: int) -> int:
    """What licences cost with each machine on a host, by position; -1 for none."""
    (rule,) = problem.constraints
    return rule.cost(problem, Seats(np.array(providers, dtype=np.int64)))["licences"]


def paid_on_first(problem: PlacementProblem) -> int:
    """What they cost with all machines on the first host that is in any scope."""
    (rule,) = problem.constraints
    everywhere = [
        np.full(len(problem.request_ids), v, dtype=np.int64) for v in range(len(problem.providers.ids))
    ]
    first = next(at for at in everywhere if not list(rule.check(problem, Seats(at))))
    return paid(problem, *first.tolist())


def _processors(host: tuple[int, int] | Mapping[str, Any]) -> Processors:
    if isinstance(host, tuple):
        return Processors(sockets=host[0], cores_per_socket=host[1])
    return Processors.model_validate({"sockets": 1, "cores_per_socket": 1, **host})
