"""A machine that waits for an answer from a person: told in its words, with the choices, and never waited out."""

import time
from collections.abc import Callable
from typing import Any, cast
from uuid import UUID, uuid4

import pytest

from connectors import registry
from connectors.contract import Connector, PowerAction, PowerState, VmSpec
from connectors.drivers.vsphere import VsphereConnector, tasks
from connectors.errors import Conflict
from connectors.simulators.vsphere import VsphereSimulator

pytestmark = pytest.mark.counterpart("vcsim")

Start = Callable[..., VsphereSimulator]

QUESTION = "There is no more space for\n virtual disk web.vmdk."


def asking(
    simulator: VsphereSimulator, connector: Connector, spec: VmSpec, *choices: str
) -> tuple[UUID, str]:
    identity = uuid4()
    view = connector.create_vm(spec, identity)
    connector.power(identity, PowerAction.ON)
    simulator.set_question(view.native_id, QUESTION, *choices)
    return identity, view.native_id


@pytest.mark.parametrize(
    "act",
    [
        lambda connector, identity, _spec: connector.power(identity, PowerAction.OFF),
        lambda connector, identity, _spec: connector.power(identity, PowerAction.SUSPEND),
        lambda connector, identity, _spec: connector.snapshot(identity, "before"),
        lambda connector, identity, spec: connector.resize(identity, spec.resources + spec.resources),
        lambda connector, identity, _spec: connector.delete_vm(identity),
    ],
    ids=["off", "suspend", "snapshot", "resize", "delete"],
)
def test_every_task_of_a_machine_that_asks_ends_at_once_with_the_question_and_its_choices(
    start: Start, spec: VmSpec, act: Callable[..., Any]
) -> None:
    simulator = start(task_delay_s=1.0)
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        identity, _ = asking(simulator, connector, spec, "Retry", "Cancel")
        began = time.monotonic()
        with pytest.raises(Conflict) as caught:
            act(connector, identity, spec)
        assert time.monotonic() - began < 1.0, "the question was seen only when the task had ended"
        assert caught.value.vendor_code == "runtime.question"
        assert "There is no more space for virtual disk web.vmdk." in str(caught.value)
        assert "(Retry / Cancel)" in caught.value.hint
        calls = simulator.calls()
        assert calls["CreatePropertyCollector"] == calls["DestroyPropertyCollector"]


def test_a_question_without_choices_is_told_without_them(start: Start, spec: VmSpec) -> None:
    simulator = start(task_delay_s=0.5)
    with registry.connect(simulator.endpoint(), simulator.password) as connector:
        identity, _ = asking(simulator, connector, spec)
        with pytest.raises(Conflict) as caught:
            connector.power(identity, PowerAction.OFF)
        assert "()" not in caught.value.hint


def test_a_shutdown_that_meets_a_question_does_not_wait_for_the_guest(
    simulator: VsphereSimulator, connector: Connector, spec: VmSpec
) -> None:
    identity, native_id = asking(simulator, connector, spec, "Yes", "No")
    opened = cast("VsphereConnector", connector)
    op = opened._op("shutdown")
    op.session.deadline.begin()
    machine = op.session.object(op.session.vim.VirtualMachine, native_id)
    began = time.monotonic()
    # The simulator's guests obey at once, so the wait is tried by itself.
    with pytest.raises(Conflict, match="no more space"):
        tasks.await_off(op, machine)
    assert time.monotonic() - began < 5
    assert connector.power(identity, PowerAction.SHUTDOWN).power is PowerState.OFF
