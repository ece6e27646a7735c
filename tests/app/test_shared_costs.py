"""A month's pool costs in the application, recounted from the documents and what endpoints report."""

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow.parquet as pq
import pytest
import yaml

from chargeback.focus.columns import Version
from tierwise.documents import load as load_documents
from tierwise.errors import InvalidInput
from tierwise.usecases.billing import bill
from tierwise.usecases.explaining import verify
from tierwise.usecases.focus import export
from tierwise.usecases.ledger import close
from tierwise.usecases.observe import join, observe, views
from tierwise.usecases.shared_costs import pass_on, shared_costs

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
    total = sum(row["amount_minor"] for row in bill(acme.app, "2026-10").rows)
    assert sum(tier.recovered_minor for tier in found.tiers) == total
    assert sum(tier.margin_minor for tier in found.tiers) == total - found.allocation.total_minor
    assert found.charged_rows == []
    assert found.headline.startswith("idle cost not passed on EUR ")
    assert found.notes[-1] == "no measured use is known for this month; `tierwise usage import` adds it"


def test_idle_cost_that_the_documents_charge_is_put_on_statements_once_and_split_in_focus(
    acme: Any, tmp_path: Path
) -> None:
    file = acme.settings.catalog_dir / "costs.yaml"
    document = yaml.safe_load(file.read_text())
    for cost in document["pool_costs"].values():
        cost["charge"] = "idle"
    file.write_text(yaml.safe_dump(document, sort_keys=False))
    acme.clock.set(at("2026-10-01T00:00:00"))
    acme.deliver("shop-01")
    acme.clock.set(at("2026-11-01T00:00:00"))
    observe(acme.app)
    app = replace(acme.app, documents=load_documents(acme.settings.catalog_dir))
    before = sum(row["amount_minor"] for row in bill(app, "2026-10").rows)
    report, _ = pass_on(app, "2026-10")
    idle = sum(int(row["amount_minor"]) for row in report.charged_rows)
    assert idle > 0
    assert sum(row["amount_minor"] for row in bill(app, "2026-10").rows) == before + idle
    with pytest.raises(InvalidInput, match="taken in before"):
        pass_on(app, "2026-10")
    assert shared_costs(app, "2026-10").tiers == report.tiers, "what was passed on is not recovered twice"
    closing = close(app, "2026-10")
    assert closing.check.difference_minor == 0
    assert [each.problems for each in verify(app)] == [[]]
    written = export(app, "2026-10", tmp_path / "out", version=Version.V1_4)
    table = pq.read_table(written.folder / "cost-and-usage.parquet")
    split = [row for row in table.to_pylist() if row["AllocatedMethodId"]]
    assert len(split) == len(report.charged_rows)
