"""Making a machine once: adopt, create powered off, elect, finish, and undo what failed half way.

Hyper-V enforces nothing that is ours, so several workers may create one identity at the same moment. A
new machine is *unfinished* until its notes are written, and these rules leave exactly one:

1. whoever sees a finished machine of the identity takes it, once no unfinished one with a lower id is
   left that may still win over it (rule 3), and removes what it made itself;
2. among unfinished ones the lowest VM id wins; the others are removed by those who made them;
3. the winner finishes its own, and looks again: where one with a lower id is finished too, rule 2 holds;
   where one with a lower id is unfinished, its maker may or may not have seen ours finished, so we wait
   until it is finished or gone.

One that nobody finishes, because its worker died, is finished by the next worker after some patience. A machine of a
template is made with its disk whole (`copying`), so all this is as quick as for an empty one.
"""

import time
from contextlib import suppress
from uuid import UUID, uuid4

from connectors.contract import VmSpec
from connectors.drivers.hyperv import copying, marks, offering, secure_boot
from connectors.drivers.hyperv.copying import Copying
from connectors.drivers.hyperv.dispatcher import Command, Scalar
from connectors.drivers.hyperv.host import HostFacts
from connectors.drivers.hyperv.machines import (
    ALL,
    DISKS,
    GENERATION_WITH_UEFI,
    GIB,
    MIB,
    Machine,
    claimants,
    every,
    of_rows,
)
from connectors.drivers.hyperv.offering import Template
from connectors.drivers.hyperv.removing import add_role, remove, remove_folders
from connectors.drivers.hyperv.session import Op
from connectors.errors import NotFound, Refused, Unreachable

MEMORY_STEP_MIB = 2
MEMORY_LEAST_MIB = 32
POLL_S = 0.2
PATIENCE_SHARE = 0.3
"""Part of the deadline after which a machine that nobody finishes is taken over."""


def create(op: Op, host: HostFacts, spec: VmSpec, identity: UUID) -> Machine:
    """The machine of this identity, made if it was not there."""
    there = claimants(every(op), identity)
    if there:
        return _settled(op, spec, identity, there)
    check_size(op, host, spec)
    at = op.at(host.name if op.nodes else "")
    template = offering.chosen(at, host.folder, spec)
    attempt = uuid4().hex[:8]
    new = _new(op, host, spec, identity, attempt, template)
    copied = None
    if template is not None:
        size_bytes = spec.resources.disk_gib * GIB
        copied = Copying(op, at, host.folder, identity, attempt, template, size_bytes, new)
    try:
        seen = _made(op, at, new) if copied is None else copying.made(copied)
        return _elect(op, host, spec, identity, attempt, seen)
    except Exception as error:
        if copied is not None and copying.answer_lost(error):
            raise  # a copy takes too long to be made again; the next call takes over what there is
        _undo(op, host, identity, attempt)
        if copied is not None:
            with suppress(*op.session.failures), op.session.deadline.cleanup():
                copying.forget(copied)
        raise


def check_size(op: Op, host: HostFacts, spec: VmSpec) -> None:
    """What can be told without asking the host. Raises NotFound and Refused."""
    if spec.provider != host.provider:
        why = f"there is no provider '{spec.provider}'"
        raise op.error(NotFound, why, hint=f"this endpoint's is '{host.provider}'")
    fits(op, host, spec.resources.vcpu, spec.resources.memory_mib, spec.resources.disk_gib)
    if spec.resources.disk_gib < 1:
        raise op.error(Refused, "a machine needs a disk_gib above zero")


def fits(op: Op, host: HostFacts, vcpu: int, memory_mib: int, disk_gib: int) -> None:
    """Raise Refused for a size that Hyper-V does not take, or that the empty host could not hold."""
    if vcpu < 1 or memory_mib < MEMORY_LEAST_MIB or memory_mib % MEMORY_STEP_MIB:
        why = f"Hyper-V needs at least 1 vCPU, and {MEMORY_LEAST_MIB} MiB in steps of {MEMORY_STEP_MIB} MiB"
        raise op.error(Refused, f"{why}, not {vcpu} vCPU and {memory_mib} MiB")
    wanted = {"vcpu": vcpu, "memory_mib": memory_mib, "disk_gib": disk_gib}
    over = [
        f"{kind} {amount} is more than the host's {getattr(host.total, kind)}"
        for kind, amount in wanted.items()
        if amount > getattr(host.total, kind)
    ]
    if over:
        raise op.error(Refused, "; ".join(over), hint="choose a smaller machine or another pool")


def _new(
    op: Op, host: HostFacts, spec: VmSpec, identity: UUID, attempt: str, template: Template | None
) -> Command:
    """What makes the machine, under the name of its folder, with an empty disk or the copy that is there.

    New-VM makes a folder of the machine's name, so it gets its own name only afterwards.
    """
    folder = marks.folder_name(identity, attempt)
    path = f"{host.folder}\\{folder}\\disks\\disk.vhdx"
    options = op.session.settings.options
    params: dict[str, Scalar] = {
        "Name": folder,
        "Path": host.folder,
        "Generation": offering.generation(options, spec),
        "MemoryStartupBytes": spec.resources.memory_mib * MIB,
    }
    if template is None:
        params |= {"NewVHDPath": path, "NewVHDSizeBytes": spec.resources.disk_gib * GIB}
    else:
        params["VHDPath"] = path
    if options.switch is not None:
        params["SwitchName"] = options.switch
    return Command("Hyper-V\\New-VM", params)


