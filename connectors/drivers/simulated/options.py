"""The settings of a simulated estate, and the gaps of the hypervisor that it plays."""

from collections.abc import Mapping
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from catalog.base import Trait, Value
from catalog.capabilities import Capability, Gap, GapReason
from catalog.pools import Host, Hypervisor
from catalog.resources import Resources
from connectors.templates import NONE, Templates

WORKS = "works"

PLAYED_GAPS: Mapping[Hypervisor, Mapping[Capability, tuple[GapReason, str]]] = {
    Hypervisor.VSPHERE: {},
    Hypervisor.HYPERV: {
        Capability.HA_RESTART: (GapReason.NOT_CONFIGURED, "{endpoint} has no failover cluster"),
        Capability.RESIZE_HOT: (
            GapReason.NEVER,
            "Hyper-V cannot add virtual processors to a machine that runs; stop it first",
        ),
        Capability.DRS: (GapReason.NEVER, "Hyper-V itself does not balance machines over its hosts"),
    },
    Hypervisor.XEN: {
        Capability.HA_RESTART: (
            GapReason.NOT_CONFIGURED,
            "{endpoint} has no shared storage for the pool's heartbeat",
        ),
        Capability.DRS: (GapReason.NOT_LICENSED, "workload balancing is not licensed on {endpoint}"),
    },
    Hypervisor.LIBVIRT: {
        Capability.HA_RESTART: (
            GapReason.NEVER,
            "libvirt does not restart a lost host's machines on another host",
        ),
        Capability.DRS: (GapReason.NEVER, "libvirt does not balance machines over hosts"),
    },
}
"""What the played hypervisor lacks unless its options say otherwise; ``{endpoint}`` is filled in."""


def _listed(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


class EstateOptions(Value):
    """The options of a simulated endpoint. Every provider has the same hosts."""

    hypervisor: Hypervisor = Field(default=Hypervisor.LIBVIRT, description="What the estate plays.")
    providers: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)] = ("sim-1",)
    hosts: Annotated[int, Field(ge=1, le=5000)] = 4
    hosts_in_maintenance: Annotated[int, Field(ge=0)] = 0
    host_vcpu: Annotated[int, Field(ge=1, le=100_000)] = 64
    host_memory_mib: Annotated[int, Field(ge=1, le=2**40)] = 512 * 1024
    disk_gib: Annotated[int, Field(ge=0, le=2**40)] = Field(
        default=20 * 1024, description="Storage shared by all hosts of a provider."
    )
    traits: Annotated[frozenset[Trait], BeforeValidator(_listed)] = frozenset()
    templates: Templates = Field(
        default={},
        description="Templates that orders can choose, by the names of their traits, of those in `shelf.SHELF`.",
    )
    gaps: Annotated[tuple[str, ...], BeforeValidator(_listed)] = Field(
        default=(), description="capability=reason, or capability=works to close a played gap."
    )
    product: str = Field(default="", description="Product and version to show; empty: says simulation.")
    latency_ms: Annotated[int, Field(ge=0)] = Field(
        default=0, description="Time from a call's effect to its reply."
    )
    cpu_load_percent: Annotated[int, Field(ge=0, le=100)] = 25
    unique_names: bool = Field(default=False, description="Whether an equal name is a Conflict.")
    enforce_identity: bool = Field(
        default=True,
        description="Whether the hypervisor itself holds identities unique; false as Hyper-V and Xen.",
    )
    adopt: bool = Field(
        default=True,
        description="False creates without looking first: only to prove that a test finds duplicates.",
    )

    @field_validator("gaps")
    @classmethod
    def _known_gaps(cls, gaps: tuple[str, ...]) -> tuple[str, ...]:
        for gap in gaps:
            capability, _, reason = gap.partition("=")
            Capability(capability)
            if reason != WORKS:
                GapReason(reason)
        return gaps

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.providers)) != len(self.providers):
            msg = f"providers must differ: {', '.join(self.providers)}"
            raise ValueError(msg)
        if self.hosts_in_maintenance > self.hosts:
            msg = f"hosts_in_maintenance {self.hosts_in_maintenance} must not exceed hosts {self.hosts}"
            raise ValueError(msg)
        return self

    def probed_gaps(self, endpoint: str) -> dict[Capability, Gap]:
        """What this estate lacks beyond what the driver declares."""
        gaps = {
            capability: Gap(reason=reason, detail=detail.format(endpoint=endpoint))
            for capability, (reason, detail) in PLAYED_GAPS[self.hypervisor].items()
        }
        if not self.templates:
            gaps[Capability.TEMPLATE] = NONE
        for option in self.gaps:
            capability, _, reason = option.partition("=")
            gaps.pop(Capability(capability), None)
            if reason != WORKS:
                detail = f"the options of {endpoint} leave {capability} out"
                gaps[Capability(capability)] = Gap(reason=GapReason(reason), detail=detail)
        return gaps

    def hosts_of(self, provider: str) -> tuple[Host, ...]:
        """The provider's hosts; those in maintenance are the last ones."""
        each = Resources(vcpu=self.host_vcpu, memory_mib=self.host_memory_mib)
        usable = self.hosts - self.hosts_in_maintenance
        return tuple(
            # One thread a core.
            Host(name=f"{provider}-host-{n + 1}", resources=each, usable=n < usable, cores=self.host_vcpu)
            for n in range(self.hosts)
        )

    def product_shown(self) -> str:
        """The product and version that a probe reports."""
        return self.product or f"tierwise simulation of {self.hypervisor.label}"
