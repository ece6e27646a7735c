"""Moments as whole UTC epoch seconds, and what a wall clock of a time zone means in them."""

from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BeforeValidator, Field

END_OF_TIME_S = 253_402_300_800
"""The start of the year 10000; a time that nothing reaches, so that open ends compare as numbers."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)


def epoch_s(moment: datetime) -> int:
    """Whole seconds since 1970-01-01T00:00Z, fractions cut off. Raises ValueError for a naive time."""
    if moment.tzinfo is None:
        msg = f"{moment.isoformat()} has no time zone; add an offset like +02:00 or Z"
        raise ValueError(msg)
    return (moment - _EPOCH) // _SECOND


def _seconds(value: object) -> object:
    return epoch_s(value) if isinstance(value, datetime) else value


EpochSeconds = Annotated[int, BeforeValidator(_seconds), Field(ge=0, le=END_OF_TIME_S, strict=True)]
"""UTC seconds since 1970; an aware `datetime` is taken too and cut to the second."""


def utc_text(at: int) -> str:
    """A moment for people: ``2026-10-01T00:00:00Z``."""
    return (_EPOCH + timedelta(seconds=at)).strftime("%Y-%m-%dT%H:%M:%SZ")


def zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name such as ``Europe/Berlin``. Raises ValueError for any other."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        msg = f"'{name}' is no time zone; use an IANA name like Europe/Berlin or UTC"
        raise ValueError(msg) from None


def start_of_day(day: date, where: tzinfo) -> int:
    """The first second of a calendar day in a time zone."""
    # fold=0 means the earlier of two midnights, and the moment of the jump where midnight is skipped.
    return epoch_s(datetime(day.year, day.month, day.day, tzinfo=where, fold=0))


def instant(text: str, where: tzinfo) -> int:
    """The moment that an ISO 8601 date or date-time names; without an offset it is local time.

    Raises ValueError for other text, fractions of a second, and local times that a clock change
    skips or shows twice.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        msg = "must be a date like 2026-10-01 or a date-time like 2026-10-01T13:00:00"
        raise ValueError(msg) from None
    if moment.microsecond:
        msg = "must be a whole second"
        raise ValueError(msg)
    if len(text) == len("2026-10-01"):
        return start_of_day(moment.date(), where)
    return epoch_s(moment if moment.tzinfo else _local(moment, where))


def _local(moment: datetime, where: tzinfo) -> datetime:
    early, late = (moment.replace(tzinfo=where, fold=fold) for fold in (0, 1))
    if early.utcoffset() == late.utcoffset():
        return early
    skipped = epoch_s(early) > epoch_s(late)
    happens = "does not exist" if skipped else "happens twice"
    msg = f"{moment.isoformat()} {happens} in {where} (clock change); add an offset like +01:00"
    raise ValueError(msg)
