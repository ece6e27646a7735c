"""What changed since a cursor, by event.from; the whole inventory where that cannot be told.

A cursor holds the pool, a digest of its own and its hosts' names, xapi's token, and how many VM objects there
were. xapi tells which objects are there now (`valid_ref_counts`): where that is not the number of before, with
what was made since and without what was deleted since, xapi has forgotten deletions, as after a restart. Where xapi's
own token is of before the cursor's, its database was put back to an older state.
"""

import zlib
from typing import Any, NamedTuple, Self

from connectors.contract import Changes, VmView
from connectors.drivers.xen import estate, inventory, marks
from connectors.drivers.xen.faults import code_of
from connectors.drivers.xen.session import NULL, Op, Record, Records

CLASSES = ("vm", "vbd", "vdi", "host", "pool")
POLL_S = 0.01
"""How long xapi may wait for something to happen."""
FORGOTTEN = frozenset({"EVENTS_LOST", "EVENT_FROM_TOKEN_PARSE_FAILURE"})
MOST_ONE_BY_ONE = 50
ALL_TO_ONE = 50
"""Changed machines are read one by one up to this number, or this part of all where that is more: to read all of 10,000
takes as long as 500 one by one, less where each call has a long way. From more on, all are read."""


class Cursor(NamedTuple):
    """Where a reader of the feed is."""

    pool: str
    names: int
    vms: int
    token: str

    def __str__(self) -> str:
        return f"{self.pool};{self.names};{self.vms};{self.token}"

    @classmethod
    def of(cls, text: str) -> Self | None:
        """Read a cursor; None for what is none."""
        pool, names, count, token = (*text.split(";"), "", "", "", "")[:4]
        if not (names.isascii() and names.isdigit() and count.isascii() and count.isdigit() and token):
            return None
        return cls(pool, int(names), int(count), token)


class Pool(NamedTuple):
    """What the views of all machines share."""

    uuid: str
    ref: str
    provider: str
    hosts: Records

    @property
    def names(self) -> int:
        """A digest of the names that stand in views."""
        told = sorted((ref, host["name_label"]) for ref, host in self.hosts.items())
        return zlib.crc32(repr((self.provider, told)).encode())


