"""The reference pages say what is there, and their examples work."""

import json
import re
from pathlib import Path
from typing import Any

from chargeback.events import EventKind
from chargeback.ledger import LEDGER_COLUMNS
from chargeback.rate_cards import load_rate_cards
from chargeback.rates import UNITS, PowerRule
from chargeback.samples import import_csv
from chargeback.statements import COLUMNS
from chargeback.usage import SCHEMA, Metric
from tierwise.store.tables import PeriodState

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


def test_the_ledger_page_names_all_states_and_columns_and_its_example_recomputes() -> None:
    page = (REFERENCE / "ledger.md").read_text()
    for word in (*PeriodState, *(name for name in LEDGER_COLUMNS if name not in COLUMNS)):
        assert f"`{word}`" in page, word
    scope: dict[str, Any] = {}
    exec(example(page, "python"), scope)
    side = {
        "sign": 1, "known_at": 0, "quantity": "2", "steps": [], "exact": "0.02", "minor": None, "amount": "0.02",
        "pieces": [
            {"t_from": 0, "t_to": 7200, "quantity": 1, "power": "on", "source": "x", "recorded_at": 0}
        ],
        "rate": {
            "id": "r", "rate_card": "c v1", "price": "0.0075", "unit": "vcpu-hour", "unit_amount": 1,
            "per_s": 3600, "power": "always", "valid_from": 0, "valid_to": None, "recorded_at": 0,
        },
    }  # fmt: skip
    text = dict.fromkeys(
        ("line", "corrects", "tenant", "cost_centre", "period", "time_zone", "tier", "pool", "machine", "labels",
         "metric", "currency", "amount"), "",
    )  # fmt: skip
    explanation = {**text, "minor_digits": 2, "rounding": "half-up", "sides": [side], "amount_minor": 2}
    # 2 h x 0.0075 = 0.015, an exact half: 2 cents by the card's rule, and 2 by half-even too.
    assert scope["amount_minor"](json.dumps(explanation)) == 2
