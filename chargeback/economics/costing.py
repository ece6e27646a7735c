"""What hosts, machines, pools and moves cost over a time, with the lines that each amount is made of."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from catalog.resources import ResourceClass
from chargeback.economics.document import Economics
from chargeback.economics.finding import migration_of, region_of, site_of, storage_of
from chargeback.economics.hosts import HostLines
from chargeback.economics.matching import HostFacts, PoolFacts
from chargeback.economics.products import counted_once, products, products_of_regions
from chargeback.economics.sections import Migration, Opening
from chargeback.economics.spreading import GIB_PER_TIB, HOURS, HUNDRED, KILO, nothing, priced, written_off
from chargeback.economics.terms import AddOnTerms, AlternativeTerms, Due, LicenceTerms
from chargeback.economics.trace import (
    NOTHING,
    Line,
    MissingFigure,
    Part,
    Recurring,
    Span,
    Use,
    recurring,
    resolved,
    summed,
)

__all__ = [
    "AddOnTerms", "AlternativeTerms", "Due", "HostCost", "HostFacts", "LicenceTerms", "Line", "MissingFigure", "MoveCost",
    "OpenCost", "PoolFacts", "UnitCost", "counted_once", "host_costs", "move_cost", "open_costs", "products",
    "products_of_regions", "region_of", "unit_costs",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class HostCost:
    """Of one host, term -> micro-units: if it is kept or bought, on top if it is bought, and whatever is decided."""

    kept: Mapping[str, int]
    bought: Mapping[str, int]
    sunk: Mapping[str, int]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class UnitCost:
    """Term -> micro-units of one machine, and term -> resource class -> micro-units of one unit of it, exactly."""

    per_machine: Mapping[str, int]
    per_unit: Mapping[str, Mapping[str, Fraction]]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class OpenCost:
    """Of a pool that has any host, term -> micro-units; and what is paid for it whatever is decided."""

    avoidable: Mapping[str, int]
    sunk: Mapping[str, int]
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class MoveCost:
    """Of one machine, and of each TiB of its disks."""

    per_machine_micros: int
    per_tib_micros: int
    lines: tuple[Line, ...]


def host_costs(
    economics: Economics,
    host: HostFacts,
    start: date,
    months: int,
    *,
    bought_on: date | None = None,
    on_day: int = 0,
) -> HostCost:
    """What one host costs over `months` from `start` (see `Span`).

    A purchase counts as it is written off; what is bought for this is bought at the start, or on the day `bought_on` before
    it. With `bought_on` it is no host of today: what it costs in percent of its purchase, is of that day's price. Raises
    MissingFigure.
    """
    span = Span(start, months, on_day=on_day)
    about = HostLines(economics, host, bought_on)
    lines = [line for wanted in about.running() for line in recurring(wanted, span, about.region)]
    lines += about.purchases(span)
    known = tuple(lines)
    return HostCost(summed(known, "kept"), summed(known, "bought"), summed(known, "sunk"), known)


def unit_costs(
    economics: Economics, pool: PoolFacts, start: date, months: int, *, on_day: int = 0
) -> UnitCost:
    """What a machine, and a unit of each resource, costs in a pool over `months`. Raises MissingFigure."""
    span, region = Span(start, months, on_day=on_day), region_of(economics, pool)
    lines = [line for wanted in _of_machines(economics, pool) for line in recurring(wanted, span, region)]
    units: dict[str, dict[str, Fraction]] = {}
    for wanted in _of_disk(economics, pool):
        for line in recurring(wanted, span, region):
            by_class = units.setdefault(line.term, {})
            by_class[line.part] = by_class.get(line.part, Fraction(0)) + line.exact_micros
            lines.append(line)
    return UnitCost(summed(lines, "machine"), units, tuple(lines))


def open_costs(
    economics: Economics,
    pool: PoolFacts,
    start: date,
    months: int,
    *,
    opened_on: date | None = None,
    on_day: int = 0,
) -> OpenCost:
    """What it costs over `months` that a pool is there at all; what is bought for it, on the day `opened_on`, else at the start.

    Raises MissingFigure.
    """
    span, region = Span(start, months, on_day=on_day), region_of(economics, pool)
    lines: list[Line] = []
    for opening in economics.opening:
        if opening.match.has(pool):
            lines += _opened(opening, span, region, opened_on or start)
    for other in economics.other:
        if other.per == "pool" and other.match.has(pool):
            at = f"other.{other.name}"
            for wanted in priced(other.term, "open", other.name, at, other.per_month, other.per_year):
                lines += recurring(wanted, span, region)
    return OpenCost(summed(lines, "open"), summed(lines, "sunk"), tuple(lines))


def move_cost(
    economics: Economics, origin: PoolFacts, target: PoolFacts, day: date | None = None
) -> MoveCost:
    """What moving a machine between two pools costs, by the figures of a day; None: those without a day.

    Nothing within a pool. A pair that no entry fits costs nothing, and a line says so. Raises MissingFigure.
    """
    if origin == target:
        return MoveCost(0, 0, ())
    found = migration_of(economics, origin, target)
    when = day or date.min
    if found is None:
        what = f"no entry of migration fits {origin.hypervisor} to {target.hypervisor}: counted as nothing"
        line = Line("migration", "move", what, (NOTHING,), when, 0, 1)
        return MoveCost(0, 0, (line,))
    region = region_of(economics, target)
    lines = [
        Line("migration", part, what, resolved(parts, day, region), when, 0, 1)
        for part, what, parts in _of_moves(economics, found)
    ]
    by_part = {part: sum(summed(lines, part).values()) for part in ("move", "move-tib")}
    return MoveCost(by_part["move"], by_part["move-tib"], tuple(lines))


def _of_machines(economics: Economics, pool: PoolFacts) -> Iterator[Recurring]:
    labour = economics.labour
    if (
        labour.machines_per_admin is not None
        and labour.cost_per_hour is not None
        and labour.hours_per_month is not None
    ):
        hour = Use("labour.cost_per_hour", labour.cost_per_hour, "cost of an hour")
        worked = Use("labour.hours_per_month", labour.hours_per_month, "hours of an administrator")
        each = Use(
            "labour.machines_per_admin",
            labour.machines_per_admin,
            "machines per administrator",
            divides=True,
        )
        yield Recurring("labour", "machine", "labour", (hour, worked, each))
    for section in ("network", "facilities"):
        price = getattr(economics, section).per_machine_per_month
        yield from priced(section, "machine", section, section, price, field="per_machine_per_month")
    for other in economics.other:
        if other.per == "machine" and other.match.has(pool):
            yield from priced(
                other.term, "machine", other.name, f"other.{other.name}", other.per_month, other.per_year
            )


def _of_disk(economics: Economics, pool: PoolFacts) -> Iterator[Recurring]:
    found = storage_of(economics, pool)
    if found is None:
        if economics.storage:
            yield nothing(
                "storage", ResourceClass.DISK_GIB.value, f"no entry of storage fits pool '{pool.name}'"
            )
        return
    at, part = f"storage.{found.name}", ResourceClass.DISK_GIB.value
    yield from priced("storage", part, "disk", at, found.per_gib_per_month, field="per_gib_per_month")
    if found.purchase_per_tib is not None and found.depreciation_months is not None:
        price: tuple[Part, ...] = (
            Use(f"{at}.purchase_per_tib", found.purchase_per_tib, "purchase of a TiB"),
            GIB_PER_TIB,
        )
        life = Use(
            f"{at}.depreciation_months", found.depreciation_months, "depreciation in months", divides=True
        )
        yield Recurring("storage", part, "purchase", (*price, life))
        if found.maintenance_percent_per_year is not None:
            percent = Use(
                f"{at}.maintenance_percent_per_year",
                found.maintenance_percent_per_year,
                "maintenance in percent a year",
            )
            yield Recurring("storage", part, "maintenance", (*price, percent, HUNDRED), 12)
    site = site_of(economics, pool.site)
    if found.watts_per_tib is not None and site and site.price_per_kwh is not None:
        watts = Use(f"{at}.watts_per_tib", found.watts_per_tib, "watts of a TiB")
        kwh = Use(f"sites.{site.name}.price_per_kwh", site.price_per_kwh, "price of a kWh")
        pue = () if site.pue is None else (Use(f"sites.{site.name}.pue", site.pue, "PUE"),)
        yield Recurring("power", part, "power of disks", (watts, GIB_PER_TIB, KILO, HOURS, *pue, kwh))


def _opened(opening: Opening, span: Span, region: str | None, opened_on: date) -> Iterator[Line]:
    at, term, what = f"opening.{opening.name}", opening.term, opening.name
    for wanted in priced(term, "open", what, at, opening.per_month, opening.per_year):
        yield from recurring(wanted, span, region)
    if opening.purchase_price is None or opening.depreciation_months is None:
        return
    price = Use(f"{at}.purchase_price", opening.purchase_price, "purchase price")
    life = Use(f"{at}.depreciation_months", opening.depreciation_months, "depreciation in months")
    part = "open" if opening.bought_on is None else "sunk"
    bought = opened_on if opening.bought_on is None else opening.bought_on
    yield from written_off(term, part, what, (price,), life, span, bought, region)
    if opening.maintenance_percent_per_year is not None:
        percent = Use(
            f"{at}.maintenance_percent_per_year",
            opening.maintenance_percent_per_year,
            "maintenance in percent a year",
        )
        yield from recurring(
            Recurring(term, "open", f"maintenance of {what}", (price, percent, HUNDRED), 12), span, region
        )


def _of_moves(economics: Economics, found: Migration) -> Iterator[tuple[str, str, tuple[Part, ...]]]:
    """What a move's cost is made of: the part, what it is, its factors."""
    at, hour = f"migration.{found.name}", economics.labour.cost_per_hour
    months, twice = found.dual_running_months, found.dual_running_per_machine_per_month
    if found.per_machine is not None:
        yield "move", "per machine", (Use(f"{at}.per_machine", found.per_machine, "per machine"),)
    if found.hours_per_machine is not None and hour is not None:
        hours = Use(f"{at}.hours_per_machine", found.hours_per_machine, "hours per machine")
        yield "move", "labour of moving", (hours, Use("labour.cost_per_hour", hour, "cost of an hour"))
    if months is not None and twice is not None:
        during = Use(f"{at}.dual_running_months", months, "months that it runs twice")
        price = Use(f"{at}.dual_running_per_machine_per_month", twice, "of a machine that runs twice")
        yield "move", "dual running", (during, price)
    if found.per_tib is not None:
        yield "move-tib", "per TiB", (Use(f"{at}.per_tib", found.per_tib, "per TiB"),)
