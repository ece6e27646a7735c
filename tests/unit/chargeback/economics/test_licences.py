"""Licences: published cases written as documents and counted by placement, and renewals counted month by month."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from chargeback.economics.cash import subscriptions
from chargeback.economics.costing import (
    AddOnTerms,
    AlternativeTerms,
    LicenceTerms,
    MissingFigure,
    counted_once,
    products,
    products_of_regions,
)
from chargeback.economics.document import load_economics
from chargeback.economics.licences import Way
from chargeback.economics.trace import later
from placement.licensing.products import Alternative, ExactAddOn, ExactAlternative
from tierwise.testing.licensed import estate, paid_on_first

CASES = Path(__file__).parents[4] / ".." / "shared" / "data" / "licence-cases.json"
METRICS = {
    "core": "per_core",
    "vcore": "per_vcpu",
    "socket": "per_socket",
    "coverage_unit": "per_coverage_unit",
}
START = date(2026, 12, 1)
EUR = 10**6


def document(*licences: Mapping[str, Any]) -> str:
    known = {f"product-{n}": licence for n, licence in enumerate(licences)}
    return yaml.safe_dump({"format": "tierwise-economics/1", "currency": "EUR", "licences": known})


def terms(
    licence: Mapping[str, Any], start: date = START, months: int = 12, region: str | None = None
) -> tuple[LicenceTerms, ...]:
    return products(load_economics(document(licence), "licences.yaml"), start, months, region)


def micro(period: str = "month") -> dict[str, Any]:
    """A price of a millionth of the currency, so that cost is a count."""
    return {"amount": "0.000001", "per": "pack", "period": period}


def cases() -> Iterator[Any]:
    if not CASES.exists():
        why = "the published licence cases are not here: ../shared/data/licence-cases.json"
        yield pytest.param({}, id="missing", marks=pytest.mark.skip(reason=why))
        return
    for case in json.loads(CASES.read_text(encoding="utf-8"))["cases"]:
        yield pytest.param(case, id=case["id"])


def written(metric: Mapping[str, Any], facts: Mapping[str, Any], pack: int) -> dict[str, Any]:
    """A published metric as a licence of a document."""
    way: dict[str, Any] = {
        "name": "it",
        "metric": METRICS[metric["unit"]],
        "pack_size": pack,
        "prices": [micro()],
    }
    for floor in metric.get("floors", ()):
        way[{"vm": "per_machine_minimum"}.get(floor["per"], f"per_{floor['per']}_minimum")] = floor["min"]
    if "factor" in metric:
        way["core_factor_thousandths"] = {
            str(h["factor"]): round(h["factor"] * 1000) for h in facts["hosts"]
        }
    if "covers" in metric:
        way["unit_covers"] = metric["covers"]
    if metric.get("stack", {}).get("guests_per_cover"):
        way["covers"] = metric["stack"]["guests_per_cover"]
    if "grant" in metric:
        granted = {"granted": metric["grant"]["per_unit"], "prices": [{**micro(), "amount": "0.001"}]}
        way["add_on"] = {"name": "more", "amount": "vsan_raw_milli_tib", "unit_amount": 1000, **granted}
    layer = "hypervisor" if metric["scope"] == "hosts_in_pool" else "guest"
    return {"layer": layer, "accepts": list(metric.get("accepts", ())), "alternatives": [way]}


def counted(found: LicenceTerms, facts: Mapping[str, Any]) -> int:
    """What placement pays by the terms for the case's hosts and machines."""
    names = [host["name"] for host in facts["hosts"]]
    hosts = []
    for host in facts["hosts"]:
        amounts = (
            {"vsan_raw_milli_tib": round(host["vsan_raw_tib"] * 1000)} if "vsan_raw_tib" in host else {}
        )
        shape = {key: host[key] for key in ("sockets", "cores_per_socket")}
        hosts.append({**shape, "family": str(host.get("factor", "")), "amounts": amounts})
    vcpu = [vm["vcpu"] for vm in facts["vms"]] if "vms" in facts else [1] * facts.get("guests", 1)
    limit = facts.get("limit")
    limits = (
        [{"limiter": limit["kind"], "hosts": [f"h{names.index(one)}" for one in limit["hosts"]]}]
        if limit
        else []
    )
    (way,) = found.alternatives
    alternative = ExactAlternative.model_validate(asdict(way))
    return paid_on_first(estate(hosts, vcpu, alternative, limits=limits, accepts=found.accepts))