class Feed:
    """One connector's reader. It knows which machine a reference was, as deletions name only that."""

    def __init__(self) -> None:
        self._uuids: dict[str, str] = {}
        """By reference; empty for what is no machine, such as a template or a snapshot."""

    def changes(self, op: Op, since: str | None) -> Changes:
        """What changed since a cursor; all machines where there is none, or it is not known any more."""
        pool = _pool(op)
        cursor = None if since is None else Cursor.of(since)
        if cursor is None or (cursor.pool, cursor.names) != (pool.uuid, pool.names):
            return self._full(op, pool)
        try:
            batch = _batch(op, cursor.token)
        except op.session.failure as failure:
            if code_of(failure) not in FORGOTTEN:
                raise
            return self._full(op, pool)
        return self._since(op, pool, cursor, batch) or self._full(op, pool)

    def _full(self, op: Op, pool: Pool) -> Changes:
        """The token first: what happens between it and the reading is told again by the next call."""
        token = op.call("event.inject", "pool", pool.ref)
        found = estate.read_all(op)
        batch = _batch(op, token)
        self._uuids = {ref: _machine_uuid(vm) for ref, vm in found.vms.items()}
        cursor = Cursor(pool.uuid, pool.names, _count(batch) - _growth(batch), token)
        return Changes(cursor=str(cursor), vms=tuple(inventory.views(found, pool.provider)), full=True)

    def _since(self, op: Op, pool: Pool, cursor: Cursor, batch: Record) -> Changes | None:
        """What a batch of events says; None where a deletion is missing, or of something unknown."""
        if _count(batch) != cursor.vms + _growth(batch) or _generation(batch["token"]) < _generation(
            cursor.token
        ):
            return None
        known = dict(self._uuids)
        gone = set()
        for event in _of_class(batch, "vm"):
            now = _machine_uuid(event["snapshot"]) if event["operation"] != "del" else ""
            before = known.get(event["ref"])
            if before is None and event["operation"] == "del":
                return None
            if before and not now:  # deleted, or made a template
                gone.add(before)
            known[event["ref"]] = now
        few = max(MOST_ONE_BY_ONE, _count(batch) // ALL_TO_ONE)
        views = _views(op, pool, self._touched(op, batch), few)
        self._uuids |= known
        after = Cursor(pool.uuid, pool.names, _count(batch), batch["token"])
        return Changes(
            cursor=str(after),
            vms=tuple(view for view in views if view.native_id not in gone),
            gone=tuple(sorted(gone)),
        )

    def _touched(self, op: Op, batch: Record) -> list[str]:
        """The machines that changed, themselves or in a disk."""
        refs = [event["ref"] for event in _of_class(batch, "vm") if event["operation"] != "del"]
        refs += [event["snapshot"]["VM"] for event in _of_class(batch, "vbd") if "snapshot" in event]
        for event in _of_class(batch, "vdi"):
            for vbd in event.get("snapshot", {}).get("VBDs", ()):
                owner = _or_none(op, "VBD.get_VM", vbd)
                refs += [] if owner is None else [owner]
        return list(dict.fromkeys(refs))


def _machine_uuid(record: Record) -> str:
    return str(record["uuid"]) if marks.is_machine(record) else ""


def _pool(op: Op) -> Pool:
    ((ref, record),) = estate.records(op, "pool").items()
    hosts = estate.records(op, "host")
    provider = str(record["name_label"] or hosts[record["master"]]["name_label"])
    return Pool(str(record["uuid"]), ref, provider, hosts)


def _batch(op: Op, token: str) -> Record:
    found: Record = op.call("event.from", list(CLASSES), token, POLL_S)
    return found


def _of_class(batch: Record, name: str) -> list[Any]:
    return [event for event in batch["events"] if event["class"] == name]


def _count(batch: Record) -> int:
    """How many VM objects there are now: machines, templates, snapshots and control domains."""
    return int(batch["valid_ref_counts"]["vm"])


def _generation(token: str) -> int:
    """The number of the last event that a token knows; that of a pool whose database was put back is lower than before."""
    number = token.partition(",")[0]
    return int(number) if number.isascii() and number.isdigit() else 0


def _growth(batch: Record) -> int:
    worth = {"add": 1, "del": -1}
    return sum(worth.get(event["operation"], 0) for event in _of_class(batch, "vm"))


def _views(op: Op, pool: Pool, refs: list[str], few: int) -> list[VmView]:
    """Those of the objects that are machines, as they are now; up to `few` of them are read one by one."""
    if not refs:
        return []
    if len(refs) > few:
        found = estate.read_all(op)
        changed = {found.machines[ref]["uuid"] for ref in refs if ref in found.machines}
        return [view for view in inventory.views(found, pool.provider) if view.native_id in changed]
    names = inventory.host_names(pool.hosts)
    views = []
    for ref in refs:
        record = _or_none(op, "VM.get_record", ref)
        if record is not None and marks.is_machine(record):
            views.append(_view(op, pool, names, record))
    return views


def _view(op: Op, pool: Pool, names: dict[str, str], record: Record) -> VmView:
    size = sum(int(disk["virtual_size"]) for _, disk in estate.disks(op, record))
    resident = record["resident_on"]
    host = None if resident == NULL else names.get(resident)
    return inventory.machine_view(record, marks.claim(record), pool.provider, host, size)


def _or_none(op: Op, method: str, ref: str) -> Any:
    """What a call says of an object; None where that is gone, which the next call tells."""
    try:
        return op.call(method, ref)
    except op.session.failure as failure:
        if not op.gone(failure):
            raise
        return None
