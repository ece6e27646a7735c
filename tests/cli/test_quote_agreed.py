"""``tierwise quote`` for a tenant with agreements."""

import json
from typing import Any

AGREED = """
adjustments:
  frame-2026: {kind: percentage_discount, percent: 10, valid_from: 2020-01, recorded_at: 2020-01-01}
  at-least:
    {kind: minimum, amount: 1000, currency: EUR, applies_to: {tenants: [web-shop]}, cost_centre: sales,
     valid_from: 2020-01, recorded_at: 2020-01-01}
"""


def test_a_quote_shows_what_is_agreed_and_names_what_it_cannot_know(tierwise: Any, settings: Any) -> None:
    plain = json.loads(tierwise("quote", "web-small", "--tenant", "web-shop", "-o", "json").out)
    assert all(row["for_tenant_minor"] == row["price_minor"] for row in plain)
    (settings.catalog_dir / "agreed.yaml").write_text(AGREED)
    rows = json.loads(tierwise("quote", "web-small", "--tenant", "web-shop", "-o", "json").out)
    for row in rows:
        # Four products, each rounded in the price, and on up to three invoices, where the discount is rounded too.
        assert abs(row["for_tenant_minor"] - row["price_minor"] * 9 / 10) <= (4 + 3 * (4 + 1)) / 2
        assert row["adjustments"].startswith("percentage discount 'frame-2026' EUR -")
        assert row["not_known"] == "minimum 'at-least': it counts all that the tenant uses in the month"
    shown = tierwise("quote", "web-small", "--tenant", "web-shop").out
    assert "\nFor web-shop: EUR " in shown
    assert "\n  not in it: minimum 'at-least': it counts all that the tenant uses in the month\n" in shown
    other = tierwise("quote", "web-small", "--tenant", "marketing").out
    assert "not in it" not in other
