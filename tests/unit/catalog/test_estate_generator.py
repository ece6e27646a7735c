"""Generated estates are the same for the same seed, and such as could exist."""

from collections import Counter

import pytest

from catalog.estates import PowerState
from catalog.estates.generator import SITES, generate


def test_the_same_seed_gives_the_same_estate_and_another_seed_another() -> None:
    assert generate(200, 1) == generate(200, 1)
    assert generate(200, 1) != generate(200, 2)


@pytest.mark.parametrize(("machines", "sites"), [(1, 1), (2, 6), (37, 3), (700, 2)])
def test_there_are_as_many_machines_and_hosts_hold_them(machines: int, sites: int) -> None:
    estate = generate(machines, 11, sites=sites)
    assert len(estate.machines) == machines
    assert {one.site for one in estate.machines} <= set(SITES[:sites])
    used: Counter[str] = Counter()
    for one in estate.machines:
        used[one.host] += one.memory_mib if one.power is PowerState.ON else 0
    hosts = {one.name: one for one in estate.hosts}
    assert all(used[name] <= hosts[name].memory_mib for name in used)
    assert all(hosts[one.host].pool == one.pool for one in estate.machines)
    assert all(len(estate.hosts_of(pool.name)) >= 2 for pool in estate.pools)


def test_datastores_hold_what_is_provisioned_and_machines_use_no_more_than_they_have() -> None:
    estate = generate(400, 3)
    stores = {one.name: one for one in estate.datastores}
    on: Counter[str] = Counter()
    for one in estate.machines:
        on[one.datastores[0]] += one.provisioned_mib
        assert one.in_use_mib <= one.provisioned_mib
        assert (one.utilization.cpu_percent is None) == (one.power is not PowerState.ON)
        assert (one.utilization.cpu_percent or 0) <= 100 >= (one.utilization.memory_percent or 0)
    assert all(on[name] <= stores[name].capacity_mib for name in on)


@pytest.mark.parametrize(("machines", "sites"), [(0, 1), (5, 0), (5, 7)])
def test_sizes_that_make_no_estate_are_refused(machines: int, sites: int) -> None:
    with pytest.raises(ValueError, match="must hold"):
        generate(machines, 1, sites=sites)
