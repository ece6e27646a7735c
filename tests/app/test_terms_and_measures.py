"""A month with all that is agreed beside the rate card, and with what was measured: closed, corrected, explained."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5
from zoneinfo import ZoneInfo

import pytest

from tierwise.documents import load as load_documents
from tierwise.usecases.billing import bill
from tierwise.usecases.books import load
from tierwise.usecases.explaining import explain_line, verify
from tierwise.usecases.ledger import close
from tierwise.usecases.owner import change_owner
from tierwise.usecases.samples import import_samples

BERLIN = ZoneInfo("Europe/Berlin")
AGREED = """
adjustments:
  frame-2026:
    kind: percentage_discount
    percent: 10
    applies_to: {tenants: [web-shop, marketing]}
    valid_from: 2026-01
    recorded_at: 2025-12-20T12:00:00
  welcome:
    kind: credit
    amount: 30
    currency: EUR
    applies_to: {tenants: [marketing]}
    valid_from: 2026-10
    recorded_at: 2026-09-01T12:00:00
fx:
  dollars:
    from_currency: EUR
    to_currency: USD
    minor_digits: 2
    tenants: [payroll]
    use_rate_of: period-end
    recorded_at: 2026-09-01T12:00:00
    rates:
      - {day: 2026-10-31, rate: 1.0842, source: a central bank}
      - {day: 2026-11-30, rate: 1.2, source: a central bank}
"""
MEASURED = """
      - {id: cpu-used-tier-%d, tier: tier-%d, metric: vcpu, component: burst, basis: usage, unit: vcpu-hour,
         price: 0.5, valid_from: 2026-01-01}
"""


def at(text: str) -> datetime:
    """A moment by Berlin's clocks."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


@pytest.fixture
def agreed(acme: Any) -> Any:
    """Acme with these terms, and a rate for measured vCPU; a machine each of two tenants through October."""
    folder: Path = acme.settings.catalog_dir
    (folder / "agreed.yaml").write_text(AGREED)
    rates = folder / "rates.yaml"
    rates.write_text(rates.read_text().rstrip("\n") + "".join(MEASURED % (n, n) for n in (1, 2, 3)))
    made = replace(acme, app=replace(acme.app, documents=load_documents(folder)))
    made.deliver("shop-01")
    made.deliver("pay-01", "app-medium", tenant="payroll")
    made.clock.set(at("2026-11-02T09:00:00"))
    return made


def measured(estate: Any, tmp_path: Path, hours: int, *, cores: int, day: int) -> None:
    """That shop-01 used so many cores in the first hours of a day of October."""
    machine = uuid5(NAMESPACE_URL, "shop-01")
    lines = [f"{machine},vcpu,2026-10-{day:02d}T{hour:02d}:00:00Z,{cores},vcpu" for hour in range(hours)]
    file = tmp_path / f"samples-{day}.csv"
    file.write_text("machine,metric,at,value,unit\n" + "\n".join(lines) + "\n")
    assert import_samples(estate.app, file).added == hours


