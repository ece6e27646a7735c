"""Where a killed order's machine is made, and a door to it that is not the driver under test.

What stands behind an endpoint lives outside of the killed processes: a file, or a process of its own.
"""

import os
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from connectors.drivers.vsphere import creating
from connectors.drivers.vsphere.estate import find_all
from connectors.drivers.vsphere.placing import target
from connectors.drivers.vsphere.tasks import run as run_task
from connectors.simulators.vsphere import USER, Estate, VsphereSimulator
from tierwise.settings import Settings
from tierwise.testing.crash import Points, is_worker
from tierwise.testing.estate import simulated_acme

SECRET = "TIERWISE_CRASH_VCENTER_PASSWORD"  # noqa: S105 - the name of a variable


@dataclass(frozen=True)
class Found:
    """A machine as the hypervisor's own books show it."""

    name: str
    identity: str
    on: bool


class CrashEstate(ABC):
    """Acme's estate with the hypervisor that the order goes to."""

    offering: ClassVar[str]
    tenant: ClassVar[str]
    """What is ordered for whom, so that it goes to that hypervisor."""

    @abstractmethod
    def settings(self, folder: Path) -> Settings:
        """Make the data directory ``folder/data``."""

    @abstractmethod
    def machines(self, settings: Settings) -> list[Found]:
        """Every machine at the hypervisors, not read by the driver."""

    @abstractmethod
    def clear(self) -> None:
        """Forget all machines that are not in the data directory."""

    @abstractmethod
    def enter_child(self, points: Points) -> None:
        """What every child does before it works."""


class SimulatedEstate(CrashEstate):
    """Every endpoint is the simulated driver on a file of the data directory."""

    offering = "web-small"
    tenant = "web-shop"

    def __init__(self, *, naive: bool) -> None:
        self._options = {"adopt": False, "enforce_identity": False} if naive else {}

    def settings(self, folder: Path) -> Settings:
        """Make the data directory ``folder/data``."""
        return simulated_acme(folder, **self._options)

    def machines(self, settings: Settings) -> list[Found]:
        """The rows of every estate's file."""
        files = set(settings.data_dir.glob("*.sqlite")) - {settings.database}
        return [machine for file in sorted(files) for machine in _in_file(file)]

    def clear(self) -> None:
        """Nothing: all of it is in the data directory."""

    def enter_child(self, points: Points) -> None:
        """Nothing: calls are counted at the connector, and being naive is an option of the endpoints."""


def _in_file(file: Path) -> Iterator[Found]:
    with closing(sqlite3.connect(file)) as connection:
        for name, identity, power in connection.execute("SELECT name, identity, power FROM vm"):
            yield Found(name, identity, power == "on")


class VsphereEstate(CrashEstate):
    """Tier 1 is VMware's vCenter simulator in a process of its own; it outlives the killed ones."""

    offering = "domain-controller"
    tenant = "directory-services"

    def __init__(self, simulator: VsphereSimulator, *, naive: bool) -> None:
        self._simulator = simulator
        self._naive = naive

    @classmethod
    @contextmanager
    def started(cls, binary: Path, *, naive: bool) -> Iterator["VsphereEstate"]:
        """With a simulator of that program, and its password in the environment."""
        inside = Estate(clusters=2, hosts=3, host_threads=32, host_memory_mib=256 * 1024)
        with VsphereSimulator(binary, inside, task_delay_s=0.02, unique_names=not naive) as simulator:
            os.environ[SECRET] = simulator.password.get_secret_value()
            try:
                yield cls(simulator, naive=naive)
            finally:
                del os.environ[SECRET]

    def settings(self, folder: Path) -> Settings:
        """Make the data directory ``folder/data``."""
        endpoint = self._simulator.endpoint("fra-vcenter").model_copy(update={"secret": f"env:{SECRET}"})
        return simulated_acme(folder, {endpoint.name: endpoint})

    def machines(self, settings: Settings) -> list[Found]:
        """What bare pyvmomi sees over a login of its own, and what is at the simulated endpoints."""
        others = SimulatedEstate(naive=False).machines(settings)
        with self._raw() as content:
            return others + [
                Found(vm.name, vm.config.instanceUuid, vm.runtime.powerState == "poweredOn")
                for vm in _raw_machines(content)
            ]

    def clear(self) -> None:
        """Remove every machine of the simulator."""
        from pyVim.task import WaitForTask  # noqa: PLC0415 - the vendor's library only where it is used

        wait: Callable[[Any], object] = WaitForTask
        with self._raw() as content:
            for vm in _raw_machines(content):
                if vm.runtime.powerState == "poweredOn":
                    wait(vm.PowerOffVM_Task())
                wait(vm.Destroy_Task())

    def enter_child(self, points: Points) -> None:
        """Count every SOAP call of a workflow; without looking first where that was asked for."""
        _watch_soap(points)
        if self._naive:
            # The module's name is what the connector calls by; only this child's copy of it changes.
            creating.create = _create_without_looking

    @contextmanager
    def _raw(self) -> Iterator[Any]:
        from pyVim.connect import Disconnect, SmartConnect  # noqa: PLC0415 - as above

        connect: Callable[..., Any] = SmartConnect  # pyvmomi says that it is typed, and is not
        disconnect: Callable[[Any], object] = Disconnect
        host, _, port = self._simulator.address.partition(":")
        instance = connect(
            protocol=self._simulator.scheme,
            host=host,
            port=int(port),
            user=USER,
            pwd=self._simulator.password.get_secret_value(),
            disableSslCertValidation=True,
        )
        try:
            yield instance.content
        finally:
            disconnect(instance)


def _raw_machines(content: Any) -> list[Any]:
    return [vm for centre in content.rootFolder.childEntity for vm in centre.vmFolder.childEntity]


def _watch_soap(points: Points) -> None:
    """Calls that change something are points before and after; those that ask, before."""
    from pyVmomi.SoapAdapter import SoapStubAdapter  # noqa: PLC0415 - as above

    stubs: Any = SoapStubAdapter  # pyvmomi says that it is typed, and is not
    invoke = stubs.InvokeMethod

    def watched(stub: Any, managed: Any, info: Any, *arguments: Any, **named: Any) -> Any:
        method = info.wsdlName
        if not is_worker():
            return invoke(stub, managed, info, *arguments, **named)
        if not method.endswith("_Task"):
            points.reached(f"ask {method}")
            return invoke(stub, managed, info, *arguments, **named)
        points.reached(f"before {method}")
        result = invoke(stub, managed, info, *arguments, **named)
        points.reached(f"after {method}")
        return result

    stubs.InvokeMethod = watched


def _create_without_looking(op: Any, spec: Any, identity: Any) -> Any:
    """What a driver does that only creates: no look before, no election after."""
    place = target(op, spec)
    config = creating._config(op, spec, identity, "naive")  # noqa: SLF001 - the same machine, made naively
    creating._add_blank(op, spec, place, config)  # noqa: SLF001 - as above
    run_task(op, place.folder.CreateVM_Task(config=config, pool=place.pool, host=place.host))
    return find_all(op, identity)[0]
