"""A real libvirtd that asks a real polkitd: what its rules forbid is Refused, named, and leaves nothing."""

from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import pytest

from catalog.resources import Resources
from connectors.contract import Connector, NewDisk, PowerAction, VmSpec
from connectors.errors import Refused
from connectors.registry import connect
from connectors.simulators import libvirt_polkit, libvirtd
from tierwise.testing.promises.base import snapshot_names

pytestmark = pytest.mark.counterpart("libvirt-polkit")

ROOT, DAEMON, NOBODY = 0, 1, 65534
"""Numbers of users that every Debian has: root may do everything, daemon all but define, nobody may look."""

RULES = """
polkit.addRule(function(action, subject) {
  if (action.id.indexOf("org.libvirt.api.") != 0) { return polkit.Result.NOT_HANDLED; }
  var what = action.id.substring("org.libvirt.api.".length);
  if (subject.user == "root") { return polkit.Result.YES; }
  if (subject.user == "daemon") {
    return what == "domain.save" || what == "domain.write" ? polkit.Result.NO : polkit.Result.YES;
  }
  var looking = /[.](getattr|read|search-domains|search-storage-pools|search-storage-vols)$/;
  return looking.test(what) ? polkit.Result.YES : polkit.Result.NO;
});
"""
DENIED = "88 VIR_ERR_ACCESS_DENIED"
SMALL = Resources(vcpu=1, memory_mib=128, disk_gib=1)


@pytest.fixture(scope="module")
def guarded() -> Iterator[libvirtd.PrivateLibvirtd]:
    problem = libvirtd.missing() or libvirt_polkit.missing()
    if problem is not None:
        pytest.skip(problem)
    with libvirtd.PrivateLibvirtd(polkit_rules=RULES) as running:
        yield running


@pytest.fixture(scope="module")
def addresses(guarded: libvirtd.PrivateLibvirtd) -> dict[int, str]:
    return {user: guarded.relayed(user) for user in (ROOT, DAEMON, NOBODY)}


@pytest.fixture
def user(
    guarded: libvirtd.PrivateLibvirtd, addresses: dict[int, str]
) -> Iterator[Callable[[int], Connector]]:
    """A connector of a user's."""
    opened: list[Connector] = []

    def one(number: int) -> Connector:
        endpoint = guarded.qemu_endpoint().model_copy(update={"address": addresses[number]})
        opened.append(connect(endpoint))
        opened[-1].open()
        return opened[-1]

    yield one
    for connector in opened:
        connector.close()


@pytest.fixture
def there(user: Callable[[int], Connector]) -> Iterator[UUID]:
    """A machine that root made."""
    root, identity = user(ROOT), uuid4()
    root.create_vm(spec(root, "there"), identity)
    root.add_disk(identity, NewDisk(name="old", size_gib=1))
    yield identity
    root.delete_vm(identity)


def spec(connector: Connector, name: str) -> VmSpec:
    return VmSpec(name=name, provider=connector.probe().pools[0].provider, resources=SMALL)


def test_who_may_only_look_sees_machines_and_capacity_as_root_does(
    user: Callable[[int], Connector], there: UUID
) -> None:
    root, nobody = user(ROOT), user(NOBODY)
    assert nobody.list_vms() == root.list_vms()
    assert nobody.probe().pools[0].total == root.probe().pools[0].total
    assert nobody.details(there) == root.details(there)


@pytest.mark.parametrize("number", [NOBODY, DAEMON], ids=["at once", "after the disk was made"])
def test_a_create_that_the_rules_forbid_is_refused_in_words_and_leaves_nothing(
    user: Callable[[int], Connector], guarded: libvirtd.PrivateLibvirtd, number: int
) -> None:
    identity = uuid4()
    connector = user(number)
    with pytest.raises(Refused) as caught:
        connector.create_vm(spec(connector, "wanted"), identity)
    assert caught.value.vendor_code == DENIED
    assert "access rules" in str(caught.value)
    assert identity not in {view.identity for view in user(ROOT).list_vms()}
    assert list(guarded.images.glob(f"{identity}*")) == []


@pytest.mark.parametrize(
    "call",
    [
        lambda c, i: c.power(i, PowerAction.ON),
        lambda c, i: c.resize(i, c.get_vm(i).resources + Resources(vcpu=1)),
        lambda c, i: c.snapshot(i, "before"),
        lambda c, i: c.add_disk(i, NewDisk(name="data", size_gib=1)),
        lambda c, i: c.grow_disk(i, "vda", 2),
        lambda c, i: c.remove_disk(i, c.details(i).disks[1]),
        lambda c, i: c.tag(i, {"env": "prod"}),
        lambda c, i: c.delete_vm(i),
    ],
    ids=["power", "resize", "snapshot", "add_disk", "grow_disk", "remove_disk", "tag", "delete"],
)
def test_a_change_that_the_rules_forbid_is_refused_and_changes_nothing(
    user: Callable[[int], Connector],
    guarded: libvirtd.PrivateLibvirtd,
    there: UUID,
    call: Callable[[Connector, UUID], object],
) -> None:
    root = user(ROOT)
    before, files = root.get_vm(there), sorted(guarded.images.iterdir())
    with pytest.raises(Refused) as caught:
        call(user(NOBODY), there)
    assert caught.value.vendor_code == DENIED
    assert root.get_vm(there) == before
    assert snapshot_names(root, there) == []
    assert sorted(guarded.images.iterdir()) == files


def test_a_snapshot_is_deleted_only_by_who_may(user: Callable[[int], Connector], there: UUID) -> None:
    root = user(ROOT)
    root.snapshot(there, "before")
    with pytest.raises(Refused) as caught:
        user(NOBODY).delete_snapshot(there, "before")
    assert caught.value.vendor_code == DENIED
    assert snapshot_names(root, there) == ["before"]


def test_who_comes_by_tcp_is_nobody_to_polkit_and_is_not_let_in(guarded: libvirtd.PrivateLibvirtd) -> None:
    with pytest.raises(Refused) as caught:
        connect(guarded.qemu_endpoint()).open()
    assert caught.value.vendor_code == DENIED
    assert "access rules" in str(caught.value)
