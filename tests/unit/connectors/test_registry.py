"""The registry finds the drivers in the folder and those of other packages, and says what it did not find."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import SecretStr

from catalog.capabilities import Capability
from catalog.pools import Endpoint
from connectors import drivers, registry
from connectors.contract import Connector
from connectors.drivers.simulated import Simulated
from connectors.errors import Refused
from tierwise.docs.capabilities import installed

FOLDER = Path(drivers.__path__[0])
VENDOR_LIBRARIES = ("pyVmomi", "pyVim", "vmware", "libvirt", "winrm", "pypsrp", "XenAPI")
OUTSIDE = """
from connectors.contract import Connector
from connectors.drivers.simulated import Simulated

class Elsewhere(Simulated):
    driver = "elsewhere"
"""

Offer = Callable[[str, str], None]


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Installs a package with an entry point, as pip would leave it on the path."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, target: str) -> None:
        (tmp_path / "tierwise_elsewhere.py").write_text(OUTSIDE)
        folder = tmp_path / "tierwise_elsewhere-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: tierwise-elsewhere\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text(f"[tierwise.drivers]\n{name} = {target}\n")

    return install


def test_every_file_and_folder_of_drivers_is_a_driver() -> None:
    files = {path.stem for path in FOLDER.glob("*.py") if not path.name.startswith("_")}
    folders = {path.parent.name for path in FOLDER.glob("*/__init__.py")}
    assert files | folders <= set(registry.driver_names())
    assert "simulated" in registry.driver_names()


@pytest.mark.parametrize("name", registry.driver_names())
def test_every_driver_is_named_after_its_file(name: str) -> None:
    assert registry.driver_class(name).driver == name


@pytest.mark.parametrize("name", registry.driver_names())
def test_every_declared_gap_is_a_sentence_for_the_person_who_wanted_it(name: str) -> None:
    for capability, gap in registry.driver_class(name).declared().gaps.items():
        assert isinstance(capability, Capability)
        assert " " in gap.detail, f"{name}, {capability.value}: {gap.detail}"
        assert not gap.detail.endswith("."), f"{name}, {capability.value}: the reason follows in brackets"


@pytest.mark.parametrize("name", registry.driver_names())
def test_a_connector_is_made_without_touching_the_endpoint(name: str) -> None:
    endpoint = Endpoint(name="nowhere", driver=name, address="192.0.2.1")
    connector = registry.connect(endpoint, SecretStr("secret"))
    assert connector.endpoint is endpoint
    connector.close()


def test_no_vendor_library_is_imported_for_the_capability_table() -> None:
    program = (
        "import sys\n"
        "from tierwise.docs.capabilities import installed\n"
        "sys.stdout.buffer.write(installed().encode())\n"
        f"loaded = [m for m in {VENDOR_LIBRARIES!r} if m in sys.modules]\n"
        "sys.exit(f'imported: {loaded}' if loaded else 0)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert (ran.returncode, ran.stderr.decode()) == (0, "")
    assert ran.stdout.decode() == installed()


def test_the_capability_table_is_whole_where_no_vendor_library_is_installed() -> None:
    blocked = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({VENDOR_LIBRARIES!r}))\n"  # None: any import of it fails
        "from tierwise.docs.capabilities import installed\n"
        "sys.stdout.buffer.write(installed().encode())\n"
    )
    ran = subprocess.run([sys.executable, "-c", blocked], capture_output=True, check=True)
    assert ran.stdout.decode() == installed()


def test_an_unknown_driver_is_answered_with_the_known_ones() -> None:
    with pytest.raises(registry.UnknownDriver, match=r"'vmware'.*simulated"):
        registry.driver_class("vmware")
    with pytest.raises(registry.UnknownDriver):
        registry.connect(Endpoint(name="a", driver="vmware", address="x"))


@pytest.mark.parametrize("target", ["tierwise_elsewhere", "tierwise_elsewhere:Elsewhere"])
def test_another_package_offers_a_driver_by_an_entry_point(offer: Offer, target: str) -> None:
    offer("elsewhere", target)
    assert "elsewhere" in registry.driver_names()
    assert registry.driver_class("elsewhere").__name__ == "Elsewhere"


def test_a_package_cannot_replace_one_of_our_drivers(offer: Offer) -> None:
    offer("simulated", "tierwise_elsewhere:Elsewhere")
    assert registry.driver_class("simulated") is Simulated


@pytest.mark.parametrize("target", ["tierwise_elsewhere:Elsewhere", "tierwise_elsewhere", "os:PathLike"])
def test_a_driver_under_another_name_than_its_own_is_a_bad_driver(offer: Offer, target: str) -> None:
    offer("other", target)
    with pytest.raises(registry.BadDriver, match="driver = 'other'"):
        registry.driver_class("other")


def test_a_driver_that_lacks_methods_is_told_which() -> None:
    class Half(Connector):
        driver = "half"
        open = close = probe = list_vms = get_vm = power = Simulated.close

    with pytest.raises(registry.BadDriver, match=r"contract: create_vm, delete_vm, resize$"):
        registry._checked(Half, "half")


def test_a_missing_vendor_library_is_refused_with_how_to_get_it() -> None:
    endpoint = Endpoint(name="fra", driver="simulated", address="x")
    with pytest.raises(Refused) as caught:
        registry.vendor_module("no_such_vendor_library", endpoint, extra="vsphere")
    assert "pip install 'tierwise[vsphere]'" in str(caught.value)
    assert "'fra'" in str(caught.value)


def test_an_installed_vendor_library_is_given_back() -> None:
    endpoint = Endpoint(name="fra", driver="simulated", address="x")
    assert registry.vendor_module("json", endpoint, extra="vsphere").__name__ == "json"
