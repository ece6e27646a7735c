"""An estate as a workbook that looks like an RVTools export, for the many tools that read these.

What the estate does not know stays empty; nothing is made up. Of a large estate only the packed
file is held in memory, and the same estate gives the same bytes.
"""

import io
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import xlsxwriter  # type: ignore[import-untyped]  # ships no type information

from catalog.estates import Estate, EstateDatastore, EstateHost, EstateMachine, EstatePool, PowerState
from catalog.wording import counted
from tierwise.errors import InvalidInput
from tierwise.estates.rvtools.headings import HEADINGS
from tierwise.estates.tables import token
from tierwise.reports.files import write_whole

_POWER = {PowerState.ON: "poweredOn", PowerState.OFF: "poweredOff", PowerState.SUSPENDED: "suspended"}
_CREATED = datetime(2000, 1, 1, tzinfo=UTC).replace(tzinfo=None)
"""When the file says that it was made: a fixed moment, as the clock would give other bytes each time."""
_MOST_ROWS = 1_048_575
_NETWORKS = 8
TENANT = "Tenant"
"""The custom attribute that the import takes for the tenant."""

Row = Mapping[str, object]


def workbook(estate: Estate, target: Path) -> tuple[str, ...]:
    """Write the workbook; gives notes about what it has no place for.

    Raises InvalidInput where a sheet cannot hold so many rows, and TierwiseError where the file cannot be written.
    """
    if len(estate.machines) > _MOST_ROWS:
        msg = f"{target}: a sheet holds {_MOST_ROWS:,} rows, and the estate has {len(estate.machines):,} machines; write .json"
        raise InvalidInput(msg)
    packed = io.BytesIO()
    options = {"constant_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(packed, options) as book:
        _fill(book, estate)
    write_whole(target, packed.getvalue())
    return tuple(_left_out(estate))


def _fill(book: Any, estate: Estate) -> None:
    book.set_properties({"created": _CREATED})
    bold = book.add_format({"bold": True})
    for name, (headings, rows) in _sheets(estate).items():
        sheet = book.add_worksheet(name)
        sheet.freeze_panes(1, 1)
        sheet.write_row(0, 0, headings, bold)
        for number, row in enumerate(rows, start=1):
            _write(sheet, number, headings, row)


def _write(sheet: Any, number: int, headings: tuple[str, ...], row: Row) -> None:
    for column, heading in enumerate(headings):
        value = row.get(heading)
        if isinstance(value, int | float) and not isinstance(value, bool):
            sheet.write_number(number, column, value)
        elif value not in {None, ""}:
            sheet.write_string(number, column, str(value)[:32_767])


def _sheets(estate: Estate) -> dict[str, tuple[tuple[str, ...], Iterable[Row]]]:
    attributes = attribute_headings(estate)
    sheets: dict[str, Iterable[Row]] = {
        "vInfo": (_vinfo(one, attributes) for one in estate.machines),
        "vCPU": (_about(one, {"CPUs": one.vcpus}) for one in estate.machines),
        "vMemory": (_about(one, {"Size MiB": one.memory_mib}) for one in estate.machines),
        "vNetwork": (_about(one, {"Network": name}) for one in estate.machines for name in one.networks),
        "vTools": (_about(one, {}) for one in estate.machines),
        "vCluster": (_vcluster(one, estate) for one in estate.pools),
        "vHost": _vhosts(estate),
        "vDatastore": map(_vdatastore, estate.datastores),
        "vMetaData": [_metadata(estate)],
    }
    tenant = (TENANT,) if any(one.tenant for one in estate.machines) else ()
    more = {"vInfo": (*tenant, *attributes.values())}
    return {name: (HEADINGS[name] + more.get(name, ()), rows) for name, rows in sheets.items()}


def attribute_headings(estate: Estate) -> dict[str, str]:
    """Label -> heading. RVTools gives custom attributes columns of their own, and so do we."""
    labels = dict.fromkeys(label for one in estate.machines for label in one.labels)
    taken = {token(name) for name in (*HEADINGS["vInfo"], TENANT, "application")}
    return {label: label if token(label) not in taken else f"{label} (label)" for label in labels}


def _identity(one: EstateMachine) -> Row:
    """Under the heading that an importer looks for it."""
    try:
        return {"VM UUID": str(uuid.UUID(one.id))} if len(one.id) == 36 else _by_id(one)
    except ValueError:
        return _by_id(one)


def _by_id(one: EstateMachine) -> Row:
    return {} if one.id == one.name else {"VM ID": one.id}


def _about(one: EstateMachine, values: Row) -> Row:
    """What every sheet about machines repeats."""
    return {
        "VM": one.name,
        "Powerstate": _POWER.get(one.power),
        "Template": "False",
        "Folder": one.folder,
        "Datacenter": one.site,
        "Cluster": one.pool,
        "Host": one.host,
        "OS according to the configuration file": one.guest_os,
        **_identity(one),
        **values,
    }


def _vinfo(one: EstateMachine, attributes: Mapping[str, str]) -> Row:
    networks = {f"Network #{n}": name for n, name in enumerate(one.networks[:_NETWORKS], start=1)}
    labels = {attributes[name]: value for name, value in one.labels.items()}
    return _about(
        one,
        {
            "CPUs": one.vcpus,
            "Memory": one.memory_mib,
            "NICs": len(one.networks) or None,
            "Disks": one.disks or None,
            "vApp": one.application,
            "Provisioned MiB": one.provisioned_mib or None,
            "In Use MiB": one.in_use_mib or None,
            "Firmware": one.firmware,
            "Path": f"[{one.datastores[0]}]" if one.datastores else None,
            **networks,
            **labels,
            TENANT: one.tenant,
        },
    )


def _vcluster(pool: EstatePool, estate: Estate) -> Row:
    hosts = estate.hosts_of(pool.name)
    return {
        "Name": pool.name,
        "NumHosts": len(hosts),
        "NumCpuCores": sum(one.cores for one in hosts) or None,
        "TotalCpu": sum(one.cores * one.cpu_mhz for one in hosts) or None,
        "TotalMemory": sum(one.memory_mib for one in hosts) or None,
        "HA enabled": _said(pool.ha_enabled),
        "Failover Level": pool.ha_host_failures,
        "AdmissionControlEnabled": "True" if pool.ha_host_failures is not None else None,
        "DRS enabled": _said(pool.drs_enabled),
    }


def _said(value: bool | None) -> str | None:
    return None if value is None else str(value)


def _vhosts(estate: Estate) -> Iterator[Row]:
    machines: dict[str, int] = {}
    for one in estate.machines:
        machines[one.host] = machines.get(one.host, 0) + 1
    for host in estate.hosts:
        yield _vhost(host, machines.get(host.name, 0))


def _vhost(host: EstateHost, machines: int) -> Row:
    per_socket, rest = divmod(host.cores, host.sockets) if host.sockets else (0, 1)
    return {
        "Host": host.name,
        "Datacenter": host.site,
        "Cluster": host.pool,
        "in Maintenance Mode": str(host.in_maintenance),
        "CPU Model": host.cpu_model,
        "Speed": host.cpu_mhz or None,
        "# CPU": host.sockets or None,
        "Cores per CPU": per_socket if not rest else None,
        "# Cores": host.cores or None,
        "# Memory": host.memory_mib or None,
        "# VMs total": machines,
        "Model": host.model,
        "ESX Version": host.version,
    }


def _vdatastore(one: EstateDatastore) -> Row:
    return {
        "Name": one.name,
        "Type": one.kind,
        "Capacity MiB": one.capacity_mib,
        "In Use MiB": one.in_use_mib,
        "Free MiB": max(0, one.capacity_mib - one.in_use_mib),
        "# Hosts": len(one.hosts) or None,
        "Hosts": ", ".join(one.hosts),
    }


def _metadata(estate: Estate) -> Row:
    return {
        "xlsx creation datetime": estate.taken_at.isoformat() if estate.taken_at else None,
        "Server": estate.name,
    }


def _left_out(estate: Estate) -> Iterator[str]:
    counts: tuple[tuple[str, Callable[[EstateMachine], bool]], ...] = (
        (
            "measured utilization, of which RVTools has only a moment",
            lambda one: bool(one.utilization.samples),
        ),
        ("datastores after the first", lambda one: len(one.datastores) > 1),
    )
    for what, has in counts:
        number = sum(map(has, estate.machines))
        if number:
            yield f"{counted(number, 'machine', 'has', 'have')} {what}: such a workbook has no place for it; .json keeps everything"
    threads = sum(one.cores_are_threads for one in estate.hosts)
    if threads:
        yield f"{counted(threads, 'host', 'tells', 'tell')} threads and no cores: # Cores of the workbook is threads there; .json says so"
    if estate.dropped:
        yield f"{counted(len(estate.dropped), 'row')} that the import dropped {'is' if len(estate.dropped) == 1 else 'are'} not in the workbook"
