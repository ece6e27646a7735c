"""Licences: published and hand-made counts, the laws they keep, and plans that pay the least for them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product as every
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.licences import Licences
from placement.licensing import counting
from placement.licensing.products import Alternative, Processors, Product
from placement.placed import placed
from placement.problem import InvalidProblem, PlacementProblem
from placement.providers import Hosts
from placement.seats import Seats
from placement.solve import solve
from tierwise.testing.constraint_samples.licences import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.promises import Setting
from tierwise.testing.placement import every_plan, small_problem

CASES = Path(__file__).parents[4] / ".." / "shared" / "data" / "licence-cases.json"
OTHER_SHAPES = {  # each with what is not counted here
    "vmw-vsan-grant": "grants of another resource",
    "ora-factor-levels": "core factors",
    "ora-cluster-reach": "core factors",
    "rhel-vdc": "coverage units, the largest of several dimensions of a host",
    "ove-units": "coverage units, the largest of several dimensions of a host",
}
WINDOWS = {"metric": "per_core", "per_socket_minimum": 8, "per_host_minimum": 16}
seeds = st.integers(0, 2**32 - 1)


def random_licences(problem: PlacementProblem, seed: int) -> Licences:
    return sample(problem, np.random.default_rng([seed, 13]))


def way(name: str = "it", *, pack: int = 1, price: int = 1, **more: Any) -> Alternative:
    return Alternative.model_validate({"name": name, "pack_size": pack, "pack_cost_micros": price, **more})


def estate(
    hosts: Sequence[tuple[int, int]],
    vcpu: Sequence[int],
    *ways: Alternative,
    scopes: Mapping[str, Any] = {},
) -> PlacementProblem:
    """Hosts h0, h1, ... of (sockets, cores of each) in one pool, with room for all; machines r0, r1, ... that need it."""
    ids = tuple(f"h{n}" for n in range(len(hosts)))
    room = np.full((len(hosts), 1), 999, dtype=np.int64)
    rule = Licences(
        products=(
            Product(name="os", requests=("all",), scopes=scopes or {"cluster": ("a",)}, alternatives=ways),
        ),
        processors={
            name: Processors(sockets=s, cores_per_socket=c) for name, (s, c) in zip(ids, hosts, strict=True)
        },
    )
    requests = tuple(f"r{i}" for i in range(len(vcpu)))
    return PlacementProblem(
        resource_classes=("vcpu",),
        request_ids=requests,
        demand=np.array(vcpu, dtype=np.int64)[:, None],
        pool_ids=("a",),
        tier_of=("tier-1",),
        free=room.sum(axis=0, keepdims=True),
        largest=room[:1],
        cost_micros=np.zeros((len(vcpu), 1), dtype=np.int64),
        hosts=Hosts(ids, np.zeros(len(hosts), dtype=np.int64), room, room),
        groups={"all": requests},
        constraints=(rule,),
    )


def paid(problem: PlacementProblem, *providers: int) -> int:
    (rule,) = problem.constraints
    return rule.cost(problem, Seats(np.array(providers, dtype=np.int64)))["licences"]


def paid_on_first(problem: PlacementProblem) -> int:
    return paid(problem, *[0] * len(problem.request_ids))


@pytest.mark.parametrize(
    ("hosts", "vcpu", "how", "licences"),
    [
        ([(2, 8), (2, 24)], [4], {"metric": "per_core", "per_socket_minimum": 16}, 80),  # 2 * 16 + 2 * 24
        ([(4, 4)], [4] * 4, {**WINDOWS, "covers": 2}, 64),  # 4 sockets * 8 cores, twice
        ([(4, 8)], [4] * 10, {**WINDOWS, "covers": 2}, 160),  # 32 cores, 5 times
        ([(4, 8)], [4] * 10, WINDOWS, 32),
        ([(1, 4)], [4], WINDOWS, 16),  # the host's minimum
        ([(2, 16)] * 3, [4] * 8, {**WINDOWS, "covers": 2}, 384),  # 3 hosts * 32 cores, 4 times
        ([(2, 16)] * 3, [4] * 8, WINDOWS, 96),
        ([(2, 16)] * 3, [4] * 8, {"metric": "per_vcpu", "per_machine_minimum": 8}, 64),
        ([(2, 16)] * 3, [4] * 8, {"metric": "per_machine"}, 8),
        ([(2, 6), (2, 8), (2, 12)], [4], {"metric": "per_core", "per_socket_minimum": 4}, 52),
        ([(2, 6)], [4] * 9 + [8] * 2, {"metric": "per_vcpu", "per_machine_minimum": 4}, 52),
        ([(2, 32)] * 3, [1], {"metric": "per_socket"}, 6),
        ([(2, 32)] * 3, [1] * 5, {"metric": "per_host"}, 3),
        ([(2, 32)] * 3, [1] * 5, {"metric": "per_host", "covers": 4}, 6),
    ],
)
def test_licences_are_counted_as_by_hand(
    hosts: list[tuple[int, int]], vcpu: list[int], how: dict[str, Any], licences: int
) -> None:
    assert paid_on_first(estate(hosts, vcpu, way(**how))) == licences


def cases() -> Iterator[dict[str, Any]]:
    if not CASES.exists():
        pytest.skip("the published licence cases are not here: ../shared/data/licence-cases.json")
    yield from json.loads(CASES.read_text(encoding="utf-8"))["cases"]


def translated(metric: Mapping[str, Any], pack: int) -> Alternative:
    """A published case's metric as an alternative."""
    floors = {f"per_{floor['per']}_minimum": floor["min"] for floor in metric.get("floors", ())}
    if "per_vm_minimum" in floors:
        floors["per_machine_minimum"] = floors.pop("per_vm_minimum")
    kind = {"core": "per_core", "vcore": "per_vcpu", "socket": "per_socket"}[metric["unit"]]
    return way(metric=kind, covers=metric.get("stack", {}).get("guests_per_cover"), **floors, pack=pack)


