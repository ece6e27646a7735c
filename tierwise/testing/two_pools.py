"""A small estate that can be worked out by hand: two pools at two sites, twelve machines, round prices."""

from datetime import UTC, datetime
from typing import Any

from catalog.estates.model import (
    Estate,
    EstateDatastore,
    EstateHost,
    EstateMachine,
    EstatePool,
    PowerState,
)
from catalog.pools import Hypervisor

GIB = 1024

ECONOMICS = """\
format: tierwise-economics/1
currency: EUR
host_types:
  any:
    purchase_price: {value: 6000, source: quote}
    depreciation_months: {value: 60, source: policy}
    maintenance_per_year: {value: 1200, source: contract}
storage:
  any:
    per_gib_per_month: {value: 0.05, source: contract}
migration:
  away: {from: [vsphere], to: [libvirt], per_machine: {value: 40, source: guess}, per_tib: {value: 100, source: guess}}
licences:
  suite:
    layer: hypervisor
    match: {hypervisors: [vsphere]}
    whole_pool: true
    alternatives:
      - {name: standard, metric: per_core, per_socket_minimum: 16, prices: [{amount: 10, period: month}]}
      - {name: plus, metric: per_core, prices: [{amount: 18, period: month}]}
"""
"""A host costs 100 a month and, bought, 100 more; a GiB 0.05; a core 10 a month, at least 16 a socket."""

DOCUMENT = """\
format: tierwise-whatif/1
name: two-pools
estate: unused
start: 2027-01-01
months: 12
economics: unused
overcommit: {vcpu: 2}
pools:
  Alpha: {tier: tier-1, site: north}
  Beta:
    tier: tier-2
    site: south
    hosts:
      small: {most: 2, sockets: 2, cores: 16, memory_mib: 131072}
"""


def machine(number: int, pool: str, vcpus: int, gib: int, disk_gib: int, **more: Any) -> EstateMachine:
    """A machine of which half of the disk is in use; `more` are other fields."""
    return EstateMachine(
        **{
            "id": f"m{number:02}", "name": f"vm-{number:02}", "power": PowerState.ON, "vcpus": vcpus,
            "memory_mib": gib * GIB, "provisioned_mib": disk_gib * GIB, "in_use_mib": disk_gib * GIB // 2,
            "guest_os": "Linux", "pool": pool, **more,
        }
    )  # fmt: skip


def two_pools() -> Estate:
    """Alpha: 3 hosts with 8 machines of 4 vCPU, 32 GiB, 100 GiB; Beta: 2 hosts with 4 of 2 vCPU, 16 GiB, 50 GiB."""
    hosts = [
        EstateHost(name=f"{pool}-{n}", pool=pool, sockets=2, cores=16, memory_mib=128 * GIB)
        for pool, count in (("Alpha", 3), ("Beta", 2))
        for n in range(count)
    ]
    machines = [machine(n, "Alpha", 4, 32, 100, application="shop" if n < 4 else "") for n in range(8)]
    machines += [machine(n, "Beta", 2, 16, 50) for n in range(8, 12)]
    return Estate(
        name="two pools",
        source="made for tests",
        taken_at=datetime(2026, 12, 20, tzinfo=UTC),
        machines=tuple(machines),
        hosts=tuple(hosts),
        pools=(
            EstatePool(name="Alpha", hypervisor=Hypervisor.VSPHERE),
            EstatePool(name="Beta", hypervisor=Hypervisor.LIBVIRT),
        ),
        datastores=(
            EstateDatastore(name="a", capacity_mib=2000 * GIB, hosts=("Alpha-0",)),
            EstateDatastore(name="b", capacity_mib=2000 * GIB, hosts=("Beta-0",)),
        ),
    )
