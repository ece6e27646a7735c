"""Snapshots of simulated machines: size and power state, and from which one each came."""

import sqlite3
from datetime import UTC, datetime

from catalog.resources import Resources
from connectors.contract import PowerState, VmSnapshot
from connectors.drivers.simulated.machines import Machine


def take(db: sqlite3.Connection, machine: Machine, name: str, at_ms: int) -> None:
    """Keep what the machine is; nothing where the name exists."""
    size = machine.resources
    taken = db.execute(
        "INSERT OR IGNORE INTO snapshot (vm, name, power, vcpu, memory_mib, disk_gib) VALUES (?, ?, ?, ?, ?, ?)",
        (machine.seq, name, machine.power.value, size.vcpu, size.memory_mib, size.disk_gib),
    )
    if taken.rowcount:
        db.execute(
            "INSERT INTO taken (snapshot, at_ms, parent) "
            "VALUES (?, ?, (SELECT snapshot FROM origin WHERE vm = ?))",
            (taken.lastrowid, at_ms, machine.seq),
        )
        _come_from(db, machine, taken.lastrowid)


def listed(db: sqlite3.Connection, machine: Machine) -> list[VmSnapshot]:
    """All of the machine's, oldest first."""
    rows = db.execute(
        "SELECT own.name, coalesce(taken.at_ms, 0), coalesce(parent.name, ''), own.seq IS origin.snapshot "
        "FROM snapshot AS own LEFT JOIN taken ON taken.snapshot = own.seq "
        "LEFT JOIN snapshot AS parent ON parent.seq = taken.parent "
        "LEFT JOIN origin ON origin.vm = own.vm WHERE own.vm = ? ORDER BY own.seq",
        (machine.seq,),
    )
    return [
        VmSnapshot(
            name=name,
            taken_at=datetime.fromtimestamp(at_ms / 1000, UTC),
            parent=parent,
            current=bool(current),
        )
        for name, at_ms, parent, current in rows
    ]


def go_back(db: sqlite3.Connection, machine: Machine, name: str) -> tuple[Resources, PowerState] | None:
    """What the machine was, from which it goes on now; None where there is no such snapshot."""
    query = "SELECT seq, power, vcpu, memory_mib, disk_gib FROM snapshot WHERE vm = ? AND name = ?"
    row = db.execute(query, (machine.seq, name)).fetchone()
    if row is None:
        return None
    seq, power, vcpu, memory_mib, disk_gib = row
    _come_from(db, machine, seq)
    return Resources(vcpu=vcpu, memory_mib=memory_mib, disk_gib=disk_gib), PowerState(power)


def _come_from(db: sqlite3.Connection, machine: Machine, snapshot: int | None) -> None:
    db.execute("INSERT OR REPLACE INTO origin (vm, snapshot) VALUES (?, ?)", (machine.seq, snapshot))
