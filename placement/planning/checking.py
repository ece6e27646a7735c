"""What is wrong with a planning problem's products and hosts, each with its path; shapes of other arrays are in `problem`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from placement.licensing.products import Alternative
    from placement.planning.problem import PlannedProduct, PlanningProblem

_COUNTED: Mapping[str, tuple[str, ...]] = {
    "per_core": ("sockets", "cores_per_socket"),
    "per_socket": ("sockets",),
}


def products_and_hosts(problem: PlanningProblem) -> Iterator[str]:
    """Everything that is wrong."""
    for path, names in (
        ("groups.ids", problem.groups.ids),
        ("pools.ids", problem.pools.ids),
        ("blocks.ids", problem.blocks.ids),
        ("products", tuple(product.name for product in problem.products)),
    ):
        yield from _twice(path, names)
    yield from _restart(problem)
    yield from _of_hosts(problem)
    for n, product in enumerate(problem.products):
        yield from _of_product(problem, f"products[{n}]", product)
    for members in problem.orders:
        yield from _of_order(problem, members)


def _twice(path: str, names: Sequence[str]) -> Iterator[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            yield f"{path}: '{name}' is there twice; give each a name of its own"
        seen.add(name)


def _restart(problem: PlanningProblem) -> Iterator[str]:
    restart, g = problem.groups.restart, len(problem.groups.ids)
    if restart is not None and restart.shape != (g,):
        yield f"groups.restart: has the shape {restart.shape}, not {(g,)}"


def _of_hosts(problem: PlanningProblem) -> Iterator[str]:
    blocks, b = problem.blocks, len(problem.blocks.ids)
    if blocks.families and len(blocks.families) != b:
        yield f"blocks.families: {len(blocks.families)} values for {b} blocks"
    if blocks.least is not None and blocks.least.shape == (b,) and bool((blocks.least > blocks.most).any()):
        yield "blocks.least: is more than blocks.most; keep no more hosts than there may be"
    least = problem.pools.least_hosts
    yield from _amounts("pools.least_hosts", least, len(problem.pools.ids), 0)
    yield from _amounts("blocks.sockets", blocks.sockets, b, 1)
    yield from _amounts("blocks.cores_per_socket", blocks.cores_per_socket, b, 1)
    for name, values in blocks.amounts.items():
        yield from _amounts(f"blocks.amounts.{name}", values, b, 0)


def _amounts(path: str, values: Any, size: int, least: int) -> Iterator[str]:
    if values is None:
        return
    if not isinstance(values, np.ndarray) or values.shape != (size,):
        yield f"{path}: must be an array of {size} values"
    elif values.size and int(values.min()) < least:
        yield f"{path}: must be at least {least} (found {int(values.min())})"


def _of_product(problem: PlanningProblem, path: str, product: PlannedProduct) -> Iterator[str]:
    p = len(problem.pools.ids)
    if product.pools is not None and product.pools.shape != (p,):
        yield f"{path}.pools: has the shape {product.pools.shape}, not {(p,)}"
    if not product.alternatives:
        yield f"{path}.alternatives: '{product.name}' has no legal way to be licensed; name one at least"
    yield from _twice(f"{path}.alternatives", tuple(way.name for way in product.alternatives))
    for a, way in enumerate(product.alternatives):
        for name in _needed(way):
            if not _stated(problem, name):
                yield (
                    f"{path}.alternatives[{a}]: '{way.name}' of '{product.name}' counts {name} of hosts, and nobody "
                    f"says how many they have; state blocks.{_path(name)}{_instead(problem, name)}"
                )
        strange = _without_factor(problem, product, way)
        if strange:
            yield (
                f"{path}.alternatives[{a}].core_factor_thousandths: '{way.name}' of '{product.name}' has no factor of "
                f"{', '.join(map(repr, strange))}; add it"
            )


def _of_order(problem: PlanningProblem, members: Sequence[int]) -> Iterator[str]:
    """Where one minimum is asked of several products, they mean the same by it."""
    first: dict[str, Alternative] = {}
    for n in members:
        for a, way in enumerate(problem.products[n].alternatives):
            other = first.setdefault(way.name, way)
            if (way.shared or other.shared) and _counted(way) != _counted(other):
                yield (
                    f"products[{n}].alternatives[{a}]: '{way.name}' has another minimum or other packs, or counts otherwise, "
                    f"than elsewhere in the order '{problem.products[n].order}'; make them the same, or name it otherwise"
                )


def _counted(way: Alternative) -> Mapping[str, Any]:
    """All that says what an order buys, but for prices."""
    prices = {"pack_cost_micros", "pack_cost_rest"}
    return way.model_dump(exclude=prices | {"add_on"}) | {
        "add_on": way.add_on and way.add_on.model_dump(exclude=prices)
    }


def _without_factor(problem: PlanningProblem, product: PlannedProduct, way: Alternative) -> list[str]:
    """Families of hosts that the product may count and that the way has no factor of."""
    blocks = problem.blocks
    if not way.core_factor_thousandths or len(blocks.families) != len(blocks.ids):
        return []
    here = [
        family
        for family, p in zip(blocks.families, blocks.pool_of.tolist(), strict=True)
        if product.pools is None or product.pools[p]
    ]
    return sorted(set(here) - way.core_factor_thousandths.keys())


def _needed(way: Alternative) -> Iterator[str]:
    """What a way counts of hosts."""
    yield from _COUNTED.get(way.metric, ())
    if way.metric == "per_amount":
        yield str(way.amount)
    if way.metric == "per_coverage_unit":
        for name in way.unit_covers:
            if name == "cores":
                yield from ("sockets", "cores_per_socket")
            elif name != "machines":
                yield name
    if way.add_on is not None:
        yield way.add_on.amount
    if way.metric == "per_core" and way.core_factor_thousandths:
        yield "families"


def _stated(problem: PlanningProblem, name: str) -> bool:
    blocks = problem.blocks
    own = {"sockets": blocks.sockets, "cores_per_socket": blocks.cores_per_socket}
    if name == "families":
        return bool(blocks.families) or not blocks.ids
    return (own[name] is not None) if name in own else name in blocks.amounts


_OWN = frozenset({"sockets", "cores_per_socket", "families"})


def _path(name: str) -> str:
    return name if name in _OWN else f"amounts.{name}"


def _instead(problem: PlanningProblem, name: str) -> str:
    known = sorted(problem.blocks.amounts)
    return f", or count one of {', '.join(known)}" if known and name not in _OWN else ""
