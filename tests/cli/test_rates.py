"""What finance reads of a rate card at the command line."""

import json
from pathlib import Path
from typing import Any

CARD = """
tiers:
  tier-1: {rank: 1, title: Production, purpose: must not stand still}
rate_cards:
  falling:
    version: 1
    currency: EUR
    minor_digits: 2
    time_zone: UTC
    recorded_at: 2026-01-01
    rates:
      - {id: v, tier: tier-1, metric: vcpu, unit: vcpu-hour, valid_from: 2026-01-01,
         shape: {kind: volume, tiers: [{to: 10, price: 2}, {price: 1}]}}
"""


def test_a_card_whose_prices_fall_is_valid_and_warned_of(tierwise: Any, tmp_path: Path) -> None:
    file = tmp_path / "card.yaml"
    file.write_text(CARD)
    ended = tierwise("catalog", "validate", str(file))
    assert ended.code == 0
    assert (
        "warning: rate card falling v1: rate 'v': just above 10 costs 10, less than 20 for 10" in ended.err
    )


def test_the_rates_are_listed_with_the_cards_answers(tierwise: Any) -> None:
    ended = tierwise("catalog", "rates", "-o", "json")
    rows = {row["rate_id"]: row for row in json.loads(ended.out)}
    assert (rows["vcpu-tier-1-2026-10"]["rate"], rows["vcpu-tier-1-2026-10"]["unit"]) == (
        "0.018",
        "vcpu-hour",
    )
    for answer in (
        "month: calendar",
        "allocated: time-weighted",
        "rounding: half-up",
        "missing_sample: zero",
    ):
        assert answer in ended.err
