"""Traits: what providers have, and what requests require, accept or forbid."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.traits import Traits
from placement.model import Model
from placement.problem import InvalidProblem
from placement.solve import posted
from tierwise.testing.constraint_samples.traits import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.scenes import after, at, hosts_of, racks, solved

HAVE = {"b": ["STORAGE_SSD"], "h1": ["HW_GPU", "ha_restart"], "h3": ["HW_GPU"]}


def wanting(**requests: Mapping[str, object]) -> Traits:
    return Traits.model_validate({"providers": HAVE, "requests": requests})


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed)


@pytest.mark.parametrize(
    ("wanted", "hosts"),
    [
        ({"required": ["HW_GPU"]}, {"h1", "h3"}),
        ({"required": ["HW_GPU", "STORAGE_SSD"]}, {"h3"}),
        ({"forbidden": ["HW_GPU"]}, {"h0", "h2"}),
        ({"any_of": [["ha_restart", "STORAGE_SSD"]]}, {"h1", "h2", "h3"}),
        ({"any_of": [["ha_restart", "STORAGE_SSD"], ["HW_GPU"]]}, {"h1", "h3"}),
        ({"any_of": [["ha_restart", "STORAGE_SSD"]], "forbidden": ["HW_GPU"]}, {"h2"}),
        ({"required": ["HW_TPU"]}, set()),
        ({}, {"h0", "h1", "h2", "h3"}),
    ],
)
def test_hosts_that_suit_are_those_counted_by_hand(wanted: dict[str, object], hosts: set[str]) -> None:
    problem = racks(wanting(web=wanted))
    upper = posted(problem).upper
    assert {name for v, name in enumerate(problem.providers.ids) if upper[0, v]} == hosts


def test_what_is_said_of_a_request_and_of_its_group_holds_together() -> None:
    problem = racks(wanting(web={"required": ["HW_GPU"]}, r1={"required": ["STORAGE_SSD"]}))
    assert hosts_of(solved(problem))[1] == "h3"
    assert list(problem.constraints[0].check(problem, at(problem, "h1", "h1", "h2"))) == [
        "r1: h1 has no STORAGE_SSD",
        "r2: h2 has no HW_GPU",
    ]


def test_a_refusal_names_what_is_missing_and_who_has_it() -> None:
    problem = racks(wanting(r0={"required": ["STORAGE_SSD"], "forbidden": ["ha_restart"]}))
    (rule,) = problem.constraints
    now = after(problem, None, None, None)
    blocked = rule.blocked(now, 0)
    assert blocked is not None
    assert blocked.tolist() == [True, True, False, False]
    assert rule.blocked(now, 1) is None
    assert [str(why) for why in rule.why(now, 0, 1)] == [
        "r0 needs STORAGE_SSD, and h1 has no STORAGE_SSD; make room on h2 and h3, where STORAGE_SSD is",
        "r0 must not have ha_restart, and h1 has ha_restart; choose a host without ha_restart, or do not forbid it",
    ]


def test_a_trait_that_nobody_has_is_told_as_such() -> None:
    problem = racks(wanting(r0={"any_of": [["HW_TPU", "HW_FPGA"]]}))
    (why,) = problem.constraints[0].why(after(problem, None, None, None), 0, 0)
    assert (why.dimension, why.remedy) == ("HW_FPGA or HW_TPU", "add a host with HW_FPGA or HW_TPU")
    assert [one.request_id for one in solved(problem).unplaced] == ["r0"]


def test_requests_that_want_the_same_are_one_class() -> None:
    same = {name: {"required": ["HW_GPU", "STORAGE_SSD"]} for name in ("r0", "r1")}
    other = {"r2": {"required": ["STORAGE_SSD", "HW_GPU"]}}
    assert Model(racks(wanting(**same, **other))).classes.count.tolist() == [3]
    assert Model(racks(wanting(**same))).classes.count.tolist() == [1, 2]


def test_unknown_names_are_refused_with_their_path() -> None:
    with pytest.raises(
        InvalidProblem, match=r"constraints\[0\].requests\[0\]: there is no request or group 'db'"
    ):
        racks(wanting(db={}))
    with pytest.raises(
        InvalidProblem, match=r"constraints\[0\].providers\[0\]: there is no host or pool 'h9'"
    ):
        racks(Traits.model_validate({"providers": {"h9": []}, "requests": {}}))


@pytest.mark.parametrize(
    "wanted",
    [
        {"required": ["HW_GPU"], "forbidden": ["HW_GPU"]},
        {"any_of": [["HW_GPU"]], "forbidden": ["HW_GPU"]},
        {"any_of": [[]]},
        {"required": ["Hw_gpu"]},
        {"required": [""]},
    ],
)
def test_what_cannot_be_met_is_refused_at_once(wanted: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        wanting(web=wanted)
