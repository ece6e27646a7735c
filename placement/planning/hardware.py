"""What licences count of one host of each block."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from placement.arrays import Int64
from placement.licensing.products import Alternative
from placement.planning.problem import Blocks


def units_of_host(blocks: Blocks, way: Alternative) -> Int64:
    """[B] cores, sockets and so on of one host, by what does not depend on machines; before factors and packs."""
    ones = np.ones(len(blocks.ids), dtype=np.int64)
    if way.metric == "per_host":
        return ones
    if way.metric == "per_socket":
        return sockets(blocks)
    if way.metric == "per_amount":
        return amount(blocks, str(way.amount))
    if way.metric == "per_coverage_unit":
        needs = [
            -(-_has(blocks, name) // size) for name, size in way.unit_covers.items() if name != "machines"
        ]
        found: Int64 = np.array([np.zeros_like(ones), *needs], dtype=np.int64).max(axis=0)
        return found
    return np.maximum(
        sockets(blocks) * np.maximum(cores_per_socket(blocks), way.per_socket_minimum), way.per_host_minimum
    )


def factors_of_hosts(blocks: Blocks, way: Alternative) -> Int64:
    """[B] the core factor of each block's hosts, one of `way.factors`."""
    families = blocks.families or ("",) * len(blocks.ids)
    own = [way.core_factor_thousandths.get(family, way.factors[0]) for family in families]
    return np.array(own, dtype=np.int64)


def most_covers(blocks: Blocks, way: Alternative, ways: Sequence[Alternative], inside: Int64) -> int | None:
    """So often at most are hosts covered in a plan that costs the least; None where nothing says so.

    Where another alternative costs the same for any number of machines, more covers than that cost more, whatever
    hosts are counted and however both are rounded to packs: unless packs are there anyway, such as those of a minimum.
    """
    if way.owned_packs or way.order_minimum or way.add_on is not None:
        return None
    own = _price_of_host(blocks, way)[inside]
    caps = []
    for other in ways:
        plain = other.flat and other.of_hosts and other.covers is None and other.per_hour == way.per_hour
        if plain and not (other.order_minimum or other.principals or other.add_on):
            beside = float((1 + len(other.factors)) * other.pack_cost + way.pack_cost)
            needed = _price_of_host(blocks, other)[inside] + beside
            if (own > 0).all():
                caps.append(int(np.ceil((needed / own).max())) + 1)
    return min(caps, default=None)


def _price_of_host(blocks: Blocks, way: Alternative) -> npt.NDArray[np.float64]:
    """[B] micro-units, before anything is rounded."""
    parts = units_of_host(blocks, way) * factors_of_hosts(blocks, way)
    return parts / way.parts / way.pack_size * float(way.pack_cost)


def amount(blocks: Blocks, name: str) -> Int64:
    """[B] what one host has of something by name; 0 where nobody said."""
    return blocks.amounts.get(name, np.zeros(len(blocks.ids), dtype=np.int64))


def sockets(blocks: Blocks) -> Int64:
    """[B] one where nobody said."""
    return np.ones(len(blocks.ids), dtype=np.int64) if blocks.sockets is None else blocks.sockets


def cores_per_socket(blocks: Blocks) -> Int64:
    """[B] one where nobody said."""
    ones = np.ones(len(blocks.ids), dtype=np.int64)
    return ones if blocks.cores_per_socket is None else blocks.cores_per_socket


def _has(blocks: Blocks, name: str) -> Int64:
    if name == "sockets":
        return sockets(blocks)
    if name == "cores":
        return sockets(blocks) * cores_per_socket(blocks)
    return amount(blocks, name)
