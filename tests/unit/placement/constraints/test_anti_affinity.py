"""Anti-affinity: no domain has too many members, as a must or as a wish."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.anti_affinity import AntiAffinity
from placement.problem import InvalidProblem
from placement.solve import posted, solve
from tierwise.testing.constraint_samples.anti_affinity import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.scenes import after, at, hosts_of, racks, solved


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed)


def test_three_apart_take_three_hosts_though_two_would_be_cheaper() -> None:
    plan = solved(racks(AntiAffinity(requests=("web",))))
    assert len(set(hosts_of(plan)) - {None}) == 3
    assert plan.cost_micros == 1 + 1 + 5


def test_two_racks_take_two_of_three_and_the_third_is_told_why() -> None:
    plan = solved(racks(AntiAffinity(requests=("web",), label="rack")))
    (out,) = plan.unplaced
    assert {why.rule_id for one in out.candidates for why in one.rejections} == {"anti_affinity"}


def test_most_is_how_many_share_a_domain() -> None:
    plan = solved(racks(AntiAffinity(requests=("web",), label="site", most=2)))
    assert Counter(str(host)[:1] for host in hosts_of(plan)) == {"h": 3}
    assert plan.cost_micros == 1 + 1 + 5


def test_the_wish_costs_for_each_in_excess_and_for_each_in_no_domain() -> None:
    wish = AntiAffinity(requests=("web",), label="rack", penalty_micros=3)
    assert wish.cost(racks(), at(racks(), "h0", "h2", "h0")) == {"penalties": 6}
    assert wish.cost(racks(), at(racks(), "h0", "h1", "h3")) == {"penalties": 3}
    assert wish.cost(racks(), at(racks(), "h0", "h1", None)) == {"penalties": 0}
    assert solved(racks(wish)).terms == {"price": 3, "penalties": 3}


def test_a_breach_names_the_domain_and_who_is_there() -> None:
    must = AntiAffinity(requests=("r0", "r2"), label="rack")
    assert not list(must.check(racks(), at(racks(), "h0", "h0", "h1")))
    assert list(must.check(racks(), at(racks(), "h0", "h1", "h2"))) == [
        "rack r1: r0 and r2 are 2 of r0 and r2, more than 1"
    ]
    assert list(must.check(racks(), at(racks(), "h0", None, "h3"))) == ["r2: is where there is no rack"]


def test_a_refusal_says_how_many_are_there() -> None:
    must = AntiAffinity(requests=("web",), label="rack")
    now = after(racks(), "h0", None, None)
    blocked = must.blocked(now, 1)
    assert blocked is not None
    assert blocked.tolist() == [True, False, True, True]
    (full,), (nowhere,) = (list(must.why(now, 1, v)) for v in (2, 3))
    assert str(full) == (
        "at most 1 of web may be in one rack, and r1 has 1 already; "
        "add another rack for web, or allow more than 1 in one"
    )
    assert (full.pool, full.limit, full.need) == ("b", "1 in one rack", "2 in r1")
    assert nowhere.need == "a rack"


def test_where_the_others_are_too_many_already_no_place_puts_it_right() -> None:
    must = AntiAffinity(requests=("web",))
    now = after(racks(), "h0", "h0", None)
    blocked = must.blocked(now, 2)
    assert blocked is not None
    assert blocked.all()
    (why,) = must.why(now, 2, 3)
    assert "and h0 has 2 already" in why.why


def test_where_it_must_hold_it_is_a_packing_that_counting_solves_too() -> None:
    problem = racks(AntiAffinity(requests=("web",)), requests=4)
    assert posted(problem).plain
    counted, exact = (solve(problem, way=way) for way in ("counts", "exact"))
    assert counted.cost_micros == exact.cost_micros == 1 + 1 + 5 + 5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"requests": ["r9"]},
            "constraints[0].requests[0]: there is no request or group 'r9'",
        ),
        ({"label": "row"}, "constraints[0].label: there is no label 'row'"),
    ],
)
def test_wrong_data_is_refused_with_its_path(data: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidProblem) as refused:
        racks(AntiAffinity.model_validate({"requests": ["web"], **data}))
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize("data", [{"most": 0}, {"most": True}, {"penalty_micros": -1}, {"requests": []}])
def test_what_cannot_be_meant_is_refused_at_once(data: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        AntiAffinity.model_validate({"requests": ["web"], **data})
