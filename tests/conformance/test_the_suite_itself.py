"""The conformance suite notices a driver that breaks its promises.

Each broken driver below does one thing wrong, and each must fail the tests named for it. An honest one,
made the same way, passes the whole suite. They run in one process of their own.
"""

import subprocess
import sys
import xml.etree.ElementTree as ET
from collections import defaultdict
from pathlib import Path

import pytest

BROKEN = '''
import contextlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from pydantic import SecretStr

from catalog.capabilities import Capability, CapabilityReport, Gap, GapReason
from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors.contract import PowerAction, PowerState
from connectors.drivers import simulated
from connectors.drivers.simulated import Fault, FaultKind, Simulated
from connectors.errors import Conflict, NotFound, Refused, Unsupported
from tierwise.testing.conformance import ConnectorConformance

GAP = Gap(reason=GapReason.NEVER, detail="it was never there")


class Broken(ConnectorConformance):
    deadline_s = 0.1
    deadline_slack_s = 0.3
    options = {}

    @pytest.fixture
    def address(self, tmp_path):
        return str(tmp_path / "estate.db")

    @pytest.fixture
    def endpoint(self, address):
        return Endpoint(name="sim", driver="simulated", address=address, options=self.options)

    @pytest.fixture
    def dead_endpoint(self, endpoint, tmp_path):
        return endpoint.model_copy(update={"address": str(tmp_path / "missing" / "estate.db")})

    @pytest.fixture
    def silent_endpoint(self, endpoint):
        slow = {**endpoint.options, "latency_ms": 700}
        return endpoint.model_copy(update={"options": slow, "timeout_s": self.deadline_s})

    @pytest.fixture
    def plant_foreign(self, endpoint, provider):
        from connectors.contract import VmSpec
        spec = dict(provider=provider, resources=Resources(vcpu=1, memory_mib=64))
        return lambda name: simulated.plant(endpoint.address, VmSpec(name=name, **spec))

    @pytest.fixture
    def lose_next_create_reply(self, address):
        lost = Fault(operation="create_vm", kind=FaultKind.LOSE_REPLY)
        return lambda: simulated.script_faults(address, [lost])

    def new_connector(self, endpoint, password):
        return self.Driver(endpoint, password)


class TestHonest(Broken):
    Driver = Simulated


class TestNaive(Broken):
    options = {"adopt": False, "enforce_identity": False}
    Driver = Simulated


class TestRacy(Broken):
    """Looks before it creates, on a hypervisor that lets two workers look at once."""
    options = {"enforce_identity": False}

    class Driver(Simulated):
        def _arrive(self, exchange, identity):
            super()._arrive(exchange, identity)
            if exchange.operation == "create_vm":
                exchange.fault = Fault(operation="create_vm", kind=FaultKind.DELAY, delay_ms=150)


class TestLeavesHalves(Broken):
    class Driver(Simulated):
        def create_vm(self, spec, identity):
            small = spec.resources.model_copy(update={"disk_gib": 1})
            with contextlib.suppress(NotFound):
                return self.get_vm(identity)
            if spec.resources.disk_gib > 100:
                super().create_vm(spec.model_copy(update={"resources": small}), identity)
            return super().create_vm(spec, identity) if spec.resources.disk_gib <= 100 else self._no()
        def _no(self):
            raise Refused(self.endpoint.name, "create_vm", "no space")


class TestStartsNewMachines(Broken):
    class Driver(Simulated):
        def create_vm(self, spec, identity):
            super().create_vm(spec, identity)
            return self.power(identity, PowerAction.ON)


class TestShrinksDisks(Broken):
    class Driver(Simulated):
        def resize(self, identity, resources):
            kept = self.get_vm(identity).resources.disk_gib
            return super().resize(identity, resources.model_copy(update={"disk_gib": max(kept, resources.disk_gib)}))


class TestHidesAGap(Broken):
    options = {"gaps": "suspend=never"}
    class Driver(Simulated):
        def _require(self, capability):
            if capability is not Capability.SUSPEND:
                super()._require(capability)


class TestInventsAGap(Broken):
    class Driver(Simulated):
        def snapshot(self, identity, name):
            raise Unsupported(self.endpoint.name, Capability.SNAPSHOT, GAP)


class TestTellsAnotherReason(Broken):
    options = {"gaps": "suspend=not_configured"}
    class Driver(Simulated):
        def _require(self, capability):
            if capability is Capability.SUSPEND:
                raise Unsupported(self.endpoint.name, capability, GAP)
            super()._require(capability)


class TestProbeForgetsGaps(Broken):
    class Driver(Simulated):
        def open(self):
            super().open()
            self._report = CapabilityReport()


class TestTellsThePassword(Broken):
    @pytest.fixture
    def password(self, address):
        simulated.set_password(address, SecretStr("right"))
        return SecretStr("right")

    class Driver(Simulated):
        def open(self):
            try:
                super().open()
            except Refused:
                raise Refused(self.endpoint.name, "open", f"no: {self._password.get_secret_value()}") from None


class TestTakesAnyPassword(Broken):
    @pytest.fixture
    def password(self, address):
        simulated.set_password(address, SecretStr("right"))
        return SecretStr("right")

    class Driver(Simulated):
        def _log_in(self, db):
            pass


class TestIgnoresItsDeadline(Broken):
    class Driver(Simulated):
        def open(self):
            self.endpoint = self.endpoint.model_copy(update={"timeout_s": 60})
            super().open()


class TestCrashesWhenClosed(Broken):
    class Driver(Simulated):
        def list_vms(self):
            self._database.transaction
            return super().list_vms()


class TestListsUnsorted(Broken):
    class Driver(Simulated):
        def list_vms(self):
            return super().list_vms()[::-1]


class TestClaimsForeignMachines(Broken):
    class Driver(Simulated):
        def list_vms(self):
            return [v if v.identity else v.model_copy(update={"identity": uuid4()}) for v in super().list_vms()]


class TestEatsOddNames(Broken):
    class Driver(Simulated):
        def create_vm(self, spec, identity):
            return super().create_vm(spec.model_copy(update={"name": spec.name.replace("&", "and")}), identity)


class TestLosesAnnotations(Broken):
    class Driver(Simulated):
        def create_vm(self, spec, identity):
            return super().create_vm(spec.model_copy(update={"annotations": {}}), identity)


class TestDeletesOnlyWhatIsOff(Broken):
    class Driver(Simulated):
        def delete_vm(self, identity):
            with contextlib.suppress(NotFound):
                if self.get_vm(identity).power is PowerState.ON:
                    return
            super().delete_vm(identity)


class TestMindsDeletingTwice(Broken):
    class Driver(Simulated):
        def delete_vm(self, identity):
            self.get_vm(identity)
            super().delete_vm(identity)


class TestCountsEverythingAsUsed(Broken):
    class Driver(Simulated):
        def probe(self):
            seen = super().probe()
            pools = tuple(p.model_copy(update={"used": sum((v.resources for v in self.list_vms()), Resources())}) for p in seen.pools)
            return seen.model_copy(update={"pools": pools})


class TestCountsHostsInMaintenance(Broken):
    options = {"hosts_in_maintenance": 1}
    class Driver(Simulated):
        def probe(self):
            seen = super().probe()
            pools = tuple(p.model_copy(update={"total": sum((h.resources for h in p.hosts), Resources())}) for p in seen.pools)
            return seen.model_copy(update={"pools": pools})


class TestMeterRunsBackwards(Broken):
    class Driver(Simulated):
        readings = 1000
        def usage(self, since):
            Simulated.readings = getattr(Simulated, "readings", 1000) - 1
            return [r.model_copy(update={"value": Simulated.readings}) for r in super().usage(since)]


class TestOrdersSnapshotsByName(Broken):
    class Driver(Simulated):
        def list_snapshots(self, identity):
            return sorted(super().list_snapshots(identity), key=lambda one: one.name)


class TestTellsSnapshotsInLocalTime(Broken):
    class Driver(Simulated):
        def list_snapshots(self, identity):
            local = timedelta(hours=2)
            there = super().list_snapshots(identity)
            return [one.model_copy(update={"taken_at": one.taken_at + local}) for one in there]


class TestTellsItsClockInLocalTime(Broken):
    class Driver(Simulated):
        def clocks(self):
            return {"sim": datetime.now(UTC) + timedelta(hours=2)}


class TestTellsTheNewestSnapshotAsCurrent(Broken):
    class Driver(Simulated):
        def list_snapshots(self, identity):
            there = super().list_snapshots(identity)
            return [one.model_copy(update={"current": one == there[-1]}) for one in there]


class TestTellsTheOneBeforeAsASnapshotsParent(Broken):
    class Driver(Simulated):
        def list_snapshots(self, identity):
            there = super().list_snapshots(identity)
            before = ["", *(one.name for one in there)]
            return [one.model_copy(update={"parent": name}) for one, name in zip(there, before)]


class TestRevertsNothing(Broken):
    class Driver(Simulated):
        def revert(self, identity, name):
            self.get_vm(identity)


class TestDeletesLaterSnapshotsToo(Broken):
    class Driver(Simulated):
        def delete_snapshot(self, identity, name):
            there = [one.name for one in self.list_snapshots(identity)]
            for one in there[there.index(name):] if name in there else ():
                super().delete_snapshot(identity, one)


class TestMindsDeletingASnapshotTwice(Broken):
    class Driver(Simulated):
        def delete_snapshot(self, identity, name):
            if all(one.name != name for one in self.list_snapshots(identity)):
                raise NotFound(self.endpoint.name, "delete_snapshot", "no such snapshot")
            super().delete_snapshot(identity, name)
'''

