"""The page of adjustments says what there is, and its worked examples come out as printed."""

import re
from pathlib import Path
from typing import Any

import pytest

from chargeback.adjustment import Selector, Show, Stage, Term
from chargeback.adjustment_documents import References, load_terms
from chargeback.adjustments import kinds
from chargeback.bills import bill
from chargeback.fx import Billing, FxDay
from chargeback.periods import BillingPeriod
from chargeback.rate_cards import load_rate_cards
from chargeback.stacks import StackMode
from chargeback.usage import UsageInterval, to_table

PAGE = (Path(__file__).parents[4] / "docs" / "reference" / "adjustments.md").read_text()
PARTS = re.findall(r"(?ms)^### (\w+)$(.*?)(?=^##)", PAGE)
CARD = """
rate_cards:
  {name}:
    version: 1
    currency: EUR
    minor_digits: 2
    time_zone: Europe/Berlin
    recorded_at: 2025-12-01
    rates: [{{id: {name}-hour, tier: tier-1, metric: machine, unit: machine-hour, price: 0.5, valid_from: 2026-01-01}}]
"""
CARDS = load_rate_cards(
    {name: CARD.format(name=name) for name in ("acme-eur", "shop-eur", "support-eur")}, ("tier-1",)
)
KNOWN = References(("shop",), ("retail", "research"), ("tier-1",), CARDS)
OCTOBER = BillingPeriod.parse("2026-10", "Europe/Berlin")


def usage() -> Any:
    """The two machines of the page: 120 and 80 hours at 0.50."""
    machines = (("web-1", 120, ""), ("web-2", 80, "os=windows"))
    return to_table(
        UsageInterval.model_validate(
            {
                "machine": name, "tenant": "shop", "cost_centre": "retail", "tier": "tier-1", "pool": "p",
                "metric": "machine", "quantity": 1, "power": "on", "t_from": OCTOBER.t_from,
                "t_to": OCTOBER.t_from + hours * 3600, "recorded_at": 0, "source": "page", "sequence": 0,
                "labels": labels,
            }
        )
        for name, hours, labels in machines
    )  # fmt: skip


def rows_of(document: str, days_later: int = 0) -> list[dict[str, Any]]:
    terms = load_terms({"adjustments.md": document}, KNOWN)
    (statement,) = bill(usage(), CARDS[0], OCTOBER, OCTOBER.t_to + days_later * 86400, terms)
    return statement.rows()


@pytest.mark.parametrize(("kind", "part"), PARTS, ids=[kind for kind, _ in PARTS])
def test_the_worked_example_of_each_kind_has_the_rows_that_are_printed(kind: str, part: str) -> None:
    (document,) = re.findall(r"(?ms)^```yaml example\n(.*?)^```", part)
    printed = [
        tuple(cell.strip() for cell in row[1:-1].split("|"))
        for row in re.findall(r"(?m)^\|.*\|$", part)[2:]
    ]
    found = [row for row in rows_of(document) if row["metric"] == ""]
    assert f"kind: {kind}" in document
    assert [(row["machine"], row["amount"]) for row in found] == [row[:2] for row in printed]
    for row, (_, _, note) in zip(found, printed, strict=True):
        assert note in row["note"]


def test_the_page_has_every_kind_in_its_stage_and_every_field_and_choice() -> None:
    assert sorted(kind for kind, _ in PARTS) == sorted(kinds())
    for name, kind in kinds().items():
        assert f"| {kind.stage.value} | `{name}` |" in PAGE
        for field in set(kind.model_fields) - set(Term.model_fields):
            assert f"`{field}`" in PAGE or f"{field}:" in PAGE, field
    assert len(Stage) == len(kinds())
    fields = set(Term.model_fields) | set(Selector.model_fields) | set(Billing.model_fields)
    for word in (*(fields - {"name"}), *Show, *FxDay, *StackMode):
        assert f"`{word}`" in PAGE, word


def test_the_pages_currency_and_stack_examples_load_and_print_what_is_said() -> None:
    adjustment, fx, stack = re.findall(r"(?ms)^```yaml\n(.*?)^```", PAGE)
    assert [row["amount"] for row in rows_of(adjustment)] == ["60.00", "40.00", "-6.00", "-4.00"]
    line, _ = rows_of(fx, days_later=5)
    assert line["note"] == "EUR 60 x 1.0842 USD of 2026-10-30 (ECB reference rate)"
    assert f"`{line['note']}`" in PAGE.replace("\n", " ")
    assert [row["rate_card"] for row in rows_of(stack)] == ["shop-eur v1"] * 2
