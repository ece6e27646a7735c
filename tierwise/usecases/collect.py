"""Measured use from the hypervisors' own meters."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pyarrow as pa
import pyarrow.compute as pc

from catalog.wording import counted
from chargeback.counters import LAST, Reading, sampled
from connectors.contract import Connector, UsageReading
from connectors.errors import ConnectorError
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.usecases.clocks import wrong_clocks
from tierwise.usecases.metering import epoch
from tierwise.usecases.samples import SKEW_S, added_to, recordable, sample_store, switched_on

FIRST_LOOK_S = 3600
"""How far back the first collection of an endpoint asks."""


@dataclass(frozen=True)
class Collected:
    """What one endpoint gave. `why_not` is why it gave nothing; Unsupported where it has no meters."""

    endpoint: str
    machines: int = 0
    added: int = 0
    notes: tuple[str, ...] = ()
    why_not: ConnectorError | InvalidInput | None = None


@dataclass(frozen=True)
class _Read:
    readings: tuple[Reading, ...]
    since: int | None = None
    """When the counters began at 0, where they count from the moment that was asked for."""
    since_of: Mapping[str, int] = field(default_factory=dict)
    """The same of machines that were read before."""
    notes: tuple[str, ...] = ()


def collect(app: App) -> list[Collected]:
    """Read the meters of all endpoints side by side, and store what was used since the last time.

    An endpoint that cannot be read or has no meters is named with the reason, and does not stop the
    others. Readings in the future are left out.
    """
    names = app.endpoints.names
    if not names:
        return []
    last = _last(app)
    with ThreadPoolExecutor(max_workers=len(names), thread_name_prefix="collect") as pool:
        read = list(pool.map(lambda name: _read(app, name, last), names))
    return [
        _stored(app, name, found) if isinstance(found, _Read) else Collected(name, why_not=found)
        for name, found in zip(names, read, strict=True)
    ]


def _last(app: App) -> Any:
    state = sample_store(app).state()
    return state if state is not None and state.schema.equals(LAST) else LAST.empty_table()


def _read(app: App, name: str, last: Any) -> _Read | ConnectorError | InvalidInput:
    since_of = _since_of(last.filter(pc.equal(last["endpoint"], name)))
    since = min(since_of.values(), default=epoch(app.clock.now()) - FIRST_LOOK_S)
    try:
        with app.endpoints.lease(name) as connector:
            counts_from_since = connector.counts_from_since
            if not counts_from_since:
                found = _readings(connector, since)
        if counts_from_since:
            # What it counted before is in nobody's samples but another connector's; one of its own counts from `since`.
            with app.endpoints.fresh(name) as connector:
                connector.count_from(
                    {UUID(one): datetime.fromtimestamp(at, UTC) for one, at in since_of.items()}
                )
                found = _readings(connector, since)
                return _Read(found, since, since_of, _wrong(app, connector))
    except (ConnectorError, InvalidInput) as error:
        return error
    return _Read(found)


def _wrong(app: App, connector: Connector) -> tuple[str, ...]:
    """Of clocks that are wrong; what was read is kept where they cannot be asked."""
    try:
        wrong = wrong_clocks(app.clock, connector)
    except ConnectorError as error:
        return (f"its clock cannot be read: {error}",)
    return tuple(f"{text}; until then use is left out, or charged as of another time" for text in wrong)


def _since_of(last: Any) -> dict[str, int]:
    """Until when each machine of an endpoint is counted, but no longer before its last collection than a first one asks.

    Hosts tell at moments of their own: one moment for all machines would leave out what some did before it.
    """
    if not last.num_rows:
        return {}
    oldest = pc.max(last["at"]).as_py() - FIRST_LOOK_S
    until = last.group_by("machine").aggregate([("at", "max")]).to_pylist()
    return {row["machine"]: max(row["at_max"], oldest) for row in until}


def _readings(connector: Connector, since: int) -> tuple[Reading, ...]:
    return tuple(map(_reading, connector.usage(datetime.fromtimestamp(since, UTC))))


def _reading(told: UsageReading) -> Reading:
    begun = None if told.begun_at is None else epoch(told.begun_at)
    return Reading(
        str(told.identity), told.metric, told.value, epoch(told.at), told.counter, told.part, begun
    )


def _stored(app: App, name: str, read: _Read) -> Collected:
    latest = epoch(app.clock.now() + timedelta(seconds=SKEW_S))
    readings = [reading for reading in read.readings if reading.at <= latest]
    notes = [*read.notes]
    if len(readings) < len(read.readings):
        early = len(read.readings) - len(readings)
        are = "is" if early == 1 else "are"
        notes.append(
            f"{counted(early, 'reading')} {are} in the future and left out; set the clock of {name} right"
        )
    on_since = switched_on(app, sorted({reading.machine for reading in readings}))
    store = sample_store(app)
    with store.writing():
        found, kept = sampled(
            readings, _last(app), endpoint=name, since=read.since, since_of=read.since_of, on_since=on_since
        )
        added = added_to(
            store, found.table(), seconds=pa.array(found.seconds, pa.int64()), source=f"endpoint {name}",
            recorded_at=recordable(app), what=f"endpoint {name}", state=kept,
        )  # fmt: skip
    machines = len({reading.machine for reading in readings})
    return Collected(name, machines, added, (*notes, *found.notes))
