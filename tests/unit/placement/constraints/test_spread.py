"""Spread: counts of a group's members in domains that do not differ much, as a must or as a wish."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.spread import Spread
from placement.problem import InvalidProblem
from tierwise.testing.constraint_samples.spread import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.promises import Setting
from tierwise.testing.constraints.recorded import Recorded
from tierwise.testing.constraints.scenes import after, at, hosts_of, racks, solved

SITES = Spread(requests=("web",), label="site")
RACKS = Spread(requests=("web",), label="rack")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed, Setting(told_costs="no more"))


def test_four_over_two_sites_are_two_and_two_though_one_is_dearer() -> None:
    plan = solved(racks(SITES, requests=4))
    assert Counter(str(host) in {"h0", "h1"} for host in hosts_of(plan)) == {True: 2, False: 2}


def test_an_empty_domain_holds_the_others_down() -> None:
    hosts = Spread(requests=("web",), label="host", domains=("h0", "h1"))
    assert Counter(hosts_of(solved(racks(hosts, requests=5)))) == {"h0": 2, "h1": 2, None: 1}
    assert [str(text) for text in hosts.check(racks(), at(racks(), "h0", "h0", None))] == [
        "web: host counts differ by 2, more than 1: h0 2, h1 0"
    ]


def test_a_larger_skew_is_cheaper() -> None:
    costs = [
        solved(racks(SITES.model_copy(update={"max_skew": skew}), requests=4)).cost_micros
        for skew in (1, 2, 4)
    ]
    assert costs == [12, 8, 4]


def test_the_unplaced_do_not_count() -> None:
    assert not list(SITES.check(racks(), at(racks(), "h0", None, None)))
    assert not list(SITES.check(racks(), at(racks(), None, None, None)))


def test_the_wish_costs_for_each_unit_of_skew_and_each_member_outside() -> None:
    wish = RACKS.model_copy(update={"penalty_micros": 3})
    assert wish.cost(racks(), at(racks(), "h0", "h0", "h2")) == {"penalties": 6}
    assert wish.cost(racks(), at(racks(), "h0", "h0", "h1")) == {"penalties": 0}
    assert wish.cost(racks(), at(racks(), "h0", "h0", "h3")) == {"penalties": 6}
    sites = SITES.model_copy(update={"penalty_micros": 3})
    assert solved(racks(sites, requests=4)).terms == {"price": 3 + 5, "penalties": 3}
    dear = SITES.model_copy(update={"penalty_micros": 5})
    assert solved(racks(dear, requests=4)).terms["penalties"] == 0


def test_of_a_wish_the_online_kernel_sees_who_is_outside() -> None:
    wish = RACKS.model_copy(update={"penalty_micros": 3})
    kernel = Recorded(racks(wish))
    wish.admit(kernel)
    assert kernel.cost(at(racks(), "h3", "h3", "h0")) == {"penalties": 6}
    assert kernel.holds(at(racks(), "h0", "h0", "h0"))


@pytest.mark.parametrize(("min_domains", "placed"), [(1, 5), (2, 5), (3, 4)])
def test_with_fewer_domains_than_asked_for_each_has_no_more_than_the_skew(
    min_domains: int, placed: int
) -> None:
    two = Spread(requests=("web",), label="rack", max_skew=2, min_domains=min_domains)
    plan = solved(racks(two, requests=5))
    assert len([host for host in hosts_of(plan) if host is not None]) == placed
    few = at(racks(requests=5), "h0", "h0", "h2", "h1", "h1")
    assert list(two.check(racks(requests=5), few)) == (
        ["web: rack counts reach 3, more than 2: r1 3, r2 2"] if placed == 4 else []
    )


def test_a_refusal_says_that_there_are_too_few_domains() -> None:
    three = Spread(requests=("web",), label="rack", min_domains=3)
    now = after(racks(), "h0", None, None)
    assert three.blocked(now, 1).tolist() == [True, False, True, True]
    (why,) = three.why(now, 1, 2)
    assert (why.limit, why.need) == ("skew 1", "skew 2")
    assert str(why) == (
        "web would have 2 in rack r1, more than 1, and the least counts as 0 with fewer than 3 to spread over; "
        "add another rack for web, or allow a larger max_skew"
    )
    both = after(racks(), "h0", "h1", None)
    assert three.blocked(both, 2).all()


def test_a_breach_gives_the_counts() -> None:
    assert not list(RACKS.check(racks(), at(racks(), "h0", "h0", "h1")))
    assert list(RACKS.check(racks(), at(racks(), "h0", "h0", "h2"))) == [
        "web: rack counts differ by 3, more than 1: r1 3, r2 0"
    ]
    assert list(RACKS.check(racks(), at(racks(), "h3", None, None))) == [
        "r0: is in no rack that web may be in"
    ]


def test_a_refusal_gives_the_counts_as_they_would_be() -> None:
    now = after(racks(), "h0", None, None)
    blocked = RACKS.blocked(now, 1)
    assert blocked is not None
    assert blocked.tolist() == [True, False, True, True]
    (uneven,), (nowhere,) = (list(RACKS.why(now, 1, v)) for v in (2, 3))
    assert str(uneven) == (
        "web would have 2 in rack r1 and 0 in r2, which differ by more than 1; "
        "place more of web in r2 first, or allow a larger max_skew"
    )
    assert (uneven.pool, uneven.limit, uneven.need) == ("b", "skew 1", "skew 2")
    assert nowhere.need == "a rack"


def test_a_domain_that_is_not_eligible_says_which_are() -> None:
    some = SITES.model_copy(update={"domains": ("fra",)})
    now = after(racks(), "h0", "h0", None)
    blocked = some.blocked(now, 2)
    assert blocked is not None
    assert blocked.tolist() == [False, False, True, True]
    assert [str(why) for why in some.why(now, 2, 2)] == [
        "web is spread over fra, and h2 is in nl; make room in fra, or add nl to the domains"
    ]


def test_lifting_the_emptiest_domain_is_not_blocked() -> None:
    now = after(racks(requests=4), "h0", "h0", "h2", None)
    blocked = SITES.blocked(now, 3)
    assert blocked is not None
    assert blocked.tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"requests": ["db"]}, "constraints[0].requests[0]: there is no request or group 'db'"),
        ({"label": "row"}, "constraints[0].label: there is no label 'row'; there are"),
        (
            {"domains": ["fra", "ams"]},
            "constraints[0].domains[1]: no site is called 'ams'; there are fra, nl",
        ),
    ],
)
def test_wrong_data_is_refused_with_its_path(data: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidProblem) as refused:
        racks(Spread.model_validate({"requests": ["web"], "label": "site", **data}))
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    "data", [{"max_skew": 0}, {"min_domains": 0}, {"domains": []}, {"penalty_micros": 0}, {"requests": []}]
)
def test_what_cannot_be_meant_is_refused_at_once(data: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Spread.model_validate({"requests": ["web"], "label": "site", **data})
