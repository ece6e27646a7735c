"""The page about the ledger says what is there, and its example works."""

import json
import re
from pathlib import Path
from typing import Any

from chargeback.ledger import LEDGER_COLUMNS
from chargeback.statements import COLUMNS
from tierwise.store.tables import PeriodState

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "ledger.md"


def example(page: str, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_ledger_page_names_all_states_and_columns_and_its_example_recomputes() -> None:
    page = PAGE.read_text()
    for word in (*PeriodState, *(name for name in LEDGER_COLUMNS if name not in COLUMNS)):
        assert f"`{word}`" in page, word
    scope: dict[str, Any] = {}
    exec(example(page, "python"), scope)
    side = {
        "sign": 1, "known_at": 0, "quantity": "2", "steps": [], "exact": "0.02", "minor": None, "amount": "0.02",
        "by_rule": False, "exchange_rate": "", "exchange": "",
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
    assert scope["amount_minor"](json.dumps({"row": {}, "explanation": explanation})) == 2
