"""Made-up pools and hosts: four hypervisors in three tiers, sites, racks and power feeds."""

from dataclasses import dataclass

import numpy as np

from placement.arrays import Int64

HYPERVISORS = ("vsphere", "hyperv", "xen", "kvm")
TIERS = ("tier-1", "tier-2", "tier-3")
"""The best first; the dearer, too."""
_TIER_OF = (0, 1, 1, 2)
"""Of each hypervisor."""
_OVERCOMMIT = np.array([2, 3, 4], dtype=np.int64)
"""vCPU a core, by tier."""
_SIZES = np.array([80, 100, 140], dtype=np.int64)
"""Hosts of a pool are alike; pools differ by so many percent."""
_STEPS = np.array([1, 4096, 16], dtype=np.int64)
"""Memory and disk are sold in such steps of MiB and GiB."""
_HOSTS_OF_RACK = 6
_SITES = ("fra", "nl", "par", "mil", "waw", "osl")


@dataclass(frozen=True, eq=False)
class Layout:
    """Where hosts stand; P pools, H hosts."""

    pool_ids: tuple[str, ...]
    hypervisor_of: tuple[str, ...]
    tier: Int64
    """[P]."""
    site: Int64
    """[P] as a position in `sites`."""
    sites: tuple[str, ...]
    host_ids: tuple[str, ...]
    pool_of: Int64
    """[H] pools stand one after the other."""
    size: Int64
    """[H] in percent of an average host."""
    rack: tuple[str, ...]
    """[H]."""
    power: tuple[str, ...]
    """[H] the feed of the rack: two at each site."""

    @property
    def first(self) -> Int64:
        """[P] the first host of each pool."""
        return np.searchsorted(self.pool_of, np.arange(len(self.pool_ids))).astype(np.int64)

    @property
    def count(self) -> Int64:
        """[P] how many hosts each pool has."""
        return np.bincount(self.pool_of, minlength=len(self.pool_ids)).astype(np.int64)

    def racks_of(self, pools: Int64) -> tuple[str, ...]:
        """The racks of some pools, each once."""
        inside = np.isin(self.pool_of, pools)
        return tuple(
            dict.fromkeys(rack for rack, there in zip(self.rack, inside.tolist(), strict=True) if there)
        )


def layout(chance: np.random.Generator, hosts: int, pools: int, sites: int) -> Layout:
    """Four pools, one of each hypervisor, at each site in turn; hosts shared out evenly."""
    p = np.arange(pools)
    site = p // len(HYPERVISORS) % sites
    hypervisor = p % len(HYPERVISORS)
    names = _SITES[:sites]
    pool_ids = tuple(
        f"{names[s]}-{HYPERVISORS[h]}-{n // (len(HYPERVISORS) * sites) + 1}"
        for n, (s, h) in enumerate(zip(site.tolist(), hypervisor.tolist(), strict=True))
    )
    pool_of = (np.arange(hosts) * pools // hosts).astype(np.int64)
    within = np.arange(hosts) - np.searchsorted(pool_of, pool_of)
    racks = np.maximum(2, np.bincount(pool_of, minlength=pools) // _HOSTS_OF_RACK)
    rack = within % racks[pool_of]
    return Layout(
        pool_ids=pool_ids,
        hypervisor_of=tuple(HYPERVISORS[h] for h in hypervisor.tolist()),
        tier=np.array(_TIER_OF, dtype=np.int64)[hypervisor],
        site=site.astype(np.int64),
        sites=names,
        host_ids=tuple(
            f"{pool_ids[q]}-h{n + 1}" for q, n in zip(pool_of.tolist(), within.tolist(), strict=True)
        ),
        pool_of=pool_of,
        size=_SIZES[chance.integers(0, len(_SIZES), pools)][pool_of],
        rack=tuple(f"{pool_ids[q]}-r{n + 1}" for q, n in zip(pool_of.tolist(), rack.tolist(), strict=True)),
        power=tuple(
            f"{names[s]}-{'ab'[n % 2]}" for s, n in zip(site[pool_of].tolist(), rack.tolist(), strict=True)
        ),
    )


def capacity(layout: Layout, demand: Int64, fill_percent: int) -> tuple[Int64, Int64]:
    """[H, K] what is free and the largest machine, so that all of `demand` [R, K] takes `fill_percent` of it.

    vCPU are overcommitted by tier, so the largest machine has as many vCPU as there are cores.
    """
    total = demand.sum(axis=0)
    exact = -(-total * 100 * layout.size[:, None] // (fill_percent * int(layout.size.sum())))
    free = -(-exact // _STEPS) * _STEPS
    largest = free.copy()
    largest[:, 0] = np.maximum(1, free[:, 0] // _OVERCOMMIT[layout.tier[layout.pool_of]])
    return free.astype(np.int64), largest.astype(np.int64)
