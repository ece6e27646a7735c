# ruff: noqa: EM101 -- an error code is data, not a sentence
"""The simulated xapi's database: objects by class and reference, and what changed when."""

import threading
import uuid
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple
from xmlrpc.client import DateTime

from connectors.simulators.xen.failure import Failure
from connectors.simulators.xen.schema import NULL, initial, schema

Record = dict[str, Any]

REVERSES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("VM", "VBDs"): ("VBD", "VM"),
    ("VM", "VIFs"): ("VIF", "VM"),
    ("VM", "snapshots"): ("VM", "snapshot_of"),
    ("VM", "children"): ("VM", "parent"),
    ("VDI", "VBDs"): ("VBD", "VDI"),
    ("VDI", "snapshots"): ("VDI", "snapshot_of"),
    ("SR", "VDIs"): ("VDI", "SR"),
    ("SR", "PBDs"): ("PBD", "SR"),
    ("host", "PBDs"): ("PBD", "host"),
    ("host", "resident_VMs"): ("VM", "resident_on"),
    ("network", "VIFs"): ("VIF", "network"),
}
"""Fields that are the other end of another class's field, as xapi keeps them: never stored, always true."""

HIDDEN = frozenset({"session"})
"""Classes without `get_all` and without events."""


class Change(NamedTuple):
    """An object that was deleted: when it was made and when it went, in generations."""

    class_name: str
    ref: str
    made: int
    gone: int


class Store:
    """All objects. Every use holds `changed`, which is notified after each change."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self.generation = 1
        self.deleted: list[Change] = []
        self._tables: dict[str, dict[str, Record]] = {name: {} for name in schema().classes}
        self._made: dict[str, int] = {}
        self._touched: dict[str, int] = {}

    def add(self, class_name: str, **values: Any) -> str:
        """A new object with a fresh reference and uuid; other fields have their defaults."""
        ref = f"OpaqueRef:{uuid.uuid4()}"
        fields = schema().classes[class_name]
        unknown = values.keys() - fields.keys()
        assert not unknown, f"{class_name} has no fields {unknown}"
        record = {f.name: initial(f) for f in fields.values() if (class_name, f.name) not in REVERSES}
        record |= {"uuid": str(uuid.uuid4())} | values
        self._tables[class_name][ref] = record
        self._made[ref] = self.touch(ref)
        self._touch_related(class_name, record)
        return ref

    def remove(self, class_name: str, ref: str) -> None:
        """Delete an object. Raises Failure HANDLE_INVALID."""
        record = self.row(class_name, ref)
        del self._tables[class_name][ref]
        self.generation += 1
        self.deleted.append(Change(class_name, ref, self._made.pop(ref), self.generation))
        del self._touched[ref]
        self._touch_related(class_name, record)
        self.changed.notify_all()

    def row(self, class_name: str, ref: str) -> Record:
        """The stored fields of an object. Raises Failure HANDLE_INVALID."""
        try:
            return self._tables[class_name][ref]
        except KeyError:
            raise Failure("HANDLE_INVALID", class_name, ref) from None

    def set(self, class_name: str, ref: str, **values: Any) -> None:
        """Change fields of an object. Raises Failure HANDLE_INVALID."""
        row = self.row(class_name, ref)
        moved = {field for field, value in values.items() if row[field] != value}
        self._touch_related(class_name, row, moved)
        row.update(values)
        self.touch(ref)
        self._touch_related(class_name, row, moved)

    def touch(self, ref: str) -> int:
        """Say that an object changed; the new generation."""
        self.generation += 1
        self._touched[ref] = self.generation
        self.changed.notify_all()
        return self.generation

    def rows(self, class_name: str) -> Mapping[str, Record]:
        """All objects of a class, as stored."""
        return self._tables[class_name]

    def has(self, ref: str) -> bool:
        """Whether the object is there."""
        return ref in self._touched

    def record(self, class_name: str, ref: str) -> Record:
        """An object's record as a client sees it. Raises Failure HANDLE_INVALID."""
        self.row(class_name, ref)
        return self.records(class_name, only=ref)[ref]

    def records(self, class_name: str, only: str | None = None) -> dict[str, Record]:
        """The records of all objects of a class, or of one."""
        rows = self._tables[class_name]
        chosen = rows if only is None else {only: rows[only]}
        ends = {
            field: self._other_end(*source)
            for (owner, field), source in REVERSES.items()
            if owner == class_name and field in schema().classes[class_name]
        }
        return {
            ref: {**row, **{field: found.get(ref, []) for field, found in ends.items()}}
            for ref, row in chosen.items()
        }

    def _other_end(self, class_name: str, field: str) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for ref, row in self._tables[class_name].items():
            if row[field] != NULL:
                found.setdefault(row[field], []).append(ref)
        return found

    def related(self, class_name: str, field: str, ref: str) -> list[str]:
        """The objects whose `field` refers to `ref`."""
        return [one for one, row in self._tables[class_name].items() if row[field] == ref]

    def _touch_related(self, class_name: str, record: Record, moved: Collection[str] | None = None) -> None:
        """The other ends of an object's references changed too: of all, or of those in fields that `moved`."""
        for source, field in REVERSES.values():
            if source != class_name or (moved is not None and field not in moved):
                continue
            if record[field] in self._touched:
                self.touch(record[field])

    def changes(self, since: int) -> Iterator[tuple[str, str, str, Record | None]]:
        """What changed after a generation: class, reference, operation, and the record while it is there."""
        for name in self._tables.keys() - HIDDEN:
            touched = [ref for ref in self._tables[name] if self._touched[ref] > since]
            records = self.records(name) if touched else {}
            for ref in touched:
                yield name, ref, "add" if self._made[ref] > since else "mod", records[ref]
        for change in self.deleted:
            if change.made <= since < change.gone:
                yield change.class_name, change.ref, "del", None


def now() -> DateTime:
    """The present time, in seconds, as xapi writes it."""
    return DateTime(datetime.now(UTC).strftime("%Y%m%dT%H:%M:%SZ"))
