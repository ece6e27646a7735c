"""What the vSphere driver lacks, and what a cluster's settings take away."""

from collections.abc import Mapping
from types import MappingProxyType

from catalog.capabilities import Capability, Gap, GapReason


def _not_yet(detail: str) -> Gap:
    return Gap(reason=GapReason.NOT_YET, detail=detail)


def _never(detail: str) -> Gap:
    return Gap(reason=GapReason.NEVER, detail=detail)


_IMPORT = "vSphere takes disks as VMDK only; convert the file with qemu-img first"
_EXPORT = "vSphere gives disks as VMDK only; convert the file with qemu-img afterwards"

DECLARED: Mapping[Capability, Gap] = MappingProxyType(
    {
        Capability.CLONE: _not_yet(
            "vSphere copies machines that exist; this driver makes them empty, or of a template"
        ),
        Capability.CONSOLE: _not_yet("the driver hands out no console tickets yet; use the vSphere Client"),
        Capability.SEED_DISK: _not_yet(
            "the driver makes no seed disk for cloud-init yet; give the machine its settings by the network"
        ),
        Capability.RESOURCE_POOLS: _not_yet(
            "new machines go to the resource pool that their order requires, or that the endpoint's option 'resource_pool' "
            "names; the driver neither makes nor changes resource pools yet"
        ),
        Capability.IMPORT_DISK_VHD: _never(_IMPORT),
        Capability.IMPORT_DISK_VHDX: _never(_IMPORT),
        Capability.IMPORT_DISK_QCOW2: _never(_IMPORT),
        Capability.IMPORT_DISK_RAW: _never(_IMPORT),
        Capability.EXPORT_DISK_VHD: _never(_EXPORT),
        Capability.EXPORT_DISK_VHDX: _never(_EXPORT),
        Capability.EXPORT_DISK_QCOW2: _never(_EXPORT),
        Capability.EXPORT_DISK_RAW: _never(_EXPORT),
    }
)


def live_migrate(provider: str, *, is_cluster: bool, hosts: int) -> Gap | None:
    """Why machines cannot move; None where there is somewhere to go."""
    if not is_cluster:
        detail = (
            f"host '{provider}' stands alone; put it in a cluster, between whose hosts machines can move"
        )
    elif hosts < 2:
        detail = f"cluster '{provider}' has one host only; add a second one to it"
    else:
        return None
    return Gap(reason=GapReason.NOT_CONFIGURED, detail=detail[:300])


def of_cluster(
    provider: str, *, is_cluster: bool, hosts: int, ha: bool, drs: bool, monitored: bool = True
) -> dict[Capability, Gap]:
    """The gaps that a cluster's own size and settings make; `provider` is its name in the messages."""
    moving = live_migrate(provider, is_cluster=is_cluster, hosts=hosts)
    found = {} if moving is None else {Capability.LIVE_MIGRATE: moving}
    if not ha:
        found[Capability.HA_RESTART] = _off("vSphere HA", provider, is_cluster=is_cluster)
    elif not monitored:
        found[Capability.HA_RESTART] = _off(
            "host monitoring of vSphere HA", provider, is_cluster=is_cluster
        )
    if not drs:
        found[Capability.DRS] = _off("vSphere DRS", provider, is_cluster=is_cluster)
    return found


def _off(feature: str, provider: str, *, is_cluster: bool) -> Gap:
    detail = f"{feature} is off; enable {feature} on cluster '{provider}'"
    if not is_cluster:
        detail = f"host '{provider}' stands alone; {feature} needs it in a cluster"
    return Gap(reason=GapReason.NOT_CONFIGURED, detail=detail[:300])


NOT_SHOWN = Gap(
    reason=GapReason.NOT_CONFIGURED,
    detail="annotations are kept in the machine's notes only; set the endpoint's option 'custom_attributes' or 'tags' to "
    "have them as such too",
)
