"""What licences count of one host of each block."""

import numpy as np

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
