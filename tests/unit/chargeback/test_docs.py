"""The reference pages say what is there, and their examples work."""

import json
import re
from fractions import Fraction
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from catalog.documents import parse
from catalog.resources import Resources
from chargeback.basis import BASES, Allocated, MissingSample
from chargeback.counters import COUNTERS, GAUGES, LAST, Reading, sampled
from chargeback.events import EventKind, MachineEvent
from chargeback.metering import intervals
from chargeback.periods import BillingPeriod
from chargeback.rate_card_form import CardEntry, RateEntry
from chargeback.rate_cards import RateCard, load_rate_cards
from chargeback.rates import UNITS, Basis, Category, Conventions, Frequency, PowerRule, Proration, Window
from chargeback.rating import Grain, rate
from chargeback.samples import import_csv
from chargeback.shapes import kinds
from chargeback.statements import statements
from chargeback.usage import SCHEMA, Metric, Power, UsageInterval, to_table
from tierwise.docs import shapes

ROOT = Path(__file__).parents[3]
EXAMPLE_CARD = ROOT / "examples" / "acme" / "rates.yaml"

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def example(page: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_rate_card_page_has_a_card_that_loads_and_names_all_units_and_rules() -> None:
    page = (REFERENCE / "rate-cards.md").read_text()
    (card,) = load_rate_cards({"rate-cards.md": example(page, "yaml")}, ("tier-1",))
    assert len(card.rates) == 2
    words = (
        *(unit for units in UNITS.values() for unit in units),
        *PowerRule,
        *Metric,
        *Window,
        *Basis,
        *Frequency,
    )
    for word in (
        *words,
        *Proration,
        *Category,
        *RateEntry.model_fields,
        *CardEntry.model_fields,
        *_answers(),
    ):
        assert f"`{word}`" in page or word == "name", word


def test_the_metering_page_has_a_file_that_imports_and_names_all_columns_and_events() -> None:
    page = (REFERENCE / "metering.md").read_text()
    assert import_csv(example(page, "csv"), "metering.md").table.num_rows == 2
    words = (*SCHEMA.names, *EventKind, *Metric, *BASES, *MissingSample, *Allocated, *COUNTERS, *GAUGES)
    for word in words:
        assert f"`{word}`" in page, word


def _answers() -> list[str]:
    fields = Conventions.model_fields
    return [*fields, *(answer for field in fields.values() for answer in field.annotation)]


def test_the_fees_of_the_rate_card_page_are_those_of_a_bill() -> None:
    page = (REFERENCE / "rate-cards.md").read_text()
    body = example(page.partition("**Fees**")[2], "yaml")
    (card,) = load_rate_cards({"rate-cards.md": body}, ("tier-1",))
    june = BillingPeriod.parse("2026-06", "Europe/Berlin")
    born = june.t_from + 20 * 86_400
    born_with = {"backup": "daily", "os": "windows"}
    life = MachineEvent(
        machine="m", sequence=0, kind=EventKind.CREATED, at=born, recorded_at=born, source="test", tenant="shop",
        cost_centre="cc", tier="tier-1", pool="p", labels=born_with, resources=Resources(vcpu=8, memory_mib=1),
    )  # fmt: skip
    usage = to_table(intervals([life], june.t_to))
    (statement,) = statements(rate(usage, card, [june], june.t_to, grain=Grain.MACHINE), card)
    amounts = {str(row["rate_id"]): str(row["amount"]) for row in statement.rows()}
    assert amounts == {"machine": "1.33", "backup": "12.00", "windows": "14.67", "setup": "25.00"}
    for amount in amounts.values():
        assert amount in page


BY_HAND = {
    "unit": "0.00 0.05 12.50 0.03",
    "fixed_variable": "3.05 3.50 15.50",
    "whole_quantity": "3.00 6.00 6.00 12.00 6.10",
    "graduated": "5.00 5.04 56.00",
    "package": "0.00 4.00 4.00 8.00",
    "block": "5.00 5.00 20.00 35.00",
    "minimum": "5.00 5.00 5.05",
    "maximum": "49.95 50.00 50.00",
    "allowance": "0.00 0.00 1.00",
    "commitment": "20.00 20.00 26.00",
    "rounded": "30.00 30.00 60.00",
}
"""The amounts of the page of shapes, worked out on paper."""


@pytest.mark.parametrize("kind", kinds())
def test_each_shape_has_a_worked_card_whose_figures_are_right(kind: str) -> None:
    figures = shapes.rows_of(kind)
    assert [amount for _, amount in figures] == BY_HAND[kind].split()
    for quantity, amount in figures:
        assert billed(shapes.card_of(kind), Fraction(quantity)) in {amount, ""}, quantity


def billed(card: RateCard, quantity: Fraction) -> str:
    """What a bill of June shows for a machine that had this quantity on average."""
    june = BillingPeriod.parse("2026-06", card.time_zone)
    size = -(-quantity.numerator // quantity.denominator)
    if not size:
        return ""
    seconds = (june.t_to - june.t_from) * quantity / size
    row = UsageInterval(
        machine="m", tenant="shop", cost_centre="cc", tier="tier-1", pool="p", metric=Metric.DISK_GIB, quantity=size,
        power=Power.ON, t_from=june.t_from, t_to=june.t_from + int(seconds), recorded_at=0, source="test", sequence=0,
    )  # fmt: skip
    (statement,) = statements(rate(to_table([row]), card, [june], june.t_to, grain=Grain.MACHINE), card)
    return str(statement.rows()[0]["amount"])


def test_the_published_schema_takes_what_the_reader_takes_and_refuses_what_has_another_form() -> None:
    published = json.loads((REFERENCE / "rate-card.schema.json").read_text())
    catalog_tests = spec_from_file_location("reader", ROOT / "tests" / "unit" / "catalog" / "conftest.py")
    assert catalog_tests is not None
    assert catalog_tests.loader is not None
    reader = module_from_spec(catalog_tests)
    catalog_tests.loader.exec_module(reader)
    reader._KEYWORDS["oneOf"] = lambda what, value, _s, root: (
        sum(reader._accepts(sub, value, root) for sub in what) == 1
    )

    def accepted(text: str) -> bool:
        document, _ = parse(text, "card.yaml")
        assert document is not None
        found: bool = reader._accepts(published, document.tree, published)
        return found

    documents = [shapes.text_of(kind) for kind in kinds()] + [EXAMPLE_CARD.read_text()]
    page = (REFERENCE / "rate-cards.md").read_text()
    documents += re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    for text in documents:
        assert accepted(text), text
    for right, wrong in (
        ("kind: maximum", "kind: most"),
        ("to: 100,", "upto: 100,"),
        ("price: 0.05", "price: -1"),
    ):
        broken = [text.replace(right, wrong) for text in documents if right in text]
        assert broken
        assert not any(accepted(text) for text in broken)


def test_the_metering_page_counts_a_counter_as_the_product_does() -> None:
    page = " ".join((REFERENCE / "metering.md").read_text().split())
    readings = [Reading("m", "cpu_ms", value, at, counter=True) for value, at in ((0, 0), (25_000, 10))]
    _, last = sampled(readings[:1], LAST.empty_table(), endpoint="e")
    found, _ = sampled(readings[1:], last, endpoint="e")
    (_, _, _, more), (_, _, _, less) = found.rows
    assert f"{more} processors for {found.seconds[0]} seconds and {less} for {found.seconds[1]}" in page
