"""What the Hyper-V driver lacks, and what a host's settings take away."""

from collections.abc import Mapping
from types import MappingProxyType

from catalog.capabilities import Capability, Gap, GapReason


def _not_yet(detail: str) -> Gap:
    return Gap(reason=GapReason.NOT_YET, detail=detail)


_DISKS = "Hyper-V keeps disks as files on the host; this driver does not copy them over the network yet"

DECLARED: Mapping[Capability, Gap] = MappingProxyType(
    {
        Capability.RESIZE_HOT: Gap(
            reason=GapReason.NEVER,
            detail="Hyper-V cannot change the number of vCPUs of a machine that runs; shut it down first",
        ),
        Capability.CLONE: _not_yet(
            "Hyper-V clones by export and import; this driver creates machines empty"
        ),
        Capability.TEMPLATE: _not_yet("templates belong to VMM; this driver creates machines empty"),
        Capability.LIVE_MIGRATE: _not_yet(
            "Move-VM is not called by this driver yet: it needs Kerberos delegation between the hosts"
        ),
        Capability.STORAGE_MIGRATE: _not_yet("Move-VMStorage is not called by this driver yet"),
        Capability.DRS: _not_yet(
            "machines are not made roles of a failover cluster yet, so the cluster does not balance them"
        ),
        Capability.CONSOLE: _not_yet("the driver hands out no console yet; use VMConnect"),
        Capability.DISK_HOTPLUG: _not_yet("the driver grows disks but does not add or remove them yet"),
        Capability.RESOURCE_POOLS: _not_yet("Hyper-V's resource pools are not managed by this driver yet"),
        Capability.TAGS: _not_yet("Hyper-V has no tags; annotations are kept in the machine's notes"),
        Capability.WATCH: _not_yet(
            "changes are seen by the next inventory; the driver sends no events yet"
        ),
        Capability.METRICS_NET: _not_yet(
            "Measure-VM tells traffic by address and direction; this driver does not read that yet"
        ),
        Capability.IMPORT_DISK_VMDK: _not_yet(_DISKS),
        Capability.IMPORT_DISK_VHD: _not_yet(_DISKS),
        Capability.IMPORT_DISK_VHDX: _not_yet(_DISKS),
        Capability.IMPORT_DISK_QCOW2: _not_yet(_DISKS),
        Capability.IMPORT_DISK_RAW: _not_yet(_DISKS),
        Capability.EXPORT_DISK_VMDK: _not_yet(_DISKS),
        Capability.EXPORT_DISK_VHD: _not_yet(_DISKS),
        Capability.EXPORT_DISK_VHDX: _not_yet(_DISKS),
        Capability.EXPORT_DISK_QCOW2: _not_yet(_DISKS),
        Capability.EXPORT_DISK_RAW: _not_yet(_DISKS),
    }
)


def of_host(host: str, cluster: str | None) -> dict[Capability, Gap]:
    """The gap that a host's being in a failover cluster, or not, makes."""
    if cluster is None:
        detail = f"host '{host}' stands alone; ha_restart needs it in a failover cluster"
        return {Capability.HA_RESTART: Gap(reason=GapReason.NOT_CONFIGURED, detail=detail[:300])}
    detail = f"host '{host}' is in failover cluster '{cluster}', but machines are not made its roles yet"
    return {Capability.HA_RESTART: _not_yet(detail[:300])}
