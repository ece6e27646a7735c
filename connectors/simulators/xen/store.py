# ruff: noqa: EM101 -- an error code is data, not a sentence
"""The simulated xapi's database: objects by class and reference, and what changed when."""

import threading
import time
import uuid
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import takewhile
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

_REFERENCES: Mapping[str, tuple[str, ...]] = {
    owner: tuple(sorted({field for source, field in REVERSES.values() if source == owner}))
    for owner in {source for source, _ in REVERSES.values()}
}
"""The fields of each class that are such an end."""

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
        """In the order of their last change, so that what is new is found without a look at the rest."""
        self._classes: dict[str, str] = {}
        self._ends: dict[tuple[str, str], dict[str, set[str]]] = {end: {} for end in REVERSES.values()}
        """By field and the object that it refers to: who refers to it."""

    def add(self, class_name: str, **values: Any) -> str:
        """A new object with a fresh reference and uuid; other fields have their defaults."""
        ref = f"OpaqueRef:{uuid.uuid4()}"
        fields = schema().classes[class_name]
        unknown = values.keys() - fields.keys()
        assert not unknown, f"{class_name} has no fields {unknown}"
        record = {name: value.copy() if copied else value for name, value, copied in _initial(class_name)}
        record |= {"uuid": str(uuid.uuid4())} | values
        self._tables[class_name][ref] = record
        self._classes[ref] = class_name
        self._refer(class_name, ref, record)
        self._made[ref] = self.touch(ref)
        self._touch_related(class_name, record)
        return ref

    def remove(self, class_name: str, ref: str) -> None:
        """Delete an object. Raises Failure HANDLE_INVALID."""
        record = self.row(class_name, ref)
        del self._tables[class_name][ref]
        self.generation += 1
        self.deleted.append(Change(class_name, ref, self._made.pop(ref), self.generation))
        del self._touched[ref], self._classes[ref]
        self._refer(class_name, ref, record, gone=True)
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
        self._refer(class_name, ref, row, gone=True)
        row.update(values)
        self._refer(class_name, ref, row)
        self.touch(ref)
        self._touch_related(class_name, row, moved)

    def touch(self, ref: str) -> int:
        """Say that an object changed; the new generation."""
        self.generation += 1
        self._touched.pop(ref, None)
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
        return self._shown(class_name, ref, self.row(class_name, ref))

    def records(self, class_name: str) -> dict[str, Record]:
        """The records of all objects of a class."""
        return {ref: self._shown(class_name, ref, row) for ref, row in self._tables[class_name].items()}

    def _shown(self, class_name: str, ref: str, row: Record) -> Record:
        return {**row, **{field: self.related(*end, ref) for field, end in _reverses(class_name)}}

    def related(self, class_name: str, field: str, ref: str) -> list[str]:
        """The objects whose `field`, one of `REVERSES`, refers to `ref`, in the order in which they were made."""
        found = self._ends[class_name, field].get(ref, ())
        return sorted(found, key=self._made.__getitem__) if len(found) > 1 else list(found)

    def _refer(self, class_name: str, ref: str, record: Record, *, gone: bool = False) -> None:
        """Keep `_ends` true of an object that is there now, or goes."""
        for field in _REFERENCES.get(class_name, ()):
            referring = self._ends[class_name, field]
            if record[field] == NULL:
                continue
            if not gone:
                referring.setdefault(record[field], set()).add(ref)
                continue
            referring[record[field]].discard(ref)
            if not referring[record[field]]:
                del referring[record[field]]

    def _touch_related(self, class_name: str, record: Record, moved: Collection[str] | None = None) -> None:
        """The other ends of an object's references changed too: of all, or of those in fields that `moved`."""
        for source, field in REVERSES.values():
            if source != class_name or (moved is not None and field not in moved):
                continue
            if record[field] in self._touched:
                self.touch(record[field])

    def changes(self, since: int) -> Iterator[tuple[str, str, str, Record | None]]:
        """What changed after a generation: class, reference, operation, and the record while it is there."""
        for ref in self._touched_after(since):
            name = self._classes[ref]
            if name not in HIDDEN:
                yield name, ref, "add" if self._made[ref] > since else "mod", self.record(name, ref)
        for change in self.deleted:
            if change.made <= since < change.gone:
                yield change.class_name, change.ref, "del", None

    def _touched_after(self, since: int) -> list[str]:
        """Oldest change first."""
        late = takewhile(lambda ref: self._touched[ref] > since, reversed(self._touched))
        return list(late)[::-1]


@cache
def _initial(class_name: str) -> tuple[tuple[str, Any, bool], ...]:
    """The stored fields of a class: name, first value, and whether each object needs a copy of its own."""
    fields = [f for f in schema().classes[class_name].values() if (class_name, f.name) not in REVERSES]
    return tuple((f.name, initial(f), isinstance(initial(f), list | dict)) for f in fields)


@cache
def _reverses(class_name: str) -> tuple[tuple[str, tuple[str, str]], ...]:
    """The fields of a class that are other ends, each with the field that it is the end of."""
    there = schema().classes[class_name]
    return tuple(
        (field, end) for (owner, field), end in REVERSES.items() if owner == class_name and field in there
    )


def now() -> DateTime:
    """The present time, in seconds, as xapi writes it."""
    return written(time.time())


def written(seconds: float) -> DateTime:
    """A moment, in seconds since 1970, as xapi writes it."""
    return DateTime(datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H:%M:%SZ"))
