"""Long answers come by JSON-RPC, and by XML-RPC from a pool without it; both say the same."""

import http.client
import random
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from uuid import uuid4

import pytest

from connectors import registry
from connectors.contract import Connector, PowerAction, VmSpec
from connectors.deadlines import Deadline
from connectors.errors import DeadlineExceeded, Refused, Unreachable
from connectors.simulators.xen import Estate, Rule, XenSimulator
from connectors.simulators.xen.schema import NULL
from connectors.simulators.xen.store import REVERSES, Store

pytestmark = pytest.mark.counterpart("xen-sim")

pytest.importorskip("XenAPI")
from connectors.drivers.xen import transport  # noqa: E402 -- it needs the binding

Start = Callable[..., XenSimulator]
ODD = 'tab\t, "quotes", <angles> & Zürich 東京 \U0001f600'


class Portal(BaseHTTPRequestHandler):
    """Answers every question with the server's `page`, as if it were JSON."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(self.server.page)  # type: ignore[attr-defined] # set by the test

    def log_message(self, *_words: object) -> None:
        """Nothing on the test's own error output."""


@pytest.mark.parametrize(
    "page",
    [
        b"[" * 200_000,
        b"null",
        b"{}",
        b'{"error": 5}',
        b'{"error": {"message": {}}}',
        b'{"error": {"data": 5}}',
        b'{"result": 5}',
        b'{"result": {"OpaqueRef:1": "a machine"}}',
    ],
    ids=["endless", "null", "empty", "number", "no code", "no message", "no records", "no record"],
)
def test_json_that_is_not_xenapis_is_an_error_of_the_connection(page: bytes) -> None:
    with HTTPServer(("127.0.0.1", 0), Portal) as server:
        server.page = page  # type: ignore[attr-defined] # for the handler
        Thread(target=server.handle_request).start()
        proxy = transport.connect("127.0.0.1", server.server_port, None, Deadline(5))
        with pytest.raises(http.client.HTTPException, match="not"):
            transport.call_json(proxy, "VM.get_all_records")
        proxy("close")()


def test_a_record_that_lacks_a_field_is_an_error_of_the_connection() -> None:
    with HTTPServer(("127.0.0.1", 0), Portal) as server:
        server.page = b'{"result": {"OpaqueRef:1": {"name_label": "db"}}}'  # type: ignore[attr-defined] # for the handler
        Thread(target=server.handle_request).start()
        proxy = transport.connect("127.0.0.1", server.server_port, None, Deadline(5))
        (record,) = transport.call_json(proxy, "VM.get_all_records").values()
        proxy("close")()
    assert (record["name_label"], record.get("uuid")) == ("db", None)
    with pytest.raises(http.client.HTTPException, match="a record without 'uuid', which is not XenAPI's"):
        record["uuid"]


def test_a_member_without_its_pool_gives_no_answer_to_log_in_by() -> None:
    with HTTPServer(("127.0.0.1", 0), Portal) as server:
        server.page = b'{"result": {}}'  # type: ignore[attr-defined] # for the handler
        Thread(target=server.handle_request).start()
        proxy = transport.connect("127.0.0.1", server.server_port, None, Deadline(5))
        with pytest.raises(http.client.HTTPException, match="0 pools, where XenAPI has one"):
            transport.call_json(proxy, "pool.get_all_records")
        proxy("close")()


@pytest.fixture(params=[True, False], ids=["json", "xml only"])
def either(request: pytest.FixtureRequest, start: Start) -> XenSimulator:
    """A pool with both encodings, and one with XML-RPC alone."""
    return start(Estate(machines=3), speaks_json=request.param)


def opened(simulator: XenSimulator, timeout_s: float = 10) -> Connector:
    return registry.connect(simulator.endpoint(timeout_s=timeout_s), simulator.password)


def test_both_encodings_give_the_machines_that_the_binding_sees(
    either: XenSimulator, spec: VmSpec, look: Callable[[XenSimulator], Any]
) -> None:
    identity = uuid4()
    with opened(either) as connector, look(either) as raw:
        connector.create_vm(spec.model_copy(update={"name": ODD}), identity)
        connector.power(identity, PowerAction.ON)
        snapshot, views = connector.inventory()
        machines = [
            vm
            for vm in raw.VM.get_all_records().values()
            if not (vm["is_a_template"] or vm["is_control_domain"])
        ]
        (host,) = {
            raw.host.get_name_label(vm["resident_on"]) for vm in machines if vm["resident_on"] != NULL
        }
    told = {(v.native_id, v.name, v.resources.vcpu, v.resources.memory_mib, v.power.value) for v in views}
    powers = {"Running": "on", "Halted": "off"}
    assert told == {
        (
            vm["uuid"],
            vm["name_label"],
            int(vm["VCPUs_at_startup"]),
            int(vm["memory_dynamic_max"]) >> 20,
            powers[vm["power_state"]],
        )
        for vm in machines
    }
    assert ODD in {view.name for view in views}
    assert {view.host for view in views} == {None, host}
    assert (snapshot.pools[0].used.vcpu, snapshot.pools[0].used.memory_mib) == (2, 512)


