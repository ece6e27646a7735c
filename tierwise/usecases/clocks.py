"""Endpoints' clocks beside ours: what they tell with a time is charged and listed as of that time."""

from datetime import timedelta

from catalog.wording import counted
from connectors.contract import Connector
from tierwise.clock import Clock
from tierwise.usecases.samples import SKEW_S


def wrong_clocks(clock: Clock, connector: Connector) -> list[str]:
    """In words, each clock of an endpoint that is more than `SKEW_S` ahead of ours or behind it. Raises ConnectorError."""
    begin = clock.now()
    told = connector.clocks()
    end = clock.now()
    off = {name: max(at - end, timedelta()) or min(at - begin, timedelta()) for name, at in told.items()}
    return [_words(name, by) for name, by in off.items() if abs(by) > timedelta(seconds=SKEW_S)]


def _words(name: str, off: timedelta) -> str:
    hours, minutes = divmod(round(abs(off).total_seconds() / 60), 60)
    parts = [counted(hours, "hour")] * bool(hours) + [counted(minutes, "minute")] * bool(minutes)
    where = "ahead of" if off > timedelta() else "behind"
    return (
        f"the clock of '{name}' is {' '.join(parts)} {where} that of this machine; set right the one that is "
        "wrong, best by NTP"
    )
