"""Which privileges the driver's calls need, and which of them the endpoint's user has, as vCenter itself tells."""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from catalog.capabilities import Capability
from connectors.drivers.vsphere.session import Op, ref_id


class On(StrEnum):
    """What a privilege is needed on: of the datastores one that has all of them, of the others each.

    `ATTRIBUTES` is the machine folder of an endpoint that writes custom attributes.
    """

    FOLDER = "machine folder"
    ATTRIBUTES = "machine folder, for custom attributes"
    POOL = "resource pool"
    STORE = "datastore"
    NETWORK = "network"


ALLOCATE_SPACE = "Datastore.AllocateSpace"

_SPACE = (ALLOCATE_SPACE, On.STORE)
_NEW_DISK = ("VirtualMachine.Config.AddNewDisk", On.FOLDER)
_REMOVE_DISK = ("VirtualMachine.Config.RemoveDisk", On.FOLDER)
_DELETE = ("VirtualMachine.Inventory.Delete", On.FOLDER)
_SETTINGS = ("VirtualMachine.Config.AdvancedConfig", On.FOLDER)
_ASSIGN = ("Resource.AssignVMToPool", On.POOL)
_CARD = ("Network.Assign", On.NETWORK)
_OFF = ("VirtualMachine.Interact.PowerOff", On.FOLDER)
_CPU = ("VirtualMachine.Config.CPUCount", On.FOLDER)
_MEMORY = ("VirtualMachine.Config.Memory", On.FOLDER)
_MOVING = (("Resource.ColdMigrate", On.FOLDER), ("Resource.HotMigrate", On.FOLDER))

NEEDED: Mapping[Capability, tuple[tuple[str, On], ...]] = MappingProxyType(
    {
        Capability.CREATE: (
            ("VirtualMachine.Inventory.Create", On.FOLDER),
            _NEW_DISK,
            _SETTINGS,
            _ASSIGN,
            _SPACE,
            _CARD,
        ),
        Capability.TEMPLATE: (
            ("VirtualMachine.Provisioning.DeployTemplate", On.FOLDER),
            ("VirtualMachine.Inventory.CreateFromExisting", On.FOLDER),
            _ASSIGN,
            _SPACE,
            _CARD,
        ),
        Capability.DELETE: (_DELETE, _OFF),
        Capability.POWER_ON: (("VirtualMachine.Interact.PowerOn", On.FOLDER),),
        Capability.POWER_OFF: (_OFF,),
        Capability.SHUTDOWN: (_OFF,),
        Capability.SUSPEND: (("VirtualMachine.Interact.Suspend", On.FOLDER),),
        Capability.RESIZE_COLD: (_CPU, _MEMORY),
        Capability.RESIZE_HOT: (_CPU, _MEMORY),
        Capability.RESIZE_MEMORY_HOT: (_MEMORY,),
        Capability.SNAPSHOT: (("VirtualMachine.State.CreateSnapshot", On.FOLDER),),
        Capability.REVERT: (("VirtualMachine.State.RevertToSnapshot", On.FOLDER),),
        Capability.DELETE_SNAPSHOT: (("VirtualMachine.State.RemoveSnapshot", On.FOLDER),),
        Capability.LIVE_MIGRATE: _MOVING,
        Capability.STORAGE_MIGRATE: (*_MOVING, _SPACE),
        Capability.ADD_DISK: (_NEW_DISK, _SETTINGS, _SPACE),
        Capability.DISK_HOTPLUG: (_NEW_DISK, _SETTINGS, _SPACE),
        Capability.GROW_DISK: (("VirtualMachine.Config.DiskExtend", On.FOLDER),),
        Capability.GROW_DISK_HOT: (("VirtualMachine.Config.DiskExtend", On.FOLDER),),
        Capability.REMOVE_DISK: (_REMOVE_DISK, _SETTINGS),
        Capability.REMOVE_DISK_HOT: (_REMOVE_DISK, _SETTINGS),
        Capability.TAGS: (
            ("VirtualMachine.Config.Annotation", On.FOLDER),
            ("Global.SetCustomField", On.ATTRIBUTES),
        ),
        Capability.IMPORT_DISK_VMDK: (
            ("VApp.Import", On.FOLDER),
            ("VApp.Import", On.POOL),
            _SPACE,
            ("Datastore.FileManagement", On.STORE),
            _REMOVE_DISK,
            _DELETE,
        ),
        Capability.EXPORT_DISK_VMDK: (("VApp.Export", On.FOLDER),),
    }
)
"""The privileges that each capability's calls need, by "Required Privileges" in VMware's reference of the methods.

Of those that depend on what a call changes, what the driver always changes; a machine's are asked on its folder.
"""


def granted(op: Op, objects: Iterable[Any], privileges: Collection[str]) -> dict[str, frozenset[str]]:
    """Those of the privileges that this login has on each object, by managed object id; asked for in one call.

    Raises the vendor's fault, of a host too that is spoken to without a vCenter.
    """
    told = op.session.content.authorizationManager.HasPrivilegeOnEntities(
        entity=sorted(objects, key=ref_id),
        sessionId=op.session.key,
        privId=sorted(privileges),
    )
    return {
        ref_id(one.entity): frozenset(each.privId for each in one.privAvailability if each.isGranted)
        for one in told
    }
