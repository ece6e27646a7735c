"""Hosts, clusters and datastores: which sheet's name is which other sheet's."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from catalog.estates import EstateDatastore, EstateHost, EstateMachine, EstatePool, Utilization
from tierwise.estates.cells import Cell
from tierwise.estates.findings import Findings, some
from tierwise.estates.rvtools.machines import RawMachine, unlike
from tierwise.estates.tables import Table

_ADDRESS = re.compile(r"[\d.]+|.*:.*")
_NOWHERE = {"", "unknown"}
_UNKNOWN_USE = Utilization()

Where = tuple[str, str, str]
"""vCenter, datacenter and cluster, as the sheets write them."""


@dataclass(slots=True)
class RawHost:
    """A row of vHost."""

    row: int
    name: str
    vcenter: str
    site: str
    pool: str
    sockets: int
    cores: int
    memory_mib: int
    mhz: int
    cpu_model: str
    model: str
    version: str
    in_maintenance: bool
    final: str = ""

    @property
    def where(self) -> Where:
        """Which cluster it belongs to."""
        return (self.vcenter, self.site, self.pool)


def read_hosts(table: Table) -> list[RawHost]:
    """The hosts of vHost; a row that repeats another is dropped."""
    found: list[RawHost] = []
    seen: dict[tuple[str, Where], RawHost] = {}
    for cells in table.rows():
        name = table.name_of(cells, "name")
        if not name or name == table.columns["name"].heading:
            table.findings.drop(
                table.where, name, "no host name" if not name else "line of headings repeated"
            )
            continue
        one = _host(table, cells, name)
        before = seen.setdefault((name.casefold(), one.where), one)
        if before is not one:
            table.findings.drop(f"{table.where}, as row {before.row}", name, "duplicate")
            continue
        found.append(one)
    return found


def _host(table: Table, cells: Sequence[Cell], name: str) -> RawHost:
    sockets = min(table.whole(cells, "sockets"), 1024)
    cores = table.whole(cells, "cores") or sockets * table.whole(cells, "cores_per_socket")
    pool = table.text(cells, "pool")
    return RawHost(
        row=table.row,
        name=name,
        vcenter=table.text(cells, "vcenter").lower(),
        site=table.text(cells, "site"),
        pool="" if pool.lower() in _NOWHERE else pool,
        sockets=sockets,
        cores=cores,
        memory_mib=table.whole(cells, "memory"),
        mhz=table.whole(cells, "mhz"),
        cpu_model=table.text(cells, "cpu_model"),
        model=" ".join(part for part in (table.text(cells, "vendor"), table.text(cells, "model")) if part),
        version=table.text(cells, "version"),
        in_maintenance=bool(table.truth(cells, "maintenance")),
    )


@dataclass
class Places:
    """Names that are unique in the estate, for what the sheets name by several columns."""

    hosts: Sequence[RawHost]
    pools: Mapping[Where, str]
    _by_name: dict[str, list[RawHost]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for one in self.hosts:
            for name in _spellings(one.name):
                self._by_name[name].append(one)

    def host_of(self, machine: RawMachine) -> RawHost | None:
        """The host of vHost that a machine names: in full, or by the part before the first point."""
        for name in _spellings(machine.host):
            found = self._by_name.get(name, [])
            if len(found) > 1:
                found = [
                    one for one in found if one.pool == machine.pool and one.site == machine.site
                ] or found
            if len(found) == 1:
                return found[0]
        return None

    def pool_of(self, machine: RawMachine, host: RawHost | None) -> str:
        """The estate's name for a machine's cluster; empty where it has none."""
        if not machine.pool:
            return self.pools.get(host.where, "") if host is not None and host.pool else ""
        return self.pools[machine.vcenter, machine.site, machine.pool]


def _spellings(host: str) -> Iterable[str]:
    """A name in lower case; and its first part, unless it is an address."""
    name = host.casefold()
    if not name:
        return ()
    short = name.partition(".")[0]
    return (name,) if _ADDRESS.fullmatch(name) or short == name else (name, short)


def places(
    machines: Sequence[RawMachine], hosts: Sequence[RawHost], findings: Findings, *, infer: bool = False
) -> Places:
    """Names for all hosts and clusters. `infer`: a host belongs to the cluster that all its machines name."""
    if infer:
        _infer(machines, Places(hosts, {}))
    wheres: dict[Where, None] = {one.where: None for one in hosts if one.pool}
    wheres |= {(one.vcenter, one.site, one.pool): None for one in machines if one.pool}
    _name_hosts(hosts, findings)
    return Places(hosts, _pool_names(list(wheres), findings))


def _infer(machines: Iterable[RawMachine], found: Places) -> None:
    said: dict[int, set[Where]] = defaultdict(set)
    for one in machines:
        host = found.host_of(one)
        if host is not None and one.pool:
            said[host.row].add((one.vcenter, one.site, one.pool))
    for host in found.hosts:
        if len(said[host.row]) == 1:
            ((host.vcenter, host.site, host.pool),) = said[host.row]


def _pool_names(wheres: Sequence[Where], findings: Findings) -> dict[Where, str]:
    """A cluster's own name where it is the only one of that name, else with its datacenter, else with its vCenter."""
    # A vCenter is named by its UUID in one sheet and not at all in another: only where both say one does it tell apart.
    found: dict[Where, str] = {}
    for where in wheres:
        vcenter, site, pool = where
        others = [one for one in wheres if one[2] == pool and _differ(one, where)]
        if any(one[1] == site for one in others):
            found[where] = f"{vcenter}/{site}/{pool}"
        else:
            found[where] = f"{site}/{pool}" if others and site else pool
        if others:
            findings.count(
                "clusters",
                "names that several have, which are told apart by datacenter or vCenter",
                f"'{found[where]}'",
            )
    return found


