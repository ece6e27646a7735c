"""Reports by hand: trees, budgets, movers, margins, statements, and what they refuse."""

import json
import pkgutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from chargeback import frames, reports
from chargeback.books import Books, Directory
from chargeback.budgets import Budget
from chargeback.instants import instant, zone
from chargeback.money import spelled
from chargeback.report import Chart, Column, InvalidReport, Kind, Table
from chargeback.reports import every, make
from chargeback.statement_report import statement_report
from tierwise.testing.bill_rows import DIRECTORY, OCTOBER, books, october, row

CASES = Path(__file__).parents[3] / ".." / "shared" / "data" / "chargeback-cases.json"


def cells(table: Table, name: str) -> list[Any]:
    return [one[table.names.index(name)] for one in table.rows]


def keyed(table: Table, name: str, key: int = 0) -> dict[Any, Any]:
    return {one[key]: one[table.names.index(name)] for one in table.rows}


def by_hand(key: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for one in october():
        found[one[key] or "(none)"] = found.get(one[key] or "(none)", 0) + one["amount_minor"]
    return found


def test_every_file_of_the_folder_is_a_report_that_says_in_a_sentence_what_it_shows() -> None:
    modules = {info.name.replace("_", "-") for info in pkgutil.iter_modules(reports.__path__)}
    assert set(every()) == modules
    assert {
        "tenant",
        "cost-centre",
        "tier",
        "hypervisor",
        "pool",
        "workload-class",
        "label",
        "machine",
    } <= modules
    for name, made in every().items():
        assert made.summary.startswith("What "), name
        assert make(name, books(by="os" if name == "label" else "")).name == name


@pytest.mark.parametrize(("name", "key"), [("tenant", "tenant"), ("tier", "tier"), ("pool", "pool")])
def test_amounts_by_group_are_those_of_the_rows_the_largest_first(name: str, key: str) -> None:
    table = make(name, books()).main
    assert keyed(table, "amount") == by_hand(key)
    assert cells(table, "amount") == sorted(cells(table, "amount"), reverse=True)
    for share, amount in zip(cells(table, "share"), cells(table, "amount"), strict=True):
        assert share == Fraction(amount, sum(by_hand(key).values()))


def test_charges_adjustments_and_corrections_are_told_apart() -> None:
    payroll = next(one for one in make("tenant", books()).main.rows if one[0] == "payroll")
    named = dict(zip(make("tenant", books()).main.names, payroll, strict=True))
    assert (named["adjustments"], named["corrections"], named["machines"]) == (-10000, -10368, 5)
    assert named["amount"] == named["charges"] - 20368


def test_pools_are_added_up_by_hypervisor_and_what_has_none_stays_in_sight() -> None:
    table = make("hypervisor", books()).main
    pools = by_hand("pool")
    assert keyed(table, "amount") == {
        "vsphere": pools["fra-prod-1"], "hyperv": pools["fra-test-1"], "libvirt": pools["ber-kvm-1"],
        "(none)": pools["(none)"],
    }  # fmt: skip


def test_a_label_must_be_named_and_the_refusal_names_those_that_there_are() -> None:
    with pytest.raises(InvalidReport, match=r"--by os; the bill has class, os"):
        make("label", books())
    table = make("label", books(by="os")).main
    assert set(keyed(table, "amount")) == {"linux", "(none)"}
    assert make("label", books(by="label:os")).main == table


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([("tenant", "payroll")], lambda r: r["tenant"] == "payroll"),
        (
            [("label:os", "linux"), ("tier", "tier-3")],
            lambda r: "os=linux" in r["labels"] and r["tier"] == "tier-3",
        ),
        ([("hypervisor", "vsphere")], lambda r: r["pool"] == "fra-prod-1"),
        ([("category", "Credit")], lambda r: r["charge_category"] == "Credit"),
        ([("class", "")], lambda r: "class=" not in r["labels"]),
    ],
)
def test_a_selection_keeps_the_rows_that_meet_all_conditions(conditions: Any, expected: Any) -> None:
    assert list(books().where(conditions).rows) == [one for one in october() if expected(one)]


def test_an_unknown_dimension_report_and_currency_are_refused_with_what_there_is() -> None:
    with pytest.raises(
        InvalidReport, match=r"cannot be grouped by 'colour'; known are tenant, cost-centre"
    ):
        books().where([("colour", "red")])
    with pytest.raises(InvalidReport, match=r"no report 'profit'; known are budgets, cost-centre"):
        make("profit", books())
    with pytest.raises(InvalidReport, match=r"amounts in USD cannot be added to EUR; ask for one currency"):
        books(rows=[*october(), row("x", 1, currency="USD")])


