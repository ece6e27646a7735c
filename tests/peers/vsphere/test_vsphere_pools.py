"""Where new machines go inside a cluster, read back by pyvmomi."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from connectors import registry
from connectors.contract import VmSpec
from connectors.errors import NotFound
from connectors.simulators.vsphere import VsphereSimulator

pytestmark = pytest.mark.counterpart("vcsim")

Look = Callable[[VsphereSimulator], Any]


def make_pools(raw: Any) -> None:
    from pyVmomi import vim

    free = vim.ResourceAllocationInfo(
        reservation=0, limit=-1, expandableReservation=True, shares=vim.SharesInfo(shares=0, level="normal")
    )
    size = vim.ResourceConfigSpec(cpuAllocation=free, memoryAllocation=free)
    raw.clusters()[0].resourcePool.CreateResourcePool("gold", size).CreateResourcePool("databases", size)


@pytest.mark.parametrize("path", ["gold", "gold/databases"])
def test_new_machines_go_to_the_resource_pool_of_the_option(
    simulator: VsphereSimulator, look: Look, spec: VmSpec, path: str
) -> None:
    with look(simulator) as raw:
        make_pools(raw)
        endpoint = simulator.endpoint(options={"resource_pool": path})
        with registry.connect(endpoint, simulator.password) as connector:
            connector.create_vm(spec, identity := uuid4())
        assert raw.of(identity)[0].resourcePool.name == path.rpartition("/")[2]


def test_a_resource_pool_that_is_not_there_is_named_and_nothing_is_made(
    simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    with look(simulator) as raw:
        make_pools(raw)
        endpoint = simulator.endpoint(options={"resource_pool": "gold/web"})
        with registry.connect(endpoint, simulator.password) as connector:
            with pytest.raises(NotFound, match="no resource pool of cluster 'DC0_C0' 'gold/web'") as caught:
                connector.create_vm(spec, uuid4())
            assert "resource_pool" in caught.value.hint
        assert len(raw.machines()) == 1
