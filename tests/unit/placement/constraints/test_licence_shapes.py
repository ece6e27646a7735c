"""Each way to count licences: published cases, and tables that were calculated by hand."""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from catalog.licence_metrics import Metric
from placement.licensing import tally
from placement.licensing.products import AddOn, Alternative, Limit
from placement.problem import InvalidProblem, PlacementProblem
from placement.solve import solve
from tierwise.testing.licensed import estate, paid, paid_on_first, way

CASES = Path(__file__).parents[4] / ".." / "shared" / "data" / "licence-cases.json"
COUNT = 12
METRICS = {
    "core": "per_core",
    "vcore": "per_vcpu",
    "socket": "per_socket",
    "coverage_unit": "per_coverage_unit",
}


def cases() -> Iterator[Any]:
    if not CASES.exists():
        why = "the published licence cases are not here: ../shared/data/licence-cases.json"
        yield pytest.param({}, id="missing", marks=pytest.mark.skip(reason=why))
        return
    for case in json.loads(CASES.read_text(encoding="utf-8"))["cases"]:
        yield pytest.param(case, id=case["id"])


def processors(host: Mapping[str, Any]) -> dict[str, Any]:
    """A published host: its factor is its family's, and storage is in thousandths of a TiB."""
    known = {key: host[key] for key in ("sockets", "cores_per_socket")}
    amounts = {"vsan_raw_milli_tib": round(host["vsan_raw_tib"] * 1000)} if "vsan_raw_tib" in host else {}
    return {**known, "family": str(host.get("factor", "")), "amounts": amounts}


def translated(
    metric: Mapping[str, Any], facts: Mapping[str, Any], *, pack: int, add_on: int
) -> Alternative:
    """A published metric as an alternative, at a price of 1 a pack and of `add_on` a unit of what it grants."""
    floors = {f"per_{floor['per']}_minimum": floor["min"] for floor in metric.get("floors", ())}
    if "per_vm_minimum" in floors:
        floors["per_machine_minimum"] = floors.pop("per_vm_minimum")
    more: dict[str, Any] = {}
    if "factor" in metric:
        factors = {str(host["factor"]): round(host["factor"] * 1000) for host in facts["hosts"]}
        more["core_factor_thousandths"] = factors
    if "covers" in metric:
        more["unit_covers"] = metric["covers"]
    if "grant" in metric:
        granted = {"granted": metric["grant"]["per_unit"], "pack_cost_micros": add_on}
        more["add_on"] = {"name": "more", "amount": "vsan_raw_milli_tib", "unit_amount": 1000, **granted}
    covers = metric.get("stack", {}).get("guests_per_cover")
    return way(metric=METRICS[metric["unit"]], covers=covers, pack=pack, **floors, **more)


def as_problem(
    metric: Mapping[str, Any], facts: Mapping[str, Any], *, pack: int = 1, add_on: int = 0
) -> PlacementProblem:
    """The case as hosts, machines and a product with that one alternative."""
    names = [host["name"] for host in facts["hosts"]]
    limits = [
        {"limiter": limit["kind"], "hosts": [f"h{names.index(one)}" for one in limit["hosts"]]}
        for limit in [facts.get("limit")]
        if limit
    ]
    vcpu = [vm["vcpu"] for vm in facts["vms"]] if "vms" in facts else [1] * facts.get("guests", 1)
    return estate(
        [processors(host) for host in facts["hosts"]],
        vcpu,
        translated(metric, facts, pack=pack, add_on=add_on),
        limits=limits,
        accepts=metric.get("accepts", ()),
    )


