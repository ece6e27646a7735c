"""What the libvirt driver lacks, and what an endpoint takes away."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from catalog.capabilities import Capability, Gap, GapReason
from connectors import storages


def _gap(reason: GapReason, detail: str) -> Gap:
    return Gap(reason=reason, detail=detail[:300])


def _not_yet(detail: str) -> Gap:
    return _gap(GapReason.NOT_YET, detail)


_IMPORT = "this driver takes disks as qcow2 and raw; convert it first with qemu-img convert -O qcow2"
_EXPORT = "this driver gives disks as qcow2 and raw; convert it afterwards with qemu-img convert"
_ALONE = "one libvirt daemon manages one host; nothing restarts or balances machines over hosts"

DECLARED: Mapping[Capability, Gap] = MappingProxyType(
    {
        Capability.CLONE: _not_yet("this driver makes machines empty, or of a template"),
        Capability.HA_RESTART: _gap(GapReason.NEVER, _ALONE),
        Capability.DRS: _gap(GapReason.NEVER, _ALONE),
        Capability.RESOURCE_POOLS: _gap(GapReason.NEVER, "libvirt has no resource pools"),
        Capability.CONSOLE: _not_yet("the driver hands out no console yet; use virsh console"),
        Capability.IMPORT_DISK_VMDK: _not_yet(_IMPORT),
        Capability.IMPORT_DISK_VHD: _not_yet(_IMPORT),
        Capability.IMPORT_DISK_VHDX: _not_yet(_IMPORT),
        Capability.EXPORT_DISK_VMDK: _not_yet(_EXPORT),
        Capability.EXPORT_DISK_VHD: _not_yet(_EXPORT),
        Capability.EXPORT_DISK_VHDX: _not_yet(_EXPORT),
    }
)

_NO_CONTENT = _gap(GapReason.NEVER, "libvirt's test driver keeps no content of disks, only their size")
_NO_MEMORY = _gap(GapReason.NEVER, "libvirt's test driver cannot attach memory")
_UNMEASURED = _gap(GapReason.NEVER, "libvirt's test driver runs nothing, so it measures nothing")

TEST_DRIVER: Mapping[Capability, Gap] = MappingProxyType(
    {
        Capability.RESIZE_COLD: _gap(GapReason.NEVER, "libvirt's test driver cannot resize a volume"),
        Capability.RESIZE_HOT: _NO_MEMORY,
        Capability.RESIZE_MEMORY_HOT: _NO_MEMORY,
        Capability.DISK_HOTPLUG: _gap(
            GapReason.NEVER, "libvirt's test driver cannot add a disk to a machine that runs"
        ),
        Capability.GROW_DISK: _gap(GapReason.NEVER, "libvirt's test driver cannot resize a volume"),
        Capability.GROW_DISK_HOT: _gap(GapReason.NEVER, "libvirt's test driver cannot resize a volume"),
        Capability.REMOVE_DISK_HOT: _gap(
            GapReason.NEVER, "libvirt's test driver cannot take a disk out of a machine that runs"
        ),
        Capability.METRICS_CPU: _UNMEASURED,
        Capability.METRICS_MEMORY: _UNMEASURED,
        Capability.METRICS_DISK: _UNMEASURED,
        Capability.METRICS_NET: _UNMEASURED,
        Capability.LIVE_MIGRATE: _gap(GapReason.NEVER, "libvirt's test driver cannot migrate machines"),
        Capability.SEED_DISK: _NO_CONTENT,
        Capability.TEMPLATE: _NO_CONTENT,
        Capability.STORAGE_MIGRATE: _NO_CONTENT,
        Capability.IMPORT_DISK_QCOW2: _NO_CONTENT,
        Capability.IMPORT_DISK_RAW: _NO_CONTENT,
        Capability.EXPORT_DISK_QCOW2: _NO_CONTENT,
        Capability.EXPORT_DISK_RAW: _NO_CONTENT,
    }
)
"""What libvirt's in-memory test driver cannot do; seen in libvirt 9.0 (virStorageVolResize: code 3)."""

_CARRIED = _not_yet("the driver does not carry the disks of containers yet; use virsh vol-download")

_CONTAINERS_OFF = _not_yet("the driver resizes containers only while they are off")
_ONE_DISK = _not_yet("containers have their root file system only; a resize grows that while they are off")

_NO_SNAPSHOTS_CONTAINERS = _gap(GapReason.NEVER, "libvirt takes no snapshots of containers")

