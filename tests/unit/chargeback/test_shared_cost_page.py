"""The page on shared costs: its document loads, its worked month is what comes out, and no word is missing."""

import re
from pathlib import Path

from chargeback.money import Rounding, format_minor
from chargeback.periods import BillingPeriod
from chargeback.shared_costs.allocation import Allocation, Place, allocate
from chargeback.shared_costs.consumption import Consumption
from chargeback.shared_costs.costs import By, Charged, PoolCost, due
from chargeback.shared_costs.documents import Known, load_shared_costs
from chargeback.shared_costs.rows import rows
from chargeback.shared_costs.sharing import Among
from chargeback.usage import Metric

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "shared-costs.md").read_text()
OCTOBER = BillingPeriod(year=2026, month=10, time_zone="Europe/Berlin")
HELD = {"shop": (30, 40), "bank": (10, 120), "platform": (20, 40)}


def worked() -> Allocation:
    document = re.search(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert document
    known = Known(["prod"], ["tier-1"], ["fra"], list(HELD))
    found = load_shared_costs({"shared-costs.md": document[1]}, known)
    seconds = OCTOBER.t_to - OCTOBER.t_from
    held = [
        Consumption(tenant, "cc", "tier-1", "prod", metric, amount * factor * seconds)
        for tenant, amounts in HELD.items()
        for metric, amount, factor in zip((Metric.VCPU, Metric.MEMORY_MIB), amounts, (1, 1024), strict=True)
    ]
    places = [Place("prod", "tier-1", "fra", {Metric.VCPU: 100, Metric.MEMORY_MIB: 400 * 1024})]
    dues = due(found.costs, OCTOBER, minor_digits=2, rounding=Rounding.HALF_UP)
    return allocate(dues, held, places, OCTOBER, currency="EUR", minor_digits=2, shared=found.tenants)


def test_the_worked_month_of_the_page_is_what_comes_out() -> None:
    found = worked()
    lines = ["| tenant | from | vcpu held | vcpu idle | memory held | memory idle | together |"]
    lines.append("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    groups = sorted({(part.tenant, part.via) for part in found.parts})
    for label, wanted in [
        *((f"{tenant} | {via}", {"tenant": tenant, "via": via}) for tenant, via in groups),
        ("all | ", {}),
    ]:
        cells = [
            format_minor(found.amount_minor(metric=metric, kind=kind, **wanted), 2)
            for metric in ("vcpu", "memory_mib")
            for kind in ("held", "idle")
        ]
        lines.append(f"| {label} | {' | '.join(cells)} | {format_minor(found.amount_minor(**wanted), 2)} |")
    written = re.search(r"<!-- worked -->\n(.*?)\n<!-- /worked -->", PAGE, re.DOTALL)
    assert written
    assert written[1].replace("|  |", "| |") == "\n".join(lines).replace("|  |", "| |")


def test_the_note_on_the_page_is_one_of_the_month_s() -> None:
    assert any(f"`{row['note']}`" in PAGE for row in rows(worked(), "card"))


def test_every_field_and_word_is_on_the_page() -> None:
    fields = set(PoolCost.model_fields) - {"name", "month_nanos"} | {"per_month", "apart"}
    words = [*fields, *By, *Charged, *(f"by: {word}" for word in Among)]
    assert [word for word in words if f"`{word}" not in PAGE and f"{word}`" not in PAGE] == []
