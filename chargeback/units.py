"""What prices are for: how much of a metric, and for how long.

A unit is written ``GiB-month``: an amount of the metric and a length of time; an amount alone
(``machine``) is paid once. What a month and a year are is stated by the rate card.
"""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum

from chargeback.instants import start_of_day, zone
from chargeback.periods import BillingPeriod
from chargeback.usage import Metric

HOUR_S = 3600
DAY_S = 24 * HOUR_S

_AMOUNTS: Mapping[Metric, Mapping[str, int]] = {
    Metric.VCPU: {"vcpu": 1},
    Metric.MEMORY_MIB: {"MiB": 1, "GiB": 1024},
    Metric.DISK_GIB: {"GiB": 1, "TiB": 1024},
    Metric.MACHINE: {"machine": 1},
    Metric.CPU_MHZ: {"MHz": 1, "GHz": 1000},
    Metric.DISK_IO_KBPS: {"KBps": 1, "MBps": 1000},
    Metric.NET_IO_KBPS: {"KBps": 1, "MBps": 1000},
    Metric.STORAGE_USED_GIB: {"GiB": 1, "TiB": 1024},
}


class Per(StrEnum):
    """The time that a price is for. A week is 7 x 24 h and a day 24 h, also where clocks change."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"
    ONCE = "once"


class MonthLength(StrEnum):
    """How long the month of a monthly price is: that of the bill, or always the same."""

    CALENDAR = "calendar"
    HOURS_730 = "730h"
    HOURS_720 = "720h"
    DAYS_30 = "30d"


class YearLength(StrEnum):
    """How long the year of a yearly price is."""

    DAYS_365 = "365d"
    CALENDAR = "calendar"


UNITS: Mapping[Metric, Mapping[str, int]] = {
    metric: {f"{name}-{Per.HOUR}": amount for name, amount in amounts.items()}
    for metric, amounts in _AMOUNTS.items()
}
"""Per metric, the units by the hour, and how much of the metric one of them is."""

_FIXED_S: Mapping[Per, int] = {Per.HOUR: HOUR_S, Per.DAY: DAY_S, Per.WEEK: 7 * DAY_S, Per.ONCE: 1}
_MONTH_S: Mapping[MonthLength, int] = {
    MonthLength.HOURS_730: 730 * HOUR_S,
    MonthLength.HOURS_720: 720 * HOUR_S,
    MonthLength.DAYS_30: 30 * DAY_S,
}


def unit_amount(metric: Metric, unit: str) -> int:
    """How much of the metric one unit is; 0 where it is not priced in that unit."""
    thing, dash, per = unit.partition("-")
    timed = per in set(Per) - {Per.ONCE} if dash else metric is Metric.MACHINE
    return _AMOUNTS[metric].get(thing, 0) if timed else 0


def per_of(unit: str) -> Per:
    """The time of a unit: ``month`` of ``GiB-month``, ``once`` of ``machine``."""
    _, dash, per = unit.partition("-")
    return Per(per) if dash else Per.ONCE


def thing_of(unit: str) -> str:
    """What a unit counts: ``GiB`` of ``GiB-month``."""
    return unit.partition("-")[0]


def seconds_of(per: Per, period: BillingPeriod, month: MonthLength, year: YearLength) -> int:
    """How long the time of a price is in a billing period; 1 for what is paid once."""
    if per in _FIXED_S:
        return _FIXED_S[per]
    if per is Per.MONTH:
        return period.t_to - period.t_from if month is MonthLength.CALENDAR else _MONTH_S[month]
    if year is YearLength.DAYS_365:
        return 365 * DAY_S
    where = zone(period.time_zone)
    return start_of_day(date(period.year + 1, 1, 1), where) - start_of_day(date(period.year, 1, 1), where)


def is_fixed(per: Per, month: MonthLength, year: YearLength) -> bool:
    """Whether the time of a price is as long in every billing period."""
    if per is Per.MONTH:
        return month is not MonthLength.CALENDAR
    return per is not Per.YEAR or year is not YearLength.CALENDAR


def unknown_unit(metric: Metric, unit: str) -> str:
    """What to say about a unit that the metric is not priced in."""
    amounts = " or ".join(_AMOUNTS[metric])
    once = ", or machine for what is paid once" if metric is Metric.MACHINE else ""
    times = ", ".join(per for per in Per if per is not Per.ONCE)
    return f"{metric} is not priced per '{unit}'; use {amounts} with -hour ({times}){once}"
