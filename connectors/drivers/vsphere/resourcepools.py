"""Resource pools below a cluster's root pool: which there are, and which one a new machine goes to."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from connectors.contract import VmSpec
from connectors.drivers.vsphere import traits
from connectors.drivers.vsphere.estate import root
from connectors.drivers.vsphere.inventory import Provider, shown_name
from connectors.drivers.vsphere.session import CUT_OFF, Op, Properties, Satisfied, read_view, ref_id
from connectors.errors import NotFound, Refused

TRAIT = "CUSTOM_RESOURCE_POOL_"
"""What the traits of resource pools begin with."""


class ResourcePool(NamedTuple):
    """A resource pool; `path` is where it is, below the root pool of its cluster: ``a/b``."""

    ref: str
    path: str
    trait: str


def of_providers(op: Op, providers: Iterable[Provider]) -> Satisfied:
    """The traits of each provider's resource pools, by its managed object id. What cannot be read is no failure.

    A trait that two resource pools of a provider have is left out and told: which of them it means nobody can say.
    """
    found: dict[str, frozenset[str]] = {}
    problems: list[str] = []
    try:
        # With the other half of the time the rest of the call goes on where vCenter is slow.
        with op.session.deadline.share(2):
            rows = _rows(op, root(op))
    except CUT_OFF:
        raise
    except op.session.failures as error:
        why = op.session.meaning(op.endpoint, op.name, error).why
        return Satisfied(found, f"resource pools cannot be read: {why}")
    for provider in providers:
        alike: dict[str, list[str]] = {}
        for pool in _below(rows, provider):
            alike.setdefault(pool.trait, []).append(pool.path)
        found[provider.ref] = frozenset(trait for trait, paths in alike.items() if len(paths) == 1)
        problems += (
            f"{_several(provider, paths)} are both {trait}, which is not offered"
            for trait, paths in sorted(alike.items())
            if len(paths) > 1
        )
    return Satisfied(found, "; ".join(problems))


def wanted(op: Op, spec: VmSpec, provider: Provider) -> Any:
    """The resource pool that the machine's order requires; None for none. Raises NotFound, Refused."""
    trait = traits.required(op, spec, TRAIT, "resource pool")
    if trait is None:
        return None
    kind = op.session.vim.ResourcePool
    known = _below(_rows(op, op.session.object(kind, provider.row["resourcePool"])), provider)
    found = [pool for pool in known if pool.trait == trait]
    if len(found) > 1:
        why = f"{_several(provider, [pool.path for pool in found])} are both {trait}"
        raise op.error(Refused, why, hint="rename one in vCenter")
    if not found:
        there = ", ".join(sorted({pool.trait for pool in known})) or "none"
        hint = f"there are: {there}; make it in vCenter, or change what the order's class and rules require"
        raise op.error(NotFound, f"cluster '{provider.name}' has no resource pool {trait}", hint=hint)
    return op.session.object(kind, found[0].ref)


def _rows(op: Op, top: Any) -> dict[str, Properties]:
    """All resource pools below an object. vApps are some too, and take no machines by a folder's call."""
    kind = op.session.vim.ResourcePool
    read = read_view(op.session, {kind: ("name", "parent")}, top)
    return {ref_id(pool): row for pool, row in read if type(pool) is kind}


def _below(rows: dict[str, Properties], provider: Provider) -> list[ResourcePool]:
    """The provider's resource pools but for its root pool."""
    found = []
    for ref, row in rows.items():
        path = _path(rows, ref, provider.row["resourcePool"])
        if path:
            trait = traits.of_name(TRAIT, shown_name(row["name"]))
            found.append(ResourcePool(ref, "/".join(path), trait))
    return sorted(found, key=lambda pool: pool.path)


def _path(rows: dict[str, Properties], ref: str, top: str) -> list[str]:
    """The names from below the root pool down; nothing for the root pool, and for what is not below it."""
    path: list[str] = []
    while ref != top:
        row = rows.get(ref)
        if row is None:
            return []
        path.insert(0, shown_name(row["name"]))
        ref = row.get("parent", "")
    return path


def _several(provider: Provider, paths: list[str]) -> str:
    names = " and ".join(f"'{path}'" for path in paths)
    return f"resource pools {names} of cluster '{provider.name}'"
