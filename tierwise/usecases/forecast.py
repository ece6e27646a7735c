"""When are we full: a forecast document -> runs by chance -> tables, values and pictures."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from catalog.documents import DocumentError
from catalog.resources import ResourceClass
from placement.forecast.document import ForecastDocument, read_forecast
from placement.forecast.problem import ForecastProblem, InvalidForecast
from placement.forecast.result import Forecast, PoolForecast
from placement.forecast.runs import Runs, Simulation
from placement.forecast.simulate import summarise
from placement.forecast.streams import Streams
from tierwise.documents import read_texts
from tierwise.errors import InvalidInput
from tierwise.planner.forecast_estate import estate_document

Row = dict[str, Any]
Told = Callable[[int, int], None]
"""How many runs are done, and of how many."""

MACHINES_MAX = 5_000_000
"""In one run; more would take gigabytes and minutes for each."""
FIGURES_MAX = 60_000_000
"""Runs x pools x times x resources that are held at once, 8 bytes each."""
_PIECE = 50
"""Runs that a process does at a time."""


def load(path: Path) -> ForecastDocument:
    """The document of a file. Raises InvalidInput with every problem in `details`."""
    if path.is_dir():
        msg = f"{path} is a folder; name the forecast document in it"
        raise InvalidInput(msg)
    (file, text), *_ = read_texts(path).items()
    return read(text, file)


def read(text: str, file: str) -> ForecastDocument:
    """The document of a text. Raises InvalidInput with every problem in `details`."""
    try:
        return read_forecast(text, file)
    except DocumentError as error:
        count = len(error.problems)
        msg = f"{file}: {count} {'problem' if count == 1 else 'problems'}; nothing was forecast"
        raise InvalidInput(msg, details=[str(problem) for problem in error.problems]) from None


@dataclass(frozen=True)
class OfEstate:
    """What an estate does not say of itself: from when, for how long, and how its demand grows."""

    start: date | None = None
    """None: the day on which the source looked."""
    months: int = 36
    growth_percent_per_month: float = 0.0


def is_estate(path: Path) -> bool:
    """Whether a file is an estate or an export of one, rather than a forecast document."""
    if path.suffix.lower() in {".yaml", ".yml"} or not path.is_file():
        return False
    try:
        with path.open("rb") as file:
            return b"tierwise-forecast/" not in file.read(4096)
    except OSError:
        return False  # Who reads it as a document says why it cannot be read.


def estate_text(path: Path, wishes: OfEstate) -> str:
    """A forecast document of an estate: machines stay and grow, none come. Raises InvalidInput."""
    estate = import_module("tierwise.estates").read(path)  # loaded by name: importers take a second
    start = wishes.start or (estate.taken_at.date() if estate.taken_at else None)
    if start is None:
        msg = f"{path}: does not say when it was taken; give the day from which to forecast: --start 2026-12-01"
        raise InvalidInput(msg)
    return estate_document(
        estate,
        start=start,
        months=wishes.months,
        growth_percent_per_month=wishes.growth_percent_per_month,
    )


def run(
    document: ForecastDocument,
    *,
    runs: int | None = None,
    seed: int | None = None,
    processes: int = 1,
    cluster: str = "",
    tell: Told | None = None,
) -> Forecast:
    """The forecast, whose figures do not depend on the number of processes, or of a Dask `cluster`'s workers.

    `runs` and `seed` are the document's unless given. Raises InvalidInput where it would not fit into memory.
    """
    count = document.runs if runs is None else runs
    start = document.seed if seed is None else seed
    _check_size(document.problem, count)
    pieces = [(first, min(first + _PIECE, count)) for first in range(0, count, _PIECE)]
    try:
        if cluster:
            parts = _on_cluster(document.problem, start, pieces, cluster, tell)
        elif processes == 1:
            parts = _here(document.problem, start, pieces, tell)
        else:
            parts = _on_processes(document.problem, start, pieces, processes, tell)
    except InvalidForecast as error:
        raise InvalidInput(str(error)) from None
    return summarise(document.problem, parts, start)


def _check_size(problem: ForecastProblem, runs: int) -> None:
    machines = Streams(problem).expected_machines()
    machines += sum(there.count for all_there in problem.machines.values() for there in all_there)
    if machines > MACHINES_MAX:
        msg = (
            f"a run would have about {machines:,.0f} machines, more than {MACHINES_MAX:,}; "
            "ask for fewer months, or about a part of the arrivals"
        )
        raise InvalidInput(msg)
    figures = runs * len(problem.pools) * len(problem.grid_days()) * len(ResourceClass)
    if figures > FIGURES_MAX:
        msg = (
            f"{runs:,} runs of {len(problem.pools)} pools at {len(problem.grid_days())} times are too many to hold "
            f"({figures:,} figures, at most {FIGURES_MAX:,}); ask for fewer runs, or a larger step_days"
        )
        raise InvalidInput(msg)


def _here(
    problem: ForecastProblem, seed: int, pieces: list[tuple[int, int]], tell: Told | None
) -> list[Runs]:
    simulation = Simulation(problem)
    parts = []
    for first, last in pieces:
        parts.append(simulation.run(seed, first, last))
        if tell:
            tell(last, pieces[-1][1])
    return parts


def _on_processes(
    problem: ForecastProblem, seed: int, pieces: list[tuple[int, int]], processes: int, tell: Told | None
) -> list[Runs]:
    from joblib import delayed  # noqa: PLC0415 - half a second that one process does not need

    from tierwise.planner import sweeps  # noqa: PLC0415 - as above

    work = sweeps.processes(processes, return_as="generator")
    parts: list[Runs] = []
    for (_, last), part in zip(
        pieces, work(delayed(_piece)(problem, seed, first, last) for first, last in pieces), strict=True
    ):
        parts.append(part)
        if tell:
            tell(last, pieces[-1][1])
    return parts


def _on_cluster(
    problem: ForecastProblem, seed: int, pieces: list[tuple[int, int]], cluster: str, tell: Told | None
) -> list[Runs]:
    """Pieces on a cluster's workers; one whose worker dies is done by another."""
    from tierwise.planner.sweeps import Task, sweep  # noqa: PLC0415 - as above

    tasks = [Task(f"runs {first} to {last - 1}", "", (first, last)) for first, last in pieces]
    runs = pieces[-1][1]

    def told(done: int, of: int) -> None:
        if tell:
            tell(runs * done // of, runs)

    done = sweep(tasks, partial(_sent, problem, seed), cluster=cluster, tell=told)
    if wrong := [f"{one.name}: {one.error}" for one in done if one.result is None]:
        msg = f"{len(wrong)} of {len(done)} parts of the forecast could not be done"
        raise InvalidInput(msg, details=wrong)
    return [one.result["runs"] for one in done if one.result is not None]


def _sent(problem: ForecastProblem, seed: int, piece: tuple[int, int]) -> dict[str, Runs]:
    return {"runs": _piece(problem, seed, *piece)}


def _piece(problem: ForecastProblem, seed: int, first: int, last: int) -> Runs:
    return Simulation(problem).run(seed, first, last)


def rows(found: Forecast) -> list[Row]:
    """One row a pool: when it is full, of what, and until when a host may fail."""
    return [_row(found, pool) for pool in found.pools]


def _row(found: Forecast, pool: PoolForecast) -> Row:
    until = pool.n_plus_1_until(N_PLUS_1_LEAST, found.days)
    binding = pool.binding
    return {
        "pool": pool.pool,
        "full_p10": _when(found, pool.full.p10_months),
        "full_p50": _when(found, pool.full.p50_months),
        "full_p90": _when(found, pool.full.p90_months),
        "months_p10": _rounded(pool.full.p10_months),
        "months_p50": _rounded(pool.full.p50_months),
        "months_p90": _rounded(pool.full.p90_months),
        "not_full_percent": round(100 * pool.full.not_full, 1),
        "not_full_from_percent": round(100 * pool.full.not_full_low, 1),
        "not_full_to_percent": round(100 * pool.full.not_full_high, 1),
        "binds": binding.value if binding else "",
        "binds_percent": round(100 * pool.binds[binding], 1) if binding else 0.0,
        "n_plus_1_until": _day(found, until),
        "n_plus_1_start_percent": round(100 * pool.n_plus_1[0], 1),
        "n_plus_1_end_percent": round(100 * pool.n_plus_1[-1], 1),
        "fits_end_percent": round(100 * pool.fits[-1], 1),
    }


N_PLUS_1_LEAST = 0.95
"""A table names the last day on which N+1 holds at least so likely."""


def _when(found: Forecast, months: float | None) -> str:
    return "" if months is None else found.on(months).isoformat()


def _rounded(months: float | None) -> float | None:
    return None if months is None else round(months, 2)


def _day(found: Forecast, days: int | None) -> str:
    return "" if days is None else (found.start + timedelta(days=days)).isoformat()


def band_rows(found: Forecast) -> list[Row]:
    """One row a pool, resource and time: the band of demand, and how likely it fits and N+1 holds."""
    return [
        {
            "pool": pool.pool,
            "resource": rc.value,
            "day": _day(found, days),
            "mean": band.mean[g],
            "p10": band.p10[g],
            "p50": band.p50[g],
            "p90": band.p90[g],
            "limit": pool.limit[rc],
            "fits_percent": round(100 * pool.fits[g], 2),
            "n_plus_1_percent": round(100 * pool.n_plus_1[g], 2),
        }
        for pool in found.pools
        for rc, band in pool.demand.items()
        for g, days in enumerate(found.days)
    ]


def as_document(document: ForecastDocument, found: Forecast) -> dict[str, Any]:
    """Everything for programs: the answer, and what was assumed where the document is silent."""
    return {
        **found.model_dump(mode="json"),
        "assumed": [assumption.model_dump(mode="json") for assumption in document.assumed],
    }


def write_chart(found: Forecast, target: Path) -> None:
    """Draw the bands and N+1 of each pool into a file. Raises InvalidInput where its name ends in neither .png nor .svg."""
    from tierwise.reports.files import write_whole  # noqa: PLC0415 - only where a chart is wanted
    from tierwise.reports.forecast_chart import SUFFIXES, render  # noqa: PLC0415 - as above

    suffix = target.suffix.lower()
    if suffix not in SUFFIXES:
        msg = f"{target}: a chart can be written as {', '.join(SUFFIXES)}; let the file's name end in one of them"
        raise InvalidInput(msg)
    write_whole(target, render(found, suffix))


def write_report(found: Forecast, document: ForecastDocument, target: Path, name: str) -> None:
    """Write a report with charts. Raises InvalidInput where the target's name ends in none of a report's suffixes."""
    from tierwise.planner.forecast_report import forecast_report  # noqa: PLC0415 - only where a report is wanted
    from tierwise.reports import render, suffix_of  # noqa: PLC0415 - as above
    from tierwise.reports.files import write_whole  # noqa: PLC0415 - as above

    suffix = suffix_of(target)
    whole = forecast_report(found, document, name=name, every_time=suffix == ".xlsx")
    write_whole(target, render(whole, suffix))