@pytest.mark.parametrize("case", list(cases()))
def test_published_cases_come_to_their_published_counts(case: Mapping[str, Any]) -> None:
    facts, expect = case["input"], case["expect"]
    metrics = case["metric"] if isinstance(case["metric"], list) else [case["metric"]]
    wanted = expect["licences"] if isinstance(expect["licences"], list) else [expect["licences"]]
    for metric, licences in zip(metrics, wanted, strict=True):
        problem = as_problem(metric, facts)
        assert paid_on_first(problem) == licences
        assert solve(problem, way="exact").terms["licences"] == licences
        packs = expect.get("packs", -(-licences // metric["pack"]))
        assert paid_on_first(as_problem(metric, facts, pack=metric["pack"])) == packs
        if "addon" in expect:
            assert paid_on_first(as_problem(metric, facts, add_on=1)) == licences + expect["addon"]
            add_on = translated(metric, facts, pack=1, add_on=1).add_on
            assert add_on is not None
            amount = sum(processors(host)["amounts"]["vsan_raw_milli_tib"] for host in facts["hosts"])
            assert tally.needed(add_on, amount) == expect["needed"]
            granted = licences * add_on.granted
            assert (granted, granted - expect["needed"]) == (expect["granted"], expect["surplus"])
        for host, units in zip(facts["hosts"], expect.get("per_host", ()), strict=False):
            assert paid_on_first(as_problem(metric, {**facts, "hosts": [host]})) == units


def test_all_published_cases_are_looked_at() -> None:
    if not CASES.exists():
        pytest.skip("the published licence cases are not here: ../shared/data/licence-cases.json")
    assert len(list(cases())) == COUNT


FACTORS = {"core_factor_thousandths": {"old": 750, "new": 500}}
OLD, NEW = {"cores_per_socket": 1, "family": "old"}, {"cores_per_socket": 1, "family": "new"}


@pytest.mark.parametrize(
    ("hosts", "machines", "how", "licences"),
    [
        # cores by factor: 6 * 0.75 = 4.5 -> 5, and 1 * 0.5 -> 1; each level by itself
        ([OLD] * 6 + [NEW], 1, {"metric": "per_core", **FACTORS}, 6),
        ([OLD] * 4 + [NEW] * 4, 1, {"metric": "per_core", **FACTORS}, 5),  # 3 + 2
        ([OLD, NEW], 1, {"metric": "per_core", **FACTORS, "per_host_minimum": 3}, 5),  # 2.25 -> 3, 1.5 -> 2
        ([OLD] * 3, 2, {"metric": "per_core", **FACTORS, "covers": 1}, 5),  # 2 covers of 2.25
        ([OLD], 1, {"metric": "per_core", "core_factor_thousandths": {"old": 70_000}}, 70),  # 70 points a core
        # one unit covers of one host: two sockets and 128 cores, whichever asks for more
        ([(2, 32), (2, 96), (4, 16)], 1, {"metric": "per_coverage_unit", "unit_covers": {"sockets": 2, "cores": 128}}, 5),
        ([(2, 16)] * 3, 9, {"metric": "per_coverage_unit", "unit_covers": {"sockets": 2}}, 3),
        # 2 sockets or 2 machines: 3 for 5 machines on a host of 2 sockets, and 4 on one of 8
        ([(2, 1), (8, 1)], 5, {"metric": "per_coverage_unit", "unit_covers": {"sockets": 2, "machines": 2}}, 7),
        ([(2, 1)], 1, {"metric": "per_coverage_unit", "unit_covers": {"sockets": 2}, "covers": 2}, 1),
        ([(2, 1)], 3, {"metric": "per_coverage_unit", "unit_covers": {"sockets": 2}, "covers": 2}, 2),
        # memory: a unit for every 3072 GiB of a host that has 4096
        ([{"amounts": {"memory_gib": 4096}}] * 2, 1, {"metric": "per_coverage_unit", "unit_covers": {"memory_gib": 3072}}, 4),
        # storage: 1500 + 700 GiB are three TiB
        ([{"amounts": {"gib": 1500}}, {"amounts": {"gib": 700}}], 1, {"metric": "per_amount", "amount": "gib", "unit_amount": 1024}, 3),
        # people: as many as there are, for any number of machines
        ([(2, 8)] * 2, 1, {"metric": "per_principal", "principals": 40}, 40),
        ([(2, 8)] * 2, 5, {"metric": "per_principal", "principals": 40, "pack": 25}, 2),
        # by the hour, of ten: 16 cores, or machines of 4 vCPU
        ([(2, 8)], 1, {"metric": "per_core", "per_hour": True}, 160),
        ([(2, 8)], 2, {"metric": "per_vcpu", "per_hour": True}, 80),
        ([(2, 8)], 2, {"metric": "per_vcpu", "per_hour": True, "pack": 24}, 4),
        ([(2, 8)], 2, {"metric": "per_principal", "principals": 3, "per_hour": True}, 30),
        # the order's minimum
        ([(2, 8)], 1, {"metric": "per_core", "order_minimum": 72}, 72),
        ([(2, 48)], 1, {"metric": "per_core", "order_minimum": 72}, 96),
        ([(2, 8)], 1, {"metric": "per_core", "order_minimum": 72, "pack": 16}, 5),
        # owned until after the horizon
        ([(2, 8)], 1, {"metric": "per_core", "owned_packs": 10}, 6),
        ([(2, 8)], 1, {"metric": "per_core", "owned_packs": 20}, 0),
        ([(2, 8)], 1, {"metric": "per_core", "owned_packs": 20, "order_minimum": 72}, 52),
    ],
)  # fmt: skip
def test_licences_are_counted_as_by_hand(
    hosts: list[Any], machines: int, how: dict[str, Any], licences: int
) -> None:
    problem = estate(hosts, [4] * machines, way(**how))
    assert paid_on_first(problem) == licences
    assert solve(problem, way="exact").terms["licences"] == licences


@pytest.mark.parametrize(
    ("granted", "pack_size", "price", "cost"),
    [
        (1, 1, 10, 16),  # 16 cores bring 16 of 12: the cores alone
        (0, 1, 10, 16 + 120),
        (0, 5, 10, 16 + 30),  # packs of 5
    ],
)
def test_what_licences_bring_along_need_not_be_bought(
    granted: int, pack_size: int, price: int, cost: int
) -> None:
    more = AddOn(name="disk", amount="tib", granted=granted, pack_size=pack_size, pack_cost_micros=price)
    host = {"sockets": 2, "cores_per_socket": 8, "amounts": {"tib": 12}}
    problem = estate([host], [1], way(metric="per_core", add_on=more))
    assert paid_on_first(problem) == cost
    assert solve(problem, way="exact").terms["licences"] == cost


def test_more_licences_are_bought_where_what_they_bring_along_is_dearer_alone() -> None:
    more = AddOn(name="disk", amount="tib", granted=2, pack_size=3, pack_cost_micros=5)
    host = {"cores_per_socket": 1, "amounts": {"tib": 12}}
    problem = estate([host], [1], way(metric="per_core", price=3, add_on=more))
    # 2 of 12 come along; of the 10 others a core brings 2 for 3, a pack 3 for 5: 5 cores 15, or 2 and 2 packs 16
    assert paid_on_first(problem) == 3 + 15
    assert solve(problem, way="exact").terms["licences"] == 18


def test_what_comes_along_is_for_all_scopes_together() -> None:
    more = AddOn(name="disk", amount="tib", granted=1, pack_cost_micros=100)
    large, full = (
        {"cores_per_socket": 20, "amounts": {"tib": 4}},
        {"cores_per_socket": 2, "amounts": {"tib": 9}},
    )
    scopes = {"one": ("h0",), "two": ("h1",)}
    problem = estate([large, full], [1, 1], way(metric="per_core", add_on=more), scopes=scopes)
    assert [paid(problem, 0, 0), paid(problem, 1, 1), paid(problem, 0, 1)] == [20, 9, 22]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9), st.integers(0, 7), st.integers(0, 9)), min_size=1, max_size=3),
    st.integers(0, 4), st.integers(1, 4), st.integers(0, 25),
)  # fmt: skip
def test_of_all_that_could_be_bought_at_several_prices_the_order_takes_the_cheapest(
    prices: list[tuple[int, int, int, int]], granted: int, size: int, together: int
) -> None:
    def cost(packs: int, price: int, beside: int, amount: int) -> int:
        return packs * price + -(-max(0, amount - packs * granted) // size) * beside

    ways = []
    for price, beside, _, _ in prices:
        more = AddOn(name="x", amount="tib", granted=granted, pack_size=size, pack_cost_micros=beside)
        ways.append(way(metric="per_host", price=price, add_on=more))
    bought = tally.packs_at_prices(ways, [one[2] for one in prices], [one[3] for one in prices], together)
    assert all(n >= least for (n, _), (_, _, least, _) in zip(bought, prices, strict=True))
    assert sum(n for n, _ in bought) >= together
    paid = sum(n * price + m * beside for (n, m), (price, beside, _, _) in zip(bought, prices, strict=True))
    tried = [
        [(n, cost(n, price, beside, amount)) for n in range(least, least + together + amount + 1)]
        for price, beside, least, amount in prices
    ]
    assert paid == min(
        sum(money for _, money in some) for some in product(*tried) if sum(n for n, _ in some) >= together
    )


@pytest.mark.parametrize(
    ("kind", "accepts", "licences"),
    [
        ("must_rule", ("must_rule",), 32),
        ("must_rule", ("separate_cluster", "hard_partition"), 160),
        ("should_rule", ("must_rule",), 160),
        ("hard_partition", ("hard_partition",), 4),  # 8 cores of each, at a half
    ],
)
def test_only_limits_that_are_accepted_narrow_the_reach(
    kind: str, accepts: tuple[str, ...], licences: int
) -> None:
    cut = 8 if kind == "hard_partition" else None
    limit = Limit.model_validate({"limiter": kind, "hosts": ("h0",), "cores_per_host": cut})
    hosts = [{"sockets": 2, "cores_per_socket": 32, "family": "x86"}] * 5
    how = way(metric="per_core", core_factor_thousandths={"x86": 500})
    assert paid_on_first(estate(hosts, [4], how, limits=(limit,), accepts=accepts)) == licences


@pytest.mark.parametrize(("boundary", "licences"), [("host", 16), ("pool", 48), ("estate", 48)])
def test_the_boundary_says_how_far_a_host_reaches(boundary: str, licences: int) -> None:
    assert paid_on_first(estate([(2, 8)] * 3, [4], way(metric="per_core"), boundary=boundary)) == licences


def test_people_are_counted_once_however_many_scopes_there_are() -> None:
    problem = estate([(2, 8)] * 2, [1, 1], way(metric="per_principal", principals=40), boundary="host")
    assert (paid(problem, 0, 0), paid(problem, 0, 1), paid(problem, -1, -1)) == (40, 40, 0)


def test_the_orders_minimum_is_asked_once_of_all_scopes_that_choose_it() -> None:
    how = way(metric="per_core", order_minimum=40)
    problem = estate([(2, 8), (2, 8), (2, 16)], [1] * 3, how, boundary="host")
    assert [paid(problem, *at) for at in ((0, 0, 0), (0, 1, 1), (0, 1, 2))] == [40, 40, 64]


def test_an_alternative_counts_only_in_its_days() -> None:
    now = way("now", metric="per_machine", price=5, valid_until=date(2026, 12, 1))
    then = way("then", metric="per_machine", price=9, valid_from=date(2026, 12, 1))

    def cost(day: date | None) -> int:
        return solve(estate([(1, 1)], [1, 1], now, then, day=day), way="exact").terms["licences"]

    assert [cost(day) for day in (date(2026, 11, 30), date(2026, 12, 1), None)] == [10, 18, 10]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"metric": "per_host", "core_factor_thousandths": {"x": 500}}, "core_factor_thousandths: says nothing of"),
        ({"metric": "per_core", "principals": 3}, "principals: says nothing of"),
        ({"metric": "per_vcpu", "add_on": {"name": "x", "amount": "y", "pack_cost_micros": 1}}, "add_on: says nothing of"),
        ({"metric": "per_coverage_unit"}, "unit_covers: per_coverage_unit needs it"),
        ({"metric": "per_amount"}, "amount: per_amount needs it"),
        ({"metric": "per_coverage_unit", "unit_covers": {"machines": 2}, "covers": 2}, "covers: unit_covers counts"),
        ({"metric": "per_host", "valid_from": "2026-12-01", "valid_until": "2026-12-01"}, "must be after valid_from"),
    ],
)  # fmt: skip
def test_fields_that_do_not_go_together_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        way(**wrong)


