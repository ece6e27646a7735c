"""Datastores: facts by hand, and every plan of small problems by trying."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.datastores import Datastore, Datastores, Disk
from placement.placed import placed
from placement.problem import InvalidProblem, PlacementProblem
from placement.seats import Seats
from placement.solve import solve
from tierwise.testing.constraint_samples.datastores import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.promises import Setting, first
from tierwise.testing.constraints.scenes import may_to_june, two_hosts
from tierwise.testing.placement import small_problem

SOME = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 2**32 - 1)

STORES = {
    "fast": Datastore(free_gib=10, free_iops=100, tier="gold", reached_by=("h0",)),
    "big": Datastore(free_gib=90, free_iops=20, tier="silver", reached_by=("a",)),
}
FAST, BIG = 0, 1


def on(**requests: Disk) -> Datastores:
    return Datastores(datastores=STORES, requests=requests)


def seats(provider_of: list[int], stores: list[int] | None = None) -> Seats:
    chosen = {} if stores is None else {"datastores": np.array(stores, dtype=np.int64)}
    return Seats(np.array(provider_of, dtype=np.int64), chosen)


def stored(problem: PlacementProblem) -> list[tuple[str | None, str | None]]:
    return [(a.host, a.choices.get("datastores")) for a in solve(problem, way="exact").assignments]


def test_host_and_datastore_are_chosen_together() -> None:
    asking = on(r0=Disk(disk_gib=8, tiers=("gold",)), r1=Disk(disk_gib=80), r2=Disk(disk_gib=11))
    on_hosts = stored(two_hosts((60, 1), (60, 1), (1, 1), constraint=asking))
    assert on_hosts[0] == ("h0", "fast")
    assert sorted(on_hosts[1:], key=str)[1] == (None, None)
    assert {"big"} == {store for host, store in on_hosts[1:] if host}


def test_iops_run_out_before_space_does() -> None:
    asking = on(**{f"r{i}": Disk(disk_gib=1, iops=15, tiers=("silver",)) for i in range(2)})
    assert sorted(stored(two_hosts((1, 1), (1, 1), constraint=asking)), key=str)[1] == (None, None)


def test_requests_without_a_disk_are_on_no_datastore() -> None:
    ((host, store),) = stored(two_hosts((1, 1), constraint=on()))
    assert host is not None
    assert store is None


def test_pools_reach_datastores_too() -> None:
    problem = first(small_problem(3, hosts=False), 1)
    store = Datastore(free_gib=5, free_iops=0, tier="gold", reached_by=("b",))
    asking = Datastores(datastores={"ds": store}, requests={"r0": Disk(disk_gib=5)})
    (assignment,) = solve(replace(problem, constraints=(asking,)), way="exact").assignments
    assert (assignment.pool, dict(assignment.choices)) == ("b", {"datastores": "ds"})


def test_the_checker_names_every_wrong_datastore() -> None:
    asking = on(
        r0=Disk(disk_gib=6, iops=11, tiers=("gold",)), r1=Disk(disk_gib=6, iops=11), r3=Disk(disk_gib=1)
    )
    problem = two_hosts(*[(1, 1)] * 4)
    assert list(asking.check(problem, seats([0, 1, 1, 0], [FAST, BIG, -1, FAST]))) == []
    assert list(asking.check(problem, seats([1, 0, 0, 0], [FAST, FAST, BIG, -1]))) == [
        "r0: h1 does not reach fast",
        "r2: is on big, needs none",
        "r3: is on no datastore, needs one",
        "fast: disk_gib 12 is more than the 10 that is free",
    ]
    assert list(asking.check(problem, seats([0, 0, -1, -1], [BIG, BIG, FAST, FAST]))) == [
        "r0: big is silver, needs gold",
        "big: iops 22 is more than the 20 that is free",
    ]
    assert list(asking.check(problem, seats([-1, 0, -1, -1]))) == ["r1: is on no datastore, needs one"]


def test_disks_that_are_never_there_together_use_the_same_space() -> None:
    asking = on(r0=Disk(disk_gib=9, tiers=("gold",)), r1=Disk(disk_gib=9, tiers=("gold",)))
    apart, together = may_to_june((0, 1), (1, 2)), may_to_june((0, 1), (0, 2))
    asked = (1, 1), (1, 1)
    assert stored(two_hosts(*asked, constraint=asking, periods=apart)) == [("h0", "fast")] * 2
    assert (None, None) in stored(two_hosts(*asked, constraint=asking, periods=together))
    assert list(asking.check(two_hosts(*asked, periods=together), seats([0, 0], [FAST, FAST]))) == [
        "fast: disk_gib 18 is more than the 10 that is free in May"
    ]
    for periods, blocked in (apart, False), (together, True):
        problem = two_hosts(*asked, periods=periods)
        after = placed(problem, np.array([0, -1]), {"datastores": np.array([FAST, -1])})
        assert asking.blocked(after, 1).tolist() == [blocked, True]


def test_the_reasons_tell_what_the_nearest_datastore_is_short_of() -> None:
    asking = on(r0=Disk(disk_gib=8), r1=Disk(disk_gib=4, tiers=("gold",)), r2=Disk(disk_gib=91, iops=30))
    after = placed(
        two_hosts(*[(1, 1)] * 3), np.array([0, -1, -1]), {"datastores": np.array([FAST, -1, -1])}
    )
    assert [str(r) for h in (0, 1) for r in asking.why(after, 1, h)] == [
        (
            "4 GiB would have to be free on fast; fast has 2 GiB left; "
            "free room on fast, or order less disk or another storage tier"
        ),
        (
            "h1 reaches big (silver); a datastore of tier gold is needed; "
            "connect h1 to such a datastore, or order a storage tier that it reaches"
        ),
    ]
    assert [(r.dimension, r.limit, r.need) for r in asking.why(after, 2, 1)] == [
        ("disk_gib", "90 GiB", "91 GiB"),
        ("iops", "20 IOPS", "30 IOPS"),
    ]
    assert asking.blocked(after, 1).tolist() == [True, True]
    assert asking.blocked(after, 0).tolist() == [False, False]


@pytest.mark.parametrize(
    ("requests", "reached_by", "message"),
    [
        ({"r9": Disk(disk_gib=1)}, (), "requests.r9: there is no request or group 'r9'"),
        ({}, ("a", "h9"), "datastores.ds.reached_by[1]: there is no host or pool 'h9'"),
        (
            {"r0": Disk(disk_gib=1, tiers=("gold", "bronze"))},
            (),
            "requests.r0.tiers[1]: no datastore is of tier 'bronze'; there are gold",
        ),
    ],
)
def test_wrong_data_is_refused_with_its_path(
    requests: dict[str, Disk], reached_by: tuple[str, ...], message: str
) -> None:
    store = Datastore(free_gib=1, free_iops=1, tier="gold", reached_by=reached_by)
    with pytest.raises(InvalidProblem) as caught:
        two_hosts((1, 1), constraint=Datastores(datastores={"ds": store}, requests=requests))
    assert str(caught.value).startswith(f"constraints[0].{message}")


def test_a_second_one_and_negative_amounts_are_refused() -> None:
    with pytest.raises(InvalidProblem, match="another constraint of this kind"):
        replace(two_hosts((1, 1)), constraints=(on(), on()))
    for wrong in ({"disk_gib": 0}, {"disk_gib": 1, "iops": -1}, {"disk_gib": 1, "tiers": [""]}):
        with pytest.raises(ValidationError):
            Datastores.model_validate({"datastores": {}, "requests": {"r0": wrong}})


@SOME
@given(seeds)
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed, Setting(most_requests=3))


@SOME
@given(seeds)
def test_over_time_the_kernel_is_careful_and_the_rest_is_as_checked(seed: int) -> None:
    keeps_promises(sample, seed, Setting(most_requests=3, times=True, told_rules="no less"))
