"""Networks: what providers reach and requests need."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.networks import Networks
from placement.model import Model
from placement.problem import InvalidProblem
from placement.solve import posted
from tierwise.testing.constraint_samples.networks import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.scenes import after, at, hosts_of, racks, solved

REACH = {"a": ["lan"], "h1": ["dmz"], "h2": ["dmz", "lan"]}


def needing(**requests: list[str]) -> Networks:
    return Networks.model_validate({"providers": REACH, "requests": requests})


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed)


@pytest.mark.parametrize(
    ("needs", "hosts"),
    [
        (["lan"], {"h0", "h1", "h2"}),
        (["dmz", "lan"], {"h1", "h2"}),
        (["backup"], set()),
        ([], {"h0", "h1", "h2", "h3"}),
    ],
)
def test_hosts_that_reach_all_are_those_counted_by_hand(needs: list[str], hosts: set[str]) -> None:
    problem = racks(needing(web=needs))
    upper = posted(problem).upper
    assert {name for v, name in enumerate(problem.providers.ids) if upper[0, v]} == hosts


def test_a_request_needs_what_its_group_needs_too() -> None:
    problem = racks(needing(web=["lan"], r2=["dmz"]))
    assert hosts_of(solved(problem))[2] == "h1"
    assert list(problem.constraints[0].check(problem, at(problem, "h3", None, "h0"))) == [
        "r0: h3 does not reach lan",
        "r2: h0 does not reach dmz",
    ]


def test_a_refusal_names_the_network_and_who_reaches_it() -> None:
    problem = racks(needing(r0=["dmz", "backup"]))
    (rule,) = problem.constraints
    now = after(problem, None, None, None)
    assert rule.blocked(now, 1) is None
    blocked = rule.blocked(now, 0)
    assert blocked is not None
    assert blocked.all()
    assert [str(why) for why in rule.why(now, 0, 0)] == [
        "r0 needs the network backup, which h0 does not reach; connect h0 to backup",
        "r0 needs the network dmz, which h0 does not reach; connect h0 to dmz, or make room on h1 and h2",
    ]


def test_requests_that_need_the_same_are_one_class() -> None:
    classes = Model(racks(needing(r0=["lan", "dmz"], r1=["dmz", "lan"], r2=["lan"]))).classes
    assert sorted(classes.count.tolist()) == [1, 2]


def test_unknown_names_are_refused_with_their_path() -> None:
    with pytest.raises(
        InvalidProblem, match=r"constraints\[0\].requests\[0\]: there is no request or group 'db'"
    ):
        racks(needing(db=["lan"]))
    with pytest.raises(
        InvalidProblem, match=r"constraints\[0\].providers\[0\]: there is no host or pool 'h9'"
    ):
        racks(Networks.model_validate({"providers": {"h9": []}, "requests": {}}))


def test_a_network_has_a_name() -> None:
    with pytest.raises(ValidationError):
        needing(web=[""])
