"""The machines of vInfo: rows that count, rows that do not, and who each one is."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from catalog.estates import PowerState
from tierwise.estates.cells import Cell
from tierwise.estates.findings import Findings
from tierwise.estates.rvtools.headings import HEADINGS
from tierwise.estates.tables import Table, token

_AGENT = re.compile(r"vcls(?:[-\s(_].*)?", re.IGNORECASE)
"""The agent machines that vSphere Cluster Services runs, in all their spellings; not ``vclsomething``."""
_TOTALS = frozenset(
    {"total", "totals", "grandtotal", "sum", "sums", "summe", "gesamt", "gesamtsumme", "insgesamt", "somme", "totale", "suma"}
)  # fmt: skip
"""What people call the line that adds the others up."""
_WHOSE = ("power", "host", "pool", "site", "uuid", "vm_id")
_POWER = {
    "poweredon": PowerState.ON, "on": PowerState.ON, "running": PowerState.ON, "eingeschaltet": PowerState.ON,
    "soustension": PowerState.ON, "activé": PowerState.ON, "encendida": PowerState.ON, "encendido": PowerState.ON,
    "poweredoff": PowerState.OFF, "off": PowerState.OFF, "stopped": PowerState.OFF, "ausgeschaltet": PowerState.OFF,
    "horstension": PowerState.OFF, "désactivé": PowerState.OFF, "apagada": PowerState.OFF, "apagado": PowerState.OFF,
    "suspended": PowerState.SUSPENDED, "angehalten": PowerState.SUSPENDED, "suspendu": PowerState.SUSPENDED,
    "suspendida": PowerState.SUSPENDED, "suspendido": PowerState.SUSPENDED,
}  # fmt: skip
_PLACEHOLDER = "VM"
"""What some tools leave in cells that they emptied, and what a repeated line of headings has."""
_NOT_LABELS = {token(name) for name in HEADINGS["vInfo"]} | {
    "cpuusage", "guesthostname", "resourcepool", "vmref", "visdkserver", "primaryip", "owneruuid", "numcpu",
}  # fmt: skip
_NETWORKS = tuple(f"network_{n}" for n in range(1, 9))
_DATASTORE = re.compile(r"\[(?P<name>[^\]]+)\]")


@dataclass(slots=True)
class RawMachine:
    """A row of vInfo, before it is known which pool and host it names."""

    row: int
    name: str
    uuid: str
    vm_id: str
    vcenter: str
    site: str
    pool: str
    host: str
    power: PowerState
    vcpus: int
    memory_mib: int
    provisioned_mib: int
    in_use_mib: int
    guest_os: str
    folder: str
    application: str
    tenant: str
    disks: int
    firmware: str
    cpu_percent: float | None
    memory_percent: float | None
    labels: dict[str, str]
    networks: list[str]
    datastores: list[str]
    id: str = ""

    @property
    def place(self) -> tuple[str, str, str, str]:
        """Who it is where the source has no identifier."""
        return (self.name, self.site, self.pool, self.host)

    def values(self) -> tuple[object, ...]:
        """All that was read of it."""
        return (
            *self.place, self.uuid, self.vm_id, self.vcenter, self.power, self.vcpus, self.memory_mib,
            self.provisioned_mib, self.in_use_mib, self.guest_os, self.folder, self.disks,
        )  # fmt: skip


@dataclass
class MachineRows:
    """Reads vInfo row by row."""

    table: Table
    with_labels: bool = True
    """Whether columns that the form does not know are custom attributes."""
    labels: Mapping[str, int] = field(default_factory=dict)
    templates: int = 0
    placeholders: int = 0

    def __post_init__(self) -> None:
        if not self.with_labels:
            return
        known = {column.index for column in self.table.columns.values()}
        prefix = token(self.table.form.name)
        self.labels = {
            heading: place
            for heading, place in self.table.headings.items()
            if place not in known
            and token(heading) not in _NOT_LABELS
            and token(heading).removeprefix(prefix) not in _NOT_LABELS
            and not token(heading).startswith(("visdk", prefix))
        }

    def read(self) -> list[RawMachine]:
        """The machines; everything else is dropped, and told."""
        return [machine for cells in self.table.rows() if (machine := self._machine(cells)) is not None]

    def _machine(self, cells: Sequence[Cell]) -> RawMachine | None:
        table = self.table
        name = table.name_of(cells, "name")
        if name == _PLACEHOLDER:
            if _says_headings(table, cells):
                table.findings.drop(table.where, name, "line of headings repeated")
                return None
            name = ""
        reason = self._reason(cells, name)
        if reason:
            self.templates += reason == "template"
            table.findings.drop(table.where, name, reason)
            return None
        if not name:
            name = self._other_name(cells)
            table.findings.count(
                table.name, "machines without a name, which were named by another column", f"'{name}'"
            )
        return self._values(cells, name)

    def _reason(self, cells: Sequence[Cell], name: str) -> str:
        """Why a row is no machine; empty where it is one."""
        if self.table.truth(cells, "template"):
            return "template"
        if _AGENT.fullmatch(name):
            return "vCLS agent machine"
        if not name and not self._other_name(cells):
            return "no machine name"
        if len([cell for cell in cells if cell not in {"", None}]) == 1:
            return "nothing but a name"
        if token(name) in _TOTALS and self._is_nobodys(cells):
            return "line of totals"
        return ""

    def _is_nobodys(self, cells: Sequence[Cell]) -> bool:
        """Whether a row says none of what the sheet says of each machine: its state, its place, its identifiers."""
        there = [name for name in _WHOSE if self.table.has(name)]
        return bool(there) and not any(self.table.text(cells, name) for name in there)

    def _other_name(self, cells: Sequence[Cell]) -> str:
        said = (self.table.text(cells, name) for name in ("dns", "vm_id", "uuid"))
        return next((one for one in said if one and one != _PLACEHOLDER), "")

    def _values(self, cells: Sequence[Cell], name: str) -> RawMachine:
        table = self.table
        memory_mib = table.whole(cells, "memory")
        power = self._power(cells)
        labels = self._labels(cells)
        application, tenant = (_take(labels, what) for what in ("application", "tenant"))
        return RawMachine(
            row=table.row,
            name=name,
            uuid=_said(table, cells, "uuid").lower(),
            vm_id=_said(table, cells, "vm_id"),
            vcenter=_said(table, cells, "vcenter").lower(),
            site=_said(table, cells, "site"),
            pool=_pool(_said(table, cells, "pool")),
            host=_said(table, cells, "host"),
            power=power,
            vcpus=table.whole(cells, "vcpus"),
            memory_mib=memory_mib,
            provisioned_mib=self._provisioned(cells),
            in_use_mib=table.whole(cells, "in_use"),
            guest_os=_said(table, cells, "os_config") or _said(table, cells, "os_tools"),
            folder=_said(table, cells, "folder"),
            application=_said(table, cells, "vapp") or application,
            tenant=tenant,
            disks=min(table.whole(cells, "disks"), 100_000),
            firmware=_said(table, cells, "firmware").lower(),
            cpu_percent=_percent(table, cells) if power is PowerState.ON else None,
            memory_percent=self._active(cells, memory_mib) if power is PowerState.ON else None,
            labels=labels,
            networks=_unique(_said(table, cells, one) for one in _NETWORKS),
            datastores=_DATASTORE.findall(table.text(cells, "path"))[:1],
        )

    def _power(self, cells: Sequence[Cell]) -> PowerState:
        said = _said(self.table, cells, "power")
        power = power_of(said)
        if said and power is PowerState.UNKNOWN:
            self.table.findings.count(
                self.table.name,
                "power states that are not known, which do not count as powered on",
                f"'{said[:40]}' in row {self.table.row}",
            )
        return power

    def _labels(self, cells: Sequence[Cell]) -> dict[str, str]:
        found = {
            heading: said
            for heading, place in self.labels.items()
            if place < len(cells) and (said := str(cells[place]).strip()[:1000])
        }
        if self.table.truth(cells, "placeholder"):
            self.placeholders += 1
            found["SRM Placeholder"] = "True"
        return found

    def _provisioned(self, cells: Sequence[Cell]) -> int:
        """Provisioned, which counts swap and snapshots; where a row has none, the capacity of its disks."""
        if self.table.has("provisioned"):
            return self.table.whole(cells, "provisioned") or self.table.whole(cells, "disk_total")
        return self.table.whole(cells, "disk_total")

    def _active(self, cells: Sequence[Cell], memory_mib: int) -> float | None:
        active = self.table.number(cells, "active_memory")
        return percent(float(active), memory_mib) if active else None


def power_of(said: str) -> PowerState:
    """``poweredOn``, ``Powered On`` and ``on`` are one."""
    return _POWER.get(token(said), PowerState.UNKNOWN)


def percent(part: float, whole: float) -> float | None:
    """To a hundredth; None of nothing."""
    return round(100 * part / whole, 2) if whole else None


def _says_headings(table: Table, cells: Sequence[Cell]) -> bool:
    """Whether a row repeats the headings, as files do that were put together from several."""
    same = sum(table.text(cells, name) == column.heading for name, column in table.columns.items())
    return same > 1


def _said(table: Table, cells: Sequence[Cell], name: str) -> str:
    said = table.text(cells, name)
    return "" if said == _PLACEHOLDER else said


def _pool(said: str) -> str:
    return "" if said.lower() == "unknown" else said


def _percent(table: Table, cells: Sequence[Cell]) -> float | None:
    value = table.number(cells, "cpu_usage")
    return round(float(value), 2) if value is not None else None


def _take(labels: dict[str, str], what: str) -> str:
    """Custom attributes of these names are what tierwise has fields for."""
    name = next((one for one in labels if token(one) == what), None)
    return labels.pop(name) if name is not None else ""


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name for name in names if name))


def identified(machines: Iterable[RawMachine], sheet: str, findings: Findings) -> list[RawMachine]:
    """The machines, each once and with an id of its own.

    Who a machine is: its VM UUID; without it VM ID and vCenter; without these its name and place. What is read twice
    is dropped. What has the UUID of another machine, or its name and place, is kept under an id that is made longer.
    """
    kept: list[RawMachine] = []
    first: dict[tuple[str, ...], RawMachine] = {}
    taken: set[str] = set()
    names = Counter[str]()
    for one in machines:
        key = _key(one)
        before = first.setdefault(key, one)
        if before is not one and _same(before, one):
            findings.drop(f"{sheet} row {one.row}, as row {before.row}", one.name, "duplicate")
            continue
        names[one.name] += 1
        kept.append(one)
    many = {name for name, count in names.items() if count > 1}
    for one in kept:
        one.id = _id(one, taken, named_alike=one.name in many)
        taken.add(one.id)
        if first[_key(one)] is not one:
            findings.count(
                sheet,
                "machines with an identifier that another machine has, which were kept",
                f"'{one.name}'",
            )
    if many:
        shown = ", ".join(f"'{name[:100]}'" for name in sorted(many)[:3])
        findings.note(
            f"{sheet}: names that several machines have: {len(many):,}, such as {shown}; ids tell them apart"
        )
    return kept


def _key(one: RawMachine) -> tuple[str, ...]:
    if one.uuid:
        return ("uuid", one.uuid)
    if one.vm_id:
        return ("id", one.vm_id, one.vcenter)
    return ("place", *one.place)


def _same(before: RawMachine, one: RawMachine) -> bool:
    """Whether two rows with one key are one machine, and not a copy that kept the identifier of its original."""
    if not one.uuid:
        return bool(one.vm_id) or before.values() == one.values()
    if one.vm_id and before.vm_id:
        return (before.vm_id, before.vcenter) == (one.vm_id, one.vcenter)
    return before.name == one.name


def _id(one: RawMachine, taken: set[str], *, named_alike: bool) -> str:
    if one.uuid:
        wanted = one.uuid
    elif one.vm_id:
        wanted = f"{one.vm_id}@{one.vcenter}" if one.vcenter else one.vm_id
    else:
        where = "/".join(part for part in one.place[1:] if part)
        wanted = f"{one.name} ({where})" if named_alike and where else one.name
    return unlike(wanted[:900], taken, [one.vm_id, one.vcenter, one.name])


def unlike(wanted: str, taken: set[str], more: Sequence[str] = ()) -> str:
    """`wanted`, made longer by `more` and at last by a number until nobody has it."""
    for part in more:
        if wanted in taken and part:
            wanted = f"{wanted} {part}"[:950]
    found, number = wanted, 2
    while found in taken:
        found, number = f"{wanted} #{number}", number + 1
    return found


@dataclass
class Lookup:
    """Finds the machine that a row of another sheet is about: by UUID, by VM ID, by name and place, by name alone."""

    machines: Sequence[RawMachine]
    _by: dict[str, dict[object, RawMachine | None]] = field(default_factory=lambda: defaultdict(dict))

    def __post_init__(self) -> None:
        keys: dict[str, Callable[[RawMachine], object]] = {
            "uuid": lambda one: one.uuid,
            "vm_id": lambda one: one.vm_id and (one.vm_id, one.vcenter),
            "place": lambda one: one.place,
            "name": lambda one: one.name,
        }
        for what, key in keys.items():
            found = self._by[what]
            for one in self.machines:
                # None: several have it, so that it tells nothing.
                found[key(one)] = None if key(one) in found else one

    def find(self, table: Table, cells: Sequence[Cell]) -> RawMachine | None:
        """The machine; None where the sheet's row is of none, or of one of several."""
        uuid = table.text(cells, "uuid").lower()
        vm_id = table.text(cells, "vm_id")
        name = table.name_of(cells, "name")
        place = (name, table.text(cells, "site"), table.text(cells, "pool"), table.text(cells, "host"))
        return (
            (self._by["uuid"].get(uuid) if uuid else None)
            or (self._by["vm_id"].get((vm_id, table.text(cells, "vcenter").lower())) if vm_id else None)
            or self._by["place"].get(place)
            or self._by["name"].get(name)
        )