def test_the_tree_of_the_published_case_rolls_up_as_it_says() -> None:
    if not CASES.is_file():
        pytest.skip("the published cases are not here")
    known = json.loads(CASES.read_text())
    cases = known["cases"] if isinstance(known, dict) else known
    case = next(one for one in cases if one["id"] == "miq-17-tenant-tree")
    parents = {"T2": "T1", "T3": "T1", "T4": "T3", "T5": "T3"}
    for metric, kind in (("vcpu", "alloc"), ("mhz", "used")):
        rows = [
            row(f"{tenant}/{metric}", int(own[kind].replace(".", "")), tenant=tenant, metric=metric)
            for tenant, own in case["expect"]["own"].items()
        ]
        table = make(
            "tenant-tree", Books(OCTOBER, "EUR", 2, rows, 0, directory=Directory(tenant_parents=parents))
        ).main
        below = keyed(table, "subtree")
        for tenant, rolled in case["expect"]["rolled_up"].items():
            assert below[tenant] == int(rolled[kind].replace(".", "")), (tenant, kind)
        assert cells(table, "tenant")[0] == "T1"
        assert table.total("amount") == below["T1"]
        assert dict(zip(cells(table, "tenant"), table.levels, strict=True)) == {
            "T1": 0,
            "T2": 1,
            "T3": 1,
            "T4": 2,
            "T5": 2,
        }


def test_a_circle_of_parents_is_named_and_does_not_hang() -> None:
    known = Directory(tenant_parents={"payroll": "web-shop", "web-shop": "payroll"})
    with pytest.raises(InvalidReport, match=r"payroll -> web-shop -> payroll is a circle"):
        make("tenant-tree", books(directory=known))


def test_what_is_only_shown_is_not_invoiced_and_nothing_is_both() -> None:
    table = make("showback", books()).main
    assert keyed(table, "shown")["research"] == by_hand("tenant")["research"]
    assert keyed(table, "invoiced")["research"] == 0
    assert table.total("invoiced") + table.total("shown") == sum(by_hand("tenant").values())


def test_the_largest_movers_come_first_and_from_nothing_there_is_no_percentage() -> None:
    before = [row("1", 1000, tenant="a"), row("2", 500, tenant="b"), row("3", 300, tenant="c")]
    now = [row("1", 1250, tenant="a"), row("2", 500, tenant="b"), row("4", 9000, tenant="d")]
    table = make("month-over-month", books(rows=now, before=before)).main
    assert cells(table, "tenant") == ["d", "c", "a", "b"]
    assert cells(table, "change") == [9000, -300, 250, 0]
    assert cells(table, "change_share") == [None, -1, Fraction(1, 4), 0]
    assert table.totals[1:4] == (1800, 10750, 8950)


def test_margin_is_recovered_less_cost_and_needs_to_be_told_the_cost() -> None:
    table = make("margin", books()).main
    tiers = by_hand("tier")
    assert keyed(table, "margin") == {
        "tier-1": tiers["tier-1"] - 1_500_000, "tier-2": tiers["tier-2"] - 2_600_000,
        "tier-3": tiers["tier-3"] - 900_000, "(none)": tiers["(none)"],
    }  # fmt: skip
    assert keyed(table, "recovered_share")["tier-1"] == Fraction(tiers["tier-1"], 1_500_000)
    assert "no cost is known of (none)" in make("margin", books()).notes[0]
    with pytest.raises(InvalidReport, match="--cost tier-1="):
        make("margin", books(directory=Directory()))


def budget(**fields: Any) -> Budget:
    given = {"name": "b", "amount": "100.00", "currency": "EUR", "first_month": "2026-01"}
    return Budget.model_validate(given | fields)


def budgeted(rows: Any, *known: Budget, known_at: int = OCTOBER.t_to) -> Any:
    directory = replace(DIRECTORY, budgets=known)
    return make("budgets", Books(OCTOBER, "EUR", 2, rows, known_at, directory=directory))


@pytest.mark.parametrize(
    ("spent", "state"),
    [
        (7999, "ok"),
        (8000, "80 % passed"),
        (9999, "80 % passed"),
        (10000, "100 % passed"),
        (25000, "100 % passed"),
    ],
)
def test_a_threshold_is_passed_when_it_is_reached_and_not_a_cent_before(spent: int, state: str) -> None:
    table = budgeted([row("1", spent)], budget()).main
    assert (cells(table, "state"), cells(table, "left")) == ([state], [10000 - spent])
    assert cells(table, "used") == [Fraction(spent, 10000)]


