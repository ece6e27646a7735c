"""Where the time comes from: an argument everywhere, made real only here."""

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time, aware and in UTC."""

    def now(self) -> datetime:
        """The present moment."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment by the operating system."""
        return datetime.now(UTC)


class SteppedClock:
    """A clock that stands still until it is moved: for demos, replays and tests."""

    def __init__(self, start: datetime) -> None:
        self._now = start.astimezone(UTC)

    def now(self) -> datetime:
        """The moment the clock was last set to."""
        return self._now

    def set(self, moment: datetime) -> None:
        """Move to `moment`; time never goes back."""
        if moment < self._now:
            msg = f"the clock stands at {self._now.isoformat()} and cannot go back to {moment.isoformat()}"
            raise ValueError(msg)
        self._now = moment.astimezone(UTC)

    def advance(self, step: timedelta) -> None:
        """Move forward by `step`."""
        self.set(self._now + step)
