"""What an order and a change do at a hypervisor itself, read back there without our drivers."""

import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import pytest
import yaml

from catalog.pools import Endpoint
from connectors.contract import PowerState
from connectors.simulators import libvirtd, vsphere
from connectors.simulators.hyperv import Estate as HypervEstate
from connectors.simulators.hyperv import HypervSimulator
from connectors.simulators.xen import READER, Estate, Rule, XenSimulator
from tierwise.app import App, wire
from tierwise.clock import SystemClock
from tierwise.errors import TierwiseError
from tierwise.jobs.runtime import running
from tierwise.store.orders import find_machine
from tierwise.testing.estate import simulated_acme
from tierwise.usecases import change
from tierwise.usecases.collect import collect
from tierwise.usecases.doctor import Verdict, examine
from tierwise.usecases.inventory import Drift, inventory
from tierwise.usecases.observe import observe
from tierwise.usecases.order import new_order, submit
from tierwise.usecases.samples import sample_store

IDENTITY = uuid5(NAMESPACE_URL, "one")


@pytest.fixture(scope="module")
def vcsim(request: pytest.FixtureRequest) -> Path:
    if problem := vsphere.missing():
        pytest.skip(problem)
    return vsphere.build(request.config.rootpath / ".build" / "vcsim")


@contextmanager
def acme(
    folder: Path,
    pool: str,
    provider: str,
    endpoint: Endpoint,
    *,
    class_traits: Sequence[str] = (),
    rules: Mapping[str, Any] | None = None,
) -> Iterator[App]:
    """Acme with this endpoint in its place, whose pool keeps nothing back and takes machines of one GiB.

    The class of web servers requires `class_traits`, and `rules` are added.
    """
    settings = simulated_acme(folder, {endpoint.name: endpoint})
    pools = settings.catalog_dir / "pools.yaml"
    tree = yaml.safe_load(pools.read_text("utf-8"))
    tree["pools"][pool] |= {"provider": provider, "reserved": {}}
    pools.write_text(yaml.safe_dump(tree), "utf-8")
    catalog = settings.catalog_dir / "catalog.yaml"
    tree = yaml.safe_load(catalog.read_text("utf-8"))
    tree["offerings"]["web-small"]["parameters"]["disk_gib"] |= {"minimum": 1, "multiple_of": 1}
    tree["classes"]["web"]["required_traits"] = list(class_traits)
    catalog.write_text(yaml.safe_dump(tree, sort_keys=False), "utf-8")
    if rules:
        (settings.catalog_dir / "more.yaml").write_text(yaml.safe_dump({"rules": rules}), "utf-8")
    app = wire(settings, SystemClock())
    with running(app):
        yield app
    app.close()


def ordered(app: App, tier: str) -> str:
    """The native id of a machine that was ordered."""
    order = new_order(
        app, order_id=IDENTITY, offering="web-small", tenant="web-shop", machine_name="one",
        parameters={"disk_gib": 1}, tier=tier, ordered_by="a test",
    )  # fmt: skip
    (row,) = submit(app, UUID(int=1), [order])
    assert row.status == "delivered", row.why
    with app.session() as session:
        return find_machine(session, "one").native_id


@pytest.mark.counterpart("xen-sim")
def test_a_machine_has_what_its_class_says_of_a_hosts_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    xen_api = pytest.importorskip("XenAPI")
    with XenSimulator(Estate(ha=True)) as simulator:
        monkeypatch.setenv("XEN_TEST_PASSWORD", simulator.password.get_secret_value())
        endpoint = simulator.endpoint(timeout_s=20).model_copy(
            update={"name": "hosted-xen", "secret": "env:XEN_TEST_PASSWORD"}
        )
        with acme(tmp_path, "hosted-nl", "xen-pool", endpoint) as app:
            native_id = ordered(app, "tier-3")
        session = xen_api.Session(endpoint.address)
        session.login_with_password(endpoint.username, simulator.password.get_secret_value())
        vm = session.xenapi.VM.get_by_uuid(native_id)
        # Web servers are told to come back if there is room; a driver that is told nothing takes "restart".
        assert session.xenapi.VM.get_ha_restart_priority(vm) == "best-effort"
        session.xenapi.session.logout()
        session("close")()