def test_published_cases_come_to_their_published_counts() -> None:
    counted = 0
    for case in cases():
        if case["id"] in OTHER_SHAPES:
            continue
        facts, metrics, expect = case["input"], case["metric"], case["expect"]
        hosts = [(host["sockets"], host["cores_per_socket"]) for host in facts.get("hosts", ())]
        names = [host["name"] for host in facts["hosts"]]
        reach = tuple(f"h{names.index(one)}" for one in facts.get("limit", {"hosts": names})["hosts"])
        vcpu = [vm["vcpu"] for vm in facts["vms"]] if "vms" in facts else [1] * facts.get("guests", 1)
        metrics = metrics if isinstance(metrics, list) else [metrics]
        wanted = expect["licences"] if isinstance(expect["licences"], list) else [expect["licences"]]
        for metric, licences in zip(metrics, wanted, strict=True):
            scopes = {"reach": reach}
            problem = estate(hosts, vcpu, translated(metric, 1), scopes=scopes)
            assert paid_on_first(problem) == licences, case["id"]
            in_packs = estate(hosts, vcpu, translated(metric, metric["pack"]), scopes=scopes)
            assert paid_on_first(in_packs) == expect.get("packs", -(-licences // metric["pack"])), case[
                "id"
            ]
        counted += 1
    assert counted == 7


def test_a_plan_pays_for_the_cheapest_alternative_of_each_scope() -> None:
    standard, datacenter = (
        way("standard", price=10, covers=2, **WINDOWS),
        way("datacenter", price=45, **WINDOWS),
    )
    scopes = {"one": ("h0",), "two": ("h1",)}

    def best(machines: int) -> int:
        problem = estate([(2, 8), (2, 12)], [4] * machines, standard, datacenter, scopes=scopes)
        return solve(problem, way="exact").terms["licences"]

    # 16 cores: 160 for each two machines, 720 for any number; the smaller host alone, always.
    assert [best(n) for n in (1, 2, 3, 8, 9, 30)] == [160, 160, 320, 640, 720, 720]


def test_a_scope_does_not_mix_alternatives() -> None:
    standard = way("standard", price=10, metric="per_host", covers=2)
    single = way("single", price=6, metric="per_machine")
    plan = solve(estate([(1, 1)], [1] * 3, standard, single), way="exact")
    assert plan.terms["licences"] == 18  # two covers are 20; one of each would be 16
    assert plan.bound_micros == 18


def test_machines_are_kept_together_where_a_second_scope_would_have_to_be_licensed() -> None:
    scopes = {"one": ("h0", "h1"), "two": ("h2",)}
    problem = estate([(2, 8)] * 3, [4] * 3, way(metric="per_host", price=7), scopes=scopes)
    plan = solve(problem, way="exact")
    assert {a.host for a in plan.assignments} == {"h2"}  # one host is reached, not two
    assert plan.terms["licences"] == 7


def test_packs_are_rounded_once_in_a_scope_or_once_in_the_order() -> None:
    scopes = {"one": ("h0",), "two": ("h1",)}
    how = {"metric": "per_machine", "pack": 4, "price": 10, "scopes": scopes}
    scopes = how.pop("scopes")
    in_scope = estate([(1, 1)] * 2, [1] * 6, way(pack_scope="scope", **how), scopes=scopes)
    in_order = estate([(1, 1)] * 2, [1] * 6, way(pack_scope="order", **how), scopes=scopes)
    assert (paid(in_scope, 0, 0, 0, 1, 1, 1), paid(in_order, 0, 0, 0, 1, 1, 1)) == (20, 20)
    assert (paid(in_scope, 0, 0, 0, 0, 0, 1), paid(in_order, 0, 0, 0, 0, 0, 1)) == (30, 20)
    assert (paid(in_scope, 0, 1, -1, -1, -1, -1), paid(in_order, 0, 1, -1, -1, -1, -1)) == (20, 10)


def test_a_host_outside_of_all_scopes_takes_no_machine_of_the_product() -> None:
    problem = estate([(1, 1)] * 2, [1, 1], way(metric="per_machine"), scopes={"one": ("h0",)})
    (rule,) = problem.constraints
    outside = Seats(np.array([1, 0], dtype=np.int64))
    assert list(rule.check(problem, outside)) == ["r0: h1 is in no licence scope of os"]
    after = placed(problem, np.array([0, 0], dtype=np.int64))
    blocked = rule.blocked(after, 0)
    assert blocked is not None
    assert blocked.tolist() == [False, True]
    (reason,) = rule.why(after, 0, 1)
    assert (reason.rule_id, reason.dimension) == ("licences", "os")
    assert str(reason).endswith(
        "; add h1 to a scope that is licensed for os (one), or choose a place within one"
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"requests": ("r7",)}, r"products\[0\].requests\[0\]: there is no request or group 'r7'"),
        ({"scopes": {"x": ("h7",)}}, r"products\[0\].scopes.x\[0\]: there is no host or pool 'h7'"),
        ({"scopes": {}}, r"products\[0\].scopes: there are none"),
        ({"scopes": {"x": ()}}, r"products\[0\].scopes.x: has no host"),
        ({"scopes": {"x": ("h0",), "y": ("a",)}}, r"products\[0\].scopes.y: h0 is in x already"),
        (
            {"alternatives": (way(metric="per_machine"), way(metric="per_host"))},
            r"products\[0\].alternatives: 'it' stands 2 times",
        ),
        (
            {"alternatives": (way(metric="per_machine", price=2**53), way("x", metric="per_host"))},
            None,
        ),
        (
            {"alternatives": (way(metric="per_core", price=2**53, per_host_minimum=10**6),)},
            r"products\[0\].alternatives\[0\]: may come to 2000001 units, too many",
        ),
    ],
)
def test_wrong_data_is_refused_with_its_path(change: dict[str, Any], words: str | None) -> None:
    problem = estate([(1, 1)] * 2, [1, 1], way(metric="per_machine"))
    (rule,) = problem.constraints
    assert isinstance(rule, Licences)
    wrong = rule.model_copy(update={"products": (rule.products[0].model_copy(update=change),)})
    if words is None:
        assert replace(problem, constraints=(wrong,))
        return
    with pytest.raises(InvalidProblem, match=words):
        replace(problem, constraints=(wrong,))


