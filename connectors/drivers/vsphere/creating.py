"""Making a machine once: adopt, create or clone powered off, elect, and undo what failed half way."""

from contextlib import suppress
from typing import Any, NoReturn
from uuid import UUID, uuid4

from connectors.contract import Firmware, VmSpec
from connectors.drivers.vsphere import cloning, shown, tasks
from connectors.drivers.vsphere.devices import disk, network_card, scsi_controller
from connectors.drivers.vsphere.estate import Machine, extra_config, find_all, find_machine
from connectors.drivers.vsphere.faults import is_fault
from connectors.drivers.vsphere.inventory import stored_name
from connectors.drivers.vsphere.marks import (
    ATTEMPT_KEY,
    EXTENSION_KEY,
    IDENTITY_KEY,
    MACHINE_TYPE,
    notes,
)
from connectors.drivers.vsphere.placing import Target, target
from connectors.drivers.vsphere.session import Op
from connectors.errors import Conflict, Refused, Unreachable

MEMORY_STEP_MIB = 4
_FIRMWARE = {Firmware.BIOS: "bios", Firmware.UEFI: "efi"}


def create(op: Op, spec: VmSpec, identity: UUID) -> Machine:
    """The machine of this identity, made if it was not there."""
    there = find_machine(op, identity)
    keys = shown.defined(op, spec.annotations)
    if there is None:
        return _new(op, spec, identity, keys)
    shown.write(op, there, spec.annotations, keys)
    return there


def _new(op: Op, spec: VmSpec, identity: UUID, keys: shown.Keys) -> Machine:
    check_size(op, spec.resources.vcpu, spec.resources.memory_mib)
    place = target(op, spec)
    if op.session.content.searchIndex.FindChild(place.folder, stored_name(spec.name)) is not None:
        return _taken(op, spec, identity, place)
    attempt = str(uuid4())
    config = _config(op, spec, identity, attempt)
    try:
        tasks.run(op, _begin(op, spec, place, config))
    except op.session.fault as fault:
        if is_fault(fault, "DuplicateName"):
            return _taken(op, spec, identity, place)
        _undo(op, identity, attempt)
        raise
    machine = _elect(op, identity, attempt)
    try:
        shown.write(op, machine, spec.annotations, keys)
    except (op.session.fault, Refused):
        _undo(op, identity, attempt)
        raise
    return machine


def check_size(op: Op, vcpu: int, memory_mib: int) -> None:
    """What can be told without asking vCenter. Raises Refused."""
    if vcpu < 1 or memory_mib < MEMORY_STEP_MIB or memory_mib % MEMORY_STEP_MIB:
        why = f"vSphere needs at least 1 vCPU and memory in steps of {MEMORY_STEP_MIB} MiB"
        raise op.error(Refused, f"{why}, not {vcpu} vCPU and {memory_mib} MiB")


def _begin(op: Op, spec: VmSpec, place: Target, config: Any) -> Any:
    """The task that makes the machine."""
    if place.template is not None:
        return cloning.start(op, spec, place, place.template, config)
    _add_blank(op, spec, place, config)
    return place.folder.CreateVM_Task(config=config, pool=place.pool, host=place.host)


def _taken(op: Op, spec: VmSpec, identity: UUID, place: Target) -> Machine:
    """The name is taken: by another worker's machine of the same identity, or by somebody else's."""
    there = find_machine(op, identity)
    if there is None and place.template is not None:
        cloning.await_others(op, place.template)
        there = find_machine(op, identity)
    if there is not None:
        return there
    why = f"another machine is named '{spec.name}' in that folder"
    raise op.error(Conflict, why, hint="choose another name", code="DuplicateName")


def _elect(op: Op, identity: UUID, attempt: str) -> Machine:
    """Look again: of several machines of one identity one stays, and every worker removes only its own."""
    found = find_all(op, identity)
    for loser in found[1:]:
        if extra_config(loser.row).get(ATTEMPT_KEY) == attempt:
            destroy(op, loser)
    if not found:
        _vanished(op, identity)
    return found[0]


def _vanished(op: Op, identity: UUID) -> NoReturn:
    why = f"the new machine {identity} is not there right after it was made"
    raise op.error(Unreachable, why, hint="somebody removed it; repeat the call")


def _undo(op: Op, identity: UUID, attempt: str) -> None:
    """Remove what a failed task left, if this attempt made it; vCenter itself leaves nothing as a rule."""
    with suppress(*op.session.failures), op.session.deadline.cleanup():
        for machine in find_all(op, identity):
            if extra_config(machine.row).get(ATTEMPT_KEY) == attempt:
                destroy(op, machine)


def destroy(op: Op, machine: Machine) -> None:
    """Remove a machine that is off or suspended, and its disks; nothing if it is gone already."""
    try:
        tasks.run(op, machine.object.Destroy_Task(), machine.object)
    except op.session.fault as fault:
        if not is_fault(fault, "ManagedObjectNotFound"):
            raise


def _config(op: Op, spec: VmSpec, identity: UUID, attempt: str) -> Any:
    """Everything in one specification: no moment at which the machine exists without its identity."""
    vim = op.session.vim
    setting = vim.option.OptionValue
    config = vim.vm.ConfigSpec(
        instanceUuid=str(identity),
        uuid=str(identity),
        annotation=notes(identity, spec.annotations),
        extraConfig=[
            setting(key=IDENTITY_KEY, value=str(identity)),
            setting(key=ATTEMPT_KEY, value=attempt),
        ],
        numCPUs=spec.resources.vcpu,
        memoryMB=spec.resources.memory_mib,
        # Can be switched on only while a machine is off, so a machine that may grow needs it from birth.
        cpuHotAddEnabled=True,
        memoryHotAddEnabled=True,
    )
    if op.session.settings.options.managed_by:
        config.managedBy = vim.ext.ManagedByInfo(extensionKey=EXTENSION_KEY, type=MACHINE_TYPE)
    return config


def _add_blank(op: Op, spec: VmSpec, place: Target, config: Any) -> None:
    """What a machine needs that is made of nothing."""
    config.name = stored_name(spec.name)
    config.guestId = op.session.settings.options.guest_id
    config.files = op.session.vim.vm.FileInfo(vmPathName=f"[{place.datastore}]")
    config.vmProfile = place.profile
    config.deviceChange = _devices(op, spec, place)
    if spec.firmware is not None:
        config.firmware = _FIRMWARE[spec.firmware]


def _devices(op: Op, spec: VmSpec, place: Target) -> list[Any]:
    found = [scsi_controller(op.session.vim)]
    if spec.resources.disk_gib:
        first = disk(op.session.vim, spec.resources.disk_gib, place.datastore)
        first.profile = place.profile
        found.append(first)
    if place.network is not None:
        found.append(network_card(op, place.network))
    return found
