"""NUMA nodes: facts by hand, and every plan of small problems by trying."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.numa import Node, Numa, OnNodes
from placement.placed import placed
from placement.problem import InvalidProblem, PlacementProblem
from placement.seats import Seats
from placement.solve import solve
from tierwise.testing.constraint_samples.numa import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.promises import Setting
from tierwise.testing.constraints.recorded import Recorded
from tierwise.testing.constraints.scenes import after, may_to_june, two_hosts
from tierwise.testing.placement import small_problem

SOME = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 2**32 - 1)

TWO_NODES = (
    Node(free={"vcpu": 4, "memory_mib": 8}, pinned_free=2),
    Node(free={"vcpu": 4, "memory_mib": 4}, pinned_free=4),
)


def on(requests: Mapping[str, OnNodes], hosts: Mapping[str, tuple[Node, ...]] | None = None) -> Numa:
    return Numa(hosts=hosts or {"h0": TWO_NODES}, requests=requests)


def seats(provider_of: list[int], masks: list[int] | None = None) -> Seats:
    chosen = {} if masks is None else {"numa": np.array(masks, dtype=np.int64)}
    return Seats(np.array(provider_of, dtype=np.int64), chosen)


def nodes_chosen(problem: PlacementProblem) -> list[str | None]:
    return [a.choices.get("numa") for a in solve(problem, way="exact").assignments]


def test_a_machine_on_one_node_goes_to_the_only_node_with_enough_memory() -> None:
    assert nodes_chosen(two_hosts((2, 6), constraint=on({"r0": OnNodes()}))) == ["0"]


def test_a_machine_on_two_nodes_takes_half_from_each_rounded_up() -> None:
    numa = on({"r0": OnNodes(nodes=2)})
    assert nodes_chosen(two_hosts((7, 7), constraint=numa)) == ["0+1"]
    assert nodes_chosen(two_hosts((9, 7), constraint=numa)) == [None]
    assert list(numa.check(two_hosts((9, 7)), seats([0], [3]))) == [
        "h0, node 0: vcpu 5 is more than the 4 that is free",
        "h0, node 1: vcpu 5 is more than the 4 that is free",
    ]


def test_a_pinned_machine_takes_dedicated_cpus_and_leaves_the_shared_ones() -> None:
    numa = on({"r0": OnNodes(pinned=True), "r1": OnNodes()})
    assert sorted(map(str, nodes_chosen(two_hosts((4, 1), (4, 3), constraint=numa)))) in (
        ["0", "1"],
        ["1", "1"],
    )
    problem = two_hosts((4, 1), (4, 3))
    assert list(numa.check(problem, seats([0, 0], [2, 2]))) == []
    assert list(numa.check(problem, seats([0, 0], [1, 2]))) == [
        "h0, node 0: pinned 4 is more than the 2 that is free"
    ]


def test_hosts_without_nodes_take_only_who_asks_for_none() -> None:
    problem = two_hosts((1, 99), (2, 2), constraint=on({"r1": OnNodes()}))
    plan = solve(problem, way="exact")
    assert plan.assignments[1].host == "h0"
    assert plan.assignments[0].host == "h1"
    assert plan.assignments[0].choices == {}


def test_the_checker_names_each_wrong_set_of_nodes() -> None:
    numa, problem = on({"r0": OnNodes(), "r1": OnNodes(nodes=2)}), two_hosts((1, 1), (1, 1), (1, 1))
    assert list(numa.check(problem, seats([0, 1, 0], [3, 3, 1]))) == [
        "r0: on node 0+1 of h0 (2 nodes), needs 1",
        "r1: on node 0+1 of h1 (0 nodes), needs 2",
        "r2: on node 0 of h0 (2 nodes), needs 0",
    ]
    assert list(numa.check(problem, seats([0, -1, 0]))) == ["r0: on node none of h0 (2 nodes), needs 1"]


def test_machines_that_are_never_there_together_share_a_node() -> None:
    numa = on({"r0": OnNodes(), "r1": OnNodes()})
    apart, together = may_to_june((0, 1), (1, 2)), may_to_june((0, 1), (0, 2))
    asked = (3, 5), (3, 5)
    assert nodes_chosen(two_hosts(*asked, constraint=numa, periods=apart)) == ["0", "0"]
    assert None in nodes_chosen(two_hosts(*asked, constraint=numa, periods=together))
    assert list(numa.check(two_hosts(*asked, periods=together), seats([0, 0], [1, 1]))) == [
        "h0, node 0: memory_mib 10 is more than the 8 that is free in May",
        "h0, node 0: vcpu 6 is more than the 4 that is free in May",
    ]
    for periods, blocked in (apart, False), (together, True):
        problem = two_hosts(*asked, periods=periods)
        after = placed(problem, np.array([0, -1]), {"numa": np.array([1, -1])})
        assert numa.blocked(after, 1).tolist() == [blocked, True]


def test_the_reasons_tell_what_is_short_on_how_many_nodes() -> None:
    numa = on({"r0": OnNodes(), "r1": OnNodes(), "r2": OnNodes(nodes=2, pinned=True)})
    problem = two_hosts((4, 8), (3, 6), (8, 2), constraint=numa)
    after = placed(problem, np.array([0, -1, -1]), {"numa": np.array([1, -1, -1])})
    (reason,) = numa.why(after, 1, 0)
    assert (reason.dimension, reason.limit, reason.need) == ("memory_mib", "4 MiB", "6 MiB")
    assert str(reason) == (
        "6 MiB of memory would have to be free on one NUMA node of h0, where only 4 MiB are left; "
        "order a smaller size, split it over more nodes, or free room there"
    )
    assert [r.why for r in numa.why(after, 2, 0)] == [
        "1 MiB of memory would have to be free on each of 2 NUMA nodes of h0, where only 0 MiB are left",
        "4 dedicated CPUs would have to be free on each of 2 NUMA nodes of h0, where only 2 CPUs are left",
    ]
    assert [r.why for r in numa.why(after, 1, 1)] == ["h1 has no NUMA nodes to sit on, 1 are needed"]


def test_room_on_different_nodes_is_said_to_be_no_room() -> None:
    nodes = Node(free={"vcpu": 1, "memory_mib": 9}), Node(free={"vcpu": 9, "memory_mib": 1})
    numa = on({"r0": OnNodes()}, {"h0": nodes})
    (reason,) = numa.why(placed(two_hosts((5, 5)), np.array([-1])), 0, 0)
    assert (
        reason.why
        == "what the machine takes on one NUMA node of h0 is free there, but not on the same nodes"
    )


@pytest.mark.parametrize(
    ("numa", "message"),
    [
        (on({"r0": OnNodes()}, {"h7": TWO_NODES}), "hosts.h7: there is no such host"),
        (on({"r9": OnNodes()}), "requests.r9: there is no request or group 'r9'"),
        (
            on({"r0": OnNodes(), "all": OnNodes(nodes=2)}),
            "requests.all: 'r0' says something else of 'r0'; say it once",
        ),
        (
            on({}, {"h0": (Node(free={"gpu": 1}),)}),
            "hosts.h0[0].free.gpu: not a resource class here; there are vcpu, memory_mib",
        ),
        (
            on({}, {"h0": (Node(free={"vcpu": 1}), Node(free={}))}),
            "hosts.h0[1].free: says nothing of vcpu, which other nodes give; give it for all or for none",
        ),
    ],
)
def test_wrong_data_is_refused_with_its_path(numa: Numa, message: str) -> None:
    problem = replace(two_hosts((1, 1)), groups={"all": ("r0",)})
    with pytest.raises(InvalidProblem) as caught:
        replace(problem, constraints=(numa,))
    assert str(caught.value) == f"constraints[0].{message}"


def test_pools_pinning_without_vcpus_and_a_second_one_are_refused() -> None:
    numa = on({"r0": OnNodes(pinned=True)}, {"h0": (Node(free={}),)})
    with pytest.raises(InvalidProblem, match="this problem places on pools; give it hosts"):
        replace(small_problem(1, hosts=False), constraints=(numa,))
    with pytest.raises(InvalidProblem, match="another constraint of this kind"):
        replace(two_hosts((1, 1)), constraints=(numa, numa))
    with pytest.raises(InvalidProblem, match=r"requests.r0.pinned: the problem does not count vcpu"):
        replace(two_hosts((1, 1)), resource_classes=("cores", "memory_mib"), constraints=(numa,))


def test_negative_amounts_and_no_nodes_are_no_data() -> None:
    for wrong in (
        {"hosts": {"h0": [{"free": {"vcpu": -1}}]}, "requests": {}},
        {"hosts": {"h0": []}, "requests": {}},
        {"hosts": {"h0": [{"free": {}}] * 9}, "requests": {}},
        {"hosts": {}, "requests": {"r0": {"nodes": 0}}},
    ):
        with pytest.raises(ValidationError):
            Numa.model_validate(wrong)


def test_the_kernel_is_told_which_nodes_are_there_even_where_nodes_give_nothing() -> None:
    numa = on({"r0": OnNodes()}, {"h0": (Node(free={}), Node(free={})), "h1": (Node(free={}),)})
    problem = two_hosts((1, 1), constraint=numa)
    kernel = Recorded(problem)
    numa.admit(kernel)
    for host, mask in ((0, 1), (0, 2), (0, 3), (1, 1), (1, 2)):
        assert kernel.holds(seats([host], [mask])) == (not list(numa.check(problem, seats([host], [mask]))))
    assert not kernel.holds(seats([1], [2]))


@SOME
@given(seeds)
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed, Setting(hosts=True, most_requests=3))


@SOME
@given(seeds)
def test_over_time_the_kernel_is_careful_and_the_rest_is_as_checked(seed: int) -> None:
    keeps_promises(sample, seed, Setting(hosts=True, most_requests=3, times=True, told_rules="no less"))


def test_a_host_with_too_few_nodes_is_blocked_even_for_who_takes_nothing_that_is_kept_by_node() -> None:
    bare = Node(free={})
    numa = Numa(hosts={"h0": (bare,), "h1": (bare, bare)}, requests={"r0": OnNodes(nodes=2)})
    problem = two_hosts((2, 2), constraint=numa)
    blocked = numa.blocked(after(problem, None), 0)
    assert blocked is not None
    assert blocked.tolist() == [True, False]
