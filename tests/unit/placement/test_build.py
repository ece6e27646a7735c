"""Catalog values become a problem with overcommit, reserve, allocations and hosts counted."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import UUID

import numpy as np
import pytest

from catalog.orders import Request
from catalog.pools import Host, Hypervisor, Pool
from catalog.resources import Inventory, ResourceClass, Resources
from catalog.workload_classes import DataClassification
from placement.arrays import Int64
from placement.build import build
from placement.problem import InvalidProblem, PlacementProblem
from placement.solve import solve


def pool(
    name: str, vcpu: Inventory, memory_mib: int = 65536, disk_gib: int = 1000, hosts: tuple[Host, ...] = ()
) -> Pool:
    return Pool(
        name=name,
        tier="tier-1",
        hypervisor=Hypervisor.LIBVIRT,
        endpoint="lab",
        provider=name,
        site="fra",
        country="DE",
        inventories={
            ResourceClass.VCPU: vcpu,
            ResourceClass.MEMORY_MIB: Inventory(total=memory_mib),
            ResourceClass.DISK_GIB: Inventory(total=disk_gib),
        },
        hosts=hosts,
    )


def request(n: int, vcpu: int = 2, memory_mib: int = 4096, disk_gib: int = 40) -> Request:
    return Request(
        order_id=UUID(int=n),
        machine_name=f"m-{n}",
        tenant="payroll",
        offering="web-small",
        workload_class="web",
        resources=Resources(vcpu=vcpu, memory_mib=memory_mib, disk_gib=disk_gib),
        data_classification=DataClassification.INTERNAL,
    )


def built(
    requests: Sequence[Request],
    pools: Sequence[Pool],
    allocated: Mapping[str, Resources] | None = None,
    cost: Int64 | None = None,
) -> PlacementProblem:
    prices = np.ones((len(requests), len(pools)), dtype=np.int64) if cost is None else cost
    return build(requests, pools, allocated or {}, {}, prices, "EUR", 720)


def test_free_is_capacity_with_overcommit_and_reserve_less_what_is_allocated() -> None:
    shared = Inventory(total=32, reserved=2, allocation_ratio=Decimal("2.5"))
    problem = built([request(1)], [pool("a", shared)], {"a": Resources(vcpu=70, memory_mib=1024)})
    # (32 - 2) x 2.5 = 75, less 70.
    assert problem.free.tolist() == [[5, 64512, 1000]]
    assert problem.demand.tolist() == [[2, 4096, 40]]
    assert problem.request_ids == ("00000000-0000-0000-0000-000000000001",)


def test_a_pool_that_gave_away_more_than_it_has_is_full() -> None:
    problem = built([request(1)], [pool("a", Inventory(total=8))], {"a": Resources(vcpu=9)})
    assert problem.free[0].tolist() == [0, 65536, 1000]


def test_a_machine_is_no_larger_than_the_largest_usable_host_but_shares_the_disk() -> None:
    hosts = (
        Host(name="h1", resources=Resources(vcpu=16, memory_mib=32768, disk_gib=10)),
        Host(name="h2", resources=Resources(vcpu=8, memory_mib=65536, disk_gib=10)),
        Host(name="h3", resources=Resources(vcpu=64, memory_mib=131072), usable=False),
    )
    overcommitted = Inventory(total=24, allocation_ratio=Decimal(4))
    problem = built([request(1, vcpu=17)], [pool("a", overcommitted, hosts=hosts)])
    assert problem.largest.tolist() == [[16, 65536, 1000]]
    assert [r.rule_id for r in solve(problem).assignments[0].candidates[0].rejections] == ["largest-host"]


def test_a_pool_without_hosts_is_taken_as_one_host() -> None:
    problem = built([request(1)], [pool("a", Inventory(total=8))])
    assert problem.largest.tolist() == problem.free.tolist()


def test_a_pool_whose_hosts_are_all_in_maintenance_takes_nothing() -> None:
    down = (Host(name="h1", resources=Resources(vcpu=16, memory_mib=32768), usable=False),)
    problem = built([request(1)], [pool("a", Inventory(total=16), hosts=down)])
    assert problem.largest[0, :2].tolist() == [0, 0]
    assert len(solve(problem).unplaced) == 1


def test_an_allocation_on_a_pool_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidProblem, match="allocated: there is no pool 'b'; known are a"):
        built([request(1)], [pool("a", Inventory(total=8))], {"b": Resources()})


def test_prices_of_the_wrong_shape_are_refused() -> None:
    with pytest.raises(InvalidProblem, match=r"cost_micros: shape \(1, 2\) must be \(1, 1\)"):
        built([request(1)], [pool("a", Inventory(total=8))], cost=np.ones((1, 2), dtype=np.int64))


def test_a_capacity_beyond_integers_is_refused() -> None:
    huge = Inventory(total=2**53, allocation_ratio=Decimal(1000))
    with pytest.raises(InvalidProblem, match=r"fit into 6[23] bits"):
        built([request(1)], [pool("a", huge)])


def test_nothing_to_place_and_nowhere_to_place_it_are_problems_too() -> None:
    assert built([], []).demand.shape == (0, 3)
    assert built([request(1)], []).free.shape == (0, 3)


def host(name: str, vcpu: int = 16, memory_mib: int = 32768, *, usable: bool = True) -> Host:
    return Host(
        name=name, resources=Resources(vcpu=vcpu, memory_mib=memory_mib, disk_gib=500), usable=usable
    )


def on_hosts(
    requests: Sequence[Request], pools: Sequence[Pool], held: Mapping[str, Mapping[str, Resources]]
) -> PlacementProblem:
    allocated = {name: sum(of.values(), Resources()) for name, of in held.items()}
    prices = np.ones((len(requests), len(pools)), dtype=np.int64)
    return build(requests, pools, allocated, {}, prices, "EUR", 720, held)


def test_hosts_have_their_pools_overcommit_and_lose_what_their_machines_hold() -> None:
    vcpu = Inventory(total=32, reserved=2, allocation_ratio=Decimal("2.5"))
    cluster = pool("a", vcpu, hosts=(host("h1"), host("h2", usable=False), host("h3")))
    problem = on_hosts([request(1)], [cluster], {"a": {"h1": Resources(vcpu=9, memory_mib=8192)}})
    assert problem.hosts is not None
    assert problem.hosts.ids == ("a/h1", "a/h3")
    # 16 vCPU x 2.5 = 40, less 9; memory is not overcommitted: 32 GiB less 8; disk is the pool's.
    assert problem.hosts.free.tolist() == [[31, 24576, 0], [40, 32768, 0]]
    assert problem.hosts.largest.tolist() == [[16, 32768, 0], [16, 32768, 0]]
    assert problem.free.tolist() == [[66, 57344, 1000]]


def test_room_that_is_scattered_over_hosts_is_no_room() -> None:
    cluster = pool("a", Inventory(total=32), hosts=(host("h1"), host("h2")))
    held = {"a": {name: Resources(vcpu=2, memory_mib=20480) for name in ("h1", "h2")}}
    big = request(1, memory_mib=16384)
    plan = solve(on_hosts([big], [cluster], held))
    (candidate,) = plan.assignments[0].candidates
    assert plan.assignments[0].pool is None
    assert (candidate.hosts, candidate.refused_hosts) == (2, {"capacity": 2})
    assert candidate.rejections[0].why == "4 GiB more memory would have to be free on a/h1"
    assert solve(built([big], [cluster], {"a": held["a"]["h1"]})).assignments[0].pool == "a"


def test_a_plan_says_which_host_a_machine_fits_on() -> None:
    cluster = pool("a", Inventory(total=32), hosts=(host("h1"), host("h2")))
    plan = solve(on_hosts([request(n, memory_mib=20480) for n in (1, 2)], [cluster], {}))
    assert sorted(str(a.host) for a in plan.assignments) == ["a/h1", "a/h2"]


def test_a_pool_without_hosts_is_one_and_one_whose_hosts_are_all_down_takes_nothing() -> None:
    bare = pool("a", Inventory(total=8))
    down = pool("b", Inventory(total=0), memory_mib=0, hosts=(host("h1", usable=False),))
    plan = solve(on_hosts([request(1)], [bare, down], {}))
    assert (plan.assignments[0].pool, plan.assignments[0].host) == ("a", "a")
    refused = next(c for c in plan.assignments[0].candidates if c.pool == "b")
    assert {r.rule_id for r in refused.rejections} == {"largest-host"}
