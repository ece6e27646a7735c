"""A quote for a tenant with agreements is what its statement then says."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from tierwise.documents import load as load_documents
from tierwise.usecases.billing import bill
from tierwise.usecases.observe import observe
from tierwise.usecases.order import new_order, quote
from tierwise.usecases.place import estate

BERLIN = ZoneInfo("Europe/Berlin")
AGREED = """
adjustments:
  frame-2026:
    {kind: percentage_discount, percent: 7.5, applies_to: {tenants: [web-shop]}, valid_from: 2026-01,
     recorded_at: 2025-12-20T12:00:00}
  web:
    {kind: tag_factor, percent: 3, applies_to: {labels: {offering: web-small}}, valid_from: 2026-01,
     recorded_at: 2025-12-20T12:00:00}
  voucher:
    {kind: credit, amount: 1, currency: EUR, applies_to: {tenants: [payroll]}, valid_from: 2026-01,
     recorded_at: 2025-12-20T12:00:00}
"""


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def with_agreements(acme: Any) -> Any:
    folder: Path = acme.settings.catalog_dir
    (folder / "agreed.yaml").write_text(AGREED)
    return replace(acme, app=replace(acme.app, documents=load_documents(folder)))


def quoted(acme: Any, offering: str, tenant: str) -> Any:
    observe(acme.app)
    order = new_order(
        acme.app, order_id=UUID(int=9), offering=offering, tenant=tenant, machine_name="quote", parameters={},
        tier=None, ordered_by="test",
    )  # fmt: skip
    return quote(acme.app, estate(acme.app), order)


def test_a_quote_of_a_whole_november_is_its_statement_with_all_agreements(acme: Any) -> None:
    acme.clock.set(at("2026-11-01T00:00:00"))
    acme = with_agreements(acme)
    found = quoted(acme, "web-small", "web-shop")
    row = acme.deliver("shop-01")
    acme.clock.set(at("2026-12-01T00:00:00"))
    bought = bill(acme.app, "2026-11").rows
    said = found.adjusted[row.tier]
    assert said.total_minor == sum(line["amount_minor"] for line in bought) < row.price_minor
    assert (len(said.texts), said.left_open) == (2, ())


def test_a_credit_is_named_and_the_price_is_the_cards(acme: Any) -> None:
    acme = with_agreements(acme)
    found = quoted(acme, "web-small", "payroll")
    assert found.adjusted
    for tier, said in found.adjusted.items():
        assert [each.what for each in said.left_open] == ["credit 'voucher'"]
        assert len(said.texts) == 1
        assert said.total_minor > found.prices[tier].total_minor


def test_without_agreements_a_quote_has_none(acme: Any) -> None:
    assert quoted(acme, "web-small", "web-shop").adjusted == {}