def by_kind(rows: list[dict[str, Any]], tenant: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for row in rows:
        if row["tenant"] == tenant:
            key = row["rate_id"] + (" corrected" if row["charge_class"] else "")
            found[key] = found.get(key, 0) + row["amount_minor"]
    return found


def test_terms_and_measured_use_are_on_the_bill_as_worked_out_by_hand(agreed: Any, tmp_path: Path) -> None:
    measured(agreed, tmp_path, 8, cores=2, day=3)
    rows = bill(agreed.app, "2026-10").rows
    shop = by_kind(rows, "web-shop")
    tier = next(row["tier"] for row in rows if row["tenant"] == "web-shop")
    assert shop[f"cpu-used-{tier}"] == 800  # 8 h x 2 vCPU x EUR 0.5
    usage = sum(amount for name, amount in shop.items() if name != "frame-2026")
    assert shop["frame-2026"] == -((usage + 5) // 10)
    for row in rows:
        if row["tenant"] == "payroll":
            assert row["currency"] == "USD"
            exact = Fraction(row["quantity"].split()[0]) * Fraction(row["rate"]) * Fraction("1.0842") * 100
            assert abs(Fraction(row["amount_minor"]) - exact) <= Fraction(1, 2)
    assert {row["currency"] for row in rows if row["tenant"] == "web-shop"} == {"EUR"}


def test_a_closed_month_with_terms_is_verified_and_each_of_its_lines_explained(
    agreed: Any, tmp_path: Path
) -> None:
    measured(agreed, tmp_path, 8, cores=2, day=3)
    closing = close(agreed.app, "2026-10")
    assert {each.currency for each in closing.totals} == {"EUR", "USD"}
    stated = agreed.rows("SELECT tenant, currency FROM statement ORDER BY tenant")
    assert stated == [("payroll", "USD"), ("web-shop", "EUR")]
    agreed.clock.set(at("2026-11-05T09:00:00"))
    change_owner(agreed.app, UUID(int=1), "shop-01", "marketing", at("2026-10-20T00:00:00"))
    measured(agreed, tmp_path, 4, cores=6, day=9)
    agreed.clock.set(at("2026-12-01T09:00:00"))
    close(agreed.app, "2026-11")
    assert [each.problems for each in verify(agreed.app)] == [[], []]
    books = load(agreed.app, agreed.app.documents.rate_card)
    kinds = set()
    for name in ("2026-10", "2026-11"):
        for row in books.rows(books.finals[name]):
            found = explain_line(agreed.app, row["statement"], row["number"])
            assert found.explanation.amount_minor == row["amount_minor"]
            kinds.add((row["charge_category"], bool(row["charge_class"]), row["currency"]))
    assert {("Usage", True, "EUR"), ("Adjustment", True, "EUR"), ("Usage", False, "USD")} <= kinds
    assert any(category == "Credit" for category, _, _ in kinds)


def test_what_was_stated_of_a_month_with_all_its_corrections_is_what_is_known_of_it(
    agreed: Any, tmp_path: Path
) -> None:
    measured(agreed, tmp_path, 8, cores=2, day=3)
    close(agreed.app, "2026-10")
    agreed.clock.set(at("2026-11-05T09:00:00"))
    measured(agreed, tmp_path, 4, cores=6, day=9)
    change_owner(agreed.app, UUID(int=1), "shop-01", "marketing", at("2026-10-20T00:00:00"))
    agreed.clock.set(at("2026-12-01T09:00:00"))
    close(agreed.app, "2026-11")
    sums: dict[tuple[str, str], int] = {}
    for month in ("2026-10", "2026-11"):
        for row in bill(agreed.app, month).rows:
            if row["period"] == "2026-10":
                key = row["tenant"], row["currency"]
                sums[key] = sums.get(key, 0) + row["amount_minor"]
    known = bill(agreed.app, "2026-10", known_at=agreed.clock.now()).rows
    wanted: dict[tuple[str, str], int] = {}
    for row in known:
        key = row["tenant"], row["currency"]
        wanted[key] = wanted.get(key, 0) + row["amount_minor"]
    assert {key: amount for key, amount in sums.items() if amount} == {
        key: amount for key, amount in wanted.items() if amount
    }
    assert ("marketing", "EUR") in wanted


def test_samples_that_come_in_the_second_of_the_close_are_learnt_after_it(
    agreed: Any, tmp_path: Path
) -> None:
    measured(agreed, tmp_path, 2, cores=1, day=3)
    close(agreed.app, "2026-10")
    measured(agreed, tmp_path, 2, cores=1, day=4)
    assert [each.problems for each in verify(agreed.app)] == [[]]
    agreed.clock.set(agreed.clock.now() + timedelta(days=30))
    close(agreed.app, "2026-11")
    late = by_kind(bill(agreed.app, "2026-11").rows, "web-shop")
    assert [amount for name, amount in late.items() if name.startswith("cpu-used") and "corr" in name] == [
        100
    ]


def test_the_next_close_names_late_samples_a_late_adjustment_and_a_late_exchange_rate(
    agreed: Any, tmp_path: Path
) -> None:
    close(agreed.app, "2026-10")
    agreed.clock.set(at("2026-11-05T09:00:00"))
    measured(agreed, tmp_path, 4, cores=6, day=9)
    file: Path = agreed.settings.catalog_dir / "agreed.yaml"
    later = """fx:
  dollars:"""
    discount = """  winter:
    kind: fixed_discount
    amount: 1
    currency: EUR
    applies_to: {tenants: [web-shop]}
    valid_from: 2026-10
    recorded_at: 2026-11-06T12:00:00
"""
    rate = (
        "      - {day: 2026-10-31, rate: 1.1, source: the bank again, recorded_at: 2026-11-07T12:00:00}\n"
    )
    file.write_text(file.read_text().replace(later, discount + later) + rate)
    after = replace(agreed, app=replace(agreed.app, documents=load_documents(agreed.settings.catalog_dir)))
    after.clock.set(at("2026-12-01T09:00:00"))
    facts = [(fact.what, fact.subject, fact.source) for fact in close(after.app, "2026-11").facts]
    assert facts == [
        ("measured use", "shop-01", "samples-9.csv"),
        ("new adjustment", "fixed discount 'winter'", "documents"),
        ("new exchange rate", "'dollars'", "the bank again"),
    ]