def test_what_is_not_known_of_hosts_is_asked_for_where_it_counts() -> None:
    problem = estate([(1, 1)] * 2, [1], way(metric="per_core"))
    (rule,) = problem.constraints
    assert isinstance(rule, Licences)
    words = r"products\[0\].alternatives\[0\].metric: per_core needs the processors of h1; add them"
    one = {"h0": rule.processors["h0"]}
    with pytest.raises(InvalidProblem, match=words):
        replace(problem, constraints=(rule.model_copy(update={"processors": one}),))
    with pytest.raises(InvalidProblem, match=r"processors.h9: there is no host or pool 'h9'"):
        replace(problem, constraints=(rule.model_copy(update={"processors": {**one, "h9": one["h0"]}}),))
    several = {"a": Processors(sockets=1, cores_per_socket=1, hosts=3)}
    with pytest.raises(InvalidProblem, match=r"processors.a.hosts: 3 hosts, where each host stands for"):
        replace(problem, constraints=(rule.model_copy(update={"processors": several}),))
    with pytest.raises(InvalidProblem, match="needs the resource class vcpu"):
        replace(
            estate([(1, 1)], [1], way(metric="per_machine")),
            resource_classes=("cores",),
            constraints=estate([(1, 1)], [1], way(metric="per_vcpu")).constraints,
        )


