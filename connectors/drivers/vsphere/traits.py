"""What a cluster and its storage are, as traits. Knows no vendor library."""

from collections.abc import Iterable, Mapping
from typing import Any

STORAGE = {
    "VMFS": "STORAGE_VMFS",
    "NFS": "STORAGE_NFS",
    "NFS41": "STORAGE_NFS",
    "vsan": "STORAGE_VSAN",
    "VVOL": "STORAGE_VVOL",
}
"""vSphere's words for a datastore's file system (DatastoreSummary.type); other kinds have no trait."""

POLICIES = "policies"
"""Where a datastore's row has the traits of the storage policies that it satisfies."""

DRS_AUTOMATED = "DRS_FULLY_AUTOMATED"
"""DRS moves machines by itself; else it recommends, or places only at the start."""
HA_ADMISSION = "HA_ADMISSION_CONTROL"
"""HA keeps room for restarts: vCenter refuses to start more."""


def of_cluster(config: Any, stores: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    """The traits of a cluster's settings, and of the datastores that its new machines may go to."""
    chosen = list(stores)
    policies = (trait for store in chosen for trait in store.get(POLICIES, ()))
    return frozenset((*_of_settings(config), *_of_storage(chosen), *policies))


def _of_settings(config: Any) -> Iterable[str]:
    drs, ha = getattr(config, "drsConfig", None), getattr(config, "dasConfig", None)
    if getattr(drs, "enabled", None) and str(getattr(drs, "defaultVmBehavior", None)) == "fullyAutomated":
        yield DRS_AUTOMATED
    if restarts(config) and getattr(ha, "admissionControlEnabled", None):
        yield HA_ADMISSION


def restarts(config: Any) -> bool:
    """Whether HA restarts machines: it may be on and look at no host. What vCenter does not say is off."""
    ha = getattr(config, "dasConfig", None)
    return bool(getattr(ha, "enabled", None)) and str(getattr(ha, "hostMonitoring", None)) != "disabled"


def _of_storage(stores: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    """The one kind that all have: which of several a new machine gets nobody can say beforehand."""
    kinds = {STORAGE.get(store.get("summary.type", "")) for store in stores}
    return (kind for kind in kinds if kind is not None and len(kinds) == 1)
