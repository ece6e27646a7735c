"""The disks of a simulated machine: the one it was made with, and those that were added."""

import sqlite3
from typing import NamedTuple

from connectors.contract import Disk, NewDisk
from connectors.drivers.simulated import contents
from connectors.drivers.simulated.machines import Machine

GIB = 2**30


class Held(NamedTuple):
    """One disk; `blocks` is what its content is kept under in the estate's table of blocks."""

    key: str
    name: str
    gib: int
    blocks: int

    def shown(self) -> Disk:
        """The disk as a connector reports it."""
        return Disk(key=self.key, size_bytes=self.gib * GIB, bus="simulated", name=self.name)


def of(db: sqlite3.Connection, machine: Machine) -> list[Held]:
    """All disks, the first one first. What the machine holds is the sum of them."""
    query = "SELECT seq, name, gib FROM disk WHERE vm = ? ORDER BY seq"
    added = [Held(f"added-{name}", name, gib, -seq) for seq, name, gib in db.execute(query, (machine.seq,))]
    first_gib = machine.resources.disk_gib - sum(disk.gib for disk in added)
    # A block's number is positive for the first disk of a machine, so negative ones are free for these.
    return [Held(contents.DISK, "", first_gib, machine.seq), *added]


def add(db: sqlite3.Connection, machine: Machine, disk: NewDisk) -> None:
    """Write the disk down; the machine's size is changed elsewhere."""
    values = machine.seq, disk.name, disk.size_gib
    db.execute("INSERT INTO disk (vm, name, gib) VALUES (?, ?, ?)", values)


def grow(db: sqlite3.Connection, disk: Held, gib: int) -> None:
    """Write an added disk's size down; the first disk has what the machine has beside the others."""
    db.execute("UPDATE disk SET gib = ? WHERE seq = ?", (gib, -disk.blocks))


def remove(db: sqlite3.Connection, disk: Held) -> None:
    """Forget an added disk and what stands on it."""
    contents.erase(db, disk.blocks)
    db.execute("DELETE FROM disk WHERE seq = ?", (-disk.blocks,))