@pytest.mark.counterpart("xen-sim")
@pytest.mark.parametrize(
    ("off_s", "said"),
    [
        (7200, "the clock of 'xen-1' is 2 hours ahead of that of this machine"),
        (-5460, "the clock of 'xen-1' is 1 hour 31 minutes behind that of this machine"),
        (200, None),
    ],
)
def test_a_hosts_clock_that_is_wrong_is_told_by_doctor_and_by_who_collects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, off_s: int, said: str | None
) -> None:
    with XenSimulator(Estate(hosts=1)) as simulator:
        monkeypatch.setenv("XEN_TEST_PASSWORD", simulator.password.get_secret_value())
        endpoint = simulator.endpoint("hosted-xen", timeout_s=20).model_copy(
            update={"secret": "env:XEN_TEST_PASSWORD"}
        )
        with acme(tmp_path, "hosted-nl", "xen-pool", endpoint) as app:
            simulator.forward(off_s)
            found = [one for one in examine(app.settings) if "the clock of" in one.text]
            assert [one.verdict for one in found] == [Verdict.BAD] * (said is not None)
            notes = next(one.notes for one in collect(app) if one.endpoint == "hosted-xen")
            for texts in ([one.text for one in found], notes):
                assert [text.partition(";")[0] for text in texts] == [said] * (said is not None)
            simulator.rules(Rule(method="host.get_servertime", action="fail", code="PERMISSION_DENIED"))
            (kept,) = (one for one in collect(app) if one.endpoint == "hosted-xen")
            assert kept.why_not is None, "what the meters told was lost"
            (note,) = kept.notes
            assert note.startswith("its clock cannot be read: ")


@pytest.mark.counterpart("xen-sim")
def test_a_role_that_may_only_read_is_no_place_for_an_order_and_doctor_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with XenSimulator() as simulator:
        monkeypatch.setenv("XEN_TEST_PASSWORD", simulator.password.get_secret_value())
        endpoint = simulator.endpoint("hosted-xen", timeout_s=20).model_copy(
            update={"secret": "env:XEN_TEST_PASSWORD", "username": READER}
        )
        said = "the endpoint's user may not call VM.create, VDI.create, VBD.create; give it the role"
        with acme(tmp_path, "hosted-nl", "xen-pool", endpoint) as app:
            order = new_order(
                app, order_id=IDENTITY, offering="web-small", tenant="web-shop", machine_name="one",
                parameters={"disk_gib": 1}, tier="tier-3", ordered_by="a test",
            )  # fmt: skip
            (row,) = submit(app, UUID(int=1), [order])
            assert row.status == "refused"
            assert said in str(row.why)
            (found,) = [one.text for one in examine(app.settings) if one.subject == "pool hosted-nl"]
            assert said in found
        assert simulator.counts(["VDI"]) == {"VDI": 0}


@pytest.mark.counterpart("vcsim")
@pytest.mark.parametrize(
    ("forbidden", "runs", "said"),
    [
        (["Destroy_Task"], True, "it was switched off for that, and runs again"),
        (["Destroy_Task", "PowerOnVM_Task"], False, "it was switched off for that, and is off"),
        (["PowerOffVM_Task"], True, "NoPermission"),
    ],
)
def test_a_machine_whose_removal_is_forbidden_runs_again_or_is_off_in_the_books_too(
    vcsim: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    forbidden: Sequence[str],
    runs: bool,
    said: str,
) -> None:
    with vsphere.VsphereSimulator(vcsim, vsphere.Estate(hosts=1)) as simulator:
        monkeypatch.setenv("VCENTER_TEST_PASSWORD", simulator.password.get_secret_value())
        endpoint = simulator.endpoint("fra-vcenter", timeout_s=20).model_copy(
            update={"secret": "env:VCENTER_TEST_PASSWORD"}
        )
        with acme(tmp_path, "fra-prod-1", "DC0_C0", endpoint) as app:
            ordered(app, "tier-1")
            simulator.rules(
                *(vsphere.Rule(method=one, action="fault", fault="NoPermission") for one in forbidden)
            )
            with pytest.raises(TierwiseError, match=said):
                change.delete(app, UUID(int=2), "one")
            simulator.rules()
            observe(app)
            (machine,) = [one for one in inventory(app).machines if one.name == "one"]
            assert machine.power is (PowerState.ON if runs else PowerState.OFF)
            assert machine.drift is Drift.NONE, machine.differs
            change.delete(app, UUID(int=3), "one")


@pytest.mark.counterpart("hyperv-sim")
def test_what_hyper_v_measures_is_sampled_whoever_collects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with HypervSimulator(HypervEstate(host="fra-test-1")) as simulator:
        monkeypatch.setenv("HYPERV_TEST_PASSWORD", simulator.password.get_secret_value())
        endpoint = simulator.endpoint("fra-hyperv", timeout_s=20).model_copy(
            update={"secret": "env:HYPERV_TEST_PASSWORD"}
        )
        required = ["NETWORK_TEST"]
        with acme(tmp_path, "fra-test-1", "fra-test-1", endpoint, class_traits=required) as app:
            ordered(app, "tier-2")
            used: Counter[str] = Counter()
            for _ in range(100):
                if used["cpu_mhz"] >= 2000:
                    break
                time.sleep(0.5)
                assert {found.endpoint: found.why_not for found in collect(app)}["fra-hyperv"] is None
                app.endpoints.close()  # the next collection is another process's
                used = Counter()
                for row in sample_store(app).read().to_pylist():
                    used[row["metric"]] += row["quantity"] * row["seconds"]
    # The simulator's machines take 500 MHz, read 20 MB and write 10 MB a second; each is told in whole MHz or MB.
    kb_per_mhz_s = 30 * 2**20 / 1000 / 500
    assert abs(used["disk_io_kbps"] - used["cpu_mhz"] * kb_per_mhz_s) < 4 * 2**20 / 1000
    assert used["net_io_kbps"] == 0