@pytest.mark.parametrize(
    ("how", "product", "words"),
    [
        ({"metric": "per_amount", "amount": "tib"}, {}, "amount: 'tib' of h0 is not known; add it"),
        ({"metric": "per_coverage_unit", "unit_covers": {"tib": 1}}, {}, "unit_covers: 'tib' of h0 is not known"),
        ({"metric": "per_core", "core_factor_thousandths": {"x": 500}}, {}, "has no factor of the family '' of h0"),
        ({"metric": "per_host"}, {"boundary": "manager"}, "boundary: there is no label 'manager'"),
        ({"metric": "per_host"}, {"limits": ({"limiter": "must_rule", "hosts": ("h9",)},)}, "there is no host or pool 'h9'"),
        ({"metric": "per_host", "valid_until": "2026-12-01"}, {"day": date(2027, 1, 1)}, "none can be had on 2027-01-01"),
    ],
)  # fmt: skip
def test_what_the_problem_does_not_have_is_told(
    how: dict[str, Any], product: dict[str, Any], words: str
) -> None:
    with pytest.raises(InvalidProblem, match=words):
        estate([(1, 1)], [1], way(**how), **product)


def test_a_plan_moves_to_where_licences_are_owned() -> None:
    owned = way("owned", metric="per_machine", price=9, owned_packs=2)
    plan = solve(estate([(1, 1)] * 2, [1] * 2, owned, boundary="host"), way="exact")
    assert plan.terms["licences"] == 0
    third = solve(estate([(1, 1)] * 2, [1] * 3, owned, boundary="host"), way="exact")
    assert third.terms["licences"] == 9
    assert all(a.host is not None for a in third.assignments)


def test_the_examples_of_the_how_to_page_are_alternatives() -> None:
    page = (Path(__file__).parents[4] / "docs" / "how-to" / "count-licences.md").read_text(encoding="utf-8")
    blocks = [part.split("```")[0] for part in page.split("```json")[1:]]
    assert len(blocks) == 2
    for block in blocks:
        assert Alternative.model_validate_json(block).name
    named = {name for row in page.split("`")[1::2] for name in [row.strip()] if name.startswith("per_")}
    assert (
        set(METRICS.values()) | {"per_host", "per_amount", "per_machine_minimum", "per_principal"} <= named
    )
    fields = {*Alternative.model_fields, *get_args(Metric)}
    assert named <= fields
