"""The CSV file that Azure Migrate's import takes: one server a row, physical ones too."""

from collections.abc import Sequence
from typing import ClassVar

from catalog.estates import Estate, EstateMachine, Utilization
from tierwise.errors import InvalidInput
from tierwise.estates.cells import Cell, rounded
from tierwise.estates.findings import Findings
from tierwise.estates.importer import Importer
from tierwise.estates.plausible import check_plausible
from tierwise.estates.rvtools.machines import unlike
from tierwise.estates.sources import Source
from tierwise.estates.tables import Form, Table, find, lacking, must_have, settled, table

_DISKS = range(1, 33)
SERVERS = Form(
    "Azure Migrate",
    {
        "name": ("servername", "machinename"),
        "addresses": ("ipaddresses", "ipaddress"),
        "vcpus": ("cores", "numberofcores"),
        "memory": ("memory",),
        "os": ("osname", "operatingsystem"),
        "os_version": ("osversion",),
        "server_type": ("servertype",),
        "hypervisor": ("hypervisor",),
        "cpu_percent": ("cpuutilizationpercentage", "cpuutilization"),
        "memory_percent": ("memoryutilizationpercentage", "memoryutilization"),
        "boot": ("boottype",),
        "disks": ("numberofdisks",),
        "in_use": ("storageinuse",),
        **{f"disk_{n}": (f"disk{n}size",) for n in _DISKS},
    },
    needs=frozenset({"name", "vcpus", "memory", "os"}),
    must=frozenset({"name", "vcpus", "memory"}),
)

_TITLES = {"name": "Server name", "vcpus": "Cores", "memory": "Memory (In MB)", "os": "OS name"}


class AzureMigrate(Importer):
    """Reads Azure Migrate's CSV file."""

    kind: ClassVar[str] = "azure-migrate"
    summary: ClassVar[str] = "Azure Migrate import CSV"

    def recognises(self, source: Source) -> int:
        """By the columns that Azure Migrate demands."""
        return (
            2
            if source.form == "csv"
            and len(source.sheets) == 1
            and find(source.sheets, SERVERS, Findings()) is not None
            else 0
        )

    def lacks(self, source: Source) -> str:
        """The columns that Azure Migrate demands and the file does not have."""
        if source.form != "csv" or len(source.sheets) != 1:
            return ""
        return lacking(table(source.sheets[0], SERVERS, Findings()), _TITLES)

    def read(self, source: Source) -> Estate:
        """The servers as machines; hosts and pools are not in such a file. Raises InvalidInput where there are none."""
        findings = Findings()
        servers = find(source.sheets, SERVERS, findings)
        if servers is None:
            missing = self.lacks(source) or f"the columns {', '.join(map(repr, _TITLES.values()))}"
            msg = f"{source.path}: lacks {missing}; name the columns so, or export it again"
            raise InvalidInput(msg)
        must_have(servers, source.path)
        findings = source.findings
        servers.findings = findings
        machines = settled(servers, _machines)
        if not machines:
            msg = f"{source.path}: has no servers; fill the template, and import it again"
            raise InvalidInput(msg)
        check_plausible(servers.name, machines, findings)
        findings.note(
            "MB and GB were read as MiB and GiB: hypervisors size memory and disks in steps of 1,024"
        )
        findings.note("such a file does not say which machines run, nor on which hosts")
        return Estate(
            name=source.name,
            source=f"Azure Migrate CSV {source.path.name}"[:1000],
            machines=tuple(machines),
            dropped=tuple(findings.dropped),
            notes=findings.notes(),
        )


def _machines(table: Table) -> list[EstateMachine]:
    found: list[EstateMachine] = []
    taken: set[str] = set()
    seen: dict[tuple[Cell, ...], int] = {}
    for cells in table.rows():
        name = table.name_of(cells, "name")
        if not name:
            table.findings.drop(table.where, "", "no machine name")
            continue
        before = seen.setdefault(tuple(cells), table.row)
        if before != table.row:
            table.findings.drop(f"{table.where}, as row {before}", name, "duplicate")
            continue
        one = unlike(name, taken)
        if one != name:
            table.findings.count(table.name, "names that several servers have", f"'{name}'")
        taken.add(one)
        found.append(_machine(table, cells, one, name))
    return found


def _machine(table: Table, cells: Sequence[Cell], one: str, name: str) -> EstateMachine:
    sizes = [table.number(cells, f"disk_{n}") for n in _DISKS]
    there = [size for size in sizes if size]
    labels = {
        field: said
        for field in ("server_type", "hypervisor", "addresses")
        if (said := table.text(cells, field))
    }
    return EstateMachine(
        id=one,
        name=name,
        vcpus=table.whole(cells, "vcpus"),
        memory_mib=table.whole(cells, "memory"),
        provisioned_mib=sum(map(rounded, there)),
        in_use_mib=table.whole(cells, "in_use"),
        guest_os=" ".join(
            part for part in (table.text(cells, "os"), table.text(cells, "os_version")) if part
        ),
        disks=min(table.whole(cells, "disks") or len(there), 100_000),
        firmware={"uefi": "efi"}.get(table.text(cells, "boot").lower(), table.text(cells, "boot").lower()),
        labels=labels,
        utilization=_use(table, cells),
    )


def _use(table: Table, cells: Sequence[Cell]) -> Utilization:
    cpu, memory = table.number(cells, "cpu_percent"), table.number(cells, "memory_percent")
    return Utilization(
        cpu_percent=float(cpu) if cpu is not None else None,
        memory_percent=float(memory) if memory is not None else None,
    )
