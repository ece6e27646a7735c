"""RVTools: workbooks of any version, and its CSV files in a folder or zip."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import ClassVar, TypeVar

from catalog.estates import Estate, EstateDatastore, EstatePool
from catalog.wording import counted
from tierwise.errors import InvalidInput
from tierwise.estates.cells import MAX_TEXT, moment
from tierwise.estates.findings import Findings, some
from tierwise.estates.importer import Importer
from tierwise.estates.plausible import check_plausible
from tierwise.estates.rvtools.details import add_details, note_units
from tierwise.estates.rvtools.forms import SHEETS, VCLUSTER, VCPU, VDATASTORE, VHOST, VINFO, VMETADATA
from tierwise.estates.rvtools.machines import MachineRows, RawMachine, identified
from tierwise.estates.rvtools.places import (
    Places,
    estate_hosts,
    estate_machine,
    estate_pools,
    note_hosts,
    places,
    read_datastores,
    read_hosts,
)
from tierwise.estates.sources import Sheet, Source
from tierwise.estates.tables import Form, Table, find, must_have, settled, usable

_STAND_INS = (
    ("power", "Powerstate", "no machine counts as powered on"),
    ("in_use", "In Use MiB", "disk in use counts as 0"),
    ("host", "Host", "no machine has a host"),
    ("pool", "Cluster", "machines belong to the clusters of their hosts, where these are known"),
    ("site", "Datacenter", "machines stand where their hosts do, where that is known"),
    ("template", "Template", "templates cannot be told from machines"),
)


_STAND_INS_OF_HOSTS = (
    ("sockets", "# CPU", "sockets are not known, and licences that count them take one for each host"),
    ("cores", "# Cores", "sockets times cores per socket were taken, where these are known"),
    ("memory", "# Memory", "hosts have no memory here"),
    ("pool", "Cluster", "a host belongs to the cluster of its machines, where these are all of one"),
)

T = TypeVar("T")


class RvTools(Importer):
    """Reads RVTools exports."""

    kind: ClassVar[str] = "rvtools"
    summary: ClassVar[str] = "RVTools workbook, or a folder or zip of its CSV files"

    def recognises(self, source: Source) -> int:
        """By the name vInfo, or by a sheet that has its columns."""
        if any(VINFO.names_sheet(sheet.name) or VCPU.names_sheet(sheet.name) for sheet in source.sheets):
            return 3
        if find(_renamed(source), VINFO, Findings()) is not None:
            return 1
        # Sheets of RVTools without the one that has the machines: reading it says which one is missing.
        return int(any(form.names_sheet(sheet.name) for form in _named() for sheet in source.sheets))

    def read(self, source: Source) -> Estate:
        """All that is known about the estate. Raises InvalidInput where there is no sheet of machines, or none in it."""
        findings = source.findings
        vinfo = _vinfo(source, findings)
        note_units(vinfo, findings)
        rows, found = settled(vinfo, _machines)
        machines = identified(found, vinfo.name, findings)
        _note_missing(vinfo, findings)
        if rows.placeholders:
            findings.note(f"{vinfo.name}: {rows.placeholders:,} SRM placeholders are counted as machines")
        add_details(source, vinfo, machines, findings)
        _note_unknown(vinfo, machines, findings)
        where, pools, datastores = _surroundings(source, machines, findings)
        if not machines:
            _without_machines(source, vinfo, where, findings)
        estate_machines = tuple(estate_machine(one, where) for one in machines)
        check_plausible(vinfo.name, estate_machines, findings)
        note_hosts(estate_machines, where, findings)
        _note_unread(source, vinfo, findings)
        taken_at = _taken_at(source, findings)
        return Estate(
            name=source.name,
            source=_described(source),
            taken_at=taken_at,
            machines=estate_machines,
            hosts=estate_hosts(where),
            pools=pools,
            datastores=datastores,
            dropped=tuple(findings.dropped),
            notes=findings.notes(),
            templates=rows.templates,
        )


def _machines(table: Table) -> tuple[MachineRows, list[RawMachine]]:
    rows = MachineRows(table)
    return rows, rows.read()


def _renamed(source: Source) -> list[Sheet]:
    """Sheets that have no name of RVTools'; only these may be one under another name."""
    return [sheet for sheet in source.sheets if not any(form.names_sheet(sheet.name) for form in _named())]


def _named() -> list[Form]:
    return [Form(name, {}, frozenset()) for name in SHEETS]


def _find(source: Source, form: Form, findings: Findings) -> Table | None:
    return find(source.sheets, form, findings, by_columns=False) or find(_renamed(source), form, findings)


def _optional(source: Source, form: Form, findings: Findings) -> Table | None:
    """A sheet that the import can do without: where it is damaged, a note says so."""
    try:
        return usable(_find(source, form, findings), findings)
    except InvalidInput as error:
        findings.note(f"{error}; the rest was imported without it")
        return None


