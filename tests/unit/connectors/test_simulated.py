"""The simulated hypervisor's own behaviour, beyond the contract that the conformance suite proves."""

import sqlite3
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from catalog.capabilities import Capability, Gap, GapReason
from catalog.pools import Endpoint, Option
from catalog.resources import Resources
from connectors.contract import Firmware, PowerAction, PowerState, VmSpec
from connectors.drivers import simulated
from connectors.drivers.simulated import Simulated
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded, Refused, Unreachable

SMALL = Resources(vcpu=2, memory_mib=1024, disk_gib=10)


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 10, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def passes(self, **time: int) -> None:
        self.now += timedelta(**time)


@pytest.fixture
def address() -> Iterator[str]:
    address = f"memory:{uuid4()}"
    yield address
    simulated.forget(address)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def endpoint_at(address: str, **options: Option) -> Endpoint:
    return Endpoint(name="fra-test-1", driver="simulated", address=address, options=options, timeout_s=5)


def opened(address: str, clock: Clock | None = None, **options: Option) -> Simulated:
    connector = Simulated(endpoint_at(address, **options), clock=clock or Clock())
    connector.open()
    return connector


def made(
    connector: Simulated, size: Resources = SMALL, *, on: bool = False, provider: str = "sim-1"
) -> UUID:
    identity = uuid4()
    connector.create_vm(VmSpec(name="web", provider=provider, resources=size), identity)
    if on:
        connector.power(identity, PowerAction.ON)
    return identity


def cpu_ms(connector: Simulated, identity: UUID) -> int:
    (value,) = (
        r.value
        for r in connector.usage(datetime(2026, 1, 1, tzinfo=UTC))
        if r.identity == identity and r.metric == "cpu_ms"
    )
    return value


def test_a_simulation_says_that_it_is_one(address: str) -> None:
    seen = opened(address, hypervisor="vsphere").probe()
    assert seen.product == "tierwise simulation of vSphere"
    assert seen.note.startswith("simulation: ")
    assert "no hypervisor" in seen.note


def test_two_providers_do_not_share_their_room(address: str) -> None:
    connector = opened(address, providers="east, west", disk_gib=10)
    made(connector, provider="east")
    made(connector, provider="west")
    with pytest.raises(Refused, match="10 GiB of disk are wanted, east has 0 GiB free"):
        made(connector, provider="east")


def test_a_machine_of_a_provider_that_the_options_dropped_has_no_host_to_run_on(address: str) -> None:
    identity = made(opened(address, providers="east, west"), provider="west")
    connector = opened(address, providers="east")
    assert [view.provider for view in connector.list_vms()] == ["west"]
    with pytest.raises(Refused):
        connector.power(identity, PowerAction.ON)
    connector.delete_vm(identity)
    assert connector.list_vms() == []


def test_hosts_in_maintenance_are_shown_and_take_no_machine(address: str) -> None:
    connector = opened(address, hosts=2, hosts_in_maintenance=1, host_memory_mib=1024, host_vcpu=8)
    pool = connector.probe().pools[0]
    assert [(h.name, h.usable) for h in pool.hosts] == [("sim-1-host-1", True), ("sim-1-host-2", False)]
    assert pool.total == Resources(vcpu=8, memory_mib=1024, disk_gib=20480)
    made(connector, on=True)
    with pytest.raises(Refused, match="1024 MiB of memory are wanted, the emptiest host of sim-1 has 0"):
        made(connector)


def test_memory_must_fit_one_host_however_much_is_free_on_all(address: str) -> None:
    connector = opened(address, hosts=4, host_memory_mib=1000)
    with pytest.raises(Refused, match="emptiest host of sim-1 has 1000"):
        made(connector)


def test_vcpu_may_be_promised_more_often_than_there_are(address: str) -> None:
    connector = opened(address, hosts=1, host_vcpu=2)
    for _ in range(3):
        made(connector, on=True)
    assert connector.probe().pools[0].used.vcpu == 6


