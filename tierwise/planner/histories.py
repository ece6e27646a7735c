"""A history of machines as CSV: when each was made and removed -> what arrivals and lifetimes are fitted to."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter, ValidationError

from catalog.base import Name
from catalog.resources import ResourceClass
from catalog.wording import counted
from placement.forecast.fit_arrivals import Arrived, gaps, silent_end
from placement.forecast.fit_lifetimes import Lived
from placement.forecast.numbers import HOURS_PER_DAY
from tierwise.errors import InvalidInput

REQUIRED = ("created_at", "deleted_at", "class")
SIZES = tuple(rc.value for rc in ResourceClass)
OPTIONAL = ("tenant", *SIZES)
BATCH_S = 300
"""Machines of one tenant and class that come within so many seconds of the one before are one batch."""
_SHOWN = 20
_NAME: TypeAdapter[str] = TypeAdapter(Name)


@dataclass(frozen=True)
class _Machine:
    created: datetime
    deleted: datetime | None
    kind: str
    tenant: str
    size: tuple[int, ...]


@dataclass(frozen=True)
class History:
    """What one file says."""

    arrived: Arrived
    lived: Mapping[str, Lived]
    """By class."""
    sizes: Mapping[str, Mapping[str, int]]
    """By class: of each resource that the file has, what most of its machines need."""
    since: datetime
    until: datetime
    gaps: tuple[tuple[date, date], ...]
    """First and last day of each stretch in which nothing came for so long that its machines must be missing."""

    silent_end: tuple[date, date] | None = None
    """First and last day of such a stretch at the end, which counts: demand may have ended."""

    @property
    def without_gaps(self) -> bool:
        """Whether the gaps are left out, and no time in which nothing came."""
        return bool(self.arrived.unseen_days)


def read_history(path: Path, until: datetime | None = None, *, leave_out_gaps: bool = True) -> History:
    """Read a CSV with the columns created_at, deleted_at (empty: still there) and class.

    It may have tenant, vcpu, memory_mib and disk_gib too. Times are ISO 8601, all with a zone (they are taken to UTC) or
    all without. `until` is when the file was written; without it, the last time in it. Removed machines must be in
    it, or lives would seem longer than they are. Gaps that are half of the time and more are how machines come, and
    are not left out. Raises InvalidInput with every bad line, up to twenty.
    """
    machines = _machines(path)
    last = max(time for m in machines for time in (m.created, m.deleted) if time is not None)
    end = _end(path, until, last) if until else last
    if end < last:
        msg = f"{path}: holds {last.isoformat()}, which is after --until {end.isoformat()}; give the time at which it was written"
        raise InvalidInput(msg)
    since = min(m.created for m in machines).replace(hour=0, minute=0, second=0, microsecond=0)
    ordered = sorted(machines, key=lambda m: (m.kind, m.tenant, m.created))
    batch = _batches(ordered)
    kinds = tuple(sorted({m.kind for m in machines}))
    # A machine that came at the very end belongs to the time that was seen.
    span_hours = max(24.0, (end - since).total_seconds() / 3600 + 1e-6)
    first = np.flatnonzero(np.diff(batch, prepend=-1))
    hours = np.array([(ordered[i].created - since).total_seconds() / 3600 for i in first.tolist()])
    missing = gaps(hours)
    days = tuple(day for gap in missing for day in gap)
    if 2 * HOURS_PER_DAY * len(days) >= span_hours or not leave_out_gaps:
        days = ()
    return History(
        arrived=Arrived(
            hours=hours,
            workload_class=np.array([kinds.index(ordered[i].kind) for i in first.tolist()], dtype=np.int64),
            size=np.bincount(batch),
            classes=kinds,
            span_hours=span_hours,
            first_weekday=since.weekday(),
            unseen_days=days,
        ),
        lived={kind: _lived(ordered, batch, kind, end) for kind in kinds},
        sizes={kind: _sizes([m for m in ordered if m.kind == kind]) for kind in kinds},
        since=since,
        until=end,
        gaps=tuple(_dates(since, gap) for gap in missing),
        silent_end=_dates(since, silent) if (silent := silent_end(hours, span_hours)) else None,
    )


def _dates(since: datetime, days: range) -> tuple[date, date]:
    return since.date() + timedelta(days=days.start), since.date() + timedelta(days=days.stop - 1)


def _end(path: Path, until: datetime, last: datetime) -> datetime:
    """Without a zone, `until` is in that of the history."""
    if until.tzinfo is None:
        return until.replace(tzinfo=last.tzinfo)
    if last.tzinfo is None:
        msg = f"{path}: its times have no zone, but --until {until.isoformat()} has; write both alike"
        raise InvalidInput(msg)
    return until.astimezone(UTC)


def _batches(ordered: list[_Machine]) -> np.ndarray:
    """[N] the batch of each machine, numbered from 0."""
    found, number = [], -1
    before: _Machine | None = None
    for machine in ordered:
        alike = before is not None and (before.kind, before.tenant) == (machine.kind, machine.tenant)
        if before is None or not alike or machine.created - before.created > timedelta(seconds=BATCH_S):
            number += 1
        found.append(number)
        before = machine
    return np.array(found, dtype=np.int64)


def _lived(ordered: list[_Machine], batch: np.ndarray, kind: str, end: datetime) -> Lived:
    low, high, of = [], [], []
    for machine, number in zip(ordered, batch.tolist(), strict=True):
        if machine.kind == kind:
            hours = ((machine.deleted or end) - machine.created).total_seconds() / 3600
            # To the minute: two machines that were removed by one command left together.
            whole = np.floor(hours * 60) / 60
            low.append(whole)
            high.append(whole + 1 / 60 if machine.deleted else np.inf)
            of.append(number)
    return Lived(np.array(low), np.array(high), np.array(of, dtype=np.int64))


def _sizes(machines: list[_Machine]) -> dict[str, int]:
    counted = Counter(machine.size for machine in machines)
    best = max(counted, key=lambda size: (counted[size], size))
    return dict(zip(SIZES, best, strict=True)) if best else {}


def _machines(path: Path) -> list[_Machine]:
    found: list[_Machine] = []
    wrong: list[str] = []
    for line, row in _rows(path):
        try:
            found.append(_machine(row))
        except ValueError as error:
            wrong.append(f"{path}:{line}: {error}")
    zoned = {machine.created.tzinfo is not None for machine in found}
    if len(zoned) > 1:
        wrong.append(f"{path}: some times have a zone and some have none; write all of them alike")
    if wrong:
        more = [f"and {len(wrong) - _SHOWN} more"] if len(wrong) > _SHOWN else []
        msg = f"{path}: {counted(len(wrong), 'line', 'is', 'are')} not right; nothing was fitted"
        raise InvalidInput(msg, details=[*wrong[:_SHOWN], *more])
    if not found:
        msg = f"{path}: holds no machine; it needs a header ({','.join(REQUIRED)}) and a line for each"
        raise InvalidInput(msg)
    return found


def _machine(row: Mapping[str, str]) -> _Machine:
    created = _time("created_at", row["created_at"])
    deleted = _time("deleted_at", row["deleted_at"]) if row["deleted_at"].strip() else None
    if deleted is not None:
        if (deleted.tzinfo is None) != (created.tzinfo is None):
            msg = "created_at and deleted_at must both have a zone, or neither"
            raise ValueError(msg)
        if deleted < created:
            msg = f"deleted_at {deleted.isoformat()} is before created_at {created.isoformat()}; is one of them the other?"
            raise ValueError(msg)
    try:
        kind = _NAME.validate_python(row["class"].strip())
    except ValidationError:
        msg = f"class must be a name of lower-case letters, digits and inner hyphens: {row['class'][:40]!r}"
        raise ValueError(msg) from None
    size = tuple(_amount(name, row[name]) for name in SIZES) if all(name in row for name in SIZES) else ()
    return _Machine(created, deleted, kind, row.get("tenant", "").strip(), size)


def _time(name: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        msg = f"{name} must be a time such as 2026-10-01T08:30:00: {text[:40]!r}"
        raise ValueError(msg) from None
    return found.astimezone(UTC) if found.tzinfo else found


def _amount(name: str, text: str) -> int:
    if not (text.strip().isascii() and text.strip().isdigit()) or len(text.strip()) > 15:
        msg = f"{name} must be a whole number: {text[:40]!r}"
        raise ValueError(msg)
    return int(text)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            names = [name.strip() for name in reader.fieldnames or ()]
            missing = [name for name in REQUIRED if name not in names]
            if missing:
                msg = f"{path}: the header lacks {', '.join(missing)}; it has {', '.join(names)[:200] or 'nothing'}"
                raise InvalidInput(msg)
            reader.fieldnames = names
            for row in reader:
                if any(value for value in row.values()):
                    yield reader.line_num, row
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise InvalidInput(msg) from None
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: not a CSV file in UTF-8: {error}"
        raise InvalidInput(msg) from None
