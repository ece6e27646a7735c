"""What hosts, machines, pools and moves cost, against sums that are worked out in the tests by hand."""

from datetime import date
from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chargeback.economics.costing import (
    HostFacts,
    Line,
    MissingFigure,
    PoolFacts,
    host_costs,
    move_cost,
    open_costs,
    unit_costs,
)
from chargeback.economics.document import Economics, load_economics
from chargeback.economics.trace import later

ROOT = Path(__file__).parents[4]
EXAMPLES = ("examples/acme/economics.yaml", "examples/economics/defaults.yaml")

WORKED = """
format: tierwise-economics/1
currency: EUR
host_types:
  old:
    match: {hypervisor: [vsphere], model: "r7*"}
    purchase_price: 12000
    depreciation_months: 48
    bought_on: 2024-06-01
    maintenance_percent_per_year: 10
    watts_idle: 200
    watts_full: 500
    load_percent: 50
    labour_hours_per_month: 1.5
  other:
    purchase_price: {value: 9000, changes: [{value: 9900, from: 2027-01-01}]}
    purchase_per_core: 25
    depreciation_months: 60
    maintenance_per_year: 500
    watts_per_core: 10
sites:
  "fra*": {region: DE, pue: 1.5, price_per_kwh: {value: 0.2, changes: [{value: 0.3, from: 2027-03-01}]}, space_per_host_per_month: 30}
labour: {cost_per_hour: 60, hours_per_month: 140, hosts_per_admin: 70, machines_per_admin: 200}
storage:
  san: {match: {tier: tier-1}, purchase_per_tib: 1024, depreciation_months: 40, maintenance_percent_per_year: 12, watts_per_tib: 8}
  rest: {per_gib_per_month: 0.05}
network: {per_host_per_month: 20, per_machine_per_month: 1, purchase_percent_of_host: 10, depreciation_months: 60}
facilities: {per_kw_per_month: 100, per_machine_per_month: 0.5}
other:
  backup: {term: storage, per: machine, per_year: 120}
  agent: {term: labour, per: host, per_month: 3}
opening:
  manager: {match: {hypervisor: [vsphere]}, term: labour, per_month: 400, per_year: 1200}
  array: {match: {name: "*-1"}, term: storage, purchase_price: 60000, depreciation_months: 60, bought_on: 2023-01-01}
  new-array: {match: {name: "*-2"}, term: storage, purchase_price: 60000, depreciation_months: 60, maintenance_percent_per_year: 5}
migration:
  out: {from: [vsphere], to: [xen, libvirt], per_machine: 50, hours_per_machine: 2, per_tib: 15, dual_running_months: 0.5, dual_running_per_machine_per_month: 40}
"""
OLD = HostFacts("vsphere", "prod-1", "fra-1", "R740", 2, 32, 262144)
NEW = HostFacts("xen", "prod-2", "fra-1", "any", 2, 40, 262144)
VSPHERE = PoolFacts("prod-1", "vsphere", "fra-1", "tier-1")
XEN = PoolFacts("prod-2", "xen", "fra-1", "tier-2")
START = date(2026, 12, 1)
EUR = 10**6


@cache
def worked() -> Economics:
    return load_economics(WORKED, "economics.yaml")


