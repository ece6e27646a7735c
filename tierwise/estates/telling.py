"""An estate in words and rows, for people."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from catalog.estates import DroppedRow, Estate

_MIB_PER_TIB = 1024**2
_MIB_PER_GIB = 1024
_SHORT = {"vCLS agent machine": "vCLS"}
_COUNTABLE = frozenset({"template", "duplicate"})


def amount(mib: int) -> str:
    """``41.2 TiB``, ``812 GiB`` or ``40 MiB``."""
    if mib >= _MIB_PER_TIB:
        return f"{mib / _MIB_PER_TIB:,.1f} TiB"
    if mib >= _MIB_PER_GIB:
        return f"{mib / _MIB_PER_GIB:,.0f} GiB"
    return f"{mib:,} MiB"


def in_a_line(estate: Estate) -> str:
    """``2,318 machines (2,101 on), 9,842 vCPU, 41.2 TiB memory, 310.0 TiB disk (190.1 TiB in use); 64 hosts, ...``."""
    total = estate.totals
    used = f" ({amount(total.in_use_mib)} in use)" if total.in_use_mib else ""
    machines = "machine" if total.machines == 1 else "machines"
    hosts_ = "host" if total.hosts == 1 else "hosts"
    disk = f"{amount(total.provisioned_mib)} disk{used}"
    said = f"{total.machines:,} {machines} ({total.powered_on:,} on), {total.vcpus:,} vCPU, {amount(total.memory_mib)} memory"
    parts = [
        f"{said}, {disk}",
        f"{total.hosts:,} {hosts_}, {total.cores:,} cores, {amount(total.host_memory_mib)} memory",
        *([dropped(estate.dropped)] if estate.dropped else []),
    ]
    return "; ".join(parts)


def dropped(rows: tuple[DroppedRow, ...]) -> str:
    """``12 rows dropped: 9 templates, 3 vCLS``."""
    counts = Counter(one.reason for one in rows)
    said = ", ".join(
        f"{count:,} {_SHORT.get(reason, reason)}{'s' if reason in _COUNTABLE and count > 1 else ''}"
        for reason, count in counts.most_common()
    )
    return f"{len(rows):,} {'row' if len(rows) == 1 else 'rows'} dropped: {said}"


def totals(estate: Estate) -> dict[str, int]:
    """The ten figures by which imports are compared."""
    figures: dict[str, int] = estate.totals.model_dump()
    return figures


def pools(estate: Estate) -> list[dict[str, Any]]:
    """A row for each pool: what it has, and what its machines are sized to."""
    rows: dict[str, dict[str, Any]] = {}
    known = {one.name: one for one in estate.pools}
    for name in estate.pool_names():
        hosts = estate.hosts_of(name)
        pool = known.get(name)
        rows[name] = {
            "pool": name,
            "site": pool.site if pool else (hosts[0].site if hosts else ""),
            "hypervisor": pool.hypervisor.label if pool else "",
            "hosts": len(hosts),
            "cores": sum(one.cores for one in hosts),
            "host_memory_mib": sum(one.memory_mib for one in hosts),
            "machines": 0,
            "vcpus": 0,
            "memory_mib": 0,
            "provisioned_mib": 0,
        }
    for one in estate.machines:
        row = rows.get(estate.pool_of(one))
        if row is not None:
            _add(
                row,
                {
                    "machines": 1,
                    **{name: getattr(one, name) for name in ("vcpus", "memory_mib", "provisioned_mib")},
                },
            )
    return list(rows.values())


def _add(row: dict[str, Any], amounts: Mapping[str, int]) -> None:
    for name, value in amounts.items():
        row[name] += value


def hosts(estate: Estate) -> list[dict[str, Any]]:
    """A row for each host."""
    machines = Counter(one.host for one in estate.machines)
    vcpus: Counter[str] = Counter()
    for one in estate.machines:
        vcpus[one.host] += one.vcpus
    return [
        {
            "host": one.name,
            "pool": one.pool,
            "sockets": one.sockets,
            "cores": one.cores,
            "memory_mib": one.memory_mib,
            "machines": machines[one.name],
            "vcpus": vcpus[one.name],
            "version": one.version,
        }
        for one in estate.hosts
    ]


def largest(estate: Estate, count: int) -> list[dict[str, Any]]:
    """The machines with most memory, then most vCPUs."""
    ordered = sorted(estate.machines, key=lambda one: (-one.memory_mib, -one.vcpus, one.name, one.id))
    return [
        {
            "machine": one.name,
            "power": one.power.value,
            "vcpus": one.vcpus,
            "memory_mib": one.memory_mib,
            "provisioned_mib": one.provisioned_mib,
            "pool": estate.pool_of(one),
            "guest": one.guest_os,
        }
        for one in ordered[:count]
    ]
