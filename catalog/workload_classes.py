"""Workload classes: what a kind of machine needs, in words that no hypervisor owns."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from catalog.base import Name, Trait, Value
from catalog.capabilities import Capability
from catalog.resources import Resources


class DataClassification(StrEnum):
    """How sensitive a machine's data is, from least to most."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"


class Availability(StrEnum):
    """What happens after a host failure."""

    BEST_EFFORT = "best_effort"
    RESTART = "restart"


class WorkloadClass(Value):
    """A kind of machine: its sizes, and what a pool must have to run one."""

    name: Name
    title: str
    summary: str
    sizes: Annotated[Mapping[Name, Resources], Field(min_length=1)]
    required_capabilities: frozenset[Capability] = frozenset()
    required_traits: frozenset[Trait] = frozenset()
    forbidden_traits: frozenset[Trait] = frozenset()
    allowed_tiers: Annotated[tuple[Name, ...], Field(min_length=1)]
    default_tier: Name
    availability: Availability = Availability.BEST_EFFORT
    data_classification: DataClassification = Field(
        default=DataClassification.INTERNAL, description="What an order has unless it says otherwise."
    )
    lease_days: Annotated[int, Field(ge=1, le=3650)] | None = Field(
        default=None, description="Days until the machine is due for removal; null: no end."
    )

    def __hash__(self) -> int:
        return hash(self.name)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.default_tier not in self.allowed_tiers:
            msg = (
                f"default_tier '{self.default_tier}' must be one of allowed_tiers: "
                f"{', '.join(self.allowed_tiers)}"
            )
            raise ValueError(msg)
        both = self.required_traits & self.forbidden_traits
        if both:
            msg = f"traits are both required and forbidden: {', '.join(sorted(both))}"
            raise ValueError(msg)
        for name, size in self.sizes.items():
            if not (size.vcpu and size.memory_mib and size.disk_gib):
                msg = f"size '{name}' needs vcpu, memory_mib and disk_gib above zero"
                raise ValueError(msg)
        if self.availability is Availability.RESTART and (
            Capability.HA_RESTART not in self.required_capabilities
        ):
            msg = "availability 'restart' needs ha_restart in required_capabilities"
            raise ValueError(msg)
        return self
