# ruff: noqa: D102 -- a test suite is made of asserts, and a test's name is its sentence
"""What a counterpart tells the suite, and the helpers that all promises share."""

import socket
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import ClassVar
from uuid import UUID, uuid4

import pytest
from pydantic import SecretStr

from catalog.capabilities import Capability
from catalog.pools import Endpoint
from catalog.resources import Resources
from connectors import registry
from connectors.contract import Connector, PoolSnapshot, PowerAction, VmSpec, VmView

Connect = Callable[..., Connector]
Needs = Callable[..., None]

WRONG_PASSWORD = "wrong-c0nf0rmance/secret&"  # noqa: S105 -- recognisable on purpose, opens nothing


class Machines:
    """Makes machines for one test and remembers them, so that all are removed after it."""

    def __init__(self, connector: Connector, provider: str, small: Resources) -> None:
        self.connector = connector
        self.provider = provider
        self.small = small
        self.identities: list[UUID] = []

    def identity(self) -> UUID:
        """A fresh identity whose machine will be removed after the test."""
        self.identities.append(uuid4())
        return self.identities[-1]

    def spec(self, identity: UUID, **changes: object) -> VmSpec:
        """A small machine with a name of its own, with `changes` to its fields."""
        name = f"tw-{identity.hex[:12]}"
        fields: dict[str, object] = {"name": name, "provider": self.provider, "resources": self.small}
        return VmSpec.model_validate(fields | changes)

    def make(self, *, on: bool = False, **changes: object) -> VmView:
        """A new machine, off or on."""
        identity = self.identity()
        view = self.connector.create_vm(self.spec(identity, **changes), identity)
        return self.connector.power(identity, PowerAction.ON) if on else view


def identity_of(view: VmView) -> UUID:
    """The identity of a machine that tierwise made."""
    assert view.identity is not None, f"machine '{view.name}' has lost its identity"
    return view.identity


