"""What an order says of its machine as vSphere's tags, read back and changed over the REST API without the driver."""

import json
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import UUID, uuid4

import pytest

from connectors import registry
from connectors.contract import Connector, VmSpec
from connectors.drivers.vsphere.rest import Rest
from connectors.errors import Conflict, ConnectorError, DeadlineExceeded, Refused, Unreachable, Unsupported
from connectors.simulators.vsphere import USER, Rule, VsphereSimulator
from tests.peers.vsphere.conftest import connected, create_at_once

pytestmark = pytest.mark.counterpart("vcsim")

Look = Callable[[VsphereSimulator], Any]

SAYS = {"tierwise.order": "42", "tierwise.tenant": "payroll", "note": "ünï & <b>/?#%"}
SHARED = {name: value for name, value in SAYS.items() if name != "tierwise.order"}
LOGIN, LOGOUT = "POST /rest", "DELETE /rest"


@pytest.fixture
def connector(simulator: VsphereSimulator) -> Iterator[Connector]:
    with connected(simulator, tags=True) as opened:
        yield opened


@pytest.fixture
def spec(spec: VmSpec) -> VmSpec:
    return spec.model_copy(update={"annotations": SAYS})


class Vendor:
    """The REST API as vCenter's reference has it, over a login of its own."""

    def __init__(self, simulator: VsphereSimulator) -> None:
        self._at = f"{simulator.scheme}://{simulator.address}/rest/com/vmware/cis/"
        basic = b64encode(f"{USER}:{simulator.password.get_secret_value()}".encode()).decode()
        self._headers = {"Authorization": f"Basic {basic}"}
        self._headers = {"vmware-api-session-id": self.ask("POST", "session")}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._at + path, data, self._headers, method=method)
        with urllib.request.urlopen(request) as answer:
            told = answer.read()
        return json.loads(told)["value"] if told else None

    def category(self, name: str, cardinality: str = "SINGLE", *types: str) -> str:
        spec = {"name": name, "description": "", "cardinality": cardinality, "associable_types": types}
        return str(self.ask("POST", "tagging/category", {"create_spec": spec}))

    def tag(self, category: str, name: str) -> str:
        spec = {"name": name, "description": "", "category_id": category}
        return str(self.ask("POST", "tagging/tag", {"create_spec": spec}))

    def attach(self, tag: str, machine: str) -> None:
        body = {"object_id": {"type": "VirtualMachine", "id": machine}}
        self.ask("POST", f"tagging/tag-association/id:{tag}?~action=attach", body)

    def all(self, what: str) -> list[dict[str, Any]]:
        return [
            self.ask("GET", f"tagging/{what}/id:{one}") for one in self.ask("GET", f"tagging/{what}") or ()
        ]

    def of(self, machine: str) -> list[tuple[str, str]]:
        """Category and tag of each that the machine has."""
        body = {"object_id": {"type": "VirtualMachine", "id": machine}}
        there = self.ask("POST", "tagging/tag-association?~action=list-attached-tags", body) or ()
        tags = [self.ask("GET", f"tagging/tag/id:{one}") for one in there]
        names = {one["id"]: one["name"] for one in self.all("category")}
        return sorted((names[one["category_id"]], one["name"]) for one in tags)


def id_of(raw: Any, identity: UUID) -> str:
    (machine,) = raw.of(identity)
    return str(machine._moId)


