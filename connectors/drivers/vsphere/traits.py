"""What a cluster and its storage are, as traits, and which of them an order requires. Knows no vendor library."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from connectors.contract import VmSpec
from connectors.drivers.vsphere.session import Op
from connectors.errors import Refused

STORAGE = {
    "VMFS": "STORAGE_VMFS",
    "NFS": "STORAGE_NFS",
    "NFS41": "STORAGE_NFS",
    "vsan": "STORAGE_VSAN",
    "VVOL": "STORAGE_VVOL",
}
"""vSphere's words for a datastore's file system (DatastoreSummary.type); other kinds have no trait."""

MAX_LENGTH = 255

POLICIES = "policies"
"""Where a datastore's row has the traits of the storage policies that it satisfies."""

DRS_AUTOMATED = "DRS_FULLY_AUTOMATED"
"""DRS moves machines by itself; else it recommends, or places only at the start."""
HA_ADMISSION = "HA_ADMISSION_CONTROL"
"""HA keeps room for restarts: vCenter refuses to start more."""


def of_name(prefix: str, name: str) -> str:
    """A name in vCenter, as OpenStack makes traits of names."""
    return f"{prefix}{re.sub('[^0-9A-Za-z]+', '_', name).upper()}"[:MAX_LENGTH]


def required(op: Op, spec: VmSpec, prefix: str, what: str) -> str | None:
    """The one trait of this prefix that the machine's order requires; None for none. Raises Refused for several."""
    found = sorted(trait for trait in spec.traits if trait.startswith(prefix))
    if len(found) > 1:
        why = f"a machine has one {what}, and its order requires {' and '.join(found)}"
        raise op.error(Refused, why, hint="require one of them in its class and rules")
    return found[0] if found else None


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
