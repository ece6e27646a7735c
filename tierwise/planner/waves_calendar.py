"""Windows and freezes in words -> spans of seconds, in order and none over another."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from chargeback.economics.trace import LAST_START
from tierwise.errors import InvalidInput
from tierwise.planner.waves_form import Recurring, Span

Seconds = tuple[int, int]
_LATEST_S = int(datetime.combine(LAST_START, time.max, UTC).timestamp())
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WEEKLY = re.compile(r"(?P<day>\w{3}) (?P<begin>\d\d:\d\d)-(?P<end>\d\d:\d\d)")


def windows_of(
    spans: Sequence[Span], weekly: Recurring | None, freezes: Sequence[Span], more: Sequence[str] = ()
) -> tuple[Seconds, ...]:
    """All windows, those that touch joined, less the freezes. Raises InvalidInput where one cannot be read, or none is left."""
    found = [_seconds("windows", span.from_, span.to) for span in spans]
    found += [] if weekly is None else recurring(weekly)
    found += [_interval(text) for text in more]
    if not found:
        msg = "nothing says when moves may be; give windows or weekly in the document, or --windows FROM/TO"
        raise InvalidInput(msg)
    if not all(0 <= begin < _LATEST_S for begin, _ in found):
        msg = f"a window begins before 1970 or after {LAST_START.year}; correct it"
        raise InvalidInput(msg)
    frozen = [_seconds("freezes", span.from_, span.to) for span in freezes]
    rest = tuple(_without(_joined(found), _joined(frozen)))
    if not rest:
        msg = "the freezes leave nothing of the windows; shorten them, or give other windows"
        raise InvalidInput(msg)
    return rest


def recurring(weekly: Recurring) -> list[Seconds]:
    """Each week's hours by the zone's clocks: a night in which they change is an hour longer or shorter."""
    try:
        zone, first = ZoneInfo(weekly.time_zone), date.fromisoformat(weekly.from_)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        msg = f"weekly: '{weekly.time_zone}' or '{weekly.from_}' is not known; write a zone like Europe/Berlin and a day like 2027-01-09"
        raise InvalidInput(msg) from None
    if first > LAST_START:
        msg = f"weekly: '{weekly.from_}' is after {LAST_START}; give an earlier day"
        raise InvalidInput(msg)
    found = []
    for text in weekly.every:
        day, begin, end = _hours(text)
        start = first + timedelta(days=(day - first.weekday()) % 7)
        for week in range(weekly.weeks):
            on = start + timedelta(weeks=week)
            last = on if end > begin else on + timedelta(days=1)
            found.append((_instant(on, begin, zone), _instant(last, end, zone)))
    return found


def _hours(text: str) -> tuple[int, time, time]:
    read = _WEEKLY.fullmatch(text)
    assert read is not None, text
    try:
        return DAYS.index(read["day"]), time.fromisoformat(read["begin"]), time.fromisoformat(read["end"])
    except ValueError:
        msg = f"weekly: '{text}' has an hour that is none; write it like sat 22:00-06:00"
        raise InvalidInput(msg) from None


def _instant(day: date, at: time, zone: ZoneInfo) -> int:
    return int(datetime.combine(day, at, zone).timestamp())


def _interval(text: str) -> Seconds:
    """``2027-01-09T22:00+01:00/2027-01-10T06:00+01:00``; without an offset it is UTC."""
    begin, _, end = text.partition("/")
    try:
        ends = [datetime.fromisoformat(part.strip()) for part in (begin, end)]
    except ValueError:
        msg = f"--windows: '{text}' is no span; write it like 2027-01-09T22:00+01:00/2027-01-10T06:00+01:00"
        raise InvalidInput(msg) from None
    return _seconds("--windows", *(at if at.tzinfo else at.replace(tzinfo=UTC) for at in ends))


def _seconds(where: str, begin: datetime, end: datetime) -> Seconds:
    if begin >= end:
        msg = f"{where}: {begin.isoformat()} to {end.isoformat()} ends before it begins; exchange them"
        raise InvalidInput(msg)
    return int(begin.timestamp()), int(end.timestamp())


def _joined(spans: list[Seconds]) -> list[Seconds]:
    found: list[Seconds] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((begin, end))
    return found


def _without(spans: list[Seconds], frozen: list[Seconds]) -> Iterator[Seconds]:
    for begin, end in spans:
        at = begin
        for stop, go_on in frozen:
            if stop < end and go_on > at:
                if stop > at:
                    yield at, stop
                at = max(at, go_on)
        if at < end:
            yield at, end
