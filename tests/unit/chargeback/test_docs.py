"""The reference pages say what is there, and their examples work."""

import re
from pathlib import Path

from chargeback.events import EventKind
from chargeback.rate_cards import load_rate_cards
from chargeback.rates import UNITS, PowerRule
from chargeback.samples import import_csv
from chargeback.usage import SCHEMA, Metric

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"


def example(page: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_rate_card_page_has_a_card_that_loads_and_names_all_units_and_rules() -> None:
    page = (REFERENCE / "rate-cards.md").read_text()
    (card,) = load_rate_cards({"rate-cards.md": example(page, "yaml")}, ("tier-1",))
    assert len(card.rates) == 2
    for word in (*(unit for units in UNITS.values() for unit in units), *PowerRule, *Metric):
        assert f"`{word}`" in page, word


def test_the_metering_page_has_a_file_that_imports_and_names_all_columns_and_events() -> None:
    page = (REFERENCE / "metering.md").read_text()
    assert import_csv(example(page, "csv"), "metering.md").table.num_rows == 2
    for word in (*SCHEMA.names, *EventKind):
        assert f"`{word}`" in page, word
