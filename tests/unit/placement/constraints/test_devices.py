"""Devices: facts by hand, and every plan of small problems by trying."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.constraints.devices import Ask, Devices
from placement.placed import placed
from placement.problem import InvalidProblem, PlacementProblem
from placement.seats import Seats
from placement.solve import solve
from tierwise.testing.constraint_samples.devices import sample
from tierwise.testing.constraints import keeps_promises
from tierwise.testing.constraints.promises import Setting
from tierwise.testing.constraints.recorded import Recorded
from tierwise.testing.constraints.scenes import may_to_june, two_hosts
from tierwise.testing.placement import small_problem

SOME = settings(max_examples=20, deadline=None)
seeds = st.integers(0, 2**32 - 1)

HOSTS = {"h0": {"a100": 2, "t4": 4}, "h1": {"t4": 1}}
A100, T4 = 0, 1


def on(**requests: Ask) -> Devices:
    return Devices(hosts=HOSTS, requests=requests)


def seats(provider_of: list[int], models: list[int] | None = None) -> Seats:
    chosen = {} if models is None else {"devices": np.array(models, dtype=np.int64)}
    return Seats(np.array(provider_of, dtype=np.int64), chosen)


def given_to(problem: PlacementProblem) -> list[tuple[str | None, str | None]]:
    return [(a.host, a.choices.get("devices")) for a in solve(problem, way="exact").assignments]


def test_devices_are_all_of_one_model_and_never_shared() -> None:
    either = Ask(count=2, models=("a100", "t4"))
    asking = on(r0=either, r1=either, r2=either, r3=either)
    placed_ones = given_to(two_hosts(*[(1, 1)] * 4, constraint=asking))
    assert sorted(placed_ones, key=str) == [("h0", "a100"), ("h0", "t4"), ("h0", "t4"), (None, None)]


def test_a_machine_without_devices_goes_anywhere_and_takes_none() -> None:
    problem = two_hosts((99, 1), (2, 1), constraint=on(r1=Ask(models=("a100",))))
    assert given_to(problem) == [("h1", None), ("h0", "a100")]


def test_the_checker_names_missing_wrong_and_too_many_devices() -> None:
    asking = on(r0=Ask(models=("a100",)), r1=Ask(count=2, models=("t4",)))
    problem = two_hosts((1, 1), (1, 1), (1, 1))
    assert list(asking.check(problem, seats([0, 0, 0], [A100, T4, -1]))) == []
    assert list(asking.check(problem, seats([-1, -1, -1], [T4, -1, T4]))) == []
    assert list(asking.check(problem, seats([0, 1, 1], [-1, T4, T4]))) == [
        "r0: takes no device, asks for a100",
        "r2: takes t4, asks for no device",
        "h1: 2 t4 is more than the 1 that are free",
    ]
    assert list(asking.check(problem, seats([0, -1, -1], [T4, -1, -1]))) == ["r0: takes t4, asks for a100"]
    assert list(asking.check(problem, seats([1, -1, -1]))) == ["r0: takes no device, asks for a100"]


def test_machines_that_are_never_there_together_use_the_same_device() -> None:
    asking = on(r0=Ask(count=2, models=("a100",)), r1=Ask(count=2, models=("a100",)))
    apart, together = may_to_june((0, 1), (1, 2)), may_to_june((0, 1), (0, 2))
    asked = (1, 1), (1, 1)
    assert given_to(two_hosts(*asked, constraint=asking, periods=apart)) == [("h0", "a100")] * 2
    assert (None, None) in given_to(two_hosts(*asked, constraint=asking, periods=together))
    problem = two_hosts(*asked, periods=together)
    assert list(asking.check(problem, seats([0, 0], [A100, A100]))) == [
        "h0: 4 a100 is more than the 2 that are free in May"
    ]
    for periods, blocked in (apart, False), (together, True):
        after = placed(
            two_hosts(*asked, periods=periods), np.array([0, -1]), {"devices": np.array([A100, -1])}
        )
        assert asking.blocked(after, 1).tolist() == [blocked, True]


def test_the_reason_tells_which_models_are_there_and_how_many_are_free() -> None:
    asking = on(r0=Ask(models=("a100",)), r1=Ask(count=2, models=("a100",)))
    after = placed(two_hosts((1, 1), (1, 1)), np.array([0, -1]), {"devices": np.array([A100, -1])})
    assert [str(r) for h in (0, 1) for r in asking.why(after, 1, h)] == [
        (
            "2 a100 would have to be free on h0, which has 1 a100 free, 4 t4 free; "
            "free a100 on h0, or accept another model"
        ),
        (
            "2 a100 would have to be free on h1, which has 1 t4 free; "
            "accept a model that the host has, or choose another pool"
        ),
    ]
    assert asking.blocked(after, 1).tolist() == [True, True]
    assert asking.blocked(after, 0).tolist() == [False, True]


@pytest.mark.parametrize(
    ("devices", "message"),
    [
        (Devices(hosts={"h7": {}}, requests={}), "hosts.h7: there is no such host"),
        (on(r9=Ask(models=("t4",))), "requests.r9: there is no request or group 'r9'"),
        (
            on(r0=Ask(models=("t4", "a10"))),
            "requests.r0.models[1]: no host has a device 'a10'; there are a100, t4",
        ),
    ],
)
def test_wrong_data_is_refused_with_its_path(devices: Devices, message: str) -> None:
    with pytest.raises(InvalidProblem) as caught:
        two_hosts((1, 1), constraint=devices)
    assert str(caught.value) == f"constraints[0].{message}"


def test_pools_a_second_one_and_parts_of_devices_are_refused() -> None:
    with pytest.raises(InvalidProblem, match="this problem places on pools; give it hosts"):
        replace(small_problem(1, hosts=False), constraints=(on(),))
    with pytest.raises(InvalidProblem, match="another constraint of this kind"):
        replace(two_hosts((1, 1)), constraints=(on(), on()))
    for wrong in ({"count": 0, "models": ["t4"]}, {"count": 1.5, "models": ["t4"]}, {"models": []}):
        with pytest.raises(ValidationError):
            Devices.model_validate({"hosts": {}, "requests": {"r0": wrong}})
    with pytest.raises(ValidationError):
        Devices.model_validate({"hosts": {"h0": {"t4": -1}}, "requests": {}})


def test_the_kernel_is_told_that_devices_are_of_their_own_host() -> None:
    asking = on(r0=Ask(models=("t4",)))
    kernel = Recorded(two_hosts((1, 1), constraint=asking))
    asking.admit(kernel)
    seats_that_hold = {(v, m) for v in (0, 1) for m in (A100, T4) if kernel.holds(told_of(v, m))}
    assert seats_that_hold == {(0, T4), (1, T4)}


def told_of(provider: int, model: int) -> Seats:
    return Seats(np.array([provider]), {"devices": np.array([model])})


@SOME
@given(seeds)
def test_plans_refusals_and_online_words_are_those_of_the_check(seed: int) -> None:
    keeps_promises(sample, seed, Setting(hosts=True, most_requests=3))


@SOME
@given(seeds)
def test_over_time_the_kernel_is_careful_and_the_rest_is_as_checked(seed: int) -> None:
    keeps_promises(
        sample,
        seed,
        Setting(hosts=True, most_requests=3, times=True, told_rules="no less"),
    )
