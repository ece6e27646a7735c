"""The live inventory as an estate: what every endpoint shows, joined with orders and tags."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from catalog.estates import PowerState
from connectors.contract import PoolSnapshot
from tierwise.errors import InvalidInput
from tierwise.estates import document, read, write
from tierwise.estates.inventory import live
from tierwise.usecases.inventory import inventory
from tierwise.usecases.label import change_labels
from tierwise.usecases.observe import observe


def test_a_delivered_machine_is_one_of_the_estate_with_its_tenant_and_tags(acme: Any) -> None:
    acme.deliver("shop-01")
    change_labels(acme.app, UUID(int=1), "shop-01", {"env": "prod", "application": "shop"})
    seen = observe(acme.app)
    estate = live(acme.app, seen)
    (one,) = [one for one in estate.machines if one.name == "shop-01"]
    (row,) = [one for one in inventory(acme.app, seen).machines if one.name == "shop-01"]
    assert (one.id, one.tenant, one.pool, one.host) == (row.identity, row.tenant, row.pool, row.host)
    assert (one.vcpus, one.memory_mib, one.provisioned_mib) == (
        row.resources.vcpu, row.resources.memory_mib, row.resources.disk_gib * 1024,
    )  # fmt: skip
    assert (one.power, one.application) == (PowerState.ON, "shop")
    assert one.labels["env"] == "prod"
    assert one.labels["tier"] == row.tier
    assert one.labels["offering"] == "web-small"


def test_pools_and_hosts_are_those_that_the_endpoints_report(acme: Any) -> None:
    seen = observe(acme.app)
    estate = live(acme.app, seen)
    catalog = acme.app.documents.catalog
    assert {one.name for one in estate.pools} >= set(catalog.pools)
    assert all(
        catalog.pools[one.name].site == one.site for one in estate.pools if one.name in catalog.pools
    )
    reported = [host for view in seen.values() for pool in view.snapshot.pools for host in pool.hosts]
    assert estate.totals.hosts == len(reported)
    assert estate.totals.host_memory_mib == sum(host.resources.memory_mib for host in reported)
    assert {one.hypervisor.value for one in estate.pools} == {"vsphere", "hyperv", "xen", "libvirt"}


@pytest.mark.parametrize("cores", [6, 0])
def test_cores_are_those_that_hypervisors_tell_or_threads_that_say_so(acme: Any, cores: int) -> None:
    seen = observe(acme.app)

    def told(pool: PoolSnapshot) -> PoolSnapshot:
        hosts = [one.model_copy(update={"sockets": 2, "cores": cores}) for one in pool.hosts]
        return pool.model_copy(update={"hosts": tuple(hosts)})

    views, threads = {}, {}
    for name, view in seen.items():
        assert view.snapshot is not None
        threads |= {host.name: host.resources.vcpu for pool in view.snapshot.pools for host in pool.hosts}
        snapshot = view.snapshot.model_copy(update={"pools": tuple(map(told, view.snapshot.pools))})
        views[name] = view.model_copy(update={"snapshot": snapshot})
    assert {
        one.name: (one.sockets, one.cores, one.cores_are_threads) for one in live(acme.app, views).hosts
    } == {name: (2, cores or vcpu, not cores) for name, vcpu in threads.items()}


def test_the_live_estate_survives_both_kinds_of_file(acme: Any, tmp_path: Path) -> None:
    acme.deliver("shop-01")
    estate = live(acme.app, observe(acme.app))
    write(estate, tmp_path / "live.json")
    assert document.parse((tmp_path / "live.json").read_bytes(), "live.json") == estate
    write(estate, tmp_path / "live.xlsx")
    again = read(tmp_path / "live.xlsx")
    assert again.totals == estate.totals
    assert again.taken_at == estate.taken_at


def test_endpoints_that_were_never_asked_are_no_estate(acme: Any) -> None:
    with pytest.raises(
        InvalidInput, match="no endpoint was ever seen; `tierwise pool list --refresh` asks them"
    ):
        live(acme.app)
