"""The machines of a simulated estate as rows, and the arithmetic of room and CPU time."""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from catalog.pools import Host
from catalog.resources import Resources
from connectors.contract import Firmware, PowerState, VmSpec, VmView

_COLUMNS = (
    "seq, identity, name, provider, host, power, vcpu, memory_mib, disk_gib, annotations, half, "
    "cpu_ms, metered_at_ms"
)


@dataclass(frozen=True)
class Machine:
    """One row of the table of machines. `half`: its disk is not made yet."""

    seq: int
    identity: UUID | None
    name: str
    provider: str
    host: str
    power: PowerState
    resources: Resources
    annotations: Mapping[str, str]
    half: bool
    cpu_ms: int
    metered_at_ms: int

    def view(self) -> VmView:
        """The machine as a connector reports it."""
        shown = self.resources.model_copy(update={"disk_gib": 0}) if self.half else self.resources
        return VmView(
            identity=self.identity,
            native_id=f"vm-{self.seq}",
            name=self.name,
            provider=self.provider,
            host=self.host,
            power=self.power,
            resources=shown,
            annotations=self.annotations,
        )

    def cpu_ms_at(self, now_ms: int, load_percent: int) -> int:
        """CPU time used since the machine was made, were it loaded evenly while on."""
        if self.power is not PowerState.ON:
            return self.cpu_ms
        ran_ms = max(0, now_ms - self.metered_at_ms)
        return self.cpu_ms + ran_ms * self.resources.vcpu * load_percent // 100


def by_identity(db: sqlite3.Connection, identity: UUID) -> Machine | None:
    """The machine of an identity; the oldest where careless callers made several."""
    found = _where(db, "identity = ? ORDER BY seq LIMIT 1", str(identity))
    return found[0] if found else None


def by_name(db: sqlite3.Connection, name: str) -> Machine | None:
    """A machine of that name."""
    found = _where(db, "name = ? ORDER BY seq LIMIT 1", name)
    return found[0] if found else None


def everything(db: sqlite3.Connection) -> list[Machine]:
    """All machines, oldest first."""
    return _where(db, "1 ORDER BY seq")


def since(db: sqlite3.Connection, cursor: str | None) -> tuple[str, list[Machine], list[str], bool]:
    """(the cursor now, machines made or changed since one, native ids of those gone, whether it is all of them)."""
    (feed,) = db.execute("SELECT value FROM meta WHERE key = 'feed'").fetchone()
    (newest,) = db.execute("SELECT coalesce(max(seq), 0) FROM change").fetchone()
    now = f"{feed}:{newest}"
    name, _, seen = (cursor or "").partition(":")
    if name != feed or not (seen.isascii() and seen.isdecimal()) or int(seen) > newest:
        return now, everything(db), [], True
    rows = db.execute("SELECT DISTINCT vm FROM change WHERE seq > ? ORDER BY vm", (int(seen),)).fetchall()
    found = {machine.seq: machine for (vm,) in rows for machine in _where(db, "seq = ?", vm)}
    return now, list(found.values()), [f"vm-{vm}" for (vm,) in rows if vm not in found], False


def add(db: sqlite3.Connection, spec: VmSpec, identity: UUID | None, host: str, *, half: bool) -> Machine:
    """Insert a machine that is off."""
    size = spec.resources
    cursor = db.execute(
        f"INSERT INTO vm ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0)",  # noqa: S608 -- a constant
        (
            identity and str(identity),
            spec.name,
            spec.provider,
            host,
            PowerState.OFF.value,
            size.vcpu,
            size.memory_mib,
            size.disk_gib,
            json.dumps(dict(spec.annotations), ensure_ascii=False),
            half,
        ),
    )
    if spec.firmware is not None:
        values = cursor.lastrowid, spec.firmware.value
        db.execute("INSERT INTO firmware (vm, name) VALUES (?, ?)", values)
    return _where(db, "seq = ?", cursor.lastrowid)[0]


