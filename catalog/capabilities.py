"""What a hypervisor can do, what it cannot, and why.

One closed list and one report are read by policies, API, CLI, UI and the generated documentation,
so an operation is disabled everywhere for the same stated reason.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated

from pydantic import Field, field_serializer, field_validator

from catalog.base import Value
from catalog.frozen import FrozenDict


class Capability(StrEnum):
    """Something that can be asked of a machine or a pool. Closed: adding one is a product change."""

    CREATE = "create"
    DELETE = "delete"
    POWER_ON = "power_on"
    POWER_OFF = "power_off"
    SHUTDOWN = "shutdown"
    SUSPEND = "suspend"
    RESIZE_COLD = "resize_cold"
    RESIZE_HOT = "resize_hot"
    RESIZE_MEMORY_HOT = "resize_memory_hot"
    SNAPSHOT = "snapshot"
    REVERT = "revert"
    DELETE_SNAPSHOT = "delete_snapshot"
    CLONE = "clone"
    TEMPLATE = "template"
    LIVE_MIGRATE = "live_migrate"
    STORAGE_MIGRATE = "storage_migrate"
    HA_RESTART = "ha_restart"
    DRS = "drs"
    CONSOLE = "console"
    ADD_DISK = "add_disk"
    DISK_HOTPLUG = "disk_hotplug"
    GROW_DISK = "grow_disk"
    GROW_DISK_HOT = "grow_disk_hot"
    REMOVE_DISK = "remove_disk"
    REMOVE_DISK_HOT = "remove_disk_hot"
    SEED_DISK = "seed_disk"
    RESOURCE_POOLS = "resource_pools"
    TAGS = "tags"
    WATCH = "watch"
    METRICS_CPU = "metrics_cpu"
    METRICS_MEMORY = "metrics_memory"
    METRICS_DISK = "metrics_disk"
    METRICS_NET = "metrics_net"
    IMPORT_DISK_VMDK = "import_disk_vmdk"
    IMPORT_DISK_VHD = "import_disk_vhd"
    IMPORT_DISK_VHDX = "import_disk_vhdx"
    IMPORT_DISK_QCOW2 = "import_disk_qcow2"
    IMPORT_DISK_RAW = "import_disk_raw"
    EXPORT_DISK_VMDK = "export_disk_vmdk"
    EXPORT_DISK_VHD = "export_disk_vhd"
    EXPORT_DISK_VHDX = "export_disk_vhdx"
    EXPORT_DISK_QCOW2 = "export_disk_qcow2"
    EXPORT_DISK_RAW = "export_disk_raw"


class GapReason(StrEnum):
    """Why something is missing, from "will never be" to "you can switch it on"."""

    NEVER = "never"
    NOT_YET = "not_yet"
    NOT_LICENSED = "not_licensed"
    NOT_CONFIGURED = "not_configured"


class Gap(Value):
    """A missing capability: the graded reason and a sentence for the person who wanted it.

    `detail` is lower case, names the cause, and where someone can change it says how.
    """

    reason: GapReason
    detail: Annotated[str, Field(min_length=10, max_length=300)]

    def __str__(self) -> str:
        return f"{self.detail} ({self.reason.value})"


class CapabilityReport(Value):
    """The gaps of one pool; what is not listed is there and works."""

    gaps: Mapping[Capability, Gap] = Field(default_factory=dict)

    @field_validator("gaps", mode="after")
    @classmethod
    def _freeze(cls, gaps: Mapping[Capability, Gap]) -> Mapping[Capability, Gap]:
        return FrozenDict({c: gaps[c] for c in Capability if c in gaps})

    @field_serializer("gaps")
    def _plain(self, gaps: Mapping[Capability, Gap]) -> dict[str, dict[str, str]]:
        return {c.value: {"reason": g.reason.value, "detail": g.detail} for c, g in gaps.items()}

    def __hash__(self) -> int:
        return hash(tuple(self.gaps.items()))

    def gap(self, capability: Capability) -> Gap | None:
        """Why `capability` is missing, or None where it works."""
        return self.gaps.get(capability)

    def has(self, capability: Capability) -> bool:
        """Whether `capability` works."""
        return capability not in self.gaps

    def narrowed(self, more: Mapping[Capability, Gap]) -> "CapabilityReport":
        """This report with the gaps of a live probe added; a declared gap keeps its own reason."""
        return CapabilityReport(gaps={**more, **self.gaps})
