"""The virtual devices of a new machine, as vSphere wants them described."""

from typing import Any

from connectors.drivers.vsphere.inventory import GIB, shown_name
from connectors.drivers.vsphere.session import Op, read_object

_CONTROLLER_KEY = -101
"""Negative keys join devices within one specification; vCenter gives real ones."""
_DISK_KEY = -102
_CARD_KEY = -103


def scsi_controller(vim: Any) -> Any:
    """A paravirtual SCSI controller."""
    controller = vim.vm.device.ParaVirtualSCSIController(
        key=_CONTROLLER_KEY, busNumber=0, sharedBus=vim.vm.device.VirtualSCSIController.Sharing.noSharing
    )
    return _added(vim, controller)


def disk(
    vim: Any, size_gib: int, datastore: str, *, controller_key: int = _CONTROLLER_KEY, unit: int = 0
) -> Any:
    """A new thin disk on the controller; without a datastore it goes to the machine's own folder."""
    backing = vim.vm.device.VirtualDisk.FlatVer2BackingInfo(
        fileName=f"[{datastore}]" if datastore else "", diskMode="persistent", thinProvisioned=True
    )
    added = vim.vm.device.VirtualDisk(
        key=_DISK_KEY,
        controllerKey=controller_key,
        unitNumber=unit,
        backing=backing,
        capacityInKB=size_gib * GIB // 1024,
        capacityInBytes=size_gib * GIB,
    )
    change = _added(vim, added)
    change.fileOperation = vim.vm.device.VirtualDeviceSpec.FileOperation.create
    return change


def grown_disk(vim: Any, found: Any, size_kib: int) -> Any:
    """The change that lets a disk grow to a size."""
    found.capacityInKB = size_kib
    found.capacityInBytes = size_kib * 1024
    return vim.vm.device.VirtualDeviceSpec(
        operation=vim.vm.device.VirtualDeviceSpec.Operation.edit, device=found
    )


def network_card(op: Op, network: Any) -> Any:
    """A vmxnet3 card on a network or a distributed port group."""
    vim = op.session.vim
    card = vim.vm.device.VirtualVmxnet3(key=_CARD_KEY, backing=_network_backing(op, network))
    return _added(vim, card)


def reconnected_card(op: Op, card: Any, network: Any) -> Any:
    """The change that brings a card of a machine that is cloned to another network."""
    vim = op.session.vim
    card.backing = _network_backing(op, network)
    if str(card.addressType or "").lower() != "manual":
        card.macAddress = None  # else the clone would have the template's
    return vim.vm.device.VirtualDeviceSpec(
        operation=vim.vm.device.VirtualDeviceSpec.Operation.edit, device=card
    )


def _network_backing(op: Op, network: Any) -> Any:
    vim = op.session.vim
    cards = vim.vm.device.VirtualEthernetCard
    if isinstance(network, vim.dvs.DistributedVirtualPortgroup):
        row = read_object(op.session, network, ["key", "config.distributedVirtualSwitch"])
        switch = row["config.distributedVirtualSwitch"]
        uuid = read_object(op.session, switch, ["uuid"])["uuid"]
        port = vim.dvs.PortConnection(switchUuid=uuid, portgroupKey=row["key"])
        return cards.DistributedVirtualPortBackingInfo(port=port)
    name = shown_name(read_object(op.session, network, ["name"])["name"])
    return cards.NetworkBackingInfo(deviceName=name, network=network)


def _added(vim: Any, device: Any) -> Any:
    return vim.vm.device.VirtualDeviceSpec(
        operation=vim.vm.device.VirtualDeviceSpec.Operation.add, device=device
    )