@pytest.mark.parametrize(
    "wrong",
    [
        {"metric": "per_vcpu", "per_host_minimum": 8},
        {"metric": "per_core", "per_machine_minimum": 8},
        {"metric": "per_machine", "covers": 2},
        {"metric": "per_host", "pack": 0},
        {"metric": "per_host", "price": -1},
        {"metric": "per_head"},
    ],
)
def test_an_alternative_says_nothing_that_its_metric_does_not_count(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        way(**wrong)


def by_every_choice(problem: PlacementProblem, product: Product, rule: Licences, seats: Seats) -> int:
    """The least over all ways to choose an alternative in each scope that has machines, packs rounded at the end."""
    at = {
        name: [
            int(problem.demand[i, 0])
            for i, v in enumerate(seats.provider_of.tolist())
            if v >= 0 and problem.providers.ids[v] in inside and problem.request_ids[i] in product.requests
        ]
        for name, inside in product.scopes.items()
    }
    used = [name for name, machines in at.items() if machines]
    totals = []
    for chosen in every(range(len(product.alternatives)), repeat=len(used)):
        total, over_order = 0, [0] * len(product.alternatives)
        for name, n in zip(used, chosen, strict=True):
            one = product.alternatives[n]
            hosts = [rule.processors[v] for v in product.scopes[name]]
            bought = counting.units(one, hosts, at[name])
            if one.pack_scope == "order":
                over_order[n] += bought
            else:
                total += -(-bought // one.pack_size) * one.pack_cost_micros
        for one, bought in zip(product.alternatives, over_order, strict=True):
            total += -(-bought // one.pack_size) * one.pack_cost_micros
        totals.append(total)
    return min(totals)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_the_cost_is_the_least_of_all_choices_and_no_more_than_any_one_alternative(seed: int) -> None:
    problem = small_problem(seed)
    rule = random_licences(problem, seed)
    for seats in list(every_plan(problem))[:30]:
        for one in rule.products:
            cost = counting.product_cost(problem, one, rule.processors, seats)
            assert cost == by_every_choice(problem, one, rule, seats)
            for alone in one.alternatives:
                only = one.model_copy(update={"alternatives": (alone,)})
                assert cost <= counting.product_cost(problem, only, rule.processors, seats)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(1, 40)), min_size=2, max_size=5),
    st.integers(1, 12),
    st.sampled_from([None, 1, 2, 3]),
    st.sampled_from(["per_core", "per_host", "per_socket"]),
    st.integers(1, 5),
)
def test_more_reach_never_costs_less_and_full_cover_does_not_look_at_machines(
    hosts: list[tuple[int, int]], machines: int, covers: int | None, metric: str, pack: int
) -> None:
    one = way(metric=metric, covers=covers, pack=pack)
    ids = [f"h{n}" for n in range(len(hosts))]
    costs = [
        paid_on_first(estate(hosts, [2] * machines, one, scopes={"x": tuple(ids[:n])}))
        for n in range(1, len(hosts) + 1)
    ]
    assert costs == sorted(costs)
    if covers is None:
        assert costs[-1] == paid_on_first(estate(hosts, [2], one))
    assert costs[-1] == paid_on_first(estate(hosts[::-1], [2] * machines, one))


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed, Setting(told_costs="no less", quiet=True))


def grows_once(product: Product) -> bool:
    """Whether the kernel's packs say a product exactly."""
    growing = [one for one in product.alternatives if not one.flat]
    return len(growing) <= 1 and all(
        one.pack_scope == "scope" and (one.covers is None or one.pack_size == 1)
        for one in product.alternatives
    )


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_the_kernel_is_told_the_exact_cost_in_the_usual_cases(seed: int) -> None:
    def usual(problem: PlacementProblem, chance: np.random.Generator) -> Licences:
        rule = sample(problem, chance)
        return rule.model_copy(update={"products": tuple(filter(grows_once, rule.products))})

    keeps_promises(usual, seed)
