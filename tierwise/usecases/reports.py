"""The application's books of a month, and the reports that are made of them."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime

from catalog.parties import Billing
from catalog.wording import known_names
from chargeback.books import Books, Directory
from chargeback.money import InvalidMoney, nanos_from_text
from chargeback.report import InvalidReport, Report
from chargeback.reports import every
from chargeback.statement_report import statement_report
from tierwise.app import App
from tierwise.errors import InvalidInput
from tierwise.usecases import shared_costs
from tierwise.usecases.billing import Bill, Row, bill
from tierwise.usecases.observe import join, views


@dataclass(frozen=True)
class Asked:
    """What somebody wants to see: the month, as known when, grouped and selected by what.

    `where` are dimensions and the values they must have; `costs` is tier -> what it cost, as text.
    """

    month: str
    known_at: datetime | None = None
    by: str = ""
    where: Sequence[tuple[str, str]] = ()
    currency: str = ""
    costs: Mapping[str, str] = field(default_factory=dict)


def run(app: App, name: str, asked: Asked) -> Report:
    """The report of that name. Raises InvalidInput for an unknown one, and for what it cannot be made of."""
    with _told():
        made = every().get(name)
        if made is None:
            msg = f"there is no report '{name}'; known are {', '.join(every())}"
            raise InvalidReport(msg)
        if name == "margin" and not asked.costs:
            asked = replace(asked, costs=_stated_costs(app, asked))
        return made.make(books(app, asked, compare=made.compares))


def statement(app: App, asked: Asked, tenant: str) -> Report:
    """One tenant's statement, in the currency that the tenant is billed in.

    Raises InvalidInput for an unknown tenant, one without a statement, and one with several currencies.
    """
    found = bill(app, asked.month, known_at=asked.known_at)
    known = {*app.documents.catalog.tenants, *(str(row["tenant"]) for row in found.rows)}
    if tenant not in known:
        msg = f"there is no tenant '{tenant}'; {known_names(tenant, sorted(known))}"
        raise InvalidInput(msg)
    currencies = sorted({str(row["currency"]) for row in found.rows if row["tenant"] == tenant})
    if len(currencies) > 1 and not asked.currency:
        msg = f"{tenant} is billed in {', '.join(currencies)}; say which statement with --currency"
        raise InvalidInput(msg)
    with _told():
        currency = asked.currency or "".join(currencies[:1])
        return statement_report(_books(app, found, replace(asked, currency=currency)), tenant)


def statements(app: App, asked: Asked) -> Iterator[tuple[str, Report]]:
    """Every statement of the month, each after its file's name: MONTH-TENANT, with the currency where there are several."""
    found = bill(app, asked.month, known_at=asked.known_at)
    _check_currency(found, asked)
    billed: dict[str, set[str]] = {}
    for row in found.rows:
        if asked.currency in {"", row["currency"]}:
            billed.setdefault(str(row["tenant"]), set()).add(str(row["currency"]))
    books_of = {
        currency: _books(app, found, replace(asked, currency=currency))
        for currency in sorted(set().union(*billed.values()))
    }
    for tenant, currencies in sorted(billed.items()):
        for currency in sorted(currencies):
            name = f"{asked.month}-{tenant}" + (f"-{currency}" if len(currencies) > 1 else "")
            yield name, statement_report(books_of[currency], tenant)


def books(app: App, asked: Asked, *, compare: bool = False) -> Books:
    """The books of a month; with the month before it where it is to be compared."""
    found = bill(app, asked.month, known_at=asked.known_at)
    earlier: Sequence[Row] = ()
    if compare:
        earlier = bill(app, found.period.previous.name, known_at=asked.known_at).rows
    return _books(app, found, asked, earlier)


def _check_currency(found: Bill, asked: Asked) -> None:
    """Raises InvalidInput for a currency in which nothing is billed, unless it is the rate card's."""
    known = {found.card.currency, *(str(row["currency"]) for row in found.rows)}
    if asked.currency and asked.currency not in known:
        msg = f"nothing of {asked.month} is billed in '{asked.currency}'; say --currency {' or '.join(sorted(known))}"
        raise InvalidInput(msg)


