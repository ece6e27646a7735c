"""What HA does with new machines, read back by the vendor's binding."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from catalog.resources import Resources
from catalog.workload_classes import Availability
from connectors import registry
from connectors.contract import VmSpec
from connectors.errors import Conflict, Refused, Unreachable
from connectors.simulators.xen import Estate, Rule, XenSimulator

pytestmark = pytest.mark.counterpart("xen-sim")

pytest.importorskip("XenAPI")

Start = Callable[..., XenSimulator]
Look = Callable[[XenSimulator], Any]

LOCAL = {"sr": "Local storage on xen-1"}
THINGS = ("VM", "VM_metrics", "VDI", "VBD", "VIF", "task")


def priority(
    simulator: XenSimulator, look: Look, spec: VmSpec, wanted: Availability | None, **options: str
) -> str:
    endpoint = simulator.endpoint(timeout_s=10, options=options)
    with registry.connect(endpoint, simulator.password) as connector, look(simulator) as raw:
        view = connector.create_vm(spec.model_copy(update={"availability": wanted}), uuid4())
        return str(raw.VM.get_ha_restart_priority(raw.VM.get_by_uuid(view.native_id)))


@pytest.fixture
def small(spec: VmSpec) -> VmSpec:
    return spec.model_copy(update={"resources": Resources(vcpu=1, memory_mib=64, disk_gib=1)})


@pytest.fixture
def with_ha(start: Start) -> XenSimulator:
    return start(Estate(ha=True, local_sr_mib=4096))


@pytest.mark.parametrize(
    ("wanted", "set_to"),
    [(Availability.RESTART, "restart"), (Availability.BEST_EFFORT, "best-effort"), (None, "restart")],
)
def test_a_machine_is_restarted_as_its_class_says(
    with_ha: XenSimulator, look: Look, small: VmSpec, wanted: Availability | None, set_to: str
) -> None:
    assert priority(with_ha, look, small, wanted) == set_to


@pytest.mark.parametrize("wanted", list(Availability))
def test_without_ha_no_priority_is_set_and_nothing_is_asked(
    simulator: XenSimulator, look: Look, small: VmSpec, wanted: Availability
) -> None:
    assert priority(simulator, look, small, wanted) == ""
    assert "VM.set_ha_restart_priority" not in simulator.calls()
    assert "VM.assert_agile" not in simulator.calls()


@pytest.mark.parametrize("wanted", [Availability.BEST_EFFORT, None])
def test_a_machine_that_only_one_host_can_run_is_restarted_as_well_as_can_be(
    with_ha: XenSimulator, look: Look, small: VmSpec, wanted: Availability | None
) -> None:
    assert priority(with_ha, look, small, wanted, **LOCAL) == "best-effort"


def test_a_restart_that_is_ordered_and_not_possible_is_refused_and_leaves_nothing(
    with_ha: XenSimulator, look: Look, small: VmSpec
) -> None:
    before = with_ha.counts(THINGS)
    with pytest.raises(Refused, match="not all hosts share") as caught:
        priority(with_ha, look, small, Availability.RESTART, **LOCAL)
    assert caught.value.vendor_code == "HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED"
    assert "'sr'" in caught.value.hint
    assert with_ha.counts(THINGS) == before


@pytest.mark.parametrize("method", ["VM.assert_agile", "VM.set_ha_restart_priority"])
@pytest.mark.parametrize("after", [False, True], ids=["lost before", "lost after"])
def test_a_create_that_is_cut_off_at_ha_is_repeated_without_harm(
    with_ha: XenSimulator, look: Look, small: VmSpec, method: str, after: bool
) -> None:
    identity, before = uuid4(), with_ha.counts(THINGS)
    with registry.connect(with_ha.endpoint(timeout_s=10), with_ha.password) as connector:
        with_ha.rules(Rule(method=method, action="reset", after=after, times=1))
        with pytest.raises(Unreachable):
            connector.create_vm(small, identity)
        with_ha.rules()
        view = connector.create_vm(small, identity)
        with look(with_ha) as raw:
            assert raw.VM.get_ha_restart_priority(raw.VM.get_by_uuid(view.native_id)) == "restart"
        connector.delete_vm(identity)
    assert with_ha.counts(THINGS) == before


def test_another_failure_of_the_check_is_not_taken_for_a_machine_that_stays_on_one_host(
    with_ha: XenSimulator, look: Look, small: VmSpec
) -> None:
    before = with_ha.counts(THINGS)
    blocked = Rule(
        method="VM.assert_agile", action="fail", code="OPERATION_NOT_ALLOWED", parameters=("no",)
    )
    with_ha.rules(blocked)
    with pytest.raises(Conflict):
        priority(with_ha, look, small, None)
    assert with_ha.counts(THINGS) == before


@pytest.mark.parametrize(("ha", "hosts", "planned"), [(True, 2, True), (True, 1, False), (False, 2, False)])
def test_a_plan_for_the_failure_of_a_host_is_a_trait(
    start: Start, ha: bool, hosts: int, planned: bool
) -> None:
    simulator = start(Estate(ha=ha, hosts=hosts))
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        (pool,) = connector.probe().pools
    assert ("HA_FAILOVER_PLAN" in pool.traits) == planned
