"""Members of a pool that lead to the master, die, and take over, with one machine to show for it."""

import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from catalog.pools import Endpoint
from connectors import registry
from connectors.contract import PowerAction, PowerState, VmSpec
from connectors.errors import Unreachable
from connectors.simulators import certificates
from connectors.simulators.certificates import make_certificate
from connectors.simulators.xen import Estate, Rule, XenSimulator

pytestmark = pytest.mark.counterpart("xen-sim")

pytest.importorskip("XenAPI")

SLACK_S = 0.5
MASTER, SLAVE = "127.0.0.2", "127.0.0.3"
THINGS = ("VM", "VM_metrics", "VDI", "VBD", "VIF", "task")

Start = Callable[..., XenSimulator]


@pytest.fixture
def pair(start: Start) -> XenSimulator:
    """A pool of two hosts."""
    return start(Estate(hosts=2), host=MASTER, slaves=[SLAVE])


def at(endpoint: Endpoint, host: str) -> Endpoint:
    return endpoint.model_copy(update={"address": endpoint.address.replace(MASTER, host)})


def test_a_slave_whose_master_is_dead_is_unreachable_in_time_until_one_is_promoted(
    pair: XenSimulator, spec: VmSpec
) -> None:
    endpoint = at(pair.endpoint(timeout_s=2), SLAVE)
    with registry.connect(endpoint, pair.password) as connector:
        connector.create_vm(spec, identity := uuid4())
        pair.kill_master()
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(Unreachable) as caught:
                connector.get_vm(identity)
            assert caught.value.retriable
            assert time.monotonic() - began <= 2 * 1.1 + SLACK_S
        pair.promote()
        assert connector.get_vm(identity).identity == identity
    assert pair.counts(["session"])["session"] <= 1, (
        "the one of the master that died, which nobody could end"
    )


def test_a_connector_that_opens_after_the_masters_death_finds_the_survivor_by_its_options(
    pair: XenSimulator, spec: VmSpec
) -> None:
    pair.promote()
    with registry.connect(pair.endpoint(timeout_s=5, options={"members": SLAVE}), pair.password) as found:
        assert found.create_vm(spec, uuid4()).name == "web"


@pytest.mark.parametrize("method", ["VM.create", "VDI.create", "VBD.create", "VM.add_to_other_config"])
def test_a_master_that_dies_in_the_middle_of_a_create_leaves_one_machine_at_the_survivor(
    pair: XenSimulator, spec: VmSpec, method: str
) -> None:
    identity, before = uuid4(), pair.counts(THINGS)
    with registry.connect(pair.endpoint(timeout_s=10), pair.password) as connector:
        connector.list_vms()
        # The call takes effect, and while its answer is held back the master dies.
        pair.rules(Rule(method=method, action="delay", delay_ms=700, after=True, times=1))
        death = threading.Timer(0.4, pair.promote)
        death.start()
        with suppress(Unreachable):  # the connection that broke must say so
            connector.create_vm(spec, identity)
        death.join()
        view = connector.create_vm(spec, identity)
        assert (view.identity, view.resources) == (identity, spec.resources)
        after = pair.counts(THINGS)
        added = {name: after[name] - before[name] for name in THINGS}
        assert added == {"VM": 1, "VM_metrics": 1, "VDI": 1, "VBD": 1, "VIF": 0, "task": 0}
        assert [one.identity for one in connector.list_vms()] == [identity]
        assert connector.power(identity, PowerAction.ON).power is PowerState.ON
        connector.delete_vm(identity)
    assert pair.counts(THINGS) == before


def test_a_member_that_keeps_silent_costs_its_part_of_the_time_and_no_more(
    pair: XenSimulator, spec: VmSpec
) -> None:
    port = int(pair.address.partition(":")[2])
    with socket.create_server(("127.0.0.9", port)):  # takes connections, and never answers
        endpoint = at(pair.endpoint(timeout_s=3, options={"members": f"{MASTER}, {SLAVE}"}), "127.0.0.9")
        began = time.monotonic()
        with registry.connect(endpoint, pair.password) as connector:
            assert time.monotonic() - began <= 1.0 + SLACK_S, "a third of the time, as there are three"
            assert connector.create_vm(spec, uuid4()).name == "web"


@pytest.mark.parametrize("farewell", [b"", b"\x15\x03\x03\x00\x02\x01\x00"], ids=["none", "close_notify"])
def test_a_member_that_hangs_up_before_tls_is_there_is_passed_over(
    farewell: bytes, start: Start, spec: VmSpec, tmp_path: Path
) -> None:
    """As a member's TLS front does while xapi behind it is down; TLS has an alert to say so (RFC 8446, 6.1)."""
    if reason := certificates.missing():
        pytest.skip(reason)
    made = make_certificate(tmp_path, MASTER)
    simulator = start(host=MASTER, certificate=made.certificate, key=made.key)
    found = simulator.endpoint(timeout_s=10, ca_file=made.authority, options={"members": MASTER})
    with socket.create_server(("127.0.0.9", int(simulator.address.partition(":")[2]))) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(farewell)

        threading.Thread(target=hang_up, daemon=True).start()
        with registry.connect(at(found, "127.0.0.9"), simulator.password) as connector:
            assert connector.create_vm(spec, uuid4()).name == "web"


def test_a_pool_that_changed_its_master_between_two_calls_is_followed_without_an_error(
    start: Start, spec: VmSpec
) -> None:
    # Both members live on: the old master answers as a slave does.
    simulator = start(Estate(hosts=2), host=MASTER, slaves=[SLAVE])
    with registry.connect(simulator.endpoint(timeout_s=10), simulator.password) as connector:
        connector.create_vm(spec, identity := uuid4())
        named: Any = Rule(
            method="VM.get_record", action="fail", code="HOST_IS_SLAVE", parameters=(MASTER,), times=1
        )
        simulator.rules(named)
        assert connector.get_vm(identity).identity == identity
        assert simulator.calls()["session.login_with_password"] == 1
    assert simulator.counts(["session"]) == {"session": 0}
