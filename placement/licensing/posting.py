"""Licences as columns and rows for solvers, and as primitives for the online kernel."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from catalog.resources import ResourceClass
from placement.arrays import Int64
from placement.classes import Classes
from placement.kernel import Kernel
from placement.licensing.products import Alternative, Processors, Product
from placement.matrix import NO_LIMIT
from placement.model import Model
from placement.problem import PlacementProblem
from placement.references import members, of_classes, seats_named


@dataclass(frozen=True, eq=False)
class Reach:
    """A product among classes and providers; S scopes."""

    classes: Int64
    """The classes whose requests need it."""
    scope_of: Int64
    """[V] -1 for none."""
    weight: tuple[Int64, ...]
    """By alternative, [G] the units of a machine; 1 where hosts are counted."""
    units: tuple[Int64, ...]
    """By alternative, [S] the units of all hosts of a scope; 0 where machines are counted."""


@dataclass(frozen=True, eq=False)
class Share:
    """The machines of one scope under one alternative: ``sum of columns`` is how many there are."""

    columns: Int64
    weight: Int64
    """Units of each column's machines."""
    most: Int64
    """Upper bounds of the columns."""
    machines: int
    """How many there can be in all."""


@dataclass(frozen=True, eq=False)
class Units:
    """A sum of columns that counts units, and the most that it can be."""

    columns: Int64
    coefficients: Int64
    most: int


def reach_of(
    problem: PlacementProblem, classes: Classes, product: Product, processors: Mapping[str, Processors]
) -> Reach:
    """Who needs a product, and what its scopes count."""
    scope_of = np.full(len(problem.providers.ids), -1, dtype=np.int64)
    for s, names in enumerate(product.scopes.values()):
        scope_of[seats_named(problem, names)] = s
    hosts = _processors(problem, processors)
    count = len(product.scopes)
    return Reach(
        classes=np.flatnonzero(of_classes(members(problem, product.requests), classes.one)),
        scope_of=scope_of,
        weight=tuple(_weight(problem, classes, way) for way in product.alternatives),
        units=tuple(_units(way, hosts, scope_of, count) for way in product.alternatives),
    )


def post(model: Model, product: Product, reach: Reach) -> None:
    """No machine outside of all scopes; in each scope one alternative, and packs enough for its units."""
    outside = np.zeros(model.shape, dtype=np.bool_)
    outside[np.ix_(reach.classes, np.flatnonzero(reach.scope_of < 0))] = True
    model.forbid(outside)
    over_order: dict[int, list[Units]] = {}
    for s in range(len(product.scopes)):
        for n, bought in _scopes_units(model, product, reach, s):
            way = product.alternatives[n]
            if way.pack_scope == "order":
                over_order.setdefault(n, []).append(bought)
            else:
                _buy(model, way, bought)
    for n, parts in over_order.items():
        columns = np.concatenate([part.columns for part in parts])
        factors = np.concatenate([part.coefficients for part in parts])
        _buy(model, product.alternatives[n], Units(columns, factors, sum(part.most for part in parts)))


