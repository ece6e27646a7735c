"""The simulated driver keeps the contract: on a file and in memory, playing each hypervisor."""

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from catalog.pools import Endpoint, Hypervisor, Option
from catalog.resources import Resources
from connectors.contract import VmSpec
from connectors.drivers import simulated
from connectors.drivers.simulated import Fault, FaultKind
from tierwise.testing.conformance import ConnectorConformance
from tierwise.testing.promises.templates import GONE


class SimulatedConformance(ConnectorConformance):
    deadline_s = 0.2

    @pytest.fixture
    def options(self) -> dict[str, Option]:
        return {}

    @pytest.fixture
    def endpoint(self, address: str, options: dict[str, Option]) -> Endpoint:
        return Endpoint(name="sim", driver="simulated", address=address, options=options, timeout_s=20)

    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return str(tmp_path / "estate.db")

    @pytest.fixture
    def dead_endpoint(self, endpoint: Endpoint, tmp_path: Path) -> Endpoint:
        return endpoint.model_copy(update={"address": str(tmp_path / "no-such-folder" / "estate.db")})

    @pytest.fixture
    def silent_endpoint(self, endpoint: Endpoint) -> Endpoint:
        slow = {**endpoint.options, "latency_ms": 3_600_000}
        return endpoint.model_copy(update={"options": slow, "timeout_s": self.deadline_s})

    @pytest.fixture
    def plant_foreign(self, endpoint: Endpoint, provider: str) -> Callable[[str], None]:
        def plant(name: str) -> None:
            spec = VmSpec(name=name, provider=provider, resources=Resources(vcpu=1, memory_mib=64))
            simulated.plant(endpoint.address, spec)

        return plant

    @pytest.fixture
    def lose_next_create_reply(self, address: str) -> Callable[[], None]:
        fault = Fault(operation="create_vm", kind=FaultKind.LOSE_REPLY)
        return lambda: simulated.script_faults(address, [fault])

    @pytest.fixture
    def restart_endpoint(self, address: str) -> Callable[[], None]:
        return lambda: simulated.script_faults(address, [Fault(operation="*", kind=FaultKind.UNREACHABLE)])


class TestSimulatedInAFile(SimulatedConformance):
    pass


class TestSimulatedWithTemplates(SimulatedConformance):
    @pytest.fixture
    def options(self) -> dict[str, Option]:
        return {"templates": {"DEBIAN_12": "debian-12", "SMALL": "alpine-3", GONE: "debian-13"}}

    @pytest.fixture
    def templates(self) -> dict[str, bytes]:
        return {"DEBIAN_12": b"template debian-12\n", "SMALL": b"template alpine-3\n"}


class TestSimulatedWithAPassword(SimulatedConformance):
    @pytest.fixture
    def password(self, address: str) -> SecretStr:
        password = SecretStr(f"right/{uuid4()}&")
        simulated.set_password(address, password)
        return password

    @pytest.fixture
    def dead_endpoint(self, endpoint: Endpoint, tmp_path: Path) -> Endpoint:
        return endpoint.model_copy(update={"address": str(tmp_path)})

    @pytest.fixture
    def silent_endpoint(self, endpoint: Endpoint) -> Endpoint:
        fault = Fault(operation="open", kind=FaultKind.DEADLINE)
        simulated.script_faults(endpoint.address, [fault])
        return endpoint.model_copy(update={"timeout_s": self.deadline_s})


class TestSimulatedInMemory(SimulatedConformance):
    @pytest.fixture
    def address(self) -> Iterator[str]:
        address = f"memory:{uuid4()}"
        yield address
        simulated.forget(address)


class TestSimulatedPlaying(SimulatedConformance):
    @pytest.fixture(params=list(Hypervisor), ids=lambda h: h.value)
    def options(self, request: pytest.FixtureRequest) -> dict[str, Option]:
        return {
            "hypervisor": request.param.value,
            "providers": "east, west",
            "hosts": 3,
            "hosts_in_maintenance": 1,
            "unique_names": True,
        }


class TestSimulatedWithLatency(SimulatedConformance):
    @pytest.fixture
    def options(self) -> dict[str, Option]:
        return {"latency_ms": 2}


LACKING = (
    ("create",),
    ("delete",),
    ("power_on", "metrics_cpu", "metrics_memory"),
    ("power_off", "shutdown", "suspend", "resize_hot", "resize_memory_hot"),
    ("resize_cold", "snapshot", "revert", "delete_snapshot", "template"),
)


class TestSimulatedWithGaps(SimulatedConformance):
    @pytest.fixture(params=LACKING, ids=lambda names: names[0])
    def options(self, request: pytest.FixtureRequest) -> dict[str, Option]:
        return {"gaps": ",".join(f"{name}=not_configured" for name in request.param)}
