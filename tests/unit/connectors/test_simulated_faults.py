"""Scripted faults do what they say, once, in every process that opens the estate."""

import subprocess
import sys
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors.contract import PowerAction, VmSpec
from connectors.drivers import simulated
from connectors.drivers.simulated import Fault, FaultKind, Simulated, machines
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded, NotFound, Refused, Unreachable

SPEC = VmSpec(name="web", provider="sim-1", resources=Resources(vcpu=1, memory_mib=512, disk_gib=5))
WORKER = """
import sys
from uuid import UUID
from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors.contract import VmSpec
from connectors.drivers.simulated import Simulated

def reply_never_comes(seconds):
    print("waiting", flush=True)
    sys.stdin.read()

endpoint = Endpoint(name="sim", driver="simulated", address=sys.argv[1], options={"latency_ms": int(sys.argv[3])})
spec = VmSpec(name="web", provider="sim-1", resources=Resources(vcpu=1, memory_mib=512, disk_gib=5))
connector = Simulated(endpoint, sleep=lambda seconds: None)
connector.open()
connector._sleep = reply_never_comes
connector.create_vm(spec, UUID(sys.argv[2]))
print("made", flush=True)
"""


@pytest.fixture
def address(tmp_path: Path) -> str:
    return str(tmp_path / "estate.db")