def _vinfo(source: Source, findings: Findings) -> Table:
    found = _find(source, VINFO, findings)
    if found is None:
        found = find(source.sheets, VCPU, findings, by_columns=False)
        if found is None:
            there = ", ".join(repr(sheet.name) for sheet in source.sheets) or "none"
            msg = f"{source.path}: has no sheet vInfo, nor one with its columns; its sheets are {there}; export all sheets"
            raise InvalidInput(msg)
        findings.note(f"there is no sheet vInfo: machines were taken from {found.name}")
    must_have(found, source.path)
    return found


def _without_machines(source: Source, vinfo: Table, where: Places, findings: Findings) -> None:
    """A note where there are hosts at least. Raises InvalidInput where there is nothing."""
    dropped = (
        f" ({counted(len(findings.dropped), 'row', 'was', 'were')} left out, {findings.dropped[0].reason})"
        if findings.dropped
        else ""
    )
    said = f"sheet '{vinfo.name}' has no machines{dropped}; check the export's filter, and export again"
    if not where.hosts:
        msg = f"{source.path}: {said}"
        raise InvalidInput(msg)
    findings.note(said)


def _note_unread(source: Source, vinfo: Table, findings: Findings) -> None:
    """Sheets that RVTools does not write: a second vInfo of a workbook that was put together may be among them."""
    read = {vinfo.name, *findings.by_columns}
    unread = [sheet.name for sheet in _renamed(source) if sheet.name not in read]
    if unread:
        findings.note(
            f"sheets that RVTools does not write were not read: {some(unread)}; import them as files of their own"
        )


def _note_missing(vinfo: Table, findings: Findings) -> None:
    for name, heading, instead in _STAND_INS:
        if not vinfo.has(name) and (vinfo.form is VINFO or name in vinfo.form.columns):
            findings.note(f"{vinfo.name} has no column '{heading}': {instead}")
    if vinfo.form is VINFO and not vinfo.has("provisioned") and vinfo.has("disk_total"):
        findings.note(
            f"{vinfo.name} has no column 'Provisioned MiB': 'Total disk capacity MiB' was taken instead"
        )


def _note_unknown(vinfo: Table, machines: Sequence[RawMachine], findings: Findings) -> None:
    """Columns that vInfo lacks, and for which no other sheet stood in."""
    for name, heading, values in (
        ("vcpus", "CPUs", (one.vcpus for one in machines)),
        ("memory", "Memory", (one.memory_mib for one in machines)),
        ("provisioned", "Provisioned MiB", (one.provisioned_mib for one in machines)),
    ):
        if not vinfo.has(name) and not any(values):
            findings.note(
                f"{vinfo.name} has no column '{heading}', and no other sheet stands in: it counts as 0"
            )


def _surroundings(
    source: Source, machines: list[RawMachine], findings: Findings
) -> tuple[Places, tuple[EstatePool, ...], tuple[EstateDatastore, ...]]:
    hosts = _optional(source, VHOST, findings)
    if hosts is None:
        findings.note("there is no sheet vHost that can be read: hosts are not known")
    else:
        note_units(hosts, findings)
        _note_missing_of_hosts(hosts, findings)
    where = places(
        machines,
        _rows(hosts, read_hosts, findings),
        findings,
        infer=hosts is not None and not hosts.has("pool"),
    )
    pools = estate_pools(_optional(source, VCLUSTER, findings), where)
    datastores = _optional(source, VDATASTORE, findings)
    return where, pools, tuple(_rows(datastores, read_datastores, findings))


def _note_missing_of_hosts(hosts: Table, findings: Findings) -> None:
    for name, heading, instead in _STAND_INS_OF_HOSTS:
        if not hosts.has(name):
            findings.note(f"{hosts.name} has no column '{heading}': {instead}")


def _rows(table: Table | None, read: Callable[[Table], list[T]], findings: Findings) -> list[T]:
    if table is None:
        return []
    try:
        return settled(table, read)
    except InvalidInput as error:
        findings.note(f"{error}; the rest was imported without it")
        return []


def _described(source: Source) -> str:
    what = "workbook" if source.form == "workbook" else "CSV files"
    cells = _metadata(source)
    version = cells.get("version") or cells.get("major", "")
    return f"RVTools {version + ' ' if version else ''}{what} {source.path.name}"[:MAX_TEXT]


def _metadata(source: Source) -> dict[str, str]:
    table = find(source.sheets, VMETADATA, Findings(), by_columns=False)
    if table is None:
        return {}
    cells = next(table.rows(), [])
    return {name: table.text(cells, name) for name in table.columns}


def _taken_at(source: Source, findings: Findings) -> datetime | None:
    said = _metadata(source).get("created", "")
    when = moment(said)
    if when is not None and when.tzinfo is None:
        findings.note(
            f"the export was made on {said}, in the time zone of the machine that made it, which it does not name"
        )
        return None
    return when
