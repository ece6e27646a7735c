"""Measured use: importing it from files, all of them or none."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa
from sqlmodel import col, select

from catalog.documents import Problem
from chargeback.basis import Outside
from chargeback.events import EventKind
from chargeback.importers import ImportOptions
from chargeback.importers import import_samples as read_samples
from chargeback.instants import utc_text
from chargeback.samples import SCHEMA, STORED, STORED_DEFAULTS
from chargeback.sorting import is_ordered, ordered
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.store.tables import MachineEventRow, MachineRow
from tierwise.store.usage import UsageStore
from tierwise.store.usage_files import Layout
from tierwise.usecases import late_fact
from tierwise.usecases.metering import epoch

SAMPLES = Layout("at", "at", ("machine", "metric", "at"), "recorded_at", group_rows=65_536)

SKEW_S = 300
"""By how much a hypervisor's clock may be ahead of ours, or a machine's first sample before its creation."""

_SHOWN = 500
_AT_ONCE = 500
_NAMED = 3
"""Of machines that are not ours; the first ones say what is wrong."""
_FILE_BYTES_MAX = 2 * 2**30


@dataclass(frozen=True)
class ImportReport:
    """What an import of samples did. `notes` are for the person who imported."""

    added: int
    known: int
    notes: tuple[str, ...]


def sample_store(app: App) -> UsageStore:
    """The measured samples of this data directory."""
    return UsageStore(app.settings.usage_dir / "sample", STORED, SAMPLES, defaults=STORED_DEFAULTS)


def import_samples(app: App, path: Path, *, options: ImportOptions | None = None) -> ImportReport:
    """Add a file's samples, or those of all files in a folder: all of them or none; known ones are left out.

    A file that does not say whose samples they are is of the machine that it is named after. Raises
    InvalidInput with every problem: unreadable rows, samples in the future or before their machine's
    creation, and values that contradict each other or stored ones.
    """
    tables: list[Any] = []
    problems: list[Problem] = []
    notes: list[str] = []
    for file in _files(path):
        found = read_samples(
            _content(file), str(file), replace(options or ImportOptions(), machine=file.stem)
        )
        tables.append(found.table)
        problems += found.problems
        notes += found.notes
    _refuse(path, [str(problem) for problem in problems], "problem", "problems")
    table = pa.concat_tables(tables)
    machines = table["machine"].unique().to_pylist()
    created = creations(app, machines)
    impossible = _impossible(app, table, created, str(path))
    _refuse(path, [str(problem) for problem in impossible], "problem", "problems")
    notes += _not_ours(app, [machine for machine in machines if machine not in created])
    notes += map(str, _after_the_end(app, table, list(created)))
    seconds = _whole((options or ImportOptions()).expected_interval_s, table.num_rows)
    store = sample_store(app)
    with store.writing():
        added = added_to(
            store,
            table,
            source=path.name[:200],
            recorded_at=recordable(app),
            what=str(path),
            seconds=seconds,
        )
    return ImportReport(added, table.num_rows - added, tuple(notes))


def recordable(app: App) -> int:
    """When samples that come in now count as known: after the last final statements, which knew whole seconds."""
    with app.session() as session:
        return epoch(late_fact.recordable(session, app.clock.now()))


def added_to(
    store: UsageStore,
    table: Any,
    *,
    source: str,
    recorded_at: int,
    what: str,
    seconds: Any = None,
    state: Any = None,
) -> int:
    """Add samples of `chargeback.samples.SCHEMA`, each once, inside `writing`; gives how many were not known before.

    `seconds` is for how long each counts, and `state` what the next collection has to know. Raises
    InvalidInput where values contradict each other or stored ones; then nothing was added.
    """
    fresh = table.append_column("seconds", _whole(0, table.num_rows) if seconds is None else seconds)
    fresh = fresh.append_column("recorded_at", _whole(recorded_at, table.num_rows))
    fresh = fresh.append_column("source", pa.repeat(source, table.num_rows)).cast(STORED)
    new = _not_known(store, fresh, what) if fresh.num_rows else fresh
    if new.num_rows or state is not None:
        store.append(new, state=store.state() if state is None else state)
    return int(new.num_rows)


def _not_known(store: UsageStore, fresh: Any, what: str) -> Any:
    at = fresh["at"].to_numpy()
    machines = fresh["machine"].unique().to_pylist()
    stored = store.read(t_from=int(at.min()), t_to=int(at.max()) + 1, machines=machines)
    if not stored.num_rows and is_ordered(fresh, SAMPLES.order, strictly=True):
        return fresh
    mark = np.arange(stored.num_rows + fresh.num_rows) >= stored.num_rows
    rows = pa.concat_tables([stored, fresh]).append_column("fresh", pa.array(mark))
    # Equal rows keep their order, so what is stored stands before what is new.
    rows = ordered(rows, SAMPLES.order)
    again = np.append(False, _same_moment(rows))
    quantity = rows["quantity"].to_numpy()
    clashes = np.flatnonzero(again & np.append(False, np.diff(quantity) != 0))
    _refuse(
        Path(what), list(_clashes(rows, clashes)), "sample contradicts another", "samples contradict others"
    )
    is_new = np.asarray(rows["fresh"].to_numpy(), dtype=np.bool_) & ~again
    return rows.filter(pa.array(is_new)).select(STORED.names)


def _same_moment(rows: Any) -> Any:
    same = np.diff(rows["at"].to_numpy()) == 0
    places = np.flatnonzero(same)
    one, other = (
        rows.take(pa.array(at)).select(SCHEMA.names[:2]).to_pylist() for at in (places, places + 1)
    )
    same[places] = [before == after for before, after in zip(one, other, strict=True)]
    return same


def _clashes(rows: Any, places: Any) -> Iterator[str]:
    for place in places[:_SHOWN].tolist():
        before, after = rows.slice(place - 1, 2).to_pylist()
        where = "imported before" if not before["fresh"] else "there, too"
        yield (
            f"{after['machine']}, {after['metric']} at {utc_text(after['at'])}: {after['quantity']} here, "
            f"{before['quantity']} {where}; keep the right one"
        )
    if len(places) > _SHOWN:
        yield f"{len(places) - _SHOWN} more"


def _refuse(path: Path, details: list[str], one: str, many: str) -> None:
    if details:
        msg = f"{path}: {len(details)} {one if len(details) == 1 else many}; nothing was imported"
        raise InvalidInput(msg, details=details)


def _not_ours(app: App, machines: list[str]) -> list[str]:
    """What is said of samples that no statement will charge, as their machine is none of ours."""
    if not machines:
        return []
    with app.session() as session:
        ids = dict(session.exec(select(MachineRow.name, MachineRow.id)).all())
    named = [f"{name} is the name of {ids[name]}" for name in machines if name in ids]
    some = ", ".join(machines[:_NAMED]) + (
        f" and {len(machines) - _NAMED:,} more" if machines[_NAMED:] else ""
    )
    help_ = (
        f"write its id: {'; '.join(named[:_NAMED])}"
        if named
        else "a machine of ours is written as its order's id"
    )
    return [f"charged to nobody, as tierwise delivered no such machine: {some}; {help_}"]


def _impossible(app: App, table: Any, created: Mapping[str, int], file: str) -> Iterator[Problem]:
    """Samples that cannot be: after now, or before their machine's creation."""
    if not table.num_rows:
        return
    latest = epoch(app.clock.now()) + SKEW_S
    first = table.group_by("machine").aggregate([("at", "min"), ("at", "max")]).to_pylist()
    for row in sorted(first, key=lambda row: row["machine"]):
        name = f"machine {row['machine']}"
        if row["at_max"] > latest:
            message = f"{name} has a sample in the future, at {utc_text(row['at_max'])}; correct the clock that wrote it"
            yield Problem(file, 1, 1, "at", "", message)
        born = created.get(row["machine"])
        if born is not None and row["at_min"] < born - SKEW_S:
            message = (
                f"{name} has a sample at {utc_text(row['at_min'])}, before its creation at {utc_text(born)}; "
                "correct the machine or the time"
            )
            yield Problem(file, 1, 1, "at", "", message)


