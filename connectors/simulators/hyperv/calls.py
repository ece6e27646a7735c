# ruff: noqa: EM101 -- what goes wrong at a host is told by its id and its words
"""One call of a cmdlet: its arguments, the host it is made on, and its errors."""

from collections.abc import Iterator, Mapping
from threading import Event
from typing import Any

from connectors.simulators.hyperv.cmdlets import Cmdlet, CmdletError, NetObject, NotImplementedHere
from connectors.simulators.hyperv.estate import Vm, World

Found = list[NetObject]


class Call:
    """One call of a cmdlet under way; `cancelled` is set when its process is ended."""

    def __init__(
        self, world: World, cmdlet: Cmdlet, arguments: Mapping[str, Any], cancelled: Event
    ) -> None:
        self.world = world
        self.cmdlet = cmdlet
        self.arguments = arguments
        self.cancelled = cancelled

    def error(self, kind: str, category: str, message: str) -> CmdletError:
        """An error of this cmdlet."""
        return self.cmdlet.error(kind, category, message)

    def invalid_state(self, vm: Vm) -> CmdletError:
        """What a cmdlet says where the machine's state forbids it."""
        words = f"the operation cannot be performed while the virtual machine is in its current state ({vm.state})"
        return self.error("InvalidState", "InvalidOperation", words)

    def only(self, *names: str) -> None:
        """Raise NotImplementedHere for an argument that Windows has, and this simulator would overlook."""
        for name in self.arguments.keys() - set(names):
            what = f"effect of -{name} in {self.cmdlet.name}"
            raise NotImplementedHere(what)

    def vms(self) -> Iterator[Vm]:
        """The machines of the argument VM. Raises CmdletError where one is gone."""
        given = self.arguments.get("VM")
        if given is None:
            what = f"{self.cmdlet.name} without -VM"
            raise NotImplementedHere(what)
        for one in given if isinstance(given, list) else [given]:
            vm = self.world.vms.get(str(one.read("Id")))
            if vm is None:
                raise self.error("ObjectNotFound", "ObjectNotFound", "the virtual machine was not found")
            yield vm
