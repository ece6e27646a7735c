"""From what happened to machines to the usage that is charged."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

from catalog.resources import Resources
from chargeback.events import EventKind, MachineEvent
from chargeback.metering import InvalidLives, intervals, reconcile
from chargeback.open_ends import NOTES, extended, noted, seen, without
from chargeback.usage import DEFAULTS, SCHEMA, UsageInterval, from_table, to_table
from tierwise.app import App
from tierwise.errors import TierwiseError
from tierwise.store import events as event_store
from tierwise.store.tables import MachineEventRow
from tierwise.store.usage import UsageStore
from tierwise.store.usage_files import Layout

METERED_BY = "orders"
_AT_ONCE = 500
"""Machines that are replayed together, so that the first run of a large estate has its memory bounded."""

_SET_BACK_S = 300
"""So far a clock may have been set back: what keeps clocks right does that, and a bill must not wait for it."""

INTERVALS = Layout("t_from", "t_to", ("machine", "t_from", "sequence"), "recorded_at")


def interval_store(app: App) -> UsageStore:
    """The bitemporal usage intervals of this data directory."""
    return UsageStore(app.settings.usage_dir / "interval", SCHEMA, INTERVALS, defaults=DEFAULTS)


def meter(app: App) -> int:
    """Bring the stored usage up to now; gives the number of rows that were appended.

    Doing it again appends nothing but the time that has passed. A late fact is recorded at the moment
    it became known, so "as known at T" never depends on when metering ran. Only machines with new
    facts are looked at one by one; the others' time passes in one step.
    """
    store = interval_store(app)
    with store.writing():
        moment = _moment(app.clock.now(), store.newest())
        now = epoch(moment)
        notes = _notes(store)
        with app.session() as session:
            facts = event_store.taken_in(session, moment)
        known = seen(notes)
        new = sorted(machine for machine, counts in facts.items() if known.get(machine) != counts)
        parts, after = [], []
        for start in range(0, len(new), _AT_ONCE):
            rows, fresh = _replayed(app, store, new[start : start + _AT_ONCE], moment)
            parts.append(rows)
            after.append(fresh)
        rows, rest = extended(without(notes, new), now, source=METERED_BY)
        table = pa.concat_tables([*parts, rows])
        if table.num_rows or new:
            store.append(table, state=pa.concat_tables([*after, rest]))
    return int(table.num_rows)


def _notes(store: UsageStore) -> Any:
    """What the last run noted; nothing where it cannot be read, so that all facts are new."""
    notes = store.state()
    return notes if notes is not None and notes.schema.equals(NOTES) else NOTES.empty_table()


def _replayed(app: App, store: UsageStore, machines: Sequence[str], moment: datetime) -> tuple[Any, Any]:
    """What to append for machines with new facts, and the notes about them."""
    now = epoch(moment)
    stored = _by_machine(from_table(store.read(machines=machines)))
    with app.session() as session:
        rows = event_store.of_machines(session, moment, machines)
    facts: defaultdict[str, list[MachineEvent]] = defaultdict(list)
    for row in rows:
        facts[row.machine].append(fact(row))
    appended, sequences = [], {}
    try:
        for machine in machines:
            own = _advance(stored[machine], facts[machine], now)
            sequences[machine] = max((row.sequence + 1 for row in [*stored[machine], *own]), default=0)
            appended += own
    except InvalidLives as error:
        msg = "the events of a machine contradict each other; nothing was metered"
        raise TierwiseError(msg, details=[str(problem) for problem in error.problems]) from None
    return to_table(appended), noted(facts, now, sequences)


def _moment(clock: datetime, newest: int) -> datetime:
    """Up to when is metered: as far as it was before, while a clock that was set back a little catches up."""
    now = epoch(clock)
    if newest > now + _SET_BACK_S:
        msg = (
            f"usage was recorded until {_utc(newest)}, but the clock says {_utc(now)}; "
            "set the clock right, nothing was metered"
        )
        raise TierwiseError(msg)
    return max(clock, datetime.fromtimestamp(newest, UTC))


def _advance(
    stored: Sequence[UsageInterval], facts: Sequence[MachineEvent], now: int
) -> list[UsageInterval]:
    """What to append for one machine: each moment of new knowledge in turn, then up to now.

    A moment at which the facts contradicted each other, before later ones put that right, adds nothing.
    Raises InvalidLives where they still do.
    """
    metered_at = max((row.recorded_at for row in stored), default=-1)
    moments = sorted({fact.recorded_at for fact in facts if metered_at <= fact.recorded_at <= now} | {now})
    appended: list[UsageInterval] = []
    for moment in moments:
        known = [fact for fact in facts if fact.recorded_at <= moment]
        try:
            wanted = intervals(known, moment)
        except InvalidLives:
            if moment == now:
                raise
            continue
        appended += reconcile([*stored, *appended], wanted, recorded_at=moment, source=METERED_BY)
    return appended


def _by_machine(rows: Iterable[UsageInterval]) -> defaultdict[str, list[UsageInterval]]:
    found: defaultdict[str, list[UsageInterval]] = defaultdict(list)
    for row in rows:
        found[row.machine].append(row)
    return found


def fact(row: MachineEventRow) -> MachineEvent:
    """An event of the database as chargeback's fact."""
    details: dict[str, Any] = json.loads(row.details)
    resources = details.pop("resources", None)
    assert row.sequence is not None, row
    return MachineEvent(
        machine=row.machine,
        sequence=row.sequence,
        kind=EventKind(row.kind),
        at=epoch(row.at),
        recorded_at=epoch(row.recorded_at),
        source=row.source,
        resources=None if resources is None else Resources(**resources),
        **details,
    )


def epoch(moment: datetime) -> int:
    """Whole seconds since 1970; a fraction of a second is not charged."""
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(seconds=1)


def history(app: App, machine: str) -> list[dict[str, Any]]:
    """What happened to one machine, oldest first."""
    with app.session() as session:
        rows = event_store.known_at(session, app.clock.now(), machine)
    return [
        {
            "at": row.at.isoformat(),
            "kind": row.kind,
            "recorded_at": row.recorded_at.isoformat(),
            "source": row.source,
            **json.loads(row.details),
        }
        for row in rows
    ]


def _utc(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()
