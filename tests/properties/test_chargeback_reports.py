"""Whatever is grouped, selected or rolled up: nothing is lost and nothing is counted twice."""

from collections import Counter
from fractions import Fraction
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from chargeback import frames
from chargeback.books import DIMENSIONS, Books, Directory, dimension
from chargeback.budgets import Budget
from chargeback.money import format_minor
from chargeback.periods import BillingPeriod
from chargeback.report import Kind
from chargeback.reports import every, make
from chargeback.statement_report import statement_report
from chargeback.statements import COLUMNS

OCTOBER = BillingPeriod.parse("2026-10", "Europe/Berlin")
TENANTS = ["shop", "bank", "lab", ""]
CENTRES = ["sales", "shops", "head", "r-and-d"]
PARENTS = {"shops": "sales", "sales": "head"}
DIRECTORY = Directory(
    tenant_parents={"shop": "bank", "bank": "holding"}, cost_centre_parents=PARENTS,
    showback=frozenset({"lab"}), hypervisors={"p1": "vsphere", "p2": "libvirt"},
    cost_minor={"tier-1": 10**6},
    budgets=(
        Budget(name="b", amount="100.00", currency="EUR", first_month="2026-01"),
    ),
)  # fmt: skip

labels = st.sampled_from(["", "class=web", "class=db,os=linux", "os=windows"])


@st.composite
def rows(draw: Any) -> list[dict[str, Any]]:
    """Rows as bills have them: charges, fees, credits and corrections, of machines and of none."""
    found = []
    for i in range(draw(st.integers(0, 25))):
        minor = draw(st.integers(-(10**12), 10**12))
        text = dict.fromkeys(COLUMNS, "")
        found.append(
            text | {
                "statement": "2026-10/x", "line": f"line {i}", "currency": "EUR",
                "charge_category": draw(st.sampled_from(["Usage", "Purchase", "Credit", "Adjustment"])),
                "charge_class": draw(st.sampled_from(["", "", "Correction"])),
                "charge_frequency": draw(st.sampled_from(["Usage-Based", "Recurring", "One-Time"])),
                "tenant": draw(st.sampled_from(TENANTS)), "cost_centre": draw(st.sampled_from(CENTRES)),
                "period": draw(st.sampled_from(["2026-10", "2026-09"])),
                "charge_from": "2026-09-30T22:00:00Z", "charge_to": "2026-10-31T23:00:00Z",
                "tier": draw(st.sampled_from(["tier-1", "tier-2", ""])),
                "pool": draw(st.sampled_from(["p1", "p2", "gone", ""])),
                "machine": draw(st.sampled_from(["", "m1", "m2", "m3"])), "labels": draw(labels),
                "metric": draw(st.sampled_from(["vcpu", "memory_mib", ""])),
                "quantity": draw(st.sampled_from(["", "1.5", "529 59/60"])),
                "amount": format_minor(minor, 2), "amount_minor": minor,
                "list_amount_minor": draw(st.integers(-(10**12), 10**12)),
                "machine_name": draw(st.sampled_from(["", "web-01"])),
            }
        )  # fmt: skip
    return found


def books(found: list[dict[str, Any]], before: Any = (), by: str = "") -> Books:
    return Books(OCTOBER, "EUR", 2, found, OCTOBER.t_to, before=before, by=by, directory=DIRECTORY)


quick = settings(max_examples=40, deadline=None)


@given(rows(), rows())
@quick
def test_every_report_with_an_amount_adds_up_to_the_bill(found: Any, before: Any) -> None:
    total = sum(row["amount_minor"] for row in found)
    for name in every():
        report = make(name, books(found, before, by="label:os" if name == "label" else ""))
        assert report.total_minor == total, name
        if name == "budgets":
            assert report.main.rows[0][3] == total
            continue
        assert report.main.total("amount") == total, name
        shares = [
            row[i]
            for i, c in enumerate(report.main.columns)
            if c.name == "share"
            for row in report.main.rows
        ]
        if total and name not in {"cost-centre", "tenant-tree"}:
            assert sum((s for s in shares if isinstance(s, Fraction)), Fraction(0)) in {0, 1}
        for row in report.main.rows:
            parts = dict(zip(report.main.names, row, strict=True))
            if "charges" in parts and "adjustments" in parts:
                assert parts["charges"] + parts["adjustments"] + parts["corrections"] == parts["amount"]