def _made(op: Op, at: Op, new: Command) -> list[Machine]:
    """Make the machine, and list all machines."""
    if op.nodes:
        # What others made on other nodes counts as well, so the look comes after.
        at.run(new)
        return every(op)
    listing = (ALL, DISKS._replace(refs={"VMId": "1.Id"}))
    _, machines, disks = op.run(new, *listing)
    return of_rows(machines, disks)


def _elect(
    op: Op, host: HostFacts, spec: VmSpec, identity: UUID, attempt: str, seen: list[Machine]
) -> Machine:
    found = claimants(seen, identity)
    if not found:
        why = f"the new machine {identity} is not there right after it was made"
        raise op.error(Unreachable, why, hint="somebody removed it; repeat the call")
    if not marks.made_by(found[0].mark, attempt):
        _undo(op, host, identity, attempt)
        return _settled(op, spec, identity, found)
    _finish(op, spec, identity, found[0])
    return _confirmed(op, host, spec, identity, attempt)


def _confirmed(op: Op, host: HostFacts, spec: VmSpec, identity: UUID, attempt: str) -> Machine:
    """The elected machine once no other can be elected any more."""
    while True:
        found = claimants(every(op), identity)
        mine = next((one for one in found if marks.made_by(one.mark, attempt)), None)
        if mine is None or found[0] is not mine:
            _undo(op, host, identity, attempt)
            return _settled(op, spec, identity, found)
        if not any(other.id < mine.id for other in found):
            return mine
        _wait(op)


def _settled(op: Op, spec: VmSpec, identity: UUID, found: list[Machine]) -> Machine:
    """Another worker's machine once it has won; one that stays unfinished is finished here.

    One that is finished, while a lower one stays unfinished for all our patience, is taken as it is.
    """
    patient_until_s = time.monotonic() + op.session.deadline.left_s() * PATIENCE_SHARE
    while found and not _won(found):
        if time.monotonic() < patient_until_s:
            _wait(op)
        elif found[0].finished:
            return found[0]
        else:
            _finish(op, spec, identity, found[0])
        found = claimants(every(op), identity)
    if not found:
        why = f"the machine {identity} was there, and was removed while it was looked at"
        raise op.error(Unreachable, why, hint="repeat the call")
    return found[0]


def _won(found: list[Machine]) -> bool:
    """Whether the first is finished, and no unfinished one may still win over it."""
    return found[0].finished and not any(other.id < found[0].id for other in found)


def _wait(op: Op) -> None:
    op.session.deadline.left_s()
    time.sleep(POLL_S)


def _finish(op: Op, spec: VmSpec, identity: UUID, machine: Machine) -> None:
    """Give the machine its size and settings, and last its name and notes, in one run."""
    vm = {"VM": "0"}
    settings: dict[str, Scalar] = {
        "ProcessorCount": spec.resources.vcpu,
        "StaticMemory": True,
        "MemoryStartupBytes": spec.resources.memory_mib * MIB,
        # With the memory of a machine that runs; the guest's own snapshots need its cooperation.
        "CheckpointType": "Standard",
        "AutomaticCheckpointsEnabled": False,
    }
    marked = {"NewVMName": spec.name, "Notes": marks.notes(identity, spec.annotations)}
    commands = [Command("Hyper-V\\Get-VM", {"Id": machine.id})]
    if op.session.settings.options.switch is None:
        # New-VM makes a network card that is connected to nothing.
        commands.append(Command("Hyper-V\\Remove-VMNetworkAdapter", refs=vm))
    commands.append(Command("Hyper-V\\Set-VM", settings, vm))
    if machine.generation == GENERATION_WITH_UEFI:
        # Also where it is what New-VM gives: whoever began to make the machine may have had other options.
        commands.append(secure_boot.set_for(op.session.settings.options, spec))
    commands.append(Command("Hyper-V\\Enable-VMResourceMetering", refs=vm))
    if machine.node and not machine.clustered:
        commands.append(add_role(machine, identity))
    commands.append(Command("Hyper-V\\Set-VM", marked, vm))
    op.at(machine.node).run(*commands)


def _undo(op: Op, host: HostFacts, identity: UUID, attempt: str) -> None:
    """Remove what this attempt made, as far as that can be done now."""
    with suppress(*op.session.failures), op.session.deadline.cleanup():
        for machine in claimants(every(op), identity):
            if marks.made_by(machine.mark, attempt):
                with suppress(*op.session.failures):
                    remove(op.at(machine.node), machine)
        remove_folders(op.at(host.name if op.nodes else ""), [host.folder], identity, attempt)
