"""Facts of clusters and their storage, compared with what another client reads."""

from collections.abc import Callable
from typing import Any

import pytest

from catalog.capabilities import Capability, GapReason
from connectors import registry
from connectors.contract import PoolSnapshot
from connectors.simulators.vsphere import Estate, VsphereSimulator

pytestmark = pytest.mark.counterpart("vcsim")

Start = Callable[..., VsphereSimulator]
Look = Callable[[VsphereSimulator], Any]


def pools(simulator: VsphereSimulator, **options: str) -> dict[str, PoolSnapshot]:
    with registry.connect(simulator.endpoint(options=options), simulator.password) as connector:
        return {pool.provider: pool for pool in connector.probe().pools}


@pytest.mark.parametrize(
    ("kinds", "trait"),
    [
        (("VMFS",), "STORAGE_VMFS"),
        (("NFS", "NFS41"), "STORAGE_NFS"),
        (("vsan",), "STORAGE_VSAN"),
        (("VVOL",), "STORAGE_VVOL"),
        (("VMFS", "NFS"), None),
        (("VMFS", "OTHER"), None),
        ((), None),
    ],
)
def test_a_kind_of_storage_is_a_trait_where_every_datastore_is_of_it(
    start: Start, look: Look, kinds: tuple[str, ...], trait: str | None
) -> None:
    simulator = start(Estate(datastores=2, datastore_types=kinds))
    with look(simulator) as raw:
        mounted = {store.summary.type for store in raw.clusters()[0].datastore}
    assert mounted == set(kinds or ("OTHER",))
    found = {one for one in pools(simulator)["DC0_C0"].traits if one.startswith("STORAGE_")}
    assert found == ({trait} if trait else set())


def test_of_several_kinds_the_one_of_the_chosen_datastore_is_the_trait(start: Start, look: Look) -> None:
    simulator = start(Estate(datastores=2, datastore_types=("VMFS", "NFS")))
    with look(simulator) as raw:
        kinds = {store.name: store.summary.type for store in raw.clusters()[0].datastore}
    assert sorted(kinds.values()) == ["NFS", "VMFS"]
    for name, kind in kinds.items():
        traits = pools(simulator, datastore=name)["DC0_C0"].traits
        assert {one for one in traits if one.startswith("STORAGE_")} == {f"STORAGE_{kind}"}


@pytest.mark.parametrize("behavior", ["fullyAutomated", "partiallyAutomated", "manual", ""])
def test_drs_that_moves_machines_by_itself_is_a_trait_of_clusters_that_have_it_on(
    start: Start, behavior: str
) -> None:
    simulator = start(
        Estate(clusters=2, standalone_hosts=1, drs_behavior=behavior, without_drs=("DC0_C1",))
    )
    having = {name for name, pool in pools(simulator).items() if "DRS_FULLY_AUTOMATED" in pool.traits}
    assert having == ({"DC0_C0"} if behavior == "fullyAutomated" else set())


def test_ha_that_keeps_room_is_a_trait_of_clusters_that_restart_machines(start: Start) -> None:
    estate = Estate(
        clusters=3,
        ha_admission_control=True,
        without_ha=("DC0_C1",),
        without_host_monitoring=("DC0_C1", "DC0_C2"),
    )
    found = pools(start(estate))
    assert {n for n, pool in found.items() if "HA_ADMISSION_CONTROL" in pool.traits} == {"DC0_C0"}
    assert found["DC0_C0"].capabilities.has(Capability.HA_RESTART)
    for name, words in (
        ("DC0_C1", "vSphere HA is off"),
        ("DC0_C2", "host monitoring of vSphere HA is off"),
    ):
        gap = found[name].capabilities.gap(Capability.HA_RESTART)
        assert gap is not None
        assert gap.reason is GapReason.NOT_CONFIGURED
        assert gap.detail.startswith(words)
        assert name in gap.detail