def admit(kernel: Kernel, product: Product, reach: Reach) -> None:
    """Per scope the better of one alternative that grows with the machines and of all that do not.

    Never below the true cost, and just it where there is one alternative that grows, whose packs are rounded
    in each scope: of several that grow, the one is told that is cheapest for all machines in every scope; packs
    are rounded up in each scope, and with each cover.
    """
    chosen = np.zeros(len(kernel.classes.one), dtype=np.bool_)
    chosen[reach.classes] = True
    kernel.forbid(chosen[:, None] & (reach.scope_of < 0)[None, :])
    flat = [n for n, way in enumerate(product.alternatives) if way.flat]
    growing = [n for n, way in enumerate(product.alternatives) if not way.flat]
    fixed = [_cover_cost(product, reach, n) for n in flat]
    most = np.min([np.full(len(product.scopes), NO_LIMIT), *fixed], axis=0)
    if not growing:
        kernel.opening("licences", chosen, reach.scope_of, most)
        return
    steps = [(_steps(product, reach, n), reach.weight[n] * chosen) for n in growing]
    count = kernel.classes.count
    (size, cost), weight = min(
        steps, key=lambda step: int((-(-int((step[1] * count).sum()) // step[0][0]) * step[0][1]).sum())
    )
    kernel.packs("licences", weight, reach.scope_of, size, cost, most)


def _scopes_units(model: Model, product: Product, reach: Reach, s: int) -> Iterator[tuple[int, Units]]:
    """By alternative, the units that one scope buys under it."""
    ways = product.alternatives
    inside = np.ix_(reach.classes, np.flatnonzero(reach.scope_of == s))
    cells, most = model.cells()[inside], model.upper[inside]
    if not most.any():
        return
    shares, chosen = _shares(model, reach, cells, most, len(ways))
    for n, way in enumerate(ways):
        share, of_scope = shares[n], int(reach.units[n][s])
        if not way.of_hosts:
            yield n, Units(share.columns, share.weight, int((share.weight * share.most).sum()))
        elif way.covers is None:
            on = _any(model, share) if chosen is None else int(chosen[n])
            yield n, _one(on, of_scope, of_scope)
        else:
            times = -(-share.machines // way.covers)
            covers = _stacked(model, share.columns, np.ones_like(share.columns), way.covers, times)
            yield n, _one(covers, of_scope, of_scope * times)


def _shares(
    model: Model, reach: Reach, cells: Int64, most: Int64, ways: int
) -> tuple[list[Share], Int64 | None]:
    """The machines of a scope by the alternative that licenses them, and a column for each that is chosen.

    With one alternative these are the cells themselves. Otherwise ``sum of shares = sum of cells`` by class,
    ``share <= most * chosen``, and at most one is chosen.
    """
    g, v = cells.shape
    together = np.minimum(model.classes.count[reach.classes], most.sum(axis=1))
    machines = int(together.sum())
    if ways == 1:
        weight = np.repeat(reach.weight[0][reach.classes], v)
        return [Share(cells.reshape(-1), weight, most.reshape(-1), machines)], None
    upper = np.repeat(together[:, None], ways, axis=1)
    share, chosen = model.variables(np.zeros_like(upper), upper), model.booleans(ways)
    zeros = np.zeros(g, dtype=np.int64)
    row = np.repeat(np.arange(g, dtype=np.int64), ways + v)
    signs = np.tile(np.repeat(np.array([1, -1], dtype=np.int64), [ways, v]), g)
    model.rows(row, np.concatenate([share, cells], axis=1).reshape(-1), signs, zeros, zeros)
    _tie(model, share.reshape(-1), upper.reshape(-1), np.tile(chosen, g))
    model.at_most(chosen, np.ones(ways, dtype=np.int64), 1)
    return [
        Share(share[:, n], reach.weight[n][reach.classes], together, machines) for n in range(ways)
    ], chosen


def _any(model: Model, share: Share) -> int:
    """A column that is 1 where the scope has any machine."""
    (on,) = model.booleans(1).tolist()
    _tie(model, share.columns, share.most, np.full_like(share.columns, on))
    return int(on)


def _tie(model: Model, columns: Int64, most: Int64, on: Int64) -> None:
    """``column <= most * on``, entry by entry."""
    n = len(columns)
    row = np.tile(np.arange(n, dtype=np.int64), 2)
    factors = np.concatenate([np.ones(n, dtype=np.int64), -most])
    model.rows(row, np.concatenate([columns, on]), factors, np.full(n, -NO_LIMIT), np.zeros_like(most))


def _stacked(model: Model, columns: Int64, coefficients: Int64, size: int, most: int) -> int:
    """A column that is at least ``sum / size``, in whole numbers."""
    bounds = np.array([0], dtype=np.int64), np.array([most], dtype=np.int64)
    (count,) = model.variables(*bounds).tolist()
    every = np.append(columns, count), np.append(coefficients, -size)
    model.row(*every, -NO_LIMIT, 0)
    return int(count)


def _buy(model: Model, way: Alternative, bought: Units) -> None:
    """What the packs cost; units that come in whole packs anyway need no column for them."""
    if not (bought.coefficients % way.pack_size).any():
        packs, factors = bought.columns, bought.coefficients // way.pack_size
    else:
        most = -(-bought.most // way.pack_size)
        packs = np.array(
            [_stacked(model, bought.columns, bought.coefficients, way.pack_size, most)], dtype=np.int64
        )
        factors = np.ones(1, dtype=np.int64)
    model.cost("licences", packs, factors * way.pack_cost_micros)


def _one(column: int, coefficient: int, most: int) -> Units:
    return Units(np.array([column], dtype=np.int64), np.array([coefficient], dtype=np.int64), most)


def _steps(product: Product, reach: Reach, n: int) -> tuple[Int64, Int64]:
    """[S] every how many units of weight an alternative costs more, and how much."""
    way = product.alternatives[n]
    size = way.pack_size if way.covers is None else way.covers
    pack = np.full(len(product.scopes), way.pack_cost_micros, dtype=np.int64)
    sizes = np.full(len(product.scopes), size, dtype=np.int64)
    return sizes, _cover_cost(product, reach, n) if way.of_hosts else pack


def _cover_cost(product: Product, reach: Reach, n: int) -> Int64:
    """[S] what covering all hosts of a scope costs once."""
    way = product.alternatives[n]
    return -(-reach.units[n] // way.pack_size) * way.pack_cost_micros


def _weight(problem: PlacementProblem, classes: Classes, way: Alternative) -> Int64:
    if way.metric != "per_vcpu":
        return np.ones(len(classes.one), dtype=np.int64)
    vcpu = classes.demand[:, problem.resource_classes.index(ResourceClass.VCPU)]
    return np.maximum(vcpu, way.per_machine_minimum)


def _units(way: Alternative, hosts: Int64, scope_of: Int64, count: int) -> Int64:
    """[S] from `hosts` [V, 3]: sockets, cores of each, and how many hosts there are."""
    sockets, cores_each, number = hosts.T
    if not way.of_hosts:
        return np.zeros(count, dtype=np.int64)
    each = {
        "per_host": np.ones_like(sockets),
        "per_socket": sockets,
        "per_core": np.maximum(
            sockets * np.maximum(cores_each, way.per_socket_minimum), way.per_host_minimum
        ),
    }[way.metric]
    total = np.zeros(count, dtype=np.int64)
    inside = scope_of >= 0
    np.add.at(total, scope_of[inside], (each * number)[inside])
    return total


def _processors(problem: PlacementProblem, processors: Mapping[str, Processors]) -> Int64:
    """[V, 3] sockets, cores of each and number of hosts; a host's own after its pool's, one core where nobody said."""
    found = np.ones((len(problem.providers.ids), 3), dtype=np.int64)
    pools_first = sorted(processors, key=problem.provider_positions.__contains__)
    for name in pools_first:
        one = processors[name]
        found[seats_named(problem, (name,))] = (one.sockets, one.cores_per_socket, one.hosts)
    return found