def _check_names(app: App, found: Bill, asked: Asked) -> None:
    """Raises InvalidInput for what neither the catalog nor the bill has, so that a slip is no empty report."""
    catalog = app.documents.catalog
    entries: dict[str, Iterable[str]] = {
        "tenant": catalog.tenants, "cost-centre": catalog.cost_centres, "tier": catalog.tiers, "pool": catalog.pools,
    }  # fmt: skip
    for name, value in [*asked.where, *(("tier", tier) for tier in asked.costs)]:
        if name in entries:
            known = {*entries[name], *(str(row[name.replace("-", "_")]) for row in found.rows)}
            if value not in known:
                msg = f"there is no {name.replace('-', ' ')} '{value}'; {known_names(value, sorted(known - {''}))}"
                raise InvalidInput(msg)


def _books(app: App, found: Bill, asked: Asked, earlier: Sequence[Row] = ()) -> Books:
    _check_currency(found, asked)
    _check_names(app, found, asked)
    currency = asked.currency or found.card.currency
    rows, elsewhere = _in(currency, found.rows)
    note = found.note + (
        f"; amounts in {', '.join(elsewhere)} are not among these: ask for them with --currency"
        if elsewhere and not asked.currency
        else ""
    )
    digits = _digits(rows, found)
    made = Books(
        period=found.period, currency=currency, minor_digits=digits, rows=rows, known_at=found.known_at,
        final=found.issued, note=note, before=_in(currency, earlier)[0],
        directory=replace(directory(app), cost_minor=_costs(asked.costs, digits)), by=asked.by,
    )  # fmt: skip
    return made.where(asked.where)


def _stated_costs(app: App, asked: Asked) -> dict[str, str]:
    """What tiers cost as the documents state the costs of their pools, where they do."""
    if not app.documents.shared_costs.costs:
        return {}
    found = shared_costs.shared_costs(app, asked.month, known_at=asked.known_at)
    return {row["tier"]: row["cost"] for row in found.tier_rows if row["tier"] != "(none)"}


def directory(app: App) -> Directory:
    """What the catalog and the last views of the endpoints say of whoever appears in a bill."""
    catalog = app.documents.catalog
    seen = join(catalog, views(app), app.clock.now())
    # A pool that was never reached is known by the driver that it would be reached with.
    drivers = {name: catalog.endpoints[pool.endpoint].driver for name, pool in catalog.pools.items()}
    return Directory(
        tenant_titles={name: tenant.title for name, tenant in catalog.tenants.items()},
        cost_centre_titles={name: centre.title for name, centre in catalog.cost_centres.items()},
        tenant_parents={name: t.parent for name, t in catalog.tenants.items() if t.parent},
        cost_centre_parents={name: c.parent for name, c in catalog.cost_centres.items() if c.parent},
        showback=frozenset(
            name for name, tenant in catalog.tenants.items() if tenant.billing is Billing.SHOWBACK
        ),
        hypervisors=drivers | {pool.name: pool.hypervisor.label for pool in seen.pools},
        budgets=app.documents.budgets,
    )


def _in(currency: str, rows: Iterable[Row]) -> tuple[list[Row], list[str]]:
    """The rows in a currency, and the other currencies that there are."""
    known = list(rows)
    return [row for row in known if row["currency"] == currency], sorted(
        {str(row["currency"]) for row in known} - {currency}
    )


def _digits(rows: Sequence[Row], found: Bill) -> int:
    """The currency's decimals, as its amounts are printed."""
    return len(str(rows[0]["amount"]).partition(".")[2]) if rows else found.card.minor_digits


def _costs(costs: Mapping[str, str], minor_digits: int) -> dict[str, int]:
    found = {}
    for tier, text in costs.items():
        try:
            nanos = nanos_from_text(text)
        except InvalidMoney as error:
            msg = f"the cost of {tier}, '{text}', {error}"
            raise InvalidInput(msg) from None
        whole, rest = divmod(nanos * 10**minor_digits, 10**9)
        if rest or nanos < 0:
            msg = f"the cost of {tier}, {text}, must be an amount of at least 0 with at most {minor_digits} decimals"
            raise InvalidInput(msg)
        found[tier] = whole
    return found


def pairs(texts: Iterable[str], option: str) -> list[tuple[str, str]]:
    """The NAME=VALUE of an option. Raises InvalidInput for what is not like that."""
    found = []
    for text in texts:
        match = re.fullmatch(r"([^=]+)=(.*)", text, re.DOTALL)
        if match is None:
            msg = f"{option} '{text}' must be NAME=VALUE"
            raise InvalidInput(msg)
        found.append((match[1], match[2]))
    return found


@contextmanager
def _told() -> Iterator[None]:
    """Turns what a report cannot be made of into an error of the application."""
    try:
        yield
    except InvalidReport as error:
        raise InvalidInput(str(error)) from None
