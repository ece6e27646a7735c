"""Made-up rules for made-up applications, as the data of constraints: those kinds that are there are used."""

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from placement.constraint import Constraint
from placement.documents import kinds
from placement.estates.apps import RESOURCES, Apps
from placement.estates.hosts import TIERS, Layout

KINDS = ("affinity", "anti_affinity", "spread", "quotas", "licences")
"""What an estate has unless it is told otherwise."""
MORE = ("hosts_on", "move_cost")
_QUOTA_PERCENT = 115
"""Of what a tenant asks for today."""
_CORES = 32
"""Of each of a host's two sockets."""
# Windows Server 2025 list prices of 16 cores, spread over 36 months: Standard 1,176 USD, Datacenter 6,771 USD.
_STANDARD_MICROS, _DATACENTER_MICROS = 32_670_000, 188_080_000
_ON_MICROS = 150_000_000
"""Power, space and support of a host for a month."""
_MOVE_MICROS = 500_000


def rules(apps: Apps, layout: Layout, wanted: Collection[str] | None) -> tuple[Constraint, ...]:
    """Constraints of the wanted kinds (of `KINDS` and `MORE`); of kinds that are not installed, none."""
    names = KINDS if wanted is None else wanted
    unknown = sorted(set(names) - {*KINDS, *MORE})
    if unknown:
        msg = f"there is no rule for '{unknown[0]}' in made-up estates; there are {', '.join((*KINDS, *MORE))}"
        raise ValueError(msg)
    there = kinds.written()
    return tuple(
        there[body["kind"]].model_validate(body)
        for body in _bodies(apps, layout)
        if body["kind"] in names and body["kind"] in there
    )


def _bodies(apps: Apps, layout: Layout) -> Iterator[dict[str, Any]]:
    names = apps.component_names()
    yield from _of_components(apps, layout, names)
    for a in np.flatnonzero(apps.together).tolist():
        if int(apps.count[apps.members(a)].sum()) > 1:
            yield {"kind": "affinity", "requests": [apps.app_name(a)], "label": "site"}
    yield from _quotas(apps)
    windows = [name for name, a in zip(names, apps.app_of.tolist(), strict=True) if apps.windows[a]]
    if windows:
        yield _windows(layout, windows)
    yield {"kind": "hosts_on", "default_cost_micros": _ON_MICROS}
    yield {"kind": "move_cost", "default_cost_micros": _MOVE_MICROS}


def _of_components(apps: Apps, layout: Layout, names: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    """Databases sit on hosts of their own; every other web tier is spread over the racks of one tier."""
    racks = {t: layout.racks_of(np.flatnonzero(layout.tier == t)) for t in range(len(TIERS))}
    hosts = {t: int(layout.count[layout.tier == t].sum()) for t in range(len(TIERS))}
    for c, name in enumerate(names):
        a, role, count = int(apps.app_of[c]), int(apps.role[c]), int(apps.count[c])
        tier = int(apps.floor[a])
        restricted = bool(apps.together[a] or apps.home[a])  # One site may not have all of these racks.
        if role == 2 and count > 1:
            yield {"kind": "anti_affinity", "requests": [name], "label": "host"}
        elif role == 0 and count > 2 and a % 2 == 0 and not restricted:
            yield {
                "kind": "spread",
                "requests": [name],
                "label": "rack",
                "max_skew": 1 if count <= len(racks[tier]) else 2,
                "domains": list(racks[tier]),
            }
        elif role == 0 and count > 2:
            most = 1 + count // max(1, hosts[tier] // max(1, len(layout.sites)))
            yield {"kind": "anti_affinity", "requests": [name], "label": "host", "most": most}


def _quotas(apps: Apps) -> Iterator[dict[str, Any]]:
    asked = apps.demand * apps.count[:, None]
    for tenant in sorted(set(apps.tenant.tolist())):
        inside = apps.tenant[apps.app_of] == tenant
        limits = asked[inside].sum(axis=0) * _QUOTA_PERCENT // 100
        yield {
            "kind": "quotas",
            "requests": [tenant_name(tenant)],
            "limits": dict(zip(RESOURCES, limits.tolist(), strict=True)),
        }


def tenant_name(tenant: int) -> str:
    """``tenant-07``."""
    return f"tenant-{tenant + 1:02}"


def _windows(layout: Layout, requests: list[str]) -> dict[str, Any]:
    """Every pool is a cluster in which machines move, and so a scope: Standard covers two machines, Datacenter all."""
    cores = {"metric": "per_core", "per_socket_minimum": 8, "per_host_minimum": 16, "pack_size": 2}
    return {
        "kind": "licences",
        "products": [
            {
                "name": "windows-server",
                "requests": requests,
                "scopes": {pool: [pool] for pool in layout.pool_ids},
                "alternatives": [
                    {"name": "standard", "covers": 2, "pack_cost_micros": _STANDARD_MICROS // 8, **cores},
                    {"name": "datacenter", "pack_cost_micros": _DATACENTER_MICROS // 8, **cores},
                ],
            }
        ],
        "processors": {pool: {"sockets": 2, "cores_per_socket": _CORES} for pool in layout.pool_ids},
    }
