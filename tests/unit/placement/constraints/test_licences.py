"""Licences: hand-made counts, plans that pay the least for them, and what is told when data is wrong."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.licences import Licences
from placement.licensing.products import Processors, Product
from placement.online import Online
from placement.placed import placed
from placement.problem import InvalidProblem, PlacementProblem
from placement.seats import Seats
from placement.solve import solve
from tierwise.testing.constraint_samples.licences import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.promises import Setting
from tierwise.testing.licensed import estate, paid, paid_on_first, way

WINDOWS = {"metric": "per_core", "per_socket_minimum": 8, "per_host_minimum": 16}
seeds = st.integers(0, 2**32 - 1)


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


@pytest.mark.parametrize("weight", [1, 2, 3, 4])
def test_the_kernel_counts_licences_of_machines_as_often_as_the_objective_does(weight: int) -> None:
    problem = estate([(1, 1)], [1] * 3, way("single", price=6, metric="per_machine"))
    online = Online(replace(problem, objective=({"licences": weight},)))
    assert [online.cost(i, online.decide(i)) for i in range(3)] == [6 * weight] * 3


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
            r"products\[0\].alternatives\[0\]: may come to 2000002 units, too many",
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


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed, Setting(told_costs="no less", quiet=True))


OVER_SCOPES = {"order_minimum", "owned_packs", "principals", "add_on", "unit_covers", "per_hour"}
"""Fields whose effect the kernel's words can be above."""


def grows_once(product: Product) -> bool:
    """Whether the kernel's packs say a product exactly."""
    growing = [one for one in product.alternatives if not one.flat]
    return len(growing) <= 1 and all(
        one.pack_scope == "scope"
        and (one.covers is None or one.pack_size == one.parts == 1)
        and not OVER_SCOPES & one.told_fields()
        for one in product.alternatives
    )


@settings(max_examples=25, deadline=None)
@given(seeds)
def test_the_kernel_is_told_the_exact_cost_in_the_usual_cases(seed: int) -> None:
    def usual(problem: PlacementProblem, chance: np.random.Generator) -> Licences:
        rule = sample(problem, chance)
        return rule.model_copy(update={"products": tuple(filter(grows_once, rule.products))})

    keeps_promises(usual, seed)