def test_a_machine_cannot_have_more_vcpu_than_a_host(address: str) -> None:
    connector = opened(address, host_vcpu=1)
    with pytest.raises(Refused, match="2 vcpu are wanted, a host of sim-1 has 1"):
        made(connector)


def test_switching_on_needs_memory_and_suspending_frees_it(address: str) -> None:
    connector = opened(address, hosts=1, host_memory_mib=1024)
    first, second = made(connector), made(connector)
    connector.power(first, PowerAction.ON)
    with pytest.raises(Refused):
        connector.power(second, PowerAction.ON)
    assert connector.get_vm(second).power is PowerState.OFF
    connector.power(first, PowerAction.SUSPEND)
    assert connector.power(second, PowerAction.ON).power is PowerState.ON


def test_growing_beyond_the_room_is_refused_and_changes_nothing(address: str) -> None:
    connector = opened(address, hosts=1, host_memory_mib=2048, disk_gib=20)
    identity = made(connector, on=True)
    for bigger in (Resources(memory_mib=1025), Resources(disk_gib=11)):
        with pytest.raises(Refused):
            connector.resize(identity, SMALL + bigger)
    assert connector.get_vm(identity).resources == SMALL


def test_a_running_or_suspended_machine_does_not_shrink(address: str) -> None:
    connector = opened(address)
    identity = made(connector, on=True)
    smaller = SMALL.model_copy(update={"vcpu": 1})
    with pytest.raises(Conflict, match="stop it first"):
        connector.resize(identity, smaller)
    connector.power(identity, PowerAction.SUSPEND)
    with pytest.raises(Conflict, match="suspended"):
        connector.resize(identity, smaller)


def test_a_revert_to_a_running_snapshot_needs_room_again(address: str) -> None:
    connector = opened(address, hosts=1, host_memory_mib=1024)
    identity = made(connector, on=True)
    connector.snapshot(identity, "running")
    connector.power(identity, PowerAction.OFF)
    other = made(connector, on=True)
    with pytest.raises(Refused):
        connector.revert(identity, "running")
    connector.delete_vm(other)
    connector.revert(identity, "running")
    assert connector.get_vm(identity).power is PowerState.ON


def test_an_equal_name_is_a_conflict_only_where_names_are_unique(address: str) -> None:
    connector = opened(address)
    made(connector)
    made(connector)
    with pytest.raises(Conflict, match="'web'"):
        made(opened(address, unique_names=True))


def test_cpu_time_is_time_on_times_vcpu_times_load(address: str, clock: Clock) -> None:
    connector = opened(address, clock, cpu_load_percent=25)
    identity = made(connector)
    clock.passes(hours=5)
    assert cpu_ms(connector, identity) == 0
    connector.power(identity, PowerAction.ON)
    clock.passes(hours=1)
    assert cpu_ms(connector, identity) == 1_800_000  # 1 h x 2 vcpu x 25 %
    connector.resize(identity, Resources(vcpu=4, memory_mib=1024, disk_gib=10))
    clock.passes(minutes=30)
    assert cpu_ms(connector, identity) == 3_600_000  # and 0.5 h x 4 vcpu x 25 %
    connector.power(identity, PowerAction.OFF)
    clock.passes(days=2)
    assert cpu_ms(connector, identity) == 3_600_000


def test_cpu_time_never_falls_even_when_the_clock_does(address: str, clock: Clock) -> None:
    connector = opened(address, clock)
    identity = made(connector, on=True)
    clock.passes(hours=2)
    connector.power(identity, PowerAction.OFF)
    connector.power(identity, PowerAction.ON)
    before = cpu_ms(connector, identity)
    clock.passes(hours=-1)
    connector.power(identity, PowerAction.OFF)
    connector.power(identity, PowerAction.ON)
    assert cpu_ms(connector, identity) == before
    clock.passes(hours=1)
    assert cpu_ms(connector, identity) == before  # back where it was: that hour was counted already