NOTICED_BY = {
    "TestNaive": {
        "creating_twice_is_creating_once",
        "a_machine_that_runs_is_adopted_as_it_is",
        "another_session_adopts_instead_of_creating",
        "a_create_whose_reply_was_lost_is_repeated_without_harm",
        "four_workers_creating_one_identity_make_one_machine",
    },
    "TestRacy": {"four_workers_creating_one_identity_make_one_machine"},
    "TestLeavesHalves": {"a_machine_without_room_is_refused_and_nothing_is_made"},
    "TestShrinksDisks": {"a_disk_never_shrinks"},
    "TestHidesAGap": {"a_declared_gap_is_refused_with_its_reason"},
    "TestInventsAGap": {
        "a_machine_with_snapshots_can_be_deleted",
        "a_machine_that_is_not_there_is_not_found",
        "snapshots_are_listed_oldest_first_and_once",
        "a_revert_keeps_the_machine_and_its_snapshots",
        "a_revert_brings_back_the_size",
    },
    "TestTellsAnotherReason": {"a_declared_gap_is_refused_with_its_reason"},
    "TestTellsThePassword": {"a_wrong_password_is_refused"},
    "TestTakesAnyPassword": {"a_wrong_password_is_refused"},
    "TestIgnoresItsDeadline": {"a_silent_address_ends_at_the_deadline"},
    "TestCrashesWhenClosed": {"a_call_on_a_closed_connector_is_unreachable"},
    "TestListsUnsorted": {"the_list_is_in_order_of_name_and_native_id"},
    "TestClaimsForeignMachines": {"a_foreign_machine_is_listed_without_identity"},
    "TestEatsOddNames": {"a_name_with_odd_characters_harms_nothing"},
    "TestLosesAnnotations": {"a_new_machine_is_off_and_as_ordered"},
    "TestDeletesOnlyWhatIsOff": {"a_running_machine_can_be_deleted"},
    "TestMindsDeletingTwice": {"deleting_twice_is_deleting_once"},
    "TestCountsEverythingAsUsed": {"used_disk_counts_a_machine_that_is_off"},
    "TestCountsHostsInMaintenance": {"a_total_is_the_sum_of_the_usable_hosts"},
    "TestMeterRunsBackwards": {"counters_never_fall"},
    "TestOrdersSnapshotsByName": {"snapshots_are_listed_oldest_first_and_once"},
    "TestTellsSnapshotsInLocalTime": {"snapshots_have_the_times_at_which_they_were_taken"},
    "TestTellsItsClockInLocalTime": {"clocks_that_are_told_show_the_time_in_utc"},
    "TestTellsTheNewestSnapshotAsCurrent": {"snapshots_tell_which_they_came_from_where_they_tell_anything"},
    "TestTellsTheOneBeforeAsASnapshotsParent": {
        "snapshots_tell_which_they_came_from_where_they_tell_anything"
    },
    "TestRevertsNothing": {"a_revert_brings_back_the_size", "an_unknown_snapshot_is_not_found"},
    "TestDeletesLaterSnapshotsToo": {
        "of_three_snapshots_one_is_deleted_and_the_machine_stays_as_it_is",
        "a_revert_brings_back_what_it_did_whatever_snapshot_is_deleted",
    },
    "TestMindsDeletingASnapshotTwice": {"of_three_snapshots_one_is_deleted_and_the_machine_stays_as_it_is"},
    "TestProbeForgetsGaps": {
        "a_probe_only_adds_to_the_declared_gaps",
        "a_capability_without_a_call_is_declared_missing",
        "a_running_machine_is_measured",
    },
    "TestStartsNewMachines": {"a_new_machine_is_off_and_as_ordered"},
}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bool]]:
    """Driver -> test -> whether it failed, in any of its cases, in setup, call or clean-up."""
    folder = tmp_path_factory.mktemp("broken")
    (folder / "test_broken.py").write_text(BROKEN, encoding="utf-8")
    (folder / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    chosen = [f"{driver}::test_{test}" for driver, tests in NOTICED_BY.items() for test in sorted(tests)]
    tests = [f"test_broken.py::{name}" for name in ["TestHonest", *chosen]]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=report.xml"]
    ran = subprocess.run([*command, *tests], cwd=folder, capture_output=True, check=False, text=True)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    return read(folder / "report.xml")


def read(report: Path) -> dict[str, dict[str, bool]]:
    found: dict[str, dict[str, bool]] = defaultdict(lambda: defaultdict(bool))
    for case in ET.parse(report).getroot().iter("testcase"):
        driver = case.get("classname", "").rpartition(".")[2]
        name = case.get("name", "").partition("[")[0].removeprefix("test_")
        found[driver][name] |= bool(case.findall("failure") + case.findall("error"))
    return {driver: dict(tests) for driver, tests in found.items()}


def test_an_honest_driver_passes(outcomes: dict[str, dict[str, bool]]) -> None:
    assert [test for test, failed in outcomes["TestHonest"].items() if failed] == []
    named = {test for tests in NOTICED_BY.values() for test in tests}
    assert named <= outcomes["TestHonest"].keys()


@pytest.mark.parametrize("driver", NOTICED_BY)
def test_the_suite_notices_a_broken_driver(driver: str, outcomes: dict[str, dict[str, bool]]) -> None:
    assert outcomes[driver] == dict.fromkeys(NOTICED_BY[driver], True)