def firmware(db: sqlite3.Connection, machine: Machine) -> Firmware:
    """What the machine starts by."""
    found = db.execute("SELECT name FROM firmware WHERE vm = ?", (machine.seq,)).fetchone()
    return Firmware(found[0]) if found else Firmware.BIOS


def save(db: sqlite3.Connection, machine: Machine) -> None:
    """Write what can change of a machine."""
    size = machine.resources
    db.execute(
        "UPDATE vm SET host = ?, power = ?, vcpu = ?, memory_mib = ?, disk_gib = ?, annotations = ?, half = ?, "
        "cpu_ms = ?, metered_at_ms = ? WHERE seq = ?",
        (
            machine.host,
            machine.power.value,
            size.vcpu,
            size.memory_mib,
            size.disk_gib,
            json.dumps(dict(machine.annotations), ensure_ascii=False),
            machine.half,
            machine.cpu_ms,
            machine.metered_at_ms,
            machine.seq,
        ),
    )


def remove(db: sqlite3.Connection, identity: UUID) -> None:
    """Remove every machine of an identity, with its snapshots."""
    db.execute("DELETE FROM snapshot WHERE vm IN (SELECT seq FROM vm WHERE identity = ?)", (str(identity),))
    db.execute("DELETE FROM vm WHERE identity = ?", (str(identity),))


def remove_half(db: sqlite3.Connection, machine: Machine) -> None:
    """Remove a half-made machine, unless somebody adopted and finished it meanwhile."""
    db.execute("DELETE FROM vm WHERE seq = ? AND half = 1", (machine.seq,))


def used(db: sqlite3.Connection, provider: str) -> Resources:
    """What a provider's machines are configured with: vcpu and memory of those on, disk of all."""
    query = (
        "SELECT coalesce(sum(vcpu) FILTER (WHERE power = 'on'), 0), "
        "coalesce(sum(memory_mib) FILTER (WHERE power = 'on'), 0), "
        "coalesce(sum(disk_gib) FILTER (WHERE NOT half), 0) FROM vm WHERE provider = ?"
    )
    vcpu, memory_mib, disk_gib = db.execute(query, (provider,)).fetchone()
    return Resources(vcpu=vcpu, memory_mib=memory_mib, disk_gib=disk_gib)


def reserved_disk_gib(db: sqlite3.Connection, provider: str) -> int:
    """The disk that is spoken for, half-made machines included."""
    query = "SELECT coalesce(sum(disk_gib), 0) FROM vm WHERE provider = ?"
    return int(db.execute(query, (provider,)).fetchone()[0])


def free_memory_mib(db: sqlite3.Connection, hosts: tuple[Host, ...], *, without: int = 0) -> dict[str, int]:
    """Free memory of each usable host, as if the machine `without` (its seq) did not run."""
    query = "SELECT host, sum(memory_mib) FROM vm WHERE power = 'on' AND seq <> ? GROUP BY host"
    taken: dict[str, int] = dict(db.execute(query, (without,)).fetchall())
    return {h.name: h.resources.memory_mib - taken.get(h.name, 0) for h in hosts if h.usable}


def _where(db: sqlite3.Connection, condition: str, *values: object) -> list[Machine]:
    rows = db.execute(f"SELECT {_COLUMNS} FROM vm WHERE {condition}", values).fetchall()  # noqa: S608 -- constants of this module
    return [_machine(row) for row in rows]


def _machine(row: tuple[object, ...]) -> Machine:
    seq, identity, name, provider, host, power, vcpu, memory_mib, disk_gib, annotations, half, *meter = row
    return Machine(
        seq=int(str(seq)),
        identity=UUID(str(identity)) if identity else None,
        name=str(name),
        provider=str(provider),
        host=str(host),
        power=PowerState(str(power)),
        resources=Resources.model_validate({"vcpu": vcpu, "memory_mib": memory_mib, "disk_gib": disk_gib}),
        annotations=json.loads(str(annotations)),
        half=bool(half),
        cpu_ms=int(str(meter[0])),
        metered_at_ms=int(str(meter[1])),
    )