def test_a_host_that_stands_costs_what_it_draws_takes_and_needs() -> None:
    found = host_costs(worked(), OLD, START, 12)
    # 200 + 300 * 0.5 = 350 W; 0.35 kW * 730 h * 1.5 = 383.25 kWh a month, three at 0.20 and nine at 0.30
    kwh = Fraction(38325, 100)
    assert dict(found.kept) == {
        "maintenance": 1200 * EUR,  # 10 % of what was paid
        "power": 3 * kwh * EUR / 5 + 9 * kwh * EUR * 3 / 10,
        "labour": (Fraction(3, 2) * 60 * 12 + 3 * 12) * EUR,  # its own hours, and the agent
        "network": 20 * 12 * EUR,
        "facilities": Fraction(1, 2) * 100 * 12 * EUR,  # 500 W are kept for it
        "space": 360 * EUR,
    }
    # bought in June 2024: months 31 to 42 of 48 are in the year, and of the network 31 to 42 of 60
    assert dict(found.sunk) == {"hardware": 12000 * 12 // 48 * EUR, "network": 1200 * 12 // 60 * EUR}
    assert dict(found.bought) == {"hardware": 3000 * EUR, "network": 240 * EUR}


def test_what_is_bought_costs_the_price_of_the_day_and_no_more_than_that() -> None:
    year = host_costs(worked(), NEW, START, 12).bought["hardware"]
    assert year == (9000 + 40 * 25) * EUR * 12 // 60
    assert (
        host_costs(worked(), NEW, date(2027, 1, 1), 12).bought["hardware"] == (9900 + 1000) * EUR * 12 // 60
    )
    assert host_costs(worked(), NEW, START, 120).bought["hardware"] == 10_000 * EUR
    assert host_costs(worked(), NEW, START, 12).sunk == {}


def test_a_new_host_of_a_kind_that_stands_is_maintained_by_the_price_at_which_it_is_bought() -> None:
    text = WORKED.replace(
        "purchase_price: 12000",
        "purchase_price: {value: 12000, changes: [{value: 18000, from: 2026-11-01}, {value: 24000, from: 2027-03-01}]}",
    )
    known = load_economics(text, "economics.yaml")
    stands, new = (host_costs(known, OLD, START, 12, bought_on=day) for day in (None, START))
    # 10 % a year of what was paid in June 2024, and of what is paid in December 2026, whatever prices are later.
    assert (stands.kept["maintenance"], new.kept["maintenance"]) == (1200 * EUR, 1800 * EUR)
    assert stands.bought == new.bought == {"hardware": 4500 * EUR, "network": 360 * EUR}


def test_a_host_that_is_written_off_has_nothing_sunk() -> None:
    assert host_costs(worked(), OLD, date(2028, 6, 1), 12).sunk == {"network": 240 * EUR}
    assert host_costs(worked(), OLD, date(2028, 3, 1), 12).sunk["hardware"] == 750 * EUR  # three of 48


def test_a_machine_and_its_disk_cost_by_the_pool() -> None:
    found = unit_costs(worked(), VSPHERE, START, 12)
    assert dict(found.per_machine) == {
        "labour": 60 * 140 * 12 * EUR // 200,
        "network": 12 * EUR,
        "facilities": 6 * EUR,
        "storage": 120 * EUR,
    }
    # 1 EUR a GiB over 40 months, and 12 % of it a year; 8 W a TiB
    power = (
        Fraction(8, 1024 * 1000) * 730 * Fraction(3, 2) * (3 * Fraction(1, 5) + 9 * Fraction(3, 10)) * EUR
    )
    assert found.per_unit == {
        "storage": {"disk_gib": Fraction(12 * EUR, 40) + Fraction(12, 100) * EUR},
        "power": {"disk_gib": power},
    }
    assert unit_costs(worked(), XEN, START, 12).per_unit == {"storage": {"disk_gib": Fraction(6, 10) * EUR}}


def test_a_pool_costs_its_manager_and_its_array() -> None:
    found = open_costs(worked(), VSPHERE, START, 12)
    assert (dict(found.avoidable), dict(found.sunk)) == ({"labour": 6000 * EUR}, {"storage": 12_000 * EUR})
    found = open_costs(worked(), XEN, START, 12)  # a new array, and 5 % of it
    assert (dict(found.avoidable), dict(found.sunk)) == ({"storage": 15_000 * EUR}, {})


def test_a_move_costs_its_hours_its_disks_and_what_runs_twice() -> None:
    found = move_cost(worked(), VSPHERE, XEN)
    assert (found.per_machine_micros, found.per_tib_micros) == ((50 + 120 + 20) * EUR, 15 * EUR)
    assert move_cost(worked(), VSPHERE, VSPHERE).lines == ()


def test_a_move_that_no_entry_fits_costs_nothing_and_says_so() -> None:
    found = move_cost(worked(), XEN, VSPHERE)
    assert (found.per_machine_micros, found.per_tib_micros) == (0, 0)
    assert [line.what for line in found.lines] == [
        "no entry of migration fits xen to vsphere: counted as nothing"
    ]


def test_what_the_document_does_not_say_is_named() -> None:
    text = WORKED.replace(
        "  other:\n    purchase_price", "  other:\n    match: {hypervisor: [xen]}\n    purchase_price"
    )
    with pytest.raises(
        MissingFigure, match="none fits the hypervisor 'hyperv', pool 'p', site '' and model 'm'; add one"
    ):
        host_costs(load_economics(text, "e"), HostFacts("hyperv", "p", "", "m"), START, 12)
    text = WORKED.replace("pue: 1.5", "pue: {value: 1.5, from: 2027-01-01}")
    with pytest.raises(
        MissingFigure, match=r"sites\.fra\*\.pue: says nothing on 2026-12-01 in region DE; add"
    ):
        host_costs(load_economics(text, "e"), OLD, START, 12)
    with pytest.raises(ValueError, match="months must be from 1 to 1200: 0"):
        host_costs(worked(), OLD, START, 0)


def all_lines(economics: Economics, start: date, months: int) -> list[Line]:
    found = [line for host in (OLD, NEW) for line in host_costs(economics, host, start, months).lines]
    for pool in (VSPHERE, XEN):
        found += [
            *unit_costs(economics, pool, start, months).lines,
            *open_costs(economics, pool, start, months).lines,
        ]
    return found


@pytest.mark.parametrize("name", ["worked", *EXAMPLES])
def test_every_line_recomputes_from_figures_that_stand_in_the_document(name: str) -> None:
    text = WORKED if name == "worked" else (ROOT / name).read_text()
    economics = load_economics(text, "economics.yaml")
    known = dict(economics.figures())
    for line in all_lines(economics, START, 18):
        amount = Fraction(1)
        for factor in line.factors:
            amount = amount / factor.value if factor.divides else amount * factor.value
            if not factor.path:
                continue
            path, _, change = factor.path.partition(".changes.")
            statement = known[path].changes[int(change)] if change else known[path]
            assert (factor.source, factor.evidence) == (statement.source or "", statement.evidence)
            assert factor.value == statement.value or factor.what.startswith("watts at")
        micros = int(amount * 10**6 + Fraction(1, 2))
        assert line.micros == micros * line.end // line.over - micros * line.begin // line.over
        assert abs(line.micros - line.exact_micros) <= line.months


MONTHS = st.integers(1, 40)


@settings(max_examples=50, deadline=None)
@given(first=MONTHS, second=MONTHS, start=st.dates(date(2023, 1, 1), date(2030, 1, 31)))
def test_a_time_that_is_cut_in_two_costs_the_same(first: int, second: int, start: date) -> None:
    economics, between = worked(), later(start.replace(day=1), first)
    start = start.replace(day=1)
    for host in (OLD, NEW):
        whole = host_costs(economics, host, start, first + second)
        parts = [host_costs(economics, host, start, first), host_costs(economics, host, between, second)]
        for name in ("kept", "sunk"):
            for term in {term for part in (whole, *parts) for term in getattr(part, name)}:
                assert getattr(whole, name).get(term, 0) == sum(
                    getattr(x, name).get(term, 0) for x in parts
                ), term
    one = unit_costs(economics, VSPHERE, start, first + second)
    two = [unit_costs(economics, VSPHERE, start, first), unit_costs(economics, VSPHERE, between, second)]
    assert one.per_unit["power"]["disk_gib"] == sum(x.per_unit["power"]["disk_gib"] for x in two)
    assert one.per_machine["labour"] == sum(x.per_machine["labour"] for x in two)


@settings(deadline=None)
@given(months=MONTHS)
def test_a_purchase_is_written_off_to_the_last_micro(months: int) -> None:
    economics = load_economics(WORKED.replace("purchase_price: 12000", "purchase_price: 11999.99"), "e")
    ends = [later(date(2024, 6, 1), n) for n in range(0, 48, months)]
    sunk = [host_costs(economics, OLD, start, months).sunk.get("hardware", 0) for start in ends]
    assert sum(sunk) == 11_999_990_000


@pytest.mark.parametrize(
    ("day", "months", "then"),
    [
        (date(2026, 1, 31), 1, date(2026, 2, 28)),
        (date(2024, 1, 31), 1, date(2024, 2, 29)),
        (date(2026, 12, 15), 1, date(2027, 1, 15)),
        (date(2026, 11, 30), 25, date(2028, 12, 30)),
    ],
)
def test_a_month_later_is_the_same_day_or_the_months_last(day: date, months: int, then: date) -> None:
    assert later(day, months) == then


def test_what_has_no_price_is_counted_as_nothing_by_a_line_that_says_so() -> None:
    found = host_costs(worked(), HostFacts("vsphere", "p", "ams", "R740", 2, 32, 0), START, 12)
    assert "no price_per_kwh of the site 'ams': counted as nothing" in [line.what for line in found.lines]
    assert found.kept["power"] == 0
    text = WORKED.replace("  rest: {per_gib_per_month: 0.05}\n", "")
    disk = unit_costs(load_economics(text, "e"), XEN, START, 12)
    assert [line.what for line in disk.lines if line.term == "storage"][-1:] == [
        "no entry of storage fits pool 'prod-2': counted as nothing"
    ]


@pytest.mark.parametrize("name", ["worked", *EXAMPLES])
def test_a_document_that_was_dumped_is_read_back_as_it_was(name: str) -> None:
    economics = load_economics(WORKED if name == "worked" else (ROOT / name).read_text(), "e")
    for mode in ("json", "python"):
        assert Economics.model_validate(economics.model_dump(mode=mode, by_alias=True)) == economics
