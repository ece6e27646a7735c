"""Forecast documents (``format: tierwise-forecast/1``) -> questions, with what they leave to defaults.

The reference of the format is docs/reference/forecast.md.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from catalog.base import Name, Value
from catalog.documents import DocumentError, Located, Problem, checked, entries, parse, unknown_sections
from catalog.resources import Amount, ResourceClass, Resources
from catalog.wording import known_names, shown
from placement.forecast.arrivals import Arrivals
from placement.forecast.growth import NO_GROWTH, DemandGrowth, HostFailures
from placement.forecast.lifetimes import STAYS, Lifetimes
from placement.forecast.problem import (
    MONTHS_MAX,
    RUNS_MAX,
    ClassModel,
    ForecastPool,
    ForecastProblem,
    InvalidForecast,
    Models,
    Present,
)

FORMAT = "tierwise-forecast/1"

RUNS = 1000
_SECTIONS = (
    "format",
    "start",
    "months",
    "runs",
    "seed",
    "step_days",
    "classes",
    "lifetimes",
    "pools",
    "growth",
    "failures",
)


def _day(value: object) -> object:
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        msg = f"must be a day such as 2026-12-01: {shown(value)}"
        raise ValueError(msg) from None


class _Head(Value):
    format: Literal["tierwise-forecast/1"]
    start: Annotated[date, BeforeValidator(_day)]
    months: Annotated[int, Field(ge=1, le=MONTHS_MAX, strict=True)]
    runs: Annotated[int, Field(ge=1, le=RUNS_MAX, strict=True)] = RUNS
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 0
    step_days: Annotated[int, Field(ge=1, le=31, strict=True)] = 7


class _ClassEntry(Value):
    name: Name
    vcpu: Amount = 0
    memory_mib: Amount = 0
    disk_gib: Amount = 0
    lifetimes: Name | None = None
    arrivals: Arrivals | None = None


class _LifetimesEntry(Lifetimes):
    name: Name


class _PoolEntry(ForecastPool):
    machines: tuple[Present, ...] = ()


class Assumption(Value):
    """Something that a document leaves open, and what is taken for it."""

    path: str
    value: str
    means: str


@dataclass(frozen=True)
class ForecastDocument:
    """A question as it is written, and everything that was assumed where the document is silent."""

    problem: ForecastProblem
    runs: int
    seed: int
    assumed: tuple[Assumption, ...]


def read_forecast(text: str, file: str) -> ForecastDocument:
    """One document. Raises DocumentError with every problem in it."""
    document, problems = parse(text, file)
    if document is None:
        raise DocumentError(problems)
    said = {problem.path for problem in problems}
    found: list[Problem] = []
    read = _read(document, found)
    problems += [problem for problem in found if problem.path not in said]
    if problems or read is None:
        raise DocumentError(problems)
    return read


def _read(document: Located, problems: list[Problem]) -> ForecastDocument | None:
    problems += unknown_sections(document, _SECTIONS)
    tree = document.tree
    keys = [key for key in _Head.model_fields if key in tree]
    head = checked(document, (), _Head, {key: tree[key] for key in keys}, problems)
    lifetimes = entries(document, "lifetimes", _LifetimesEntry, problems)
    classes = _classes(document, {name: entry for name, (entry, _) in lifetimes.items()}, problems)
    pools = {name: entry for name, (entry, _) in entries(document, "pools", _PoolEntry, problems).items()}
    growth = _section(document, "growth", DemandGrowth, problems) or NO_GROWTH
    failures = _section(document, "failures", HostFailures, problems)
    for section in ("classes", "pools"):
        if not tree.get(section):
            problems.append(document.problem((section,), "is required: a mapping with at least one entry"))
    if head is None or problems:
        return None
    problems += _roomless(document, classes, pools)
    try:
        problem = ForecastProblem(
            pools=tuple(ForecastPool(**entry.model_dump(exclude={"machines"})) for entry in pools.values()),
            machines={name: entry.machines for name, entry in pools.items()},
            models=Models(classes=classes, growth=growth, failures=failures),
            start=head.start,
            months=head.months,
            step_days=head.step_days,
        )
    except InvalidForecast as error:
        problems += [document.problem(path, message) for path, message in error.found]
    if problems:
        return None
    return ForecastDocument(problem, head.runs, head.seed, tuple(_assumed(tree, head)))


def _roomless(
    document: Located, classes: Mapping[str, ClassModel], pools: Mapping[str, _PoolEntry]
) -> Iterator[Problem]:
    """Pools of which nobody says how much they have of something: they would be full from the first day on."""
    for name, pool in pools.items():
        here = {*pool.arrivals, *(one.workload_class for one in pool.machines)}
        for rc in ResourceClass:
            wanting = sorted(
                one for one in here if (known := classes.get(one)) and known.each.amount(rc) > 0
            )
            there = pool.shared.amount(rc) or any(getattr(host, rc.value) for host in pool.hosts)
            if wanting and not there:
                message = (
                    f"machines of {', '.join(wanting)} need {rc.value}, and neither 'hosts' nor 'shared' has any; "
                    f"say how much, or leave {rc.value} out of the classes"
                )
                yield document.problem(("pools", name), message)


def _section(document: Located, name: str, model: type[Any], problems: list[Problem]) -> Any:
    body = document.tree.get(name)
    return None if body is None else checked(document, (name,), model, body, problems)


def _classes(
    document: Located, lifetimes: Mapping[str, Lifetimes], problems: list[Problem]
) -> dict[str, ClassModel]:
    found = {}
    written = document.tree.get("lifetimes")
    for name, (entry, path) in entries(document, "classes", _ClassEntry, problems).items():
        lives = STAYS if entry.lifetimes is None else lifetimes.get(entry.lifetimes)
        if lives is None:
            if (
                not isinstance(written, dict) or entry.lifetimes not in written
            ):  # else it has problems of its own
                message = f"there are no lifetimes of that name; {known_names(entry.lifetimes, lifetimes)}"
                problems.append(document.problem((*path, "lifetimes"), message, entry.lifetimes))
            continue
        each = Resources(vcpu=entry.vcpu, memory_mib=entry.memory_mib, disk_gib=entry.disk_gib)
        if not any(each.as_mapping().values()):
            message = "needs nothing; give vcpu, memory_mib or disk_gib of one machine"
            problems.append(document.problem(path, message))
            continue
        plain = Lifetimes(parts=lives.parts, together=lives.together)
        found[name] = ClassModel(each=each, arrivals=entry.arrivals, lifetimes=plain)
    return found


_OF_ALL = (
    ("growth", "none", "machines that are there keep the size that they have"),
    ("failures", "none", "hosts do not fail; N+1 tells only whether there is room for the loss of one"),
)
_OF_CLASS = (
    ("arrivals", "none", "no more machines of this class come"),
    ("lifetimes", "stay", "its machines never leave"),
)
_OF_ARRIVALS = (
    ("batch_size", "1", "machines come one by one"),
    ("hour_weights", "even", "as many come at any hour of the week"),
    ("growth_percent_per_month", "0", "as many come in the last month as in the first"),
    ("daily_variance", "0", "days differ by chance only"),
    ("level_error", "0", "the rate is known exactly"),
    ("growth_error_points", "0", "the trend is known exactly"),
)
_OF_POOL = (
    ("shared", "none", "all room goes with the hosts"),
    ("arrivals", "none", "no machines come to this pool"),
    ("machines", "none", "the pool is empty at the start"),
    ("usable_percent", "100", "hosts can be filled to the last unit"),
    ("keeps_hosts", "0", "full is when every host is, with no room kept for a failure"),
)
_OF_PRESENT = (("age_hours", "balance", "met at a random moment of their lives"),)


def _assumed(tree: Mapping[str, Any], head: _Head) -> Iterator[Assumption]:
    for key, means in (
        ("runs", "so many times chance is asked"),
        ("seed", "where chance starts"),
        ("step_days", "days between the times of the bands"),
    ):
        if key not in tree:
            yield Assumption(path=key, value=str(getattr(head, key)), means=means)
    yield from _left_open("", tree, _OF_ALL)
    for name, body in tree["classes"].items():
        yield from _left_open(f"classes.{name}.", body, _OF_CLASS)
        if body.get("arrivals"):
            yield from _left_open(f"classes.{name}.arrivals.", body["arrivals"], _OF_ARRIVALS)
    for name, body in (tree.get("lifetimes") or {}).items():
        means = "machines of a batch leave each for itself"
        yield from _left_open(f"lifetimes.{name}.", body, (("together", "0", means),))
    for name, body in tree["pools"].items():
        yield from _left_open(f"pools.{name}.", body, _OF_POOL)
        for i, there in enumerate(body.get("machines") or ()):
            if not there.get("stay"):
                yield from _left_open(f"pools.{name}.machines.{i}.", there, _OF_PRESENT)


def _left_open(
    before: str, body: Mapping[str, Any], defaults: tuple[tuple[str, str, str], ...]
) -> Iterator[Assumption]:
    for key, value, means in defaults:
        if body.get(key) is None:
            yield Assumption(path=before + key, value=value, means=means)
