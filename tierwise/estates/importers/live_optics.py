"""Live Optics workbooks of a vSphere collector run: the sheets VMs, VM Performance and ESX Hosts."""

from collections.abc import Sequence
from typing import ClassVar

from catalog.estates import Estate
from tierwise.errors import InvalidInput
from tierwise.estates.findings import Findings
from tierwise.estates.importer import Importer
from tierwise.estates.plausible import check_plausible
from tierwise.estates.rvtools.details import note_units
from tierwise.estates.rvtools.machines import Lookup, MachineRows, RawMachine, identified
from tierwise.estates.rvtools.places import (
    RawHost,
    estate_hosts,
    estate_machine,
    estate_pools,
    note_hosts,
    places,
    read_hosts,
)
from tierwise.estates.sources import Source
from tierwise.estates.tables import Form, Table, find, lacking, must_have, settled, usable

VMS = Form(
    "VMs",
    {
        "name": ("vmname", "name", "vm", "virtualmachine"),
        "uuid": ("vmuuid", "uuid"),
        "vm_id": ("mobid", "moref", "vmid"),
        "vcenter": ("vcenter",),
        "site": ("datacenter",),
        "pool": ("cluster",),
        "host": ("hostname", "host", "esxhost"),
        "power": ("powerstate",),
        "template": ("template", "istemplate"),
        "vcpus": ("virtualcpu", "vcpu", "virtualcpus"),
        "memory": ("provisionedmemory", "memory"),
        "active_memory": ("usedmemoryactive", "activememory"),
        "provisioned": ("virtualdisksize", "disksize"),
        "in_use": ("virtualdiskused", "diskused"),
        "os_config": ("vmos", "guestos", "os", "operatingsystem"),
    },
    needs=frozenset({"name", "vcpus", "memory", "provisioned"}),
    must=frozenset({"name", "vcpus", "memory"}),
    names=("vms",),
)
HOSTS = Form(
    "ESX Hosts",
    {
        "name": ("hostname", "host", "name", "esxhost"),
        "site": ("datacenter",),
        "pool": ("cluster",),
        "vcenter": ("vcenter",),
        "sockets": ("cpusockets", "sockets"),
        "cores": ("cpucores", "cores"),
        "memory": ("memory", "totalmemory"),
        "mhz": ("cpuspeed", "speed"),
        "cpu_model": ("cpudescription", "cpumodel", "cpu"),
        "vendor": ("manufacturer", "vendor"),
        "model": ("model",),
        "version": ("os", "esxversion", "version"),
    },
    needs=frozenset({"name", "cores"}),
    must=frozenset({"name"}),
    names=("esxhosts", "hosts"),
)
PERFORMANCE = Form(
    "VM Performance",
    {"name": ("vmname", "name", "vm"), "cpu_percent": ("avgcpu", "cpuutilization", "averagecpu", "cpuusage")},
    needs=frozenset({"name", "cpu_percent"}),
    names=("vmperformance",),
)  # fmt: skip


class LiveOptics(Importer):
    """Reads Live Optics workbooks."""

    kind: ClassVar[str] = "live-optics"
    summary: ClassVar[str] = "Live Optics workbook of a vSphere project"

    def recognises(self, source: Source) -> int:
        """By the sheet VMs with the columns that Live Optics gives it."""
        table = find(source.sheets, VMS, Findings(), by_columns=False)
        return 2 if table is not None and {"name", "vcpus"} <= table.columns.keys() else 0

    def lacks(self, source: Source) -> str:
        """The sheet VMs where the hosts are there, or its columns."""
        if any(VMS.names_sheet(sheet.name) for sheet in source.sheets):
            vms = find(source.sheets, VMS, Findings(), by_columns=False)
            titles = {"name": "VM Name", "vcpus": "Virtual CPU", "power": "Power State", "host": "Host"}
            return lacking(vms, titles)
        hosts = any(HOSTS.names_sheet(sheet.name) for sheet in source.sheets)
        return "the sheet 'VMs'" if hosts else ""

    def read(self, source: Source) -> Estate:
        """Machines and hosts. Raises InvalidInput where there are no machines."""
        findings = source.findings
        vms = find(source.sheets, VMS, findings)
        if vms is None:
            msg = f"{source.path}: has no sheet VMs; export the project's workbook again"
            raise InvalidInput(msg)
        must_have(vms, source.path)
        note_units(vms, findings)
        rows, raw = settled(vms, _machines)
        machines = identified(raw, vms.name, findings)
        if not machines:
            msg = f"{source.path}: sheet '{vms.name}' has no machines; export the project's workbook again"
            raise InvalidInput(msg)
        _add_use(source, machines, findings)
        where = places(machines, _hosts(source, findings), findings)
        estate_machines = tuple(estate_machine(one, where) for one in machines)
        check_plausible(vms.name, estate_machines, findings)
        note_hosts(estate_machines, where, findings)
        return Estate(
            name=source.name,
            source=f"Live Optics workbook {source.path.name}"[:1000],
            machines=estate_machines,
            hosts=estate_hosts(where),
            pools=estate_pools(None, where),
            dropped=tuple(findings.dropped),
            notes=findings.notes(),
            templates=rows.templates,
        )


def _machines(table: Table) -> tuple[MachineRows, list[RawMachine]]:
    rows = MachineRows(table, with_labels=False)
    return rows, rows.read()


def _hosts(source: Source, findings: Findings) -> list[RawHost]:
    try:
        table = usable(find(source.sheets, HOSTS, findings, by_columns=False), findings)
        if table is not None:
            note_units(table, findings)
            return settled(table, read_hosts)
    except InvalidInput as error:
        findings.note(f"{error}; the rest was imported without it")
        return []
    findings.note("there is no sheet ESX Hosts that can be read: hosts are not known")
    return []


def _add_use(source: Source, machines: Sequence[RawMachine], findings: Findings) -> None:
    """How busy machines were, as far as VM Performance has a column that says so in percent."""
    try:
        table = find(source.sheets, PERFORMANCE, findings, by_columns=False)
        if table is not None and PERFORMANCE.needs <= table.columns.keys():
            settled(table, lambda found: _take_use(found, Lookup(machines)))
    except InvalidInput as error:
        findings.note(f"{error}; the rest was imported without it")


def _take_use(table: Table, lookup: Lookup) -> None:
    for cells in table.rows():
        one = lookup.find(table, cells)
        value = table.number(cells, "cpu_percent")
        if one is not None and value is not None:
            one.cpu_percent = round(float(value), 2)
