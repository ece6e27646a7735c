"""A month's bill with everything in it, as rows: for tests of whoever reads bills.

It has tenants of two cost centres, three tiers, labels, fractions, a credit, a fee, corrections, and
names that nobody would choose: of other alphabets, as formulas, as markup.
"""

from collections.abc import Iterator
from typing import Any

from chargeback.books import Books, Directory
from chargeback.budgets import Budget
from chargeback.money import format_minor
from chargeback.periods import BillingPeriod
from chargeback.statements import COLUMNS

OCTOBER = BillingPeriod.parse("2026-10", "Europe/Berlin")

HOSTILE = (
    "=HYPERLINK(0)", "+1+1", "-2+3", "@SUM(A1)", "<script>alert(1)</script>", "a&b\"c'd", "名前-01",
    "Заказы", "käse-öl-ß", "x" * 120,
)  # fmt: skip
"""Names that hurt a careless reader."""

_RATES = {
    "tier-1": {"vcpu": "0.018", "memory_mib": "0.0042", "disk_gib": "0.00032", "machine": "0.012"},
    "tier-2": {"vcpu": "0.0094", "memory_mib": "0.0022", "disk_gib": "0.00016", "machine": "0.008"},
    "tier-3": {"vcpu": "0.0052", "memory_mib": "0.0013", "disk_gib": "0.00009", "machine": "0.004"},
}
_UNITS = {"vcpu": "vcpu-hour", "memory_mib": "GiB-hour", "disk_gib": "GiB-hour", "machine": "machine-hour"}

DIRECTORY = Directory(
    tenant_titles={
        "payroll": "Payroll", "web-shop": "Online shop", "research": "Forschung & Entwicklung", "archive": "Архив",
    },
    cost_centre_titles={"administration": "Finance and administration (4100)", "sales": "Sales (4200)"},
    tenant_parents={"archive": "payroll"}, cost_centre_parents={"shops": "sales"}, showback=frozenset({"research"}),
    hypervisors={"fra-prod-1": "vsphere", "fra-test-1": "hyperv", "ber-kvm-1": "libvirt"},
    budgets=(
        Budget.model_validate({"name": "payroll", "tenant": "payroll", "amount": "5000.00", "currency": "EUR",
                               "first_month": "2026-01"}),
        Budget.model_validate({"name": "all", "title": "Everything", "amount": "60000", "currency": "EUR",
                               "first_month": "2026-01", "thresholds": [50, 80, 100]}),
    ),
    cost_minor={"tier-1": 1_500_000, "tier-2": 2_600_000, "tier-3": 900_000},
)  # fmt: skip


def row(line: str, amount_minor: int, **fields: Any) -> dict[str, Any]:
    """A row of `COLUMNS`; what is not said is empty."""
    return {
        **dict.fromkeys(COLUMNS, ""), "line": line, "charge_category": "Usage", "charge_frequency": "Usage-Based",
        "period": "2026-10", "time_zone": "Europe/Berlin", "charge_from": "2026-09-30T22:00:00Z",
        "charge_to": "2026-10-31T23:00:00Z", "rate_card": "acme-eur v3", "currency": "EUR",
        "list_amount_minor": amount_minor, "amount": format_minor(amount_minor, 2), "amount_minor": amount_minor,
        "machine_name": "", **fields,
    }  # fmt: skip


def october(scale: int = 1) -> list[dict[str, Any]]:
    """The bill; `scale` times as many machines."""
    rows = [*_usage("payroll", "administration", "tier-1", "fra-prod-1", "database", 3 * scale)]
    rows += _usage("payroll", "administration", "tier-2", "fra-test-1", "web", 2 * scale)
    rows += _usage("web-shop", "shops", "tier-1", "fra-prod-1", "web", 5 * scale)
    rows += _usage("web-shop", "shops", "tier-3", "ber-kvm-1", "batch", 4 * scale)
    rows += _usage("research", "sales", "tier-2", "fra-test-1", "web", len(HOSTILE), HOSTILE)
    rows += _usage("archive", "administration", "tier-3", "ber-kvm-1", "batch", 2)
    return [*rows, *_others()]


def _usage(
    tenant: str, centre: str, tier: str, pool: str, kind: str, count: int, names: tuple[str, ...] = ()
) -> Iterator[dict[str, Any]]:
    for i in range(count):
        name = names[i] if names else f"{tenant}-{kind}-{i + 1:02d}"
        for j, (metric, rate) in enumerate(_RATES[tier].items()):
            minor = (i + 2) * (4 - j) * 3171 + 411 * j
            yield row(
                f"2026-10/{tenant}/{tier}/{metric}/{name}", minor, statement=f"2026-10/{tenant}", tenant=tenant,
                cost_centre=centre, tier=tier, pool=pool, machine=f"id-{tenant}-{tier}-{i}", machine_name=name,
                labels=f"class={kind},os=linux", metric=metric, quantity=f"{529 + i} {59 - i % 7}/60", hours="745",
                unit=_UNITS[metric], rate_id=f"{metric}-{tier}", rate=rate,
            )  # fmt: skip


def _others() -> Iterator[dict[str, Any]]:
    payroll = {"statement": "2026-10/payroll", "tenant": "payroll", "cost_centre": "administration"}
    yield row(
        "fee", 25000, **payroll, tier="tier-1", charge_category="Purchase", charge_frequency="One-Time",
        quantity="1", unit="setup", rate="250", rate_id="setup-fee", note="set-up of a database",
    )  # fmt: skip
    yield row(
        "credit", -10000, **payroll, charge_category="Credit", charge_frequency="One-Time", list_amount_minor=0,
        rate_id="goodwill", note="goodwill for the outage of 12 October",
    )  # fmt: skip
    yield row(
        "correction 1", -10368, **payroll, tier="tier-1", charge_class="Correction", period="2026-09", metric="vcpu",
        machine="id-payroll-tier-1-0", machine_name="payroll-database-01", quantity="-5 1/3", unit="vcpu-hour",
        rate="0.018", labels="class=database", corrects="2026-09/payroll/x",
        note="5760 vcpu-hour x 0.018 = 103.68 -> nothing: the owner changed on 12 September",
    )  # fmt: skip


def before() -> list[dict[str, Any]]:
    """September: the same, a third of it dearer, and without the archive."""
    return [
        {**one, "amount_minor": minor, "amount": format_minor(minor, 2), "period": "2026-09"}
        for i, one in enumerate(october())
        if one["tenant"] != "archive"
        and (minor := one["amount_minor"] + (one["amount_minor"] // 4 if i % 3 == 0 else 0)) is not None
    ]


def books(scale: int = 1, **changes: Any) -> Books:
    """The books of October."""
    given = {
        "rows": october(scale), "known_at": OCTOBER.t_to, "before": before(), "directory": DIRECTORY,
        "note": "not issued, as known at 2026-11-02 09:00:00 UTC; lines are rounded once each (half-up)",
    }  # fmt: skip
    return Books(OCTOBER, "EUR", 2, **{**given, **changes})
