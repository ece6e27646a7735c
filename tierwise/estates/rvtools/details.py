"""What other sheets know about the machines of vInfo, and what stands in for columns that vInfo lacks."""

import re
from collections import defaultdict
from collections.abc import Callable, Sequence

from catalog.estates import PowerState
from tierwise.errors import InvalidInput
from tierwise.estates.cells import Cell
from tierwise.estates.findings import Findings
from tierwise.estates.rvtools.forms import VCPU, VDISK, VMEMORY, VNETWORK
from tierwise.estates.rvtools.machines import Lookup, RawMachine, percent
from tierwise.estates.sources import Source
from tierwise.estates.tables import Form, Table, decimal_units, find, settled, usable

_DATASTORE = re.compile(r"\[(?P<name>[^\]]+)\]")


Take = Callable[[Table, Table, Lookup, Findings], None]


def add_details(source: Source, vinfo: Table, machines: Sequence[RawMachine], findings: Findings) -> None:
    """Fill what vInfo does not say from vCPU, vMemory, vDisk and vNetwork; a sheet that is damaged is named, and skipped."""
    lookup = Lookup(machines)
    for form, take in ((VCPU, _processors), (VMEMORY, _memory), (VDISK, _disks), (VNETWORK, _networks)):
        if form.name == vinfo.form.name or vinfo.name in {
            sheet.name for sheet in source.sheets if form.names_sheet(sheet.name)
        }:
            continue
        _add(source, form, take, vinfo, lookup, findings)


def _add(
    source: Source,
    form: Form,
    take: Take,
    vinfo: Table,
    lookup: Lookup,
    findings: Findings,
) -> None:
    try:
        table = usable(find(source.sheets, form, findings, by_columns=False), findings)
        if table is None:
            return
        note_units(table, findings)
        settled(table, lambda found: take(found, vinfo, lookup, findings))
    except InvalidInput as error:
        findings.note(f"{error}; the rest was imported without it")


def note_units(table: Table, findings: Findings) -> None:
    """Say of headings in MB or GB that they were read as MiB and GiB."""
    if headings := decimal_units(table):
        said = ", ".join(f"'{heading}'" for heading in headings)
        findings.note(f"{table.name}: {said} were read in steps of 1,024 (1 MB = 1 MiB), as RVTools counts")


def _processors(table: Table, vinfo: Table, lookup: Lookup, findings: Findings) -> None:
    """vCPU: how busy a machine was at that moment; its vCPUs and guest where vInfo does not say."""
    counts = not vinfo.has("vcpus") and table.has("vcpus")
    if counts:
        findings.note(f"{vinfo.name} has no column 'CPUs': vCPUs were taken from {table.name}")
    for cells in table.rows():
        one = lookup.find(table, cells)
        if one is None:
            continue
        if counts:
            one.vcpus = table.whole(cells, "vcpus")
        one.guest_os = one.guest_os or table.text(cells, "os_config") or table.text(cells, "os_tools")
        if one.cpu_percent is None and one.power is PowerState.ON:
            one.cpu_percent = _share(table, cells, "used_mhz", "max_mhz")


def _share(table: Table, cells: Sequence[Cell], part: str, whole: str) -> float | None:
    used, most = table.number(cells, part), table.number(cells, whole)
    return percent(float(used), float(most)) if used is not None and most else None


def _memory(table: Table, vinfo: Table, lookup: Lookup, findings: Findings) -> None:
    """vMemory: what was active at that moment; the size where vInfo does not say."""
    sizes = not vinfo.has("memory") and table.has("size")
    if sizes:
        findings.note(f"{vinfo.name} has no column 'Memory': memory was taken from {table.name}")
    for cells in table.rows():
        one = lookup.find(table, cells)
        if one is None:
            continue
        if sizes:
            one.memory_mib = table.whole(cells, "size")
        if one.memory_percent is None and one.power is PowerState.ON:
            active = table.number(cells, "active")
            one.memory_percent = percent(float(active), one.memory_mib) if active is not None else None


def _disks(table: Table, vinfo: Table, lookup: Lookup, findings: Findings) -> None:
    """vDisk: the datastores; how many disks and how large where vInfo does not say."""
    sizes = not vinfo.has("provisioned") and not vinfo.has("disk_total") and table.has("capacity")
    if sizes:
        findings.note(
            f"{vinfo.name} has no column 'Provisioned MiB': the capacities of {table.name} were added up"
        )
    counts = not vinfo.has("disks")
    capacity: dict[int, int] = defaultdict(int)
    found: dict[int, RawMachine] = {}
    number: dict[int, int] = defaultdict(int)
    for cells in table.rows():
        one = lookup.find(table, cells)
        if one is None:
            continue
        found[one.row] = one
        number[one.row] += 1
        capacity[one.row] += table.whole(cells, "capacity") if sizes else 0
        path = table.text(cells, "path") or table.text(cells, "path_2")
        one.datastores += [name for name in _DATASTORE.findall(path)[:1] if name not in one.datastores]
    for row, one in found.items():
        one.provisioned_mib = capacity[row] if sizes else one.provisioned_mib
        one.disks = min(number[row], 100_000) if counts else one.disks


def _networks(table: Table, _vinfo: Table, lookup: Lookup, _findings: Findings) -> None:
    """vNetwork: the networks beyond those that vInfo has columns for."""
    for cells in table.rows():
        one = lookup.find(table, cells)
        name = table.text(cells, "network")
        if one is not None and name and name not in one.networks:
            one.networks.append(name)
