"""Quotas: what a tenant's machines take together, in number and of each resource."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.quotas import Quotas
from placement.periods import Periods
from placement.problem import InvalidProblem
from placement.solve import posted
from tierwise.testing.constraint_samples.quotas import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.promises import Setting
from tierwise.testing.constraints.scenes import after, at, racks, solved

TWO = Quotas(requests=("web",), limits={"machines": 2})
CPUS = Quotas(requests=("web",), limits={"vcpu": 5, "machines": 9}, used={"vcpu": 3})
IN_TURN = Periods(
    names=("in May", "in June"),
    first=np.array([0, 1, 1], dtype=np.int64),
    end=np.array([1, 2, 2], dtype=np.int64),
    taken=np.zeros((2, 4, 1), dtype=np.int64),
)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_so_are_they_where_not_all_are_there_at_the_same_time(seed: int) -> None:
    keeps_promises(sample, seed, Setting(times=True))


def test_the_third_of_two_stays_out_wherever_there_is_room() -> None:
    plan = solved(racks(TWO))
    (out,) = plan.unplaced
    assert all({why.rule_id for why in one.rejections} == {"quotas"} for one in out.candidates)


def test_what_others_used_is_gone_and_other_requests_are_not_counted() -> None:
    assert len(solved(racks(CPUS, requests=4)).unplaced) == 2
    only = CPUS.model_copy(update={"requests": ("r0", "r1")})
    assert len(solved(racks(only, requests=4)).unplaced) == 0


def test_a_running_machine_counts_like_a_new_one() -> None:
    plan = solved(racks(TWO, current=np.array([0, 0, 1], dtype=np.int64)))
    assert len(plan.unplaced) == 1


def test_who_is_never_there_together_does_not_add_up() -> None:
    one = TWO.model_copy(update={"limits": {"machines": 1}})
    assert len(solved(racks(one, periods=IN_TURN)).unplaced) == 1
    assert list(one.check(racks(periods=IN_TURN), at(racks(), "h0", "h0", "h1"))) == [
        "web: machines 2 is more than the quota of 1 in June"
    ]
    now = after(racks(periods=IN_TURN), None, "h0", None)
    assert one.blocked(now, 0) is None
    assert one.blocked(now, 2) is not None


def test_a_breach_gives_the_total_and_the_quota() -> None:
    assert not list(CPUS.check(racks(), at(racks(), "h0", None, "h1")))
    assert list(CPUS.check(racks(), at(racks(), "h0", "h0", "h1"))) == [
        "web: vcpu 6 is more than the quota of 5"
    ]


def test_who_needs_nothing_of_an_exhausted_quota_goes() -> None:
    exhausted = Quotas(requests=("web",), limits={"vcpu": 1}, used={"vcpu": 3})
    free_of_it = racks(exhausted, demand=np.array([[0], [1], [0]], dtype=np.int64))
    assert [one.request_id for one in solved(free_of_it).unplaced] == ["r1"]
    now = after(free_of_it, None, None, None)
    assert exhausted.blocked(now, 0) is None
    assert exhausted.blocked(now, 1) is not None


def test_a_refusal_says_limit_used_need_and_what_else_helps() -> None:
    now = after(racks(), "h0", "h0", None)
    blocked = CPUS.blocked(now, 2)
    assert blocked is not None
    assert blocked.all()
    assert TWO.blocked(after(racks(), "h0", None, None), 2) is None
    (why,) = CPUS.why(now, 2, 3)
    assert (why.pool, why.dimension, why.limit, why.need) == ("b", "vcpu", "5 vCPU", "1 vCPU")
    assert str(why) == (
        "the quota of web is 5 vCPU, 5 vCPU of it in use: 1 more vCPU would be needed; "
        "raise the quota by 1 vCPU, delete machines of web on any host, or order a smaller size"
    )
    (number,) = TWO.why(now, 2, 0)
    assert str(number) == (
        "the quota of web is 2 machines, 2 machines of it in use: 1 more machine would be needed; "
        "raise the quota by 1 machine, or delete machines of web on any host"
    )


def test_a_quota_is_a_packing() -> None:
    assert posted(racks(CPUS)).plain


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"requests": ["db"]}, "constraints[0].requests[0]: there is no request or group 'db'"),
        (
            {"limits": {"gpu": 1}},
            "constraints[0].limits.gpu: there is no such resource class; there are vcpu, machines",
        ),
    ],
)
def test_wrong_data_is_refused_with_its_path(data: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidProblem) as refused:
        racks(Quotas.model_validate({"requests": ["web"], "limits": {"vcpu": 1}, **data}))
    assert str(refused.value) == message


@pytest.mark.parametrize(
    "data",
    [{"limits": {}}, {"limits": {"vcpu": -1}}, {"limits": {"vcpu": 1.5}}, {"used": {"memory_mib": 1}}],
)
def test_what_cannot_be_meant_is_refused_at_once(data: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Quotas.model_validate({"requests": ["web"], "limits": {"vcpu": 1}, **data})
