"""A provider's bill in FOCUS 1.0 to 1.3 -> rows of a statement: what a hosted machine really cost.

Tolerant of what versions and exports differ in (which columns there are, how a date is written, ``NULL``
for null), strict in money: every cost is an exact decimal, all are of one currency, and what cannot be
given to a machine is stated as unallocated, so that the rows always add up to the bill.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any

import pyarrow as pa

from chargeback.focus.mapping import Owner, ResourceMap
from chargeback.focus.text import cells
from chargeback.focus.vocabulary import CURRENCIES
from chargeback.instants import utc_text
from chargeback.money import Rounding, exact_text, format_minor, round_to_minor
from chargeback.periods import BillingPeriod
from chargeback.statements import Row

NANO = 10**9

UNALLOCATED = "unallocated"
"""Whose statement a cost is on that the mapping gives to nobody."""

METRIC = "provider-bill"

_NULLS = frozenset({"", "NULL", "null"})
_PROBLEMS_SHOWN = 20
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?", re.ASCII)


class Cost(StrEnum):
    """Which of a bill's costs is passed on: what is invoiced, or that with purchases spread over their time."""

    BILLED = "BilledCost"
    EFFECTIVE = "EffectiveCost"


REQUIRED = ("BillingCurrency", "BillingPeriodStart", "BillingPeriodEnd", "ChargeCategory")
"""Columns that every version has and that an import cannot do without, beside the cost."""