def _differ(one: Where, other: Where) -> bool:
    return any(a != b for a, b in zip(one[:2], other[:2], strict=True) if a and b)


def _name_hosts(hosts: Iterable[RawHost], findings: Findings) -> None:
    taken: set[str] = set()
    for one in hosts:
        one.final = unlike(one.name, taken, [f"({one.pool or one.site})"])
        if one.final != one.name:
            findings.count("hosts", "names that several have", f"'{one.final}'")
        taken.add(one.final)


def estate_hosts(found: Places) -> tuple[EstateHost, ...]:
    """The hosts as the estate has them."""
    return tuple(
        EstateHost(
            name=one.final,
            pool=found.pools[one.where] if one.pool else "",
            site=one.site,
            sockets=one.sockets,
            cores=one.cores,
            memory_mib=one.memory_mib,
            cpu_mhz=one.mhz,
            cpu_model=one.cpu_model,
            model=one.model,
            version=one.version,
            in_maintenance=one.in_maintenance,
        )
        for one in found.hosts
    )


def estate_machine(one: RawMachine, where: Places) -> EstateMachine:
    """The machine as the estate has it."""
    host = where.host_of(one)
    seen = one.cpu_percent is not None or one.memory_percent is not None
    usage = Utilization(cpu_percent=one.cpu_percent, memory_percent=one.memory_percent, samples=int(seen))
    return EstateMachine(
        id=one.id,
        name=one.name,
        power=one.power,
        vcpus=one.vcpus,
        memory_mib=one.memory_mib,
        provisioned_mib=one.provisioned_mib,
        in_use_mib=one.in_use_mib,
        guest_os=one.guest_os,
        host=host.final if host is not None else one.host,
        pool=where.pool_of(one, host),
        site=one.site or (host.site if host is not None else ""),
        folder=one.folder,
        application=one.application,
        tenant=one.tenant,
        datastores=tuple(one.datastores),
        networks=tuple(one.networks),
        disks=one.disks,
        firmware=one.firmware,
        labels=one.labels,
        utilization=usage if seen else _UNKNOWN_USE,
    )


def note_hosts(machines: Sequence[EstateMachine], where: Places, findings: Findings) -> None:
    """Say which hosts have no machine, and which machines are on hosts that nothing is known of."""
    known = {one.final for one in where.hosts}
    used = {one.host for one in machines}
    idle = sorted(known - used)
    if idle:
        findings.note(f"hosts without a machine: {len(idle):,} of {len(known):,}, such as {some(idle)}")
    strangers = sorted(used - known - {""})
    if strangers and known:
        count = sum(one.host in set(strangers) for one in machines)
        findings.note(
            f"machines on hosts that the sheet of hosts does not have: {count:,}, on {some(strangers)}; nothing is known of "
            "such hosts' cores and memory"
        )


def estate_pools(table: Table | None, found: Places) -> tuple[EstatePool, ...]:
    """A pool for each cluster that a machine or host names, and for each that vCluster alone names."""
    settings: dict[str, dict[str, object]] = {}
    if table is not None and table.has("name"):
        for cells in table.rows():
            name = table.text(cells, "name")
            if name:
                settings.setdefault(name, _cluster(table, cells))
    pools: dict[str, EstatePool] = {}
    for (_, site, cluster), name in found.pools.items():
        pools.setdefault(
            name, EstatePool.model_validate({"name": name, "site": site, **settings.get(cluster, {})})
        )
    named = {cluster for _, _, cluster in found.pools}
    for cluster, said in settings.items():
        if cluster not in named:
            pools.setdefault(cluster, EstatePool.model_validate({"name": cluster, **said}))
    return tuple(pools.values())


def _cluster(table: Table, cells: Sequence[Cell]) -> dict[str, object]:
    failures = table.number(cells, "failover")
    admission = table.truth(cells, "admission")
    kept = failures is not None and failures <= 64 and admission is not False
    return {
        "ha_enabled": table.truth(cells, "ha"),
        "ha_host_failures": int(failures) if kept and failures is not None else None,
        "drs_enabled": table.truth(cells, "drs"),
    }


def read_datastores(table: Table) -> list[EstateDatastore]:
    """The datastores; one that several vCenters list under the same address is one."""
    found: list[EstateDatastore] = []
    taken: set[str] = set()
    seen: dict[tuple[str, str], int] = {}
    for cells in table.rows():
        name = table.text(cells, "name")
        if not name or name == table.columns["name"].heading:
            table.findings.drop(
                table.where, name, "no datastore name" if not name else "line of headings repeated"
            )
            continue
        before = seen.setdefault((name, table.text(cells, "url")), table.row)
        if before != table.row:
            table.findings.drop(f"{table.where}, as row {before}", name, "duplicate")
            continue
        final = unlike(name, taken)
        taken.add(final)
        found.append(_datastore(table, cells, final))
    return found


def _datastore(table: Table, cells: Sequence[Cell], name: str) -> EstateDatastore:
    capacity = table.whole(cells, "capacity")
    free = table.number(cells, "free")
    in_use = table.whole(cells, "in_use")
    if not table.has("in_use") and free is not None:
        in_use = max(0, capacity - int(free))
    return EstateDatastore(
        name=name,
        capacity_mib=capacity,
        in_use_mib=in_use,
        kind=table.text(cells, "kind"),
        hosts=tuple(host for host in table.texts(cells, "hosts") if not host.isdecimal()),
    )
