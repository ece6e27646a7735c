"""What pools cost in a month, who held them, what stood idle, and what each tier earned beside it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from catalog.resources import ResourceClass
from chargeback.fx import MissingFxRate
from chargeback.money import format_minor
from chargeback.run_lengths import STAMPS, intervals_from_samples
from chargeback.shared_costs.allocation import Allocation, Place, WrongCurrency, allocate
from chargeback.shared_costs.consumption import Consumption, consumption, with_prices
from chargeback.shared_costs.costs import due
from chargeback.shared_costs.rows import TierMargin, allocated, charged, headline, margins, rows
from chargeback.statements import Row
from chargeback.usage import Metric
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.usecases.billing import Bill, bill
from tierwise.usecases.metering import interval_store
from tierwise.usecases.observe import join, views
from tierwise.usecases.provider_bills import keep
from tierwise.usecases.samples import sample_store

PASSED_ON = "pool-costs"
"""What tells a month's pool costs from providers' bills."""

SAMPLE_INTERVAL_S = 3600
"""How long a measured sample counts where no other follows."""


@dataclass(frozen=True)
class SharedCostReport:
    """A month's pool costs in parts, and each tier's margin. `notes` are for the person who asked."""

    allocation: Allocation
    tiers: tuple[TierMargin, ...]
    rows: tuple[Row, ...]
    """A row per part in the form of statement rows, with the Allocated columns of FOCUS beside them."""
    headline: str
    notes: tuple[str, ...]

    @property
    def charged_rows(self) -> list[Row]:
        """The rows that the documents make lines of tenants' statements."""
        parts = zip(self.allocation.parts, self.rows, strict=True)
        return [row for part, row in parts if charged(part)]

    @property
    def tier_rows(self) -> list[dict[str, str]]:
        """Each tier's margin as text with the currency's decimals."""
        digits = self.allocation.minor_digits
        names = ("cost", "held", "idle", "unallocated", "recovered", "idle_charged", "margin")
        return [
            {
                "tier": of.tier or "(none)",
                **{name: format_minor(getattr(of, f"{name}_minor"), digits) for name in names},
            }
            for of in self.tiers
        ]


def shared_costs(app: App, month: str, *, known_at: datetime | None = None) -> SharedCostReport:
    """The pool costs of a month as known now, or at a moment in the past, and who bears them.

    Capacity is what the pools' last probes saw: none of it is recorded over time. Raises InvalidInput
    for a wrong month, for a cost in another currency than the rate card's that no `cost_fx` leads from, and
    for a day without an exchange rate.
    """
    return of_bill(app, bill(app, month, known_at=known_at))


def pass_on(app: App, month: str) -> tuple[SharedCostReport, Path]:
    """Put the parts that the documents charge on the month's statements, as they stand now, for ever.

    On those of the month itself while it is open, else as corrections on the next ones. Raises InvalidInput
    where no part is charged, the month is not over, or it was done before.
    """
    found = bill(app, month)
    report = of_bill(app, found)
    name = found.period.name
    if not found.complete:
        msg = f"{name} is not over in {found.period.time_zone}; what its pools' idle time cost is not known yet"
        raise InvalidInput(msg)
    if not report.charged_rows:
        msg = "no part of the pools' costs is charged; say `charge: idle` or `charge: all` at a cost of 'pool_costs:'"
        raise InvalidInput(msg)
    facts = {"period": name, "what": "pool costs", "headline": report.headline}
    return report, keep(app, f"{name}-{PASSED_ON}", report.charged_rows, facts, f"pool costs of {name}")


def of_bill(app: App, found: Bill) -> SharedCostReport:
    """The same beside a bill that was made already, as known when that was."""
    card, documents = found.card, app.documents.shared_costs
    digits = card.minor_digits
    places = _places(app)
    held = _held(app, found)
    try:
        dues = due(
            documents.costs, found.period, found.known_at, minor_digits=digits, rounding=card.rounding,
            currency=card.currency, fx=documents.fx,
        )  # fmt: skip
        result = allocate(
            dues, held, places, found.period,
            currency=card.currency, minor_digits=digits, shared=documents.tenants,
        )  # fmt: skip
    except (WrongCurrency, MissingFxRate) as error:
        raise InvalidInput(str(error)) from None
    # What was passed on before is what `margins` adds of itself.
    mine = [row for row in found.rows if not str(row["line"]).endswith(f"/bill-{PASSED_ON}")]
    billed = [row for row in mine if row["currency"] == card.currency]
    made = [
        {**row, **extra} for row, extra in zip(rows(result, card.label), allocated(result), strict=True)
    ]
    return SharedCostReport(
        allocation=result,
        tiers=tuple(margins(result, billed)),
        rows=tuple(made),
        headline=headline(result, sum(row["amount_minor"] for row in billed))
        if dues
        else "no pool cost is stated for this month",
        notes=tuple(_notes(held, places, app, elsewhere=len(billed) < len(mine))),
    )


def _places(app: App) -> list[Place]:
    catalog = app.documents.catalog
    seen = {pool.name: pool for pool in join(catalog, views(app), app.clock.now()).pools}
    return [
        Place(
            entry.name, entry.tier, entry.site,
            {Metric(rc.value): seen[entry.name].capacity(rc) for rc in ResourceClass}
            if entry.name in seen else {},
        )
        for entry in catalog.pools.values()
    ]  # fmt: skip


def _held(app: App, found: Bill) -> list[Consumption]:
    usage = interval_store(app).read()
    held = consumption(usage, found.period, found.known_at, used=_measured(app))
    return with_prices(held, found.rows)


def _measured(app: App) -> Any:
    """Measured use as intervals, without owners: who had the machine then, the allocations say."""
    samples = sample_store(app).read()
    machines = pc.unique(samples["machine"])
    blank = pa.repeat("", len(machines))
    stamps = pa.table([machines, *[blank] * (len(STAMPS) - 1)], schema=STAMPS)
    return intervals_from_samples(
        samples, stamps, interval_s=SAMPLE_INTERVAL_S, recorded_at=0, source="measured"
    )


def _notes(held: Iterable[Consumption], places: Iterable[Place], app: App, *, elsewhere: bool) -> list[str]:
    found = []
    if elsewhere:
        found.append("what tenants are billed in other currencies is not counted as recovered")
    unseen = [place.pool for place in places if not place.capacity]
    if unseen:
        found.append(
            f"the capacity of {', '.join(unseen)} is not known, so nothing of it counts as idle; "
            "`tierwise pool list --refresh` asks for it"
        )
    if app.documents.shared_costs.costs and not any(each.used for each in held):
        found.append("no measured use is known for this month; `tierwise usage import` adds it")
    return found