class BadBill(ValueError):
    """A bill that is not taken; `details` are all problems, each with its row. Nothing is imported."""

    def __init__(self, message: str, details: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.details = tuple(details)


@dataclass(frozen=True, slots=True)
class Gap:
    """A resource (or an account, where there is none) that the mapping does not know, and its cost."""

    what: str
    rows: int
    cost: Fraction


@dataclass(frozen=True, slots=True)
class ProviderBill:
    """A bill that was read: `rows` of `chargeback.statements.COLUMNS`, which add up to `total_minor`.

    `exact` is the sum of the file's costs; it and `total_minor` differ by the one rounding of the bill.
    """

    providers: tuple[str, ...]
    period: BillingPeriod
    currency: str
    exact: Fraction
    total_minor: int
    minor_digits: int
    rows: tuple[Row, ...]
    gaps: tuple[Gap, ...]

    @property
    def total(self) -> str:
        """``USD 12345.67``."""
        return format_minor(self.total_minor, self.minor_digits, self.currency)

    @property
    def unallocated_minor(self) -> int:
        """What of the total no machine or tenant is charged for."""
        return sum(int(row["amount_minor"]) for row in self.rows if row["tenant"] == UNALLOCATED)


@dataclass(frozen=True, slots=True)
class Terms:
    """How a bill is taken: for which month, in which currency, by which cost, rounded how."""

    period: BillingPeriod
    currency: str
    minor_digits: int
    rounding: Rounding = Rounding.HALF_UP
    cost: Cost = Cost.BILLED


def read_bill(table: Any, mapping: ResourceMap, terms: Terms) -> ProviderBill:
    """The bill of a `pyarrow.Table` whose columns are typed, or texts as CSV gives them.

    Raises BadBill with every problem: missing columns, costs that are no exact numbers (a column of
    binary numbers is none), several currencies or another one, another month, and an empty file.
    """
    problems = list(_column_problems(table, terms))
    if problems:
        msg = "the bill lacks what an import needs; nothing was imported"
        raise BadBill(msg, problems)
    bill = _Lines(table)
    problems = [*_period_problems(bill, terms), *_currency_problems(bill, terms)]
    costs, bad = _costs(bill.column(terms.cost))
    problems += [f"row {row}: {terms.cost} '{text}' is no exact decimal number" for row, text in bad]
    if problems:
        shown = problems[:_PROBLEMS_SHOWN]
        more = len(problems) - len(shown)
        noun = "problem" if len(problems) == 1 else "problems"
        msg = f"the bill has {len(problems)} {noun}; nothing was imported"
        raise BadBill(msg, [*shown, *([f"... and {more} more"] if more else [])])
    return _allocated(bill, costs, mapping, terms)


class _Lines:
    """The columns of a bill as texts; a column that is not there is null everywhere."""

    def __init__(self, table: Any) -> None:
        self.count: int = table.num_rows
        self._table = table
        self._read: dict[str, list[str | None]] = {}

    def column(self, name: str) -> list[str | None]:
        if name not in self._read:
            there = name in self._table.column_names
            texts = cells(self._table.column(name)) if there else [None] * self.count
            self._read[name] = [None if text is None or text.strip() in _NULLS else text for text in texts]
        return self._read[name]

    def provider(self) -> list[str | None]:
        """ProviderName was renamed to ServiceProviderName in 1.3."""
        newer, older = self.column("ServiceProviderName"), self.column("ProviderName")
        return [new or old for new, old in zip(newer, older, strict=True)]


def _column_problems(table: Any, terms: Terms) -> Iterator[str]:
    names = table.column_names
    for name in (*REQUIRED, terms.cost.value):
        if name not in names:
            yield f"there is no column {name}; FOCUS has it in every version"
    if len(set(names)) < len(names):
        yield f"columns stand twice: {', '.join(sorted({name for name in names if names.count(name) > 1}))}"
    if terms.cost in names and pa.types.is_floating(table.schema.field(terms.cost).type):
        yield f"{terms.cost} is a binary number, which holds no exact cents; export it as decimal, or as CSV"
    if not table.num_rows:
        yield "it has no rows"


def _period_problems(bill: _Lines, terms: Terms) -> Iterator[str]:
    """Providers' months are UTC, ours are local: what must be the same is the month."""
    for text, row in _firsts(bill.column("BillingPeriodStart")):
        moment = _moment(text)
        if moment is None:
            yield f"row {row}: BillingPeriodStart '{text}' is no date; it is like 2026-10-01T00:00:00Z"
        elif f"{moment:%Y-%m}" != terms.period.name:
            yield f"row {row}: it is of {moment:%Y-%m}, not of {terms.period.name}; import it for its own month"


def _currency_problems(bill: _Lines, terms: Terms) -> Iterator[str]:
    found = dict(_firsts(bill.column("BillingCurrency")))
    if len(found) > 1:
        where = ", ".join(f"{text or 'none'} (row {row})" for text, row in found.items())
        yield f"it mixes currencies: {where}; import one file per currency"
        return
    for text, row in found.items():
        if text not in CURRENCIES:
            yield f"row {row}: BillingCurrency '{text}' is no ISO 4217 code"
        elif text != terms.currency:
            yield f"it is in {text}, and statements are in {terms.currency}; convert it, or bill it on its own"


def _firsts(values: list[str | None]) -> list[tuple[str | None, int]]:
    """Each different value with the first row that has it, from 1."""
    found: dict[str | None, int] = {}
    for row, value in enumerate(values, start=1):
        found.setdefault(value, row)
    return list(found.items())


def _costs(texts: list[str | None]) -> tuple[list[Fraction], list[tuple[int, str | None]]]:
    costs, bad = [], []
    for row, text in enumerate(texts, start=1):
        if text is None or not _NUMBER.fullmatch(text):
            bad.append((row, text))
        else:
            costs.append(Fraction(text))
    return costs, bad


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class _Cell:
    """What becomes one row: an owner's costs of one category and service."""

    owner: Owner
    category: str
    charge_class: str
    frequency: str
    service: str
    provider: str


def _allocated(bill: _Lines, costs: list[Fraction], mapping: ResourceMap, terms: Terms) -> ProviderBill:
    sums: dict[_Cell, Fraction] = defaultdict(Fraction)
    gaps: dict[str, list[Fraction]] = defaultdict(list)
    for cost, (cell, missing) in zip(costs, _cells(bill, mapping), strict=True):
        sums[cell] += cost
        if missing:
            gaps[missing].append(cost)
    exact = sum(costs, Fraction(0))
    total = round_to_minor(exact * NANO, terms.minor_digits, terms.rounding)
    order = sorted(sums, key=_order)
    parts = rounded_parts([sums[cell] * 10**terms.minor_digits for cell in order], total)
    providers = sorted({name for name in bill.provider() if name})
    return ProviderBill(
        providers=tuple(providers),
        period=terms.period,
        currency=terms.currency,
        exact=exact,
        total_minor=total,
        minor_digits=terms.minor_digits,
        rows=tuple(_row(cell, sums[cell], part, terms) for cell, part in zip(order, parts, strict=True)),
        gaps=tuple(
            sorted((Gap(what, len(of), sum(of, Fraction(0))) for what, of in gaps.items()), key=_size)
        ),
    )


def _size(gap: Gap) -> tuple[Fraction, str]:
    return -abs(gap.cost), gap.what


def _order(cell: _Cell) -> tuple[str, ...]:
    owner = cell.owner
    return (owner.tenant, owner.cost_centre, owner.tier, owner.pool, owner.machine, cell.provider,
            cell.service, cell.category, cell.charge_class, cell.frequency)  # fmt: skip


def _cells(bill: _Lines, mapping: ResourceMap) -> Iterator[tuple[_Cell, str]]:
    columns = (
        bill.column("ResourceId"), bill.column("SubAccountId"), bill.column("ChargeCategory"),
        bill.column("ChargeClass"), bill.column("ChargeFrequency"), bill.column("ServiceName"),
        bill.provider(),
    )  # fmt: skip
    for resource, account, category, charge_class, frequency, service, provider in zip(
        *columns, strict=True
    ):
        owner = mapping.owner(resource, account)
        missing = "" if owner else _missing(resource, account)
        yield (
            _Cell(
                owner or Owner(tenant=UNALLOCATED, cost_centre=UNALLOCATED),
                category or "Usage", charge_class or "", frequency or "Usage-Based", service or "",
                provider or "",
            ),
            missing,
        )  # fmt: skip


def _missing(resource: str | None, account: str | None) -> str:
    if resource:
        return f"resource {resource}"
    return f"account {account}, no resource" if account else "no resource, no account"


def rounded_parts(exact_minor: Sequence[Fraction], total: int) -> list[int]:
    """Whole parts near their exact values that add up to `total`: by largest remainder, the earlier on ties.

    `total` must be the sum of the exact parts, rounded; parts may be negative. Raises ValueError for a
    total that the parts cannot reach.
    """
    whole = [value.numerator // value.denominator for value in exact_minor]
    left = total - sum(whole)
    if not 0 <= left <= len(whole):
        msg = f"{total} is not the rounded sum of these parts"
        raise ValueError(msg)
    by_rest = sorted(range(len(whole)), key=lambda i: (whole[i] - exact_minor[i], i))
    for i in by_rest[:left]:
        whole[i] += 1
    return whole


def _row(cell: _Cell, exact: Fraction, part: int, terms: Terms) -> Row:
    owner, period = cell.owner, terms.period
    amount = format_minor(part, terms.minor_digits)
    names = (period.name, owner.tenant, owner.cost_centre, owner.tier, METRIC, cell.provider, cell.service,
             owner.machine, owner.pool, cell.category, cell.charge_class, cell.frequency)  # fmt: skip
    return {
        "statement": f"{period.name}/{owner.tenant}", "line": "/".join(name for name in names if name),
        "charge_category": cell.category, "charge_class": cell.charge_class,
        "charge_frequency": cell.frequency, "corrects": "", "tenant": owner.tenant,
        "cost_centre": owner.cost_centre, "period": period.name, "time_zone": period.time_zone,
        "charge_from": utc_text(period.t_from), "charge_to": utc_text(period.t_to), "tier": owner.tier,
        "pool": owner.pool, "machine": owner.machine, "labels": "", "metric": METRIC, "quantity": "1",
        "hours": "", "unit": "bill", "rate_id": f"{METRIC}-{owner.tier}" if owner.tier else METRIC, "rate": "as billed", "rate_card": cell.provider,
        "currency": terms.currency, "list_amount_minor": part, "amount": amount, "amount_minor": part,
        "note": f"{cell.service or 'charges'} by {cell.provider or 'the provider'}: {exact_text(exact)}",
    }  # fmt: skip


def by_tenant(rows: Sequence[Row]) -> Mapping[str, int]:
    """Tenant -> minor units, for reconciling."""
    found: dict[str, int] = defaultdict(int)
    for row in rows:
        found[str(row["tenant"])] += int(row["amount_minor"])
    return dict(found)


def fingerprint(table: Any, cost: Cost = Cost.BILLED) -> str:
    """The same for the same charges, in whatever order, format and spelling of numbers they come."""
    bill = _Lines(table)
    names = (
        "ResourceId",
        "SubAccountId",
        "BillingAccountId",
        "ChargeCategory",
        "ChargeClass",
        "ServiceName",
        "SkuPriceId",
    )
    columns = [bill.column(name) for name in names]
    moments = [_moment(text) for text in bill.column("ChargePeriodStart")]
    costs = [exact_text(Fraction(text)) if text else "" for text in bill.column(cost)]
    rows = sorted(map(repr, zip(*columns, moments, costs, strict=True)))
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