def test_memory_is_measured_while_a_machine_runs(address: str, clock: Clock) -> None:
    connector = opened(address, clock)
    made(connector)
    made(connector, on=True)
    found = [r for r in connector.usage(clock.now) if r.metric == "memory_mib"]
    assert [(r.value, r.counter, r.at) for r in found] == [(1024, False, clock.now)]
    assert list(connector.usage(clock.now + timedelta(seconds=1))) == []


def test_an_estate_in_memory_is_shared_by_name_until_it_is_forgotten(address: str) -> None:
    first = opened(address)
    made(first)
    first.close()
    assert len(opened(address).list_vms()) == 1
    assert opened(f"{address}-other").list_vms() == []
    simulated.forget(f"{address}-other")
    simulated.forget(address)
    assert opened(address).list_vms() == []


def test_a_connector_whose_estate_was_forgotten_is_unreachable(address: str) -> None:
    connector = opened(address)
    simulated.forget(address)
    with pytest.raises(Unreachable):
        connector.list_vms()


def test_an_estate_in_a_file_outlives_its_connectors(tmp_path: Path) -> None:
    address = str(tmp_path / "estate.db")
    first = opened(address)
    identity = made(first, on=True)
    view = first.get_vm(identity)
    first.close()
    second = opened(address)
    assert second.list_vms() == [view]
    assert simulated.calls(address)[0].operation == "open"
    second.close()


def test_a_file_that_is_no_estate_is_unreachable(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("this is not a database, it is a file of notes" * 100)
    with pytest.raises(Unreachable, match="memory:NAME"):
        opened(str(tmp_path / "notes.txt"))
    assert (tmp_path / "notes.txt").read_text().startswith("this is not")


def test_an_estate_that_another_process_holds_exceeds_the_deadline(tmp_path: Path) -> None:
    address = str(tmp_path / "estate.db")
    endpoint = endpoint_at(address).model_copy(update={"timeout_s": 0.05})
    connector = Simulated(endpoint)
    connector.open()
    holder = sqlite3.connect(address, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(DeadlineExceeded, match=r"within 0\.05 s"):
        connector.list_vms()
    with pytest.raises(DeadlineExceeded):
        Simulated(endpoint).open()
    holder.execute("ROLLBACK")
    holder.close()
    assert connector.list_vms() == []
    connector.close()


def test_a_password_is_kept_only_as_a_hash(tmp_path: Path) -> None:
    address = str(tmp_path / "estate.db")
    simulated.set_password(address, SecretStr("correct horse"))
    for wrong in (None, SecretStr("correct"), SecretStr("")):
        with pytest.raises(Refused, match="password is wrong"):
            Simulated(endpoint_at(address), wrong).open()
    with Simulated(endpoint_at(address), SecretStr("correct horse")) as connector:
        assert connector.list_vms() == []
    assert b"correct" not in b"".join(path.read_bytes() for path in tmp_path.iterdir())


def test_all_wrong_options_are_told_at_once_with_the_right_ones(address: str) -> None:
    with pytest.raises(Refused) as caught:
        opened(address, hosts=0, hosst=3, gaps="snapshot=sometimes")
    for part in ("'hosts': ", "'hosst': ", "'sometimes'", "options are: hypervisor, providers"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"providers": "a,a"}, "providers must differ"),
        ({"providers": " , "}, "at least 1 item"),
        ({"hosts": 1, "hosts_in_maintenance": 2}, "must not exceed hosts 1"),
        ({"gaps": "fly=never"}, "'fly'"),
        ({"traits": "not-a-trait"}, "pattern"),
    ],
)
def test_an_option_that_makes_no_sense_is_refused(
    address: str, options: dict[str, str | int | bool], why: str
) -> None:
    with pytest.raises(Refused, match=why):
        opened(address, **options)