def test_the_forecast_is_to_date_plus_the_average_rate_for_the_rest_worked_by_hand() -> None:
    # October 2026 in Berlin has 745 h; 149 h of it are a fifth. 30.01 of usage, 5.00 of fees so far:
    # 30.01 x 596/149 = 120.04 are to come, 35.01 + 120.04 = 155.05.
    rows = [row("use", 3001), row("fee", 500, charge_category="Purchase", charge_frequency="One-Time")]
    table = budgeted(rows, budget(amount="200.00"), known_at=OCTOBER.t_from + 149 * 3600).main
    assert (cells(table, "actual"), cells(table, "forecast"), cells(table, "left")) == (
        [3501],
        [15505],
        [16499],
    )
    assert cells(table, "state") == ["ok"]
    tight = budgeted(rows, budget(amount="150.00"), known_at=OCTOBER.t_from + 149 * 3600)
    assert cells(tight.main, "state") == ["100 % forecast"]
    assert "forecast: a projection" in tight.notes[0]


def test_corrections_are_not_repeated_by_a_forecast_and_halves_go_up() -> None:
    rows = [row("use", 1), row("late", -700, charge_class="Correction")]
    half = OCTOBER.t_from + 2 * (745 * 3600) // 3  # half as much again is to come: 0.5 cents, so 1.
    table = budgeted(rows, budget(), known_at=half).main
    assert (cells(table, "actual"), cells(table, "forecast")) == ([-699], [-698])


@pytest.mark.parametrize("known_at", [OCTOBER.t_to, OCTOBER.t_to + 10**6])
def test_when_the_month_is_over_the_forecast_is_what_it_cost(known_at: int) -> None:
    found = budgeted([row("1", 4321)], budget(), known_at=known_at)
    assert cells(found.main, "forecast") == [4321]
    assert "the month is over" in found.notes[0]


def test_before_the_month_has_begun_nothing_is_projected() -> None:
    assert cells(budgeted([row("1", 5)], budget(), known_at=0).main, "forecast") == [5]


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ({}, {"a", "b", "c"}),
        ({"tenant": "payroll"}, {"a", "c"}),  # the archive is part of payroll
        ({"cost_centre": "sales"}, {"b"}),  # the shops are part of sales
        ({"tier": "tier-1"}, {"a", "b"}),
        ({"labels": {"os": "linux", "class": "db"}}, {"a"}),
        ({"tenant": "payroll", "tier": "tier-1"}, {"a"}),
        ({"pool": "p"}, {"c"}),
    ],
)
def test_a_budget_counts_the_rows_that_have_all_it_names_and_those_below(scope: Any, expected: Any) -> None:
    rows = [
        row(
            "a",
            1,
            tenant="payroll",
            cost_centre="administration",
            tier="tier-1",
            labels="class=db,os=linux",
        ),
        row("b", 10, tenant="web-shop", cost_centre="shops", tier="tier-1", labels="os=linux"),
        row("c", 100, tenant="archive", cost_centre="administration", tier="tier-3", pool="p"),
    ]
    spent = sum(one["amount_minor"] for one in rows if one["line"] in expected)
    assert cells(budgeted(rows, budget(**scope)).main, "actual") == [spent]


def test_budgets_of_other_months_and_currencies_do_not_count() -> None:
    others = [budget(first_month="2026-11"), budget(last_month="2026-09"), budget(currency="USD")]
    with pytest.raises(
        InvalidReport, match="there is no budget in EUR for 2026-10; write one under 'budgets:'"
    ):
        budgeted([row("1", 5)], *others)
    assert (
        len(budgeted([row("1", 5)], *others, budget(first_month="2026-10", last_month="2026-10")).main.rows)
        == 1
    )


def test_a_statement_has_lines_by_tier_corrections_apart_and_the_same_total() -> None:
    report = statement_report(books(), "payroll")
    summary, lines, corrections = report.tables
    assert report.total_minor == by_hand("tenant")["payroll"] == summary.total("amount")
    assert lines.total("amount") + corrections.total("amount") == report.total_minor
    assert cells(summary, "tier") == ["tier-1", "tier-2", "without tier"]
    assert cells(lines, "item")[:5] == ["set-up of a database", "vCPU", "Memory", "Disk", "Machine"]
    assert corrections.rows[0][0] == "2026-09"
    assert dict(report.facts)["Tenant"] == "Payroll (payroll)"
    assert dict(report.facts)["Period"] == "1 to 31 October 2026 (Europe/Berlin)"
    assert dict(report.facts)["Reductions"] == "EUR -100.00"
    assert report.status == "not issued"
    assert statement_report(books(final=True), "payroll").status == ""


