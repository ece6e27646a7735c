"""The simulator's property collector through bare pyvmomi: each change once, as it is then, to everybody who asks."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from connectors.simulators.vsphere import Estate, VsphereSimulator

pytestmark = pytest.mark.counterpart("vcsim")

Look = Callable[[VsphereSimulator], Any]


class Ear:
    """A collector over all machines: their names, notes and powers, and what it told last."""

    def __init__(self, content: Any) -> None:
        from pyVmomi import vim, vmodl

        self.types: Any = vmodl.query.PropertyCollector
        self.view = content.viewManager.CreateContainerView(
            content.rootFolder, [vim.VirtualMachine], recursive=True
        )
        through = self.types.TraversalSpec(type=vim.view.ContainerView, path="view", skip=False)
        paths = ["name", "config.annotation", "runtime.powerState"]
        spec = self.types.FilterSpec(
            propSet=[self.types.PropertySpec(type=vim.VirtualMachine, pathSet=paths)],
            objectSet=[self.types.ObjectSpec(obj=self.view, skip=True, selectSet=[through])],
        )
        self.collector = content.propertyCollector.CreatePropertyCollector()
        self.collector.CreateFilter(spec, partialUpdates=False)
        self.version = ""

    def hear(self, patience_s: int = 0) -> list[tuple[str, str, dict[str, Any]]]:
        found = self.collector.WaitForUpdatesEx(
            self.version, self.types.WaitOptions(maxWaitSeconds=patience_s)
        )
        if found is None:
            return []
        assert found.version != self.version
        self.version = found.version
        (part,) = found.filterSet
        return [
            (one.kind, one.obj._moId, {change.name: change.val for change in one.changeSet})
            for one in part.objectSet
        ]


@contextmanager
def ear(content: Any) -> Iterator[Ear]:
    found = Ear(content)
    try:
        yield found
    finally:
        found.collector.DestroyPropertyCollector()
        found.view.Destroy()


def wait(task: Any) -> None:
    from pyVim.task import WaitForTask

    WaitForTask(task)


@pytest.fixture
def simulator(start: Callable[..., VsphereSimulator]) -> VsphereSimulator:
    return start(Estate(vms=3))


def test_every_machine_enters_with_what_was_asked_and_then_nothing_is_told(
    simulator: VsphereSimulator, look: Look
) -> None:
    with look(simulator) as raw, ear(raw.content) as mine:
        told = mine.hear()
        assert {(kind, ref) for kind, ref, _ in told} == {("enter", vm._moId) for vm in raw.machines()}
        assert all(values["name"] and "runtime.powerState" in values for _, _, values in told)
        assert mine.hear() == []
        assert mine.hear(patience_s=1) == []


def test_a_machine_that_changed_thrice_is_told_once_as_it_is_and_properties_nobody_asked_for_are_not(
    simulator: VsphereSimulator, look: Look
) -> None:
    from pyVmomi import vim

    with look(simulator) as raw, ear(raw.content) as mine:
        mine.hear()
        machine, other, _ = raw.machines()
        wait(machine.Rename_Task("first"))
        wait(machine.Rename_Task("second"))
        wait(machine.ReconfigVM_Task(vim.vm.ConfigSpec(annotation="by hand")))
        wait(other.ReconfigVM_Task(vim.vm.ConfigSpec(alternateGuestName="other")))
        told = mine.hear()
        assert [kind for kind, _, _ in told] == ["modify"] * len(told)
        (values,) = [values for _, ref, values in told if ref == machine._moId]
        assert (values["name"], values["config.annotation"]) == ("second", "by hand")
        assert all("name" not in values for _, ref, values in told if ref == other._moId)


def test_a_machine_that_came_and_went_meanwhile_is_not_told_and_one_that_changed_and_went_has_left(
    simulator: VsphereSimulator, look: Look
) -> None:
    with look(simulator) as raw, ear(raw.content) as mine:
        mine.hear()
        machine, source, _ = raw.machines()
        from pyVmomi import vim

        spec = vim.vm.CloneSpec(location=vim.vm.RelocateSpec(), powerOn=False, template=False)
        clone = source.CloneVM_Task(source.parent, "passing", spec)
        wait(clone)
        wait(clone.info.result.Destroy_Task())
        wait(machine.Rename_Task("last words"))
        wait(machine.PowerOffVM_Task())
        wait(machine.Destroy_Task())
        told = [(kind, ref) for kind, ref, _ in mine.hear()]
        assert [entry for entry in told if entry[0] != "modify"] == [("leave", machine._moId)]
        assert clone.info.result._moId not in {ref for _, ref in told}


def test_two_logins_hear_the_same(simulator: VsphereSimulator, look: Look) -> None:
    with (
        look(simulator) as raw,
        look(simulator) as second,
        ear(raw.content) as mine,
        ear(second.content) as yours,
    ):
        assert sorted(ref for _, ref, _ in mine.hear()) == sorted(ref for _, ref, _ in yours.hear())
        machine = raw.machines()[0]
        wait(machine.Rename_Task("heard by both"))
        expected = [("modify", machine._moId, {"name": "heard by both"})]
        assert mine.hear() == yours.hear() == expected


def test_who_waits_is_told_as_soon_as_something_changes_and_can_be_called_off(
    simulator: VsphereSimulator, look: Look
) -> None:
    from pyVmomi import vmodl

    with look(simulator) as raw, look(simulator) as second, ear(second.content) as mine:
        mine.hear()
        found: list[Any] = []

        def listen() -> None:
            for _ in range(2):
                try:
                    found.append(mine.hear(patience_s=60))
                except vmodl.fault.RequestCanceled as error:
                    found.append(error)

        waits = threading.Thread(target=listen, daemon=True)
        waits.start()
        machine = raw.machines()[0]
        wait(machine.Rename_Task("news"))
        until(lambda: bool(found))
        assert ("modify", machine._moId, {"name": "news"}) in found[0]
        again = type(mine.collector)(mine.collector._moId, second.content.rootFolder._stub)
        until(lambda: simulator.calls().get("WaitForUpdatesEx", 0) >= 3)
        until(lambda: again.CancelWaitForUpdates() is None and len(found) == 2)
        assert isinstance(found[1], vmodl.fault.RequestCanceled)


def until(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < end, "it did not happen within 30 s"
        time.sleep(0.05)
