"""What the Xen driver lacks, and what a pool's settings take away."""

from collections.abc import Collection, Mapping
from types import MappingProxyType

from catalog.capabilities import Capability, Gap, GapReason
from connectors import storages


def _not_yet(detail: str) -> Gap:
    return Gap(reason=GapReason.NOT_YET, detail=detail)


def _off(detail: str) -> Gap:
    return Gap(reason=GapReason.NOT_CONFIGURED, detail=detail[:300])


_QCOW2 = (
    "only the newest XenServer versions take and give QCOW2; this driver carries raw and VHD: convert "
    "with 'qemu-img convert -O vpc -o force_size=on'"
)
_NO_FORMAT = Gap(reason=GapReason.NEVER, detail="XenServer reads and writes raw, VHD and QCOW2 disks only")

DECLARED: Mapping[Capability, Gap] = MappingProxyType(
    {
        Capability.CLONE: _not_yet(
            "XenServer copies machines that exist; this driver makes them empty, or of a template"
        ),
        Capability.DRS: _not_yet(
            "xapi places a machine when it starts and does not move it later; Workload Balancing is not used yet"
        ),
        Capability.CONSOLE: _not_yet("the driver hands out no console yet; use XenCenter or Xen Orchestra"),
        Capability.SEED_DISK: _not_yet(
            "the driver makes no seed disk for cloud-init yet; give the machine its settings by the network"
        ),
        Capability.RESOURCE_POOLS: Gap(
            reason=GapReason.NEVER, detail="XenServer has no resource pools inside a pool of hosts"
        ),
        Capability.IMPORT_DISK_VMDK: _NO_FORMAT,
        Capability.IMPORT_DISK_VHDX: _NO_FORMAT,
        Capability.IMPORT_DISK_QCOW2: _not_yet(_QCOW2),
        Capability.EXPORT_DISK_VMDK: _NO_FORMAT,
        Capability.EXPORT_DISK_VHDX: _NO_FORMAT,
        Capability.EXPORT_DISK_QCOW2: _not_yet(_QCOW2),
    }
)


CALLS: Mapping[Capability, tuple[str, ...]] = MappingProxyType(
    {
        Capability.CREATE: ("VM.create", "VDI.create", "VBD.create"),
        Capability.DELETE: ("VM.destroy", "VDI.destroy"),
        Capability.POWER_ON: ("VM.start",),
        Capability.POWER_OFF: ("VM.hard_shutdown",),
        Capability.SHUTDOWN: ("VM.clean_shutdown",),
        Capability.SUSPEND: ("VM.suspend",),
        Capability.RESIZE_COLD: ("VM.set_memory_limits", "VM.set_VCPUs_max", "VDI.resize"),
        Capability.RESIZE_HOT: ("VM.set_memory_dynamic_range", "VM.set_VCPUs_number_live"),
        Capability.RESIZE_MEMORY_HOT: ("VM.set_memory_dynamic_range",),
        Capability.ADD_DISK: ("VDI.create", "VBD.create"),
        Capability.DISK_HOTPLUG: ("VDI.create", "VBD.create", "VBD.plug"),
        Capability.GROW_DISK: ("VDI.resize",),
        Capability.GROW_DISK_HOT: ("VDI.resize_online",),
        Capability.REMOVE_DISK: ("VBD.destroy", "VDI.destroy"),
        Capability.REMOVE_DISK_HOT: ("VBD.unplug", "VBD.destroy", "VDI.destroy"),
        Capability.SNAPSHOT: ("VM.snapshot",),
        Capability.REVERT: ("VM.revert",),
        Capability.DELETE_SNAPSHOT: ("VM.destroy", "VDI.destroy"),
        Capability.LIVE_MIGRATE: ("VM.pool_migrate",),
        Capability.STORAGE_MIGRATE: ("VDI.pool_migrate",),
        Capability.TAGS: ("VM.add_tags", "VM.remove_tags"),
    }
)
"""What the driver calls that a role may forbid, of each capability."""


def not_permitted(permissions: Collection[str]) -> dict[Capability, Gap]:
    """What a login may not do that has these permissions, in small letters."""
    missing = {
        capability: [call for call in calls if call.lower() not in permissions]
        for capability, calls in CALLS.items()
    }
    return {
        capability: _off(
            f"the endpoint's user may not call {', '.join(calls)}; give it the role vm-power-admin or higher"
        )
        for capability, calls in missing.items()
        if calls
    }


def of_pool(pool: str, *, ha: bool, hosts: int) -> dict[Capability, Gap]:
    """The gaps that a pool's own settings and size make."""
    found = {} if ha else {Capability.HA_RESTART: _off(f"HA is off; enable HA on pool '{pool}'")}
    moving = live_migrate(pool, hosts=hosts)
    return found | ({Capability.LIVE_MIGRATE: moving} if moving is not None else {})


def live_migrate(pool: str, *, hosts: int) -> Gap | None:
    """Why machines cannot move; None where there is somewhere to go."""
    return None if hosts > 1 else _off(f"'{pool}' has one host only; let a second one join its pool")


def one_storage(pool: str) -> Gap:
    """Why disks cannot move."""
    return storages.no_second(f"'{pool}'", "storage repository", "attach one to its hosts")


NO_ONLINE_RESIZE = Gap(
    reason=GapReason.NEVER,
    detail="the storage repository's type cannot grow a disk in use; shut the machine down first",
)


def hot_add(capability: Capability, *, factor: int, online_resize: bool) -> Gap | None:
    """Why running machines cannot grow, RESIZE_HOT or RESIZE_MEMORY_HOT; None where they can."""
    if factor <= 1:
        return _off(
            "machines are made without room to grow while they run; set the endpoint's option "
            "'hot_add_factor', or shut the machine down first"
        )
    if not online_resize and capability is Capability.RESIZE_HOT:
        return NO_ONLINE_RESIZE
    return None