def test_a_tenant_without_a_statement_is_refused_with_those_that_have_one() -> None:
    with pytest.raises(
        InvalidReport, match="finance has no statement of 2026-10; archive, payroll, research"
    ):
        statement_report(books(), "finance")


def test_a_statement_that_is_only_shown_says_so() -> None:
    facts = dict(statement_report(books(), "research").facts)
    assert facts["Billing"] == "showback: shown for information, not invoiced"


def test_a_chart_of_many_bars_keeps_the_largest_and_adds_up_the_others() -> None:
    rows = [row(str(i), 1000 - i, tenant=f"t{i:02}") for i in range(30)]
    (chart,) = make("tenant", books(rows=rows)).charts
    assert len(chart.labels) == 12
    assert chart.labels[-1] == "19 others"
    assert sum(chart.series[0][1]) == sum(1000 - i for i in range(30))


def test_a_table_refuses_cells_that_do_not_fit_and_a_chart_series_that_are_too_short() -> None:
    columns = (Column("a", "A"), Column("b", "B", Kind.MONEY, adds=True))
    with pytest.raises(ValueError, match="column b holds money, not '12'"):
        Table("t", columns, (("x", "12"),))
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        Table("t", columns, (("x",),))
    with pytest.raises(ValueError, match="1 levels for 2 rows"):
        Table("t", columns, (("x", 1), ("y", 2)), levels=(0,))
    with pytest.raises(ValueError, match="series s has 1 values for 2 labels"):
        Chart("c", ("a", "b"), (("s", (1,)),))
    assert Table("t", columns, (("x", 1), ("y", None))).totals == (None, 1)


@pytest.mark.parametrize(
    ("minor", "digits", "text"),
    [
        (0, 2, "0.00"),
        (-5, 2, "-0.05"),
        (123456789, 2, "1,234,567.89"),
        (-1234, 0, "-1,234"),
        (1, 4, "0.0001"),
    ],
)
def test_money_is_spelled_with_all_its_decimals(minor: int, digits: int, text: str) -> None:
    assert spelled(minor, digits) == text
    assert spelled(minor, digits, "JPY") == f"JPY {text}"


def test_the_frame_of_a_bill_has_exact_figures_times_and_a_column_for_each_label() -> None:
    frame = frames.charges(october())
    assert int(frame["amount_minor"].sum()) == sum(one["amount_minor"] for one in october())
    assert str(frame["amount"].sum()) == str(spelled(sum(by_hand("tenant").values()), 2)).replace(",", "")
    assert {"label:class", "label:os"} <= set(frame.columns)
    assert Fraction(529 * 60 + 59, 60) in set(frame["quantity"])
    assert Fraction(-16, 3) in set(frame["quantity"])
    assert str(frame["charge_from"].iloc[0]) == "2026-09-30 22:00:00+00:00"
    assert not [name for name, kind in frame.dtypes.items() if "float" in str(kind)]


def test_the_frame_of_budgets_and_of_usage_is_exact_too() -> None:
    from chargeback.usage import Metric, Power, UsageInterval, to_table

    table = frames.budgets([budget(amount="1234.5"), budget(name="c", amount="7")], {"EUR": 2})
    assert [str(value) for value in table["amount"]] == ["1234.50", "7.00"]
    at = instant("2026-10-01", zone("UTC"))
    one = UsageInterval(
        machine="m", tenant="t", cost_centre="c", tier="tier-1", pool="p", metric=Metric.VCPU, quantity=10**9,
        power=Power.ON, t_from=at, t_to=at + 2_678_400, recorded_at=at, source="test", sequence=0,
    )  # fmt: skip
    usage = frames.usage(to_table([one] * 4000))
    assert sum(usage["quantity_seconds"]) == 4000 * 2_678_400 * 10**9 > 2**63
    assert int(usage["seconds"].sum()) == 4000 * 2_678_400
    assert str(usage["t_from"].iloc[0]) == "2026-10-01 00:00:00+00:00"


def test_amounts_with_unlike_decimals_in_one_currency_make_no_frame() -> None:
    rows = [row("1", 5), {**row("2", 5), "amount": "0.005"}]
    with pytest.raises(
        ValueError, match=r"amounts in EUR have \[2, 3\] decimals; take the rows of one bill"
    ):
        frames.charges(rows)
