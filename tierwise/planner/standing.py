"""The world of a document before anything changes: its pools and hosts as the estate and the document have them."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from catalog.estates.model import MIB_PER_GIB, Estate, EstateHost, EstatePool
from catalog.pools import Hypervisor
from catalog.problems import Path
from catalog.wording import counted, first_few, known_names
from tierwise.planner.document import Pool, WhatIf
from tierwise.planner.selecting import PoolLike
from tierwise.planner.world import Block, PoolState, World

Mistakes = list[tuple[Path, str]]


@dataclass(frozen=True)
class Standing:
    """The world, what is wrong with the document's pools, and what a planner should know."""

    world: World
    mistakes: tuple[tuple[Path, str], ...]
    notes: tuple[str, ...]


def standing(document: WhatIf, estate: Estate) -> Standing:
    """The world of today; mistakes where the document's pools and the estate's do not fit each other."""
    mistakes: Mistakes = list(_pool_mistakes(document, estate))
    notes: list[str] = []
    disks = _disks(estate, notes)
    known = {one.name: one for one in estate.pools}
    pools: dict[str, PoolState] = {}
    blocks: list[Block] = []
    for name, pool in document.pools.items():
        pools[name] = _state(document, pool, known.get(name), estate.hosts_of(name), disks)
        blocks += _blocks(pool, estate.hosts_of(name), notes)
    notes += _host_notes(estate)
    bare = [
        name
        for name, pool in pools.items()
        if not pool.new and not any(one.pool == name and one.today for one in blocks)
    ]
    if bare:
        notes.append(
            f"the source has no hosts of {first_few(bare)}: today "
            "costs and licenses nothing for them, and plans have no room there"
        )
    world = World(
        pools=pools, blocks=tuple(blocks), rules=dict(document.rules), sized_by=document.sizing.by
    )
    return Standing(world, tuple(mistakes), tuple(notes))


def _pool_mistakes(document: WhatIf, estate: Estate) -> Iterator[tuple[Path, str]]:
    there = list(estate.pool_names())
    listed = {one.name for one in estate.pools}
    for name, pool in document.pools.items():
        if pool.new and name in there:
            yield (
                ("pools", name, "new"),
                f"the estate has a pool '{name}' already; remove 'new', or name it otherwise",
            )
        elif not pool.new and name not in there:
            more = "; for one that does not exist yet say new: true"
            yield ("pools", name), f"the estate has no pool '{name}'; {known_names(name, there)}{more}"
        elif not pool.new and pool.hypervisor is None and name not in listed:
            yield (
                ("pools", name),
                "the estate does not say what runs these hosts; say it under 'hypervisor'",
            )
        if pool.new and not pool.hosts:
            yield ("pools", name), "a new pool has no hosts; say which could be bought under 'hosts'"
    missing = [name for name in there if name not in document.pools]
    if missing:
        yield (
            ("pools",),
            f"the estate has pools that are not here: {', '.join(missing[:8])}; give each its tier",
        )


def _state(
    document: WhatIf,
    pool: Pool,
    known: EstatePool | None,
    hosts: tuple[EstateHost, ...],
    disks: Mapping[str, int],
) -> PoolState:
    site = pool.site or (known.site if known else "") or next((one.site for one in hosts if one.site), "")
    hypervisor = pool.hypervisor or (known.hypervisor if known else Hypervisor.VSPHERE)
    labels = {**(known.labels if known else {}), **pool.labels}
    region = pool.region or document.region
    return PoolState(
        like=PoolLike(
            name=pool.name, tier=pool.tier, hypervisor=hypervisor, site=site, region=region, labels=labels
        ),
        new=pool.new,
        manager=pool.manager or f"{hypervisor.value} of {site or 'nowhere'}",
        losses=pool.losses,
        overcommit=pool.overcommit or document.overcommit,
        reserved_memory_mib=pool.reserved_memory_mib,
        threads_per_core=pool.threads_per_core,
        disk_gib=disks.get(pool.name) if pool.disk_gib is None else pool.disk_gib,
        least_hosts=pool.least_hosts,
    )


