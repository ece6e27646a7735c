"""Tags of a machine: its annotations, in its notes, which Hyper-V Manager shows.

Hyper-V has no tags of its own. Tools that want some keep them as a line of the notes, each in a form of its own; so
does this driver, and leaves the lines of others as they are.
"""

from collections.abc import Mapping

from connectors.contract import changed_tags
from connectors.drivers.hyperv import marks
from connectors.drivers.hyperv.dispatcher import Command
from connectors.drivers.hyperv.machines import Machine
from connectors.drivers.hyperv.session import Op


def read(_op: Op, machine: Machine) -> Mapping[str, str]:
    """The annotations of a machine of ours."""
    assert machine.mark is not None, machine
    return machine.mark.annotations


def change(op: Op, machine: Machine, changes: Mapping[str, str]) -> None:
    """Write other annotations, also while the machine runs; nothing where they are so."""
    assert machine.mark is not None, machine
    after = changed_tags(machine.mark.annotations, changes)
    if after == machine.mark.annotations:
        return
    ((now,),) = op.run(Command("Hyper-V\\Get-VM", {"Id": machine.id}, select=("Notes",)))
    notes = marks.noted_anew(now["Notes"], machine.mark.identity, after)
    op.run(
        Command("Hyper-V\\Get-VM", {"Id": machine.id}),
        Command("Hyper-V\\Set-VM", {"Notes": notes}, {"VM": "0"}),
    )