def test_the_vendors_client_sees_each_annotation_that_machines_share_once(
    connector: Connector, simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    identity = uuid4()
    for _ in range(2):
        connector.create_vm(spec, identity)
    connector.create_vm(spec.model_copy(update={"name": "second"}), uuid4())
    vendor = Vendor(simulator)
    with look(simulator) as raw:
        assert vendor.of(id_of(raw, identity)) == sorted(SHARED.items())
    assert sorted(one["name"] for one in vendor.all("tag")) == sorted(SHARED.values())
    assert {
        one["name"]: (one["cardinality"], one["associable_types"]) for one in vendor.all("category")
    } == {name: ("SINGLE", ["VirtualMachine"]) for name in SHARED}
    assert connector.get_vm(identity).annotations == SAYS, "the order stands in the notes"


def test_tags_that_others_made_are_told_kept_and_used(
    connector: Connector, simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    identity, vendor = uuid4(), Vendor(simulator)
    note = vendor.category("note", "MULTIPLE")
    other = vendor.tag(note, "call Ada first")
    backup = vendor.tag(vendor.category("backup", "MULTIPLE", "VirtualMachine", "Datastore"), "daily")
    connector.create_vm(spec, identity)
    with look(simulator) as raw:
        machine = id_of(raw, identity)
        for tag in (other, backup):
            vendor.attach(tag, machine)
        both = ", ".join(sorted(["call Ada first", SAYS["note"]]))
        assert connector.tags(identity) == {**SHARED, "backup": "daily", "note": both}
        connector.tag(identity, {"tierwise.tenant": "web-shop", "note": "call Ada first"})
        wanted = {"tierwise.tenant": "web-shop", "note": "call Ada first", "backup": "daily"}
        assert connector.tags(identity) == wanted
        connector.tag(identity, {"note": "", "backup": ""})
        assert vendor.of(machine) == [("tierwise.tenant", "web-shop")]
    assert [one["id"] for one in vendor.all("category") if one["name"] == "note"] == [note]


def test_each_operation_ends_the_session_that_it_began(
    connector: Connector, simulator: VsphereSimulator, spec: VmSpec
) -> None:
    identity, logins = uuid4(), 0
    works: list[tuple[Callable[[], Any], int]] = [
        (lambda: connector.create_vm(spec, identity), 2),
        (lambda: connector.create_vm(spec, identity), 2),
        (lambda: connector.tags(identity), 1),
        (lambda: connector.tag(identity, {"env": "prod"}), 1),
        (connector.list_vms, 0),
    ]
    simulator.rules()
    for work, sessions in works:
        work()
        logins += sessions
        assert simulator.calls().get(LOGOUT, 0) == logins


@pytest.mark.parametrize("action", ["reset", "http"])
def test_a_session_is_ended_though_its_connection_broke(
    action: Any, connector: Connector, simulator: VsphereSimulator, spec: VmSpec
) -> None:
    identity = uuid4()
    connector.create_vm(spec, identity)
    simulator.rules(Rule(method="GET /rest", action=action, status=503))
    with pytest.raises(Unreachable):
        connector.tags(identity)
    calls = simulator.calls()
    # Each attempt logs in, asks what is attached, and fails at the first tag.
    assert calls[LOGOUT] * 2 == calls[LOGIN]
    assert calls[LOGOUT] == (2 if action == "reset" else 1)


def test_without_the_option_nothing_is_asked_there_and_tags_are_refused(
    simulator: VsphereSimulator, spec: VmSpec
) -> None:
    with connected(simulator) as connector:
        identity = uuid4()
        connector.create_vm(spec, identity)
        with pytest.raises(Unsupported, match="'custom_attributes' or 'tags'"):
            connector.tags(identity)
    assert not any("/rest" in call for call in simulator.calls())


def test_both_options_at_once_are_refused(simulator: VsphereSimulator) -> None:
    endpoint = simulator.endpoint(options={"tags": True, "custom_attributes": True})
    with pytest.raises(Refused, match="one of 'custom_attributes' and 'tags'"):
        registry.connect(endpoint, simulator.password).open()


@pytest.mark.parametrize("status", [403, 400])
def test_whatever_is_refused_leaves_no_machine(
    status: int, connector: Connector, simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    with look(simulator) as raw:
        for skip in range(40):
            identity = uuid4()
            named = spec.model_copy(update={"name": f"m{skip}", "annotations": {f"c{skip}": f"v{skip}"}})
            simulator.rules(Rule(method=LOGIN, action="http", status=status, skip=skip, times=1))
            try:
                connector.create_vm(named, identity)
            except Refused:
                assert raw.of(identity) == [], f"after request {skip}"
            else:
                break
        assert skip >= 6, "login, category and tag; login, what is attached, and attaching"


@pytest.mark.parametrize("after", [False, True], ids=["lost before", "lost after"])
@pytest.mark.parametrize("action", ["reset", "http"])
def test_a_create_that_is_cut_off_at_any_request_is_finished_by_the_next(
    action: Any, after: bool, connector: Connector, simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    cut = 0
    with look(simulator) as raw:
        for skip in range(40):
            identity = uuid4()
            says = {f"c{skip}": f"v{skip}"}
            named = spec.model_copy(update={"name": f"m{skip}", "annotations": says})
            # A lost connection is tried once more by the driver itself.
            times = 2 if action == "reset" else 1
            rule = Rule(method=LOGIN, action=action, status=503, after=after, skip=skip, times=times)
            simulator.rules(rule)
            try:
                connector.create_vm(named, identity)
            except (Unreachable, DeadlineExceeded):
                cut += 1
            done = simulator.calls()[LOGIN] <= skip
            simulator.rules()
            connector.create_vm(named, identity)
            assert len(raw.of(identity)) == 1
            assert connector.tags(identity) == says
            if done:
                break
    assert cut >= (5 if action == "http" else 1)


@pytest.mark.parametrize(
    ("rule", "kind", "said"),
    [
        (Rule(method=LOGIN, action="http", status=401), Refused, "does not take the endpoint's user name"),
        (Rule(method=LOGIN, action="http", status=404), Refused, "there is no REST API.*custom_attributes"),
        (Rule(method=LOGIN, action="http", status=403), Refused, "vSphere Tagging"),
        (Rule(method=LOGIN, action="http", status=200), Unreachable, "what is not its REST API's"),
        (Rule(method="GET /rest", action="http", status=404), Conflict, "removed meanwhile"),
        (Rule(method="GET /rest", action="http", status=401), Unreachable, "session ended"),
        (Rule(method="GET /rest", action="http", status=503), Unreachable, "cannot answer now"),
        (Rule(method="GET /rest", action="http", status=429), Unreachable, "cannot answer now"),
        (Rule(method="GET /rest", action="reset"), Unreachable, "connection"),
        (Rule(method=LOGIN, action="delay", delay_ms=8000), DeadlineExceeded, "no answer within 2 s"),
    ],
    ids=lambda one: f"{one.method.split()[0]}-{one.status}" if isinstance(one, Rule) else "",
)
def test_what_the_rest_api_does_to_a_call_is_told(
    rule: Rule, kind: type[ConnectorError], said: str, simulator: VsphereSimulator, spec: VmSpec
) -> None:
    identity = uuid4()
    with connected(simulator, 2, tags=True) as connector:
        connector.create_vm(spec, identity)
        simulator.rules(rule)
        with pytest.raises(kind, match=said) as caught:
            connector.tags(identity)
        assert simulator.password.get_secret_value() not in repr(caught.value)
        simulator.rules()
        assert connector.tags(identity) == SHARED


def test_a_category_that_is_not_for_machines_is_told_and_nothing_is_left(
    connector: Connector, simulator: VsphereSimulator, look: Look, spec: VmSpec
) -> None:
    Vendor(simulator).category("note", "SINGLE", "Datastore")
    identity = uuid4()
    with pytest.raises(Refused, match="not for objects of this type"):
        connector.create_vm(spec, identity)
    with look(simulator) as raw:
        assert raw.of(identity) == []


def test_workers_at_once_make_each_category_and_tag_once(simulator: VsphereSimulator, spec: VmSpec) -> None:
    with ExitStack() as opened:
        workers = [opened.enter_context(connected(simulator, tags=True)) for _ in range(4)]
        wanted = create_at_once(workers, spec)
        assert [worker.tags(one) for worker, one in zip(workers, wanted, strict=True)] == [SHARED] * 4
    vendor = Vendor(simulator)
    assert sorted(one["name"] for one in vendor.all("category")) == sorted(SHARED)
    assert sorted(one["name"] for one in vendor.all("tag")) == sorted(SHARED.values())


def test_the_simulator_refuses_what_vcenter_refuses(simulator: VsphereSimulator, look: Look) -> None:
    vendor = Vendor(simulator)
    single = vendor.category("env")
    one, two = vendor.tag(single, "prod"), vendor.tag(single, "test")
    with look(simulator) as raw:
        machine = raw.machines()[0]._moId
    vendor.attach(one, machine)
    with pytest.raises(urllib.error.HTTPError, match="400"):
        vendor.attach(two, machine)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        vendor.attach(two, "vm-nowhere")
    wrong = Vendor.__new__(Vendor)
    wrong._at, wrong._headers = vendor._at, {"Authorization": f"Basic {b64encode(b'operator:no').decode()}"}
    with pytest.raises(urllib.error.HTTPError, match="401"):
        wrong.ask("POST", "session")


def test_what_lets_a_request_in_is_in_no_repr() -> None:
    nothing: Any = None
    assert "c2VjcmV0" not in repr(Rest(nothing, nothing, {"Authorization": "Basic c2VjcmV0"}))