def test_a_machine_of_a_template_has_its_firmware_and_what_the_template_rules_out_is_refused(
    address: str,
) -> None:
    connector = opened(address, templates={"WINDOWS": "windows-2022"})
    wanted = VmSpec(
        name="web",
        provider="sim-1",
        resources=Resources(vcpu=1, memory_mib=64, disk_gib=20),
        traits=frozenset({"CUSTOM_TEMPLATE_WINDOWS"}),
    )
    smaller = wanted.model_copy(update={"resources": Resources(vcpu=1, memory_mib=64, disk_gib=19)})
    with pytest.raises(Refused, match="has 20 GiB, not 19 GiB"):
        connector.create_vm(smaller, uuid4())
    with pytest.raises(Refused, match="starts by uefi, not by bios"):
        connector.create_vm(wanted.model_copy(update={"firmware": Firmware.BIOS}), uuid4())
    assert connector.list_vms() == []
    connector.create_vm(wanted, identity := uuid4())
    assert connector.details(identity).firmware is Firmware.UEFI


def test_a_played_hypervisor_lacks_what_it_lacks_for_a_stated_reason(address: str) -> None:
    report = opened(address, hypervisor="hyperv").probe().pools[0].capabilities
    expected = Gap(reason=GapReason.NOT_CONFIGURED, detail="fra-test-1 has no failover cluster")
    assert report.gap(Capability.HA_RESTART) == expected


def test_options_open_and_close_gaps_but_not_declared_ones(address: str) -> None:
    gaps = "ha_restart=works, snapshot=not_licensed, console=works"
    report = opened(address, hypervisor="hyperv", gaps=gaps).probe().pools[0].capabilities
    assert report.has(Capability.HA_RESTART)
    assert report.gap(Capability.SNAPSHOT) == Gap(
        reason=GapReason.NOT_LICENSED, detail="the options of fra-test-1 leave snapshot out"
    )
    assert report.gap(Capability.CONSOLE) == Simulated.gaps[Capability.CONSOLE]


ACTIONS = [
    "create",
    "create",
    "on",
    "on",
    "delete",
    "resize",
    "snapshot",
    "revert",
    "forget",
    "off",
    "suspend",
]
SIZES = st.builds(
    Resources,
    vcpu=st.sampled_from([1, 4, 5]),
    memory_mib=st.sampled_from([300, 400, 500]),
    disk_gib=st.sampled_from([5, 7]),
)
STEPS = st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 3), SIZES), min_size=25, max_size=50)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_whatever_is_asked_room_is_kept_and_used_is_the_sum_of_the_list(
    steps: list[tuple[str, int, Resources]],
) -> None:
    address = f"memory:{uuid4()}"
    connector = opened(address, hosts=2, host_vcpu=4, host_memory_mib=550, disk_gib=18)
    for step in steps:
        before = connector.list_vms()
        try:
            carry_out(connector, *step)
        except ConnectorError:
            assert connector.list_vms() == before  # what is refused changes nothing
        check_room(connector)
    simulated.forget(address)


def carry_out(connector: Simulated, action: str, which: int, size: Resources) -> None:
    identity = UUID(int=which)
    if action == "create":
        connector.create_vm(VmSpec(name="web", provider="sim-1", resources=size), identity)
    elif action == "delete":
        connector.delete_vm(identity)
    elif action == "resize":
        connector.resize(identity, size)
    elif action == "snapshot":
        connector.snapshot(identity, "one")
    elif action == "revert":
        connector.revert(identity, "one")
    elif action == "forget":
        connector.delete_snapshot(identity, "one")
    else:
        connector.power(identity, PowerAction[action.upper()])


def check_room(connector: Simulated) -> None:
    (pool,) = connector.probe().pools
    views = connector.list_vms()
    running = [view for view in views if view.power is PowerState.ON]
    on_host = Counter[str | None]()
    for view in running:
        on_host[view.host] += view.resources.memory_mib
    assert all(memory_mib <= 550 for memory_mib in on_host.values())
    assert all(view.resources.vcpu <= 4 for view in views)
    assert pool.used == Resources(
        vcpu=sum(view.resources.vcpu for view in running),
        memory_mib=sum(view.resources.memory_mib for view in running),
        disk_gib=sum(view.resources.disk_gib for view in views),
    )
    assert pool.used.disk_gib <= pool.total.disk_gib
