"""A month's pool costs in the application, recounted from the documents and what endpoints report."""

from datetime import UTC, datetime
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import yaml

from tierwise.usecases.billing import bill
from tierwise.usecases.observe import join, observe, views
from tierwise.usecases.shared_costs import shared_costs

BERLIN = ZoneInfo("Europe/Berlin")


def at(text: str) -> datetime:
    """A moment by Berlin's clocks."""
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def test_idle_cost_of_a_month_is_what_the_machine_leaves_of_its_pool(acme: Any) -> None:
    acme.clock.set(at("2026-10-01T00:00:00"))
    row = acme.deliver("shop-01")
    acme.clock.set(at("2026-11-01T00:00:00"))
    observe(acme.app)
    found = shared_costs(acme.app, "2026-10")
    written = yaml.safe_load((acme.settings.catalog_dir / "costs.yaml").read_text())["pool_costs"]
    costs = {name: Fraction(str(cost["per_month"])) * 100 for name, cost in written.items()}
    per_cost = {
        name: sum(part.amount_minor for part in found.allocation.parts if part.cost.name == name)
        for name in costs
    }
    assert per_cost == costs, "every cost is there whole, held or idle"
    seen = join(acme.app.documents.catalog, views(acme.app), acme.clock.now()).pools
    (cost,) = [c for c in written.values() if row.pool == c.get("pool") or row.tier == c.get("tier")]
    pools = [p for p in seen if p.name == cost.get("pool") or p.tier == cost.get("tier")]
    machine = acme.machine("shop-01")
    for metric, weight in cost["split"].items():
        share = Fraction(str(cost["per_month"])) * 100 * weight / sum(cost["split"].values())
        room = sum(p.capacity(metric) for p in pools)
        exact = share * Fraction(getattr(machine.resources, metric), room)
        parts = found.allocation.where(metric=metric, kind="held", tenant=row.tenant, tier=row.tier)
        held = [part for part in parts if part.cost.place.split()[1] in {row.pool, row.tier}]
        assert abs(sum(part.amount_minor for part in held) - exact) < 1


def test_margins_are_of_the_bill_and_the_costs(acme: Any) -> None:
    acme.clock.set(at("2026-10-01T00:00:00"))
    acme.deliver("shop-01")
    acme.clock.set(at("2026-11-01T00:00:00"))
    found = shared_costs(acme.app, "2026-10")
    total = bill(acme.app, "2026-10").total_minor
    assert sum(tier.recovered_minor for tier in found.tiers) == total
    assert sum(tier.margin_minor for tier in found.tiers) == total - found.allocation.total_minor
    assert found.charged_rows == []
    assert found.headline.startswith("unallocated idle cost EUR ")
    assert found.notes[-1] == "no measured use is known for this month; `tierwise usage import` adds it"
