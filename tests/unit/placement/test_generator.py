"""Made-up estates are whole, the same for the same seed, and as full as they were asked to be."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement import document
from placement.documents import kinds
from placement.estates.rules import KINDS
from placement.generator import estate
from placement.plan import Limits
from placement.problem import PlacementProblem
from placement.seats import Seats
from placement.solve import solve
from placement.verify import breaches, broken


@pytest.fixture(scope="module")
def medium() -> PlacementProblem:
    return estate(7, 1500, 80)


def test_the_same_seed_makes_the_same_estate_and_another_seed_another() -> None:
    one, again, other = (document.write(estate(seed, 300, 20)) for seed in (3, 3, 4))
    assert one == again
    assert one["requests"] != other["requests"]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    requests=st.integers(1, 400),
    hosts=st.integers(4, 40),
    sites=st.integers(1, 3),
    fill=st.sampled_from([20, 75, 110]),
)
def test_an_estate_of_any_size_is_a_problem_that_reads_back_equal(
    seed: int, requests: int, hosts: int, sites: int, fill: int
) -> None:
    problem = estate(seed, requests, hosts, sites=sites, fill_percent=fill)
    assert (len(problem.request_ids), len(problem.providers.ids)) == (requests, hosts)
    again = document.read(document.write(problem))
    assert again.request_ids == problem.request_ids
    assert again.groups == problem.groups
    assert again.constraints == problem.constraints
    assert again.rejections == problem.rejections
    for name in ("demand", "cost_micros", "current", "free", "largest"):
        assert np.array_equal(getattr(again, name), getattr(problem, name)), name


def test_machines_ask_for_the_percentage_of_room_that_was_wanted(medium: PlacementProblem) -> None:
    for fill in (40, 75, 100):
        problem = estate(7, 1500, 80, fill_percent=fill)
        # Rounded up host by host, memory and disk to the step in which they are sold.
        percent = 100 * problem.demand.sum(axis=0) / problem.free.sum(axis=0)
        assert (percent <= fill).all()
        assert (percent > fill - 2).all()


def test_what_runs_today_fits_where_it_runs_and_is_allowed_there(medium: PlacementProblem) -> None:
    assert medium.current is not None
    runs = medium.current >= 0
    assert 0.3 < runs.mean() < 0.7
    bare = replace(medium, constraints=())
    assert broken(bare, Seats(medium.current)) == ()
    assert not (estate(7, 1500, 80, running_percent=0).current >= 0).any()  # type: ignore[operator] # made estates have it


def test_applications_have_one_to_forty_machines_in_components_of_one_flavor(
    medium: PlacementProblem,
) -> None:
    apps = {name: ids for name, ids in medium.groups.items() if name.count("-") == 1 and name[:3] == "app"}
    sizes = [len(ids) for ids in apps.values()]
    assert (min(sizes), max(sizes) <= 40, sum(sizes)) == (1, True, 1500)
    position = medium.request_positions
    for name, ids in medium.groups.items():
        if name.count("-") == 2:
            assert len({medium.demand[position[one]].tobytes() for one in ids}) == 1
    tenants = [ids for name, ids in medium.groups.items() if name.startswith("tenant")]
    assert sorted(one for ids in tenants for one in ids) == sorted(medium.request_ids)


def test_four_hypervisors_in_three_tiers_stand_at_every_site(medium: PlacementProblem) -> None:
    hypervisors = medium.labels["hypervisor"]
    seats = Counter(zip(hypervisors, medium.tier_of, medium.labels["site"], strict=True))
    assert len(set(hypervisors)) == 4
    assert len(set(medium.tier_of)) == 3
    assert len(seats) in {4, 8}
    rack, pool = medium.domains("rack"), medium.domains("pool")
    assert rack is not None
    assert pool is not None
    assert all(len(set(pool.of[rack.of == r].tolist())) == 1 for r in range(len(rack.names)))


def test_only_the_kinds_that_were_wanted_and_are_installed_are_used() -> None:
    there = set(KINDS) & set(kinds.written())
    kinds_of = lambda problem: {kinds.declared(type(one)) for one in problem.constraints}  # noqa: E731 - once, here
    assert kinds_of(estate(1, 600, 40)) == there
    assert kinds_of(estate(1, 600, 40, constraints=())) == set()
    assert kinds_of(estate(1, 600, 40, constraints=("quotas",))) == {"quotas"} & there
    with pytest.raises(
        ValueError, match="there is no rule for 'magic' in made-up estates; there are affinity"
    ):
        estate(1, 600, 40, constraints=("magic",))


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"hosts": 3}, "pools 4: must be a multiple of 4, and there must be as many hosts at least"),
        ({"pools": 6}, "pools 6: must be a multiple of 4"),
        ({"requests": 0}, "requests 0 >= 1"),
        ({"fill_percent": 0}, "fill_percent 0 in 1 to 1000"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        estate(0, **{"requests": 10, "hosts": 8, **sizes})


def test_a_small_estate_has_a_plan_for_most_machines_that_holds() -> None:
    problem = estate(2, 50, 8, constraints=("affinity", "anti_affinity", "quotas", "spread"))
    plan = solve(problem, Limits(deterministic_time=1.0), way="exact")
    assert breaches(problem, plan) == ()
    assert len(plan.unplaced) <= 3
