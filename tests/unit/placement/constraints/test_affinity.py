"""Affinity: members in one domain, as a must or as a wish."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.affinity import Affinity
from placement.model import Model
from placement.problem import InvalidProblem
from tierwise.testing.constraint_samples.affinity import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.promises import Setting
from tierwise.testing.constraints.scenes import after, at, hosts_of, racks, solved


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed, Setting(told_costs="no more"))


def test_three_that_stay_on_one_host_of_two_leave_one_out() -> None:
    hosts = Counter(hosts_of(solved(racks(Affinity(requests=("web",))))))
    assert sorted(hosts.values()) == [1, 2]
    assert hosts[None] == 1


def test_a_rack_over_two_pools_holds_three() -> None:
    plan = solved(racks(Affinity(requests=("web",), label="rack")))
    assert Counter(hosts_of(plan)) == {"h0": 2, "h2": 1}


def test_who_is_not_a_member_goes_where_it_is_cheap() -> None:
    plan = solved(racks(Affinity(requests=("r0", "r1"), label="rack"), requests=5))
    assert None not in hosts_of(plan)
    assert plan.cost_micros == 4 * 1 + 5


def test_the_wish_is_paid_for_by_who_is_outside_the_largest_domain() -> None:
    wish = Affinity(requests=("web",), penalty_micros=3)
    plan = solved(racks(wish))
    assert plan.cost_micros == 3 * 1 + 3
    assert wish.cost(racks(), at(racks(), "h0", "h0", "h1")) == {"penalties": 3}
    assert wish.cost(racks(), at(racks(), "h0", "h2", "h1")) == {"penalties": 6}
    assert wish.cost(racks(), at(racks(), "h0", None, None)) == {"penalties": 0}


def test_a_member_in_no_domain_is_outside_and_alone() -> None:
    wish = Affinity(requests=("web",), label="rack", penalty_micros=3)
    assert wish.cost(racks(), at(racks(), "h3", "h3", "h0")) == {"penalties": 6}
    assert not list(wish.check(racks(), at(racks(), "h3", "h3", "h0")))


def test_a_cheap_host_in_no_rack_is_paid_for_while_that_is_cheaper() -> None:
    cheap_b = np.tile(np.array([5, 1], dtype=np.int64), (3, 1))
    wish = Affinity(requests=("web",), label="rack", penalty_micros=3)
    assert solved(racks(wish, cost_micros=cheap_b)).terms == {"price": 1 + 1 + 1, "penalties": 3}
    dear = wish.model_copy(update={"penalty_micros": 5})
    assert solved(racks(dear, cost_micros=cheap_b)).terms == {"price": 1 + 1 + 5, "penalties": 0}


def test_where_the_others_are_apart_already_no_place_puts_it_right() -> None:
    blocked = Affinity(requests=("web",)).blocked(after(racks(), "h0", "h1", None), 2)
    assert blocked is not None
    assert blocked.all()


def test_a_breach_names_who_is_where() -> None:
    must = Affinity(requests=("web",), label="rack")
    assert not list(must.check(racks(), at(racks(), "h0", "h2", None)))
    assert list(must.check(racks(), at(racks(), "h0", "h1", "h2"))) == [
        "web: must be in one rack, not 2: r0 and r2 in r1; r1 in r2"
    ]
    assert list(must.check(racks(), at(racks(), None, "h3", None))) == ["r1: is where there is no rack"]


def test_a_refusal_says_where_the_others_are() -> None:
    must = Affinity(requests=("web",), label="rack")
    now = after(racks(), "h0", "h2", None)
    blocked = must.blocked(now, 2)
    assert blocked is not None
    assert blocked.tolist() == [False, True, False, True]
    (other, none) = (next(iter(must.why(now, 2, v))) for v in (1, 3))
    assert str(other) == (
        "the members of web stay in one rack, and the 2 placed so far are in r1, not on h1, which is in r2; "
        "make room in r1, or only wish for it with penalty_micros"
    )
    assert (other.rule_id, other.pool, other.dimension) == ("affinity", "a", "rack")
    assert str(none) == (
        "h3 has no rack, so nobody knows whom its machines share one with; "
        "give h3 a value of the label rack"
    )


def test_who_is_no_member_is_never_blocked_and_the_only_one_is_free_to_go() -> None:
    must = Affinity(requests=("r0", "r1"))
    assert must.blocked(after(racks(), "h0", "h0", None), 2) is None
    alone = must.blocked(after(racks(), "h0", None, None), 0)
    assert alone is not None
    assert not alone.any()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            {"requests": ["web", "wep"]},
            "constraints[0].requests[1]: there is no request or group 'wep'; did you mean 'web'?",
        ),
        (
            {"label": "row"},
            "constraints[0].label: there is no label 'row'; there are host, pool, tier, rack, site",
        ),
        (
            {"label": "zone"},
            "constraints[0].label: no host or pool has a value of the label 'zone'; give them one",
        ),
    ],
)
def test_wrong_data_is_refused_with_its_path(data: dict[str, object], message: str) -> None:
    labels = {"site": ("fra", "nl")}
    if data.get("label") == "zone":
        labels["zone"] = ("", "")
    with pytest.raises(InvalidProblem) as refused:
        racks(Affinity.model_validate({"requests": ["web"], **data}), labels=labels)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "data", [{"requests": []}, {"penalty_micros": 0}, {"penalty_micros": 1.5}, {"rack": "r1"}]
)
def test_what_cannot_be_meant_is_refused_at_once(data: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Affinity.model_validate({"requests": ["web"], **data})


def test_classes_tell_members_from_others() -> None:
    assert Model(racks(Affinity(requests=("r0", "r1")))).classes.count.tolist() == [1, 2]