class Counterpart:
    """What the suite is run against. A subclass gives the fixture `endpoint`, and may override the rest."""

    small: ClassVar[Resources] = Resources(vcpu=1, memory_mib=128, disk_gib=1)
    """The machine that most tests make."""
    bigger: ClassVar[Resources] = Resources(vcpu=2, memory_mib=256, disk_gib=2)
    """What it is resized to; larger in every dimension."""
    workers_at_once: ClassVar[int] = 50
    """Sessions that give fifty orders together; fewer where the counterpart lets one user have fewer."""
    patience_s: ClassVar[float] = 60.0
    """`timeout_s` of those workers: they wait for each other, as the machine of the test may be small."""
    deadline_s: ClassVar[float] = 1.0
    """`timeout_s` of the tests that let a call run into its deadline."""
    wire_deadline_s: ClassVar[float] = 6.0
    """`timeout_s` of the tests that break the wire: long enough for a create on a busy machine."""
    deadline_slack_s: ClassVar[float] = 2.0
    """Allowed on top of 110 % of the deadline, for a busy machine."""
    clock_skew: ClassVar[timedelta] = timedelta(seconds=2)
    """How far the counterpart's clock may be from this machine's; some tell whole seconds only."""
    may_map_names: ClassVar[bool] = False
    """True where the hypervisor forbids some names, and the driver shows another form of them: the inventory
    takes such machines for renamed."""
    guests_obey_shutdown: ClassVar[bool] = True
    """False where machines have no guest that answers a shutdown request."""
    counterpart_limits: ClassVar[Mapping[str, str]] = {}
    """Test name -> why this *counterpart* (not the driver) cannot pass it. These must fail, so a
    limit that is gone is noticed."""

    def new_connector(self, endpoint: Endpoint, password: SecretStr | None) -> Connector:
        """A connector, not opened; overridden where it needs more than the registry gives it."""
        return registry.connect(endpoint, password)

    def at(self, endpoint: Endpoint, host: str, port: int) -> Endpoint | None:
        """The endpoint moved to another address; None where it is not reached by host and port."""
        return None

    @pytest.fixture
    def password(self) -> SecretStr | None:
        """The right password; None where the counterpart has none."""
        return None

    @pytest.fixture
    def plant_foreign(self) -> Callable[[str], None] | None:
        """Makes a machine of this name behind tierwise's back; None where that cannot be done."""
        return None

    @pytest.fixture
    def lose_next_create_reply(self) -> Callable[[], None] | None:
        """After it is called, the next create takes effect but its reply is lost; None: cannot be done."""
        return None

    @pytest.fixture
    def other_storage(self) -> str | None:
        """Another storage of the provider, to which disks can be moved; None where there is none."""
        return None

    @pytest.fixture
    def restart_endpoint(self) -> Callable[[], None] | None:
        """Restarts the management service while its machines stay; None where that cannot be done."""
        return None

    @pytest.fixture
    def untrusted_endpoint(self) -> Endpoint | None:
        """The same endpoint without the authority that signed its certificate; None: no TLS here."""
        return None

    @pytest.fixture
    def dead_endpoint(self, endpoint: Endpoint) -> Endpoint:
        """An address where nothing listens."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
        return self._moved(endpoint, port)

    @pytest.fixture
    def silent_endpoint(self, endpoint: Endpoint) -> Iterator[Endpoint]:
        """An address that accepts connections and never answers, with a timeout of `deadline_s`."""
        with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
            moved = self._moved(endpoint, listener.getsockname()[1])
            yield moved.model_copy(update={"timeout_s": self.deadline_s})

    def _moved(self, endpoint: Endpoint, port: int) -> Endpoint:
        moved = self.at(endpoint, "127.0.0.1", port)
        if moved is None:
            pytest.skip("this counterpart is not reached by host and port")
        return moved

    @pytest.fixture
    def connect(self, endpoint: Endpoint, password: SecretStr | None) -> Iterator[Connect]:
        """Opens one more connector; all are closed after the test."""
        opened: list[Connector] = []

        def one_more(at: Endpoint = endpoint, secret: SecretStr | None = password) -> Connector:
            connector = self.new_connector(at, secret)
            opened.append(connector)
            connector.open()
            return connector

        yield one_more
        for connector in opened:
            connector.close()

    @pytest.fixture
    def connector(self, connect: Connect) -> Connector:
        """The connector under test, open."""
        return connect()

    @pytest.fixture
    def provider(self, connector: Connector) -> str:
        """The provider that the tests use: the first of the probe unless overridden."""
        return connector.probe().pools[0].provider

    @pytest.fixture
    def pool(self, connector: Connector, provider: str) -> PoolSnapshot:
        """The provider as probed when the test starts."""
        return pool_of(connector, provider)

    @pytest.fixture
    def needs(self, pool: PoolSnapshot) -> Needs:
        """Skips the test, with the gap's own words, where a capability is declared missing."""

        def check(*capabilities: Capability) -> None:
            for capability in capabilities:
                gap = pool.capabilities.gap(capability)
                if gap is not None:
                    pytest.skip(f"{capability.value}: {gap}")

        return check

    @pytest.fixture
    def machines(self, connector: Connector, pool: PoolSnapshot, connect: Connect) -> Iterator[Machines]:
        """Makes machines, and removes them after the test where the endpoint can."""
        made = Machines(connector, pool.provider, self.small)
        yield made
        if made.identities and pool.capabilities.has(Capability.DELETE):
            cleaner = connect()
            for identity in made.identities:
                cleaner.delete_vm(identity)

    @pytest.fixture(autouse=True)
    def _expect_stated_limit(self, request: pytest.FixtureRequest) -> None:
        name = getattr(request.node, "originalname", request.node.name)
        if name in self.counterpart_limits:
            reason = f"the counterpart: {self.counterpart_limits[name]}"
            request.node.add_marker(pytest.mark.xfail(reason=reason, strict=True))

    def test_each_stated_limit_names_a_test(self) -> None:
        unknown = [name for name in self.counterpart_limits if not hasattr(self, name)]
        assert unknown == [], f"counterpart_limits names no test of the suite: {unknown}"


def pool_of(connector: Connector, provider: str) -> PoolSnapshot:
    """One pool of a fresh probe."""
    found = [pool for pool in connector.probe().pools if pool.provider == provider]
    assert len(found) == 1, f"the probe shows provider '{provider}' {len(found)} times"
    return found[0]


def snapshot_names(connector: Connector, identity: UUID) -> list[str]:
    """The names of a machine's snapshots, oldest first."""
    return [one.name for one in connector.list_snapshots(identity)]


def identities(connector: Connector) -> list[UUID | None]:
    """The identity of every machine of the endpoint."""
    return [view.identity for view in connector.list_vms()]