class Waits(list[float]):
    """A sleep that only remembers what it was asked for."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def opened(address: str, waits: Waits | None = None, **options: str | int | bool) -> Simulated:
    endpoint = Endpoint(name="sim", driver="simulated", address=address, options=options, timeout_s=3600)
    connector = Simulated(endpoint, sleep=Waits() if waits is None else waits)
    connector.open()
    return connector


def worker(address: str, identity: UUID, latency_ms: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORKER, address, str(identity), str(latency_ms)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("kind", "error", "made"),
    [
        (FaultKind.REFUSED, Refused, False),
        (FaultKind.UNREACHABLE, Unreachable, False),
        (FaultKind.DEADLINE, DeadlineExceeded, False),
        (FaultKind.LOSE_REPLY, Unreachable, True),
        (FaultKind.LATE_REPLY, DeadlineExceeded, True),
        (FaultKind.FAIL_AFTER_HALF, Refused, False),
    ],
)
def test_a_fault_raises_its_error_and_has_its_effect(
    address: str, kind: FaultKind, error: type[ConnectorError], *, made: bool
) -> None:
    connector = opened(address)
    simulated.script_faults(address, [Fault(operation="create_vm", kind=kind, why="as scripted")])
    with pytest.raises(error, match="as scripted"):
        connector.create_vm(SPEC, uuid4())
    assert len(connector.list_vms()) == made
    assert connector.probe().pools[0].used.disk_gib == 5 * made


@pytest.mark.parametrize("kind", [FaultKind.DEADLINE, FaultKind.LATE_REPLY])
def test_a_late_reply_is_waited_for_until_the_deadline_and_no_longer(address: str, kind: FaultKind) -> None:
    waits = Waits()
    connector = opened(address, waits)
    simulated.script_faults(address, [Fault(operation="create_vm", kind=kind)])
    with pytest.raises(DeadlineExceeded, match="within 3600 s"):
        connector.create_vm(SPEC, uuid4())
    assert len(waits) == 1
    assert 3500 < waits[0] <= 3600


def test_a_latency_above_the_timeout_takes_effect_and_exceeds_the_deadline(address: str) -> None:
    opened(address).close()
    connector = opened(address)
    connector._options = connector._options.model_copy(update={"latency_ms": 4_000_000})
    with pytest.raises(DeadlineExceeded):
        connector.create_vm(SPEC, uuid4())
    assert len(opened(address).list_vms()) == 1


def test_a_latency_below_the_timeout_is_waited_out_by_each_call(address: str) -> None:
    waits = Waits()
    connector = opened(address, waits, latency_ms=250)
    connector.probe()
    connector.list_vms()
    assert waits == [0.25, 0.25, 0.25]  # open, probe, list_vms


def test_only_the_nth_call_and_its_repetitions_go_wrong(address: str) -> None:
    connector = opened(address)
    fault = Fault(operation="list_vms", kind=FaultKind.UNREACHABLE, nth=3, times=2)
    simulated.script_faults(address, [fault])
    assert [works(connector) for _ in range(6)] == [True, True, False, False, True, True]


def works(connector: Simulated) -> bool:
    connector.probe()  # another operation, which must not be counted
    try:
        connector.list_vms()
    except Unreachable:
        return False
    return True


def test_a_fault_of_one_machine_leaves_the_others_alone(address: str) -> None:
    connector, unlucky, lucky = opened(address), uuid4(), uuid4()
    fault = Fault(operation="create_vm", kind=FaultKind.REFUSED, identity=unlucky)
    simulated.script_faults(address, [fault])
    connector.create_vm(SPEC, lucky)
    with pytest.raises(Refused):
        connector.create_vm(SPEC, unlucky)


def test_a_star_means_any_operation(address: str) -> None:
    connector = opened(address)
    simulated.script_faults(address, [Fault(operation="*", kind=FaultKind.UNREACHABLE)])
    with pytest.raises(Unreachable):
        connector.probe()
    assert connector.probe().pools


def test_cleared_faults_do_not_happen(address: str) -> None:
    connector = opened(address)
    simulated.script_faults(address, [Fault(operation="*", kind=FaultKind.REFUSED)])
    simulated.clear_faults(address)
    assert connector.list_vms() == []


def test_half_a_machine_needs_a_create() -> None:
    with pytest.raises(ValidationError, match="fail_after_half needs operation create_vm"):
        Fault(operation="power", kind=FaultKind.FAIL_AFTER_HALF)


def test_a_half_made_machine_is_listed_without_disk_and_finished_by_who_adopts_it(address: str) -> None:
    connector, identity = opened(address), uuid4()
    assert connector._database
    with connector._database.transaction(1) as db:
        half = machines.add(db, SPEC, identity, "sim-1-host-1", half=True)
    assert [view.resources.disk_gib for view in connector.list_vms()] == [0]
    assert connector.create_vm(SPEC, identity).resources == SPEC.resources
    with connector._database.transaction(1) as db:
        machines.remove_half(db, half)  # the first maker's late compensation
    assert connector.get_vm(identity).resources == SPEC.resources


def test_the_log_has_every_call_of_every_process_in_order(address: str) -> None:
    identity = uuid4()
    connector = opened(address)
    with worker(address, identity) as other:
        assert other.stdout
        assert other.stdout.read() == "made\n"
    connector.power(identity, PowerAction.ON)
    with pytest.raises(NotFound):
        connector.get_vm(UUID(int=0))
    assert [(c.seq, c.operation, c.identity) for c in simulated.calls(address)] == [
        (1, "open", None),
        (2, "open", None),
        (3, "create_vm", identity),
        (4, "power", identity),
        (5, "get_vm", UUID(int=0)),
    ]


def test_the_hypervisor_goes_on_when_its_client_is_killed_before_the_reply(address: str) -> None:
    identity = uuid4()
    with worker(address, identity, latency_ms=1) as killed:
        assert killed.stdout
        assert killed.stdout.readline() == "waiting\n"
        killed.kill()
    assert killed.returncode == -9
    connector = opened(address)
    first = connector.get_vm(identity)
    assert connector.create_vm(SPEC, identity) == first
    assert len(connector.list_vms()) == 1


@pytest.mark.parametrize(("enforced", "expected"), [(True, 1), (False, 2)])
def test_two_workers_that_looked_before_either_made_it(
    address: str, *, enforced: bool, expected: int
) -> None:
    identity = uuid4()
    zombie = opened(address, enforce_identity=enforced)
    other = opened(address, enforce_identity=enforced)
    zombie._sleep = lambda _: other.create_vm(SPEC, identity)  # asleep between looking and making
    delay = Fault(operation="create_vm", kind=FaultKind.DELAY, delay_ms=1000)
    simulated.script_faults(address, [delay])
    assert zombie.create_vm(SPEC, identity).identity == identity
    found = [view for view in zombie.list_vms() if view.identity == identity]
    assert len(found) == expected
    assert zombie.get_vm(identity).native_id == min(view.native_id for view in found)
    zombie.delete_vm(identity)
    assert zombie.list_vms() == []


def test_creating_without_looking_makes_two_machines_where_nobody_minds(address: str) -> None:
    connector, identity = opened(address, adopt=False, enforce_identity=False), uuid4()
    connector.create_vm(SPEC, identity)
    connector.create_vm(SPEC, identity)
    assert [view.identity for view in connector.list_vms()] == [identity, identity]


def test_creating_without_looking_is_a_conflict_where_identities_are_unique(address: str) -> None:
    connector, identity = opened(address, adopt=False), uuid4()
    connector.create_vm(SPEC, identity)
    with pytest.raises(Conflict):
        connector.create_vm(SPEC, identity)
