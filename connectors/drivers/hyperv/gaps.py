"""What the Hyper-V driver lacks, and what a host's settings take away."""

from collections.abc import Mapping
from types import MappingProxyType

from catalog.capabilities import Capability, Gap, GapReason
from connectors import storages


def _not_yet(detail: str) -> Gap:
    return Gap(reason=GapReason.NOT_YET, detail=detail)


def _never(detail: str) -> Gap:
    return Gap(reason=GapReason.NEVER, detail=detail)


_DISKS = "Hyper-V's disks are VHDX and VHD; tierwise converts from and to the others by qemu-img"

DECLARED: Mapping[Capability, Gap] = MappingProxyType(
    {
        Capability.RESIZE_HOT: _never(
            "Hyper-V cannot change the vCPUs of a machine that runs; shut it down first, or add memory alone"
        ),
        Capability.CLONE: _not_yet(
            "Hyper-V clones by export and import; this driver makes machines empty, or of a template"
        ),
        Capability.CONSOLE: _not_yet("the driver hands out no console yet; use VMConnect"),
        Capability.SEED_DISK: _not_yet(
            "the driver makes no seed disk for cloud-init yet; give the machine its settings by the network"
        ),
        Capability.RESOURCE_POOLS: _not_yet("Hyper-V's resource pools are not managed by this driver yet"),
        Capability.WATCH: _not_yet(
            "Hyper-V keeps no list of changes to ask for; its WMI events need a process that stays on the host, "
            "and this driver leaves none there; the next inventory sees what changed"
        ),
        Capability.IMPORT_DISK_VMDK: _never(_DISKS),
        Capability.IMPORT_DISK_QCOW2: _never(_DISKS),
        Capability.IMPORT_DISK_RAW: _never(_DISKS),
        Capability.EXPORT_DISK_VMDK: _never(_DISKS),
        Capability.EXPORT_DISK_QCOW2: _never(_DISKS),
        Capability.EXPORT_DISK_RAW: _never(_DISKS),
    }
)


def of_host(host: str, cluster: str | None, *, whole: bool, balances: bool) -> dict[Capability, Gap]:
    """What a host's cluster, and how the endpoint names it, take away."""
    if whole:
        detail = f"failover cluster '{cluster}' does not balance its nodes; set its AutoBalancerMode"
        return {} if balances else {Capability.DRS: _not_configured(detail)}
    if cluster is None:
        detail = f"host '{host}' stands alone; this needs it in a failover cluster"
    else:
        detail = f"the endpoint is host '{host}' alone, of failover cluster '{cluster}'; set the option 'cluster'"
    return dict.fromkeys(
        (Capability.HA_RESTART, Capability.LIVE_MIGRATE, Capability.DRS), _not_configured(detail)
    )


def live_migrate(cluster: str, *, nodes: int) -> Gap | None:
    """Why machines of a whole cluster cannot move; None where there is somewhere to go."""
    detail = f"failover cluster '{cluster}' has one node only; add a second one to it"
    return None if nodes > 1 else _not_configured(detail)


def one_storage(pool: str) -> Gap:
    """Why disks cannot move: the one folder that is named is that of new machines."""
    return storages.no_second(
        f"'{pool}'", "storage", "name another folder in the endpoint's option 'storages'"
    )


def not_shared(folder: str, option: str = "folder") -> Gap:
    """Machines of a cluster are kept where each node finds them."""
    return _not_configured(
        f"folder '{folder}' is on one node only; set the option '{option}' to one under C:\\ClusterStorage"
    )


def _not_configured(detail: str) -> Gap:
    return Gap(reason=GapReason.NOT_CONFIGURED, detail=detail[:300])


NO_STORAGES = _not_configured(
    "the endpoint names no folders to move disks between; set its option 'storages' to NAME=folder, ..."
)