@pytest.mark.counterpart("libvirt-qemu")
def test_a_disk_is_moved_to_another_storage_and_an_unknown_one_is_named(
    tmp_path: Path, daemon: libvirtd.PrivateLibvirtd
) -> None:
    fast = daemon.folder / "fast"
    fast.mkdir()
    daemon.virsh("pool-define-as", "fast", "dir", "--target", str(fast))
    daemon.virsh("pool-start", "fast")
    endpoint = daemon.qemu_endpoint("fra-kvm", 60.0, provider="fra-kvm-b")
    with acme(tmp_path, "fra-kvm-b", "fra-kvm-b", endpoint) as app:
        ordered(app, "tier-2")
        assert list(fast.iterdir()) == []
        with pytest.raises(TierwiseError, match="'slow'"):
            change.migrate_storage(app, UUID(int=2), "one", "slow")
        change.migrate_storage(app, UUID(int=3), "one", "fast")
        assert [path.name.startswith(str(IDENTITY)) for path in fast.iterdir()] == [True]
        assert list(daemon.images.glob(f"{IDENTITY}*")) == []
        change.delete(app, UUID(int=4), "one")
        assert list(fast.iterdir()) == []


@pytest.mark.counterpart("libvirt-qemu")
def test_a_machine_is_made_of_the_template_that_its_class_requires(
    tmp_path: Path, daemon: libvirtd.PrivateLibvirtd
) -> None:
    image = daemon.images / "debian-12.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(image), "512M"], check=True)
    write = ["qemu-io", "-c", "write -P 0xd1 0 1M", str(image)]
    subprocess.run(write, check=True, capture_output=True)
    daemon.virsh("pool-refresh", "default")
    named = {"DEBIAN_12": image.name}
    endpoint = daemon.qemu_endpoint("fra-kvm", 60.0, provider="fra-kvm-b", templates=named)
    required = ["CUSTOM_TEMPLATE_DEBIAN_12"]
    with acme(tmp_path, "fra-kvm-b", "fra-kvm-b", endpoint, class_traits=required) as app:
        ordered(app, "tier-2")
        (disk,) = daemon.images.glob(f"{IDENTITY}*")
        read = ["qemu-io", "-r", "-U", "-c", "read -P 0xd1 0 1M", str(disk)]
        said = subprocess.run(read, check=True, capture_output=True, text=True).stdout
        assert "read 1048576/1048576" in said
        assert "verification failed" not in said
        change.delete(app, UUID(int=4), "one")
    assert [path.name for path in daemon.images.iterdir()] == [image.name]


SILVER = "CUSTOM_STORAGE_POLICY_SILVER"
RULE = {
    "kind": "require_traits",
    "summary": "web servers stand on silver storage",
    "when": "request.workload_class == 'web' && pool.tier == 'tier-1'",
    "traits": [SILVER],
    "examples": [
        {
            "request": {"workload_class": "web"},
            "pool": {"tier": "tier-1", "traits": [SILVER]},
            "expect": "allowed",
        },
        {
            "request": {"workload_class": "web"},
            "pool": {"tier": "tier-1", "traits": []},
            "expect": "refused",
        },
    ],
}


@pytest.mark.counterpart("vcsim")
@pytest.mark.parametrize(
    "required",
    [{"class_traits": [SILVER]}, {"rules": {"web-is-silver": RULE}}],
    ids=["by-its-class", "by-a-rule"],
)
def test_a_machine_stands_on_the_storage_that_its_order_requires_of_the_pool(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    vcsim: Path,
    required: dict[str, Any],
) -> None:
    estate = vsphere.Estate(clusters=2, datastores=3, storage_policies=("silver@LocalDS_1",))
    with vsphere.VsphereSimulator(vcsim, estate) as simulator:
        monkeypatch.setenv("VC_TEST_PASSWORD", simulator.password.get_secret_value())
        endpoint = simulator.endpoint("fra-vcenter").model_copy(update={"secret": "env:VC_TEST_PASSWORD"})
        with acme(tmp_path, "fra-prod-1", "DC0_C0", endpoint, **required) as app:
            ordered(app, "tier-1")
        assert [path.name for path in simulator.files.glob("*-LocalDS_1-*/one/*.vmx")] == ["one.vmx"]
        assert list(simulator.files.glob("*-LocalDS_[02]-*/one/*")) == []