def test_a_pool_without_json_is_asked_for_it_once(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    request = http.client.HTTPConnection.request

    def noted(self: Any, method: str, url: str, *arguments: Any, **more: Any) -> None:
        asked.append(url)
        request(self, method, url, *arguments, **more)

    monkeypatch.setattr(http.client.HTTPConnection, "request", noted)
    with opened(start(speaks_json=False)) as connector:
        connector.list_vms()
        connector.list_vms()
    assert asked.count("/jsonrpc") == 1


@pytest.mark.parametrize("action", ["http", "garbage", "reset"])
def test_no_answer_that_can_be_read_is_no_reason_to_ask_again(action: Any, either: XenSimulator) -> None:
    with opened(either) as connector:
        connector.list_vms()
        either.rules(Rule(method="VM.get_all_records", action=action, times=1))
        with pytest.raises(Unreachable):
            connector.list_vms()
        assert either.calls().get("VM.get_all_records", 0) == 0
        assert len(connector.list_vms()) == 3


def test_a_failure_and_a_session_that_ended_are_the_same_in_both(either: XenSimulator) -> None:
    with opened(either) as connector:
        connector.list_vms()
        either.forget_sessions()
        assert len(connector.list_vms()) == 3
        either.rules(Rule(method="VM.get_all_records", action="fail", code="LICENCE_RESTRICTION", times=1))
        with pytest.raises(Refused) as caught:
            connector.list_vms()
        assert caught.value.vendor_code == "LICENCE_RESTRICTION"


def test_a_late_answer_ends_at_the_deadline_in_both(either: XenSimulator) -> None:
    with opened(either, timeout_s=1) as connector:
        connector.list_vms()
        either.rules(Rule(method="VM.get_all_records", action="delay", delay_ms=3000, times=1))
        began_s = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            connector.list_vms()
        assert time.monotonic() - began_s <= 1.3
        assert len(connector.list_vms()) == 3


@pytest.mark.parametrize("seed", range(5))
def test_the_other_ends_of_references_are_what_a_search_of_all_objects_finds(seed: int) -> None:
    rng = random.Random(seed)
    store = Store()
    with store.changed:
        for _ in _changes(rng, store, 400):
            pass
        for (owner, field), (source, end) in REVERSES.items():
            for ref, record in store.records(owner).items():
                found = [one for one, row in store.rows(source).items() if row[end] == ref]
                assert record.get(field, found) == found, (owner, field)
                assert store.record(owner, ref) == record


@pytest.mark.parametrize("seed", range(5))
def test_events_are_those_that_a_search_of_all_objects_finds(seed: int) -> None:
    rng = random.Random(seed)
    store = Store()
    with store.changed:
        for _ in _changes(rng, store, 100):
            pass
        since, before = store.generation, _all_records(store)
        for _ in _changes(rng, store, 60):
            pass
        after = _all_records(store)
        told = {ref: (operation, record) for _, ref, operation, record in store.changes(since)}
    assert {
        ref for ref, (operation, _) in told.items() if operation == "add"
    } == after.keys() - before.keys()
    assert {
        ref for ref, (operation, _) in told.items() if operation == "del"
    } == before.keys() - after.keys()
    both = before.keys() & after.keys()
    assert {ref for ref in both if before[ref] != after[ref]} <= told.keys()
    assert all(record == after[ref] for ref, (operation, record) in told.items() if operation != "del")


def _all_records(store: Store) -> dict[str, Any]:
    return {ref: one for name in ("VM", "VBD", "VDI") for ref, one in store.records(name).items()}


def _changes(rng: random.Random, store: Store, number: int) -> Iterator[None]:
    """Make, connect anew and remove machines, disks and what is between them."""
    for _ in range(number):
        vms, vdis, vbds = (list(store.rows(name)) for name in ("VM", "VDI", "VBD"))
        vm, vdi = rng.choice([*vms, NULL]), rng.choice([*vdis, NULL])
        kind = rng.randrange(7)
        if kind == 0:
            store.add("VM", snapshot_of=vm)
        elif kind == 1:
            store.add("VDI", snapshot_of=vdi)
        elif kind in {2, 3}:
            store.add("VBD", VM=vm, VDI=vdi)
        elif kind == 4 and vbds:
            store.set("VBD", rng.choice(vbds), VM=vm, VDI=vdi)
        elif kind == 5 and vms:
            store.set("VM", rng.choice(vms), parent=vm)
        elif rng.random() < 0.5:
            name = rng.choice(["VM", "VDI", "VBD"])
            if store.rows(name):
                store.remove(name, rng.choice(list(store.rows(name))))
        yield
