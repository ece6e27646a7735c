"""Units as FOCUS writes them: ``Core-Hours`` for our ``vcpu-hour``, and the seconds behind them."""

from fractions import Fraction

TIMES = {"hour": "Hours", "day": "Days", "week": "Days", "month": "Months", "year": "Years"}
"""Our words for time, and FOCUS's in plural, which has no weeks: they are 7 days."""

FIXED_S = {"hour": 3600, "day": 86400, "week": 604_800}
"""Seconds of a time that always has as many; months and years do not."""

_NOUNS = {"vcpu": "Core"}

_BASES = {
    "vcpu": ("Core", {"vcpu": 1}),
    "memory_mib": ("MiB", {"MiB": 1, "GiB": 1024, "TiB": 1024**2}),
    "disk_gib": ("GiB", {"GiB": 1, "TiB": 1024}),
    "machine": ("Machine", {"machine": 1}),
    "cpu_mhz": ("MHz", {"MHz": 1, "GHz": 1000}),
    "disk_io_kbps": ("KBps", {"KBps": 1, "MBps": 1000}),
    "net_io_kbps": ("KBps", {"KBps": 1, "MBps": 1000}),
    "storage_used_gib": ("GiB", {"GiB": 1, "TiB": 1024}),
}
"""Per metric: the noun that it is counted in, and how many of it our sizes are."""


def pricing_unit(unit: str) -> str:
    """Our unit in FOCUS's Unit Format: ``GiB-Hours``, ``Months``, ``Machines``."""
    size, _, time = unit.rpartition("-")
    if time not in TIMES:
        noun = _noun(unit)
        return noun if _is_size(noun) else f"{noun}s"
    several = "7 " if time == "week" else ""
    return several + (f"{_noun(size)}-{TIMES[time]}" if size else TIMES[time])


def held_unit(metric: str) -> str:
    """What a metric is counted in at a moment, in plural: ``Cores``, ``MiB``; the metric's name where it is no size."""
    noun = _BASES[metric][0] if metric in _BASES else _noun(metric)
    return noun if _is_size(noun) else f"{noun}s"


def consumed(metric: str, unit: str, quantity: Fraction) -> tuple[int, str] | None:
    """The quantity in whole units and seconds, ``(1907940, "Core-Seconds")``.

    Exact, as our meters count whole units over whole seconds. None where that is not so: a unit of a
    month or year, or a metric that is not held over time.
    """
    size, _, time = unit.rpartition("-")
    noun, sizes = _BASES.get(metric, ("", {}))
    if size not in sizes or time not in FIXED_S:
        return None
    seconds = quantity * sizes[size] * FIXED_S[time]
    return (seconds.numerator, f"{noun}-Seconds") if seconds.denominator == 1 else None


def _noun(word: str) -> str:
    known = _NOUNS.get(word, word)
    return known[:1].upper() + known[1:] if known.islower() else known


def _is_size(noun: str) -> bool:
    return len(noun) in {2, 3} and noun[-1] in "bB"