def _after_the_end(app: App, table: Any, machines: Sequence[str]) -> Iterator[Outside]:
    """The samples of machines of ours from times when these were deleted."""
    ends = _events(app, machines, sa.func.min, EventKind.DELETED)
    for machine, end in sorted(ends.items()):
        late = table.filter(
            pc.and_(pc.equal(table["machine"], machine), pc.greater_equal(table["at"], end))
        )
        moments: defaultdict[str, list[int]] = defaultdict(list)
        for metric, at in zip(late["metric"].to_pylist(), late["at"].to_pylist(), strict=True):
            moments[metric].append(at)
        yield from (Outside(machine, metric, len(at), min(at)) for metric, at in sorted(moments.items()))


def creations(app: App, machines: list[str]) -> Mapping[str, int]:
    """When those of the machines that are ours were created."""
    return _events(app, machines, sa.func.min)


def switched_on(app: App, machines: Sequence[str]) -> Mapping[str, int]:
    """When those of the machines that are ours were switched on last."""
    return _events(app, machines, sa.func.max, EventKind.POWERED_ON)


def _events(app: App, machines: Sequence[str], which: Any, *kinds: EventKind) -> Mapping[str, int]:
    """When the first or the last event of some kinds, or of any, was of each machine that has one."""
    found: dict[str, int] = {}
    with app.session() as session:
        for start in range(0, len(machines), _AT_ONCE):
            query = (
                select(MachineEventRow.machine, which(MachineEventRow.at))
                .where(col(MachineEventRow.machine).in_(machines[start : start + _AT_ONCE]))
                .group_by(MachineEventRow.machine)
            )
            if kinds:
                query = query.where(col(MachineEventRow.kind).in_([kind.value for kind in kinds]))
            found |= {machine: epoch(at) for machine, at in session.exec(query)}
    return found


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.suffix.lower() in {".csv", ".parquet"})
    if not files:
        msg = f"the folder {path} holds no .csv or .parquet file"
        raise InvalidInput(msg)
    return files


def _content(file: Path) -> bytes:
    try:
        if file.stat().st_size > _FILE_BYTES_MAX:
            msg = f"{file} is larger than 2 GiB; cut it in parts, which can be imported one after another"
            raise InvalidInput(msg)
        return file.read_bytes()
    except OSError as error:
        msg = f"{file} cannot be read: {error.strerror or error}"
        raise InvalidInput(msg) from None


def _whole(value: int, count: int) -> Any:
    return pa.repeat(pa.scalar(value, pa.int64()), count)