@pytest.mark.parametrize("case", list(cases()))
def test_published_cases_can_be_written_and_come_to_their_counts(case: Mapping[str, Any]) -> None:
    facts, expect = case["input"], case["expect"]
    metrics = case["metric"] if isinstance(case["metric"], list) else [case["metric"]]
    wanted = expect["licences"] if isinstance(expect["licences"], list) else [expect["licences"]]
    for metric, licences in zip(metrics, wanted, strict=True):
        for pack, packs in (
            (1, licences),
            (metric["pack"], expect.get("packs", -(-licences // metric["pack"]))),
        ):
            (found,) = terms(written(metric, facts, pack), months=1)
            assert counted(found, facts) == packs + 1000 * expect.get("addon", 0)
            assert found.accepts_parts == ("must_rule" in metric.get("accepts", ()))


def test_terms_have_exactly_the_fields_of_what_they_become() -> None:
    assert {one.name for one in fields(AlternativeTerms)} == set(ExactAlternative.model_fields)
    assert {one.name for one in fields(AddOnTerms)} == set(ExactAddOn.model_fields)
    mine, theirs = (
        AlternativeTerms("it", "per_core", 7),
        ExactAlternative(name="it", metric="per_core", pack_cost_micros=7),
    )
    assert ExactAlternative.model_validate(asdict(mine)) == theirs


SHAPES: dict[str, Any] = {
    "per_socket_minimum": 16, "per_host_minimum": 8, "core_factor_thousandths": {"x": 500}, "per_machine_minimum": 4,
    "unit_covers": {"sockets": 2}, "amount": "raw_gib", "unit_amount": 1024, "principals": 40, "covers": 2, "pack_size": 2,
    "pack_scope": "order", "order_minimum": 72, "valid_from": "2026-01-01", "valid_until": "2027-06-01",
}  # fmt: skip


@settings(deadline=None)
@given(
    metric=st.sampled_from(["per_core", "per_host", "per_socket", "per_coverage_unit", "per_amount", "per_vcpu", "per_machine", "per_principal"]),
    names=st.sets(st.sampled_from(sorted(SHAPES)), max_size=4),
)  # fmt: skip
def test_what_the_document_takes_placement_takes_too_and_the_other_way_round(
    metric: str, names: set[str]
) -> None:
    shape = {"name": "it", "metric": metric, **{name: SHAPES[name] for name in names}}

    def taken(model: Any, more: dict[str, Any]) -> bool:
        try:
            model.model_validate({**shape, **more})
        except ValidationError:
            return False
        return True

    assert taken(Way, {"prices": [micro()]}) == taken(Alternative, {"pack_cost_micros": 1})


def suite(until: str = "2027-03-01", **owned: Any) -> dict[str, Any]:
    """120 EUR a core and year, 180 from the renewal on; 40 packs of 2 owned."""
    price = {"value": 120, "changes": [{"value": 180, "from": "2027-03-01"}]}
    way = {
        "name": "subscription", "metric": "per_core", "pack_size": 2,
        "prices": [{"amount": price, "period": "year"}],
        "owned": [{"packs": 40, "until": until, **owned}],
    }  # fmt: skip
    return {"layer": "hypervisor", "whole_pool": True, "alternatives": [way]}


@pytest.mark.parametrize("cores", [60, 80, 81, 200])
@pytest.mark.parametrize(
    ("start", "months"), [(START, 12), (START, 2), (date(2026, 11, 15), 7), (date(2027, 3, 1), 5)]
)
def test_pieces_cost_what_counting_month_by_month_comes_to(cores: int, start: date, months: int) -> None:
    packs = -(-cores // 2)
    avoidable = sunk = 0
    for n in range(months):
        day = later(start, n)
        owned = 40 if day < date(2027, 3, 1) else 0
        price = 2 * (120 if day < date(2027, 3, 1) else 180) * EUR // 12
        avoidable += max(0, packs - owned) * price
        sunk += owned * price
    pieces = terms(suite(), start, months)
    paid = 0
    for piece in pieces:
        (way,) = piece.alternatives
        alternative = ExactAlternative.model_validate(asdict(way))
        paid += paid_on_first(estate([(1, cores)], [1], alternative))
    assert (paid, sum(piece.sunk_micros for piece in pieces)) == (avoidable, sunk)
    assert [line for piece in pieces for line in piece.lines if not line.factors] == []


def test_a_horizon_is_cut_at_each_renewal_and_named_by_it() -> None:
    pieces = terms(suite())
    assert [(p.name, p.start, p.first_month, p.months) for p in pieces] == [
        ("product-0 from 2026-12-01", date(2026, 12, 1), 0, 3),
        ("product-0 from 2027-03-01", date(2027, 3, 1), 3, 9),
    ]
    assert [p.alternatives[0].owned_packs for p in pieces] == [40, 0]
    assert [p.name for p in terms(suite(), months=3)] == ["product-0"]


def test_a_renewal_within_a_month_counts_from_the_next() -> None:
    assert [p.months for p in terms(suite("2027-02-10"))] == [3, 9]
    assert [p.months for p in terms(suite("2027-02-01"))] == [2, 10]


@settings(max_examples=40, deadline=None)
@given(day=st.dates(date(2026, 6, 1), date(2029, 1, 1)), more=st.integers(1, 500))
def test_a_later_renewal_never_lowers_sunk_cost(day: date, more: int) -> None:
    later_day = date.fromordinal(day.toordinal() + more)
    sunk = [sum(p.sunk_micros for p in terms(suite(f"{one}"))) for one in (day, later_day)]
    assert sunk[0] <= sunk[1]


@settings(max_examples=40, deadline=None)
@given(
    first=st.integers(1, 24), second=st.integers(1, 24), until=st.dates(date(2026, 6, 1), date(2029, 1, 1))
)
def test_a_time_that_is_cut_in_two_costs_the_same(first: int, second: int, until: date) -> None:
    def both(start: date, months: int) -> tuple[int, int]:
        pieces = terms(suite(f"{until}"), start, months)
        cost = sum(max(0, 50 - a.owned_packs) * a.pack_cost_micros for p in pieces for a in p.alternatives)
        return cost, sum(p.sunk_micros for p in pieces)

    whole, parts = both(START, first + second), (both(START, first), both(later(START, first), second))
    assert whole == (parts[0][0] + parts[1][0], parts[0][1] + parts[1][1])


def test_what_was_paid_is_sunk_rather_than_todays_price() -> None:
    pieces = terms(suite(paid_per_pack_per_year=100))
    assert [p.sunk_micros for p in pieces] == [40 * 100 * EUR * 3 // 12, 0]


def test_a_late_renewal_costs_its_fee_once_and_with_the_new_price() -> None:
    late = {"renewed_on": "2027-04-10", "late_fee_percent": 20}
    plain, fee = terms(suite()), terms(suite(**late))
    assert [b.alternatives[0].pack_cost_micros - a.alternatives[0].pack_cost_micros for a, b in zip(plain, fee, strict=True)] == [
        0,
        2 * 180 * EUR * 20 // 100,
    ]  # fmt: skip
    on_time = {"renewed_on": "2027-03-01", "late_fee_percent": 20}
    assert [p.alternatives for p in terms(suite(**on_time))] == [p.alternatives for p in plain]
    after = terms(suite(**late), start=date(2027, 5, 1))
    assert after[0].alternatives[0].pack_cost_micros == 360 * EUR


PRICED = [
    ({"amount": 10, "period": "month"}, 12, 2 * 10 * 12 * EUR),
    ({"amount": 10, "per": "pack", "period": "month"}, 12, 10 * 12 * EUR),
    ({"amount": 120, "period": "year"}, 5, 2 * 50 * EUR),
    ({"amount": 720, "period": "term", "term_months": 36}, 5, 2 * 100 * EUR),
    ({"amount": 600, "period": "once", "write_off_months": 60}, 12, 2 * 120 * EUR),
    ({"amount": 600, "period": "once", "write_off_months": 6}, 12, 2 * 600 * EUR),
]


@pytest.mark.parametrize(("price", "months", "cost"), PRICED)
def test_a_pack_costs_its_prices_by_the_months(price: dict[str, Any], months: int, cost: int) -> None:
    way = {"name": "it", "metric": "per_core", "pack_size": 2, "prices": [price]}
    (found,) = terms({"layer": "guest", "alternatives": [way]}, months=months)
    assert found.alternatives[0].pack_cost_micros == cost
    assert sum(line.micros for line in found.lines) == cost


def test_hours_cost_the_same_however_many_pieces_there_are() -> None:
    way = {
        "name": "it",
        "metric": "per_core",
        "per_hour": True,
        "prices": [{"amount": 0.25, "period": "hour"}],
    }
    whole = terms({"layer": "guest", "alternatives": [way]})
    assert [p.alternatives[0].pack_cost for p in whole] == [250_000]
    other = {
        "name": "x",
        "metric": "per_core",
        "prices": [{"amount": 99, "period": "year"}],
        "valid_until": "2027-02-01",
    }
    cut = terms({"layer": "guest", "alternatives": [way, other]})
    assert [p.months for p in cut] == [2, 10]
    assert [p.alternatives[0].pack_cost for p in cut] == [Fraction(250_000, 6), Fraction(250_000 * 5, 6)]


@pytest.mark.parametrize("months", [7, 12, 36])
def test_prices_are_shared_out_over_months_without_rounding(months: int) -> None:
    """A million packs of 0.00123 an hour and of 100 a year, 7.7 from the third month on; a contract ends after five."""
    hourly = {"value": "0.00123", "changes": [{"value": "0.00077", "from": "2027-02-01"}]}
    yearly = {"value": 100, "changes": [{"value": "7.7", "from": "2027-02-01"}]}
    ways = [
        {"name": "hour", "metric": "per_core", "per_hour": True, "prices": [{"amount": hourly, "period": "hour"}]},
        {"name": "year", "metric": "per_core", "prices": [{"amount": yearly, "period": "year"}],
         "owned": [{"packs": 1, "until": "2027-05-01"}]},
    ]  # fmt: skip
    pieces = terms({"layer": "guest", "alternatives": ways}, months=months)
    assert [one.months for one in pieces] == [5, months - 5]
    for piece, early in zip(pieces, (2, 0), strict=True):
        late = piece.months - early
        hour, year = (one.pack_cost for one in piece.alternatives)
        assert hour == (early * Fraction("0.00123") + late * Fraction("0.00077")) * EUR / months
        assert year == (early * Fraction(100) + late * Fraction("7.7")) * EUR / 12
        paid = [one.micros for one in subscriptions(piece, "hour", 10**6)]
        assert sum(paid) == (2 * 10**6 * hour + 1) // 2, "half up, once"


def test_a_rule_counts_only_where_and_while_it_holds_and_if_it_is_in_the_contract() -> None:
    base = suite("2026-12-01")
    assert terms({**base, "applies": False}) == ()
    assert terms({**base, "region": "EMEA"}) == ()
    assert len(terms({**base, "region": "EMEA"}, region="EMEA")) == 1
    assert [
        (p.first_month, p.months) for p in terms({**base, "from": "2027-02-01", "until": "2027-05-01"})
    ] == [(2, 3)]
    assert terms({**base, "until": "2026-12-01"}) == ()


def test_what_is_no_longer_sold_can_be_used_until_its_renewal() -> None:
    gone = suite()
    gone["alternatives"][0]["valid_until"] = "2027-01-01"
    with pytest.raises(MissingFigure, match=r"none can be had on 2027-03-01; add one that holds then"):
        terms(gone)
    then = {
        "name": "then",
        "metric": "per_socket",
        "prices": [{"amount": 90, "period": "year"}],
        "valid_from": "2027-03-01",
    }
    gone["alternatives"].append(then)
    assert [[a.name for a in p.alternatives] for p in terms(gone)] == [
        ["subscription"],
        ["subscription"],
        ["then"],
    ]


def test_regions_in_which_all_is_the_same_are_told_together() -> None:
    base = suite("2026-12-01")
    other = {**suite("2026-12-01"), "alternatives": [{**base["alternatives"][0], "region": "US"}, {
        **base["alternatives"][0], "name": "here", "owned": [{"packs": 5, "until": "2030-01-01"}],
    }]}  # fmt: skip
    known = load_economics(document(base, other), "licences.yaml")
    found = products_of_regions(known, START, 12, ["DE", None, "US", "", "DE"])
    assert [(terms.product, where, [way.name for way in terms.alternatives]) for terms, where in found] == [
        ("product-0", ("DE", None, "US"), ["subscription"]),
        ("product-1", ("DE", None), ["here"]),
        ("product-1", ("US",), ["subscription", "here"]),
    ]
    counted_once(found[:2])
    with pytest.raises(
        MissingFigure, match=r"licences.product-1: 'here' has 5 packs owned, and is another order in US"
    ):
        counted_once(found)
    assert found[2][0].sunk == {"subscription": 0, "here": found[2][0].sunk_micros}


@pytest.mark.parametrize(("in_us", "orders"), [(10, 1), (11, 2)])
def test_regions_whose_price_is_the_same_are_one_order_wherever_it_stands(in_us: int, orders: int) -> None:
    price = {"amount": {"value": 10, "changes": [{"value": in_us, "region": "US"}]}, "period": "month"}
    way = {"name": "it", "metric": "per_core", "prices": [price]}
    licence = load_economics(document({"layer": "guest", "alternatives": [way]}), "licences.yaml")
    assert len(products_of_regions(licence, START, 12, ["DE", "US"])) == orders


def test_a_price_that_says_nothing_of_a_region_is_named() -> None:
    licence = suite("2026-12-01")
    licence["alternatives"][0]["prices"][0]["amount"] = {"value": 9, "region": "US"}
    with pytest.raises(
        MissingFigure, match=r"licences\.product-0\.alternatives\.0\.prices\.0\.amount: says nothing"
    ):
        terms(licence)


def test_cash_falls_due_by_the_year_and_what_is_bought_before_a_renewal_is_paid_until_it() -> None:
    pieces = terms(suite(), months=30)
    assert [(d.month, d.micros) for d in pieces[0].dues["subscription"]] == [(0, 240 * EUR * 3 // 12)]
    assert [(d.month, d.micros) for d in pieces[1].dues["subscription"]] == [
        (n, 360 * EUR) for n in (3, 15, 27)
    ]


@pytest.mark.parametrize(
    ("match", "machine", "needs"),
    [
        ({}, {}, True),
        ({"hypervisors": ["vsphere"]}, {"hypervisor": "xen"}, False),
        ({"pools": "prod-*"}, {"pool": "Prod-1"}, True),
        ({"guest_os": "*windows*"}, {"guest_os": "Microsoft Windows Server 2022"}, True),
        ({"guest_os": "*windows*"}, {"guest_os": "Debian 12"}, False),
        (
            {"guest_os": "*windows*", "software": ["db-*"]},
            {"guest_os": "Debian 12", "software": ["db-1"]},
            True,
        ),
        ({"labels": {"app": "x", "env": "prod"}}, {"labels": {"app": "x"}}, False),
        ({"labels": {"app": "x"}}, {"labels": {"app": "x", "env": "prod"}}, True),
        (
            {"hypervisors": ["xen"], "labels": {"app": "x"}},
            {"hypervisor": "vsphere", "labels": {"app": "x"}},
            False,
        ),
    ],
)
def test_a_product_knows_who_needs_it(match: dict[str, Any], machine: dict[str, Any], needs: bool) -> None:
    (found,) = terms({**suite("2026-12-01"), "match": match})
    assert found.match.needs(**machine) is needs


CONTRACTS = st.lists(
    st.tuples(st.integers(1, 60), st.dates(date(2026, 6, 1), date(2029, 6, 1))), max_size=3
)
PRICES = st.dictionaries(st.dates(date(2026, 6, 1), date(2029, 6, 1)), st.integers(0, 50), max_size=3)


@settings(max_examples=60, deadline=None)
@given(
    contracts=CONTRACTS,
    prices=PRICES,
    needed=st.integers(0, 150),
    months=st.integers(1, 36),
    gone=st.none() | st.dates(date(2027, 1, 1), date(2029, 1, 1)),
    start=st.sampled_from([START, date(2027, 1, 31)]),
)
@example(  # The second piece begins on February 28, and its third month on May 31, when the new price holds.
    contracts=[(4, date(2027, 2, 15))],
    prices={date(2027, 5, 30): 50},
    needed=4,
    months=5,
    gone=None,
    start=date(2027, 1, 31),
)
def test_any_contracts_and_prices_come_to_what_a_calendar_adds_up(
    contracts: list[tuple[int, date]],
    prices: dict[date, int],
    needed: int,
    months: int,
    gone: date | None,
    start: date,
) -> None:
    amount = {"value": 12, "changes": [{"value": 12 * n, "from": f"{day}"} for day, n in prices.items()]}
    owned = [{"packs": packs, "until": f"{until}"} for packs, until in contracts]
    way = {
        "name": "it",
        "metric": "per_core",
        "prices": [{"amount": amount, "period": "year"}],
        "owned": owned,
    }
    licence = {"layer": "guest", "alternatives": [way], **({"until": f"{gone}"} if gone else {})}
    avoidable = sunk = 0
    for n in range(months):
        day = later(start, n)
        if gone and day >= gone:
            break
        has = sum(packs for packs, until in contracts if day < until)
        price = next((prices[d] for d in sorted(prices, reverse=True) if d <= day), 1) * EUR
        avoidable += max(0, needed - has) * price
        sunk += has * price
    pieces = terms(licence, start, months)
    paid = sum(
        max(0, needed - p.alternatives[0].owned_packs) * p.alternatives[0].pack_cost_micros for p in pieces
    )
    assert (paid, sum(p.sunk_micros for p in pieces)) == (avoidable, sunk)
    assert len({p.name for p in pieces}) == len(pieces)


def test_of_several_contracts_renewed_late_on_one_day_the_highest_fee_is_paid_once() -> None:
    late = suite(renewed_on="2027-04-10", late_fee_percent=20)
    other = {"packs": 5, "until": "2027-03-01", "renewed_on": "2027-05-10", "late_fee_percent": 30}
    late["alternatives"][0]["owned"].append(other)
    fee = (
        terms(late)[1].alternatives[0].pack_cost_micros - terms(suite())[1].alternatives[0].pack_cost_micros
    )
    assert fee == 2 * 180 * EUR * 30 // 100
    assert [due.month for due in terms(late)[1].dues["subscription"]] == [3, 6], (
        "in June, by the months' begin"
    )


def test_what_is_bought_once_is_written_off_from_when_it_can_be_had() -> None:
    price = {
        "amount": {"value": 99, "changes": [{"value": 600, "from": "2027-02-01"}]},
        "period": "once",
        "write_off_months": 6,
    }
    before = {"name": "before", "metric": "per_core", "prices": [{"amount": 1, "period": "month"}]}
    then = {"name": "then", "metric": "per_core", "prices": [price], "valid_from": "2027-03-01"}
    first, second = terms({"layer": "guest", "alternatives": [before, then]}, months=12)
    assert [a.name for a in first.alternatives] == ["before"]
    assert {a.name: a.pack_cost_micros for a in second.alternatives} == {
        "before": 9 * EUR,
        "then": 600 * EUR,
    }
    assert [(d.month, d.micros) for d in second.dues["then"]] == [(3, 600 * EUR)]


@settings(max_examples=40, deadline=None)
@given(until=st.dates(date(2026, 12, 2), date(2028, 6, 1)), term=st.sampled_from([1, 12, 36]))
def test_cash_before_a_renewal_is_what_its_months_cost(until: date, term: int) -> None:
    price = {
        "month": {"amount": 7, "period": "month"},
        "year": {"amount": 84, "period": "year"},
        "term": {"amount": 252, "period": "term", "term_months": 36},
    }
    kind = {1: "month", 12: "year", 36: "term"}[term]
    way = {
        "name": "it",
        "metric": "per_core",
        "prices": [price[kind]],
        "owned": [{"packs": 3, "until": f"{until}"}],
    }
    *before, last = terms({"layer": "guest", "alternatives": [way]}, months=24)
    for piece in before:
        assert sum(due.micros for due in piece.dues["it"]) == piece.alternatives[0].pack_cost
    assert sum(due.micros for due in last.dues["it"]) >= last.alternatives[0].pack_cost
