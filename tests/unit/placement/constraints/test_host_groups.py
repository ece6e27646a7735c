"""Host groups: requests and the hosts that they must, must not, should or should not run on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.host_groups import HostGroups
from placement.problem import InvalidProblem
from tierwise.testing.constraint_samples.host_groups import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.scenes import after, at, hosts_of, racks, solved

MUST = HostGroups(requests=("r0", "r1"), providers=("b",), relation="must")
NOT = HostGroups(requests=("r0",), providers=("h0", "b"), relation="must_not")
SHOULD = HostGroups(requests=("web",), providers=("h0",), relation="should", penalty_micros=3)
SHOULD_NOT = HostGroups(requests=("web",), providers=("a",), relation="should_not", penalty_micros=3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed)


def test_a_pool_means_all_of_its_hosts() -> None:
    assert {str(host) for host in hosts_of(solved(racks(MUST)))[:2]} <= {"h2", "h3"}


def test_what_must_not_be_leaves_the_rest() -> None:
    assert hosts_of(solved(racks(NOT)))[0] == "h1"


def test_a_wish_is_kept_while_it_is_cheaper_than_breaking_it() -> None:
    assert solved(racks(SHOULD)).terms == {"price": 3, "penalties": 3}
    assert solved(racks(SHOULD_NOT)).terms == {"price": 3, "penalties": 9}
    dear = SHOULD_NOT.model_copy(update={"penalty_micros": 5})
    assert solved(racks(dear)).terms == {"price": 15, "penalties": 0}


def test_a_wish_costs_for_each_machine_against_it_and_nothing_for_the_unplaced() -> None:
    assert SHOULD.cost(racks(), at(racks(), "h0", "h1", None)) == {"penalties": 3}
    assert SHOULD_NOT.cost(racks(), at(racks(), "h0", "h1", "h2")) == {"penalties": 6}
    assert not list(SHOULD.check(racks(), at(racks(), "h1", "h1", "h2")))


def test_a_breach_names_the_machine_and_the_hosts() -> None:
    assert list(MUST.check(racks(), at(racks(), "h2", "h0", "h0"))) == ["r1: is on h0, but must be on b"]
    assert list(NOT.check(racks(), at(racks(), "h3", "h0", None))) == [
        "r0: is on h3, but must not be on h0 and b"
    ]


def test_a_refusal_says_which_hosts_are_meant() -> None:
    now = after(racks(), None, None, None)
    must, mustnt = MUST.blocked(now, 1), NOT.blocked(now, 0)
    assert must is not None
    assert mustnt is not None
    assert must.tolist() == [True, True, False, False]
    assert mustnt.tolist() == [True, False, True, True]
    assert MUST.blocked(now, 2) is None
    assert SHOULD.blocked(now, 0) is None
    assert [str(why) for why in MUST.why(now, 1, 0)] == [
        "r0 and r1 must run on b, and h0 is not among them; make room on b, or add h0 to the rule"
    ]
    assert [str(why) for why in NOT.why(now, 0, 2)] == [
        "r0 must not run on h0 and b, and h2 is among them; choose another host, or take h2 out of the rule"
    ]


def test_unknown_names_are_refused_with_their_path() -> None:
    with pytest.raises(InvalidProblem) as refused:
        racks(MUST.model_copy(update={"providers": ("b", "h9")}))
    assert str(refused.value).startswith("constraints[0].providers[1]: there is no host or pool 'h9'")
    with pytest.raises(InvalidProblem, match="no request or group 'db'"):
        racks(MUST.model_copy(update={"requests": ("db",)}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"relation": "should"}, "penalty_micros: should needs one"),
        ({"relation": "must", "penalty_micros": 3}, "penalty_micros: must has none; use should"),
        ({"relation": "shall"}, "must_not"),
        ({"relation": "must", "providers": []}, "at least 1 item"),
    ],
)
def test_what_cannot_be_meant_is_refused_at_once(data: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        HostGroups.model_validate({"requests": ["web"], "providers": ["a"], **data})