CONTAINERS: Mapping[Capability, Gap] = MappingProxyType(
    {
        Capability.RESIZE_HOT: _CONTAINERS_OFF,
        Capability.RESIZE_MEMORY_HOT: _CONTAINERS_OFF,
        Capability.ADD_DISK: _ONE_DISK,
        Capability.DISK_HOTPLUG: _ONE_DISK,
        Capability.GROW_DISK: _ONE_DISK,
        Capability.GROW_DISK_HOT: _ONE_DISK,
        Capability.REMOVE_DISK: _ONE_DISK,
        Capability.REMOVE_DISK_HOT: _ONE_DISK,
        Capability.SNAPSHOT: _NO_SNAPSHOTS_CONTAINERS,
        Capability.REVERT: _NO_SNAPSHOTS_CONTAINERS,
        Capability.DELETE_SNAPSHOT: _NO_SNAPSHOTS_CONTAINERS,
        Capability.LIVE_MIGRATE: _gap(GapReason.NEVER, "libvirt does not migrate containers"),
        Capability.STORAGE_MIGRATE: _not_yet("the driver does not move the disks of containers yet"),
        Capability.TEMPLATE: _not_yet(
            "all containers of an endpoint begin with its option 'container_image'; an order cannot choose one yet"
        ),
        Capability.SEED_DISK: _gap(GapReason.NEVER, "a container has no drive for a seed disk"),
        Capability.METRICS_DISK: _gap(
            GapReason.NEVER,
            "libvirt knows what the kernel charges a container's group with, which is nothing of what goes "
            "through the host's page cache, as files do",
        ),
        Capability.IMPORT_DISK_QCOW2: _CARRIED,
        Capability.IMPORT_DISK_RAW: _CARRIED,
        Capability.EXPORT_DISK_QCOW2: _CARRIED,
        Capability.EXPORT_DISK_RAW: _CARRIED,
    }
)
"""What a container of libvirt's LXC driver lacks; seen in libvirt 9.0 (snapshots, statistics: code 3).

Of the disk it counted no byte of a container that had started from it and written to it (control groups, version 1).
"""

_CONTROL_DOMAIN = (
    "its disks are files that QEMU serves in the control domain, of which libvirt counts nothing"
)

_XEN_OFF = _not_yet("the driver resizes machines of Xen only while they are off")
_NO_SNAPSHOTS_XEN = _gap(GapReason.NEVER, "libvirt takes no snapshots of machines of Xen")

XEN: Mapping[Capability, Gap] = MappingProxyType(
    {
        Capability.RESIZE_HOT: _XEN_OFF,
        Capability.RESIZE_MEMORY_HOT: _XEN_OFF,
        Capability.GROW_DISK_HOT: _gap(
            GapReason.NEVER, "libvirt grows no disk of a machine of Xen that runs"
        ),
        Capability.SNAPSHOT: _NO_SNAPSHOTS_XEN,
        Capability.REVERT: _NO_SNAPSHOTS_XEN,
        Capability.DELETE_SNAPSHOT: _NO_SNAPSHOTS_XEN,
        Capability.LIVE_MIGRATE: _not_yet(
            "the driver does not migrate machines of Xen yet; use virsh migrate"
        ),
        Capability.STORAGE_MIGRATE: _gap(
            GapReason.NEVER, "libvirt copies no disk of a machine of Xen while it runs"
        ),
        Capability.METRICS_DISK: _gap(GapReason.NEVER, _CONTROL_DOMAIN),
    }
)
"""What libvirt's driver of Xen lacks; seen in libvirt 9.0 with Xen 4.17 (snapshots, statistics: code 3)."""

EMULATED_CARDS: Mapping[Capability, Gap] = MappingProxyType(
    {
        Capability.METRICS_NET: _gap(
            GapReason.NEVER,
            "libvirt counts an 'hvm' machine's emulated card only, which its guest gives up",
        )
    }
)
"""Seen in libvirt 9.0: it knows ``vif2.0-emu``, which is gone when the guest's own driver has ``vif2.0``."""

NO_IMAGE: Mapping[Capability, Gap] = MappingProxyType(
    {
        Capability.CREATE: _gap(
            GapReason.NOT_CONFIGURED,
            "containers begin as copies of an image; name its volume in the endpoint's option 'container_image'",
        )
    }
)

NO_PEERS: Mapping[Capability, Gap] = MappingProxyType(
    {
        Capability.LIVE_MIGRATE: _gap(
            GapReason.NOT_CONFIGURED,
            "one libvirt daemon knows no other host; name them in the endpoint's option 'peers', as name=URI",
        )
    }
)

NO_PYCDLIB: Mapping[Capability, Gap] = MappingProxyType(
    {
        Capability.SEED_DISK: _gap(
            GapReason.NOT_CONFIGURED,
            "the library pycdlib, which writes seed disks, is not installed; pip install 'tierwise[libvirt]'",
        )
    }
)

NO_NETWORK: Mapping[Capability, Gap] = MappingProxyType(
    {
        Capability.METRICS_NET: _gap(
            GapReason.NOT_CONFIGURED,
            "machines get no network card; set the endpoint's option 'network' or 'bridge'",
        )
    }
)

NO_HOTPLUG: Mapping[Capability, Gap] = MappingProxyType(
    dict.fromkeys(
        (Capability.RESIZE_HOT, Capability.RESIZE_MEMORY_HOT),
        _not_yet("memory and vCPUs are added to running machines on x86_64 hosts only"),
    )
)


def not_offered(os_type: str, offered: Iterable[str]) -> dict[Capability, Gap]:
    """The gap of a Xen host that does not run the machines that its option asks for."""
    detail = f"this Xen host runs no '{os_type}' machines; set the option os_type to one of {', '.join(sorted(offered))}"
    return {Capability.CREATE: _gap(GapReason.NOT_CONFIGURED, detail)}


def one_storage(pool: str) -> Gap:
    """Why disks cannot move."""
    return storages.no_second(
        f"'{pool}'",
        "storage pool",
        "make one of type dir, fs or netfs with virsh pool-define-as, and pool-start it",
    )


def no_storage(problem: str) -> dict[Capability, Gap]:
    """The gap of an endpoint whose storage pool cannot be used, and what to do about it."""
    return {Capability.CREATE: _gap(GapReason.NOT_CONFIGURED, problem)}