@given(rows(), rows(), st.sampled_from([d for d in DIMENSIONS if "KEY" not in d] + ["label:os"]), st.data())
@quick
def test_a_selection_and_all_other_values_of_it_are_the_whole(
    found: Any, before: Any, name: str, data: st.DataObject
) -> None:
    whole = books(found, before)
    key = dimension(name, DIRECTORY)
    values = sorted({key(row) for row in found})
    parts = [whole.where([(name, value)]) for value in values]
    assert sum(part.total_minor for part in parts) == whole.total_minor
    for part, value in zip(parts, values, strict=True):
        other = data.draw(st.sampled_from(["tenant", "tier", "machine", "cost-centre"]))
        report = make(other, part)
        assert report.main.total("amount") == sum(r["amount_minor"] for r in found if key(r) == value)


@given(rows())
@quick
def test_rolled_up_is_the_sum_over_descendants_counted_one_by_one(found: Any) -> None:
    table = make("cost-centre", books(found)).main
    for row in table.rows:
        cells = dict(zip(table.names, row, strict=True))
        own = Counter(str(r["cost_centre"]) for r in found)
        assert cells["cost_centre"] in {*own, "sales", "head"}
        expected = 0
        for one in found:
            at: str | None = one["cost_centre"]
            while at is not None:
                expected += one["amount_minor"] if at == cells["cost_centre"] else 0
                at = PARENTS.get(at)
        assert cells["subtree"] == expected


@given(rows(), rows())
@quick
def test_changes_are_now_less_then_and_add_up_to_the_difference_of_the_bills(
    found: Any, before: Any
) -> None:
    table = make("month-over-month", books(found, before, by="machine")).main
    then, now, change = (table.total(name) for name in ("before", "amount", "change"))
    assert (then, now) == (sum(r["amount_minor"] for r in before), sum(r["amount_minor"] for r in found))
    assert change == now - then
    moves = [abs(row[table.names.index("change")]) for row in table.rows]
    assert moves == sorted(moves, reverse=True)


@given(rows())
@quick
def test_the_lines_and_corrections_of_all_statements_are_the_bill(found: Any) -> None:
    tenants = {str(row["tenant"]) for row in found}
    statements = [statement_report(books(found), tenant) for tenant in tenants]
    lines = sum(table.total("amount") for s in statements for table in s.tables[1:])
    assert sum(s.total_minor for s in statements) == lines == sum(r["amount_minor"] for r in found)
    assert sum(s.export.total("amount_minor") for s in statements) == lines


@given(rows())
@quick
def test_charts_show_every_minor_unit_and_no_more_than_the_bill(found: Any) -> None:
    for name in ("tenant", "tier", "pool", "machine", "hypervisor", "workload-class", "cost-centre"):
        (chart,) = make(name, books(found)).charts
        assert sum(v for _, values in chart.series for v in values) == sum(r["amount_minor"] for r in found)


@given(rows())
@quick
def test_the_order_of_rows_changes_no_report(found: Any) -> None:
    for name in sorted(set(every()) - {"label"}):
        assert make(name, books(found)) == make(name, books(found[::-1])), name


@given(rows())
@quick
def test_frames_hold_every_amount_exactly(found: Any) -> None:
    frame = frames.charges(found)
    total = sum(row["amount_minor"] for row in found)
    assert not any("float" in str(kind) for kind in frame.dtypes)
    if found:
        assert (int(frame["amount_minor"].sum()), int(frame["amount"].sum() * 100)) == (total, total)
        by_tenant = frame.groupby("tenant")["amount"].sum()
        for tenant in {row["tenant"] for row in found}:
            assert int(by_tenant[tenant] * 100) == sum(
                r["amount_minor"] for r in found if r["tenant"] == tenant
            )


@given(rows())
@quick
def test_the_frame_of_a_report_is_the_report(found: Any) -> None:
    report = make("tenant", books(found))
    frame = frames.report(report)
    assert tuple(frame.columns) == report.main.names
    for i, column in enumerate(report.main.columns):
        if column.kind is Kind.MONEY:
            assert [int(v * 100) for v in frame[column.name]] == [row[i] for row in report.main.rows]
