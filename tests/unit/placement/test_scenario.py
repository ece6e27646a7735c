"""Changes are read, refused in words, and applied exactly."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from placement.problem import PlacementProblem
from placement.scenario import FORMS, ScenarioInvalid, apply, parse

WRITTEN = [
    "price:tier-1=+50%",
    "price:tier-1=-12.5%",
    "capacity:a=+25%",
    "capacity:a.memory_mib=-100%",
    "pool:fra-kvm-b=lost",
    "tier:tier-1=closed",
    "grow=+30%",
]


@pytest.mark.parametrize("text", WRITTEN)
def test_a_change_is_written_as_it_is_read(text: str) -> None:
    assert [str(change) for change in parse([text])] == [text]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "price:tier-1",
        "price:tier-1=50%",
        "price:tier-1=+50",
        "price:tier-1=-101%",
        "price:=+5%",
        "pool:a=gone",
        "tier:tier-1=lost",
        "grow:a=+30%",
        "grow=-30%",
        "capacity:a.=+1%",
        "price:tier-1=+1e3%",
        "price:tier-1=+99999%",
    ],
)
def test_what_is_not_a_change_is_refused_with_the_forms(text: str) -> None:
    with pytest.raises(ScenarioInvalid) as caught:
        parse([text, "pool:a=lost"])
    (problem,) = caught.value.problems
    assert problem.startswith(f"'{text}' is not a change")
    assert all(form in problem for form in FORMS)


def test_all_that_is_wrong_is_told_together(problem_of: Callable[..., PlacementProblem]) -> None:
    with pytest.raises(ScenarioInvalid) as caught:
        parse(["x", "y", "grow=+1%"])
    assert len(caught.value.problems) == 2
    problem = problem_of([[1]], [[1], [1]], [[1, 1]])
    texts = ["pool:z=lost", "price:gold=+1%", "capacity:a.gpu=+1%", "pool:b=lost"]
    with pytest.raises(ScenarioInvalid) as caught:
        apply(problem, parse(texts))
    assert caught.value.problems == (
        "'pool:z=lost': there is no pool 'z'; known are a, b",
        "'price:gold=+1%': there is no tier 'gold'; known are tier-1, tier-2",
        "'capacity:a.gpu=+1%': there is no resource 'gpu'; known are vcpu",
    )


@pytest.mark.parametrize("text", ["+50%", "-10%", "+0.5%", "-99.9%", "+12.345%", "-100%", "+10000%"])
def test_prices_are_rounded_half_up_pair_by_pair(
    problem_of: Callable[..., PlacementProblem], text: str
) -> None:
    costs = [[n, n] for n in (0, 1, 2, 3, 5, 99, 1000, 10**12 + 1)]
    problem = problem_of([[1]] * len(costs), [[99], [99]], costs)
    changed = apply(problem, parse([f"price:tier-1={text}"]))
    factor = 1 + Fraction(text.rstrip("%")) / 100
    expected = [
        (2 * n * factor.numerator + factor.denominator) // (2 * factor.denominator) for n, _ in costs
    ]
    assert changed.cost_micros[:, 0].tolist() == expected
    assert changed.cost_micros[:, 1].tolist() == [n for _, n in costs]


def test_a_price_that_no_longer_fits_is_refused_and_names_the_change(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[1]], [[9]], [[2**61]])
    with pytest.raises(ScenarioInvalid, match=r"'price:tier-1=\+900%': .*fit into"):
        apply(problem, parse(["price:tier-1=+900%"]))


def test_capacity_changes_all_of_a_pool_or_one_resource_rounded_down(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[1, 1]], [[10, 33], [10, 33]], [[1, 1]])
    assert apply(problem, parse(["capacity:a=-25%"])).free.tolist() == [[7, 24], [10, 33]]
    assert apply(problem, parse(["capacity:b.memory_mib=+10%"])).free.tolist() == [[10, 33], [10, 36]]


def test_a_lost_pool_and_a_closed_tier_refuse_every_request_and_say_so(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[1], [1]], [[9], [9], [9]], [[1, 1, 1]] * 2)
    lost = apply(problem, parse(["pool:b=lost"]))
    assert lost.allowed().tolist() == [[True, False, True]] * 2
    closed = apply(lost, parse(["tier:tier-2=closed"]))
    assert closed.allowed().tolist() == [[True, False, False]] * 2
    assert [r.why for r in closed.rejections[0, 1]] == [
        "tier-2 is closed in this what-if",
        "b is lost in this what-if",
    ]
    assert problem.allowed().all()


@pytest.mark.parametrize(
    ("texts", "told"),
    [
        (["price:tier-1=+50%", "price:tier-1=+20%"], "'price:tier-1=+20%' changes the same as 'price:tier-1=+50%'; keep one of them"),
        (["grow=+5%", "pool:a=lost", "grow=+5%"], "'grow=+5%' changes the same as 'grow=+5%'; keep one of them"),
        (["capacity:b=+50%", "pool:b=lost"], "'capacity:b=+50%' contradicts 'pool:b=lost': nothing is left of b; leave one of them out"),
        (["tier:tier-2=closed", "capacity:b.vcpu=-5%"], "'capacity:b.vcpu=-5%' contradicts 'tier:tier-2=closed': nothing is left of b; leave one of them out"),
        (["price:tier-2=+5%", "tier:tier-2=closed"], "'price:tier-2=+5%' contradicts 'tier:tier-2=closed': nothing is left of b, c; leave one of them out"),
        (["pool:b=lost", "price:tier-2=+5%", "pool:c=lost"], "'price:tier-2=+5%' contradicts 'pool:b=lost': nothing is left of b, c; leave one of them out"),
    ],
)  # fmt: skip
def test_changes_that_contradict_each_other_are_refused_with_both(
    problem_of: Callable[..., PlacementProblem], texts: list[str], told: str
) -> None:
    problem = replace(problem_of([[1]], [[9]] * 3, [[1, 1, 1]]), tier_of=("tier-1", "tier-2", "tier-2"))
    with pytest.raises(ScenarioInvalid) as caught:
        apply(problem, parse(texts))
    assert caught.value.problems == (told,)


def test_what_is_only_partly_lost_can_change_too(problem_of: Callable[..., PlacementProblem]) -> None:
    problem = replace(problem_of([[1]], [[9]] * 3, [[1, 1, 2]]), tier_of=("tier-1", "tier-2", "tier-2"))
    some = ["pool:b=lost", "price:tier-2=+50%", "tier:tier-1=closed", "capacity:c=-50%"]
    changed = apply(problem, parse(some))
    assert changed.allowed().tolist() == [[False, False, True]]
    assert (int(changed.cost_micros[0, 2]), int(changed.free[2, 0])) == (3, 4)


def test_growth_copies_requests_in_proportion_with_their_rules(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of(
        [[1]] * 20 + [[4]] * 10,
        [[99], [99]],
        [[1, 2]] * 20 + [[4, 8]] * 10,
        refused=[(i, 1) for i in range(20)],
    )
    grown = apply(problem, parse(["grow=+30%"]))
    new = grown.demand[30:, 0].tolist()
    assert (new.count(1), new.count(4)) == (6, 3)
    assert len(set(grown.request_ids)) == 39
    assert all(name.endswith("+1") for name in grown.request_ids[30:])
    assert (grown.allowed()[:, 1] == (grown.demand[:, 0] == 4)).all()


def test_growth_beyond_double_numbers_its_copies_and_new_machines_run_nowhere(
    problem_of: Callable[..., PlacementProblem],
) -> None:
    problem = problem_of([[1]], [[99]], [[1]], current=[0])
    grown = apply(problem, parse(["grow=+250%"]))
    assert grown.request_ids == ("r0", "r0+1", "r0+2", "r0+3")
    assert np.array_equal(grown.current, [0, -1, -1, -1])


def test_nothing_grows_from_nothing(problem_of: Callable[..., PlacementProblem]) -> None:
    assert apply(problem_of([], [[9]], []), parse(["grow=+30%"])).request_ids == ()
