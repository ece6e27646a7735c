"""A history of machines -> the classes and lifetimes of a forecast document, and how good the fit is."""

from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import yaml

from catalog.wording import counted
from placement.forecast.arrivals import Arrivals
from placement.forecast.fit_arrivals import FittedArrivals, fit_arrivals
from placement.forecast.fit_lifetimes import FittedLifetimes, empirical_lifetimes, fit_lifetimes
from tierwise.planner.histories import History, read_history

Row = dict[str, Any]

EMPIRICAL_GAP = 0.1
"""Where the law misses by more than this and by twice what chance does, the lives are taken as they were counted."""


@dataclass(frozen=True)
class FittedHistory:
    """Demand fitted to a history. A class of which fewer than ten machines ended has no lifetimes."""

    history: History
    arrivals: FittedArrivals
    lifetimes: dict[str, FittedLifetimes]


def fit(
    path: Path, *, until: datetime | None = None, trend: bool = True, leave_out_gaps: bool = True
) -> FittedHistory:
    """Fit arrivals and lifetimes of each class. Raises InvalidInput where the file cannot be read."""
    history = read_history(path, until, leave_out_gaps=leave_out_gaps)
    arrivals = fit_arrivals(history.arrived, trend=trend)
    found = {}
    for kind, lived in history.lived.items():
        if int(lived.ended.sum()) >= _ENDS_LEAST:
            law = fit_lifetimes(lived)
            good = law.goodness
            if good.gap > max(EMPIRICAL_GAP, 2 * good.gap_of_chance):
                law = law.model_copy(update={"lifetimes": empirical_lifetimes(lived)})
            found[kind] = law
    return FittedHistory(history, arrivals, found)


_ENDS_LEAST = 10


def notes(fitted: FittedHistory) -> list[str]:
    """What was found missing in the history, and what was made of it."""
    counted_as = (
        "its machines must be missing, so it is left out; --no-gaps counts it as time in which nothing came"
        if fitted.history.without_gaps
        else "counted as time in which nothing came, and rates are lower if its machines are only missing"
    )
    found = [f"{_nothing_came(*gap)}, far too long for chance: {counted_as}" for gap in fitted.history.gaps]
    if fitted.history.silent_end is not None:
        since, until = fitted.history.silent_end
        found.append(
            f"{_nothing_came(since, until)}, to the end, far too long for chance: counted as time in which nothing came; if "
            f"arrivals were only recorded until {since}, say --until {since}, and leave out when machines were removed after it"
        )
    return found


def _nothing_came(first: date, last: date) -> str:
    return f"no machine came from {first} to {last} ({counted((last - first).days + 1, 'day')})"


def rows(fitted: FittedHistory) -> list[Row]:
    """One row a class: what was found, and how well it does on what it did not see."""
    return [_row(fitted, kind, arrivals) for kind, arrivals in fitted.arrivals.arrivals.items()]


def _row(fitted: FittedHistory, kind: str, arrivals: Arrivals) -> Row:
    law = fitted.lifetimes.get(kind)
    mean = law.lifetimes.mean_hours() if law else None
    return {
        "class": kind,
        "machines": len(fitted.history.lived[kind].batch),
        "batches_per_day": round(arrivals.batches_per_day, 3),
        "error_percent": round(100 * arrivals.level_error, 1),
        "machines_per_batch": round(arrivals.batch_size.moments()[0], 2),
        "growth_percent_per_month": round(arrivals.growth_percent_per_month, 1),
        "growth_error_points": round(arrivals.growth_error_points, 1),
        "mean_life_hours": None if mean is None else round(mean, 1),
        "longest_hours": round(law.goodness.longest_hours, 1) if law else None,
        "still_running_percent": round(law.goodness.still_running_percent, 1) if law else 100.0,
        "gap": round(law.goodness.gap, 3) if law else None,
        "gap_of_chance": round(law.goodness.gap_of_chance, 3) if law else None,
    }


def as_yaml(fitted: FittedHistory) -> str:
    """The sections ``classes`` and ``lifetimes`` of a forecast document, with what they were fitted to as comments."""
    history = fitted.history
    lines = [f"# fitted to machines made from {history.since.isoformat()} to {history.until.isoformat()}"]
    lines += [f"# {one}" for one in notes(fitted)]
    good = fitted.arrivals.goodness
    if good:
        lines.append(
            f"# the last {good.held_out_days} of {good.days} days, told by those before them: off by {good.daily_error_percent:.1f} % "
            f"a day, {good.inside_80_percent:.0f} of 100 inside the 80 % band"
        )
    for kind, law in fitted.lifetimes.items():
        lines.append(
            f"# lifetimes of {kind}: largest gap to machines held out {law.goodness.gap:.3f} (chance alone: "
            f"{law.goodness.gap_of_chance:.3f}); nothing is known beyond {law.goodness.longest_hours:,.0f} hours"
        )
    sections = {"classes": _classes(fitted), "lifetimes": _lifetimes(fitted)}
    text = yaml.safe_dump(
        {k: v for k, v in sections.items() if v}, sort_keys=False, allow_unicode=True, width=110
    )
    return "\n".join(lines) + "\n" + text


def _classes(fitted: FittedHistory) -> dict[str, Any]:
    found = {}
    for kind, arrivals in fitted.arrivals.arrivals.items():
        # A class must need something; where the history has no sizes, 1 vCPU stands for a machine.
        body: dict[str, Any] = dict(fitted.history.sizes[kind]) or {"vcpu": 1}
        if kind in fitted.lifetimes:
            body["lifetimes"] = kind
        body["arrivals"] = _digits(arrivals.model_dump(mode="json"))
        found[kind] = body
    return found


def _lifetimes(fitted: FittedHistory) -> dict[str, Any]:
    return {kind: _digits(law.lifetimes.model_dump(mode="json")) for kind, law in fitted.lifetimes.items()}


def _digits(value: Any) -> Any:
    """Numbers to six digits: more were not measured, and shares still sum to 1 closely enough."""
    if isinstance(value, dict):
        return {_key(k): _digits(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_digits(v) for v in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _key(key: Any) -> Any:
    """Batch sizes are whole numbers, also where JSON made texts of them."""
    return int(key) if isinstance(key, str) and key.isdigit() else key