def _blocks(pool: Pool, hosts: tuple[EstateHost, ...], notes: list[str]) -> Iterator[Block]:
    """Equal hosts that are there, and types that could be bought."""
    equal = Counter(
        (one.model or "hosts", max(1, one.sockets), one.cores, one.memory_mib) for one in hosts if one.cores
    )
    by_threads = {
        (one.model or "hosts", max(1, one.sockets), one.cores, one.memory_mib)
        for one in hosts
        if one.cores_are_threads
    }
    alike = Counter((model, cores, memory_mib) for model, _, cores, memory_mib in equal)
    for (model, sockets, cores, memory_mib), count in sorted(equal.items()):
        even = -(-cores // sockets) * sockets
        if even != cores:
            notes.append(
                f"{pool.name}: {counted(cores, 'core', 'does', 'do')} not spread over {counted(sockets, 'socket')}; licences count {even}"
            )
        several = f"{counted(sockets, 'socket')}, " if alike[model, cores, memory_mib] > 1 else ""
        name = f"{pool.name}: {model} ({several}{cores} cores, {memory_mib} MiB)"
        yield Block(
            id=name, pool=pool.name, model=model, sockets=sockets, cores=cores, memory_mib=memory_mib,
            disk_gib=0, existing=count, most=count, today=count, raw_storage_gib=pool.raw_storage_gib or 0,
            cores_are_threads=(model, sockets, cores, memory_mib) in by_threads,
        )  # fmt: skip
    for kind in pool.hosts.values():
        yield Block(
            id=f"{pool.name}: {kind.name} (new)", pool=pool.name, model=kind.model or kind.name, sockets=kind.sockets,
            cores=kind.cores, memory_mib=kind.memory_mib, disk_gib=kind.disk_gib, existing=0, most=kind.most,
            type=kind.name, raw_storage_gib=kind.disk_gib,
        )  # fmt: skip


def _disks(estate: Estate, notes: list[str]) -> dict[str, int]:
    """Pool -> GiB of the datastores that its hosts reach; one that several pools reach is of that with most hosts there."""
    pool_of_host = {one.name: one.pool or one.name for one in estate.hosts}
    users: dict[str, Counter[str]] = {}
    for machine in estate.machines:
        for name in machine.datastores:
            users.setdefault(name, Counter())[estate.pool_of(machine)] += 1
    found: Counter[str] = Counter()
    several = []
    for store in estate.datastores:
        reach = Counter(pool_of_host[host] for host in store.hosts if host in pool_of_host)
        reach = reach or users.get(store.name, Counter())
        pools = sorted((name for name in reach if name), key=lambda name: (-reach[name], name))
        if not pools:
            notes.append(f"datastore '{store.name}' is reached from no pool and is left out")
            continue
        found[pools[0]] += store.capacity_mib
        several += [store.name] if len(pools) > 1 else []
    if several:
        notes.append(
            f"{len(several)} datastores are reached from several pools and count for the one with most hosts there: "
            f"{', '.join(several[:3])}{', ...' if len(several) > 3 else ''}"
        )
    return {pool: mib // MIB_PER_GIB for pool, mib in found.items() if mib}


def _host_notes(estate: Estate) -> Iterator[str]:
    resting = sum(one.in_maintenance for one in estate.hosts)
    if resting:
        yield f"{counted(resting, 'host', 'is', 'are')} in maintenance and counted as if not"
    unknown = [one.name for one in estate.hosts if not one.cores]
    if unknown:
        one, several = "has no cores in the source and is", "have no cores in the source and are"
        yield (
            f"{counted(len(unknown), 'host', one, several)} left out, of costs and licences too: {first_few(unknown)}"
        )
    threads = [one.name for one in estate.hosts if one.cores_are_threads]
    if threads:
        yield (
            f"{counted(len(threads), 'host', 'tells', 'tell')} threads and no cores: room and what is paid by core count each thread, and "
            f"licences of cores are refused there: {first_few(threads)}"
        )
    empty = [one.name for one in estate.hosts if one.cores and not one.memory_mib]
    if empty:
        one, several = "has no memory in the source and gives", "have no memory in the source and give"
        yield f"{counted(len(empty), 'host', one, several)} nothing: {first_few(empty)}"
    whole = [one.name for one in estate.hosts if one.cores and not one.sockets]
    if whole:
        yield (
            f"{counted(len(whole), 'host', 'does', 'do')} not say how many sockets there are, and licences count one for each: "
            f"{first_few(whole)}"
        )
    adrift = [one.name for one in estate.machines if not estate.pool_of(one)]
    if adrift:
        yield (
            f"{counted(len(adrift), 'machine', 'is', 'are')} in no pool: planned as yet to come, and carried by hand at "
            f"no cost; say in the source the host or pool of each: {first_few(adrift)}"
        )
