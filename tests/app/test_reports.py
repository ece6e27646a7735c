"""The books of an application: currencies apart, kinship from the catalog, nothing of one bill lost."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tierwise.app import App, wire
from tierwise.errors import InvalidInput
from tierwise.testing.bill_rows import OCTOBER, october, row
from tierwise.testing.estate import simulated_acme
from tierwise.usecases import reports
from tierwise.usecases.reports import Asked

CATALOG = """\
cost_centres:
  online: {title: Online (4210), parent: sales}
tenants:
  labs: {title: Laboratories, cost_centre: online, parent: research, billing: showback}
"""

DOLLARS = [
    row("d1", 1000, tenant="us-shop", currency="USD", statement="2026-10/us-shop", tier="tier-1"),
    row("d2", 70, tenant="payroll", currency="USD", statement="2026-10/payroll", tier="tier-1"),
    {**row("y1", 12345, tenant="jp-shop", currency="JPY", statement="2026-10/jp-shop"), "amount": "12345"},
]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Acme with more kin, and a bill in three currencies."""
    settings = simulated_acme(tmp_path)
    (settings.catalog_dir / "more.yaml").write_text(CATALOG)
    found = SimpleNamespace(
        period=OCTOBER, card=SimpleNamespace(currency="EUR", minor_digits=2), rows=[*october(), *DOLLARS],
        known_at=OCTOBER.t_to, issued=True, note="issued",
    )  # fmt: skip
    monkeypatch.setattr(reports, "bill", lambda *_, **__: found)
    wired = wire(settings)
    yield wired
    wired.close()


def test_a_report_is_in_one_currency_and_names_the_others(app: App) -> None:
    found = reports.run(app, "tenant", Asked("2026-10"))
    assert found.total_minor == sum(one["amount_minor"] for one in october())
    assert any(
        "amounts in JPY, USD are not among these: ask for them with --currency" in n for n in found.notes
    )
    dollars = reports.run(app, "tenant", Asked("2026-10", currency="USD"))
    assert (dollars.total_minor, dollars.currency) == (1070, "USD")
    assert not any("--currency" in note for note in dollars.notes)
    for ask in (reports.run, lambda app, _, asked: list(reports.statements(app, asked))):
        with pytest.raises(InvalidInput, match="is billed in 'CHF'; say --currency EUR or JPY or USD"):
            ask(app, "tenant", Asked("2026-10", currency="CHF"))


def test_a_name_that_nobody_has_is_refused_and_one_without_a_bill_is_not(app: App) -> None:
    for asked, said in (
        (
            Asked("2026-10", where=[("tenant", "payrol")]),
            "there is no tenant 'payrol'; did you mean 'payroll'?",
        ),
        (Asked("2026-10", where=[("cost-centre", "onlin")]), "there is no cost centre 'onlin'"),
        (
            Asked("2026-10", costs={"tier-9": "1"}),
            "there is no tier 'tier-9'; did you mean 'tier-3'? known are tier-1, tier-2, tier-3",
        ),
    ):
        with pytest.raises(InvalidInput, match=said.replace("?", r"\?")):
            reports.run(app, "margin" if asked.costs else "tenant", asked)
    # In the catalog and not in the bill; in the bill and not in the catalog.
    assert reports.run(app, "tenant", Asked("2026-10", where=[("tenant", "labs")])).total_minor == 0
    dollars = Asked("2026-10", currency="USD", where=[("tenant", "us-shop")])
    assert reports.run(app, "tenant", dollars).total_minor == 1000


def test_a_statement_is_in_the_currency_of_its_tenant_with_its_decimals(app: App) -> None:
    assert reports.statement(app, Asked("2026-10"), "us-shop").currency == "USD"
    yen = reports.statement(app, Asked("2026-10"), "jp-shop")
    assert (yen.currency, yen.minor_digits, yen.total_minor) == ("JPY", 0, 12345)
    with pytest.raises(
        InvalidInput, match="payroll is billed in EUR, USD; say which statement with --currency"
    ):
        reports.statement(app, Asked("2026-10"), "payroll")
    assert reports.statement(app, Asked("2026-10", currency="USD"), "payroll").total_minor == 70


def test_all_statements_together_are_the_bill_in_every_currency(app: App) -> None:
    found = dict(reports.statements(app, Asked("2026-10")))
    assert {"2026-10-payroll-EUR", "2026-10-payroll-USD", "2026-10-us-shop", "2026-10-web-shop"} <= set(
        found
    )
    for currency in ("EUR", "USD", "JPY"):
        stated = sum(one.total_minor for one in found.values() if one.currency == currency)
        assert stated == sum(r["amount_minor"] for r in [*october(), *DOLLARS] if r["currency"] == currency)


def test_parents_showback_titles_and_hypervisors_come_from_the_catalog(app: App) -> None:
    known = reports.directory(app)
    assert known.cost_centre_parents == {"online": "sales"}
    assert known.tenant_parents == {"labs": "research"}
    assert known.showback == {"labs"}
    assert known.tenant_titles["payroll"] == "Payroll"
    assert known.hypervisors["fra-prod-1"] == "simulated", "never reached: known by its driver"
    assert {one.name for one in known.budgets} == {"administration", "online-shop"}
